package clikit

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// topics are pages of the help that are no commands.
func topics() []*cobra.Command {
	var b strings.Builder
	b.WriteString("Every command ends with one of these:\n\n")
	for _, row := range exits {
		fmt.Fprintf(&b, "  %3d  %s\n", row.exit, row.meaning)
	}
	b.WriteString("\nWith -o json an error is a JSON object on standard error: code, detail, hint, field, requestId, exit.")
	return []*cobra.Command{
		{Use: "exit-codes", Short: "What the exit codes mean", Long: b.String()},
		{Use: "context", Short: "Where commands find server, token, project and environment", Long: `Flags go before environment variables, and those before the context file.

  --server             FAIRLEAD_URL       the server
                       FAIRLEAD_TOKEN     who asks; belongs to FAIRLEAD_URL and is sent nowhere else
  -p, --project        FAIRLEAD_PROJECT   the project
  -e, --environment    FAIRLEAD_ENV       the environment, or PROJECT/ENVIRONMENT

The context file is ~/.config/fairlead/config.yaml (XDG_CONFIG_HOME is respected). fairlead login
and fairlead use write it; it holds tokens and is readable by you alone.

NO_COLOR, CLICOLOR and CLICOLOR_FORCE decide on colour.`},
	}
}

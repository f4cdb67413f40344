package app

import (
	"io"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"fairlead/internal/clikit"
)

// TestEveryCommandSaysHowItIsUsed: a short sentence without a full stop and an
// example that is a command line of its own; names of things are completed.
func TestEveryCommandSaysHowItIsUsed(t *testing.T) {
	t.Parallel()
	kit := clikit.New(clikit.Options{In: strings.NewReader(""), Out: io.Discard, Err: io.Discard})
	root := commands(kit)
	var walk func(cmd *cobra.Command)
	walk = func(cmd *cobra.Command) {
		at := cmd.CommandPath()
		for _, sub := range cmd.Commands() {
			walk(sub)
		}
		if cmd == root || cmd.Hidden || cmd.IsAdditionalHelpTopicCommand() {
			return
		}
		if cmd.Parent() == root && cmd.GroupID == "" {
			t.Errorf("%s is in no group", at)
		}
		if cmd.Short == "" || strings.HasSuffix(cmd.Short, ".") || strings.ToUpper(cmd.Short[:1]) != cmd.Short[:1] {
			t.Errorf("%s: the short description is %q", at, cmd.Short)
		}
		if !cmd.Runnable() {
			return
		}
		own := 0
		cmd.LocalNonPersistentFlags().VisitAll(func(f *pflag.Flag) {
			if f.Name != "help" {
				own++
			}
		})
		if args := len(strings.Fields(cmd.Use)) - 1; args > 0 && args+own > 2 && cmd.Example == "" {
			t.Errorf("%s: no example", at)
		}
		for _, line := range strings.Split(cmd.Example, "\n") {
			if line = strings.TrimSpace(line); line != "" && !strings.Contains(line, "fairlead ") {
				t.Errorf("%s: the example %q is no command", at, line)
			}
		}
	}
	walk(root)
}

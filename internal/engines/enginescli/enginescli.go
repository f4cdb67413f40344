package enginescli

import (
	"strings"

	"github.com/spf13/cobra"

	"fairlead/internal/apiclient"
	"fairlead/internal/clikit"
)

// Commands gives the commands of this concern.
func Commands(c *clikit.CLI) []*cobra.Command {
	type e = apiclient.Engine
	return []*cobra.Command{{
		Use: "engines", Short: "List the server's engines, with program and version", GroupID: clikit.GroupServer,
		Long:    "List what templates run on. How runs are kept apart is shown to those who may see the system.",
		Example: "  fairlead engines\n  fairlead engines -o json",
		Args:    clikit.Args(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := c.Session()
			if err != nil {
				return err
			}
			list, err := clikit.Read[apiclient.EngineList](s.ListEngines(cmd.Context()))
			if err != nil {
				return err
			}
			return clikit.PrintList(c, list.Items, func(x e) string { return x.Name }, "",
				clikit.Column[e]{Title: "NAME", Cell: func(x e) string { return x.Name }},
				clikit.Column[e]{Title: "PROGRAM", Cell: func(x e) string { return strings.TrimSpace(clikit.Or(x.Program) + " " + clikit.Or(x.Version)) }},
				clikit.Column[e]{Title: "STATE", Cell: func(x e) string {
					if x.Problem != nil {
						return x.Problem.Message
					}
					return "ready"
				}},
				clikit.Column[e]{Title: "ISOLATION", Cell: func(x e) string { return clikit.Or(x.Isolation) }},
			)
		},
	}}
}

package setupcli

import (
	"github.com/spf13/cobra"

	"fairlead/internal/apiclient"
	"fairlead/internal/clikit"
)

// Commands gives the commands of this concern.
func Commands(c *clikit.CLI) []*cobra.Command {
	var dismiss, again bool
	cmd := &cobra.Command{
		Use: "first-steps", Short: "What to do first, and what of it is done", GroupID: clikit.GroupSetup, Args: clikit.Args(0, 0),
		Example: "  fairlead first-steps\n  fairlead first-steps --dismiss",
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := c.Session()
			if err != nil {
				return err
			}
			if dismiss || again {
				l, err := clikit.Read[apiclient.FirstSteps](s.PutFirstSteps(cmd.Context(), apiclient.PutFirstStepsJSONRequestBody{Dismissed: dismiss}))
				if err != nil {
					return err
				}
				return show(c, l)
			}
			l, err := clikit.Read[apiclient.FirstSteps](s.GetFirstSteps(cmd.Context()))
			if err != nil {
				return err
			}
			return show(c, l)
		},
	}
	cmd.Flags().BoolVar(&dismiss, "dismiss", false, "do not show them at the portal's home page any more")
	cmd.Flags().BoolVar(&again, "again", false, "show them there again")
	cmd.MarkFlagsMutuallyExclusive("dismiss", "again")
	return []*cobra.Command{cmd}
}

func show(c *clikit.CLI, l apiclient.FirstSteps) error {
	return clikit.PrintOne(c, l, "first-steps", func(t *clikit.Text) {
		for _, s := range l.Steps {
			if s.Done {
				t.Line("%s %s", t.Style.Phase("done"), s.Title)
				continue
			}
			t.Line("%s %s", t.Style.Dim("todo"), t.Style.Bold(s.Title))
			if s.Command != nil {
				t.Line("     %s", *s.Command)
			}
		}
	})
}

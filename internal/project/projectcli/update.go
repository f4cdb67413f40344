package projectcli

import (
	"maps"

	"github.com/spf13/cobra"

	"fairlead/internal/apiclient"
	"fairlead/internal/clikit"
)

func updateEnvironment(c *clikit.CLI) *cobra.Command {
	var class, title string
	var attrs map[string]string
	cmd := &cobra.Command{
		Use: "update NAME", Short: "Change an environment's title, class or attributes", Args: clikit.Args(1, 1), ValidArgsFunction: c.Complete(1, c.Environments),
		Long:    "Change what is named; the rest stays. An attribute with an empty value is taken away.",
		Example: "  fairlead env update shop/prod --attribute owner=ann --attribute cost-center=",
		RunE: func(cmd *cobra.Command, args []string) error {
			project, name, err := split(c, args[0])
			if err != nil {
				return err
			}
			s, err := c.Session()
			if err != nil {
				return err
			}
			e, tag, err := clikit.ReadTagged[envRow](s.GetEnvironment(cmd.Context(), project, name))
			if err != nil {
				return err
			}
			body := apiclient.UpdateEnvironmentJSONRequestBody{}
			if cmd.Flags().Changed("title") {
				body.Title = &title
			}
			if class != "" {
				body.Class = clikit.Some(apiclient.UpdateEnvironmentRequestClass(class))
			}
			if len(attrs) > 0 {
				merged := maps.Clone(e.Attributes)
				if merged == nil {
					merged = map[string]string{}
				}
				maps.Copy(merged, attrs)
				maps.DeleteFunc(merged, func(_, v string) bool { return v == "" })
				body.Attributes = &merged
			}
			e, err = clikit.Read[envRow](s.UpdateEnvironment(cmd.Context(), project, name, &apiclient.UpdateEnvironmentParams{IfMatch: clikit.Some(tag)}, body))
			if err != nil {
				return err
			}
			return printEnvironment(c, e)
		},
	}
	cmd.Flags().StringVar(&class, "class", "", "development, staging or production")
	_ = cmd.RegisterFlagCompletionFunc("class", clikit.Fixed("development", "staging", "production"))
	cmd.Flags().StringVar(&title, "title", "", "for people")
	cmd.Flags().StringToStringVar(&attrs, "attribute", nil, "attribute, as KEY=VALUE; may be given several times")
	return cmd
}

package resourcecli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"fairlead/internal/apiclient"
	"fairlead/internal/clikit"
)

func (k kit) upgrade() *cobra.Command {
	var w waiting
	var to, note string
	var sets []string
	cmd := &cobra.Command{
		Use: "upgrade NAME", Short: "Bring a resource to a newer version of its template", Args: clikit.Args(1, 1),
		Long: "Bring one resource to a version of its template, by default the newest. What it would do is shown by plan --change. A pin is not passed over; " +
			"many resources are upgraded by rollout create.",
		Example: "  fairlead plan --change orders --version 2.0.0\n  fairlead upgrade orders --to 2.0.0 --wait\n  fairlead upgrade orders --to 2.0.0 --set region=eu",
		RunE: func(cmd *cobra.Command, args []string) error {
			return k.verb(cmd.Context(), args[0], w, func(ctx context.Context, a at, tag *string) (apiclient.Resource, error) {
				body := apiclient.UpgradeResourceJSONRequestBody{To: clikit.Some(to), Note: clikit.Some(note)}
				if len(sets) > 0 {
					given, err := clikit.Assignments(sets, nil)
					if err != nil {
						return apiclient.Resource{}, err
					}
					body.Set = &given
				}
				up, err := clikit.Read[apiclient.UpgradedResource](a.UpgradeResource(ctx, a.Project, a.Environment, args[0], &apiclient.UpgradeResourceParams{IfMatch: tag}, body))
				if err != nil {
					return apiclient.Resource{}, err
				}
				after, err := clikit.Read[apiclient.Resource](a.GetResourceByID(ctx, up.ID, &apiclient.GetResourceByIDParams{}))
				if err == nil && tag != nil && *tag == fmt.Sprintf("%q", fmt.Sprint(up.Version)) {
					k.Note("%s is at %s %s already; nothing is done", up.Name, up.Template, up.TemplateVersion)
				}
				return after, err
			})
		},
	}
	w.flags(cmd, "ready")
	cmd.Flags().StringVar(&to, "to", "", "the version, or a constraint; the newest stable by default")
	cmd.Flags().StringArrayVar(&sets, "set", nil, "an input that the new version needs, as NAME=VALUE; may be repeated")
	cmd.Flags().StringVar(&note, "note", "", "why")
	return cmd
}

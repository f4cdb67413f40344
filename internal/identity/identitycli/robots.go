package identitycli

import (
	"strings"

	"github.com/spf13/cobra"

	"fairlead/internal/apiclient"
	"fairlead/internal/clikit"
)

type robotRow = apiclient.Robot

func (k kit) robotCreate() *cobra.Command {
	var team, display string
	var roles []string
	cmd := &cobra.Command{
		Use: "create NAME --team TEAM", Short: "Make a robot of a team", Args: clikit.Args(1, 1),
		Example: "  fairlead robot create ci --team payments --role developer\n  fairlead token create ci-main --robot ci -o name",
		RunE: func(cmd *cobra.Command, args []string) error {
			if team == "" {
				return clikit.Usage("of which team?").WithHint("add --team TEAM")
			}
			s, err := k.Session()
			if err != nil {
				return err
			}
			r, err := clikit.Read[robotRow](s.CreateRobot(cmd.Context(), apiclient.CreateRobotJSONRequestBody{
				Name: args[0], Team: team, DisplayName: clikit.Some(display), Roles: clikit.SomeList(roles)}))
			if err != nil {
				return err
			}
			return clikit.PrintOne(k.CLI, r, r.Name, func(t *clikit.Text) {
				t.Line("%s  robot of %s", t.Style.Bold(clikit.Clean(r.Name)), clikit.Clean(r.Team))
				t.Pairs("  ", clikit.Pair{Key: "roles", Value: strings.Join(r.Roles, ", ")}, clikit.Pair{Key: "id", Value: r.ID})
				t.Line("Make a token for it: fairlead token create NAME --robot %s", clikit.Clean(r.Name))
			})
		},
	}
	cmd.Flags().StringVar(&team, "team", "", "the team that owns it")
	k.CompleteFlag(cmd, "team", k.Teams)
	cmd.Flags().StringVar(&display, "display-name", "", "how people call it")
	cmd.Flags().StringSliceVar(&roles, "role", nil, "role in its team; may be given several times")
	return cmd
}

func (k kit) robotList() *cobra.Command {
	var team string
	cmd := &cobra.Command{
		Use: "ls", Aliases: []string{"list"}, Short: "List robots", Args: clikit.Args(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := k.Session()
			if err != nil {
				return err
			}
			items, err := clikit.Pages(0, func(limit *int64, cursor *string) ([]robotRow, *string, error) {
				p, err := clikit.Read[apiclient.PageRobot](s.ListRobots(cmd.Context(), &apiclient.ListRobotsParams{Limit: limit, Cursor: cursor, Team: clikit.Some(team)}))
				return p.Items, p.Next, err
			})
			if err != nil {
				return err
			}
			return clikit.PrintList(k.CLI, items, func(r robotRow) string { return r.Name }, "no robots that you may see; make one: fairlead robot create NAME --team TEAM",
				clikit.Column[robotRow]{Title: "NAME", Cell: func(r robotRow) string { return r.Name }},
				clikit.Column[robotRow]{Title: "TEAM", Cell: func(r robotRow) string { return r.Team }},
				clikit.Column[robotRow]{Title: "ROLES", Cell: func(r robotRow) string { return strings.Join(r.Roles, ", ") }},
				clikit.Column[robotRow]{Title: "STATE", Cell: func(r robotRow) string { return state(r.Disabled) }, Paint: clikit.Style.Phase},
				clikit.Column[robotRow]{Title: "AGE", Cell: func(r robotRow) string { return clikit.Age(r.CreatedAt) }})
		},
	}
	cmd.Flags().StringVar(&team, "team", "", "only those of this team")
	return cmd
}

func (k kit) robotDisable() *cobra.Command {
	return &cobra.Command{
		Use: "disable NAME", Short: "Disable a robot: its tokens end at once", Args: clikit.Args(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := k.Session()
			if err != nil {
				return err
			}
			_, tag, err := clikit.ReadTagged[robotRow](s.GetRobot(cmd.Context(), args[0]))
			if err != nil {
				return err
			}
			if err := clikit.Done(s.DeleteRobot(cmd.Context(), args[0], &apiclient.DeleteRobotParams{IfMatch: clikit.Some(tag)})); err != nil {
				return err
			}
			k.Note("robot %s is disabled", args[0])
			return nil
		},
	}
}

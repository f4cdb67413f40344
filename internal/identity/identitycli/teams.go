package identitycli

import (
	"strings"

	"github.com/spf13/cobra"

	"fairlead/internal/apiclient"
	"fairlead/internal/clikit"
)

type teamRow = apiclient.Team

func (k kit) printTeam(t teamRow) error {
	return clikit.PrintOne(k.CLI, t, t.Name, func(x *clikit.Text) {
		x.Line("%s  %s", x.Style.Bold(clikit.Clean(t.Name)), clikit.Clean(t.Title))
		x.Pairs("  ", clikit.Pair{Key: "created", Value: clikit.Moment(t.CreatedAt)}, clikit.Pair{Key: "id", Value: t.ID})
		for key, v := range clikit.Sorted(t.Attributes) {
			x.Pairs("  ", clikit.Pair{Key: "attribute " + key, Value: v})
		}
	})
}

func (k kit) teamCreate() *cobra.Command {
	var title string
	var owners []string
	var attrs map[string]string
	cmd := &cobra.Command{
		Use: "create NAME", Short: "Make a team", Args: clikit.Args(1, 1), Example: "  fairlead team create payments --owner ada",
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := k.Session()
			if err != nil {
				return err
			}
			t, err := clikit.Read[teamRow](s.CreateTeam(cmd.Context(), apiclient.CreateTeamJSONRequestBody{
				Name: args[0], Title: clikit.Some(title), Owners: clikit.SomeList(owners), Attributes: clikit.SomeMap(attrs)}))
			if err != nil {
				return err
			}
			return k.printTeam(t)
		},
	}
	cmd.Flags().StringVar(&title, "title", "", "for people")
	cmd.Flags().StringSliceVar(&owners, "owner", nil, "user who owns it from the start; may be given several times")
	cmd.Flags().StringToStringVar(&attrs, "attribute", nil, "attribute for access policies, as KEY=VALUE; may be given several times")
	return cmd
}

func (k kit) teamList() *cobra.Command {
	return &cobra.Command{
		Use: "ls", Aliases: []string{"list"}, Short: "List teams", Args: clikit.Args(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := k.Session()
			if err != nil {
				return err
			}
			items, err := clikit.Pages(0, func(limit *int64, cursor *string) ([]teamRow, *string, error) {
				p, err := clikit.Read[apiclient.PageTeam](s.ListTeams(cmd.Context(), &apiclient.ListTeamsParams{Limit: limit, Cursor: cursor}))
				return p.Items, p.Next, err
			})
			if err != nil {
				return err
			}
			return clikit.PrintList(k.CLI, items, func(t teamRow) string { return t.Name }, "no teams that you may see; make one: fairlead team create NAME",
				clikit.Column[teamRow]{Title: "NAME", Cell: func(t teamRow) string { return t.Name }},
				clikit.Column[teamRow]{Title: "AGE", Cell: func(t teamRow) string { return clikit.Age(t.CreatedAt) }},
				clikit.Column[teamRow]{Title: "TITLE", Cell: func(t teamRow) string { return t.Title }})
		},
	}
}

func (k kit) teamShow() *cobra.Command {
	return &cobra.Command{
		Use: "show NAME", Short: "Show a team", Args: clikit.Args(1, 1), ValidArgsFunction: k.Complete(1, k.Teams),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := k.Session()
			if err != nil {
				return err
			}
			t, err := clikit.Read[teamRow](s.GetTeam(cmd.Context(), args[0]))
			if err != nil {
				return err
			}
			return k.printTeam(t)
		},
	}
}

func (k kit) teamDelete() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use: "rm NAME", Aliases: []string{"delete"}, Short: "Delete a team that owns nothing any more", Args: clikit.Args(1, 1), ValidArgsFunction: k.Complete(1, k.Teams),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := k.Session()
			if err != nil {
				return err
			}
			t, tag, err := clikit.ReadTagged[teamRow](s.GetTeam(cmd.Context(), args[0]))
			if err != nil {
				return err
			}
			if !yes {
				if err := k.Confirm("Deleting the team "+t.Name, t.Name, "--yes"); err != nil {
					return err
				}
			}
			if err := clikit.Done(s.DeleteTeam(cmd.Context(), args[0], &apiclient.DeleteTeamParams{IfMatch: clikit.Some(tag)})); err != nil {
				return err
			}
			k.Note("team %s is deleted", t.Name)
			return nil
		},
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return cmd
}

type memberRow = apiclient.Member

func (k kit) memberList() *cobra.Command {
	return &cobra.Command{
		Use: "ls TEAM", Aliases: []string{"list"}, Short: "List a team's members", Args: clikit.Args(1, 1), ValidArgsFunction: k.Complete(1, k.Teams),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := k.Session()
			if err != nil {
				return err
			}
			items, err := clikit.Pages(0, func(limit *int64, cursor *string) ([]memberRow, *string, error) {
				p, err := clikit.Read[apiclient.PageMember](s.ListMembers(cmd.Context(), args[0], &apiclient.ListMembersParams{Limit: limit, Cursor: cursor}))
				return p.Items, p.Next, err
			})
			if err != nil {
				return err
			}
			return clikit.PrintList(k.CLI, items, func(m memberRow) string { return m.Name }, "nobody has a role in it",
				clikit.Column[memberRow]{Title: "NAME", Cell: func(m memberRow) string { return m.Name }},
				clikit.Column[memberRow]{Title: "KIND", Cell: func(m memberRow) string { return string(m.Kind) }},
				clikit.Column[memberRow]{Title: "ROLES", Cell: func(m memberRow) string { return strings.Join(m.Roles, ", ") }},
				clikit.Column[memberRow]{Title: "STATE", Cell: func(m memberRow) string { return state(m.Disabled) }, Paint: clikit.Style.Phase})
		},
	}
}

func state(disabled bool) string {
	if disabled {
		return "disabled"
	}
	return "active"
}

func (k kit) memberAdd() *cobra.Command {
	var roles []string
	cmd := &cobra.Command{
		Use: "add TEAM MEMBER", Short: "Give a user or a robot a role in a team", Args: clikit.Args(2, 2), ValidArgsFunction: k.Complete(1, k.Teams),
		Long:    "Roles are team-owner, developer, viewer, approver and auditor. Nobody gives what they do not hold.",
		Example: "  fairlead team members add payments ada --role developer",
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := k.Session()
			if err != nil {
				return err
			}
			for _, role := range roles {
				if err := clikit.Done(s.GrantTeamRole(cmd.Context(), args[0], args[1], apiclient.GrantTeamRoleParamsRole(role))); err != nil {
					return err
				}
				k.Note("%s is %s of %s", args[1], role, args[0])
			}
			return nil
		},
	}
	cmd.Flags().StringSliceVar(&roles, "role", []string{"developer"}, "team-owner, developer, viewer, approver or auditor")
	return cmd
}

func (k kit) memberRemove() *cobra.Command {
	var roles []string
	cmd := &cobra.Command{
		Use: "rm TEAM MEMBER", Short: "Take the roles in a team, all of them or those of --role", Args: clikit.Args(2, 2), ValidArgsFunction: k.Complete(1, k.Teams),
		Example: "  fairlead team members rm shop ada --role developer",
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := k.Session()
			if err != nil {
				return err
			}
			if len(roles) == 0 {
				if err := clikit.Done(s.RemoveMember(cmd.Context(), args[0], args[1])); err != nil {
					return err
				}
				k.Note("%s has no role in %s any more", args[1], args[0])
			}
			for _, role := range roles {
				if err := clikit.Done(s.RevokeTeamRole(cmd.Context(), args[0], args[1], apiclient.RevokeTeamRoleParamsRole(role))); err != nil {
					return err
				}
				k.Note("%s is not %s of %s any more", args[1], role, args[0])
			}
			return nil
		},
	}
	cmd.Flags().StringSliceVar(&roles, "role", nil, "just this role; may be given several times")
	return cmd
}

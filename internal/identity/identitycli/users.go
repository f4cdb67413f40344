package identitycli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"fairlead/internal/apiclient"
	"fairlead/internal/clikit"
)

type userRow = apiclient.User

func (k kit) printUser(u userRow) error {
	return clikit.PrintOne(k.CLI, u, u.Name, func(t *clikit.Text) {
		t.Line("%s  %s  %s", t.Style.Bold(clikit.Clean(u.Name)), clikit.Clean(u.DisplayName), t.Style.Phase(state(u.Disabled)))
		t.Pairs("  ", clikit.Pair{Key: "e-mail", Value: clikit.Or(u.Email)}, clikit.Pair{Key: "roles", Value: strings.Join(u.Roles, ", ")},
			clikit.Pair{Key: "signed in", Value: clikit.MomentOf(u.SignedInAt)}, clikit.Pair{Key: "id", Value: u.ID})
		for _, m := range u.Teams {
			t.Pairs("  ", clikit.Pair{Key: "team " + m.Team, Value: m.Role})
		}
	})
}

// users offers those that one may see.
func users(ctx context.Context, s *clikit.Session, typed string) ([]cobra.Completion, error) {
	page, err := clikit.Read[apiclient.PageUser](s.ListUsers(ctx, &apiclient.ListUsersParams{Q: clikit.Some(typed)}))
	var out []cobra.Completion
	for _, u := range page.Items {
		out = append(out, cobra.CompletionWithDesc(clikit.Clean(u.Name), clikit.Clean(u.DisplayName)))
	}
	return out, err
}

func (k kit) userCreate() *cobra.Command {
	var display, email string
	var attrs map[string]string
	var link bool
	cmd := &cobra.Command{
		Use: "create NAME", Short: "Make a user, without a role and a password", Args: clikit.Args(1, 1),
		Example: "  fairlead user create ada --link",
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := k.Session()
			if err != nil {
				return err
			}
			u, err := clikit.Read[userRow](s.CreateUser(cmd.Context(), apiclient.CreateUserJSONRequestBody{
				Name: args[0], DisplayName: clikit.Some(display), Email: clikit.Some(email), Attributes: clikit.SomeMap(attrs)}))
			if err != nil {
				return err
			}
			if link {
				return k.issueLink(cmd, u.Name)
			}
			return k.printUser(u)
		},
	}
	cmd.Flags().StringVar(&display, "display-name", "", "how people call them")
	cmd.Flags().StringVar(&email, "email", "", "for people to read; it proves nothing")
	cmd.Flags().StringToStringVar(&attrs, "attribute", nil, "attribute for access policies, as KEY=VALUE; may be given several times")
	cmd.Flags().BoolVar(&link, "link", false, "also issue a one-time sign-in link, and print that")
	return cmd
}

func (k kit) userList() *cobra.Command {
	var team, search string
	cmd := &cobra.Command{
		Use: "ls", Aliases: []string{"list"}, Short: "List users", Args: clikit.Args(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := k.Session()
			if err != nil {
				return err
			}
			items, err := clikit.Pages(0, func(limit *int64, cursor *string) ([]userRow, *string, error) {
				p, err := clikit.Read[apiclient.PageUser](s.ListUsers(cmd.Context(), &apiclient.ListUsersParams{Limit: limit, Cursor: cursor, Team: clikit.Some(team), Q: clikit.Some(search)}))
				return p.Items, p.Next, err
			})
			if err != nil {
				return err
			}
			return clikit.PrintList(k.CLI, items, func(u userRow) string { return u.Name }, "no users that you may see",
				clikit.Column[userRow]{Title: "NAME", Cell: func(u userRow) string { return u.Name }},
				clikit.Column[userRow]{Title: "DISPLAY NAME", Cell: func(u userRow) string { return u.DisplayName }},
				clikit.Column[userRow]{Title: "ROLES", Cell: func(u userRow) string { return strings.Join(u.Roles, ", ") }},
				clikit.Column[userRow]{Title: "STATE", Cell: func(u userRow) string { return state(u.Disabled) }, Paint: clikit.Style.Phase},
				clikit.Column[userRow]{Title: "SIGNED IN", Cell: func(u userRow) string { return clikit.AgeOf(u.SignedInAt) }})
		},
	}
	cmd.Flags().StringVar(&team, "team", "", "only those of this team")
	cmd.Flags().StringVar(&search, "search", "", "part of the name")
	return cmd
}

func (k kit) userShow() *cobra.Command {
	return &cobra.Command{
		Use: "show NAME", Short: "Show a user", Args: clikit.Args(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := k.Session()
			if err != nil {
				return err
			}
			u, err := clikit.Read[userRow](s.GetUser(cmd.Context(), args[0]))
			if err != nil {
				return err
			}
			return k.printUser(u)
		},
	}
}

func (k kit) userDisable() *cobra.Command {
	return k.setDisabled("disable", "Disable a user: every session and token of theirs ends at once", true)
}

func (k kit) userEnable() *cobra.Command {
	return k.setDisabled("enable", "Enable a disabled user", false)
}

func (k kit) setDisabled(verb, short string, disabled bool) *cobra.Command {
	return &cobra.Command{
		Use: verb + " NAME", Short: short, Args: clikit.Args(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := k.Session()
			if err != nil {
				return err
			}
			_, tag, err := clikit.ReadTagged[userRow](s.GetUser(cmd.Context(), args[0]))
			if err != nil {
				return err
			}
			u, err := clikit.Read[userRow](s.UpdateUser(cmd.Context(), args[0], &apiclient.UpdateUserParams{IfMatch: clikit.Some(tag)},
				apiclient.UpdateUserJSONRequestBody{Disabled: &disabled}))
			if err != nil {
				return err
			}
			return k.printUser(u)
		},
	}
}

func (k kit) userLink() *cobra.Command {
	return &cobra.Command{
		Use: "link NAME", Short: "Issue a one-time sign-in link; whoever has it becomes the user", Args: clikit.Args(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error { return k.issueLink(cmd, args[0]) },
	}
}

func (k kit) userReset() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use: "reset NAME", Short: "Take a user's password, end their sessions, and issue a sign-in link", Args: clikit.Args(1, 1),
		Long:    "For who forgot the password, or lost what they were signed in with. The link is good for one use; with it they set a new password. Their tokens go on: see fairlead token ls, or disable the user.",
		Example: "  fairlead user reset ada --yes",
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := k.Session()
			if err != nil {
				return err
			}
			if !yes {
				if err := k.Confirm("This takes the password of "+args[0]+" and signs them out everywhere", args[0], "--yes"); err != nil {
					return err
				}
			}
			l, err := clikit.Read[apiclient.SignInLink](s.ResetUser(cmd.Context(), args[0]))
			if err != nil {
				return err
			}
			return k.printLink(s, l)
		},
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return cmd
}

// signInLink is the API's with the address to open.
type signInLink struct {
	apiclient.SignInLink
	URL string `json:"url"`
}

func (k kit) issueLink(cmd *cobra.Command, user string) error {
	s, err := k.Session()
	if err != nil {
		return err
	}
	l, err := clikit.Read[apiclient.SignInLink](s.CreateLink(cmd.Context(), user))
	if err != nil {
		return err
	}
	return k.printLink(s, l)
}

func (k kit) printLink(s *clikit.Session, l apiclient.SignInLink) error {
	out := signInLink{l, s.URL + "/sign-in?link=" + l.Value}
	if !k.Machine() {
		k.Note("Good for one use, until %s:", clikit.Moment(l.ExpiresAt))
	}
	return clikit.PrintOne(k.CLI, out, out.URL, func(t *clikit.Text) { t.Line("%s", clikit.Clean(out.URL)) })
}

func (k kit) userRole(verb string) *cobra.Command {
	short := "Give a user a role in the organisation: platform-admin or auditor"
	if verb == "revoke" {
		short = "Take a user's role in the organisation"
	}
	return &cobra.Command{
		Use: verb + " NAME ROLE", Short: short, Args: clikit.Args(2, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := k.Session()
			if err != nil {
				return err
			}
			if verb == "grant" {
				err = clikit.Done(s.GrantRole(cmd.Context(), args[0], apiclient.GrantRoleParamsRole(args[1])))
			} else {
				err = clikit.Done(s.RevokeRole(cmd.Context(), args[0], apiclient.RevokeRoleParamsRole(args[1])))
			}
			if err != nil {
				return err
			}
			u, err := clikit.Read[userRow](s.GetUser(cmd.Context(), args[0]))
			if err != nil {
				return err
			}
			return k.printUser(u)
		},
	}
}

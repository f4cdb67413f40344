package identitycli

import (
	"strings"
	"time"

	"github.com/spf13/cobra"

	"fairlead/internal/apiclient"
	"fairlead/internal/clikit"
)

type tokenRow = apiclient.Token

func (k kit) tokenCreate() *cobra.Command {
	var robot, expires string
	var scopes []string
	cmd := &cobra.Command{
		Use: "create NAME", Short: "Make an API token; its value is shown this once", Args: clikit.Args(1, 1),
		Long:    "Make an API token for yourself, or with --robot for a robot. Only the value goes to standard output, so that it can be kept in a variable or a file.",
		Example: "  fairlead token create laptop --expires 30d\n  FAIRLEAD_TOKEN=$(fairlead token create ci --robot ci --scope 'resource:*')",
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := k.Session()
			if err != nil {
				return err
			}
			body := apiclient.CreateTokenJSONRequestBody{Name: args[0], Robot: clikit.Some(robot), Scopes: clikit.SomeList(scopes)}
			if expires != "" {
				d, err := clikit.ParseDuration(expires)
				if err != nil {
					return err
				}
				body.ExpiresInSeconds = clikit.Some(int64(d.Seconds()))
			}
			t, err := clikit.Read[apiclient.NewToken](s.CreateToken(cmd.Context(), body))
			if err != nil {
				return err
			}
			if !k.Machine() {
				k.Note("Token %s (%s) of %s, until %s. Keep it: it is shown this once.", t.Name, t.ID, t.Owner, clikit.Moment(t.ExpiresAt))
			}
			return clikit.PrintOne(k.CLI, t, t.Value, func(x *clikit.Text) { x.Line("%s", clikit.Clean(t.Value)) })
		},
	}
	cmd.Flags().StringVar(&robot, "robot", "", "for this robot and not for yourself")
	cmd.Flags().StringVar(&expires, "expires", "", "how long it lasts, such as 12h or 30d; 90 days by default")
	cmd.Flags().StringSliceVar(&scopes, "scope", nil, "what it may do, such as resource:view or resource:*; all that its owner may by default")
	return cmd
}

func (k kit) tokenList() *cobra.Command {
	var owner string
	var all, ended bool
	cmd := &cobra.Command{
		Use: "ls", Aliases: []string{"list"}, Short: "List API tokens, your own unless asked otherwise", Args: clikit.Args(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := k.Session()
			if err != nil {
				return err
			}
			items, err := clikit.Pages(0, func(limit *int64, cursor *string) ([]tokenRow, *string, error) {
				p, err := clikit.Read[apiclient.PageToken](s.ListTokens(cmd.Context(), &apiclient.ListTokensParams{
					Limit: limit, Cursor: cursor, Owner: clikit.Some(owner), All: clikit.Some(all), Ended: clikit.Some(ended)}))
				return p.Items, p.Next, err
			})
			if err != nil {
				return err
			}
			return clikit.PrintList(k.CLI, items, func(t tokenRow) string { return t.ID }, "no tokens",
				clikit.Column[tokenRow]{Title: "ID", Cell: func(t tokenRow) string { return t.ID }},
				clikit.Column[tokenRow]{Title: "NAME", Cell: func(t tokenRow) string { return t.Name }},
				clikit.Column[tokenRow]{Title: "ENDS WITH", Cell: func(t tokenRow) string { return t.Hint }},
				clikit.Column[tokenRow]{Title: "OWNER", Cell: func(t tokenRow) string { return t.Owner }},
				clikit.Column[tokenRow]{Title: "STATE", Cell: tokenState, Paint: clikit.Style.Phase},
				clikit.Column[tokenRow]{Title: "EXPIRES", Cell: func(t tokenRow) string { return t.ExpiresAt.Local().Format(time.DateOnly) }},
				clikit.Column[tokenRow]{Title: "USED", Cell: func(t tokenRow) string { return clikit.AgeOf(t.LastUsedAt) }},
				clikit.Column[tokenRow]{Title: "MAY", Cell: func(t tokenRow) string { return strings.Join(t.Scopes, " ") }})
		},
	}
	cmd.Flags().StringVar(&owner, "owner", "", "of this user or robot")
	cmd.Flags().BoolVarP(&all, "all", "A", false, "of everybody that you may see")
	cmd.Flags().BoolVar(&ended, "ended", false, "also revoked and expired ones")
	return cmd
}

func tokenState(t tokenRow) string {
	switch {
	case t.RevokedAt != nil:
		return "revoked"
	case time.Now().After(t.ExpiresAt):
		return "expired"
	}
	return "active"
}

func (k kit) tokenRevoke() *cobra.Command {
	return &cobra.Command{
		Use: "revoke ID", Short: "Revoke a token; it stops working at once", Args: clikit.Args(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := k.Session()
			if err != nil {
				return err
			}
			if err := clikit.Done(s.RevokeToken(cmd.Context(), args[0])); err != nil {
				return err
			}
			k.Note("token %s is revoked", args[0])
			return nil
		},
	}
}

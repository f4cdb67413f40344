package notifycli

import (
	"strings"

	"github.com/spf13/cobra"

	"fairlead/internal/apiclient"
	"fairlead/internal/clikit"
)

type notification = apiclient.Notification

// feedCommand lists what concerns the caller; what they get no mail about is
// below it.
func feedCommand(c *clikit.CLI) *cobra.Command {
	var unread bool
	var limit int
	cmd := &cobra.Command{
		Use: "notifications", Short: "What happened that concerns you, and what you get mail about", GroupID: clikit.GroupWork, Args: clikit.Args(0, 0),
		Example: "  fairlead notifications --unread\n  fairlead notifications read",
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := c.Session()
			if err != nil {
				return err
			}
			items, err := clikit.Pages(limit, func(limit *int64, cursor *string) ([]notification, *string, error) {
				p, err := clikit.Read[apiclient.PageNotification](s.ListNotifications(cmd.Context(), &apiclient.ListNotificationsParams{Limit: limit, Cursor: cursor, Unread: clikit.Some(unread)}))
				return p.Items, p.Next, err
			})
			if err != nil {
				return err
			}
			return clikit.PrintList(c, items, func(n notification) string { return n.ID }, "nothing that concerns you",
				clikit.Column[notification]{Title: "", Cell: func(n notification) string {
					if n.ReadAt == nil {
						return "*"
					}
					return ""
				}},
				clikit.Column[notification]{Title: "AGE", Cell: func(n notification) string { return clikit.Age(n.At) }},
				clikit.Column[notification]{Title: "WHAT", Cell: func(n notification) string { return n.Title }},
				clikit.Column[notification]{Title: "ABOUT", Cell: func(n notification) string {
					return strings.TrimSpace(clikit.Or(n.About) + " " + clikit.Or(n.Place))
				}},
				clikit.Column[notification]{Title: "DETAIL", Cell: func(n notification) string { return clikit.Or(n.Detail) }},
				clikit.Column[notification]{Title: "ID", Cell: func(n notification) string { return n.ID }})
		},
	}
	cmd.Flags().BoolVar(&unread, "unread", false, "only what is not read")
	cmd.Flags().IntVar(&limit, "limit", 30, "how many of the newest at most")
	return cmd
}

func readCommand(c *clikit.CLI) *cobra.Command {
	return &cobra.Command{
		Use: "read [ID]...", Short: "Say that notifications are read: those named, or all", Args: clikit.Args(0, 200),
		Example: "  fairlead notifications read",
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := c.Session()
			if err != nil {
				return err
			}
			n, err := clikit.Read[apiclient.Unread](s.ReadNotifications(cmd.Context(), apiclient.ReadNotificationsJSONRequestBody{Ids: clikit.SomeList(args)}))
			if err != nil {
				return err
			}
			return clikit.PrintOne(c, n, "", func(t *clikit.Text) { t.Line("%d unread", n.Unread) })
		},
	}
}

package notifycli

import (
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"fairlead/internal/apiclient"
	"fairlead/internal/clikit"
)

func mail(c *clikit.CLI) *cobra.Command {
	cmd := &cobra.Command{Use: "mail", Short: "What went by e-mail and is to go, for the platform team", GroupID: clikit.GroupSetup}
	cmd.AddCommand(mails(c), redeliver(c))
	return cmd
}

// mailedTo is whom a mail is for; "" of what is no mail.
func mailedTo(d delivery) string {
	if d.User == nil {
		return clikit.Or(d.Recipient)
	}
	return strings.TrimSpace(*d.User + " " + clikit.Or(d.Email))
}

func mails(c *clikit.CLI) *cobra.Command {
	var status, kind, to string
	var limit int
	cmd := &cobra.Command{
		Use: "ls", Aliases: []string{"list"}, Short: "List mails, the newest first", Args: clikit.Args(0, 0),
		Example: "  fairlead mail ls --status failed\n  fairlead mail ls --to ann",
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := c.Session()
			if err != nil {
				return err
			}
			items, err := clikit.Pages(limit, func(limit *int64, cursor *string) ([]delivery, *string, error) {
				params := &apiclient.ListMailDeliveriesParams{Limit: limit, Cursor: cursor, Type: clikit.Some(kind), To: clikit.Some(to)}
				if status != "" {
					of := apiclient.ListMailDeliveriesParamsStatus(status)
					params.Status = &of
				}
				p, err := clikit.Read[apiclient.PageDelivery](s.ListMailDeliveries(cmd.Context(), params))
				return p.Items, p.Next, err
			})
			if err != nil {
				return err
			}
			return clikit.PrintList(c, items, func(d delivery) string { return d.ID }, "no mail, or none that is like that: people get mail once smtp is configured",
				clikit.Column[delivery]{Title: "ID", Cell: func(d delivery) string { return d.ID }},
				clikit.Column[delivery]{Title: "TO", Cell: mailedTo},
				clikit.Column[delivery]{Title: "ABOUT", Cell: func(d delivery) string { return d.Type }},
				clikit.Column[delivery]{Title: "STATUS", Cell: func(d delivery) string { return string(d.Status) }, Paint: clikit.Style.Phase},
				clikit.Column[delivery]{Title: "TRIES", Cell: func(d delivery) string { return strconv.FormatInt(d.Attempts, 10) }},
				clikit.Column[delivery]{Title: "AGE", Cell: func(d delivery) string { return clikit.Age(d.CreatedAt) }},
				clikit.Column[delivery]{Title: "ERROR", Cell: func(d delivery) string { return clikit.Or(d.LastError) }})
		},
	}
	cmd.Flags().StringVar(&status, "status", "", "pending, delivered, failed or skipped")
	_ = cmd.RegisterFlagCompletionFunc("status", clikit.Fixed("pending", "delivered", "failed", "skipped"))
	cmd.Flags().StringVar(&kind, "type", "", "of the event that it is about")
	cmd.Flags().StringVar(&to, "to", "", "to this user")
	cmd.Flags().IntVar(&limit, "limit", 50, "how many at most")
	return cmd
}

package notifycli

import (
	"strconv"

	"github.com/spf13/cobra"

	"fairlead/internal/apiclient"
	"fairlead/internal/clikit"
)

func printDelivery(c *clikit.CLI, d delivery) error {
	return clikit.PrintOne(c, d, d.ID, func(t *clikit.Text) {
		t.Line("%s  %s  %s", t.Style.Bold(clikit.Clean(d.ID)), t.Style.Phase(string(d.Status)), clikit.Clean(d.Type))
		t.Pairs("  ", clikit.Pair{Key: "to", Value: mailedTo(d)}, clikit.Pair{Key: "event", Value: d.EventID}, clikit.Pair{Key: "error", Value: clikit.Or(d.LastError)}, clikit.Pair{Key: "answer", Value: clikit.Or(d.LastBody)})
	})
}

func ping(c *clikit.CLI) *cobra.Command {
	return &cobra.Command{
		Use: "ping ID", Short: "Send a webhook an event to try it", Args: clikit.Args(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := c.Session()
			if err != nil {
				return err
			}
			d, err := clikit.Read[delivery](s.PingWebhook(cmd.Context(), args[0]))
			if err != nil {
				return err
			}
			c.Note("it is on its way; see fairlead webhook deliveries %s", args[0])
			return printDelivery(c, d)
		},
	}
}

func answer(d delivery) string {
	if d.LastCode != nil {
		return strconv.FormatInt(*d.LastCode, 10)
	}
	return ""
}

func deliveries(c *clikit.CLI) *cobra.Command {
	var status, kind string
	var limit int
	cmd := &cobra.Command{
		Use: "deliveries ID", Short: "What a webhook was told and is to be told, the newest first", Args: clikit.Args(1, 1),
		Example: "  fairlead webhook deliveries whk_01jd2v8n5k3q7x9w4m6p8r0t2y --status failed",
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := c.Session()
			if err != nil {
				return err
			}
			items, err := clikit.Pages(limit, func(limit *int64, cursor *string) ([]delivery, *string, error) {
				params := &apiclient.ListWebhookDeliveriesParams{Limit: limit, Cursor: cursor, Type: clikit.Some(kind)}
				if status != "" {
					of := apiclient.ListWebhookDeliveriesParamsStatus(status)
					params.Status = &of
				}
				p, err := clikit.Read[apiclient.PageDelivery](s.ListWebhookDeliveries(cmd.Context(), args[0], params))
				return p.Items, p.Next, err
			})
			if err != nil {
				return err
			}
			return clikit.PrintList(c, items, func(d delivery) string { return d.ID }, "nothing yet; try it: fairlead webhook ping "+args[0],
				clikit.Column[delivery]{Title: "ID", Cell: func(d delivery) string { return d.ID }},
				clikit.Column[delivery]{Title: "TYPE", Cell: func(d delivery) string { return d.Type }},
				clikit.Column[delivery]{Title: "STATUS", Cell: func(d delivery) string { return string(d.Status) }, Paint: clikit.Style.Phase},
				clikit.Column[delivery]{Title: "TRIES", Cell: func(d delivery) string { return strconv.FormatInt(d.Attempts, 10) }},
				clikit.Column[delivery]{Title: "CODE", Cell: answer},
				clikit.Column[delivery]{Title: "AGE", Cell: func(d delivery) string { return clikit.Age(d.CreatedAt) }},
				clikit.Column[delivery]{Title: "ERROR", Cell: func(d delivery) string { return clikit.Or(d.LastError) }})
		},
	}
	cmd.Flags().StringVar(&status, "status", "", "pending, delivered or failed")
	_ = cmd.RegisterFlagCompletionFunc("status", clikit.Fixed("pending", "delivered", "failed"))
	cmd.Flags().StringVar(&kind, "type", "", "of the event")
	cmd.Flags().IntVar(&limit, "limit", 50, "how many at most")
	return cmd
}

func redeliver(c *clikit.CLI) *cobra.Command {
	return &cobra.Command{
		Use: "redeliver DELIVERY", Short: "Send a delivery once more, under the id that it had", Args: clikit.Args(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := c.Session()
			if err != nil {
				return err
			}
			d, err := clikit.Read[delivery](s.Redeliver(cmd.Context(), args[0]))
			if err != nil {
				return err
			}
			return printDelivery(c, d)
		},
	}
}

package notifycli

import (
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"fairlead/internal/apiclient"
	"fairlead/internal/clikit"
)

type (
	hook     = apiclient.Webhook
	delivery = apiclient.Delivery
)

// Commands gives the commands of this concern.
func Commands(c *clikit.CLI) []*cobra.Command {
	webhook := &cobra.Command{Use: "webhook", Aliases: []string{"webhooks"}, Short: "Programs that are told what happens", GroupID: clikit.GroupSetup}
	webhook.AddCommand(add(c), list(c), show(c), set(c), remove(c), turn(c, true), turn(c, false), rotate(c), ping(c), deliveries(c), redeliver(c))
	return []*cobra.Command{webhook, mail(c), events(c), notifications(c)}
}

func state(w hook) string {
	switch {
	case !w.Enabled:
		return "disabled"
	case w.Failures > 0:
		return "failing"
	}
	return "ready"
}

func printHook(c *clikit.CLI, w hook) error {
	return clikit.PrintOne(c, w, w.ID, func(t *clikit.Text) {
		t.Line("%s  %s  %s", t.Style.Bold(clikit.Clean(w.ID)), t.Style.Phase(state(w)), clikit.Clean(w.URL))
		whose := "the organisation"
		if w.Team != nil {
			whose = *w.Team
		}
		failing := ""
		if w.Failures > 0 {
			failing = strconv.FormatInt(w.Failures, 10) + " in a row, since " + clikit.MomentOf(w.FailingSince)
		}
		t.Pairs("  ", clikit.Pair{Key: "events of", Value: whose}, clikit.Pair{Key: "types", Value: strings.Join(w.Types, " ")},
			clikit.Pair{Key: "description", Value: clikit.Or(w.Description)}, clikit.Pair{Key: "disabled", Value: clikit.Or(w.DisabledWhy)},
			clikit.Pair{Key: "failures", Value: failing}, clikit.Pair{Key: "old secret until", Value: clikit.MomentOf(w.OverlapUntil)},
			clikit.Pair{Key: "created", Value: clikit.Moment(w.CreatedAt)})
	})
}

// printSecret prints a secret alone to standard output, so that it can be kept.
func printSecret(c *clikit.CLI, w apiclient.NewWebhook) error {
	if !c.Machine() {
		c.Note("Webhook %s to %s. Keep its secret: it is shown this once.", w.ID, w.URL)
	}
	return clikit.PrintOne(c, w, w.ID, func(t *clikit.Text) { t.Line("%s", clikit.Clean(w.Secret)) })
}

func add(c *clikit.CLI) *cobra.Command {
	var team, description string
	var types []string
	cmd := &cobra.Command{
		Use: "add URL", Short: "Make a webhook; its secret is shown this once", Args: clikit.Args(1, 1),
		Long:    "Make a webhook: URL is sent what happens, as signed CloudEvents. Without --team it gets the events of everybody, which takes the right to manage webhooks of the organisation.",
		Example: "  fairlead webhook add https://hooks.example.org/fairlead --team payments --type 'approval.*' --type lease.warned",
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := c.Session()
			if err != nil {
				return err
			}
			w, err := clikit.Read[apiclient.NewWebhook](s.CreateWebhook(cmd.Context(), apiclient.CreateWebhookJSONRequestBody{
				URL: args[0], Team: clikit.Some(team), Description: clikit.Some(description), Types: clikit.SomeList(types)}))
			if err != nil {
				return err
			}
			return printSecret(c, w)
		},
	}
	cmd.Flags().StringVar(&team, "team", "", "whose events it gets")
	c.CompleteFlag(cmd, "team", c.Teams)
	cmd.Flags().StringSliceVar(&types, "type", nil, "which events, as approval.*; all by default")
	cmd.Flags().StringVar(&description, "description", "", "what it is for")
	return cmd
}

func list(c *clikit.CLI) *cobra.Command {
	var team string
	cmd := &cobra.Command{
		Use: "ls", Aliases: []string{"list"}, Short: "List webhooks", Args: clikit.Args(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := c.Session()
			if err != nil {
				return err
			}
			items, err := clikit.Pages(0, func(limit *int64, cursor *string) ([]hook, *string, error) {
				p, err := clikit.Read[apiclient.PageWebhook](s.ListWebhooks(cmd.Context(), &apiclient.ListWebhooksParams{Limit: limit, Cursor: cursor, Team: clikit.Some(team)}))
				return p.Items, p.Next, err
			})
			if err != nil {
				return err
			}
			return clikit.PrintList(c, items, func(w hook) string { return w.ID }, "no webhooks that you manage; make one: fairlead webhook add URL --team TEAM",
				clikit.Column[hook]{Title: "ID", Cell: func(w hook) string { return w.ID }},
				clikit.Column[hook]{Title: "STATE", Cell: state, Paint: clikit.Style.Phase},
				clikit.Column[hook]{Title: "TEAM", Cell: func(w hook) string { return clikit.Or(w.Team) }},
				clikit.Column[hook]{Title: "TYPES", Cell: func(w hook) string { return strings.Join(w.Types, " ") }},
				clikit.Column[hook]{Title: "URL", Cell: func(w hook) string { return w.URL }})
		},
	}
	cmd.Flags().StringVar(&team, "team", "", "of this team")
	c.CompleteFlag(cmd, "team", c.Teams)
	return cmd
}

func show(c *clikit.CLI) *cobra.Command {
	return &cobra.Command{
		Use: "show ID", Short: "Show a webhook, and how it is doing", Args: clikit.Args(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := c.Session()
			if err != nil {
				return err
			}
			w, err := clikit.Read[hook](s.GetWebhook(cmd.Context(), args[0]))
			if err != nil {
				return err
			}
			return printHook(c, w)
		},
	}
}

// change reads a webhook and changes it as it was read.
func change(c *clikit.CLI, cmd *cobra.Command, id string, body apiclient.UpdateWebhookJSONRequestBody) (hook, error) {
	s, err := c.Session()
	if err != nil {
		return hook{}, err
	}
	_, tag, err := clikit.ReadTagged[hook](s.GetWebhook(cmd.Context(), id))
	if err != nil {
		return hook{}, err
	}
	return clikit.Read[hook](s.UpdateWebhook(cmd.Context(), id, &apiclient.UpdateWebhookParams{IfMatch: clikit.Some(tag)}, body))
}

func set(c *clikit.CLI) *cobra.Command {
	var url, description string
	var types []string
	cmd := &cobra.Command{
		Use: "set ID", Short: "Change what a webhook gets, or its path", Args: clikit.Args(1, 1),
		Example: "  fairlead webhook set whk_01jd2v8n5k3q7x9w4m6p8r0t2y --type 'approval.*,lease.*'",
		Long:    "Change a webhook. Its secret is for one scheme, host and port: to move it elsewhere use fairlead webhook rotate ID --url URL.",
		RunE: func(cmd *cobra.Command, args []string) error {
			var body apiclient.UpdateWebhookJSONRequestBody
			if cmd.Flags().Changed("url") {
				body.URL = &url
			}
			if cmd.Flags().Changed("description") {
				body.Description = &description
			}
			if cmd.Flags().Changed("type") {
				body.Types = &types
			}
			if body.URL == nil && body.Description == nil && body.Types == nil {
				return clikit.Usage("say what to change: --type, --description or --url")
			}
			w, err := change(c, cmd, args[0], body)
			if err != nil {
				return err
			}
			return printHook(c, w)
		},
	}
	cmd.Flags().StringVar(&url, "url", "", "within the same scheme, host and port")
	cmd.Flags().StringVar(&description, "description", "", "what it is for")
	cmd.Flags().StringSliceVar(&types, "type", nil, "which events, as approval.*")
	return cmd
}

func turn(c *clikit.CLI, on bool) *cobra.Command {
	use, short := "enable ID", "Tell a webhook again, from now on"
	if !on {
		use, short = "disable ID", "Tell a webhook nothing for now"
	}
	return &cobra.Command{
		Use: use, Short: short, Args: clikit.Args(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			w, err := change(c, cmd, args[0], apiclient.UpdateWebhookJSONRequestBody{Enabled: &on})
			if err != nil {
				return err
			}
			return printHook(c, w)
		},
	}
}

func remove(c *clikit.CLI) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use: "rm ID", Aliases: []string{"delete"}, Short: "Remove a webhook; what it was still to be told is not sent", Args: clikit.Args(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := c.Session()
			if err != nil {
				return err
			}
			w, tag, err := clikit.ReadTagged[hook](s.GetWebhook(cmd.Context(), args[0]))
			if err != nil {
				return err
			}
			if !yes {
				if err := c.Confirm("Removing the webhook to "+w.URL, w.ID, "--yes"); err != nil {
					return err
				}
			}
			if err := clikit.Done(s.DeleteWebhook(cmd.Context(), w.ID, &apiclient.DeleteWebhookParams{IfMatch: clikit.Some(tag)})); err != nil {
				return err
			}
			c.Note("webhook %s is removed", w.ID)
			return nil
		},
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return cmd
}

func rotate(c *clikit.CLI) *cobra.Command {
	var url, overlap string
	cmd := &cobra.Command{
		Use: "rotate ID", Short: "Give a webhook a new secret, shown this once; with --url move it", Args: clikit.Args(1, 1),
		Example: "  fairlead webhook rotate whk_01jd2v8n5k3q7x9w4m6p8r0t2y --overlap 1h",
		RunE: func(cmd *cobra.Command, args []string) error {
			body := apiclient.RotateWebhookJSONRequestBody{URL: clikit.Some(url)}
			if cmd.Flags().Changed("overlap") {
				seconds := int64(0)
				if overlap != "0" {
					d, err := clikit.ParseDuration(overlap)
					if err != nil {
						return err
					}
					seconds = int64(d.Seconds())
				}
				body.OverlapSeconds = &seconds
			}
			s, err := c.Session()
			if err != nil {
				return err
			}
			_, tag, err := clikit.ReadTagged[hook](s.GetWebhook(cmd.Context(), args[0]))
			if err != nil {
				return err
			}
			w, err := clikit.Read[apiclient.NewWebhook](s.RotateWebhook(cmd.Context(), args[0], &apiclient.RotateWebhookParams{IfMatch: clikit.Some(tag)}, body))
			if err != nil {
				return err
			}
			return printSecret(c, w)
		},
	}
	cmd.Flags().StringVar(&url, "url", "", "where it leads from now on")
	cmd.Flags().StringVar(&overlap, "overlap", "", "how long the old secret signs too, up to 7d; a day by default, 0 ends it at once")
	return cmd
}

package notifycli

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"fairlead/internal/apiclient"
	"fairlead/internal/clikit"
)

type happened = apiclient.EventView

// pollEvery is how often --follow asks.
const pollEvery = time.Second

func about(e happened) string {
	for _, k := range []string{"resource", "environment", "project", "name"} {
		if v, ok := e.Data[k].(string); ok && v != "" {
			return v
		}
	}
	return clikit.Or(e.Subject)
}

func events(c *clikit.CLI) *cobra.Command {
	var kind, subject string
	var follow bool
	var limit int
	cmd := &cobra.Command{
		Use: "events", Short: "What happened where you may see resources", GroupID: clikit.GroupWork, Args: clikit.Args(0, 0),
		Example: "  fairlead events --type 'approval.*'\n  fairlead events -f -o json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := c.Session()
			if err != nil {
				return err
			}
			fetch := func(limit int, after int64, sort string) ([]happened, error) {
				return clikit.Pages(limit, func(limit *int64, cursor *string) ([]happened, *string, error) {
					p, err := clikit.Read[apiclient.PageEventView](s.ListEvents(cmd.Context(), &apiclient.ListEventsParams{
						Limit: limit, Cursor: cursor, Type: clikit.Some(kind), Subject: clikit.Some(subject), After: clikit.Some(after), Sort: clikit.Some(sort)}))
					return p.Items, p.Next, err
				})
			}
			items, err := fetch(limit, 0, "-position")
			if err != nil {
				return err
			}
			slices.Reverse(items) // the newest is next to where one looks
			if !follow {
				return printEvents(c, items)
			}
			last := int64(0)
			for {
				for _, e := range items {
					last = e.Position
					if err := printLine(c, e); err != nil {
						return err
					}
				}
				select {
				case <-cmd.Context().Done():
					return nil
				case <-time.After(pollEvery):
				}
				if items, err = fetch(0, last, "position"); err != nil {
					if cmd.Context().Err() != nil {
						return nil
					}
					return err
				}
			}
		},
	}
	cmd.Flags().StringVar(&kind, "type", "", "of this type, or a pattern as approval.*")
	cmd.Flags().StringVar(&subject, "subject", "", "about this id")
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on with what happens, until Ctrl-C")
	cmd.Flags().IntVar(&limit, "limit", 50, "how many of the newest at most")
	return cmd
}

func printEvents(c *clikit.CLI, items []happened) error {
	return clikit.PrintList(c, items, func(e happened) string { return e.ID }, "nothing happened that you may see",
		clikit.Column[happened]{Title: "AT", Cell: func(e happened) string { return clikit.Moment(e.At) }},
		clikit.Column[happened]{Title: "TYPE", Cell: func(e happened) string { return e.Type }},
		clikit.Column[happened]{Title: "ABOUT", Cell: about},
		clikit.Column[happened]{Title: "ID", Cell: func(e happened) string { return e.ID }})
}

// printLine prints one event as it comes: a line, of JSON where that is asked
// for.
func printLine(c *clikit.CLI, e happened) error {
	return c.Human(func(t *clikit.Text) {
		switch {
		case c.Machine():
			if b, err := json.Marshal(e); err == nil {
				t.Line("%s", b)
			}
		case c.NamesOnly():
			t.Line("%s", e.ID)
		default:
			t.Line("%s  %s  %s", clikit.Moment(e.At), t.Style.Bold(clikit.Clean(e.Type)), clikit.Clean(about(e)))
		}
	})
}

package approvalcli

import (
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"fairlead/internal/apiclient"
	"fairlead/internal/clikit"
)

type delegation = apiclient.Delegation

func delegateCommand(c *clikit.CLI) *cobra.Command {
	var from, until, reason, whose string
	cmd := &cobra.Command{
		Use: "delegate USER --until WHEN", Short: "Let somebody decide in your name for a while",
		Long: "USER may decide what you may, until the time is over: never on what they asked for themselves, nor on what you did.\n" +
			"Votes say on whose behalf they were given. A platform administrator may set it for somebody who is ill, with --for.\n\n" +
			"WHEN is a day (2026-08-31, whole), a time (2026-08-31T12:00:00Z), or a length (14d, 36h). To end it early: fairlead delegations end ID",
		Example: "  fairlead approvals delegate ben --until 2026-08-31 --reason holiday\n  fairlead approvals delegate ben --for anna --until 14d --reason 'she is ill'",
		Args:    clikit.Args(1, 1), ValidArgsFunction: clikit.Fixed(),
		RunE: func(cmd *cobra.Command, args []string) error {
			b := apiclient.CreateDelegationJSONRequestBody{To: args[0], For: clikit.Some(whose), Reason: clikit.Some(reason)}
			end, err := when("until", until, time.Now(), true)
			if err != nil {
				return err
			}
			b.Until = end
			if from != "" {
				begins, err := when("from", from, time.Now(), false)
				if err != nil {
					return err
				}
				b.Begins = &begins
			}
			s, err := c.Session()
			if err != nil {
				return err
			}
			d, err := clikit.Read[delegation](s.CreateDelegation(cmd.Context(), b))
			if err != nil {
				return err
			}
			return clikit.PrintOne(c, d, d.ID, func(t *clikit.Text) {
				t.Line("%s stands in for %s until %s", clikit.Clean(d.To), clikit.Clean(d.From), clikit.Moment(d.Until))
			})
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&from, "from", "", "when it begins; now when not given")
	fl.StringVar(&until, "until", "", "when it ends")
	fl.StringVar(&reason, "reason", "", "why, for the record")
	fl.StringVar(&whose, "for", "", "whose right it is, when it is not yours")
	return cmd
}

// when reads a day, a time or a length from now. The end of a day is the
// beginning of the next.
func when(flag, text string, now time.Time, end bool) (time.Time, error) {
	if day, err := time.ParseInLocation(time.DateOnly, text, time.Local); err == nil {
		if end {
			day = day.AddDate(0, 0, 1)
		}
		return day, nil
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, nil
	}
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.Atoi(days); err == nil && n > 0 && n < 1000 {
			return now.AddDate(0, 0, n), nil
		}
	}
	if d, err := time.ParseDuration(text); err == nil && d > 0 {
		return now.Add(d), nil
	}
	return time.Time{}, clikit.Usage("--%s %s is no time", flag, clikit.Clean(text)).WithHint("a day (2026-08-31), a time (2026-08-31T12:00:00Z) or a length (14d, 36h)")
}

func delegationsCommand(c *clikit.CLI) *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use: "delegations", Aliases: []string{"delegation"}, Short: "Who stands in for whom", GroupID: clikit.GroupGovern, Args: clikit.Args(0, 0),
		Long:    "List the delegations from you and to you; whoever sees all users sees all. To make one: fairlead approvals delegate",
		Example: "  fairlead delegations\n  fairlead delegations end dlg_01jd2v8n5k3q7x9w4m6p8r0t2y",
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := c.Session()
			if err != nil {
				return err
			}
			items, err := clikit.Pages(0, func(limit *int64, cursor *string) ([]delegation, *string, error) {
				p, err := clikit.Read[apiclient.PageDelegation](s.ListDelegations(cmd.Context(), &apiclient.ListDelegationsParams{Limit: limit, Cursor: cursor, Ended: clikit.Some(all)}))
				return p.Items, p.Next, err
			})
			if err != nil {
				return err
			}
			return clikit.PrintList(c, items, func(d delegation) string { return d.ID }, "nobody stands in for anybody; let somebody: fairlead approvals delegate USER --until WHEN",
				clikit.Column[delegation]{Title: "ID", Cell: func(d delegation) string { return d.ID }},
				clikit.Column[delegation]{Title: "FOR", Cell: func(d delegation) string { return d.From }},
				clikit.Column[delegation]{Title: "STANDS IN", Cell: func(d delegation) string { return d.To }},
				clikit.Column[delegation]{Title: "FROM", Cell: func(d delegation) string { return clikit.Moment(d.Begins) }},
				clikit.Column[delegation]{Title: "UNTIL", Cell: func(d delegation) string {
					if d.EndedAt != nil {
						return "ended " + clikit.Moment(*d.EndedAt)
					}
					return clikit.Moment(d.Until)
				}},
				clikit.Column[delegation]{Title: "REASON", Cell: func(d delegation) string { return clikit.Or(d.Reason) }})
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "also those that are over")
	cmd.AddCommand(&cobra.Command{
		Use: "end ID", Short: "End a delegation at once", Args: clikit.Args(1, 1), ValidArgsFunction: clikit.Fixed(),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := c.Session()
			if err != nil {
				return err
			}
			if err := clikit.Done(s.EndDelegation(cmd.Context(), args[0])); err != nil {
				return err
			}
			c.Note("it is over")
			return nil
		},
	})
	return cmd
}

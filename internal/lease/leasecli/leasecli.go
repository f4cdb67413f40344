package leasecli

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"fairlead/internal/apiclient"
	"fairlead/internal/clikit"
)

// Commands gives the commands of this concern.
func Commands(c *clikit.CLI) []*cobra.Command {
	lease := &cobra.Command{Use: "lease", Aliases: []string{"leases"}, Short: "Leases: how long resources and environments live", GroupID: clikit.GroupWork}
	lease.AddCommand(listCommand(c), showCommand(c), extendCommand(c), transferCommand(c), setCommand(c), proofCommand(c), ruleCommand(c))
	return []*cobra.Command{lease}
}

type row = apiclient.Lease

const naming = "\n\nNAME is a resource's, or a lease's id. Without NAME it is the environment that -e names."

// find gives the lease that a command is about. over takes also those that are
// over, the newest of them.
func find(ctx context.Context, c *clikit.CLI, s *clikit.Session, args []string, over bool) (row, string, error) {
	if len(args) == 1 && strings.HasPrefix(args[0], "lea_") {
		return clikit.ReadTagged[row](s.GetLease(ctx, args[0]))
	}
	p := &apiclient.ListLeasesParams{Sort: clikit.Some(apiclient.ListLeasesParamsSort("-created")), Over: clikit.Some(over)}
	what := "the environment"
	if len(args) == 1 {
		w, err := c.Where()
		if err != nil {
			return row{}, "", err
		}
		p.Kind, p.Project, p.Environment, p.Resource = clikit.Some(apiclient.ListLeasesParamsKind("resource")), &w.Project, &w.Environment, &args[0]
		what = args[0]
	} else {
		w, err := c.Asked()
		if err != nil {
			return row{}, "", err
		}
		if w.Environment == "" {
			return row{}, "", clikit.Usage("the lease of what?").WithHint("name a resource, or with -e PROJECT/ENVIRONMENT an environment")
		}
		p.Kind, p.Project, p.Environment = clikit.Some(apiclient.ListLeasesParamsKind("environment")), &w.Project, &w.Environment
		what += " " + w.String()
	}
	list, err := clikit.Read[apiclient.PageLease](s.ListLeases(ctx, p))
	if err != nil {
		return row{}, "", err
	}
	if len(list.Items) == 0 {
		return row{}, "", clikit.Failure("no_lease", "%s has no lease", clikit.Clean(what)).WithHint("see what has one: fairlead lease ls")
	}
	best := list.Items[0]
	for _, l := range list.Items {
		if l.State != "ended" {
			best = l
		}
	}
	return clikit.ReadTagged[row](s.GetLease(ctx, best.ID))
}

func of(l row) string {
	if l.Kind == "environment" {
		return l.Project + "/" + l.Environment
	}
	return l.Project + "/" + l.Environment + "/" + l.Name
}

// left says how much time there is until t.
func left(t time.Time) string {
	d := time.Until(t).Round(time.Second)
	switch {
	case d <= 0:
		return "over"
	case d > 48*time.Hour:
		return strconv.Itoa(int(d/(24*time.Hour))) + "d"
	case d > time.Hour:
		return d.Round(time.Minute).String()[:strings.LastIndex(d.Round(time.Minute).String(), "m")+1]
	}
	return d.String()
}

func listCommand(c *clikit.CLI) *cobra.Command {
	var over bool
	cmd := &cobra.Command{
		Use: "ls", Aliases: []string{"list"}, Short: "List leases: yours first, and what ends first first", Args: clikit.Args(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := c.Session()
			if err != nil {
				return err
			}
			w, err := c.Asked()
			if err != nil {
				return err
			}
			var all []row
			for _, owner := range []apiclient.ListLeasesParamsOwner{"me", "others"} {
				items, err := clikit.Pages(0, func(limit *int64, cursor *string) ([]row, *string, error) {
					p, err := clikit.Read[apiclient.PageLease](s.ListLeases(cmd.Context(), &apiclient.ListLeasesParams{Limit: limit, Cursor: cursor, Owner: &owner,
						Project: clikit.Some(w.Project), Environment: clikit.Some(w.Environment), Over: clikit.Some(over)}))
					return p.Items, p.Next, err
				})
				if err != nil {
					return err
				}
				all = append(all, items...)
			}
			return clikit.PrintList(c, all, func(l row) string { return l.ID }, "nothing that you may see has a lease; ask for one: fairlead request TEMPLATE NAME --lease 8h",
				clikit.Column[row]{Title: "OF", Cell: of},
				clikit.Column[row]{Title: "KIND", Cell: func(l row) string { return string(l.Kind) }},
				clikit.Column[row]{Title: "STATE", Cell: func(l row) string { return string(l.State) }, Paint: func(s clikit.Style, t string) string {
					if strings.TrimSpace(t) == "ending" {
						return s.Yellow(t)
					}
					return t
				}},
				clikit.Column[row]{Title: "LEFT", Cell: func(l row) string { return left(l.EndsAt) }},
				clikit.Column[row]{Title: "OWNER", Cell: func(l row) string { return l.Owner }},
				clikit.Column[row]{Title: "EXTENDED", Cell: func(l row) string { return strconv.FormatInt(l.Extensions, 10) }},
				clikit.Column[row]{Title: "ID", Cell: func(l row) string { return l.ID }})
		},
	}
	cmd.Flags().BoolVar(&over, "over", false, "also those that are over")
	return cmd
}

func printLease(c *clikit.CLI, l row) error {
	return clikit.PrintOne(c, l, l.ID, func(t *clikit.Text) {
		t.Line("%s  %s", t.Style.Bold(clikit.Clean(of(l))), string(l.State))
		ends := clikit.Moment(l.EndsAt)
		if l.State == "active" {
			ends += ", in " + left(l.EndsAt)
		}
		pairs := []clikit.Pair{{Key: "ends", Value: ends}, {Key: "length", Value: l.Length}, {Key: "owner", Value: l.Owner},
			{Key: "extended", Value: strconv.FormatInt(l.Extensions, 10) + " times"}, {Key: "extend", Value: clikit.Or(l.Can)}, {Key: "ended", Value: clikit.Or(l.Reason)},
			{Key: "waits for", Value: clikit.Or(l.Problem)}, {Key: "id", Value: l.ID}}
		t.Pairs("  ", pairs...)
	})
}

func showCommand(c *clikit.CLI) *cobra.Command {
	return &cobra.Command{
		Use: "show [NAME]", Short: "Show a lease", Long: "Show a lease." + naming, Args: clikit.Args(0, 1), ValidArgsFunction: c.Complete(1, c.Resources),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := c.Session()
			if err != nil {
				return err
			}
			l, _, err := find(cmd.Context(), c, s, args, true)
			if err != nil {
				return err
			}
			return printLease(c, l)
		},
	}
}

// changing looks a lease up, changes it as it was then, and prints it.
func changing(c *clikit.CLI, change func(context.Context, *clikit.Session, row, string) (*http.Response, error)) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		s, err := c.Session()
		if err != nil {
			return err
		}
		l, tag, err := find(cmd.Context(), c, s, args, false)
		if err != nil {
			return err
		}
		if l, err = clikit.Read[row](change(cmd.Context(), s, l, tag)); err != nil {
			return err
		}
		return printLease(c, l)
	}
}

func extendCommand(c *clikit.CLI) *cobra.Command {
	var by string
	cmd := &cobra.Command{
		Use: "extend [NAME]", Short: "Let a resource or an environment live longer", Args: clikit.Args(0, 1), ValidArgsFunction: c.Complete(1, c.Resources),
		Long:    "Let a resource or an environment live longer, as far as the rules go. Without --by it is what they give at a time." + naming,
		Example: "  fairlead lease extend orders\n  fairlead lease extend orders --by 4h\n  fairlead lease extend -e shop/dev",
		RunE: changing(c, func(ctx context.Context, s *clikit.Session, l row, tag string) (*http.Response, error) {
			return s.ExtendLease(ctx, l.ID, &apiclient.ExtendLeaseParams{IfMatch: &tag}, apiclient.ExtendLeaseJSONRequestBody{By: clikit.Some(by)})
		}),
	}
	cmd.Flags().StringVar(&by, "by", "", "how much longer, such as 90m, 8h or 7d")
	return cmd
}

func transferCommand(c *clikit.CLI) *cobra.Command {
	var to string
	cmd := &cobra.Command{
		Use: "transfer [NAME] --to USER", Short: "Give a lease another owner, who is warned from then on", Args: clikit.Args(0, 1), ValidArgsFunction: c.Complete(1, c.Resources),
		Long:    "Give a lease another owner, who is warned from then on." + naming,
		Example: "  fairlead lease transfer orders --to ada\n  fairlead lease transfer -e shop/dev --to ada",
		RunE: changing(c, func(ctx context.Context, s *clikit.Session, l row, tag string) (*http.Response, error) {
			return s.TransferLease(ctx, l.ID, &apiclient.TransferLeaseParams{IfMatch: &tag}, apiclient.TransferLeaseJSONRequestBody{To: to})
		}),
	}
	cmd.Flags().StringVar(&to, "to", "", "who owns it from now on")
	_ = cmd.MarkFlagRequired("to")
	return cmd
}

func setCommand(c *clikit.CLI) *cobra.Command {
	var ends string
	cmd := &cobra.Command{
		Use: "set [NAME] --ends TIME", Short: "Set when something ends, whatever its rules say", Args: clikit.Args(0, 1), ValidArgsFunction: c.Complete(1, c.Resources),
		Long:    "Set when a resource or an environment ends, whatever its rules say, for those who manage the calendar. What has no lease has one then." + naming,
		Example: "  fairlead lease set orders --ends 2027-01-31T18:00:00Z\n  fairlead lease set -e shop/dev --ends 7d\n  fairlead lease set orders --ends never",
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := c.Session()
			if err != nil {
				return err
			}
			if ends == "never" {
				l, tag, err := find(cmd.Context(), c, s, args, false)
				if err != nil {
					return err
				}
				if err := clikit.Done(s.DeleteLease(cmd.Context(), l.ID, &apiclient.DeleteLeaseParams{IfMatch: &tag})); err != nil {
					return err
				}
				c.Note("%s lives on", of(l))
				return nil
			}
			at, err := clikit.ParseLater(ends, time.Now())
			if err != nil {
				return err
			}
			body := apiclient.SetLeaseJSONRequestBody{Ends: at}
			w, err := c.Where()
			if len(args) == 0 {
				if w, err = c.Asked(); err == nil && w.Environment == "" {
					err = clikit.Usage("the lease of what?").WithHint("name a resource, or with -e PROJECT/ENVIRONMENT an environment")
				}
			} else {
				body.Resource = &args[0]
			}
			if err != nil {
				return err
			}
			body.Project, body.Environment = w.Project, w.Environment
			l, err := clikit.Read[row](s.SetLease(cmd.Context(), nil, body))
			if err != nil {
				return err
			}
			return printLease(c, l)
		},
	}
	cmd.Flags().StringVar(&ends, "ends", "", "a time, a length from now, or never")
	_ = cmd.MarkFlagRequired("ends")
	return cmd
}

func proofCommand(c *clikit.CLI) *cobra.Command {
	return &cobra.Command{
		Use: "proof [NAME]", Short: "Show the proof that what a lease ended is gone", Args: clikit.Args(0, 1),
		Long: "Show what was looked for, when, by which run, that nothing was found, where the last snapshot is, and what it cost. The audit log holds the same under lease:proof." + naming,
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := c.Session()
			if err != nil {
				return err
			}
			l, _, err := find(cmd.Context(), c, s, args, true)
			if err != nil {
				return err
			}
			p, err := clikit.Read[apiclient.LeaseProof](s.GetLeaseProof(cmd.Context(), l.ID))
			if err != nil {
				return err
			}
			return clikit.PrintOne(c, p, p.Lease.ID, func(t *clikit.Text) {
				t.Line("%s  gone since %s", t.Style.Bold(clikit.Clean(of(p.Lease))), clikit.Moment(p.At))
				for _, e := range p.Resources {
					var sought []string
					for _, o := range e.LookedFor {
						sought = append(sought, o.Kind+" "+o.Name)
					}
					t.Line("  %s (%s)", clikit.Clean(e.Resource), clikit.Clean(e.Template))
					t.Pairs("    ", clikit.Pair{Key: "looked for", Value: strings.Join(sought, ", ")}, clikit.Pair{Key: "found", Value: e.Found}, clikit.Pair{Key: "at", Value: clikit.Moment(e.LookedAt)},
						clikit.Pair{Key: "run", Value: e.RunID}, clikit.Pair{Key: "snapshot", Value: clikit.Or(e.Snapshot)},
						clikit.Pair{Key: "cost", Value: cost(e)}, clikit.Pair{Key: "audit record", Value: strconv.FormatInt(e.Record, 10) + "  " + e.Hash})
				}
			})
		},
	}
}

func cost(e apiclient.LeaseEvidence) string {
	if clikit.Or(e.Currency) == "" {
		return ""
	}
	return strconv.FormatFloat(e.Cost, 'f', 2, 64) + " " + clikit.Or(e.Currency)
}

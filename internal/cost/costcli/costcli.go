package costcli

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"fairlead/internal/apiclient"
	"fairlead/internal/clikit"
)

// maxPrices is the largest price table sent.
const maxPrices = 1 << 20

// Commands gives the commands of this concern.
func Commands(c *clikit.CLI) []*cobra.Command {
	cost := reportCommand(c)
	prices := &cobra.Command{Use: "prices", Short: "The price table"}
	prices.AddCommand(putCommand(c), showCommand(c), historyCommand(c))
	cost.AddCommand(estimateCommand(c), prices)
	return []*cobra.Command{cost}
}

type spent = apiclient.CostSpent

func reportCommand(c *clikit.CLI) *cobra.Command {
	var by, team, template, since string
	cmd := &cobra.Command{
		Use: "cost", Aliases: []string{"costs"}, Short: "What was spent, and what it costs a month", GroupID: clikit.GroupGovern, Args: clikit.Args(0, 0),
		Long: "Show what was spent by resource, environment, project, team or template: all that you may see, unless --team, --project or -e names a place.\n\n" +
			"SPENT is what it cost for as long as it did; a month has 730 hours.",
		Example: "  fairlead cost -e shop/dev\n  fairlead cost --by team --since 30d\n  fairlead cost estimate postgres --set connection_limit=50",
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := c.Session()
			if err != nil {
				return err
			}
			w, err := c.Asked()
			if err != nil {
				return err
			}
			var from *time.Time
			if since != "" {
				d, err := clikit.ParseDuration(since)
				if err != nil {
					return err
				}
				t := time.Now().Add(-d)
				from = &t
			}
			items, err := clikit.Pages(0, func(limit *int64, cursor *string) ([]spent, *string, error) {
				p, err := clikit.Read[apiclient.PageCostSpent](s.ListCosts(cmd.Context(), &apiclient.ListCostsParams{Limit: limit, Cursor: cursor, By: clikit.Some(apiclient.ListCostsParamsBy(by)),
					Team: clikit.Some(team), Project: clikit.Some(w.Project), Environment: clikit.Some(w.Environment), Template: clikit.Some(template), From: from}))
				return p.Items, p.Next, err
			})
			if err != nil {
				return err
			}
			slices.SortStableFunc(items, func(a, b spent) int { return cmp.Compare(b.Spent, a.Spent) })
			return clikit.PrintList(c, items, func(i spent) string { return i.Name }, "nothing has cost anything yet that you may see",
				clikit.Column[spent]{Title: strings.ToUpper(by), Cell: func(i spent) string { return i.Name }},
				clikit.Column[spent]{Title: "SPENT", Cell: func(i spent) string { return money(i.Spent, i.Currency) }},
				clikit.Column[spent]{Title: "A MONTH NOW", Cell: func(i spent) string { return money(i.Monthly, i.Currency) }},
				clikit.Column[spent]{Title: "RESOURCES", Cell: func(i spent) string { return strconv.FormatInt(i.Resources, 10) }})
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&by, "by", "resource", "resource, environment, project, team, template, or currency for the sum of all")
	_ = cmd.RegisterFlagCompletionFunc("by", clikit.Fixed("resource", "environment", "project", "team", "template", "currency"))
	fl.StringVar(&team, "team", "", "only what this team has")
	c.CompleteFlag(cmd, "team", c.Teams)
	fl.StringVar(&template, "template", "", "only resources of this template")
	c.CompleteFlag(cmd, "template", c.Templates)
	fl.StringVar(&since, "since", "", "only what was spent lately, such as 12h or 30d")
	return cmd
}

// money writes an amount as it is read aloud.
func money(v float64, currency string) string {
	return strconv.FormatFloat(v, 'f', 2, 64) + " " + currency
}

func estimateCommand(c *clikit.CLI) *cobra.Command {
	var version string
	var sets []string
	cmd := &cobra.Command{
		Use: "estimate TEMPLATE", Short: "Say what a request would cost and take, without making it", Args: clikit.Args(1, 1), ValidArgsFunction: c.Complete(1, c.Templates),
		Example: "  fairlead cost estimate postgres --set connection_limit=50 -e shop/prod",
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := c.Session()
			if err != nil {
				return err
			}
			w, err := c.Where()
			if err != nil {
				return err
			}
			inputs, err := clikit.Assignments(sets, nil)
			if err != nil {
				return err
			}
			e, err := clikit.Read[apiclient.CostEstimate](s.EstimateCost(cmd.Context(), apiclient.EstimateCostJSONRequestBody{
				Project: w.Project, Environment: w.Environment, Template: args[0], Version: clikit.Some(version), Inputs: clikit.SomeMap(inputs)}))
			if err != nil {
				return err
			}
			return printEstimate(c, args[0], e)
		},
	}
	cmd.Flags().StringVar(&version, "version", "", "an exact version, or a constraint such as ^1.2; default is the newest")
	cmd.Flags().StringArrayVar(&sets, "set", nil, "an input: KEY=VALUE; VALUE is JSON or else a string; KEY may be a path (a.b.c)")
	return cmd
}

func printEstimate(c *clikit.CLI, template string, e apiclient.CostEstimate) error {
	currency := clikit.Or(e.Currency)
	return clikit.PrintOne(c, e, template, func(t *clikit.Text) {
		if e.Unpriced {
			t.Line("%s  %s", t.Style.Bold(clikit.Clean(template)), "nobody knows what it costs: it has no cost rule, or there are no prices")
		} else {
			t.Line("%s  %s a month", t.Style.Bold(clikit.Clean(template)), clikit.Clean(money(e.Monthly, currency)))
		}
		var rows [][]string
		for _, i := range e.Items {
			rows = append(rows, []string{i.Item, number(i.Quantity), money(i.Monthly, currency)})
		}
		if len(rows) > 0 {
			t.Table("  ", []string{"ITEM", "QUANTITY", "A MONTH"}, rows)
		}
		rows = nil
		for _, q := range e.Quotas {
			fits := "yes"
			if !q.Fits {
				fits = "no: it would be refused"
			} else if q.Left < 0 {
				fits = "no, which only warns"
			}
			rows = append(rows, []string{q.Place, q.Metric, number(q.Used), number(q.Wanted), number(q.Max), fits})
		}
		if len(rows) > 0 {
			t.Section("quotas and budgets")
			t.Table("  ", []string{"PLACE", "METRIC", "USED", "WANTED", "MAX", "FITS"}, rows)
		}
	})
}

func number(v float64) string { return strconv.FormatFloat(math.Round(v*1e6)/1e6, 'f', -1, 64) }

type table = apiclient.PriceTable

func putCommand(c *clikit.CLI) *cobra.Command {
	return &cobra.Command{
		Use: "put FILE", Short: "Put a price table in force (- reads standard input)", Args: clikit.Args(1, 1),
		Example: "  fairlead cost prices put examples/prices.yaml",
		RunE: func(cmd *cobra.Command, args []string) error {
			document, err := c.ReadFile(args[0], maxPrices)
			if err != nil {
				return err
			}
			s, err := c.Session()
			if err != nil {
				return err
			}
			t, err := clikit.Read[table](s.PutPrices(cmd.Context(), apiclient.PutPricesJSONRequestBody{Document: string(document)}))
			if err != nil {
				return err
			}
			return clikit.PrintOne(c, t, strconv.FormatInt(t.Version, 10), func(p *clikit.Text) {
				p.Line("version %d of the price table is in force: %d items in %s", t.Version, t.Items, clikit.Clean(t.Currency))
				if t.RepricedAt == nil {
					p.Line("what lives is priced by it in the background: fairlead cost prices history")
				}
			})
		},
	}
}

func showCommand(c *clikit.CLI) *cobra.Command {
	var version int64
	cmd := &cobra.Command{
		Use: "show", Short: "Print the price table in force", Args: clikit.Args(0, 0), Example: "  fairlead cost prices show > prices.yaml",
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := c.Session()
			if err != nil {
				return err
			}
			t, err := clikit.Read[table](s.GetPrices(cmd.Context(), &apiclient.GetPricesParams{Version: clikit.Some(version)}))
			if err != nil {
				return err
			}
			return clikit.PrintOne(c, t, strconv.FormatInt(t.Version, 10), func(p *clikit.Text) { p.Raw(clikit.CleanText(clikit.Or(t.Document))) })
		},
	}
	cmd.Flags().Int64Var(&version, "version", 0, "another version than the one in force")
	return cmd
}

func historyCommand(c *clikit.CLI) *cobra.Command {
	return &cobra.Command{
		Use: "history", Short: "List the versions of the price table, the newest first", Args: clikit.Args(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := c.Session()
			if err != nil {
				return err
			}
			items, err := clikit.Pages(0, func(limit *int64, cursor *string) ([]table, *string, error) {
				p, err := clikit.Read[apiclient.PagePriceTable](s.ListPrices(cmd.Context(), &apiclient.ListPricesParams{Limit: limit, Cursor: cursor}))
				return p.Items, p.Next, err
			})
			if err != nil {
				return err
			}
			who := map[string]string{}
			for _, t := range items {
				if _, known := who[t.CreatedBy]; known {
					continue
				}
				who[t.CreatedBy] = t.CreatedBy // for who may not see users
				if u, err := clikit.Read[apiclient.User](s.GetUser(cmd.Context(), t.CreatedBy)); err == nil {
					who[t.CreatedBy] = u.Name
				}
			}
			return clikit.PrintList(c, items, func(t table) string { return strconv.FormatInt(t.Version, 10) }, "no price table yet; put one: fairlead cost prices put FILE",
				clikit.Column[table]{Title: "VERSION", Cell: func(t table) string { return strconv.FormatInt(t.Version, 10) }},
				clikit.Column[table]{Title: "CURRENCY", Cell: func(t table) string { return t.Currency }},
				clikit.Column[table]{Title: "ITEMS", Cell: func(t table) string { return strconv.FormatInt(t.Items, 10) }},
				clikit.Column[table]{Title: "AGE", Cell: func(t table) string { return clikit.Age(t.CreatedAt) }},
				clikit.Column[table]{Title: "RESOURCES", Cell: func(t table) string {
					if t.RepricedAt == nil && t.Version == items[0].Version { // under way
						return strconv.FormatInt(t.Repriced, 10) + "…"
					}
					return strconv.FormatInt(t.Repriced, 10)
				}},
				clikit.Column[table]{Title: "BY", Cell: func(t table) string { return who[t.CreatedBy] }},
				clikit.Column[table]{Title: "DIGEST", Cell: func(t table) string { return t.Digest[:min(12, len(t.Digest))] }})
		},
	}
}

package quotacli

import (
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"fairlead/internal/apiclient"
	"fairlead/internal/clikit"
	"fairlead/internal/yamlx"
)

const monthlyCost = "monthly_cost"

// Commands gives the commands of this concern.
func Commands(c *clikit.CLI) []*cobra.Command {
	quota := &cobra.Command{Use: "quota", Aliases: []string{"quotas"}, Short: "Quotas: how much may be taken, and what is used", GroupID: clikit.GroupGovern}
	quota.AddCommand(listCommand(c, ""), setCommand(c), removeCommand(c), usageCommand(c))
	budget := &cobra.Command{Use: "budget", Aliases: []string{"budgets"}, Short: "Budgets: what may be spent a month", GroupID: clikit.GroupGovern}
	budget.AddCommand(listCommand(c, monthlyCost), setBudgetCommand(c), removeCommand(c))
	return []*cobra.Command{quota, budget}
}

type row = apiclient.Quota

func listCommand(c *clikit.CLI, metric string) *cobra.Command {
	var team, sort string
	short, none := "List quotas and budgets, and what is used of them", "no quotas that you may see; set one: fairlead quota set count 10 --team TEAM"
	if metric != "" {
		short, none = "List budgets, and what is spoken for", "no budgets that you may see; set one: fairlead budget set TEAM 500"
	}
	cmd := &cobra.Command{
		Use: "ls", Aliases: []string{"list"}, Short: short, Args: clikit.Args(0, 0),
		Long: short + ".\n\nThose of every place that you may see, unless --team, --project or -e names one.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := c.Session()
			if err != nil {
				return err
			}
			w, err := c.Asked()
			if err != nil {
				return err
			}
			items, err := clikit.Pages(0, func(limit *int64, cursor *string) ([]row, *string, error) {
				p, err := clikit.Read[apiclient.PageQuota](s.ListQuotas(cmd.Context(), &apiclient.ListQuotasParams{Limit: limit, Cursor: cursor, Team: clikit.Some(team),
					Project: clikit.Some(w.Project), Environment: clikit.Some(w.Environment), Metric: clikit.Some(metric), Sort: clikit.Some(apiclient.ListQuotasParamsSort(sort))}))
				return p.Items, p.Next, err
			})
			if err != nil {
				return err
			}
			return clikit.PrintList(c, items, func(q row) string { return q.ID }, none, columns...)
		},
	}
	cmd.Flags().StringVar(&team, "team", "", "only those of this team")
	c.CompleteFlag(cmd, "team", c.Teams)
	cmd.Flags().StringVar(&sort, "sort", "created", "created, metric or share (of what is used); with - before it the other way round")
	return cmd
}

var columns = []clikit.Column[row]{
	{Title: "ID", Cell: func(q row) string { return q.ID }},
	{Title: "PLACE", Cell: func(q row) string { return q.Place }},
	{Title: "METRIC", Cell: func(q row) string { return q.Metric }},
	{Title: "USED", Cell: func(q row) string { return number(q.Used) }},
	{Title: "MAX", Cell: func(q row) string { return number(q.Max) }},
	{Title: "SHARE", Cell: share, Paint: func(s clikit.Style, t string) string {
		if n, err := strconv.Atoi(strings.TrimSuffix(t, "%")); err == nil && n >= 100 {
			return s.Red(t)
		} else if err == nil && n >= 80 {
			return s.Yellow(t)
		}
		return t
	}},
	{Title: "WARN", Cell: func(q row) string {
		if q.WarnAt == 0 {
			return ""
		}
		return number(q.WarnAt*100) + "%"
	}},
	{Title: "BLOCKS", Cell: func(q row) string {
		if q.Enforce {
			return "yes"
		}
		return "no"
	}},
}

func share(q row) string {
	if q.Max == 0 {
		return ""
	}
	return strconv.FormatFloat(q.Used/q.Max*100, 'f', 0, 64) + "%"
}

func number(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

func printQuota(c *clikit.CLI, q row) error {
	return clikit.PrintOne(c, q, q.ID, func(t *clikit.Text) {
		t.Line("%s  %s of %s %s", t.Style.Bold(clikit.Clean(q.Place)), number(q.Used), number(q.Max), clikit.Clean(q.Metric))
		blocks := "yes"
		if !q.Enforce {
			blocks = "no, it only warns"
		}
		warn := ""
		if q.WarnAt > 0 {
			warn = "at " + number(q.WarnAt*100) + "%"
		}
		t.Pairs("  ", clikit.Pair{Key: "blocks", Value: blocks}, clikit.Pair{Key: "warns", Value: warn}, clikit.Pair{Key: "changed", Value: clikit.Moment(q.UpdatedAt)}, clikit.Pair{Key: "id", Value: q.ID})
		if q.Used > q.Max {
			t.Line("  %s", t.Style.Yellow("more is used than that: nothing is taken away, and nothing more is granted"))
		}
	})
}

// setFlags are what a quota is besides its metric and maximum.
type setFlags struct {
	team, class, template, warn string
	soft                        bool
}

func (f *setFlags) add(c *clikit.CLI, cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.StringVar(&f.class, "class", "", "only in environments of this class: development, staging or production")
	_ = cmd.RegisterFlagCompletionFunc("class", clikit.Fixed("development", "staging", "production"))
	fl.StringVar(&f.template, "template", "", "only resources of this template")
	c.CompleteFlag(cmd, "template", c.Templates)
	fl.StringVar(&f.warn, "warn", "", "tell the owners from this share on, such as 80%")
	fl.BoolVar(&f.soft, "soft", false, "warn, but refuse nothing")
}

func setCommand(c *clikit.CLI) *cobra.Command {
	var f setFlags
	cmd := &cobra.Command{
		Use: "set METRIC MAX", Short: "Set a quota: make it, or change the one for the same place", Args: clikit.Args(2, 2),
		Long: "METRIC is count, monthly_cost, or a unit that templates declare, such as connections.\n\n" +
			"The quota is for the team, project or environment that --team, --project or -e names; for the whole organisation when none does. " +
			"It may be below what is used: nothing is taken away then, and nothing more is granted.",
		Example: "  fairlead quota set count 20 --team payments --warn 80%\n  fairlead quota set connections 200 -e shop/dev\n  fairlead quota set count 3 --class production --template postgres",
		RunE:    func(cmd *cobra.Command, args []string) error { return set(cmd, c, f, args[0], args[1]) },
	}
	cmd.Flags().StringVar(&f.team, "team", "", "the team that it is for")
	c.CompleteFlag(cmd, "team", c.Teams)
	f.add(c, cmd)
	return cmd
}

func setBudgetCommand(c *clikit.CLI) *cobra.Command {
	var f setFlags
	cmd := &cobra.Command{
		Use: "set [TEAM] AMOUNT", Short: "Set what may be spent a month", Args: clikit.Args(1, 2),
		Long: "AMOUNT is in the currency of the price table. The budget is for TEAM; without one for the project or environment that " +
			"--project or -e names, or for the whole organisation.",
		Example: "  fairlead budget set payments 500 --warn 80%\n  fairlead budget set 100 -e shop/dev --soft",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 2 {
				f.team = args[0]
			}
			return set(cmd, c, f, monthlyCost, args[len(args)-1])
		},
	}
	f.add(c, cmd)
	return cmd
}

func set(cmd *cobra.Command, c *clikit.CLI, f setFlags, metric, most string) error {
	maximum, err := strconv.ParseFloat(most, 64)
	if err != nil || maximum < 0 {
		return clikit.Usage("%q is no amount", clikit.Clean(most)).WithHint("a number that is not negative, such as 10")
	}
	warn, err := fraction(f.warn)
	if err != nil {
		return err
	}
	s, err := c.Session()
	if err != nil {
		return err
	}
	w, err := c.Asked()
	if err != nil {
		return err
	}
	enforce := !f.soft
	body := apiclient.SetQuotaJSONRequestBody{Team: clikit.Some(f.team), Project: clikit.Some(w.Project), Environment: clikit.Some(w.Environment),
		Class: clikit.Some(apiclient.QuotaSettingClass(f.class)), Template: clikit.Some(f.template), Metric: metric, Max: maximum, WarnAt: clikit.Some(warn), Enforce: &enforce}
	q, err := clikit.Read[row](s.SetQuota(cmd.Context(), nil, body))
	if err != nil {
		return err
	}
	if metric != "count" && metric != monthlyCost && q.Used == 0 {
		near := ""
		if n := yamlx.Nearest(metric, []string{"count", monthlyCost}); n != "" {
			near = ": did you mean " + n + "?"
		}
		c.Warn("nothing that lives takes %s there; it counts what templates declare under units%s", metric, near)
	}
	return printQuota(c, q)
}

// fraction reads 80% or 0.8.
func fraction(s string) (float64, error) {
	if s == "" {
		return 0, nil
	}
	text, percent := strings.CutSuffix(s, "%")
	v, err := strconv.ParseFloat(text, 64)
	if percent {
		v /= 100
	}
	if err != nil || !(v >= 0 && v <= 1) {
		return 0, clikit.Usage("%q is no share", clikit.Clean(s)).WithHint("such as --warn 80%%")
	}
	return v, nil
}

func removeCommand(c *clikit.CLI) *cobra.Command {
	return &cobra.Command{
		Use: "rm ID", Aliases: []string{"delete"}, Short: "Take a quota away; fairlead quota ls shows its id", Args: clikit.Args(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := c.Session()
			if err != nil {
				return err
			}
			q, tag, err := clikit.ReadTagged[row](s.GetQuota(cmd.Context(), args[0]))
			if err != nil {
				return err
			}
			if err := clikit.Done(s.DeleteQuota(cmd.Context(), args[0], &apiclient.DeleteQuotaParams{IfMatch: clikit.Some(tag)})); err != nil {
				return err
			}
			c.Note("the quota of %s on %s is gone", q.Place, q.Metric)
			return nil
		},
	}
}

func usageCommand(c *clikit.CLI) *cobra.Command {
	return &cobra.Command{
		Use: "usage ID", Short: "Show what uses a quota, the most first", Args: clikit.Args(1, 1), Example: "  fairlead quota usage quo_01k2",
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := c.Session()
			if err != nil {
				return err
			}
			items, err := clikit.Pages(0, func(limit *int64, cursor *string) ([]apiclient.QuotaHolding, *string, error) {
				p, err := clikit.Read[apiclient.PageQuotaHolding](s.ListQuotaHoldings(cmd.Context(), args[0], &apiclient.ListQuotaHoldingsParams{Limit: limit, Cursor: cursor}))
				return p.Items, p.Next, err
			})
			if err != nil {
				return err
			}
			return clikit.PrintList(c, items, func(h apiclient.QuotaHolding) string { return h.Resource }, "nothing that you may see uses it",
				clikit.Column[apiclient.QuotaHolding]{Title: "ENVIRONMENT", Cell: func(h apiclient.QuotaHolding) string { return h.Project + "/" + h.Environment }},
				clikit.Column[apiclient.QuotaHolding]{Title: "RESOURCE", Cell: func(h apiclient.QuotaHolding) string { return h.Resource }},
				clikit.Column[apiclient.QuotaHolding]{Title: "TEMPLATE", Cell: func(h apiclient.QuotaHolding) string { return h.Template }},
				clikit.Column[apiclient.QuotaHolding]{Title: "AMOUNT", Cell: func(h apiclient.QuotaHolding) string { return number(h.Amount) }})
		},
	}
}

package resourcecli

import (
	"fmt"

	"fairlead/internal/apiclient"
	"fairlead/internal/clikit"
)

// paints shows how much a verdict weighs.
var paints = map[string]func(clikit.Style, string) string{"deny": clikit.Style.Red, "approve": clikit.Style.Yellow, "advise": clikit.Style.Cyan}

// showGates tells what the gates say of a plan: what it costs, what is left of
// the limits, every verdict.
func showGates(t *clikit.Text, p apiclient.ResourcePlan) {
	var pairs []clikit.Pair
	if !p.Cost.Unpriced && p.Cost.Currency != nil {
		cost := fmt.Sprintf("%.2f %s a month", p.Cost.Monthly, *p.Cost.Currency)
		if p.Cost.Before != 0 {
			cost += fmt.Sprintf(", %.2f now", p.Cost.Before)
		}
		pairs = append(pairs, clikit.Pair{Key: "cost", Value: cost})
	}
	if lease := clikit.Or(p.Lease); lease != "" {
		pairs = append(pairs, clikit.Pair{Key: "lease", Value: lease})
	}
	for _, u := range p.Limits {
		pairs = append(pairs, clikit.Pair{Key: u.Metric, Value: fmt.Sprintf("%g of %g in the %s %s would be used", u.Used+u.Wanted, u.Max, u.Scope, clikit.Clean(u.Name))})
	}
	t.Pairs("  ", pairs...)
	showVerdicts(t, p.Verdicts)
	if p.Outcome != "allowed" {
		t.Line("%s %s", t.Style.Bold("Gates:"), t.Style.Phase(string(p.Outcome)))
	}
}

func showVerdicts(t *clikit.Text, list []apiclient.Verdict) {
	for _, v := range list {
		paint := paints[string(v.Strength)]
		if paint == nil {
			paint = clikit.Style.Dim
		}
		t.Line("%s %s: %s", paint(t.Style, string(v.Strength)), clikit.Clean(v.Rule), clikit.Clean(v.Message))
		if remedy := clikit.Or(v.Remedy); remedy != "" {
			t.Line("  %s", t.Style.Dim(clikit.Clean(remedy)))
		}
		if v.Needs != nil {
			t.Line("  %s", t.Style.Dim(clikit.Clean(need(*v.Needs))))
		}
	}
}

// need says who must agree.
func need(n apiclient.Need) string {
	who := clikit.Or(n.Role)
	switch {
	case len(clikit.Or(n.People)) > 0:
		who = "of " + fmt.Sprint(clikit.Or(n.People))
	case who == "":
		who = "approver"
	}
	text := fmt.Sprintf("needs %d %s", n.Count, who)
	if team := clikit.Or(n.Team); team != "" {
		text += " of the team " + team
	}
	return text
}

// advise notes what the gates said of a request that was accepted.
func (k kit) advise(r apiclient.Resource) {
	for _, v := range clikit.Or(r.Verdicts) {
		k.Note("%s %s: %s", v.Strength, clikit.Clean(v.Rule), clikit.Clean(v.Message))
	}
}

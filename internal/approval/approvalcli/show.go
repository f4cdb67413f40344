package approvalcli

import (
	"fmt"
	"reflect"

	"fairlead/internal/clikit"
)

func show(c *clikit.CLI, a row) error {
	return clikit.PrintOne(c, a, a.ID, func(t *clikit.Text) {
		t.Line("%s  %s", t.Style.Bold(clikit.Clean(a.Summary)), t.Style.Phase(string(a.Status)))
		pairs := []clikit.Pair{{Key: "asked for by", Value: a.RequestedBy + ", " + clikit.Moment(a.CreatedAt)}}
		add := func(key, value string) {
			if value != "" {
				pairs = append(pairs, clikit.Pair{Key: key, Value: clikit.Clean(value)})
			}
		}
		switch a.Status {
		case "pending":
			add("who", clikit.Or(a.Who))
			add("until", clikit.Moment(a.ExpiresAt))
		case "void":
			add("void", clikit.Or(a.Reason))
			add("instead", clikit.Or(a.Next))
		case "bypassed":
			add("bypassed by", clikit.Or(a.DecidedBy)+", "+clikit.MomentOf(a.DecidedAt))
			add("because", clikit.Or(a.Reason))
			add("reviewed by", clikit.Or(a.ReviewedBy))
			add("found", clikit.Or(a.Review))
		default:
			add(string(a.Status), clikit.MomentOf(a.DecidedAt))
		}
		add("digest", a.Digest)
		add("id", a.ID)
		t.Pairs("  ", pairs...)
		for _, v := range clikit.Or(a.Verdicts) {
			t.Line("  %s %s", t.Style.Yellow(clikit.Clean(v.Rule)+":"), clikit.Clean(v.Message))
		}
		changed(t, a)
		votes(t, a)
		facts(t, clikit.Or(a.Facts))
		if a.Status == "pending" {
			t.Line("%s", t.Style.Dim("fairlead approvals approve "+a.ID))
		}
	})
}

func changed(t *clikit.Text, a row) {
	for i, ch := range a.Changed {
		if i == 0 {
			t.Section("What changed")
		}
		t.Line("  %s: %s, was %s", clikit.Clean(ch.Part), short(ch.New), short(ch.Old))
	}
}

func short(digest string) string {
	if digest == "" {
		return "nothing"
	}
	return clikit.Clean(digest[:min(len(digest), 12)])
}

func votes(t *clikit.Text, a row) {
	for i, v := range clikit.Or(a.Votes) {
		if i == 0 {
			t.Section("Votes")
		}
		line := string(v.Decision) + " by " + v.Voter
		if behalf := clikit.Or(v.OnBehalfOf); behalf != "" {
			line += " on behalf of " + behalf
		}
		if comment := clikit.Or(v.Comment); comment != "" {
			line += ": " + comment
		}
		t.Line("  %s  %s", clikit.Clean(line), t.Style.Dim(clikit.Age(v.At)))
	}
}

// facts tells what would happen: what the plan changes, which inputs differ,
// what it costs.
func facts(t *clikit.Text, doc map[string]any) {
	plan, _ := doc["plan"].(map[string]any)
	changes, _ := plan["changes"].([]any)
	for i, ch := range changes {
		one, _ := ch.(map[string]any)
		if i == 0 {
			t.Section("Plan")
		}
		line := fmt.Sprintf("%-8s %v", clikit.Value(one["action"]), clikit.Value(one["address"]))
		if why := clikit.Value(one["reason"]); why != "" {
			line += "  (" + why + ")"
		}
		t.Line("  %s", clikit.Clean(line))
	}
	inputs, _ := doc["inputs"].(map[string]any)
	before, updates := doc["before"].(map[string]any)
	var pairs []clikit.Pair
	for name, v := range clikit.Sorted(inputs) {
		was, had := before[name]
		switch {
		case !updates:
			pairs = append(pairs, clikit.Pair{Key: name, Value: clikit.Value(v)})
		case !had:
			pairs = append(pairs, clikit.Pair{Key: name, Value: clikit.Value(v) + " (new)"})
		case !reflect.DeepEqual(was, v):
			pairs = append(pairs, clikit.Pair{Key: name, Value: clikit.Value(v) + " (was " + clikit.Value(was) + ")"})
		}
	}
	for name, was := range clikit.Sorted(before) {
		if _, still := inputs[name]; !still {
			pairs = append(pairs, clikit.Pair{Key: name, Value: "removed (was " + clikit.Value(was) + ")"})
		}
	}
	if len(pairs) > 0 {
		t.Section("Inputs")
		t.Pairs("  ", pairs...)
	}
	cost, _ := doc["cost"].(map[string]any)
	if unpriced, _ := cost["unpriced"].(bool); cost["currency"] != nil && cost["currency"] != "" && !unpriced {
		t.Section("Cost")
		t.Line("  %s %s a month, %s before", clikit.Value(cost["monthly"]), clikit.Clean(clikit.Value(cost["currency"])), clikit.Value(cost["before"]))
	}
}

package gate

import (
	"math"
	"strings"
	"time"

	"fairlead/internal/engine"
)

// Document gives the facts as rules see them. Names and shapes are a public
// contract: docs/guardrails.md describes them, and recorded ones are replayed.
func (f Facts) Document() map[string]any {
	doc := map[string]any{
		"stage":  string(f.Stage),
		"action": string(f.Action),
		"principal": map[string]any{
			"id": f.Principal.ID, "name": f.Principal.Name, "kind": string(f.Principal.Kind),
			"roles": texts(f.Principal.OrgRoles), "teams": memberships(f), "attributes": orEmpty(f.Principal.Attributes),
		},
		"team":        map[string]any{"id": f.Environment.TeamID, "name": f.Environment.Team},
		"project":     map[string]any{"id": f.Environment.ProjectID, "name": f.Environment.Project},
		"environment": map[string]any{"id": f.Environment.ID, "name": f.Environment.Name, "class": f.Environment.Class, "attributes": orEmpty(f.Environment.Attributes)},
		"template": map[string]any{"name": f.Template.Name, "version": f.Template.Version, "digest": f.Template.Digest, "engine": f.Template.Engine,
			"stateful": f.Template.Stateful, "attributes": orEmpty(f.Template.Attributes), "units": floats(f.Template.Units)},
		"resource": map[string]any{"id": f.ResourceID, "name": f.Resource, "revision": f.Revision, "note": f.Note},
		"inputs":   orNone(f.Inputs),
		"time":     clock(f.Now),
		"cost":     f.Cost.document(),
		"usage":    uses(f.Usage),
		"window":   map[string]any{"closed": f.Window.Closed, "name": f.Window.Name, "reason": f.Window.Reason},
	}
	if f.Before != nil {
		doc["before"] = f.Before
	}
	if f.Lease > 0 {
		doc["lease"] = map[string]any{"hours": f.Lease.Hours()}
	}
	if f.RunKind != "" {
		doc["run"] = map[string]any{"id": f.RunID, "kind": f.RunKind}
	}
	if f.Plan != nil {
		doc["plan"] = plan(*f.Plan)
	}
	for k, v := range f.Extra {
		doc[k] = v
	}
	return doc
}

// clock is a moment in UTC, taken apart, because rules have no clock and no
// time zones of their own.
func clock(t time.Time) map[string]any {
	t = t.UTC()
	return map[string]any{
		"now": t.Format(time.RFC3339), "date": t.Format(time.DateOnly), "weekday": strings.ToLower(t.Weekday().String()),
		"hour": t.Hour(), "minute": t.Minute(), "unix": t.Unix(),
	}
}

func plan(p engine.Plan) map[string]any {
	changes := make([]any, len(p.Changes))
	for i, c := range p.Changes {
		changes[i] = map[string]any{"address": c.Address, "kind": c.Kind, "action": string(c.Action), "reason": c.Reason,
			"before": nilOr(c.Before), "after": nilOr(c.After)}
	}
	return map[string]any{"changes": changes, "empty": p.Empty(), "destructive": p.Destructive()}
}

func (c Cost) document() map[string]any {
	items := make([]any, len(c.Items))
	for i, it := range c.Items {
		items[i] = map[string]any{"item": it.Item, "quantity": it.Quantity, "monthly": cents(it.Monthly)}
	}
	return map[string]any{"currency": c.Currency, "monthly": cents(c.Monthly), "before": cents(c.Before), "items": items, "unpriced": c.Unpriced}
}

// cents rounds so that one amount has one spelling.
func cents(v float64) float64 { return math.Round(v*1e4) / 1e4 }

func uses(list []Use) []any {
	out := make([]any, len(list))
	for i, u := range list {
		out[i] = map[string]any{"scope": u.Scope, "name": u.Name, "metric": u.Metric, "limit": u.Max, "used": u.Used, "wanted": u.Wanted}
	}
	return out
}

func memberships(f Facts) []any {
	out := make([]any, len(f.Principal.Memberships))
	for i, m := range f.Principal.Memberships {
		out[i] = map[string]any{"id": m.TeamID, "name": m.Team, "role": string(m.Role)}
	}
	return out
}

func texts[T ~string](list []T) []any {
	out := make([]any, len(list))
	for i, s := range list {
		out[i] = string(s)
	}
	return out
}

func floats(m map[string]float64) map[string]any {
	out := map[string]any{}
	for k, v := range m {
		out[k] = v
	}
	return out
}

func orEmpty(m map[string]string) map[string]any {
	out := map[string]any{}
	for k, v := range m {
		out[k] = v
	}
	return out
}

func orNone(m map[string]any) map[string]any {
	if m == nil {
		return map[string]any{}
	}
	return m
}

func nilOr(m map[string]any) any {
	if m == nil {
		return nil
	}
	return m
}

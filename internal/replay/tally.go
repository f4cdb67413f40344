package replay

import (
	"context"
	"fmt"
	"hash/maphash"
	"maps"
	"slices"
	"strings"
	"time"

	"fairlead/internal/gate"
	"fairlead/internal/guardrail"
)

// outcome is what came of one decision or resource.
type outcome struct {
	change  Change
	key     key // of the request; of a resource nothing
	changed bool
	advised bool
	broken  bool
}

// tally counts. Its methods again and standing are for many goroutines, the
// others for one.
type tally struct {
	bundle   *guardrail.Bundle
	alone    *guardrail.Set
	active   *guardrail.Set
	now      time.Time
	progress func(Progress) error

	summary Summary
	changes []Change
	changed map[key]place
	far     Progress
	told    time.Time
}

// key tells requests apart.
type key uint64

var seed = maphash.MakeSeed()

func keyOf(d gate.Record) key {
	id := d.RequestID + "\n" + d.EnvironmentID + "\n" + d.Resource
	if d.RequestID == "" {
		id = fmt.Sprintf("%s %d %v", d.ResourceID, d.Revision, d.Action == gate.Destroy)
	}
	return key(maphash.String(seed, id))
}

// place is where a changed request is among the changes; shown is -1 when it
// is only counted.
type place struct {
	shown int
	name  string
	now   string
}

// again decides a record anew.
func (t *tally) again(ctx context.Context, k gate.Kept) (outcome, error) {
	d, err := k.Open()
	if err != nil {
		return outcome{}, err
	}
	var said []gate.Verdict
	for _, stage := range []gate.Stage{gate.Request, gate.Plan} {
		if stage == gate.Plan && d.Stage != gate.Plan || stage == gate.Request && d.Stage == gate.Plan && d.Action == gate.Keep {
			continue
		}
		document := maps.Clone(d.Document)
		document["stage"] = string(stage)
		said = append(said, t.alone.Replay(ctx, document)...)
	}
	if ctx.Err() != nil {
		return outcome{}, ctx.Err() // it did not break: it was called off
	}
	o := t.compare(d.Verdicts, said)
	o.key = keyOf(d)
	c := &o.change
	c.Kind, c.Decision, c.At, c.Stage, c.Action, c.By = Request, d.ID, d.At, d.Stage, d.Action, d.PrincipalName
	c.ResourceID, c.Resource, c.Template = d.ResourceID, d.Resource, d.Template
	c.Team, c.Project, c.Environment = name(d.Document, "team"), name(d.Document, "project"), name(d.Document, "environment")
	return o, nil
}

func name(document map[string]any, of string) string {
	m, _ := document[of].(map[string]any)
	text, _ := m["name"].(string)
	return text
}

// standing decides anew about what stands there.
func (t *tally) standing(ctx context.Context, f gate.Facts) (outcome, error) {
	was, said := t.active.Standing(ctx, f), t.alone.Standing(ctx, f)
	if ctx.Err() != nil {
		return outcome{}, ctx.Err()
	}
	o := t.compare(was, said)
	o.change.Kind, o.change.At, o.change.Stage, o.change.Action, o.change.By = Resource, t.now, gate.Request, gate.Keep, f.Principal.Name
	o.change.ResourceID, o.change.Resource, o.change.Template = f.ResourceID, f.Resource, f.Template.Name
	o.change.Team, o.change.Project, o.change.Environment = f.Environment.Team, f.Environment.Project, f.Environment.Name
	return o, nil
}

// compare tells what is different when the bundle says this and not what it
// said.
func (t *tally) compare(was, said []gate.Verdict) outcome {
	var others, old []gate.Verdict
	for _, v := range was {
		if label, _, _ := strings.Cut(v.Bundle, "@"); v.Source == "guardrail" && label == t.bundle.Name {
			old = append(old, v)
		} else {
			others = append(others, v)
		}
	}
	now := slices.Concat(others, said)
	o := outcome{}
	o.change.Was, o.change.Now = gate.Judgement{Verdicts: was}.Outcome(), gate.Judgement{Verdicts: now}.Outcome()
	o.change.Verdicts, o.change.Gone = said, missing(old, said)
	o.changed = o.change.Was != o.change.Now || o.change.Now == "approval" && !slices.Equal(needs(was), needs(now))
	o.advised = !o.changed && !slices.Equal(advice(old), advice(said))
	o.broken = slices.ContainsFunc(said, func(v gate.Verdict) bool {
		return slices.ContainsFunc(t.bundle.Guards, func(g guardrail.Guard) bool { return g.Package == v.Rule }) // a rule that was asked is named behind it
	})
	return o
}

// missing gives those of old that now does not have.
func missing(old, now []gate.Verdict) []gate.Verdict {
	has := map[string]bool{}
	for _, v := range now {
		has[v.Rule+"\n"+v.Message] = true
	}
	return slices.DeleteFunc(slices.Clone(old), func(v gate.Verdict) bool { return has[v.Rule+"\n"+v.Message] })
}

// needs says who must agree, sorted, each once.
func needs(list []gate.Verdict) []string {
	var out []string
	for _, v := range list {
		if n := v.Need; n != nil && v.Strength == gate.Approve {
			out = append(out, fmt.Sprint(n.Role, n.Team, n.People, n.Count))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func advice(list []gate.Verdict) []string {
	var out []string
	for _, v := range list {
		if v.Strength == gate.Advise {
			out = append(out, v.Rule+"\n"+v.Message)
		}
	}
	slices.Sort(out)
	return out
}

func (t *tally) begin(total int) error {
	t.far.OfDecisions = total
	return t.tell(true)
}

// decided counts a decision.
func (t *tally) decided(o outcome) error {
	t.summary.Decisions++
	t.far.Decisions++
	was, known := t.changed[o.key]
	if known && o.change.Stage == gate.Plan {
		// Of one request there are the record of it and those of its plans.
		t.merge(was, o)
		return t.tell(false)
	}
	t.count(o)
	return t.tell(false)
}

// looked counts a resource.
func (t *tally) looked(o outcome) error {
	t.summary.Resources++
	t.far.Resources++
	t.count(o)
	return t.tell(false)
}

func (t *tally) count(o outcome) {
	if o.broken {
		t.summary.Broken++
	}
	if o.advised {
		t.summary.Advised++
	}
	if !o.changed {
		return
	}
	p := place{shown: -1, name: string(o.change.Kind) + " " + o.change.Was + " → " + o.change.Now, now: o.change.Now}
	t.summary.Changed++
	t.summary.Kinds[p.name]++
	if len(t.changes) < MaxShown {
		p.shown = len(t.changes)
		t.changes = append(t.changes, o.change)
	}
	if o.change.Kind == Request && len(t.changed) < maxRemembered {
		t.changed[o.key] = p
	}
}

// merge takes the worse of what is said of a request and of its plan. What
// would be denied would not have come to its plan.
func (t *tally) merge(p place, o outcome) {
	if !o.changed || weight[o.change.Now] <= weight[p.now] {
		return
	}
	t.summary.Changed--
	if t.summary.Kinds[p.name]--; t.summary.Kinds[p.name] == 0 {
		delete(t.summary.Kinds, p.name)
	}
	if p.shown < 0 {
		t.count(o)
		return
	}
	last := t.changes
	t.changes = nil
	t.count(o) // puts it first, and remembers it there
	t.changes, last[p.shown] = last, t.changes[0]
	q := t.changed[o.key]
	q.shown = p.shown
	t.changed[o.key] = q
}

var weight = map[string]int{"allowed": 0, "approval": 1, "denied": 2}

// tell gives the progress, but not at every step.
func (t *tally) tell(always bool) error {
	if t.progress == nil || !always && time.Since(t.told) < 250*time.Millisecond {
		return nil
	}
	t.told, t.far.Changes = time.Now(), t.summary.Changed
	return t.progress(t.far)
}

func (t *tally) report(took time.Duration) Report {
	t.summary.Took, t.summary.Shown = took, len(t.changes)
	return Report{t.summary, t.changes}
}

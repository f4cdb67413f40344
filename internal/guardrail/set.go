package guardrail

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"fairlead/internal/gate"
	"fairlead/internal/rego"
)

const (
	maxPlaces = 8192            // that a set remembers the rules of
	maxTotal  = 5 * time.Second // of all rules of a decision
)

// Set is bundles that are asked together. It is immutable but for what it
// remembers, and safe for concurrent use.
type Set struct {
	digest  string
	bundles []*Bundle // by name
	stages  map[gate.Stage]*stage
	damaged []gate.Verdict // what is said about everything: a stored bundle was tampered with
	limits  rego.Limits
}

// stage is the guardrails of one stage.
type stage struct {
	entries  []*entry
	byName   [5]map[string][]*entry // those that one dimension of their scope pins to names
	rest     []*entry               // the others
	mu       sync.RWMutex
	places   map[place]*plan
	prepared map[string]*plan // by the entries
}

// entry is a guardrail in force.
type entry struct {
	index  int
	guard  *Guard
	bundle *Bundle
	rules  []asked
}

// plan is what is asked about a place, prepared.
type plan struct{ groups []group }

// group is the guardrails of one bundle with one kind of input: one query.
type group struct {
	entries []*entry
	query   *rego.Query
	rules   []asked
	broken  error
}

// NewSet makes a set of bundles of different names.
func NewSet(bundles ...*Bundle) *Set { return newSet(rego.Limits{}, bundles...) }

func newSet(l rego.Limits, bundles ...*Bundle) *Set {
	s := &Set{bundles: slices.Clone(bundles), stages: map[gate.Stage]*stage{}, limits: l}
	slices.SortFunc(s.bundles, func(a, b *Bundle) int { return strings.Compare(a.Name, b.Name) })
	var of []version
	for _, b := range s.bundles {
		of = append(of, version{b.Name, b.Version, b.Digest})
		for i := range b.Guards {
			s.add(b, &b.Guards[i])
		}
	}
	s.digest = digestOf(of)
	return s
}

func (s *Set) add(b *Bundle, g *Guard) {
	st := s.stages[g.Stage]
	if st == nil {
		st = &stage{places: map[place]*plan{}, prepared: map[string]*plan{}}
		s.stages[g.Stage] = st
	}
	e := &entry{index: len(st.entries), guard: g, bundle: b}
	for _, name := range g.Rules {
		e.rules = append(e.rules, asked{e, name})
	}
	st.entries = append(st.entries, e)
	for i, patterns := range g.Scope.dimensions() {
		if len(patterns) == 0 || slices.ContainsFunc(patterns, func(p string) bool { return strings.Contains(p, "*") }) {
			continue
		}
		if st.byName[i] == nil {
			st.byName[i] = map[string][]*entry{}
		}
		for _, name := range slices.Compact(slices.Sorted(slices.Values(patterns))) {
			st.byName[i][name] = append(st.byName[i][name], e)
		}
		return
	}
	st.rest = append(st.rest, e)
}

// version names a version of a bundle that is in force.
type version struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	Digest  string `json:"digest"`
}

// digestOf is the digest of what is in force, whatever its order.
func digestOf(list []version) string {
	lines := make([]string, len(list))
	for i, v := range list {
		lines[i] = v.Name + "\n" + v.Version + "\n" + v.Digest + "\n\n"
	}
	slices.Sort(lines)
	sum := sha256.Sum256([]byte(strings.Join(lines, "")))
	return hex.EncodeToString(sum[:])
}

// Digest is the digest of the set, whatever the order of its bundles.
func (s *Set) Digest() string { return s.digest }

// Bundles gives the set's bundles, by name.
func (s *Set) Bundles() []*Bundle { return slices.Clone(s.bundles) }

// Bundle finds a bundle of the set by its name.
func (s *Set) Bundle(name string) (*Bundle, bool) {
	i := slices.IndexFunc(s.bundles, func(b *Bundle) bool { return b.Name == name })
	if i < 0 {
		return nil, false
	}
	return s.bundles[i], true
}

// Evaluate asks every guardrail of the facts' stage that is about their place,
// and gives what they say in a stable order: by bundle, guardrail and rule.
func (s *Set) Evaluate(ctx context.Context, f gate.Facts) []gate.Verdict {
	if len(s.damaged) > 0 && f.Stage != gate.Activation {
		return slices.Clone(s.damaged)
	}
	st := s.stages[f.Stage]
	if st == nil {
		return nil
	}
	at := place{f.Environment.Team, f.Environment.Project, f.Environment.Name, f.Environment.Class, f.Template.Name}
	return s.ask(ctx, st, at, func(kind string) (rego.Input, error) {
		if kind == RawPlan {
			return rawPlan(f.Plan)
		}
		return rego.LazyInput(f.Document()), nil
	})
}

// Replay asks what Evaluate asks, of a document as gate records it. A plan of
// an engine's own form is not recorded: policies of raw plans are shown what
// the document says of its changes, in Terraform's form.
func (s *Set) Replay(ctx context.Context, document map[string]any) []gate.Verdict {
	if len(s.damaged) > 0 {
		return slices.Clone(s.damaged)
	}
	name := func(object, field string) string {
		o, _ := document[object].(map[string]any)
		v, _ := o[field].(string)
		return v
	}
	when, _ := document["stage"].(string)
	st := s.stages[gate.Stage(when)]
	if st == nil {
		return nil
	}
	at := place{name("team", "name"), name("project", "name"), name("environment", "name"), name("environment", "class"), name("template", "name")}
	return s.ask(ctx, st, at, func(kind string) (rego.Input, error) {
		if kind == RawPlan {
			return rego.LazyInput(rawPlanOf(document)), nil
		}
		return rego.LazyInput(document), nil
	})
}

func (s *Set) ask(ctx context.Context, st *stage, at place, input func(kind string) (rego.Input, error)) []gate.Verdict {
	p := st.plan(at)
	if len(p.groups) == 0 {
		return nil
	}
	var out []gate.Verdict
	made := map[string]rego.Input{}
	began := time.Now()
	for _, g := range p.groups {
		kind := g.entries[0].guard.Input
		in, ok := made[kind]
		if !ok {
			var err error
			if in, err = input(kind); err != nil {
				out = append(out, g.denied(fmt.Errorf("what they are to look at cannot be given to them: %w", err))...)
				continue
			}
			made[kind] = in
		}
		out = append(out, s.askGroup(ctx, g, in, began)...)
	}
	return out
}

func (s *Set) askGroup(ctx context.Context, g group, in rego.Input, began time.Time) []gate.Verdict {
	if g.broken != nil {
		return g.denied(g.broken)
	}
	if time.Since(began) > maxTotal {
		return g.denied(errors.New("it was not asked: the others took too long"))
	}
	answers, err := g.query.Eval(ctx, in, s.limits)
	if err == nil {
		return g.read(answers)
	}
	if len(g.entries) == 1 || errors.Is(err, &rego.Error{Trouble: rego.Canceled}) {
		return g.denied(err)
	}
	// One of them errs. Each alone, so that it is named and the others are
	// heard.
	var out []gate.Verdict
	for _, e := range g.entries {
		one := newGroup([]*entry{e})
		if time.Since(began) > maxTotal {
			out = append(out, one.denied(errors.New("it was not asked: the others took too long"))...)
			continue
		}
		if one.broken != nil {
			out = append(out, one.denied(one.broken)...)
			continue
		}
		if answers, err := one.query.Eval(ctx, in, s.limits); err != nil {
			out = append(out, one.denied(err)...)
		} else {
			out = append(out, one.read(answers)...)
		}
	}
	return out
}

// denied is what is said for guardrails that could not be asked: an error is
// no leave.
func (g group) denied(err error) []gate.Verdict {
	var out []gate.Verdict
	for _, e := range g.entries {
		out = append(out, gate.Verdict{
			Source: "guardrail", Rule: e.guard.Package, Bundle: e.bundle.Label(), Strength: gate.Deny, Docs: e.guard.Docs,
			Message: "the guardrail could not be evaluated: " + short(err.Error(), maxDetail),
			Remedy:  "tell whoever keeps the guardrails: fairlead policy show " + e.bundle.Name,
		})
	}
	return out
}

func (g group) read(answers []rego.Answer) []gate.Verdict {
	var out []gate.Verdict
	excused := map[*entry]map[string]bool{}
	for i, a := range g.rules {
		if a.name == "exception" {
			excused[a.e] = exceptions(answers[i])
		}
	}
	for i, a := range g.rules {
		if a.name == "exception" {
			continue
		}
		if _, name, _ := strings.Cut(a.name, "_"); excused[a.e][name] {
			continue
		}
		out = append(out, a.verdicts(answers[i])...)
	}
	return out
}

// exceptions reads Conftest's exception rules: lists of rules' names without
// "deny_", "" for the bare rule.
func exceptions(a rego.Answer) map[string]bool {
	out := map[string]bool{}
	lists, _ := a.Value.([]any)
	for _, l := range lists {
		names, _ := l.([]any)
		for _, n := range names {
			if name, ok := n.(string); ok {
				out[name] = true
			}
		}
	}
	return out
}

// plan finds what is asked about a place. What was found is remembered: an
// organisation has few places and asks about them often.
func (st *stage) plan(at place) *plan {
	st.mu.RLock()
	p := st.places[at]
	st.mu.RUnlock()
	if p != nil {
		return p
	}
	found := st.find(at)
	var key strings.Builder
	for _, e := range found {
		fmt.Fprintf(&key, "%d,", e.index)
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	p = st.prepared[key.String()]
	if p == nil {
		p = newPlan(found)
	}
	if len(st.places) >= maxPlaces {
		clear(st.places)
		clear(st.prepared)
	}
	st.places[at], st.prepared[key.String()] = p, p
	return p
}

func (st *stage) find(at place) []*entry {
	var out []*entry
	take := func(list []*entry) {
		for _, e := range list {
			if e.guard.Scope.holds(at) {
				out = append(out, e)
			}
		}
	}
	take(st.rest)
	for i, name := range at.names() {
		take(st.byName[i][name])
	}
	slices.SortFunc(out, func(a, b *entry) int { return a.index - b.index })
	return out
}

func newPlan(entries []*entry) *plan {
	p := &plan{}
	for len(entries) > 0 {
		n := 1
		for n < len(entries) && entries[n].bundle == entries[0].bundle && entries[n].guard.Input == entries[0].guard.Input {
			n++
		}
		p.groups = append(p.groups, newGroup(entries[:n]))
		entries = entries[n:]
	}
	return p
}

func newGroup(entries []*entry) group {
	g := group{entries: entries}
	var rules []rego.Rule
	for _, e := range entries {
		list := e.rules
		if e.bundle.Conftest {
			list = append(slices.Clone(list), asked{e, "exception"})
		}
		for _, a := range list {
			g.rules = append(g.rules, a)
			rules = append(rules, rego.Rule{Package: e.guard.Package, Name: a.name})
		}
	}
	g.query, g.broken = entries[0].bundle.program.Prepare(rules...)
	return g
}

package guardrail

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"

	"fairlead/internal/access"
	"fairlead/internal/fault"
	"fairlead/internal/gate"
	"fairlead/internal/sqldb"
)

// List is a page of things and where the next begins.
type List[T any] struct {
	Items []T
	Next  string
}

// List gives the newest version of each bundle.
func (s *Service) List(ctx context.Context, sort string, page sqldb.Page) (List[Summary], error) {
	if _, err := s.access.Check(ctx, access.GuardrailView, target("")); err != nil {
		return List[Summary]{}, err
	}
	items, next, err := latest.Page(ctx, s.db.Read(), sqldb.Where{}, sort, page)
	if err != nil {
		return List[Summary]{}, fmt.Errorf("list guardrails: %w", err)
	}
	return List[Summary]{items, next}, s.mark(ctx, items)
}

// Versions gives a bundle's versions, the newest first.
func (s *Service) Versions(ctx context.Context, name string, page sqldb.Page) (List[Summary], error) {
	if _, err := s.access.Check(ctx, access.GuardrailView, target(name)); err != nil {
		return List[Summary]{}, err
	}
	if _, err := s.known(ctx, name, ""); err != nil {
		return List[Summary]{}, err
	}
	var w sqldb.Where
	w.And(`b.name = ?`, name)
	items, next, err := versions.Page(ctx, s.db.Read(), w, "", page)
	if err != nil {
		return List[Summary]{}, fmt.Errorf("list versions: %w", err)
	}
	return List[Summary]{items, next}, s.mark(ctx, items)
}

// History gives the changes of what is in force, the newest first; name ""
// is all bundles'.
func (s *Service) History(ctx context.Context, name string, page sqldb.Page) (List[Change], error) {
	if _, err := s.access.Check(ctx, access.GuardrailView, target(name)); err != nil {
		return List[Change]{}, err
	}
	var w sqldb.Where
	if name != "" {
		w.And(`h.name = ?`, name)
	}
	items, next, err := history.Page(ctx, s.db.Read(), w, "", page)
	if err != nil {
		return List[Change]{}, fmt.Errorf("list changes: %w", err)
	}
	return List[Change]{items, next}, nil
}

// Get gives a version; "" is the one in force, or else the newest.
func (s *Service) Get(ctx context.Context, name, version string) (Summary, *Bundle, error) {
	if _, err := s.access.Check(ctx, access.GuardrailView, target(name)); err != nil {
		return Summary{}, nil, err
	}
	if version == "" {
		var err error
		if version, err = s.inForce(ctx, name); err != nil {
			return Summary{}, nil, err
		}
	}
	v, err := s.known(ctx, name, version)
	if err != nil {
		return v, nil, err
	}
	one := []Summary{v}
	if err := s.mark(ctx, one); err != nil {
		return v, nil, err
	}
	b, err := s.load(ctx, v.Name, v.Version)
	return one[0], b, err
}

// mark says of each which version of its name is in force.
func (s *Service) mark(ctx context.Context, items []Summary) error {
	a, err := s.active(ctx)
	if err != nil {
		return err
	}
	inForce := make(map[string]string, len(a.list))
	for _, v := range a.list {
		inForce[v.Name] = v.Version
	}
	for i, item := range items {
		items[i].Active = inForce[item.Name]
	}
	return nil
}

// inForce gives the version of a bundle that is in force; "" for none.
func (s *Service) inForce(ctx context.Context, name string) (string, error) {
	one := []Summary{{Name: name}}
	err := s.mark(ctx, one)
	return one[0].Active, err
}

// Load gives a stored version for whoever replays with it; leave is asked as
// for Get.
func (s *Service) Load(ctx context.Context, name, version string) (*Bundle, error) {
	_, b, err := s.Get(ctx, name, version)
	return b, err
}

// With gives the set in force with b in place of the bundle of its name: what
// would be in force if it were activated.
func (s *Set) With(b *Bundle) *Set {
	list := slices.DeleteFunc(slices.Clone(s.bundles), func(o *Bundle) bool { return o.Name == b.Name })
	return newSet(s.limits, append(list, b)...)
}

// Ask evaluates what is in force about a document of the caller's.
func (s *Service) Ask(ctx context.Context, document map[string]any) ([]gate.Verdict, string, error) {
	if _, err := s.access.Check(ctx, access.GuardrailView, target("")); err != nil {
		return nil, "", err
	}
	if stage, _ := document["stage"].(string); !slices.Contains(stages, stage) { // nobody would be asked, which reads like leave
		return nil, "", fault.New(fault.Invalid, "invalid_request", "the document says no stage at which guardrails are asked").WithField("/document/stage").
			WithHint("one of %s", strings.Join(stages, ", "))
	}
	set, err := s.Active(ctx)
	if err != nil {
		return nil, "", err
	}
	return set.Replay(ctx, document), set.digest, nil
}

// Diff is what is different between two versions.
type Diff struct {
	From, To   string // labels; "" is nothing
	Files      []Difference
	Guardrails []Difference
}

// Difference is one file or guardrail that is added, removed or changed.
type Difference struct {
	What   string // path, or package and stage
	How    string // added, removed, changed
	Detail string
}

// Diff compares two versions; from "" is the one in force, to "" the newest.
func (s *Service) Diff(ctx context.Context, name, from, to string) (Diff, error) {
	if _, err := s.access.Check(ctx, access.GuardrailView, target(name)); err != nil {
		return Diff{}, err
	}
	newest, err := s.known(ctx, name, to)
	if err != nil {
		return Diff{}, err
	}
	next, err := s.content(ctx, newest)
	if err != nil {
		return Diff{}, err
	}
	if from == "" {
		if from, err = s.inForce(ctx, name); err != nil {
			return Diff{}, err
		}
	}
	if from == "" {
		return diff(nil, next), nil
	}
	before, err := s.known(ctx, name, from)
	if err != nil {
		return Diff{}, err
	}
	old, err := s.content(ctx, before)
	if err != nil {
		return Diff{}, err
	}
	return diff(old, next), nil
}

func diff(old, next *Content) Diff {
	d := Diff{To: next.label, Files: []Difference{}, Guardrails: []Difference{}}
	var before []string
	guards := map[string]Guard{}
	if old != nil {
		d.From, before = old.label, old.Files()
		for _, g := range old.Guards {
			guards[g.title()] = g
		}
	}
	for _, name := range next.Files() {
		src, _ := next.File(name)
		was, there := []byte(nil), false
		if old != nil {
			was, there = old.File(name)
		}
		switch {
		case !there:
			d.Files = append(d.Files, Difference{name, "added", ""})
		case !bytes.Equal(src, was):
			d.Files = append(d.Files, Difference{name, "changed", lines(was, src)})
		}
	}
	for _, name := range before {
		if _, there := next.File(name); !there {
			d.Files = append(d.Files, Difference{name, "removed", ""})
		}
	}
	for _, g := range next.Guards {
		was, there := guards[g.title()]
		delete(guards, g.title())
		switch {
		case !there:
			d.Guardrails = append(d.Guardrails, Difference{g.title(), "added", g.summary()})
		case was.summary() != g.summary():
			d.Guardrails = append(d.Guardrails, Difference{g.title(), "changed", was.summary() + " → " + g.summary()})
		}
	}
	if old != nil {
		for _, g := range old.Guards {
			if _, left := guards[g.title()]; left {
				d.Guardrails = append(d.Guardrails, Difference{g.title(), "removed", g.summary()})
			}
		}
	}
	return d
}

func (g Guard) title() string { return g.Package + " at " + string(g.Stage) }

func (g Guard) summary() string {
	out := fmt.Sprintf("%s: %v", g.Strength, g.Rules)
	if !g.Scope.Empty() {
		for _, part := range []struct {
			of    string
			names []string
		}{{"teams", g.Scope.Teams}, {"projects", g.Scope.Projects}, {"environments", g.Scope.Environments}, {"classes", g.Scope.Classes}, {"templates", g.Scope.Templates}} {
			if len(part.names) > 0 {
				out += " for " + part.of + " " + strings.Join(part.names, ", ")
			}
		}
	}
	if g.Protected {
		out += ", protected"
	}
	return out
}

// lines counts what came and went, line by line, whatever the order.
func lines(old, next []byte) string {
	count := map[string]int{}
	for l := range bytes.Lines(old) {
		count[string(l)]--
	}
	for l := range bytes.Lines(next) {
		count[string(l)]++
	}
	added, removed := 0, 0
	for _, n := range count {
		added, removed = added+max(n, 0), removed+max(-n, 0)
	}
	return fmt.Sprintf("+%d −%d lines", added, removed)
}

// Schema gives the JSON Schema of what guardrails are given as input.
func (s *Service) Schema(ctx context.Context) ([]byte, error) {
	if _, err := s.access.Check(ctx, access.GuardrailView, target("")); err != nil {
		return nil, err
	}
	return Schema(), nil
}

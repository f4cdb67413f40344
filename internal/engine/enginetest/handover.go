package enginetest

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"fairlead/internal/engine"
	"fairlead/internal/fault"
)

// eject hands a resource over: nothing changes, and no secret shows unless it
// was asked for.
func (s *suite) eject(t *testing.T) {
	e, req := s.New(t, nil), s.fresh(t)
	x, ok := e.(engine.Ejector)
	if !ok {
		return
	}
	res := s.apply(t, e, req)
	made := s.world(t)
	shown := after(req, veiled(res))
	files, err := x.Eject(t.Context(), shown, false)
	if err != nil {
		t.Fatal(err)
	}
	again, err := x.Eject(t.Context(), shown, false)
	if err != nil || cmp.Diff(files, again) != "" {
		t.Fatalf("ejected twice it differs: %v\n%s", err, cmp.Diff(files, again))
	}
	sound(t, files)
	revealed, err := x.Eject(t.Context(), after(req, res), true)
	if err != nil {
		t.Fatal(err)
	}
	sound(t, revealed)
	for name, o := range res.Outputs {
		if o.Secret.Empty() {
			continue
		}
		if holds(files, o.Secret.Reveal()) {
			t.Errorf("the output %s shows, and nobody asked for it", name)
		}
	}
	if !slices.ContainsFunc(slices.Collect(secretsOf(res)), func(secret string) bool { return holds(revealed, secret) }) && len(slices.Collect(secretsOf(res))) > 0 {
		t.Error("no secret was revealed")
	}
	for range 2 {
		if err := x.Release(t.Context(), after(req, res)); err != nil {
			t.Fatal(err)
		}
	}
	if got := s.world(t); got != made {
		t.Fatalf("handing over changed something:\n%s\n%s", made, got)
	}
	if s.Use != nil {
		if err := s.Use(t.Context(), res); err != nil {
			t.Fatalf("what was let go of no longer works: %v", err)
		}
	}
}

// veiled is a result without its secrets.
func veiled(res engine.Result) engine.Result {
	out := res
	out.Outputs = map[string]engine.Output{}
	for name, o := range res.Outputs {
		if !o.Sensitive {
			out.Outputs[name] = o
			continue
		}
		out.Outputs[name] = engine.Output{Sensitive: true}
	}
	return out
}

func secretsOf(res engine.Result) func(func(string) bool) {
	return func(yield func(string) bool) {
		for _, o := range res.Outputs {
			if !o.Secret.Empty() && !yield(o.Secret.Reveal()) {
				return
			}
		}
	}
}

func holds(files []engine.File, text string) bool {
	return slices.ContainsFunc(files, func(f engine.File) bool { return bytes.Contains(f.Data, []byte(text)) })
}

func sound(t *testing.T, files []engine.File) {
	t.Helper()
	seen := map[string]bool{}
	for _, f := range files {
		if !fs.ValidPath(f.Path) || f.Path == "." || seen[f.Path] {
			t.Errorf("the path %q", f.Path)
		}
		seen[f.Path] = true
	}
	if !seen["README.md"] {
		t.Error("nobody is told how to go on: no README.md")
	}
}

// takeOver adopts what is there already, and goes on with it as with its own.
func (s *suite) takeOver(t *testing.T) {
	e := s.New(t, nil)
	x, ok := e.(engine.Adopter)
	if !ok {
		t.Fatal("the engine adopts nothing")
	}
	req, a := s.adoptable(t)
	before := s.world(t)
	plan, err := x.PlanAdoption(t.Context(), req, a)
	if err != nil {
		t.Fatal(err)
	}
	again, err := x.PlanAdoption(t.Context(), req, a)
	if err != nil || cmp.Diff(plan, again) != "" {
		t.Fatalf("planned twice it differs: %v\n%s", err, cmp.Diff(plan, again))
	}
	if got := s.world(t); got != before {
		t.Fatalf("a plan changed something:\n%s\n%s", before, got)
	}
	if plan.Destructive() {
		t.Errorf("adopting destroys something: %+v", plan.Changes)
	}
	for range 2 {
		if err := x.Adopt(t.Context(), req, a, engine.Discard); err != nil {
			t.Fatal(err)
		}
	}
	res, err := e.Apply(t.Context(), req, engine.Plan{}, engine.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if err := x.Adopt(t.Context(), req, a, engine.Discard); err != nil {
		t.Fatalf("adopted again after apply: %v", err)
	}
	s.good(t, e, req, res)
	if plan, err := e.Plan(t.Context(), after(req, res)); err != nil || !plan.Empty() {
		t.Fatalf("once it is applied the plan is %+v, %v", plan, err)
	}
	sameOutputs(t, res, s.apply(t, e, after(req, res)))

	other := s.fresh(t)
	other.Inputs, other.Adopted = req.Inputs, req.Adopted
	adopted := s.world(t)
	if _, err := x.PlanAdoption(t.Context(), other, a); isFault(t, err).Code != "object_not_ours" {
		t.Fatalf("a second resource may plan to have it: %v", err)
	}
	if err := x.Adopt(t.Context(), other, a, engine.Discard); isFault(t, err).Code != "object_not_ours" {
		t.Fatalf("a second resource may have it: %v", err)
	}
	if got := s.world(t); got != adopted {
		t.Fatalf("a refusal changed something:\n%s\n%s", adopted, got)
	}
	if err := e.Destroy(t.Context(), after(req, res), engine.Discard); err != nil {
		t.Fatal(err)
	}
	s.gone(t, e, req)
}

func (s *suite) adoptable(t *testing.T) (engine.Request, engine.Adoption) {
	t.Helper()
	s.mu.Lock()
	s.n++
	name := "adopt-" + string(rune('a'+s.n%26)) + string(rune('a'+s.n/26%26))
	s.mu.Unlock()
	req, a := s.Adoptable(t, name)
	req.Adopted = a.Object
	t.Cleanup(func() { _ = s.New(t, nil).Destroy(context.Background(), req, engine.Discard) })
	return req, a
}

// takeOverCutOff cuts adopting and the first apply off anywhere: doing both
// again gives one whole resource.
func (s *suite) takeOverCutOff(t *testing.T) {
	whole := s.New(t, nil)
	for n := 1; n < mostPoints; n += max(s.CutEvery, 1) {
		req, a := s.adoptable(t)
		call := func(ctx context.Context, e engine.Engine, p engine.Progress) (res engine.Result, err error) {
			if err := e.(engine.Adopter).Adopt(ctx, req, a, p); err != nil {
				return res, err
			}
			return e.Apply(ctx, req, engine.Plan{}, p)
		}
		reached := s.cut(t, n, func(ctx context.Context, e engine.Engine, p engine.Progress) error {
			_, err := call(ctx, e, p)
			return err
		})
		res, err := call(t.Context(), whole, engine.Discard)
		if err != nil {
			t.Fatalf("again after a cut at %d: %v", n, err)
		}
		s.good(t, whole, req, res)
		if err := whole.Destroy(t.Context(), after(req, res), engine.Discard); err != nil {
			t.Fatal(err)
		}
		if !reached {
			return
		}
	}
	t.Fatalf("more than %d points in one adoption", mostPoints)
}

// nothingToAdopt refuses what is not there, and what a stale worker wants.
func (s *suite) nothingToAdopt(t *testing.T) {
	e := s.New(t, nil)
	x := e.(engine.Adopter)
	req, a := s.adoptable(t)
	before := s.world(t)
	lost := errors.New("the claim is lost")
	stale := req
	stale.Fenced = func(context.Context) error { return lost }
	if err := x.Adopt(t.Context(), stale, a, engine.Discard); !errors.Is(err, lost) {
		t.Errorf("a worker without a claim: %v", err)
	}
	for what, a := range map[string]engine.Adoption{"nothing": {}, "what is not there": {Object: "store/no-such-thing"}} {
		req := req
		req.Adopted = a.Object
		if _, err := x.PlanAdoption(t.Context(), req, a); !fault.Is(err, fault.Invalid) {
			t.Errorf("plan of %s: %v", what, err)
		}
		if err := x.Adopt(t.Context(), req, a, engine.Discard); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if got := s.world(t); got != before {
		t.Fatalf("a refusal changed something:\n%s\n%s", before, got)
	}
}

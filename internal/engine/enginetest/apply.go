package enginetest

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"fairlead/internal/engine"
	"fairlead/internal/fault"
)

func (s *suite) plan(t *testing.T) {
	e, req := s.New(t, nil), s.fresh(t)
	before := s.world(t)
	var first string
	for i := range 3 {
		p, err := e.Plan(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			first = string(raw)
		} else if first != string(raw) {
			t.Fatalf("plans differ:\n%s\n%s", first, raw)
		}
		if !s.Stateless && p.Empty() {
			t.Fatal("the plan for something new is empty")
		}
		if p.Destructive() {
			t.Fatal("the plan for something new destroys")
		}
	}
	if got := s.world(t); got != before {
		t.Fatalf("planning changed the world:\n%s\n%s", before, got)
	}
	s.gone(t, e, req)
	res := s.apply(t, e, req)
	if p, err := e.Plan(t.Context(), after(req, res)); err != nil || !p.Empty() {
		t.Fatalf("the plan for what is there already: %+v, %v", p, err)
	}
}

// planNew holds a DryPlanner to its word; other engines pass.
func (s *suite) planNew(t *testing.T) {
	if _, dry := s.New(t, nil).(engine.DryPlanner); !dry {
		return
	}
	calls, before := &recorder{}, s.world(t)
	e, req := s.New(t, func(point string) { calls.Step("%s", point) }), s.fresh(t)
	dry := func(req engine.Request) string {
		t.Helper()
		p, err := e.(engine.DryPlanner).PlanNew(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		return picture(t, p)
	}
	fromNothing := dry(req)
	for why, spoil := range s.Invalid { // some of it only the world can tell
		if _, err := e.(engine.DryPlanner).PlanNew(t.Context(), spoil(req)); err != nil && !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: want Invalid, got %v", why, err)
		}
	}
	if said := calls.text.String(); said != "" {
		t.Fatalf("planning without a look at the world called out: %s", said)
	}
	if got := s.world(t); got != before {
		t.Fatalf("planning changed the world:\n%s\n%s", before, got)
	}
	p, err := e.Plan(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	if whole := picture(t, p); fromNothing != whole {
		t.Fatalf("the plans of something new differ:\n%s\n%s", fromNothing, whole)
	}
	res := s.apply(t, e, req)
	if again := dry(after(req, res)); again != fromNothing {
		t.Fatalf("what is there changed the plan that looks at nothing:\n%s\n%s", fromNothing, again)
	}
}

func picture(t *testing.T, p engine.Plan) string {
	t.Helper()
	raw, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func (s *suite) applyTwice(t *testing.T) {
	e, req := s.New(t, nil), s.fresh(t)
	res := s.apply(t, e, req)
	s.good(t, e, req, res)
	before := s.world(t)
	again := s.apply(t, s.New(t, nil), after(req, res))
	sameOutputs(t, res, again)
	if string(res.State) != string(again.State) {
		t.Fatalf("state differs: %s %s", res.State, again.State)
	}
	if got := s.world(t); got != before {
		t.Fatalf("the second Apply changed the world:\n%s\n%s", before, got)
	}
	s.good(t, e, req, again)
}

func (s *suite) applyChange(t *testing.T) {
	e, req := s.New(t, nil), s.fresh(t)
	res := s.apply(t, e, req)
	changed := s.Change(after(req, res))
	p, err := e.Plan(t.Context(), changed)
	if err != nil || (p.Empty() && !s.Stateless) {
		t.Fatalf("the plan of a change: %+v, %v", p, err)
	}
	next, err := e.Apply(t.Context(), changed, p, engine.Discard)
	if err != nil {
		t.Fatal(err)
	}
	s.good(t, e, changed, next)
}

func (s *suite) applyCutOff(t *testing.T) {
	whole := s.New(t, nil)
	for n := 1; n < mostPoints; n += max(s.CutEvery, 1) {
		// Cut off and destroyed, then cut off and carried on, on the same name.
		req := s.fresh(t)
		cutApply := func(ctx context.Context, e engine.Engine, p engine.Progress) error {
			_, err := e.Apply(ctx, req, engine.Plan{}, p)
			return err
		}
		reached := s.cut(t, n, cutApply)
		if err := whole.Destroy(t.Context(), req, engine.Discard); err != nil {
			t.Fatalf("destroy after a cut at %d: %v", n, err)
		}
		s.gone(t, whole, req)

		s.cut(t, n, cutApply)
		if o := s.observe(t, whole, req); o.Err != nil || o.Presence == engine.Lost {
			t.Fatalf("observed after a cut at %d: %+v", n, o)
		}
		res := s.apply(t, whole, req)
		s.good(t, whole, req, res)
		if !reached {
			return
		}
	}
	t.Fatalf("more than %d points in one Apply", mostPoints)
}

func (s *suite) adopt(t *testing.T) {
	e, req := s.New(t, nil), s.fresh(t)
	first := s.apply(t, e, req)
	res := s.apply(t, e, req) // the record of the first was lost
	if len(res.Objects) != len(first.Objects) {
		t.Fatalf("objects: %v, were %v", res.Objects, first.Objects)
	}
	s.good(t, e, req, res)
}

func (s *suite) foreign(t *testing.T) {
	e, req := s.New(t, nil), s.fresh(t)
	untouched := s.Foreign(t, req)
	_, err := e.Apply(t.Context(), req, engine.Plan{}, engine.Discard)
	if !fault.Is(err, fault.Conflict) {
		t.Fatalf("want a Conflict, got %v", err)
	}
	isFault(t, err)
	if o := s.observe(t, e, req); o.Err == nil && (o.Presence == engine.Present || len(o.Objects) > 0) {
		t.Fatalf("a foreign object is taken for ours: %+v", o)
	}
	if err := e.Destroy(t.Context(), req, engine.Discard); err != nil && !fault.Is(err, fault.Conflict) {
		t.Fatalf("destroy: %v", err)
	}
	if !untouched() {
		t.Fatal("the foreign object was touched")
	}
}

func (s *suite) lost(t *testing.T) {
	e, req := s.New(t, nil), s.fresh(t)
	res := s.apply(t, e, req)
	s.Lose(t, res)
	if o := s.observe(t, e, after(req, res)); o.Err != nil || o.Presence != engine.Lost {
		t.Fatalf("want lost, got %+v", o)
	}
	before := s.world(t)
	_, err := e.Apply(t.Context(), after(req, res), engine.Plan{}, engine.Discard)
	if !errors.Is(err, fault.New(fault.Conflict, "resource_lost", "")) {
		t.Fatalf("want resource_lost, got %v", err)
	}
	if s.world(t) != before {
		t.Fatal("something was made again")
	}
	if err := e.Destroy(t.Context(), after(req, res), engine.Discard); err != nil {
		t.Fatalf("destroy of what is lost: %v", err)
	}
	s.gone(t, e, req)
}

// fencedOff calls on behalf of a worker that lost its claim while it slept:
// the call ends with the fence's own error, and the world is as before.
func (s *suite) fencedOff(t *testing.T) {
	e, req := s.New(t, nil), s.fresh(t)
	lost := errors.New("the claim is lost")
	stale := func(r engine.Request) engine.Request {
		r.Fenced = func(context.Context) error { return lost }
		return r
	}
	before := s.world(t)
	if _, err := e.Apply(t.Context(), stale(req), engine.Plan{}, engine.Discard); !errors.Is(err, lost) {
		t.Fatalf("apply: %v", err)
	}
	if got := s.world(t); got != before {
		t.Fatalf("a worker without a claim made something:\n%s\n%s", before, got)
	}
	res := s.apply(t, e, req)
	made := s.world(t)
	if _, err := e.Apply(t.Context(), stale(req), engine.Plan{}, engine.Discard); !errors.Is(err, lost) { // it knows of no password
		t.Fatalf("apply over the successor's: %v", err)
	}
	if err := e.Destroy(t.Context(), stale(after(req, res)), engine.Discard); !errors.Is(err, lost) {
		t.Fatalf("destroy: %v", err)
	}
	if r, ok := e.(engine.Rotator); ok {
		if _, err := r.Rotate(t.Context(), stale(after(req, res)), "rot_stale", engine.Discard); !errors.Is(err, lost) {
			t.Fatalf("rotate: %v", err)
		}
	}
	if got := s.world(t); got != made {
		t.Fatalf("a worker without a claim changed something:\n%s\n%s", made, got)
	}
	if s.Use != nil {
		if err := s.Use(t.Context(), res); err != nil {
			t.Fatalf("the outputs no longer work: %v", err)
		}
	}
}

// asks calls an engine early, if it is one that can be: until it may act it
// changes nothing and says nothing, and what it is told then is its answer.
func (s *suite) asks(t *testing.T) {
	e, req := s.New(t, nil), s.fresh(t)
	if _, ok := e.(engine.Asker); !ok {
		return
	}
	before, refused := s.world(t), errors.New("it may not")
	for _, answer := range []error{refused, nil} {
		asked, may, said := make(chan struct{}), make(chan error, 1), &steps{}
		early := req
		early.Fenced = func(ctx context.Context) error {
			close(asked)
			select {
			case err := <-may:
				return err
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		var res engine.Result
		over := make(chan error, 1)
		go func() {
			var err error
			res, err = e.Apply(t.Context(), early, engine.Plan{}, said)
			over <- err
		}()
		<-asked
		if got := s.world(t); got != before {
			t.Fatalf("it changed something before it was allowed to:\n%s\n%s", before, got)
		}
		if n := said.n.Load(); n > 0 {
			t.Fatalf("it said %d things before it was allowed to act", n)
		}
		may <- answer
		if err := <-over; !errors.Is(err, answer) {
			t.Fatalf("it was told %v and says %v", answer, err)
		}
		if got := s.world(t); answer != nil && got != before {
			t.Fatalf("it was not allowed to, and changed something:\n%s\n%s", before, got)
		}
		if answer == nil {
			if o := s.observe(t, e, after(req, res)); o.Err != nil || o.Presence != engine.Present {
				t.Fatalf("it was allowed to, and what it made is %+v", o)
			}
		}
	}
	if s.World != nil && s.world(t) == before {
		t.Fatal("the world's picture does not show what was made, so no comparison of it means anything")
	}
}

// steps counts what an engine says.
type steps struct{ n atomic.Int64 }

func (s *steps) Step(string, ...any) { s.n.Add(1) }

func (s *suite) destroyTwice(t *testing.T) {
	e, req := s.New(t, nil), s.fresh(t)
	if err := e.Destroy(t.Context(), req, engine.Discard); err != nil {
		t.Fatalf("destroy of nothing: %v", err)
	}
	before := s.world(t)
	res := s.apply(t, e, req)
	for range 2 {
		if err := e.Destroy(t.Context(), after(req, res), engine.Discard); err != nil {
			t.Fatal(err)
		}
		s.gone(t, e, req)
	}
	if got := s.world(t); got != before {
		t.Fatalf("destroy left something:\n%s\n%s", before, got)
	}
	if s.Use != nil {
		if err := s.Use(t.Context(), res); err == nil {
			t.Fatal("the outputs still work")
		}
	}
}

func (s *suite) destroyCutOff(t *testing.T) {
	whole := s.New(t, nil)
	for n := 1; n < mostPoints; n += max(s.CutEvery, 1) {
		req := s.fresh(t)
		res := s.apply(t, whole, req)
		reached := s.cut(t, n, func(ctx context.Context, e engine.Engine, p engine.Progress) error {
			return e.Destroy(ctx, after(req, res), p)
		})
		if err := whole.Destroy(t.Context(), after(req, res), engine.Discard); err != nil {
			t.Fatalf("destroy after a cut at %d: %v", n, err)
		}
		s.gone(t, whole, req)
		if !reached {
			return
		}
	}
	t.Fatalf("more than %d points in one Destroy", mostPoints)
}

func (s *suite) concurrent(t *testing.T) {
	e := s.New(t, nil)
	const many = 6
	reqs, results := make([]engine.Request, many), make([]engine.Result, many)
	for i := range reqs {
		reqs[i] = s.fresh(t)
	}
	var wg sync.WaitGroup
	for i := range reqs {
		wg.Go(func() {
			res, err := e.Apply(t.Context(), reqs[i], engine.Plan{}, engine.Discard)
			if err != nil {
				t.Errorf("%d: %v", i, err)
			}
			results[i] = res
		})
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	seen := map[engine.Object]int{}
	for i := range reqs {
		s.good(t, e, reqs[i], results[i])
		for _, o := range results[i].Objects {
			if j, twice := seen[o]; twice {
				t.Fatalf("%v belongs to %d and %d", o, j, i)
			}
			seen[o] = i
		}
	}
}

func (s *suite) cancel(t *testing.T) {
	e, req := s.New(t, nil), s.fresh(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	within(t, 5*time.Second, "a cancelled call", func() {
		for name, call := range map[string]func() error{
			"apply":   func() error { _, err := e.Apply(ctx, req, engine.Plan{}, engine.Discard); return err },
			"destroy": func() error { return e.Destroy(ctx, req, engine.Discard) },
		} {
			err := call()
			if err == nil {
				continue // it had nothing to wait for
			}
			var f *fault.Error
			if !errors.As(err, &f) || f.Kind != fault.Unavailable {
				t.Errorf("%s: want Unavailable, got %v", name, err)
			}
		}
	})
}

func (s *suite) invalid(t *testing.T) {
	e := s.New(t, nil)
	for why, spoil := range s.Invalid {
		req := s.fresh(t)
		before := s.world(t)
		_, err := e.Apply(t.Context(), spoil(req), engine.Plan{}, engine.Discard)
		if !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: apply: want Invalid, got %v", why, err)
		}
		if _, err := e.Plan(t.Context(), spoil(req)); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: plan: want Invalid, got %v", why, err)
		}
		if s.world(t) != before {
			t.Errorf("%s: something was made", why)
		}
	}
}

func (s *suite) secrets(t *testing.T) {
	e, req := s.New(t, nil), s.fresh(t)
	said := &recorder{}
	plan, err := e.Plan(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	res, err := e.Apply(t.Context(), req, plan, said)
	if err != nil {
		t.Fatal(err)
	}
	again, err := e.Plan(t.Context(), after(req, res))
	if err != nil {
		t.Fatal(err)
	}
	o := s.observe(t, e, after(req, res))
	_, cutErr := e.Apply(cancelled(t), after(req, res), again, said)
	if err := e.Destroy(t.Context(), after(req, res), said); err != nil {
		t.Fatal(err)
	}
	shown, err := json.Marshal([]any{plan, again, o.Drift, o.Objects, res.Objects, res.State})
	if err != nil {
		t.Fatal(err)
	}
	all := said.text.String() + string(shown)
	if cutErr != nil {
		all += cutErr.Error()
	}
	for name, out := range res.Outputs {
		if out.Secret.Empty() {
			continue
		}
		if !out.Sensitive {
			t.Errorf("output %s is secret and not marked sensitive", name)
		}
		if strings.Contains(all, out.Secret.Reveal()) {
			t.Errorf("the secret output %s shows", name)
		}
	}
}

func cancelled(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

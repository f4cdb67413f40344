package enginetest

import (
	"slices"
	"testing"

	"fairlead/internal/engine"
)

func (s *suite) observeOrder(t *testing.T) {
	e := s.New(t, nil)
	here, never, gone := s.fresh(t), s.fresh(t), s.fresh(t)
	res := s.apply(t, e, here)
	gres := s.apply(t, e, gone)
	if err := e.Destroy(t.Context(), after(gone, gres), engine.Discard); err != nil {
		t.Fatal(err)
	}
	before := s.world(t)
	got, err := e.Observe(t.Context(), []engine.Request{never, after(here, res), gone})
	if err != nil {
		t.Fatal(err)
	}
	want := []engine.Presence{engine.Absent, engine.Present, engine.Absent}
	if len(got) != len(want) {
		t.Fatalf("%d observations of %d targets", len(got), len(want))
	}
	for i := range want {
		if got[i].Err != nil || got[i].Presence != want[i] {
			t.Errorf("target %d: want %s, got %+v", i, want[i], got[i])
		}
	}
	if s.world(t) != before {
		t.Error("observing changed the world")
	}
	if none, err := e.Observe(t.Context(), nil); err != nil || len(none) != 0 {
		t.Errorf("no targets: %v %v", none, err)
	}
}

// tampers heals one resource again and again; what does not heal gets a
// resource of its own.
func (s *suite) tampers(t *testing.T) {
	e, req, neighbour := s.New(t, nil), s.fresh(t), s.fresh(t)
	res, nres := s.apply(t, e, req), s.apply(t, e, neighbour)
	for _, tm := range s.Tampers {
		t.Run(tm.Name, func(t *testing.T) {
			heals, req, was := tm.Severity == engine.Heal, req, res
			if !heals {
				req = s.fresh(t)
				was = s.apply(t, e, req)
			}
			tm.Do(t, was)
			o := s.observe(t, e, after(req, was))
			if o.Err != nil || len(o.Drift) == 0 || o.Presence == engine.Absent {
				t.Fatalf("not seen: %+v", o)
			}
			for _, d := range o.Drift {
				if d.Severity != tm.Severity || d.Address == "" || d.Field == "" {
					t.Errorf("drift %+v, want severity %s", d, tm.Severity)
				}
				if d.Cause != engine.CausePerson && d.Cause != engine.CauseDeleted {
					t.Errorf("drift %+v was not made by what is wanted, nor is it noise", d)
				}
			}
			if want := tm.cause(); !slices.ContainsFunc(o.Drift, func(d engine.Drift) bool { return d.Cause == want }) {
				t.Errorf("none of %+v has the cause %s", o.Drift, want)
			}
			s.good(t, e, neighbour, nres)
			if heals {
				res = s.heals(t, e, req, was)
			}
		})
		if t.Failed() {
			return
		}
	}
}

func (tm Tamper) cause() engine.Cause {
	if tm.Cause == "" {
		return engine.CausePerson
	}
	return tm.Cause
}

// wantedAnew: what nobody touched, and is wanted otherwise, is told apart from
// what somebody changed.
func (s *suite) wantedAnew(t *testing.T) {
	e, req := s.New(t, nil), s.fresh(t)
	res := s.apply(t, e, req)
	changed := s.Change(after(req, res))
	o := s.observe(t, e, changed)
	if o.Err != nil || o.Presence != engine.Present || len(o.Drift) == 0 {
		t.Fatalf("not seen: %+v", o)
	}
	for _, d := range o.Drift {
		if d.Cause != engine.CauseDesired {
			t.Errorf("%+v, want the cause %s", d, engine.CauseDesired)
		}
	}
	next := s.apply(t, e, changed)
	s.good(t, e, changed, next)
}

func (s *suite) heals(t *testing.T, e engine.Engine, req engine.Request, res engine.Result) engine.Result {
	t.Helper()
	p, err := e.Plan(t.Context(), after(req, res))
	if err != nil || p.Empty() || p.Destructive() {
		t.Fatalf("the plan to heal: %+v, %v", p, err)
	}
	healed := s.apply(t, e, after(req, res))
	sameOutputs(t, res, healed)
	if p, err := e.Plan(t.Context(), after(req, healed)); err != nil || !p.Empty() {
		t.Fatalf("the plan after healing: %+v, %v", p, err)
	}
	s.good(t, e, req, healed)
	return healed
}

func (s *suite) poison(t *testing.T) {
	e := s.New(t, nil)
	reqs := []engine.Request{s.fresh(t), s.fresh(t), s.fresh(t)}
	for i := range reqs {
		reqs[i] = after(reqs[i], s.apply(t, e, reqs[i]))
	}
	s.Poison(t, *reqs[1].Previous)
	got, err := e.Observe(t.Context(), reqs)
	if err != nil || len(got) != len(reqs) {
		t.Fatalf("%v, %v", got, err)
	}
	for _, i := range []int{0, 2} {
		if got[i].Err != nil || got[i].Presence != engine.Present || len(got[i].Drift) > 0 {
			t.Errorf("the neighbour %d suffers: %+v", i, got[i])
		}
	}
	if got[1].Err == nil && got[1].Presence == engine.Present && len(got[1].Drift) == 0 {
		t.Errorf("the poisoned one looks well: %+v", got[1])
	}
}

package enginetest

import (
	"testing"

	"fairlead/internal/engine"
)

// pause stops a resource and starts it again: meanwhile nobody uses it, nothing
// of it is missed, and afterwards all is as before.
func (s *suite) pause(t *testing.T) {
	e, req := s.New(t, nil), s.fresh(t)
	p, ok := e.(engine.Pauser)
	if !ok || !p.CanPause(req.Template) {
		return
	}
	res := s.apply(t, e, req)
	stopped := after(req, res)
	stopped.Paused = true
	for range 2 { // the second time there is nothing to do
		sameOutputs(t, res, s.apply(t, e, stopped))
		if s.Use != nil && s.Use(t.Context(), res) == nil {
			t.Fatal("what is stopped can be used")
		}
		seen := s.observe(t, e, stopped)
		if seen.Presence != engine.Present || len(seen.Drift) > 0 {
			t.Fatalf("what is stopped is seen as %+v", seen)
		}
	}
	if plan, err := e.Plan(t.Context(), stopped); err != nil || !plan.Empty() {
		t.Fatalf("once it is stopped the plan is %+v, %v", plan, err)
	}
	if !s.Stateless {
		if seen := s.observe(t, e, after(req, res)); len(seen.Drift) == 0 {
			t.Error("what should run is stopped, and nobody sees it")
		}
	}
	started := after(req, res)
	sameOutputs(t, res, s.apply(t, e, started))
	s.good(t, e, req, res)
	stopped.Previous = &res
	s.apply(t, e, stopped)
	if err := e.Destroy(t.Context(), stopped, engine.Discard); err != nil {
		t.Fatal(err)
	}
	s.gone(t, e, req)
}

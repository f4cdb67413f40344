package enginetest

import (
	"context"
	"testing"

	"fairlead/internal/engine"
)

func (s *suite) rotate(t *testing.T) {
	e, req := s.New(t, nil), s.fresh(t)
	r, ok := e.(engine.Rotator)
	if !ok {
		return
	}
	old := s.apply(t, e, req)
	for _, id := range []string{"rot-1", "rot-2", "rot-3"} { // roles take turns
		next, err := r.Rotate(t.Context(), after(req, old), id, engine.Discard)
		if err != nil {
			t.Fatal(err)
		}
		s.good(t, e, req, next)
		if s.Use != nil {
			if err := s.Use(t.Context(), old); err != nil {
				t.Fatalf("%s: the old credentials ended at once: %v", id, err)
			}
		}
		again, err := r.Rotate(t.Context(), after(req, next), id, engine.Discard)
		if err != nil {
			t.Fatal(err)
		}
		sameOutputs(t, next, again)
		sameOutputs(t, next, s.apply(t, e, after(req, next))) // an Apply within the overlap
		if s.Use != nil {
			if err := s.Use(t.Context(), old); err != nil {
				t.Fatalf("%s: an Apply ended the overlap: %v", id, err)
			}
		}
		for range 2 {
			if err := r.Retire(t.Context(), after(req, next)); err != nil {
				t.Fatal(err)
			}
		}
		if s.Use != nil && s.Use(t.Context(), old) == nil {
			t.Fatalf("%s: the retired credentials still work", id)
		}
		s.good(t, e, req, next)
		sameOutputs(t, next, s.apply(t, e, after(req, next)))
		old = next
	}
	if err := e.Destroy(t.Context(), after(req, old), engine.Discard); err != nil {
		t.Fatal(err)
	}
	s.gone(t, e, req)
}

func (s *suite) rotateCutOff(t *testing.T) {
	whole := s.New(t, nil)
	if _, ok := whole.(engine.Rotator); !ok {
		return
	}
	req := s.fresh(t)
	old := s.apply(t, whole, req)
	for n := 1; n < mostPoints; n++ {
		reached := s.cut(t, n, func(ctx context.Context, e engine.Engine, p engine.Progress) error {
			_, err := e.(engine.Rotator).Rotate(ctx, after(req, old), "rot", p)
			return err
		})
		if s.Use != nil {
			if err := s.Use(t.Context(), old); err != nil {
				t.Fatalf("cut at %d: the old credentials ended: %v", n, err)
			}
		}
		next, err := whole.(engine.Rotator).Rotate(t.Context(), after(req, old), "rot", engine.Discard)
		if err != nil {
			t.Fatalf("after a cut at %d: %v", n, err)
		}
		s.good(t, whole, req, next)
		if !reached {
			return
		}
	}
	t.Fatalf("more than %d points in one Rotate", mostPoints)
}

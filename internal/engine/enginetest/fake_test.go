package enginetest_test

import (
	"context"
	"errors"
	"testing"

	"fairlead/internal/engine"
	"fairlead/internal/engine/enginetest"
)

func TestFakeConforms(t *testing.T) {
	t.Parallel()
	world := &enginetest.World{}
	name := func(res engine.Result) string { return res.Outputs["name"].Value.(string) }
	tamper := func(what, kind string, f func(*enginetest.Thing) *enginetest.Thing) enginetest.Tamper {
		return enginetest.Tamper{Name: what, Severity: engine.Heal, Do: func(_ *testing.T, res engine.Result) { world.Change(kind+"-"+name(res), f) }}
	}
	enginetest.Run(t, enginetest.Harness{
		New: func(_ *testing.T, onCall func(string)) engine.Engine {
			return &enginetest.Fake{World: world, OnCall: onCall}
		},
		Request: func(_ *testing.T, name string) engine.Request {
			return engine.Request{Ref: engine.Ref{Installation: "i", ID: "res_" + name, Name: name}, Inputs: map[string]any{"size": 2}}
		},
		Change: func(r engine.Request) engine.Request { r.Inputs = map[string]any{"size": 3.0}; return r },
		Invalid: map[string]func(engine.Request) engine.Request{
			"a size that is a text": func(r engine.Request) engine.Request { r.Inputs = map[string]any{"size": "big"}; return r },
		},
		World: func(*testing.T) string { return world.Picture() },
		Use: func(_ context.Context, res engine.Result) error {
			if !world.Open(name(res), res.Outputs["key"].Secret.Reveal()) {
				return errors.New("the key does not open")
			}
			return nil
		},
		Tampers: []enginetest.Tamper{
			tamper("Size", "store", func(o *enginetest.Thing) *enginetest.Thing { o.Size = 9; return o }),
			deleting(tamper("DoorGone", "door", func(*enginetest.Thing) *enginetest.Thing { return nil })),
			tamper("Keys", "door", func(o *enginetest.Thing) *enginetest.Thing { o.Keys = []string{"mine"}; return o }),
		},
		Lose: func(_ *testing.T, res engine.Result) {
			world.Change("store-"+name(res), func(*enginetest.Thing) *enginetest.Thing { return nil })
		},
		Foreign: func(_ *testing.T, req engine.Request) func() bool {
			n := "store-" + req.Ref.Name + "-i-" + req.Ref.ID
			world.Change(n, func(*enginetest.Thing) *enginetest.Thing { return &enginetest.Thing{Size: 77} })
			return func() (ok bool) {
				world.Change(n, func(o *enginetest.Thing) *enginetest.Thing { ok = o != nil && o.Size == 77; return o })
				return ok
			}
		},
		Adoptable: func(_ *testing.T, name string) (engine.Request, engine.Adoption) {
			world.Change("store-old-"+name, func(*enginetest.Thing) *enginetest.Thing { return &enginetest.Thing{Size: 2} })
			return engine.Request{Ref: engine.Ref{Installation: "i", ID: "res_" + name, Name: name}, Inputs: map[string]any{"size": 2}}, engine.Adoption{Object: "store/old-" + name}
		},
		Poison: func(t *testing.T, res engine.Result) {
			world.Poison("store-"+name(res), true)
			t.Cleanup(func() { world.Poison("store-"+name(res), false) })
		},
	})
}

// deleting says what is to be found of a tamper that takes an object away.
func deleting(t enginetest.Tamper) enginetest.Tamper {
	t.Cause = engine.CauseDeleted
	return t
}

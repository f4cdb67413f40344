package resourcetest

import (
	"context"
	"fmt"
	"maps"
	"sync"

	"fairlead/internal/engine"
	"fairlead/internal/engine/enginetest"
	"fairlead/internal/fault"
)

// Step is one call to the engine as a test wants it to go: call does what the
// engine would do.
type Step func(ctx context.Context, call func() error) error

// Engine is a fake engine whose calls can be scripted, one step a call. It
// notices when two calls that change one resource overlap.
type Engine struct {
	fake *enginetest.Fake

	mu       sync.Mutex
	script   map[string][]Step
	busy     map[string]int
	overlaps []string
	calls    map[string]int
	name     func(inputs map[string]any) any // of the output; nil: the fake's own
	blabs    string                          // what drift that is seen repeats
	replaces bool                            // every plan replaces something
}

// NewEngine makes an Engine on a world of its own.
func NewEngine() *Engine {
	return &Engine{fake: &enginetest.Fake{World: &enginetest.World{}}, script: map[string][]Step{}, busy: map[string]int{},
		calls: map[string]int{}}
}

// World is what the engine works on.
func (e *Engine) World() *enginetest.World { return e.fake.World }

// Next scripts the calls of an operation ("plan", "apply", "observe",
// "destroy", "rotate", "retire") that come next.
func (e *Engine) Next(op string, steps ...Step) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.script[op] = append(e.script[op], steps...)
}

// Name has the output name be what f gives for the inputs.
func (e *Engine) Name(f func(inputs map[string]any) any) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.name = f
}

// Calls is how often an operation was called.
func (e *Engine) Calls(op string) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.calls[op]
}

// Overlaps tells of calls that changed one resource at once; there may be none.
func (e *Engine) Overlaps() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]string(nil), e.overlaps...)
}

func (e *Engine) do(ctx context.Context, op, id string, call func() error) error {
	e.mu.Lock()
	e.calls[op]++
	var step Step
	if list := e.script[op]; len(list) > 0 {
		step, e.script[op] = list[0], list[1:]
	}
	if id != "" {
		if e.busy[id]++; e.busy[id] > 1 {
			e.overlaps = append(e.overlaps, fmt.Sprintf("%s of %s", op, id))
		}
	}
	e.mu.Unlock()
	defer func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		if id != "" {
			e.busy[id]--
		}
	}()
	if step == nil {
		return call()
	}
	return step(ctx, call)
}

// Replaces has every plan replace something, or not.
func (e *Engine) Replaces(on bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.replaces = on
}

// Blab has all drift that is seen repeat a text.
func (e *Engine) Blab(text string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.blabs = text
}

// Plan implements engine.Engine.
func (e *Engine) Plan(ctx context.Context, req engine.Request) (p engine.Plan, err error) {
	err = e.do(ctx, "plan", "", func() error { p, err = e.fake.Plan(ctx, req); return err })
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.replaces && err == nil {
		p.Changes = append(p.Changes, engine.Change{Address: "store.other", Kind: "store", Action: engine.Replace})
	}
	return p, err
}

// Apply implements engine.Engine.
func (e *Engine) Apply(ctx context.Context, req engine.Request, plan engine.Plan, p engine.Progress) (res engine.Result, err error) {
	err = e.do(ctx, "apply", req.Ref.ID, func() error { res, err = e.fake.Apply(ctx, req, plan, p); return err })
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.name != nil && err == nil {
		res.Outputs = maps.Clone(res.Outputs)
		res.Outputs["name"] = engine.Output{Value: e.name(req.Inputs)}
	}
	return res, err
}

// Observe implements engine.Engine.
func (e *Engine) Observe(ctx context.Context, targets []engine.Request) (seen []engine.Observation, err error) {
	err = e.do(ctx, "observe", "", func() error { seen, err = e.fake.Observe(ctx, targets); return err })
	e.mu.Lock()
	defer e.mu.Unlock()
	for i := range seen {
		for k := range seen[i].Drift {
			if e.blabs != "" {
				seen[i].Drift[k].Want = map[string]any{"text": "is " + e.blabs}
			}
		}
	}
	return seen, err
}

// Destroy implements engine.Engine.
func (e *Engine) Destroy(ctx context.Context, req engine.Request, p engine.Progress) error {
	return e.do(ctx, "destroy", req.Ref.ID, func() error { return e.fake.Destroy(ctx, req, p) })
}

// Rotate implements engine.Rotator.
func (e *Engine) Rotate(ctx context.Context, req engine.Request, rotation string, p engine.Progress) (res engine.Result, err error) {
	err = e.do(ctx, "rotate", req.Ref.ID, func() error { res, err = e.fake.Rotate(ctx, req, rotation, p); return err })
	return res, err
}

// Retire implements engine.Rotator.
func (e *Engine) Retire(ctx context.Context, req engine.Request) error {
	return e.do(ctx, "retire", req.Ref.ID, func() error { return e.fake.Retire(ctx, req) })
}

// Eject implements engine.Ejector.
func (e *Engine) Eject(ctx context.Context, req engine.Request, reveal bool) (files []engine.File, err error) {
	err = e.do(ctx, "eject", "", func() error { files, err = e.fake.Eject(ctx, req, reveal); return err })
	return files, err
}

// Release implements engine.Ejector.
func (e *Engine) Release(ctx context.Context, req engine.Request) error {
	return e.do(ctx, "release", req.Ref.ID, func() error { return e.fake.Release(ctx, req) })
}

// PlanAdoption implements engine.Adopter.
func (e *Engine) PlanAdoption(ctx context.Context, req engine.Request, a engine.Adoption) (p engine.Plan, err error) {
	err = e.do(ctx, "plan", "", func() error { p, err = e.fake.PlanAdoption(ctx, req, a); return err })
	return p, err
}

// Adopt implements engine.Adopter.
func (e *Engine) Adopt(ctx context.Context, req engine.Request, a engine.Adoption, p engine.Progress) error {
	return e.do(ctx, "adopt", req.Ref.ID, func() error { return e.fake.Adopt(ctx, req, a, p) })
}

// Fails gives an error instead of doing anything.
func Fails(kind fault.Kind, code string) Step {
	return func(context.Context, func() error) error { return fault.New(kind, code, "scripted failure %s", code) }
}

// ThenFails does it all, and then fails as if the answer had been lost.
func ThenFails(kind fault.Kind, code string) Step {
	return func(_ context.Context, call func() error) error {
		if err := call(); err != nil {
			return err
		}
		return fault.New(kind, code, "scripted loss of the answer")
	}
}

// Panics panics.
func Panics(v any) Step {
	return func(context.Context, func() error) error { panic(v) }
}

// Gate holds a call until it is opened or its context ends.
type Gate struct {
	Entered chan struct{} // closed when the call has come
	open    chan struct{}
	once    sync.Once
	opened  sync.Once
}

// NewGate makes a closed gate.
func NewGate() *Gate { return &Gate{Entered: make(chan struct{}), open: make(chan struct{})} }

// Open lets the call go on.
func (g *Gate) Open() { g.opened.Do(func() { close(g.open) }) }

// Step is the gate's place in a script.
func (g *Gate) Step(ctx context.Context, call func() error) error {
	g.once.Do(func() { close(g.Entered) })
	select {
	case <-g.open:
		return call()
	case <-ctx.Done():
		return fault.New(fault.Unavailable, "interrupted", "the work was cut off").WithCause(context.Cause(ctx))
	}
}

// Deaf is Step for an engine that does not listen to its context.
func (g *Gate) Deaf(_ context.Context, call func() error) error {
	g.once.Do(func() { close(g.Entered) })
	<-g.open
	return call()
}

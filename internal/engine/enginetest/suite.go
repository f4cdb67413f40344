package enginetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"fairlead/internal/engine"
	"fairlead/internal/fault"
)

// Harness is what the suite needs to know of an engine. Only New and Request
// are required; what an engine cannot have (nothing to lose, nobody who could
// tamper) stays nil, and the suite leaves those tests out.
type Harness struct {
	// New gives an engine. All engines of one harness see the same world.
	// onCall is called before and after each external call, if the engine
	// makes any; the suite cuts calls off there. It may be nil.
	New func(t *testing.T, onCall func(point string)) engine.Engine
	// Request gives a request for a resource that does not exist yet. name is
	// unique within the run.
	Request func(t *testing.T, name string) engine.Request

	// Change gives the same resource wanted differently.
	Change func(engine.Request) engine.Request
	// Invalid gives requests that can never work, by what is wrong with them.
	Invalid map[string]func(engine.Request) engine.Request
	// World gives a picture of all that exists outside. Equal worlds give
	// equal pictures.
	World func(t *testing.T) string
	// Use does with the outputs what a developer would do.
	Use func(ctx context.Context, res engine.Result) error
	// Tampers change an applied resource behind the engine's back.
	Tampers []Tamper
	// Lose removes the object that holds the resource's data.
	Lose func(t *testing.T, res engine.Result)
	// Foreign makes an object of the name that req's would have, and gives a
	// function that tells whether it is still as it was made.
	Foreign func(t *testing.T, req engine.Request) (untouched func() bool)
	// Poison makes an applied resource hard to look at: a malformed comment.
	Poison func(t *testing.T, res engine.Result)
	// Adoptable makes, behind the engine's back, something that it could adopt,
	// and gives the request of who adopts it, and what.
	Adoptable func(t *testing.T, name string) (engine.Request, engine.Adoption)
	// CutEvery, when calls are slow, cuts them off at every n-th point alone.
	CutEvery int
	// Stateless says that the engine has no world at all: presence follows
	// Request.Previous.
	Stateless bool
}

// Tamper is something that someone else did to a resource.
type Tamper struct {
	Name     string
	Do       func(t *testing.T, res engine.Result)
	Severity engine.Severity
	Cause    engine.Cause // of one drift at least; CausePerson when empty
}

// Run runs the suite.
func Run(t *testing.T, h Harness) {
	s := &suite{Harness: h}
	for _, c := range []struct {
		name string
		run  func(*testing.T)
		when bool
	}{
		{"PlanIsDeterministicAndChangesNothing", s.plan, true},
		{"PlanNewLooksAtNothing", s.planNew, true},
		{"ApplyTwiceGivesTheSame", s.applyTwice, true},
		{"ApplyChanges", s.applyChange, h.Change != nil},
		{"ApplyCutOffAnywhere", s.applyCutOff, true},
		{"ApplyAdoptsItsOwn", s.adopt, !h.Stateless},
		{"ForeignObjectIsLeftAlone", s.foreign, h.Foreign != nil},
		{"LostIsNeverMadeAgain", s.lost, h.Lose != nil},
		{"DestroyTwice", s.destroyTwice, true},
		{"FencedOffChangesNothing", s.fencedOff, true},
		{"AsksBeforeItActs", s.asks, true},
		{"DestroyCutOffAnywhere", s.destroyCutOff, true},
		{"ObserveKeepsOrder", s.observeOrder, true},
		{"ObserveSeesTampering", s.tampers, len(h.Tampers) > 0},
		{"ObserveTellsWhatIsWantedAnew", s.wantedAnew, h.Change != nil},
		{"ObserveSurvivesPoison", s.poison, h.Poison != nil},
		{"ConcurrentResources", s.concurrent, true},
		{"CancelIsPrompt", s.cancel, true},
		{"InvalidIsInvalid", s.invalid, len(h.Invalid) > 0},
		{"NoSecretShows", s.secrets, true},
		{"PauseAndStart", s.pause, true},
		{"EjectChangesNothing", s.eject, true},
		{"AdoptTakesOver", s.takeOver, h.Adoptable != nil},
		{"AdoptCutOffAnywhere", s.takeOverCutOff, h.Adoptable != nil},
		{"AdoptLeavesAlone", s.nothingToAdopt, h.Adoptable != nil},
		{"RotateOverlaps", s.rotate, true},
		{"RotateCutOffAnywhere", s.rotateCutOff, true},
	} {
		if c.when {
			t.Run(c.name, c.run)
		}
	}
}

type suite struct {
	Harness
	mu sync.Mutex
	n  int
}

// fresh gives a request for a new resource, destroyed when the test ends.
func (s *suite) fresh(t *testing.T) engine.Request {
	t.Helper()
	s.mu.Lock()
	s.n++
	name := fmt.Sprintf("conf-%d", s.n)
	s.mu.Unlock()
	req := s.Request(t, name)
	t.Cleanup(func() {
		_ = s.New(t, nil).Destroy(context.Background(), req, engine.Discard)
	})
	return req
}

func (s *suite) apply(t *testing.T, e engine.Engine, req engine.Request) engine.Result {
	t.Helper()
	plan, err := e.Plan(t.Context(), req)
	if err != nil {
		t.Fatalf("plan: %v", err)
	}
	res, err := e.Apply(t.Context(), req, plan, engine.Discard)
	if err != nil {
		t.Fatalf("apply: %v", err)
	}
	return res
}

// after gives the request with the result of the last call in it.
func after(req engine.Request, res engine.Result) engine.Request {
	req.Previous = &res
	return req
}

func (s *suite) observe(t *testing.T, e engine.Engine, req engine.Request) engine.Observation {
	t.Helper()
	o, err := e.Observe(t.Context(), []engine.Request{req})
	if err != nil {
		t.Fatalf("observe: %v", err)
	}
	if len(o) != 1 {
		t.Fatalf("%d observations of one target", len(o))
	}
	return o[0]
}

// good fails unless the resource is present, as wanted, and usable.
func (s *suite) good(t *testing.T, e engine.Engine, req engine.Request, res engine.Result) {
	t.Helper()
	o := s.observe(t, e, after(req, res))
	if o.Err != nil || o.Presence != engine.Present || len(counting(o.Drift)) > 0 {
		t.Fatalf("want present without drift, got %+v", o)
	}
	if s.Use != nil {
		if err := s.Use(t.Context(), res); err != nil {
			t.Fatalf("use: %v", err)
		}
	}
	seen := map[engine.Object]bool{}
	for _, obj := range res.Objects {
		if seen[obj] {
			t.Fatalf("%v is listed twice", obj)
		}
		seen[obj] = true
	}
}

// counting is drift without what is noise.
func counting(list []engine.Drift) (out []engine.Drift) {
	for _, d := range list {
		if d.Cause != engine.CauseNoise {
			out = append(out, d)
		}
	}
	return out
}

// gone fails unless nothing of the resource is left.
func (s *suite) gone(t *testing.T, e engine.Engine, req engine.Request) {
	t.Helper()
	req.Previous = nil
	if o := s.observe(t, e, req); o.Err != nil || o.Presence != engine.Absent || len(o.Objects) > 0 {
		t.Fatalf("want absent, got %+v", o)
	}
}

func isFault(t *testing.T, err error) *fault.Error {
	t.Helper()
	var f *fault.Error
	if !errors.As(err, &f) {
		t.Fatalf("not a fault: %T %v", err, err)
	}
	return f
}

func sameOutputs(t *testing.T, a, b engine.Result) {
	t.Helper()
	if d := cmp.Diff(revealed(a), revealed(b)); d != "" {
		t.Fatalf("outputs differ: %s", d)
	}
}

func revealed(r engine.Result) map[string]string {
	m := map[string]string{}
	for k, o := range r.Outputs {
		if !o.Secret.Empty() {
			m[k] = "secret " + o.Secret.Reveal()
			continue
		}
		raw, _ := json.Marshal(o.Value)
		m[k] = string(raw)
	}
	return m
}

func (s *suite) world(t *testing.T) string {
	if s.World == nil {
		return ""
	}
	return s.World(t)
}

// cutter ends a context at the n-th external call or progress step; n starts
// at 1, and 0 only counts.
type cutter struct {
	mu     sync.Mutex
	n      int
	passed int
	cancel context.CancelFunc
}

func (c *cutter) pass(string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.passed++; c.passed == c.n && c.cancel != nil {
		c.cancel()
	}
}

// Step implements engine.Progress.
func (c *cutter) Step(string, ...any) { c.pass("") }

// cut runs call with a context that ends at its n-th point, and tells whether
// it got that far.
func (s *suite) cut(t *testing.T, n int, call func(ctx context.Context, e engine.Engine, p engine.Progress) error) (reached bool) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	c := &cutter{n: n, cancel: cancel}
	err := call(ctx, s.New(t, c.pass), c)
	if err != nil {
		isFault(t, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil && c.passed < n {
		t.Fatalf("failed at point %d, before the cut at %d: %v", c.passed, n, err)
	}
	return c.passed >= n
}

const mostPoints = 200 // a call with more points than this never ends

// recorder keeps what an engine says.
type recorder struct {
	mu   sync.Mutex
	text strings.Builder
}

// Step implements engine.Progress.
func (r *recorder) Step(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	fmt.Fprintf(&r.text, format+"\n", args...)
}

func within(t *testing.T, d time.Duration, what string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { defer close(done); f() }()
	select {
	case <-done:
	case <-time.After(d):
		t.Fatalf("%s took more than %v", what, d)
	}
}

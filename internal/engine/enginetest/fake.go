package enginetest

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"sort"
	"strings"
	"sync"

	"fairlead/internal/engine"
	"fairlead/internal/fault"
	"fairlead/internal/redact"
)

// World is the provider behind a Fake: named objects with a marker each. Many
// fakes may share one. Its zero value is empty and ready.
type World struct {
	mu      sync.Mutex
	objects map[string]*Thing
	poison  map[string]bool
	down    error
}

// Thing is one object of a World.
type Thing struct {
	Marker string // installation/resource; "" is nobody's
	Size   int
	Made   int      // the size that an Apply gave it last
	Keys   []string // passwords that work
}

// Change runs f on the object of a name, which is nil when there is none, and
// keeps what f returns; nil removes it.
func (w *World) Change(name string, f func(*Thing) *Thing) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.objects == nil {
		w.objects = map[string]*Thing{}
	}
	if next := f(w.objects[name]); next != nil {
		w.objects[name] = next
	} else {
		delete(w.objects, name)
	}
}

// Poison makes an object impossible to look at, or heals it.
func (w *World) Poison(name string, on bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.poison == nil {
		w.poison = map[string]bool{}
	}
	w.poison[name] = on
}

// Down makes every call fail with err until it is called with nil.
func (w *World) Down(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.down = err
}

// Names gives the names of all objects, sorted.
func (w *World) Names() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []string
	for n := range w.objects {
		out = append(out, n)
	}
	sort.Strings(out)
	return out
}

// Picture tells all that there is.
func (w *World) Picture() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var lines []string
	for n, o := range w.objects {
		lines = append(lines, fmt.Sprintf("%s %+v", n, *o))
	}
	sort.Strings(lines)
	return strings.Join(lines, "\n")
}

// Open tells whether a key opens the store of a name.
func (w *World) Open(name, key string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	door, store := w.objects["door-"+name], w.objects["store-"+name]
	if door == nil || store == nil || key == "" {
		return false
	}
	for _, k := range door.Keys {
		if k == key {
			return true
		}
	}
	return false
}

// Fake is a stateful engine whose resources are a store and a door to it in a
// World. It keeps every promise of the port; tests make it break a call by
// OnCall (block, or end the context) and World.Down.
type Fake struct {
	World  *World
	OnCall func(point string) // told before and after each call to the World; may be nil
}

var (
	_ engine.Engine     = (*Fake)(nil)
	_ engine.Rotator    = (*Fake)(nil)
	_ engine.DryPlanner = (*Fake)(nil)
	_ engine.Ejector    = (*Fake)(nil)
	_ engine.Adopter    = (*Fake)(nil)
)

func external(ref engine.Ref) string {
	return strings.ToLower(ref.Name + "-" + ref.Installation + "-" + ref.ID)
}

// base is the name of a resource's store and door; that of an adopted store is
// its own.
func base(req engine.Request) string {
	if name, ok := strings.CutPrefix(req.Adopted, "store/"); ok {
		return name
	}
	return external(req.Ref)
}

func mark(ref engine.Ref) string { return ref.Installation + "/" + ref.ID }

// call is one call to the World.
func (f *Fake) call(ctx context.Context, point string, do func(objects map[string]*Thing) error) error {
	tell := func(when string) {
		if f.OnCall != nil {
			f.OnCall("fake." + point + when)
		}
	}
	tell(".before")
	defer tell(".after")
	if ctx.Err() != nil {
		return fault.New(fault.Unavailable, "interrupted", "the work was cut off").WithCause(context.Cause(ctx))
	}
	f.World.mu.Lock()
	defer f.World.mu.Unlock()
	if f.World.down != nil {
		return fault.New(fault.Unavailable, "fake_down", "the fake provider is down").WithCause(f.World.down)
	}
	if f.World.objects == nil {
		f.World.objects = map[string]*Thing{}
	}
	return do(f.World.objects)
}

func size(req engine.Request) (int, error) {
	switch n := req.Inputs["size"].(type) {
	case nil:
		return 1, nil
	case int:
		return n, nil
	case int64:
		return int(n), nil
	case float64:
		return int(n), nil
	}
	return 0, fault.New(fault.Invalid, "size_invalid", "the size is not a number").WithField("/size")
}

func foreign(name string, t *Thing, ref engine.Ref) error {
	if t == nil || t.Marker == mark(ref) {
		return nil
	}
	return fault.New(fault.Conflict, "object_not_ours", "an object named %s does not belong to this resource", name)
}

// Plan implements engine.Engine.
func (f *Fake) Plan(ctx context.Context, req engine.Request) (engine.Plan, error) {
	want, err := size(req)
	if err != nil {
		return engine.Plan{}, err
	}
	p := engine.Plan{Changes: []engine.Change{}}
	err = f.call(ctx, "plan", func(objects map[string]*Thing) error {
		for _, kind := range []string{"store", "door"} {
			name := kind + "-" + base(req)
			o := objects[name]
			if err := foreign(name, o, req.Ref); err != nil {
				return err
			}
			c := engine.Change{Address: kind + "." + name, Kind: kind, Action: engine.Create, After: map[string]any{"size": want}}
			switch {
			case o == nil && kind == "store" && req.Previous != nil:
				return lostFault()
			case o != nil && o.Size != want:
				c.Action, c.Before = engine.Update, map[string]any{"size": o.Size}
			case o != nil && kind == "door" && req.Previous != nil && !contains(o.Keys, req.Previous.Outputs["key"].Secret.Reveal()):
				c.Action, c.Reason = engine.Update, "the key was changed"
			case o != nil:
				continue
			}
			p.Changes = append(p.Changes, c)
		}
		return nil
	})
	return p, err
}

// PlanNew implements engine.DryPlanner.
func (f *Fake) PlanNew(_ context.Context, req engine.Request) (engine.Plan, error) {
	want, err := size(req)
	if err != nil {
		return engine.Plan{}, err
	}
	p := engine.Plan{}
	for _, kind := range []string{"store", "door"} {
		p.Changes = append(p.Changes, engine.Change{Address: kind + "." + kind + "-" + base(req), Kind: kind, Action: engine.Create, After: map[string]any{"size": want}})
	}
	return p, nil
}

func lostFault() error {
	return fault.New(fault.Conflict, "resource_lost", "the store is gone").WithHint("restore it, or destroy the resource and request a new one")
}

// Apply implements engine.Engine.
func (f *Fake) Apply(ctx context.Context, req engine.Request, _ engine.Plan, p engine.Progress) (engine.Result, error) {
	want, err := size(req)
	if err == nil {
		err = req.Check(ctx)
	}
	if err != nil {
		return engine.Result{}, err
	}
	var key string
	if req.Previous != nil {
		key = req.Previous.Outputs["key"].Secret.Reveal()
	}
	for _, kind := range []string{"store", "door"} {
		p.Step("making %s", kind)
		err := f.call(ctx, "make_"+kind, func(objects map[string]*Thing) error {
			name := kind + "-" + base(req)
			o := objects[name]
			if err := foreign(name, o, req.Ref); err != nil {
				return err
			}
			if o == nil {
				if kind == "store" && req.Previous != nil {
					return lostFault()
				}
				o = &Thing{Marker: mark(req.Ref)}
				objects[name] = o
			}
			o.Size, o.Made = want, want
			if kind == "door" {
				if key == "" {
					key = rand.Text()
					o.Keys = nil
				}
				if !contains(o.Keys, key) {
					o.Keys = []string{key}
				}
			}
			return nil
		})
		if err != nil {
			return engine.Result{}, err
		}
	}
	res := f.result(req, key)
	if req.Previous != nil {
		res.State = req.Previous.State
	}
	return res, nil
}

func contains(keys []string, key string) bool {
	for _, k := range keys {
		if k == key {
			return true
		}
	}
	return false
}

func (f *Fake) result(req engine.Request, key string) engine.Result {
	name := base(req)
	return engine.Result{
		Outputs: map[string]engine.Output{"name": {Value: name}, "key": {Secret: redact.New(key), Sensitive: true}},
		Objects: []engine.Object{{Kind: "store", Name: "store-" + name}, {Kind: "door", Name: "door-" + name}},
	}
}

// Observe implements engine.Engine.
func (f *Fake) Observe(ctx context.Context, targets []engine.Request) ([]engine.Observation, error) {
	out := make([]engine.Observation, len(targets))
	err := f.call(ctx, "observe", func(objects map[string]*Thing) error {
		for i, t := range targets {
			out[i] = f.look(objects, t)
		}
		return nil
	})
	if err != nil && ctx.Err() != nil {
		return nil, err
	}
	if err != nil {
		for i := range out {
			out[i] = engine.Observation{Err: err}
		}
	}
	return out, nil
}

func (f *Fake) look(objects map[string]*Thing, req engine.Request) engine.Observation {
	var o engine.Observation
	want, err := size(req)
	if err != nil {
		return engine.Observation{Err: err}
	}
	found := map[string]bool{}
	for _, kind := range []string{"store", "door"} {
		name := kind + "-" + base(req)
		if f.World.poison[name] {
			return engine.Observation{Err: fault.New(fault.Internal, "fake_poisoned", "the object %s cannot be read", name)}
		}
		t := objects[name]
		if t == nil || t.Marker != mark(req.Ref) {
			o.Drift = append(o.Drift, engine.Drift{Address: kind + "." + name, Field: "exists", Want: true, Got: false, Severity: engine.Heal, Cause: engine.CauseDeleted, Data: kind == "store"})
			continue
		}
		found[kind] = true
		o.Objects = append(o.Objects, engine.Object{Kind: kind, Name: name})
		if t.Size != want {
			cause := engine.CausePerson
			if t.Size == t.Made {
				cause = engine.CauseDesired
			}
			o.Drift = append(o.Drift, engine.Drift{Address: kind + "." + name, Field: "size", Want: want, Got: t.Size, Severity: engine.Heal, Cause: cause})
		}
		if kind == "door" && req.Previous != nil && !contains(t.Keys, req.Previous.Outputs["key"].Secret.Reveal()) {
			o.Drift = append(o.Drift, engine.Drift{Address: "door." + name, Field: "key", Want: redact.Shown, Got: redact.Shown, Severity: engine.Heal, Cause: engine.CausePerson, Print: print(t.Keys)})
		}
	}
	switch {
	case req.Previous != nil && !found["store"]:
		o.Presence = engine.Lost
	case len(found) == 0:
		return engine.Observation{Presence: engine.Absent}
	case len(found) == 1:
		o.Presence = engine.Partial
	default:
		o.Presence = engine.Present
	}
	return o
}

// print tells keys apart and does not tell them.
func print(keys []string) string {
	sum := sha256.Sum256([]byte(strings.Join(keys, "\x00")))
	return hex.EncodeToString(sum[:8])
}

// Destroy implements engine.Engine.
func (f *Fake) Destroy(ctx context.Context, req engine.Request, p engine.Progress) error {
	if err := req.Check(ctx); err != nil {
		return err
	}
	for _, kind := range []string{"door", "store"} {
		p.Step("removing %s", kind)
		err := f.call(ctx, "remove_"+kind, func(objects map[string]*Thing) error {
			name := kind + "-" + base(req)
			if o := objects[name]; o != nil && o.Marker == mark(req.Ref) {
				delete(objects, name)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Rotate implements engine.Rotator.
func (f *Fake) Rotate(ctx context.Context, req engine.Request, rotation string, p engine.Progress) (engine.Result, error) {
	if err := req.Check(ctx); err != nil {
		return engine.Result{}, err
	}
	if req.Previous == nil {
		return engine.Result{}, fault.New(fault.Conflict, "resource_not_ready", "the resource has no credentials yet")
	}
	note, err := json.Marshal(rotation)
	if err != nil {
		return engine.Result{}, fault.From(err)
	}
	if string(req.Previous.State) == string(note) {
		return f.Apply(ctx, req, engine.Plan{}, p)
	}
	old, key := req.Previous.Outputs["key"].Secret.Reveal(), rand.Text()
	err = f.call(ctx, "rotate", func(objects map[string]*Thing) error {
		door := objects["door-"+base(req)]
		if door == nil {
			return lostFault()
		}
		door.Keys = []string{key, old}
		return nil
	})
	res := f.result(req, key)
	res.State = note
	return res, err
}

// Retire implements engine.Rotator.
func (f *Fake) Retire(ctx context.Context, req engine.Request) error {
	return f.call(ctx, "retire", func(objects map[string]*Thing) error {
		if door := objects["door-"+base(req)]; door != nil && req.Previous != nil {
			door.Keys = []string{req.Previous.Outputs["key"].Secret.Reveal()}
		}
		return nil
	})
}

package enginetest

import (
	"context"
	"strings"

	"fairlead/internal/engine"
	"fairlead/internal/fault"
)

// Eject implements engine.Ejector.
func (f *Fake) Eject(ctx context.Context, req engine.Request, reveal bool) ([]engine.File, error) {
	name, key := base(req), "(not asked for)"
	if reveal && req.Previous != nil {
		key = req.Previous.Outputs["key"].Secret.Reveal()
	}
	err := f.call(ctx, "eject", func(objects map[string]*Thing) error {
		if objects["store-"+name] == nil {
			return lostFault()
		}
		return nil
	})
	return []engine.File{
		{Path: "README.md", Data: []byte("# " + req.Ref.Name + "\n\nOpen store-" + name + " with the key.\n")},
		{Path: "keys/key.txt", Data: []byte(key + "\n")},
	}, err
}

// Release implements engine.Ejector.
func (f *Fake) Release(ctx context.Context, req engine.Request) error {
	if err := req.Check(ctx); err != nil {
		return err
	}
	return f.call(ctx, "release", func(map[string]*Thing) error { return nil })
}

// adoptable is the store that is to be adopted.
func adoptable(ctx context.Context, objects map[string]*Thing, req engine.Request, a engine.Adoption) (*Thing, error) {
	name, ok := strings.CutPrefix(a.Object, "store/")
	o := objects["store-"+name]
	if !ok || o == nil {
		return nil, fault.New(fault.Invalid, "nothing_to_adopt", "there is no such store").WithField("/object")
	}
	if id, ours := strings.CutPrefix(o.Marker, req.Ref.Installation+"/"); ours && a.Released != nil {
		if let, err := a.Released(ctx, id); let || err != nil {
			return o, err
		}
	}
	if o.Marker != "" && o.Marker != mark(req.Ref) {
		return nil, fault.New(fault.Conflict, "object_not_ours", "the store belongs to another resource").WithField("/object")
	}
	return o, nil
}

// PlanAdoption implements engine.Adopter.
func (f *Fake) PlanAdoption(ctx context.Context, req engine.Request, a engine.Adoption) (engine.Plan, error) {
	want, err := size(req)
	if err != nil {
		return engine.Plan{}, err
	}
	p := engine.Plan{Changes: []engine.Change{{Address: "adoption." + a.Object, Kind: "store", Action: engine.Update, After: map[string]any{"marker": req.Ref.ID}}}}
	err = f.call(ctx, "plan_adoption", func(objects map[string]*Thing) error {
		o, err := adoptable(ctx, objects, req, a)
		if err != nil {
			return err
		}
		if o.Size != want {
			p.Changes = append(p.Changes, engine.Change{Address: a.Object, Kind: "store", Action: engine.Update,
				Before: map[string]any{"size": o.Size}, After: map[string]any{"size": want}})
		}
		return nil
	})
	return p, err
}

// Adopt implements engine.Adopter.
func (f *Fake) Adopt(ctx context.Context, req engine.Request, a engine.Adoption, p engine.Progress) error {
	if err := req.Check(ctx); err != nil {
		return err
	}
	p.Step("adopting %s", a.Object)
	return f.call(ctx, "adopt", func(objects map[string]*Thing) error {
		o, err := adoptable(ctx, objects, req, a)
		if err != nil {
			return err
		}
		o.Marker = mark(req.Ref)
		if door := objects["door-"+strings.TrimPrefix(a.Object, "store/")]; door != nil {
			door.Marker = mark(req.Ref)
		}
		return nil
	})
}

package iac

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	tfjson "github.com/hashicorp/terraform-json"

	"fairlead/internal/engine"
	"fairlead/internal/fault"
	"fairlead/internal/redact"
)

const (
	maxDrift = 100  // differences that are told of one resource
	maxShown = 1000 // bytes of one value
)

// differ tells what is not as the state has it, address by address and field
// by field, without secrets. healing is the plan that would put it right, when
// one could be made: what it does not touch is the provider's own doing.
type differ struct {
	e        *Engine
	stateful func(kind string) bool
	healing  *reading
	out      []engine.Drift
	left     int
}

func (d *differ) add(x engine.Drift) {
	if len(d.out) >= maxDrift {
		d.left++
		return
	}
	d.out = append(d.out, x)
}

// drifts gives all, the last one standing for those that are too many to tell.
func (d *differ) drifts(moved []*tfjson.ResourceChange) []engine.Drift {
	for _, rc := range moved {
		d.object(rc)
	}
	if d.left > 0 {
		d.out = append(d.out, engine.Drift{Address: "module", Field: "more", Want: "0 differences", Got: fmt.Sprintf("%d more differences", d.left),
			Severity: engine.Heal, Cause: engine.CausePerson, Data: slices.ContainsFunc(d.out, func(x engine.Drift) bool { return x.Data })})
	}
	return d.out
}

func (d *differ) object(rc *tfjson.ResourceChange) {
	data := d.stateful(rc.Type)
	if rc.Change.Actions.Delete() {
		d.add(engine.Drift{Address: rc.Address, Field: "exists", Want: true, Got: false, Severity: engine.Heal, Cause: engine.CauseDeleted, Data: data})
		return
	}
	untouched := d.healing != nil && !d.healing.changed[rc.Address]
	d.field(rc, "", side{rc.Change.Before, rc.Change.BeforeSensitive}, side{rc.Change.After, rc.Change.AfterSensitive}, func(x engine.Drift) {
		x.Address, x.Data = rc.Address, data
		if untouched && x.Cause != engine.CauseNoise {
			x.Cause, x.Noise, x.Severity = engine.CauseNoise, engine.NoiseProvider, engine.Ignore
		}
		d.add(x)
	})
}

// side is a value and the marks of what is secret in it.
type side struct{ value, secret any }

func (s side) key(k string) side {
	m, _ := s.value.(map[string]any)
	return side{m[k], under(s.secret, k)}
}

func (s side) shown() any { return clip(veil(s.value, s.secret, nil)) }

func (s side) whole() bool { yes, ok := s.secret.(bool); return ok && yes }

// field goes down into objects, so that what differs is named as narrowly as
// it can be.
func (d *differ) field(rc *tfjson.ResourceChange, path string, want, got side, tell func(engine.Drift)) {
	if engine.Same(want.value, got.value) {
		return
	}
	a, aOK := want.value.(map[string]any)
	b, bOK := got.value.(map[string]any)
	if aOK && bOK && !want.whole() && !got.whole() {
		keys := map[string]bool{}
		for k := range a {
			keys[k] = true
		}
		for k := range b {
			keys[k] = true
		}
		for _, k := range slices.Sorted(maps.Keys(keys)) {
			below := k
			if path != "" {
				below = path + "." + k
			}
			d.field(rc, below, want.key(k), got.key(k), tell)
		}
		return
	}
	x := engine.Drift{Field: path, Want: want.shown(), Got: got.shown(), Severity: engine.Heal, Cause: engine.CausePerson, Print: d.e.print(rc.Address, path, got.value)}
	if how := engine.Alike(want.value, got.value); how != "" {
		x.Severity, x.Cause, x.Noise = engine.Ignore, engine.CauseNoise, how
	}
	if want.whole() || got.whole() {
		x.Want, x.Got = redact.Shown, redact.Shown
	}
	tell(x)
}

// clip gives v, or how large it is.
func clip(v any) any {
	text, err := json.Marshal(v)
	if err != nil || len(text) <= maxShown {
		return v
	}
	return fmt.Sprintf("(%d bytes)", len(text))
}

// print tells values apart, under a key that nobody outside has.
func (e *Engine) print(parts ...any) string {
	h := hmac.New(sha256.New, []byte(e.planKey.Reveal()))
	_ = json.NewEncoder(h).Encode(parts)
	return hex.EncodeToString(h.Sum(nil)[:12])
}

// note is what the engine remembers of what it made last.
type note struct {
	Lineage   string            `json:"lineage"`
	Program   string            `json:"program"`
	Module    string            `json:"module,omitempty"`    // digest of the files
	Variables map[string]string `json:"variables,omitempty"` // keyed digests
}

func (e *Engine) note(w want, lineage string) (json.RawMessage, error) {
	vars, err := e.prints(w.vars)
	if err != nil {
		return nil, err
	}
	raw, err := json.Marshal(note{Lineage: lineage, Program: e.kind, Module: w.m.digest, Variables: vars})
	if err != nil {
		return nil, fault.From(err)
	}
	return raw, nil
}

func (e *Engine) prints(vars []byte) (map[string]string, error) {
	var given map[string]json.RawMessage
	if err := json.Unmarshal(vars, &given); err != nil {
		return nil, fault.From(err)
	}
	out := map[string]string{}
	for name, v := range given {
		out[name] = e.print("variable", name, v)
	}
	return out, nil
}

// wantedAnew tells what differs between what was made last and what is wanted
// now: a variable, or the module itself. Values are not kept, so none is told.
func (e *Engine) wantedAnew(w want, previous *engine.Result, data bool) []engine.Drift {
	var was note
	if previous == nil || json.Unmarshal(previous.State, &was) != nil || was.Module == "" {
		return nil // of a version that noted nothing
	}
	now, err := e.prints(w.vars)
	if err != nil {
		return nil
	}
	var out []engine.Drift
	add := func(address, field, want, got string) {
		out = append(out, engine.Drift{Address: address, Field: field, Want: want, Got: got, Severity: engine.Heal, Cause: engine.CauseDesired, Data: data})
	}
	if was.Module != w.m.digest {
		add("module", "files", "sha256:"+w.m.digest[:12], "sha256:"+was.Module[:min(12, len(was.Module))])
	}
	names := map[string]bool{}
	for name := range now {
		names[name] = true
	}
	for name := range was.Variables {
		names[name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if now[name] != was.Variables[name] {
			add("var."+name, "value", "the value that is wanted now", "the value of the last run")
		}
	}
	return out
}

package null

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"fairlead/internal/engine"
	"fairlead/internal/failpoint"
	"fairlead/internal/fault"
	"fairlead/internal/redact"
)

// MaxDelay bounds how long a template may let the engine wait.
const MaxDelay = 10 * time.Minute

// spec is the engine's section of template.yaml. The inputs "delay" and "fail"
// win over the spec's.
type spec struct {
	Outputs map[string]any `json:"outputs"` // given beside the inputs
	Secrets []string       `json:"secrets"` // outputs made at random once, and secret
	Replace []string       `json:"replace"` // outputs that cannot change: with another value it is made anew
	Delay   string         `json:"delay"`   // how long Apply and Destroy take, such as "2s"
	Fail    string         `json:"fail"`    // message that Apply fails with
	FailOn  string         `json:"failOn"`  // "apply" (default), "plan" or "destroy"
}

type want struct {
	spec
	delay  time.Duration
	inputs map[string]any
}

// Engine is the null engine. Its zero value is ready.
type Engine struct {
	// OnCall is told of each point before and after the engine acts, as
	// failpoint.Hit is. May be nil.
	OnCall func(point string)
}

var (
	_ engine.Engine     = (*Engine)(nil)
	_ engine.Rotator    = (*Engine)(nil)
	_ engine.Validator  = (*Engine)(nil)
	_ engine.DryPlanner = (*Engine)(nil)
	_ engine.Pauser     = (*Engine)(nil)
)

func (e *Engine) hit(point string) {
	failpoint.Hit(point)
	if e.OnCall != nil {
		e.OnCall(point)
	}
}

// Validate implements engine.Validator.
func (e *Engine) Validate(_ context.Context, t engine.Template) error {
	_, err := read(engine.Request{Template: t})
	return err
}

func read(req engine.Request) (want, error) {
	var w want
	if len(req.Template.Spec) > 0 {
		dec := json.NewDecoder(bytes.NewReader(req.Template.Spec))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&w.spec); err != nil {
			return w, fault.New(fault.Invalid, "template_spec_invalid", "the template's spec is not one of the null engine: %s", strings.TrimPrefix(err.Error(), "json: ")).
				WithHint("it may have outputs, secrets, replace, delay, fail and failOn").WithField("/spec")
		}
	}
	switch w.FailOn {
	case "", "apply", "plan", "destroy":
	default:
		return w, fault.New(fault.Invalid, "template_spec_invalid", "failOn is not apply, plan or destroy").WithField("/spec/failOn")
	}
	field := "/spec/delay"
	for name, to := range map[string]*string{"delay": &w.Delay, "fail": &w.Fail} {
		v, given := req.Inputs[name]
		if !given || v == nil {
			continue
		}
		s, ok := v.(string)
		if !ok {
			return w, fault.New(fault.Invalid, "input_invalid", "%s is not a text", name).WithField("/" + name)
		}
		if name == "delay" {
			field = "/delay"
		}
		*to = s
	}
	if w.Delay != "" {
		d, err := time.ParseDuration(w.Delay)
		if err != nil || d < 0 || d > MaxDelay {
			return w, fault.New(fault.Invalid, "delay_invalid", "the delay is not a duration from 0s to %s", MaxDelay).
				WithHint("write it like 500ms or 2s").WithField(field)
		}
		w.delay = d
	}
	w.inputs = maps.Clone(req.Inputs)
	return w, nil
}

// values are the outputs that are not secret.
func (w want) values() map[string]any {
	out := map[string]any{}
	maps.Copy(out, w.inputs)
	delete(out, "delay")
	delete(out, "fail")
	maps.Copy(out, w.Outputs)
	for _, s := range w.Secrets {
		delete(out, s)
	}
	return out
}

func (w want) fails(on string) error {
	at := w.FailOn
	if at == "" {
		at = "apply"
	}
	if w.Fail == "" || at != on {
		return nil
	}
	return fault.New(fault.Invalid, "null_failed", "%s", w.Fail).WithHint("the template or the input \"fail\" asked for this failure")
}

// Plan implements engine.Engine.
func (e *Engine) Plan(_ context.Context, req engine.Request) (engine.Plan, error) {
	w, err := read(req)
	if err != nil {
		return engine.Plan{}, err
	}
	if err := w.fails("plan"); err != nil {
		return engine.Plan{}, err
	}
	c := engine.Change{Address: "null." + req.Ref.Name, Kind: "null", Action: engine.Create, After: w.values()}
	if req.Previous != nil {
		c.Action, c.Before = engine.Update, map[string]any{}
		for k, o := range req.Previous.Outputs {
			if o.Secret.Empty() {
				c.Before[k] = o.Value
			}
		}
		if same(c.Before, c.After) && w.hasSecrets(req.Previous) {
			return engine.Plan{Changes: []engine.Change{}}, nil
		}
		for _, name := range w.Replace {
			if !reflect.DeepEqual(c.Before[name], c.After[name]) {
				c.Action, c.Reason = engine.Replace, name+" cannot change"
			}
		}
	}
	for _, s := range w.Secrets {
		c.After[s] = redact.Shown
	}
	return engine.Plan{Changes: []engine.Change{c}}, nil
}

// PlanNew implements engine.DryPlanner: there is no world to look at anyway.
func (e *Engine) PlanNew(ctx context.Context, req engine.Request) (engine.Plan, error) {
	req.Previous = nil
	return e.Plan(ctx, req)
}

func (w want) hasSecrets(prev *engine.Result) bool {
	return !slices.ContainsFunc(w.Secrets, func(s string) bool { return prev.Outputs[s].Secret.Empty() })
}

// same compares as JSON does: an output that was stored came back as float64.
func same(a, b map[string]any) bool {
	x, err1 := json.Marshal(a)
	y, err2 := json.Marshal(b)
	return err1 == nil && err2 == nil && (bytes.Equal(x, y) || reflect.DeepEqual(a, b))
}

// Apply implements engine.Engine.
func (e *Engine) Apply(ctx context.Context, req engine.Request, _ engine.Plan, p engine.Progress) (engine.Result, error) {
	w, err := read(req)
	if err != nil {
		return engine.Result{}, err
	}
	if err := req.Check(ctx); err != nil {
		return engine.Result{}, err
	}
	e.hit("null.apply.before")
	if err := pause(ctx, w.delay, p); err != nil {
		return engine.Result{}, err
	}
	if err := w.fails("apply"); err != nil {
		return engine.Result{}, err
	}
	e.hit("null.apply.after")
	return w.result(req.Previous, false), nil
}

func (w want) result(prev *engine.Result, renew bool) engine.Result {
	out := map[string]engine.Output{}
	for k, v := range w.values() {
		out[k] = engine.Output{Value: v}
	}
	for _, s := range w.Secrets {
		secret := redact.New(rand.Text())
		if prev != nil && !renew && !prev.Outputs[s].Secret.Empty() {
			secret = prev.Outputs[s].Secret
		}
		out[s] = engine.Output{Secret: secret, Sensitive: true}
	}
	res := engine.Result{Outputs: out}
	if prev != nil {
		res.State = prev.State
	}
	return res
}

// Observe implements engine.Engine. What the caller remembers is what there is.
func (e *Engine) Observe(ctx context.Context, targets []engine.Request) ([]engine.Observation, error) {
	if ctx.Err() != nil {
		return nil, interrupted(ctx)
	}
	out := make([]engine.Observation, len(targets))
	for i, t := range targets {
		out[i].Presence = engine.Absent
		if t.Previous != nil {
			out[i].Presence = engine.Present
			out[i].Drift = wantedAnew(t)
		}
	}
	return out, nil
}

// wantedAnew are the outputs that are kept and would be given otherwise now.
func wantedAnew(req engine.Request) (out []engine.Drift) {
	w, err := read(req)
	if err != nil {
		return nil
	}
	values := w.values()
	for _, name := range slices.Sorted(maps.Keys(req.Previous.Outputs)) {
		was := req.Previous.Outputs[name]
		now, given := values[name]
		if was.Sensitive || !given || same(map[string]any{"": was.Value}, map[string]any{"": now}) {
			continue
		}
		out = append(out, engine.Drift{Address: "null." + req.Ref.Name, Field: name, Want: now, Got: was.Value, Severity: engine.Heal, Cause: engine.CauseDesired})
	}
	return out
}

// Destroy implements engine.Engine.
func (e *Engine) Destroy(ctx context.Context, req engine.Request, p engine.Progress) error {
	w, err := read(req)
	if err != nil {
		w = want{} // nothing is there, so nothing can keep it from going
	}
	if err := req.Check(ctx); err != nil {
		return err
	}
	e.hit("null.destroy.before")
	if err := pause(ctx, w.delay, p); err != nil {
		return err
	}
	e.hit("null.destroy.after")
	return w.fails("destroy")
}

// Rotate implements engine.Rotator: the secrets of the spec are made anew.
func (e *Engine) Rotate(ctx context.Context, req engine.Request, rotation string, p engine.Progress) (engine.Result, error) {
	w, err := read(req)
	if err == nil {
		err = req.Check(ctx)
	}
	if err != nil {
		return engine.Result{}, err
	}
	if req.Previous == nil {
		return engine.Result{}, fault.New(fault.Conflict, "resource_not_ready", "the resource has no credentials yet").
			WithHint("wait until it is ready, then rotate")
	}
	e.hit("null.rotate.before")
	if err := pause(ctx, w.delay, p); err != nil {
		return engine.Result{}, err
	}
	e.hit("null.rotate.after")
	note, err := json.Marshal(map[string]string{"rotation": rotation})
	if err != nil {
		return engine.Result{}, fault.From(err)
	}
	res := w.result(req.Previous, !bytes.Equal(req.Previous.State, note))
	res.State = note
	return res, nil
}

// CanPause implements engine.Pauser: what is not there can be stopped.
func (e *Engine) CanPause(engine.Template) bool { return true }

// Retire implements engine.Rotator; there is nothing to end.
func (e *Engine) Retire(context.Context, engine.Request) error { return nil }

func pause(ctx context.Context, d time.Duration, p engine.Progress) error {
	if ctx.Err() != nil {
		return interrupted(ctx)
	}
	if d == 0 {
		return nil
	}
	p.Step("waiting %s, as asked", d)
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return interrupted(ctx)
	}
}

func interrupted(ctx context.Context) error {
	return fault.New(fault.Unavailable, "interrupted", "the work was cut off").WithCause(context.Cause(ctx))
}

package iac

import (
	"context"
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/zclconf/go-cty/cty"

	"fairlead/internal/engine"
	"fairlead/internal/engine/iac/iacmodule"
	"fairlead/internal/fault"
)

const (
	trialTime  = 2 * time.Minute // of one plan
	maxTrials  = 2               // modules that are kept for the next trial
	trialNamed = "t-"            // begins the folders of trials and of their modules
)

var errTrialTime = errors.New("a trial takes too long")

// trial is a module that no resource is made of yet. Its folder goes when
// others came after it.
type trial struct {
	m     *module
	users int
}

// PlanNew implements engine.DryPlanner: the program plans the module on no
// state, in the sandbox, with the providers and the places that runs may use.
// Nothing is claimed, kept or applied. What a provider wants of the world to
// plan it does not get: Invalid, code "module_not_plannable".
func (e *Engine) PlanNew(ctx context.Context, req engine.Request) (_ engine.Plan, err error) {
	defer settle(ctx, &err)
	if err := e.ready(ctx); err != nil {
		return engine.Plan{}, err
	}
	timed, stop := context.WithTimeoutCause(ctx, trialTime, errTrialTime)
	defer stop()
	p, err := e.try(timed, req)
	return p, unplannable(timed, err)
}

func (e *Engine) try(ctx context.Context, req engine.Request) (engine.Plan, error) {
	leave := func() {}
	defer func() { leave() }()
	w, err := e.wantOf(ctx, req, func(ctx context.Context, t engine.Template) (m *module, err error) {
		m, leave, err = e.trialModule(ctx, t)
		return m, err
	}, standIns)
	if err != nil {
		return engine.Plan{}, err
	}
	r, err := e.newRun(ctx, w.m, trialNamed+rand.Text()[:8], w, e.o.States.OpenNothing("trial"))
	if err != nil {
		return engine.Plan{}, err
	}
	defer r.close()
	r.trial = true
	made, err := r.plan(ctx)
	return made.plan, err
}

// standIns are a giver's for a trial, which has nothing of the platform team's:
// who tries a template is not who may run it. They have the right type and no
// sense; what has a default is left to it.
func standIns(t engine.Template, names []string) (map[string]any, []string, error) {
	m, err := iacmodule.Read(t.Files, moduleRoot(t.Files))
	if err != nil {
		return nil, nil, err
	}
	values := map[string]any{}
	for _, v := range m.Variables {
		if slices.Contains(names, v.Name) && v.Required() {
			values[v.Name] = standIn(v.Type)
		}
	}
	return values, nil, nil
}

func standIn(t cty.Type) any {
	switch {
	case t == cty.Number:
		return 1
	case t == cty.Bool:
		return true
	case t.IsListType(), t.IsSetType():
		return []any{}
	case t.IsTupleType():
		list := []any{}
		for _, x := range t.TupleElementTypes() {
			list = append(list, standIn(x))
		}
		return list
	case t.IsMapType():
		return map[string]any{}
	case t.IsObjectType():
		fields := map[string]any{}
		for name, x := range t.AttributeTypes() {
			if !t.AttributeOptional(name) {
				fields[name] = standIn(x)
			}
		}
		return fields
	}
	return "example"
}

// trialModule gives the initialised module of a template, in a folder that is
// not kept: few of those that are tried are ever made real. Call leave.
func (e *Engine) trialModule(ctx context.Context, t engine.Template) (_ *module, leave func(), err error) {
	files, digest, err := moduleFiles(t.Files)
	if err != nil {
		return nil, func() {}, err
	}
	id := e.moduleID(digest)
	e.mu.Lock()
	x := e.trials[id]
	if x == nil {
		dir := filepath.Join(e.dir, "m", trialNamed+id)
		x = &trial{m: &module{id: id, digest: digest, dir: dir, data: filepath.Join(dir, "data"), trial: true}}
		e.trials[id] = x
	}
	x.users++
	e.mu.Unlock()
	return x.m, func() { e.leaveTrial(id, x) }, e.prepare(ctx, x.m, t, files)
}

func (e *Engine) leaveTrial(id string, x *trial) {
	e.mu.Lock()
	defer e.mu.Unlock()
	x.users--
	for other, y := range e.trials {
		if len(e.trials) > maxTrials && y.users == 0 && other != id {
			delete(e.trials, other)
			_ = os.RemoveAll(y.m.dir) // under the lock: who tries it again makes it again
		}
	}
}

// unplannable says of a plan that failed for want of the world what that means
// for a template's tests.
func unplannable(ctx context.Context, err error) error {
	f, known := errors.AsType[*fault.Error](err)
	if !known {
		return err
	}
	switch {
	case errors.Is(context.Cause(ctx), errTrialTime):
		return fault.New(fault.Invalid, "module_not_plannable", "the module was not planned within %s", trialTime).WithHint("make it quicker, or leave expect.plan out of its tests")
	case f.Code == "engine_failed", f.Code == "engine_killed", f.Code == "engine_timeout":
		return fault.New(fault.Invalid, "module_not_plannable", "it cannot be planned from nothing: %s. "+
			"A provider that wants credentials or its server while it plans has neither in a test: leave expect.plan out of this case", f.Message).
			WithCause(err)
	}
	return err
}

package iac

import (
	"context"
	"crypto/rand"
	"sync"

	"fairlead/internal/engine"
)

// Observe implements engine.Engine: a refresh of each state that names
// something, on half of the seats: who waits for a plan or an apply
// finds one.
func (e *Engine) Observe(ctx context.Context, targets []engine.Request) ([]engine.Observation, error) {
	if ctx.Err() != nil {
		return nil, interrupted(ctx)
	}
	out := make([]engine.Observation, len(targets))
	next := make(chan int)
	var all sync.WaitGroup
	for range min(max(1, cap(e.seats)/2), len(targets)) {
		all.Go(func() {
			for i := range next {
				if o, err := e.look(ctx, targets[i]); err != nil {
					out[i] = engine.Observation{Err: err}
				} else {
					out[i] = o
				}
			}
		})
	}
	for i := range targets {
		next <- i
	}
	close(next)
	all.Wait()
	return out, nil
}

func (e *Engine) look(ctx context.Context, req engine.Request) (_ engine.Observation, err error) {
	defer settle(ctx, &err)
	body, meta, err := e.o.States.Read(ctx, req.Ref.ID)
	if err != nil {
		return engine.Observation{}, err
	}
	existed := req.Previous != nil
	switch {
	case meta.Version == 0 && existed && req.LifeCycle.Stateful:
		return engine.Observation{Presence: engine.Lost}, nil
	case meta.Version == 0, meta.Objects == 0 && !existed:
		return engine.Observation{Presence: engine.Absent}, nil
	case meta.Objects == 0:
		return engine.Observation{Presence: engine.Present}, nil
	}
	s, err := parseState(body)
	if err != nil {
		return engine.Observation{}, err
	}
	o := engine.Observation{Presence: engine.Present}
	var half bool
	if o.Objects, half = s.objects(req.Ref); half || !existed {
		o.Presence = engine.Partial
	}
	w, err := e.want(ctx, req)
	if err != nil {
		return engine.Observation{}, err
	}
	if req.Background {
		leave, err := e.stand(ctx)
		if err != nil {
			return engine.Observation{}, err
		}
		defer leave()
	}
	r, err := e.newRun(ctx, w.m, runPrefix(req.Ref.ID)+"-r"+rand.Text()[:8], w, e.o.States.Open(req.Ref.ID, "observe"))
	if err != nil {
		return engine.Observation{}, err
	}
	defer r.close()
	if req.Background {
		r.nice = backgroundNice
	}
	seen, err := r.refresh(ctx)
	if err != nil {
		return engine.Observation{}, err
	}
	stateful := func(kind string) bool { return w.spec.stateful(kind, req.LifeCycle) }
	o.Drift = append(e.wantedAnew(w, req.Previous, req.LifeCycle.Stateful), (&differ{e: e, stateful: stateful, healing: r.healing(ctx, seen)}).drifts(seen.moved)...)
	for _, kind := range seen.gone {
		if existed && stateful(kind) {
			return engine.Observation{Presence: engine.Lost, Drift: o.Drift}, nil
		}
	}
	switch {
	case len(seen.gone) == len(o.Objects):
		o.Presence, o.Objects = engine.Absent, nil
	case len(seen.gone) > 0:
		o.Presence = engine.Partial
	}
	return o, nil
}

// refresh looks at what the state names. The plan is only opened when there is
// something to see: that is half of the time.
func (r *run) refresh(ctx context.Context) (reading, error) {
	said := &stream{}
	r.e.hit("iac.refresh.before")
	code, stderr, err := r.exec(ctx, false, said, "plan", "-refresh-only", "-json", "-input=false", "-no-color", "-lock=false", "-var-file=../vars.json", "-out=../"+planFile)
	r.e.hit("iac.refresh.after")
	switch {
	case err != nil:
		return reading{}, err
	case code != 0:
		return reading{}, said.fault(r.secrets(ctx), code, stderr)
	case !said.drifted:
		return reading{}, nil
	}
	return r.show(ctx, func() {})
}

// healing is the plan that would put right what was seen, nil when there is
// nothing to put right or no such plan can be made just now.
func (r *run) healing(ctx context.Context, seen reading) *reading {
	if len(seen.moved) == 0 {
		return nil
	}
	made, err := r.plan(ctx)
	if err != nil {
		return nil
	}
	return &made
}

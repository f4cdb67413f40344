package iac

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"slices"
	"sync"
	"time"

	"fairlead/internal/engine"
	"fairlead/internal/engine/iac/iacstate"
	"fairlead/internal/fault"
)

const (
	maxPlan  = 128 << 20
	maxKept  = 32
	keptFor  = 15 * time.Minute
	planFile = "plan"
)

// keptPlan is a plan file that waits to be applied.
type keptPlan struct {
	digest  string
	reading reading
	serial  int64
	lineage string
	at      time.Time
}

// want is a request as the engine reads it.
type want struct {
	spec spec
	m    *module
	vars []byte
	veil []string // of them those that are secret whatever the module says
}

func (e *Engine) want(ctx context.Context, req engine.Request) (want, error) {
	given := func(t engine.Template, names []string) (map[string]any, []string, error) {
		return e.o.Config.Given.values(t.Name, names)
	}
	return e.wantOf(ctx, req, e.module, given)
}

func (e *Engine) wantOf(ctx context.Context, req engine.Request, module func(context.Context, engine.Template) (*module, error), given giver) (want, error) {
	if err := e.ready(ctx); err != nil {
		return want{}, err
	}
	sp, err := readSpec(req.Template)
	if err != nil {
		return want{}, err
	}
	if err := sp.runs(e.kind, e.version); err != nil {
		return want{}, err
	}
	vars, secret, err := sp.all(req.Template, req.Inputs, given)
	if err != nil {
		return want{}, fault.From(err)
	}
	m, err := module(ctx, req.Template)
	return want{sp, m, vars, secret}, err
}

// runPrefix names the directories of a resource's runs. It is short: sockets
// are made below it.
func runPrefix(state string) string {
	sum := sha256.Sum256([]byte(state))
	return hex.EncodeToString(sum[:5])
}

// Plan implements engine.Engine. The plan of a worker that holds the claim is
// kept for the Apply that follows.
func (e *Engine) Plan(ctx context.Context, req engine.Request) (_ engine.Plan, err error) {
	defer settle(ctx, &err)
	if err := e.ready(ctx); err != nil {
		return engine.Plan{}, err
	}
	before, err := e.o.States.Meta(ctx, req.Ref.ID)
	if err != nil {
		return engine.Plan{}, err
	}
	return e.planOn(ctx, req, e.o.States.Open(req.Ref.ID, "plan"), before)
}

// planOn plans on the state that a session reads.
func (e *Engine) planOn(ctx context.Context, req engine.Request, session *iacstate.Session, before iacstate.Meta) (engine.Plan, error) {
	w, err := e.want(ctx, req)
	if err != nil {
		return engine.Plan{}, err
	}
	r, err := e.newRun(ctx, w.m, runPrefix(req.Ref.ID)+"-r"+rand.Text()[:8], w, session)
	if err != nil {
		return engine.Plan{}, err
	}
	defer r.close()
	made, err := r.plan(ctx)
	if err != nil {
		return engine.Plan{}, err
	}
	if req.Fenced != nil {
		if made.file != nil {
			e.keep(req.Ref.ID, keptPlan{digest: made.digest, reading: made, serial: before.Serial, lineage: before.Lineage, at: time.Now()})
		}
	}
	return made.plan, nil
}

// plan makes the plan file and reads it.
func (r *run) plan(ctx context.Context, more ...string) (reading, error) {
	look := r.ahead(ctx)
	defer look.end()
	said := &stream{planned: look.begin}
	args := append([]string{"plan", "-json", "-input=false", "-no-color", "-lock=false", "-var-file=../vars.json", "-out=../" + planFile}, more...)
	r.hit("iac.plan.before")
	code, stderr, err := r.exec(ctx, false, said, args...)
	r.hit("iac.plan.after")
	if err != nil {
		return reading{}, err
	}
	if code != 0 {
		return reading{}, said.fault(r.secrets(ctx), code, stderr)
	}
	file, err := r.read(planFile, maxPlan)
	if err != nil {
		file = nil // it is read all the same, and made anew to be applied
	}
	made, ok := look.reading(file)
	if !ok {
		if made, err = r.show(ctx, func() {}); err != nil {
			return made, err
		}
	}
	made.file = file
	return made, nil
}

// show reads the plan file. What the program says is read while it says it, and
// ended is called when it does not run any more.
func (r *run) show(ctx context.Context, ended func()) (made reading, err error) {
	in, write := io.Pipe()
	over := false
	out := &meter{to: write, left: maxOutput, over: func() { over = true }}
	var reader sync.WaitGroup
	var readErr error
	reader.Go(func() {
		made, readErr = r.e.read(in)
		_, _ = io.Copy(io.Discard, in)
	})
	code, stderr, err := r.exec(ctx, false, out, "show", "-json", "-no-color", "../"+planFile)
	_ = write.Close()
	ended()
	reader.Wait()
	switch {
	case err != nil:
		return reading{}, err
	case code != 0:
		return reading{}, (&stream{}).fault(r.secrets(ctx), code, stderr)
	case over:
		return reading{}, fault.New(fault.TooLarge, "plan_too_large", "the plan is larger than %d MiB", maxOutput>>20).WithHint("split the module")
	}
	return made, readErr
}

// secrets are those of the state and of the variables, for messages that might
// repeat one.
func (r *run) secrets(ctx context.Context) masker {
	all := slices.Clone(r.hidden)
	if r.session == nil {
		return all
	}
	body, _, err := r.session.Read(ctx)
	if err != nil || body == nil {
		return all
	}
	s, err := parseState(body)
	if err != nil {
		return all
	}
	return append(all, s.secrets()...)
}

func (e *Engine) keep(state string, k keptPlan) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for id, old := range e.kept {
		if time.Since(old.at) > keptFor || len(e.kept) >= maxKept {
			delete(e.kept, id)
		}
	}
	e.kept[state] = k
}

// take gives the kept plan file of exactly this plan, once.
func (e *Engine) take(state string, p engine.Plan, now iacstate.Meta) (keptPlan, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	k, ok := e.kept[state]
	delete(e.kept, state)
	return k, ok && p.Engine != nil && k.digest == digest(p) && time.Since(k.at) < keptFor && k.serial == now.Serial && k.lineage == now.Lineage
}

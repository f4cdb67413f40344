package iac

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"fairlead/internal/engine"
	"fairlead/internal/engine/iac/iacstate"
	"fairlead/internal/engine/iac/sandbox"
	"fairlead/internal/fault"
)

// Apply implements engine.Engine. It applies the very plan file that Plan made
// for this plan; when that is not there any more it plans again, and goes on
// only if the result is the same.
func (e *Engine) Apply(ctx context.Context, req engine.Request, plan engine.Plan, p engine.Progress) (_ engine.Result, err error) {
	defer settle(ctx, &err)
	w, err := e.want(ctx, req)
	if err != nil {
		return engine.Result{}, err
	}
	session, err := e.begin(ctx, req)
	if err != nil {
		return engine.Result{}, err
	}
	defer e.end(ctx, session)
	p.Step("%s %s, isolation: %s", e.kind, e.version, e.level)
	meta, err := e.o.States.Meta(ctx, req.Ref.ID)
	if err != nil {
		return engine.Result{}, err
	}
	if meta.Version == 0 && req.Previous != nil && req.LifeCycle.Stateful {
		return engine.Result{}, lost("the resource's state is gone")
	}
	r, err := e.newRun(ctx, w.m, writerName(session), w, session)
	if err != nil {
		return engine.Result{}, err
	}
	defer r.close()
	written := &written{ref: req.Ref}
	session.Watch(written.take)
	made, err := e.planned(ctx, r, req, plan, meta)
	if err != nil {
		return engine.Result{}, err
	}
	for _, kind := range made.gone {
		if req.Previous != nil && w.spec.stateful(kind, req.LifeCycle) {
			return engine.Result{}, lost("an object that holds data is gone: " + kind)
		}
	}
	if !made.noop || meta.Version == 0 {
		if err := r.apply(ctx, req, made.secrets, p, "../"+planFile); err != nil {
			return engine.Result{}, err
		}
	}
	return e.result(ctx, req, w, written)
}

func lost(what string) error {
	return fault.New(fault.Conflict, "resource_lost", "%s", what).
		WithHint("restore it from a backup, or destroy the resource and request a new one")
}

// planned puts the plan file into the run's directory.
func (e *Engine) planned(ctx context.Context, r *run, req engine.Request, plan engine.Plan, meta iacstate.Meta) (reading, error) {
	if k, ok := e.take(req.Ref.ID, plan, meta); ok {
		root, err := os.OpenRoot(r.dir)
		if err != nil {
			return reading{}, fault.From(err)
		}
		defer func() { _ = root.Close() }()
		if err := root.WriteFile(planFile, k.reading.file, 0o600); err != nil {
			return reading{}, fault.From(err)
		}
		return k.reading, r.give(root)
	}
	made, err := r.plan(ctx)
	if err == nil && plan.Engine != nil && made.digest != digest(plan) {
		err = planChanged()
	}
	return made, err
}

// apply runs the program for its effect.
func (r *run) apply(ctx context.Context, req engine.Request, secrets masker, p engine.Progress, args ...string) error {
	if err := req.Check(ctx); err != nil {
		return err
	}
	said := &stream{progress: p}
	r.e.hit("iac.apply.before")
	code, stderr, err := r.exec(ctx, false, said, append([]string{"apply", "-json", "-input=false", "-no-color", "-lock-timeout=0s"}, args...)...)
	r.e.hit("iac.apply.after")
	if rec := r.e.recoverFrom(context.WithoutCancel(ctx), r.session, r.dir); rec != nil && err == nil {
		err = rec
	}
	if err == nil && code != 0 {
		err = said.fault(append(secrets, r.secrets(ctx)...), code, stderr)
	}
	return err
}

// result is what the state that is there now says; written is what this session
// wrote of it.
func (e *Engine) result(ctx context.Context, req engine.Request, w want, written *written) (engine.Result, error) {
	meta, err := e.o.States.Meta(ctx, req.Ref.ID)
	if err != nil {
		return engine.Result{}, err
	}
	says, known := written.says(meta)
	if !known {
		var body []byte
		if body, meta, err = e.o.States.Read(ctx, req.Ref.ID); err != nil {
			return engine.Result{}, err
		}
		if body == nil {
			return engine.Result{}, fault.New(fault.Unavailable, "engine_failed", "the program ended and wrote no state")
		}
		says = readState(body, req.Ref)
	}
	if says.err != nil {
		return engine.Result{}, says.err
	}
	note, err := e.note(w, meta.Lineage)
	if err != nil {
		return engine.Result{}, err
	}
	return engine.Result{Outputs: says.outputs, Objects: says.objects, State: note, Confirmed: true}, nil
}

// Destroy implements engine.Engine. What the state does not name is not ours.
func (e *Engine) Destroy(ctx context.Context, req engine.Request, p engine.Progress) (err error) {
	defer settle(ctx, &err)
	if ctx.Err() != nil {
		return interrupted(ctx)
	}
	session, err := e.begin(ctx, req)
	if err != nil {
		return err
	}
	defer e.end(ctx, session)
	meta, err := e.o.States.Meta(ctx, req.Ref.ID)
	if err != nil {
		return err
	}
	if meta.Objects > 0 {
		w, err := e.want(ctx, req)
		if err != nil {
			return err
		}
		r, err := e.newRun(ctx, w.m, writerName(session), w, session)
		if err != nil {
			return err
		}
		defer r.close()
		p.Step("removing %d objects", meta.Objects)
		if err := r.apply(ctx, req, r.secrets(ctx), p, "-destroy", "-auto-approve", "-var-file=../vars.json"); err != nil {
			return err
		}
	}
	return session.Forget(ctx)
}

// writerName names the directory of a run that may write.
func writerName(c *iacstate.Session) string { return runPrefix(c.State) + "-w" + itoa(c.Epoch()) }

// epochOf is the claim of the writer whose directory it is.
func epochOf(dir string) int64 {
	name := filepath.Base(dir)
	n, err := strconv.ParseInt(name[strings.LastIndexByte(name, 'w')+1:], 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// begin claims the resource's state, once nothing of an earlier run can be
// alive here, and recovers what that could not deliver.
func (e *Engine) begin(ctx context.Context, req engine.Request) (*iacstate.Session, error) {
	e.hit("iac.claim.before")
	if ctx.Err() != nil {
		return nil, interrupted(ctx)
	}
	if err := req.Check(ctx); err != nil {
		return nil, err
	}
	e.mu.Lock()
	err := e.settleIn(ctx)
	e.mu.Unlock()
	if err != nil {
		return nil, err
	}
	old, err := filepath.Glob(filepath.Join(e.runs(), runPrefix(req.Ref.ID)+"-w*[0-9]"))
	if err != nil {
		return nil, fault.From(err)
	}
	for _, dir := range old {
		if err := awaitDeath(ctx, dir+".alive"); err != nil {
			return nil, err
		}
	}
	session, err := e.o.States.Claim(ctx, req.Ref.ID, "apply", req.Fenced)
	if err != nil {
		if ctx.Err() != nil {
			return nil, interrupted(ctx)
		}
		return nil, err
	}
	for _, dir := range old {
		if err := e.recoverFrom(ctx, session, dir); err != nil {
			return nil, err
		}
		discard(dir)
	}
	e.hit("iac.claim.after")
	return session, nil
}

func (e *Engine) end(ctx context.Context, c *iacstate.Session) {
	if err := c.End(ctx); err != nil { // the next claim releases it
		e.o.Log.Warn("a state's lock could not be released", "state", c.State, "error", err)
	}
}

// awaitDeath waits for the end of what an earlier run of this machine started:
// it saves its state first, for as long as it may.
func awaitDeath(ctx context.Context, alive string) error {
	deadline := time.Now().Add(grace + 5*time.Second)
	for {
		dead, err := sandbox.Dead(alive)
		if dead {
			return nil
		}
		if err != nil || time.Now().After(deadline) {
			return fault.New(fault.Unavailable, "engine_busy", "an earlier run of this resource is still at work").
				WithHint("it is tried again by itself").WithCause(err)
		}
		select {
		case <-ctx.Done():
			return interrupted(ctx)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// recoverFrom delivers the state that a program could not.
func (e *Engine) recoverFrom(ctx context.Context, c *iacstate.Session, dir string) error {
	body, err := readBelow(filepath.Join(dir, "w"), erroredFile, iacstate.MaxSize)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		e.o.Log.Error("a state that a run left behind cannot be read", "state", c.State, "dir", dir, "error", err)
		return fault.New(fault.Conflict, "state_not_recovered", "a state that an earlier run left behind cannot be read").
			WithHint("have the platform team look at the server's log")
	}
	e.hit("iac.recover.before")
	how, err := c.Recover(ctx, body, epochOf(dir))
	if err != nil {
		return err
	}
	e.hit("iac.recover.after")
	e.o.Log.Warn("a run left behind a state that it could not deliver", "state", c.State, "now", how)
	return os.Remove(filepath.Join(dir, "w", erroredFile))
}

// sweep removes the directories of readers that are dead, and modules that
// were tried, at start.
func (e *Engine) sweep() {
	tried, err := filepath.Glob(filepath.Join(e.dir, "m", trialNamed+"*"))
	for _, dir := range tried {
		err = errors.Join(err, os.RemoveAll(dir))
	}
	if err != nil {
		e.o.Log.Warn("modules that were tried could not be removed", "error", err)
	}
	list, err := os.ReadDir(e.runs())
	if err != nil {
		return
	}
	e.noteEarlier(list)
	for _, d := range list {
		name := d.Name()
		_, kind, ok := strings.Cut(name, "-")
		if _, bad := strconv.Atoi(strings.TrimPrefix(kind, "w")); ok && strings.HasPrefix(kind, "w") && bad == nil {
			continue // its successor recovers from it
		}
		dir := filepath.Join(e.runs(), strings.TrimSuffix(name, ".alive"))
		if dead, err := sandbox.Dead(dir + ".alive"); dead && err == nil && !strings.HasSuffix(name, ".alive") {
			discard(dir)
		}
	}
}

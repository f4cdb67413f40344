package resource

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"time"

	"fairlead/internal/engine"
	"fairlead/internal/failpoint"
	"fairlead/internal/gate"
	"fairlead/internal/principal"
	"fairlead/internal/queue"
	"fairlead/internal/sqldb"
)

// work is one claim of one resource: what the records say, and what they say
// it needs.
type work struct {
	s      *Service
	claim  *queue.Claim
	res    Resource
	row    Resource // res as this work wrote it last
	run    Run      // the open run; zero when nothing asked for one
	env    Environment
	tmpl   Template
	eng    engine.Engine
	prev   *engine.Result // what the last success gave, secrets included
	log    *runLog
	hidden []string // secret values at hand; none may get into a log or a message
	begun  bool     // this attempt is counted
	anew   bool     // row is not what is there any more
}

// Reconcile is the queue's handler: it compares what is wanted with what is
// recorded as made, and closes the gap. It never replays steps: each call
// looks anew.
func (s *Service) Reconcile(ctx context.Context, c *queue.Claim) (err error) {
	ctx = principal.With(ctx, principal.System)
	w := &work{s: s, claim: c}
	if err := w.read(ctx); err != nil {
		if errors.Is(err, sql.ErrNoRows) { // no record explains the job, so there is nothing to do
			return c.Write(ctx, "run.orphan", func(tx *sqldb.Tx) error { return c.Remove(ctx, tx) })
		}
		return err
	}
	defer func() {
		if p := recover(); p != nil {
			err = w.fail(ctx, fmt.Errorf("panic: %v\n%s", p, debug.Stack()))
		}
	}()
	switch {
	case !w.res.DestroyedAt.IsZero():
		return c.Write(ctx, "run.gone", func(tx *sqldb.Tx) error { return c.Remove(ctx, tx) })
	case c.Canceled && !w.run.CancelAsked:
		return w.lookAgain(ctx) // the request was for work that is over; ending the claim clears it
	case w.run.ID == "" && w.res.RetireAt.IsZero():
		return w.rest(ctx)
	}
	if err := w.equip(ctx); err != nil {
		return w.fail(ctx, err)
	}
	switch {
	case !w.res.DestroyWantedAt.IsZero():
		return w.destroy(ctx)
	case w.run.CancelAsked:
		return w.canceled(ctx)
	}
	if ended, err := w.retireIfDue(ctx); ended {
		return err
	}
	switch {
	case w.run.ID == "":
		return w.rest(ctx)
	case w.run.Kind == RunRotate && w.res.Revision == w.res.AppliedRevision:
		return w.rotate(ctx)
	}
	return w.apply(ctx)
}

// read finds what the records say, in one moment: the run is the one that the
// resource named, whatever was asked for since.
func (w *work) read(ctx context.Context) error {
	var err error
	if w.res, err = w.s.db.byID(ctx, w.s.DB.Read(), w.claim.Key); err != nil {
		return err
	}
	w.row = w.res
	w.log = newRunLog(w)
	if w.res.RunID != "" {
		if w.run, w.log.last, err = w.s.db.runToWorkOn(ctx, w.res.RunID); err != nil {
			return err
		}
		if w.run.Status != RunRunning {
			w.run = Run{}
		}
	}
	return nil
}

// equip finds what the work is done with.
func (w *work) equip(ctx context.Context) error {
	var err error
	if w.env, err = w.res.environment(); err != nil {
		return err
	}
	if w.tmpl, err = w.s.Templates.Load(ctx, w.res.Template, w.res.TemplateVersion); err != nil {
		return err
	}
	var ok bool
	if w.eng, ok = w.s.Engines[w.res.Engine]; !ok {
		return noEngine(w.res.Engine)
	}
	if w.prev, err = w.s.previous(ctx, w.res); err != nil || w.prev == nil {
		return err
	}
	for _, o := range w.prev.Outputs {
		w.hide(o.Secret.Reveal())
	}
	return nil
}

// hide keeps a secret value out of logs and messages, should an engine slip.
func (w *work) hide(value string) {
	if len(value) >= 6 { // shorter ones are found in any text
		w.hidden = append(w.hidden, value, masked)
	}
}

// text gives a message as it may be recorded.
func (w *work) text(s string) string {
	if len(w.hidden) > 0 {
		s = strings.NewReplacer(w.hidden...).Replace(s)
	}
	return clean(s)
}

// clean gives s without what is no text: a store would refuse it, and a
// terminal obey it.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return ' '
		case r < ' ' || r == 0x7f || r == '\uFFFD' || (r >= 0x80 && r < 0xa0):
			return -1
		}
		return r
	}, s)
}

// lock gives the row for a change. It takes the row for what this work saw or
// wrote last, which nearly always it is, and write runs again with another.
func (w *work) lock(ctx context.Context, tx *sqldb.Tx) (Resource, error) {
	if w.anew {
		return w.s.db.lock(ctx, tx, w.res.ID)
	}
	return w.row, w.s.db.lockKnown(ctx, tx, w.row)
}

// write is a fenced write with the log lines that have come up.
func (w *work) write(ctx context.Context, op string, fn func(tx *sqldb.Tx) error) error {
	err := w.writeOnce(ctx, op, fn)
	if errors.Is(err, errWritten) {
		w.anew = true
		defer func() { w.anew = false }()
		err = w.writeOnce(ctx, op, fn)
	}
	return err
}

func (w *work) writeOnce(ctx context.Context, op string, fn func(tx *sqldb.Tx) error) error {
	lines := w.log.take()
	err := w.claim.Write(ctx, op, func(tx *sqldb.Tx) error {
		if w.run.ID != "" {
			if err := w.s.db.appendLog(ctx, tx, w.run.ID, lines); err != nil {
				return err
			}
		}
		tx.Notify(topic(w.res.ID), "")
		return fn(tx)
	})
	if err != nil {
		w.log.putBack(lines)
	}
	return err
}

// external calls an engine, with the run's log live meanwhile.
func (w *work) external(ctx context.Context, phase, point string, call func() error) error {
	stop := w.log.stream(ctx, phase)
	defer stop()
	failpoint.Hit(point + ".before")
	err := call()
	failpoint.Hit(point + ".after")
	return err
}

// rest ends the claim with nothing to do but what has a time of its own.
func (w *work) rest(ctx context.Context) error {
	return w.claim.Write(ctx, "run.rest", func(tx *sqldb.Tx) error { return w.claim.Done(ctx, tx, nextTurn(tx, w.res)) })
}

// lookAgain ends the claim; the next one looks at what is wanted now.
func (w *work) lookAgain(ctx context.Context) error {
	return w.write(context.WithoutCancel(ctx), "run.again", func(tx *sqldb.Tx) error {
		return w.claim.Done(ctx, tx, time.Millisecond)
	})
}

// nextTurn is when r needs work by itself: when credentials are to end.
func nextTurn(tx *sqldb.Tx, r Resource) time.Duration {
	if r.RetireAt.IsZero() {
		return 0
	}
	return max(r.RetireAt.Sub(tx.Now()), time.Millisecond)
}

// enter takes a planned run through the gates into the phase in which it
// changes things, and records the plan for whoever watches. on is false when
// it may not go on now: then the claim is ended, with err as its outcome.
func (w *work) enter(ctx context.Context, op string, p Phase, plan engine.Plan) (on bool, err error) {
	g, err := w.judge(ctx, plan)
	if err != nil {
		return false, w.fail(ctx, err)
	}
	return w.step(ctx, op, p, g)
}

// step records that the run goes on into a phase, past the gates in g. What
// was overtaken does not go on: nothing external may be done for it any more.
func (w *work) step(ctx context.Context, op string, p Phase, g *gating) (on bool, err error) {
	var held *gate.Pass
	var row Resource
	err = w.write(ctx, op, func(tx *sqldb.Tx) error {
		r, err := w.lock(ctx, tx)
		if err != nil {
			return err
		}
		if w.overtaken(r) {
			return errOvertaken
		}
		if held, err = w.pass(ctx, tx, g); err != nil {
			return err
		}
		if held != nil {
			return w.hold(ctx, tx, r, *held, g)
		}
		if err := w.s.db.enter(ctx, tx, w.run.ID, w.claim.Fence, w.begun, string(p), g); err != nil {
			return err
		}
		r.Phase, r.Reason, r.Message, r.Hint = p, "", "", ""
		err = w.s.db.updateStep(ctx, tx, &r)
		row = r
		return err
	})
	switch {
	case err != nil:
		return false, w.fail(ctx, err)
	case held != nil && held.Refused != nil:
		return false, w.fail(ctx, held.Refused)
	case held != nil:
		return false, nil
	}
	w.begun, w.row = true, row
	if g != nil {
		w.run.passed, w.run.PlanDigest = g.passed, g.binding[gate.PartPlan]
	}
	return true, nil
}

// hold lets a run wait at a gate, its plan there to be looked at. It is woken
// when somebody decides, and looks by itself whether something has changed.
func (w *work) hold(ctx context.Context, tx *sqldb.Tx, r Resource, held gate.Pass, g *gating) error {
	if held.Refused != nil {
		return nil
	}
	if err := w.s.db.waits(ctx, tx, w.run.ID, g.plan, g.binding[gate.PartPlan]); err != nil {
		return err
	}
	if r.Phase != Waiting || r.Reason != held.Reason || r.Message != held.Message {
		r.Phase, r.Reason, r.Message, r.Hint = Waiting, held.Reason, held.Message, held.Hint
		if err := w.s.db.update(ctx, tx, &r); err != nil {
			return err
		}
		// Whoever follows the run is told, too.
		line := LogLine{Seq: w.log.next(), At: tx.Now(), Phase: "waiting", Level: "info", Message: w.text(held.Message)}
		if err := w.s.db.appendLog(ctx, tx, w.run.ID, []LogLine{line}); err != nil {
			return err
		}
	}
	again := lookAtGates
	if wait := held.Until.Sub(tx.Now()); !held.Until.IsZero() && wait < again {
		again = max(wait, time.Millisecond)
	}
	if turn := nextTurn(tx, r); turn > 0 {
		again = min(again, turn)
	}
	return w.claim.Done(ctx, tx, again)
}

// lookAtGates is how often a run that waits at a gate looks by itself.
const lookAtGates = time.Minute

var errOvertaken = errors.New("something newer was asked for")

// overtaken tells whether something newer was asked for since this work began:
// whatever is asked for opens a run.
func (w *work) overtaken(r Resource) bool { return r.RunID != w.res.RunID }

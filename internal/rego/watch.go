package rego

import (
	"context"
	"runtime"
	"runtime/metrics"
	"sync/atomic"
	"time"

	"github.com/open-policy-agent/opa/v1/topdown"
)

const (
	watchAfter = 20 * time.Millisecond // almost every evaluation is over by then
	watchEvery = 5 * time.Millisecond
)

const (
	running int32 = iota
	tooSlow
	tooBig
	canceled
)

// lastPanic is the stack of the last evaluation that broke down, for a
// debugger: whoever asked got an error.
var lastPanic atomic.Value

// watch ends an evaluation that runs too long or makes the process grow too
// much. One that is over soon costs a timer.
type watch struct {
	cancel topdown.Cancel
	more   func() // called too when it is ended; may be nil
	limits Limits
	began  time.Time
	timer  *time.Timer
	state  atomic.Int32
	over   atomic.Bool
	undo   func() bool
}

func newWatch(ctx context.Context, l Limits, more func()) *watch {
	w := &watch{cancel: topdown.NewCancel(), more: more, limits: l, began: time.Now()}
	w.timer = time.AfterFunc(min(watchAfter, l.Time), w.run)
	if ctx.Done() != nil {
		w.undo = context.AfterFunc(ctx, func() { w.end(canceled) })
	}
	return w
}

func (w *watch) stop() {
	w.over.Store(true)
	w.timer.Stop()
	if w.undo != nil {
		w.undo()
	}
}

func (w *watch) end(why int32) {
	w.state.CompareAndSwap(running, why)
	w.cancel.Cancel()
	if w.more != nil {
		w.more()
	}
}

func (w *watch) run() {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	heap := func() uint64 {
		metrics.Read(sample)
		return sample[0].Value.Uint64()
	}
	base := heap()
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for !w.over.Load() && !w.cancel.Cancelled() {
		if time.Since(w.began) >= w.limits.Time {
			w.end(tooSlow)
			return
		}
		if now := heap(); now > base+w.limits.Memory {
			// Much of it may be garbage, of others too: look again without.
			// What grew by twice as much is not waited for.
			if now < base+2*w.limits.Memory {
				runtime.GC()
			}
			if heap() > base+w.limits.Memory {
				w.end(tooBig)
				return
			}
		}
		<-tick.C
	}
}

// why says why the evaluation was ended; nil when it was not.
func (w *watch) why(l Limits) error {
	switch w.state.Load() {
	case tooSlow:
		return &Error{Timeout, "the evaluation took longer than " + l.Time.String()}
	case tooBig:
		return &Error{Memory, "the evaluation took more memory than it may"}
	case canceled:
		return &Error{Canceled, "the evaluation was canceled"}
	}
	return nil
}

package resource

import (
	"context"
	"fmt"
	"runtime/debug"

	"fairlead/internal/engine"
)

// early is an Apply that is begun while it is still being recorded that the
// run goes on, with an engine that asks before it acts: it takes its locks and
// looks meanwhile. With other engines, or when something else is to be done
// with the engine first, it begins when it may act.
type early struct {
	call    func() (engine.Result, error)
	allowed chan struct{} // closed when it may act
	done    chan struct{} // closed when the call is over; nil when it is not begun
	end     context.CancelCauseFunc
	result  engine.Result
	err     error
}

// begin makes the call; now says that it may begin.
func (w *work) begin(ctx context.Context, req engine.Request, plan engine.Plan, now bool) *early {
	a := &early{allowed: make(chan struct{})}
	ctx, a.end = context.WithCancelCause(ctx)
	_, asks := w.eng.(engine.Asker)
	fenced := req.Fenced
	now = now && asks && fenced != nil
	if now {
		req.Fenced = func(ctx context.Context) error {
			select {
			case <-a.allowed:
				return fenced(ctx)
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
	}
	a.call = func() (engine.Result, error) { return w.eng.Apply(ctx, req, plan, w.log) }
	if now {
		a.done = make(chan struct{})
		go a.run()
	}
	return a
}

// run calls the engine apart from the caller, who is told of a panic as of an
// error.
func (a *early) run() {
	defer close(a.done)
	defer func() {
		if p := recover(); p != nil {
			a.err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	a.result, a.err = a.call()
}

// finish lets it act, and gives what came of it.
func (a *early) finish() (engine.Result, error) {
	if a.done == nil {
		return a.call()
	}
	close(a.allowed)
	<-a.done
	return a.result, a.err
}

// stop ends it, when it was not to be; after finish it does nothing.
func (a *early) stop() {
	a.end(errOvertaken)
	if a.done != nil {
		<-a.done
	}
}

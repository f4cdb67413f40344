package queue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"sync"
	"time"

	"fairlead/internal/ident"
	"fairlead/internal/sqldb"
)

// Handler works on one claim. It ends the claim itself, in the same
// transaction as its result, with Claim.Done, Retry or Remove. When it returns
// without that, the runner makes the key due again: at once when the server
// stops, after a backoff otherwise. Its context ends, with the cause
// ErrFenced, ErrCanceled or ErrStopping, when the work is no longer wanted
// from it. A panic counts as an error and spoils nothing else.
type Handler func(ctx context.Context, c *Claim) error

// Options says how a Runner works.
type Options struct {
	DB     *sqldb.DB
	Lanes  map[string]int // how many claims at once, of each lane
	Handle Handler
	Lease  time.Duration // default 30 s; renewed at a third of it
	Poll   time.Duration // default 5 s; wake-ups can get lost
	Log    *slog.Logger
}

// Runner claims what is due and hands it to a Handler, within each lane's
// bound. Any number of runners, in any number of processes, share a queue.
type Runner struct {
	o      Options
	holder string

	mu   sync.Mutex
	held map[string]*work
}

type work struct {
	claim  *Claim
	cancel context.CancelCauseFunc
}

// NewRunner makes a Runner; Run starts it.
func NewRunner(o Options) *Runner {
	if o.Lease <= 0 {
		o.Lease = 30 * time.Second
	}
	if o.Poll <= 0 {
		o.Poll = 5 * time.Second
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Runner{o: o, holder: ident.New("wkr"), held: map[string]*work{}}
}

// Holder is what the queue knows this runner by.
func (r *Runner) Holder() string { return r.holder }

// Run works until ctx ends, then cancels what is under way, waits for it and
// gives its leases back, so that a successor goes on at once.
func (r *Runner) Run(ctx context.Context) {
	// Handlers outlive ctx just long enough to be told why they must stop.
	base, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	var lanes, rest sync.WaitGroup
	for lane, n := range r.o.Lanes {
		lanes.Go(func() { r.lane(ctx, base, lane, n) })
	}
	beat, stopBeat := context.WithCancel(base)
	rest.Go(func() { r.heartbeat(beat) })
	rest.Go(func() { r.cancels(beat) })
	<-ctx.Done()
	cancel(ErrStopping)
	lanes.Wait()
	stopBeat()
	rest.Wait()
}

// lane keeps up to n claims of one lane busy.
func (r *Runner) lane(ctx, base context.Context, lane string, n int) {
	wake, unsubscribe := r.o.DB.Subscribe(topic(lane))
	defer unsubscribe()
	freed := make(chan struct{}, n)
	free := n
	var running sync.WaitGroup
	defer running.Wait()
	backlog := false // the last claim left nothing free: more may be waiting
	for {
		took := 0
		if free > 0 {
			claims, err := claim(ctx, r.o.DB, r.holder, lane, free, r.o.Lease)
			if err != nil && ctx.Err() == nil {
				r.o.Log.Warn("claiming work failed; trying again", "lane", lane, "error", err)
			}
			for _, c := range claims {
				free--
				running.Go(func() {
					r.handle(base, c)
					freed <- struct{}{}
				})
			}
			took = len(claims)
			backlog = free == 0
		}
		wait := r.o.Poll
		if free > 0 && took == 0 {
			wait = nextDue(ctx, r.o.DB, lane, r.o.Poll)
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-freed:
			free++
		case <-wake:
		case <-timer.C:
		}
		timer.Stop()
		free += gather(freed, free, n, backlog)
	}
}

// gather gives how many more places have fallen free. Behind a backlog it waits
// a moment until a quarter of them has: what ends together is filled together,
// and a claim for each place would cost more than the moment does.
func gather(freed <-chan struct{}, free, all int, backlog bool) (more int) {
	for {
		select {
		case <-freed:
			more++
			continue
		default:
		}
		if !backlog || free+more == 0 || free+more >= (all+3)/4 {
			return more
		}
		select {
		case <-freed:
			more++
		case <-time.After(gatherFor):
			return more
		}
	}
}

const gatherFor = 2 * time.Millisecond

func (r *Runner) handle(base context.Context, c *Claim) {
	ctx, cancel := context.WithCancelCause(base)
	defer cancel(nil)
	r.mu.Lock()
	r.held[c.Key] = &work{c, cancel}
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		if w := r.held[c.Key]; w != nil && w.claim == c {
			delete(r.held, c.Key)
		}
		r.mu.Unlock()
	}()
	err := r.call(ctx, c)
	if c.ended {
		if err != nil {
			r.o.Log.Warn("a handler failed after it had ended its claim", "key", c.Key, "error", err)
		}
		return
	}
	cause := context.Cause(ctx)
	if errors.Is(err, ErrFenced) || errors.Is(cause, ErrFenced) {
		r.o.Log.Info("claim lost; a newer one goes on", "key", c.Key, "fence", c.Fence)
		return
	}
	wait := Backoff(c.Attempt)
	if errors.Is(cause, ErrStopping) {
		wait = 0
	}
	if err == nil {
		err = errors.New("the handler ended nothing")
	}
	r.o.Log.Warn("work failed; it is tried again", "key", c.Key, "lane", c.Lane, "attempt", c.Attempt, "wait", wait, "error", err)
	// The handler's context may be over; giving the lease back must not be.
	end, done := context.WithTimeout(context.WithoutCancel(base), 10*time.Second)
	defer done()
	if werr := c.Write(end, "queue.retry", func(tx *sqldb.Tx) error {
		return c.Retry(end, tx, wait, "handler")
	}); werr != nil && !errors.Is(werr, ErrFenced) {
		r.o.Log.Warn("a lease could not be given back; it runs out by itself", "key", c.Key, "error", werr)
	}
}

func (r *Runner) call(ctx context.Context, c *Claim) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return r.o.Handle(ctx, c)
}

// heartbeat renews what is held. It runs apart from the handlers, so that a
// slow or hung engine keeps its lease, and a stopped process loses it.
func (r *Runner) heartbeat(ctx context.Context) {
	tick := time.NewTicker(r.o.Lease / 3)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		held := r.snapshot()
		if len(held) == 0 {
			continue
		}
		keys := make([]string, 0, len(held))
		for key := range held {
			keys = append(keys, key)
		}
		got, err := renew(ctx, r.o.DB, r.holder, keys, r.o.Lease)
		if err != nil {
			if ctx.Err() == nil {
				r.o.Log.Warn("leases could not be renewed", "held", len(keys), "error", err)
			}
			continue // the fence protects what the lease no longer does
		}
		alive := map[string]renewed{}
		for _, v := range got {
			alive[v.key] = v
		}
		for key, w := range held {
			switch v, ok := alive[key]; {
			case !ok || v.fence != w.claim.Fence:
				if !r.stillHeld(key, w) {
					continue // it ended by itself meanwhile
				}
				w.cancel(ErrFenced)
			case v.canceled:
				w.cancel(ErrCanceled)
			}
		}
	}
}

// cancels hands cancel requests on as soon as they are made; the heartbeat
// catches those whose wake-up got lost.
func (r *Runner) cancels(ctx context.Context) {
	wake, unsubscribe := r.o.DB.Subscribe(cancelTopic)
	defer unsubscribe()
	for {
		select {
		case <-ctx.Done():
			return
		case key := <-wake:
			r.mu.Lock()
			w := r.held[key]
			r.mu.Unlock()
			if w != nil {
				w.cancel(ErrCanceled)
			}
		}
	}
}

func (r *Runner) snapshot() map[string]*work {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make(map[string]*work, len(r.held))
	for k, w := range r.held {
		out[k] = w
	}
	return out
}

func (r *Runner) stillHeld(key string, w *work) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.held[key] == w
}

// Backoff is the wait before the given attempt is followed by another: it
// doubles from one second to five minutes, and half of it is jitter, so that
// what failed together is not tried together.
func Backoff(attempt int) time.Duration {
	d := time.Second << min(max(attempt-1, 0), 9)
	d = min(d, 5*time.Minute)
	return d/2 + time.Duration(rand.Int64N(int64(d/2)+1))
}

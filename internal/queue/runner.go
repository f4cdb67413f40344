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

	"fairlead/internal/failpoint"
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
	places map[string]*places // by lane; the map does not change

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
	r := &Runner{o: o, holder: ident.New("wkr"), places: map[string]*places{}, held: map[string]*work{}}
	for lane, n := range o.Lanes {
		r.places[lane] = newPlaces(lane, n)
	}
	return r
}

// Holder is what the queue knows this runner by.
func (r *Runner) Holder() string { return r.holder }

// Run works until ctx ends, then cancels what is under way, waits for it and
// gives its leases back, so that a successor goes on at once.
func (r *Runner) Run(ctx context.Context) {
	// Handlers outlive ctx just long enough to be told why they must stop.
	base, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	var lanes, rest sync.WaitGroup
	for _, p := range r.places {
		lanes.Go(func() { r.lane(ctx, base, p) })
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

// lane keeps the places of one lane busy.
func (r *Runner) lane(ctx, base context.Context, p *places) {
	wake, unsubscribe := r.o.DB.Subscribe(topic(p.lane))
	defer unsubscribe()
	p.open(base)
	defer p.shut()
	next := time.Now().Add(r.o.Poll)
	for {
		if n := p.takeFree(); n > 0 {
			next = time.Now().Add(r.fill(ctx, base, p, n))
		}
		timer := time.NewTimer(time.Until(next))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-p.kick:
		case <-wake:
			p.stale()
		case <-timer.C:
			p.stale()
			next = time.Now().Add(r.o.Poll)
		}
		timer.Stop()
		p.gather()
	}
}

// fill claims what is due for n places that were taken for it, and tells when
// to look again if nothing says so earlier.
func (r *Runner) fill(ctx, base context.Context, p *places, n int) (wait time.Duration) {
	claims, err := claim(ctx, r.o.DB, r.holder, p.lane, n, r.o.Lease)
	for _, c := range claims {
		r.start(base, p, c)
	}
	p.looked(n-len(claims), len(claims) == n)
	switch {
	case err != nil:
		if ctx.Err() == nil {
			r.o.Log.Warn("claiming work failed; trying again", "lane", p.lane, "error", err)
		}
		return r.o.Poll
	case len(claims) == n:
		return r.o.Poll
	}
	return nextDue(ctx, r.o.DB, p.lane, r.o.Poll)
}

// start has a claim worked on, in a place that was taken for it. Whoever asks
// for its end from now on is heard.
func (r *Runner) start(base context.Context, p *places, c *Claim) {
	ctx, cancel := context.WithCancelCause(base)
	w := &work{c, cancel}
	r.mu.Lock()
	r.held[c.Key] = w
	r.mu.Unlock()
	go func() {
		defer p.vacate(false)
		defer cancel(nil)
		defer func() {
			r.mu.Lock()
			defer r.mu.Unlock()
			if r.held[c.Key] == w {
				delete(r.held, c.Key)
			}
		}()
		failpoint.Hit("queue.start")
		r.handle(ctx, base, c)
	}()
}

// handle works on a claim and sees to its end.
func (r *Runner) handle(ctx, base context.Context, c *Claim) {
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

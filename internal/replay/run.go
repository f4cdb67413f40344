package replay

import (
	"context"
	"runtime"
	"sync"
	"time"

	"fairlead/internal/access"
	"fairlead/internal/audit"
	"fairlead/internal/fault"
	"fairlead/internal/gate"
	"fairlead/internal/guardrail"
	"fairlead/internal/sqldb"
)

// Run replays the recorded decisions of the last ask.Since, and looks at what
// stands there, with a bundle in place of the one of its name. Verdicts of
// other bundles, of quotas and of the rest stay as they were recorded, so that
// what differs is this bundle's doing alone. progress, which may be nil, is
// called now and then, by one goroutine at a time; its error ends the run, as
// the end of ctx does. It is for those who may view guardrails and read the
// audit log, and about what they may see. A third one at the same time is
// Unavailable, "backtests_busy".
func (s *Service) Run(ctx context.Context, ask Ask, progress func(Progress) error) (Report, error) {
	if _, _, err := s.may(ctx, ask.Name); err != nil {
		return Report{}, err
	}
	if ask.Since <= 0 || ask.Since > maxSince {
		return Report{}, badSince()
	}
	leave, err := s.enter()
	if err != nil {
		return Report{}, err
	}
	defer leave()
	return s.run(ctx, ask, progress)
}

func badSince() error {
	return fault.New(fault.Invalid, "invalid_since", "a backtest goes back at most 90 days, and at least a moment").
		WithHint("as in: --since 30d").WithField("query:since")
}

// enter takes one of the places that there are for backtests.
func (s *Service) enter() (leave func(), err error) {
	select {
	case s.busy <- struct{}{}:
		return func() { <-s.busy }, nil
	default:
		return nil, fault.New(fault.Unavailable, "backtests_busy", "%d backtests are running already", most).WithHint("try again when one has ended")
	}
}

// run is Run without a place of its own.
func (s *Service) run(ctx context.Context, ask Ask, progress func(Progress) error) (Report, error) {
	target, decision, err := s.may(ctx, ask.Name)
	if err != nil {
		return Report{}, err
	}
	b, err := s.bundle(ctx, ask)
	if err != nil {
		return Report{}, err
	}
	target.Name = b.Name
	t, err := s.prepare(ctx, b, ask.Since, progress)
	if err != nil {
		return Report{}, err
	}
	began := time.Now()
	err = s.replay(ctx, t)
	if err == nil {
		err = s.look(ctx, t)
	}
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	report := t.report(time.Since(began))
	// Nobody is shown anything before the log knows of it.
	if logged := s.note(context.WithoutCancel(ctx), target, decision, b, report, err); logged != nil {
		return Report{}, logged
	}
	if err != nil {
		return Report{}, err
	}
	return report, nil
}

func (s *Service) bundle(ctx context.Context, ask Ask) (*guardrail.Bundle, error) {
	if ask.Archive == nil {
		return s.Bundles.Load(ctx, ask.Name, ask.Version)
	}
	b, _, err := s.Bundles.Test(ctx, ask.Archive, ask.Name)
	return b, err
}

func (s *Service) prepare(ctx context.Context, b *guardrail.Bundle, since time.Duration, progress func(Progress) error) (*tally, error) {
	active, err := s.Bundles.Active(ctx)
	if err != nil {
		return nil, err
	}
	now, err := s.DB.Now(ctx)
	if err != nil {
		return nil, err
	}
	t := &tally{
		bundle: b, active: active, alone: guardrail.NewSet(b), now: now, progress: progress,
		changed: map[key]place{}, summary: Summary{Bundle: b.Label(), Since: now.Add(-since), Kinds: map[string]int{}},
	}
	if old, ok := active.Bundle(b.Name); ok {
		t.summary.Replaces = old.Label()
	}
	return t, nil
}

func (s *Service) note(ctx context.Context, target access.Target, d access.Decision, b *guardrail.Bundle, r Report, failed error) error {
	return s.DB.Write(ctx, "backtest.note", func(tx *sqldb.Tx) error {
		audit.Append(ctx, tx, audit.Entry{Action: "guardrail:backtest", Target: target, Decision: d, Details: map[string]any{
			"version": b.Version, "digest": b.Digest, "since": r.Since, "decisions": r.Decisions, "resources": r.Resources, "changed": r.Changed, "finished": failed == nil,
		}})
		return nil
	})
}

// replay asks about the recorded decisions.
func (s *Service) replay(ctx context.Context, t *tally) error {
	return inOrder(ctx, func(put func(gate.Kept) error) error {
		return s.Decisions.Replayed(ctx, t.summary.Since, t.begin, put)
	}, func(ctx context.Context, k gate.Kept) (outcome, error) { return t.again(ctx, k) }, t.decided)
}

// look asks about what stands there.
func (s *Service) look(ctx context.Context, t *tally) error {
	return inOrder(ctx, func(put func(gate.Facts) error) error {
		return s.Resources.Living(ctx, put)
	}, func(ctx context.Context, f gate.Facts) (outcome, error) {
		f.Now = t.now
		f, err := s.Decisions.Complete(ctx, f)
		if err != nil {
			return outcome{}, err
		}
		return t.standing(ctx, f)
	}, t.looked)
}

// inOrder has every core work on what source puts, and hands what comes of it
// to take, in the order of the source. No more than a few items wait at a time.
func inOrder[T, R any](ctx context.Context, source func(put func(T) error) error, work func(context.Context, T) (R, error), take func(R) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type result struct {
		value R
		err   error
	}
	type job struct {
		item T
		out  chan result
	}
	workers := runtime.GOMAXPROCS(0)
	jobs, order := make(chan job, workers), make(chan chan result, 8*workers)
	var all sync.WaitGroup
	for range workers {
		all.Go(func() {
			for j := range jobs {
				v, err := work(ctx, j.item)
				j.out <- result{v, err}
			}
		})
	}
	var failed error
	all.Go(func() {
		defer close(order)
		defer close(jobs)
		failed = source(func(item T) error {
			j := job{item, make(chan result, 1)}
			for _, step := range []func() error{
				func() error { return send(ctx, order, j.out) },
				func() error { return send(ctx, jobs, j) },
			} {
				if err := step(); err != nil {
					return err
				}
			}
			return nil
		})
	})
	err := func() error {
		for {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case out, ok := <-order:
				if !ok {
					return nil
				}
				select {
				case <-ctx.Done():
					return ctx.Err()
				case r := <-out:
					if r.err != nil {
						return r.err
					}
					if err := take(r.value); err != nil {
						return err
					}
				}
			}
		}
	}()
	cancel()
	all.Wait()
	if err != nil {
		return err
	}
	return failed // of the source, which has ended by itself
}

func send[T any](ctx context.Context, to chan<- T, v T) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case to <- v:
		return nil
	}
}

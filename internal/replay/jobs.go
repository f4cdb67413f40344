package replay

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"fairlead/internal/access"
	"fairlead/internal/audit"
	"fairlead/internal/fault"
	"fairlead/internal/ident"
	"fairlead/internal/principal"
	"fairlead/internal/sqldb"
)

// Status is how a backtest stands.
type Status string

// The statuses.
const (
	Running  Status = "running"
	Done     Status = "done"
	Failed   Status = "failed"
	Canceled Status = "canceled"
)

const (
	beat      = time.Second        // between two signs of life of a backtest
	dead      = 30 * time.Second   // after so long without one its server is gone
	kept      = 7 * 24 * time.Hour // and of one person's the newest twenty
	keptBatch = 500
)

// Backtest is one that was started, and goes on without its caller.
type Backtest struct {
	ID         string
	Name       string // of the bundle
	Version    string
	Days       int64
	Status     Status
	Failure    string
	Stopping   bool // it was asked to end
	Progress   Progress
	Summary    Summary // at its end
	StartedAt  time.Time
	SeenAt     time.Time
	FinishedAt time.Time
}

// Topic wakes who looks at a backtest.
func Topic(id string) string { return "backtest." + id }

// Filter is what of the changes to show; "" is all.
type Filter struct {
	Kind Kind
	Now  string // allowed, approval, denied
}

// jobs are the backtests that this server runs.
type jobs struct {
	mu   sync.Mutex
	base context.Context // ends when the server does; nil before it began
	all  sync.WaitGroup
}

// Serve lets backtests run until ctx ends, and waits for those that do.
func (s *Service) Serve(ctx context.Context) {
	s.jobs.mu.Lock()
	s.jobs.base = ctx
	s.jobs.mu.Unlock()
	<-ctx.Done()
	s.jobs.all.Wait()
}

func (s *Service) may(ctx context.Context, name string) (access.Target, access.Decision, error) {
	target := access.Target{Kind: "guardrail", Name: name}
	decision, err := s.Access.Check(ctx, access.GuardrailView, target)
	if err == nil {
		_, err = s.Access.Check(ctx, access.AuditView, access.Target{Kind: "audit"})
	}
	return target, decision, err
}

// Start begins a backtest of a stored version over some days, that goes on by
// itself: Get tells how it stands. It is for whom Run is for. A third one at
// the same time on one server is Unavailable, "backtests_busy".
func (s *Service) Start(ctx context.Context, name, version string, days int64) (Backtest, error) {
	target, decision, err := s.may(ctx, name)
	if err != nil {
		return Backtest{}, err
	}
	since := time.Duration(days) * 24 * time.Hour
	if days <= 0 || days > 90 {
		return Backtest{}, badSince()
	}
	b, err := s.Bundles.Load(ctx, name, version)
	if err != nil {
		return Backtest{}, err
	}
	leave, err := s.enter()
	if err != nil {
		return Backtest{}, err
	}
	s.jobs.mu.Lock()
	base := s.jobs.base
	if base != nil && base.Err() == nil {
		s.jobs.all.Add(1)
	}
	s.jobs.mu.Unlock()
	if base == nil || base.Err() != nil {
		leave()
		return Backtest{}, fault.New(fault.Unavailable, "backtests_busy", "the server is about to stop").WithHint("try again in a moment").WithRetryAfter(5)
	}
	j := Backtest{Name: b.Name, Version: b.Version, Days: days, Status: Running}
	err = s.DB.Write(ctx, "backtest.start", func(tx *sqldb.Tx) error {
		j.ID, j.StartedAt = ident.New("bkt"), tx.Now()
		j.SeenAt = j.StartedAt
		if err := (store{tx}).forget(ctx, principal.From(ctx).ID, tx.Now().Add(-kept)); err != nil {
			return err
		}
		audit.Append(ctx, tx, audit.Entry{Action: "guardrail:backtest", Target: target, Decision: decision, Details: map[string]any{"version": b.Version, "backtest": j.ID, "started": true}})
		return store{tx}.insert(ctx, j, principal.From(ctx).ID)
	})
	if err != nil {
		s.jobs.all.Done()
		leave()
		return Backtest{}, err
	}
	// It outlives its request: of that it keeps who asked, and from where.
	work, cancel := context.WithCancel(audit.WithOrigin(principal.With(context.Background(), principal.From(ctx)), audit.OriginFrom(ctx)))
	stop := context.AfterFunc(base, cancel)
	go func() {
		defer s.jobs.all.Done()
		defer leave()
		defer stop()
		defer cancel()
		s.work(work, j, Ask{Name: b.Name, Version: b.Version, Since: since})
	}()
	return j, nil
}

// errCanceled ends a backtest that was asked to.
var errCanceled = errors.New("canceled")

func (s *Service) work(ctx context.Context, j Backtest, ask Ask) {
	var told time.Time
	report, err := s.run(ctx, ask, func(p Progress) error {
		if time.Since(told) < beat {
			return nil
		}
		told = time.Now()
		stop := false
		err := s.DB.Write(ctx, "backtest.progress", func(tx *sqldb.Tx) error {
			tx.Notify(Topic(j.ID), "")
			var err error
			stop, err = store{tx}.progress(ctx, j.ID, p, tx.Now())
			return err
		})
		if stop {
			return errCanceled
		}
		return err
	})
	ended := context.WithoutCancel(ctx) // what came of it is kept when the server stops
	j.Status, j.Summary = Done, report.Summary
	switch {
	case errors.Is(err, errCanceled):
		j.Status = Canceled
	case ctx.Err() != nil:
		j.Status, j.Failure = Failed, "the server stopped: start it again"
	case err != nil:
		j.Status, j.Failure = Failed, fault.From(err).Message
	}
	seq := int64(0)
	for from := 0; from < len(report.Changes) && j.Status == Done; from += keptBatch {
		some := report.Changes[from:min(from+keptBatch, len(report.Changes))]
		err := s.DB.Write(ended, "backtest.changes", func(tx *sqldb.Tx) error {
			for i, c := range some {
				if err := (store{tx}).change(ended, j.ID, seq+int64(i)+1, c); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			j.Status, j.Failure = Failed, fault.From(err).Message
		}
		seq += int64(len(some))
	}
	// When even this fails, it gives no sign of life any more, which says the same.
	_ = s.DB.Write(ended, "backtest.finish", func(tx *sqldb.Tx) error {
		tx.Notify(Topic(j.ID), "")
		return store{tx}.finish(ended, j, tx.Now())
	})
}

// Get gives a backtest of the caller's own.
func (s *Service) Get(ctx context.Context, id string) (Backtest, error) {
	if _, _, err := s.may(ctx, ""); err != nil {
		return Backtest{}, err
	}
	j, err := store{s.DB.Read()}.find(ctx, id, principal.From(ctx).ID)
	if errors.Is(err, sql.ErrNoRows) {
		return j, fault.New(fault.NotFound, "backtest_not_found", "there is no such backtest of yours").WithHint("they are kept for a week: start it again")
	}
	if err != nil {
		return j, fmt.Errorf("find backtest: %w", err)
	}
	now, err := s.DB.Now(ctx)
	if err == nil && j.Status == Running && now.Sub(j.SeenAt) > dead {
		j.Status, j.Failure = Failed, "the server that ran it is gone: start it again"
	}
	return j, err
}

// List gives the caller's backtests of a bundle, the newest first.
func (s *Service) List(ctx context.Context, name string, p sqldb.Page) ([]Backtest, string, error) {
	if _, _, err := s.may(ctx, name); err != nil {
		return nil, "", err
	}
	var w sqldb.Where
	w.And(`t.by_id = ?`, principal.From(ctx).ID)
	w.And(`t.name = ?`, name)
	return backtests.Page(ctx, s.DB.Read(), w, "", p)
}

// Changes gives what a backtest of the caller's own found, in its order.
func (s *Service) Changes(ctx context.Context, id string, f Filter, p sqldb.Page) ([]Change, string, error) {
	j, err := s.Get(ctx, id)
	if err != nil {
		return nil, "", err
	}
	var w sqldb.Where
	w.And(`c.backtest_id = ?`, j.ID)
	if f.Kind != "" {
		w.And(`c.kind = ?`, string(f.Kind))
	}
	if f.Now != "" {
		w.And(`c.now = ?`, f.Now)
	}
	list, next, err := changes.Page(ctx, s.DB.Read(), w, "", p)
	out := make([]Change, len(list))
	for i, c := range list {
		if err := json.Unmarshal([]byte(c.body), &out[i]); err != nil {
			return nil, "", fmt.Errorf("read change: %w", err)
		}
	}
	return out, next, err
}

// Cancel asks a backtest of the caller's own to end, which it does within a
// second or so. One that has ended stays as it is.
func (s *Service) Cancel(ctx context.Context, id string) (Backtest, error) {
	j, err := s.Get(ctx, id)
	if err != nil || j.Status != Running {
		return j, err
	}
	target, decision, err := s.may(ctx, j.Name)
	if err != nil {
		return j, err
	}
	err = s.DB.Write(ctx, "backtest.cancel", func(tx *sqldb.Tx) error {
		tx.Notify(Topic(j.ID), "")
		audit.Append(ctx, tx, audit.Entry{Action: "guardrail:backtest", Target: target, Decision: decision, Details: map[string]any{"version": j.Version, "backtest": j.ID, "canceled": true}})
		return store{tx}.cancel(ctx, j.ID)
	})
	j.Stopping = err == nil
	return j, err
}

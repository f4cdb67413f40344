package resource

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"fairlead/internal/access"
	"fairlead/internal/audit"
	"fairlead/internal/fault"
	"fairlead/internal/ident"
	"fairlead/internal/principal"
	"fairlead/internal/queue"
	"fairlead/internal/sqldb"
)

func (s *Service) newRun(ctx context.Context, r Resource, kind RunKind, now time.Time) Run {
	return Run{ID: ident.New("run"), ResourceID: r.ID, EnvironmentID: r.EnvironmentID, Kind: kind, Revision: r.Revision,
		Phase: "queued", Status: RunRunning, RequestedBy: principal.From(ctx).ID, RequestID: audit.OriginFrom(ctx).RequestID, CreatedAt: now}
}

// Runs gives a resource's runs, newest first.
func (s *Service) Runs(ctx context.Context, w Where, p sqldb.Page) ([]Run, string, error) {
	l, err := s.locate(ctx, w, access.ResourceView)
	if err != nil {
		return nil, "", err
	}
	return s.db.runs(ctx, l.ID, p)
}

// Run gives one run.
func (s *Service) Run(ctx context.Context, id string) (Run, error) {
	run, _, err := s.locateRun(ctx, id, access.ResourceView)
	return run, err
}

func (s *Service) locateRun(ctx context.Context, id string, action access.Action) (Run, located, error) {
	notFound := fault.New(fault.NotFound, "run_not_found", "no run with this id").
		WithHint("a resource's runs are listed by: fairlead describe RESOURCE")
	run, err := s.db.run(ctx, s.DB.Read(), id)
	if errors.Is(err, sql.ErrNoRows) {
		if err := signedIn(ctx); err != nil {
			return run, located{}, err
		}
		return run, located{}, notFound
	}
	if err != nil {
		return run, located{}, err
	}
	l, err := s.locateID(ctx, run.ResourceID, action)
	if fault.Is(err, fault.NotFound) {
		err = notFound
	}
	return run, l, err
}

// Lines gives the lines of a run's log after a sequence number, at most limit,
// and whether the run is over.
func (s *Service) Lines(ctx context.Context, runID string, after int64, limit int) ([]LogLine, bool, error) {
	run, _, err := s.locateRun(ctx, runID, access.ResourceView)
	if err != nil {
		return nil, false, err
	}
	lines, err := s.db.log(ctx, runID, after, limit)
	return lines, run.Status != RunRunning && len(lines) < limit, err
}

// Follow hands a run's log lines after a sequence number to emit as they
// come, until the run is over, emit fails or ctx ends. The caller is
// authorised anew every minute: a right that was taken away ends the stream.
// While nothing but lines changes, a look reads the status and the lines alone:
// a plan can be large, and it is read with the rest when the run is over.
func (s *Service) Follow(ctx context.Context, runID string, after int64, emit func(LogLine) error) (Run, error) {
	run, l, err := s.locateRun(ctx, runID, access.ResourceView)
	if err != nil {
		return run, err
	}
	wake, stop := s.DB.Subscribe(topic(l.ID))
	defer stop()
	recheck := time.Now().Add(time.Minute)
	for {
		// The state is read before the lines: when it says over, the lines are all.
		status, err := s.db.runStatus(ctx, runID)
		if err != nil {
			return run, err
		}
		for {
			lines, err := s.db.log(ctx, runID, after, 200)
			if err != nil {
				return run, err
			}
			for _, line := range lines {
				if err := emit(line); err != nil {
					return run, err
				}
				after = line.Seq
			}
			if len(lines) < 200 {
				break
			}
		}
		if status != RunRunning {
			return s.db.run(ctx, s.DB.Read(), runID)
		}
		if time.Now().After(recheck) {
			if _, _, err := s.locateRun(ctx, runID, access.ResourceView); err != nil {
				return run, err
			}
			recheck = time.Now().Add(time.Minute)
		}
		poll := time.NewTimer(2 * time.Second)
		select {
		case <-wake:
		case <-poll.C:
		case <-ctx.Done():
			poll.Stop()
			return run, ctx.Err()
		}
		poll.Stop()
	}
}

// Cancel asks a run to stop. It stops at the engine's next safe point; what it
// has made stays recorded, and a retry or a destroy goes on from there. A
// destroy cannot be canceled: half a resource helps nobody.
func (s *Service) Cancel(ctx context.Context, runID string) (Run, error) {
	run, l, err := s.locateRun(ctx, runID, access.ResourceUpdate)
	if err != nil {
		return run, err
	}
	if run.Kind == RunDestroy {
		return run, fault.New(fault.Conflict, "not_cancelable", "a destroy cannot be canceled").
			WithHint("it goes on by itself until the resource is gone")
	}
	err = s.DB.Write(ctx, "run.cancel", func(tx *sqldb.Tx) error {
		asked, err := s.db.askCancel(ctx, tx, runID, tx.Now())
		if err != nil {
			return err
		}
		if !asked {
			return fault.New(fault.Conflict, "run_over", "the run is over already")
		}
		if _, err := queue.RequestCancel(ctx, tx, l.ID); err != nil {
			return err
		}
		audit.Append(ctx, tx, audit.Entry{
			Action: "run:cancel", Target: l.env.target("run", run.ID, l.Name, l.Template), Decision: l.decision,
			Details: map[string]any{"resource": l.ID, "revision": run.Revision},
		})
		return s.enqueue(ctx, tx, l.Resource, 0)
	})
	run.CancelAsked = err == nil
	return run, err
}

// Retry starts a new run of what is wanted anyway: after a failure, a cancel,
// or to look again at once.
func (s *Service) Retry(ctx context.Context, w Where) (Resource, error) {
	l, err := s.locate(ctx, w, access.ResourceUpdate)
	if err != nil {
		return Resource{}, err
	}
	return s.retry(ctx, l)
}

// RetryRun is Retry for the resource of a run.
func (s *Service) RetryRun(ctx context.Context, runID string) (Resource, error) {
	_, l, err := s.locateRun(ctx, runID, access.ResourceUpdate)
	if err != nil {
		return Resource{}, err
	}
	return s.retry(ctx, l)
}

func (s *Service) retry(ctx context.Context, l located) (Resource, error) {
	var r Resource
	err := s.DB.Write(ctx, "resource.retry", func(tx *sqldb.Tx) error {
		var err error
		r, err = s.again(ctx, tx, l)
		return err
	})
	return r, err
}

// LastLine gives the number of the newest line of a run's log; 0 is none.
func (s *Service) LastLine(ctx context.Context, runID string) (int64, error) {
	if err := s.mayReadRun(ctx, runID); err != nil {
		return 0, err
	}
	return s.db.lastLine(ctx, runID)
}

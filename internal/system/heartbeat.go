package system

import (
	"context"
	"time"

	"fairlead/internal/failpoint"
	"fairlead/internal/principal"
	"fairlead/internal/sqldb"
)

const (
	enginesEvery = time.Minute
	measureEvery = time.Minute
	missed       = 4              // heartbeats that were not heard make a server one that is lost
	mournFor     = time.Hour      // so long a lost server is worth a warning
	keepFor      = 24 * time.Hour // and so long it is known
	askFor       = 15 * time.Second
)

// Run says until ctx ends that this server is alive, and then that it left.
func (s *Service) Run(ctx context.Context) error {
	ctx = principal.With(ctx, principal.System)
	asked := make(chan struct{}, 1)
	asked <- struct{}{}
	tick := time.NewTicker(s.Beat)
	defer tick.Stop()
	var enginesAt, measuredAt time.Time
	for {
		if time.Since(measuredAt) >= measureEvery {
			s.measure(ctx)
			measuredAt = time.Now()
		}
		if err := s.beat(ctx); err != nil && ctx.Err() == nil {
			s.Log.WarnContext(ctx, "a heartbeat could not be written", "error", err)
		}
		if time.Since(enginesAt) >= enginesEvery {
			select {
			case <-asked: // an engine that hangs does not make the server look dead
				enginesAt = time.Now()
				go func() {
					defer func() { asked <- struct{}{} }()
					if err := s.askEngines(ctx); err == nil {
						err = s.beat(ctx)
						if err != nil && ctx.Err() == nil {
							s.Log.WarnContext(ctx, "a heartbeat could not be written", "error", err)
						}
					}
				}()
			default:
			}
		}
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
			defer cancel()
			select { // a heartbeat after the goodbye would be a lie
			case <-asked:
			case <-last.Done():
			}
			return s.DB.Write(last, "system.leave", func(tx *sqldb.Tx) error {
				_, err := tx.ExecContext(last, `DELETE FROM replicas WHERE id = $1`, s.id)
				return err
			})
		case <-tick.C:
		}
	}
}

// beat writes that this server is alive, and what it measured. The commit is
// timed: it is how long whoever changes something waits.
func (s *Service) beat(ctx context.Context) error {
	skew := s.skew(ctx)
	s.mu.Lock()
	s.report.Skew, s.report.Workers = skew, s.Workers
	report := s.report
	s.mu.Unlock()
	began := time.Now()
	err := s.DB.Write(ctx, "system.beat", func(tx *sqldb.Tx) error {
		return s.store.beat(ctx, tx, Server{ID: s.id, Host: s.Host, Address: s.Address, Data: s.Data, Version: s.Version, Holder: s.Holder, Report: report}, s.Alone)
	})
	if err == nil {
		s.mu.Lock()
		s.report.Commit = time.Since(began)
		s.mu.Unlock()
	}
	return err
}

// skew is how far the store's clock is ahead of the machine's.
func (s *Service) skew(ctx context.Context) time.Duration {
	before := failpoint.Now()
	now, err := s.DB.Now(ctx)
	if err != nil {
		return 0
	}
	after := failpoint.Now()
	if after.Sub(before) > time.Second { // a slow answer says nothing about a clock
		return 0
	}
	d := now.Sub(before.Add(after.Sub(before) / 2))
	if d.Abs() < 50*time.Millisecond {
		return 0
	}
	return d
}

// measure looks at what changes slowly and costs something to look at.
func (s *Service) measure(ctx context.Context) {
	free, total := disk(s.Data)
	size, err := s.store.size(ctx)
	if err != nil && ctx.Err() == nil {
		s.Log.WarnContext(ctx, "the store's size could not be read", "error", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.report.DiskFree, s.report.DiskTotal, s.report.Store = free, total, size
}

func (s *Service) askEngines(ctx context.Context) error {
	ask, cancel := context.WithTimeout(ctx, askFor)
	defer cancel()
	list, err := s.Engines.List(ask)
	if err != nil {
		return err
	}
	var reports []EngineReport
	for _, i := range list {
		r := EngineReport{Name: i.Name, Program: i.Program, Version: i.Version, Isolation: i.Isolation}
		if i.Problem != nil {
			r.Code, r.Message, r.Hint = i.Problem.Code, i.Problem.Message, i.Problem.Hint
		}
		reports = append(reports, r)
	}
	now, err := s.DB.About(ctx)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.report.Engines, s.report.EnginesAt = reports, now
	return nil
}

// servers gives those that are known, and which of them are lost.
func (s *Service) servers(ctx context.Context, now time.Time) ([]Server, error) {
	list, err := s.store.servers(ctx)
	for i := range list {
		list[i].Lost = now.Sub(list[i].SeenAt) > missed*s.Beat
	}
	return list, err
}

package drift

import (
	"context"
	"database/sql"
	"time"

	"fairlead/internal/engine"
	"fairlead/internal/event"
	"fairlead/internal/ident"
	"fairlead/internal/sqldb"
)

// episode is what Judge needs of one that is open.
type episode struct {
	ID          string
	ResourceID  string
	Cause       engine.Cause
	Answer      Answer
	Differences []engine.Drift
}

// Judge says what follows from sights, in their order. It is called in the
// transaction that carries it out, before any of the resources is locked: it
// takes the locks of the brake, so that no two replicas begin repairs past it.
// It writes nothing but the brake's own.
func (s *Service) Judge(ctx context.Context, tx *sqldb.Tx, sights []Sight) ([]Verdict, error) {
	ids := make([]string, len(sights))
	for i, v := range sights {
		ids[i] = v.ID
	}
	open, err := s.store.open(ctx, tx, ids)
	if err != nil {
		return nil, err
	}
	accepted, err := s.store.accepted(ctx, tx, ids)
	if err != nil {
		return nil, err
	}
	out := make([]Verdict, len(sights))
	for i, v := range sights {
		out[i] = judge(v, accepted[v.ID], open[v.ID])
	}
	if err := s.repeats(ctx, tx, sights, out); err != nil {
		return nil, err
	}
	return out, s.brake(ctx, tx, sights, out)
}

// Record remembers what was seen of one resource and what follows, in the same
// transaction: it opens, changes and resolves episodes, and tells of them.
// runID is the repair that the answer Heal began.
func (s *Service) Record(ctx context.Context, tx *sqldb.Tx, v Sight, verdict Verdict, runID string) error {
	had := map[engine.Cause]episode{}
	for _, e := range verdict.episodes {
		had[e.Cause] = e
	}
	for _, cause := range engine.Causes() {
		answer, list := verdict.answers[cause], verdict.byCause[cause]
		e, known := had[cause]
		switch {
		case len(list) == 0 && !known:
			continue
		case len(list) == 0:
			if err := s.resolve(ctx, tx, v.Subject, e, Gone, "", ""); err != nil {
				return err
			}
			continue
		case known && e.Answer == answer && sameDifferences(e.Differences, list) && answer != Heal:
			continue // as known
		}
		var repair time.Time
		if answer == Heal && !verdict.free { // what a person let go on is theirs to answer for
			repair = tx.Now()
		}
		if known {
			if err := s.store.change(ctx, tx, e.ID, v.Presence, list, answer, runID, repair); err != nil {
				return err
			}
		} else {
			e = episode{ID: ident.New("drf"), ResourceID: v.ID, Cause: cause}
			if err := s.store.insert(ctx, tx, v, e, list, answer, runID, repair); err != nil {
				return err
			}
		}
		if answer == Ignore || known && e.Answer == answer {
			continue
		}
		data := map[string]any{"drift": e.ID, "cause": cause, "answer": answer, "presence": v.Presence, "differences": first(list), "count": len(list), "run": runID}
		if verdict.Repairs > 0 {
			data["code"], data["repairs"] = DoesNotHold, verdict.Repairs
		}
		if err := s.tell(ctx, tx, event.DriftDetected, v.Subject, data); err != nil {
			return err
		}
	}
	return nil
}

// first gives so many differences as a message bears.
func first(list []engine.Drift) []map[string]any {
	out := []map[string]any{}
	for _, d := range list[:min(len(list), 10)] {
		out = append(out, map[string]any{"address": d.Address, "field": d.Field, "want": d.Want, "got": d.Got})
	}
	return out
}

func (s *Service) tell(ctx context.Context, tx *sqldb.Tx, what string, r Subject, data map[string]any) error {
	data["resource"], data["project"], data["environment"], data["template"] = r.Name, r.Project, r.Environment, r.Template
	e := event.Event{Type: what, Subject: r.ID, TeamID: r.TeamID, ProjectID: r.ProjectID, EnvironmentID: r.EnvironmentID, Data: data}
	if what == event.DriftDetected && data["answer"] != Heal && r.OwnerID != "" { // what heals by itself concerns nobody
		e.To = []string{r.OwnerID}
	}
	return event.Emit(ctx, tx, e)
}

func (s *Service) resolve(ctx context.Context, tx *sqldb.Tx, r Subject, e episode, how Resolution, by, reason string) error {
	if err := s.store.resolve(ctx, tx, e.ID, how, by, reason); err != nil || e.Answer == Ignore {
		return err
	}
	return s.tell(ctx, tx, "drift.resolved", r, map[string]any{"drift": e.ID, "cause": e.Cause, "how": how, "reason": reason})
}

// Settle says that a run made the resource as wanted, or took it away: what was
// open of it is over, and what was accepted of it is not there any more. By is
// Healed when it was a repair.
func (s *Service) Settle(ctx context.Context, tx *sqldb.Tx, r Subject, how Resolution) error {
	open, err := s.store.open(ctx, tx, []string{r.ID})
	if err != nil {
		return err
	}
	for _, e := range open[r.ID] {
		if err := s.resolve(ctx, tx, r, e, how, "", ""); err != nil {
			return err
		}
	}
	return tx.Later(ctx, `DELETE FROM drift_acceptances WHERE resource_id = $1`, r.ID)
}

// Repair notes that a person had a repair begun. Such a one is theirs to
// answer for: the brake does not count it.
func (s *Service) Repair(ctx context.Context, tx *sqldb.Tx, resourceID, runID string) error {
	return tx.Later(ctx, `UPDATE drifts SET answer = 'heal', run_id = $2, changed_at = $3
		WHERE resource_id = $1 AND resolved_at IS NULL AND answer <> 'ignore'`, resourceID, runID, tx.Now().UnixMicro())
}

// Refuse notes that a repair was not carried out, for it would have destroyed
// something: it waits for a person.
func (s *Service) Refuse(ctx context.Context, tx *sqldb.Tx, resourceID string) error {
	return tx.Later(ctx, `UPDATE drifts SET answer = 'ask', changed_at = $2
		WHERE resource_id = $1 AND resolved_at IS NULL AND answer = 'heal'`, resourceID, tx.Now().UnixMicro())
}

// store is this feature's SQL.
type store struct{ db *sqldb.DB }

func (s store) open(ctx context.Context, q sqldb.Querier, ids []string) (map[string][]episode, error) {
	list, err := sqldb.Collect(ctx, q, func(r sqldb.Row) (e episode, err error) {
		var differences string
		if err = r.Scan(&e.ID, &e.ResourceID, &e.Cause, &e.Answer, &differences); err == nil {
			e.Differences, err = readDifferences(differences)
		}
		return e, err
	}, `SELECT id, resource_id, cause, answer, differences FROM drifts WHERE resolved_at IS NULL AND `+s.db.InArray("resource_id", "$1")+` ORDER BY id`, sqldb.Strings(ids))
	out := map[string][]episode{}
	for _, e := range list {
		out[e.ResourceID] = append(out[e.ResourceID], e)
	}
	return out, err
}

func (s store) insert(ctx context.Context, tx *sqldb.Tx, v Sight, e episode, list []engine.Drift, answer Answer, runID string, repair time.Time) error {
	return tx.Later(ctx, `INSERT INTO drifts (id, resource_id, engine, template, cause, presence, differences, answer, run_id, repair_at, detected_at, changed_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $11)`,
		e.ID, v.ID, v.Engine, v.Template, string(e.Cause), string(v.Presence), toJSON(list), string(answer), runID, orNull(repair), tx.Now().UnixMicro())
}

func (s store) change(ctx context.Context, tx *sqldb.Tx, id string, p engine.Presence, list []engine.Drift, answer Answer, runID string, repair time.Time) error {
	return tx.Later(ctx, `UPDATE drifts SET presence = $2, differences = $3, answer = $4, run_id = CASE WHEN $5 = '' THEN run_id ELSE $5 END,
		repair_at = coalesce($6, repair_at), changed_at = $7 WHERE id = $1 AND resolved_at IS NULL`,
		id, string(p), toJSON(list), string(answer), runID, orNull(repair), tx.Now().UnixMicro())
}

func (s store) resolve(ctx context.Context, tx *sqldb.Tx, id string, how Resolution, by, reason string) error {
	return tx.Later(ctx, `UPDATE drifts SET resolved_at = $2, resolution = $3, resolved_by = $4, reason = $5 WHERE id = $1 AND resolved_at IS NULL`,
		id, tx.Now().UnixMicro(), string(how), by, reason)
}

func orNull(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMicro()
}

func scanEpisode(r sqldb.Row) (e Episode, err error) {
	var differences string
	var detected, changed int64
	var resolved sql.NullInt64
	err = r.Scan(&e.ID, &e.ResourceID, &e.Resource, &e.Engine, &e.Template, &e.EnvironmentID, &e.Environment, &e.ProjectID, &e.Project, &e.TeamID, &e.Team,
		&e.Cause, &e.Presence, &differences, &e.Answer, &e.RunID, &detected, &changed, &resolved, &e.Resolution, &e.ResolvedByID, &e.Resolved, &e.Reason)
	if err != nil {
		return e, err
	}
	e.DetectedAt, e.ChangedAt, e.ResolvedAt = sqldb.Time(detected), sqldb.Time(changed), sqldb.TimeOrZero(resolved)
	e.Differences, err = readDifferences(differences)
	return e, err
}

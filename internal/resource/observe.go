package resource

import (
	"context"
	"time"

	"fairlead/internal/access"
	"fairlead/internal/audit"
	"fairlead/internal/engine"
	"fairlead/internal/principal"
	"fairlead/internal/sqldb"
)

const (
	observeBatch = 500 // resources looked at in one go
	// The mass-drift brake: when this many at once, and this share of a batch,
	// seem to need repair or to be lost, it is more likely that the provider
	// shows nothing than that everything broke. Nothing is repaired then.
	brakeCount = 5
	brakeShare = 0.2
)

// ObserveDue looks at the resources whose turn it is, engine by engine, and
// records what was seen: drift that may be healed starts a run, drift that may
// not is shown, data that is gone marks the resource lost. It is for one
// replica at a time; an overlap of two changes nothing, because a result is
// only written to the version that was looked at.
func (s *Service) ObserveDue(ctx context.Context) error {
	ctx = principal.With(ctx, principal.System)
	for {
		now, err := s.DB.Now(ctx)
		if err != nil {
			return err
		}
		due, err := s.db.observable(ctx, now, observeBatch)
		if err != nil || len(due) == 0 {
			return err
		}
		byEngine := map[string][]Resource{}
		for _, r := range due {
			byEngine[r.Engine] = append(byEngine[r.Engine], r)
		}
		for name, list := range byEngine {
			if err := s.observe(ctx, name, list); err != nil {
				return err
			}
		}
		if len(due) < observeBatch {
			return nil
		}
	}
}

// sight is one resource and what was seen of it.
type sight struct {
	res  Resource
	env  Environment
	next time.Duration
	seen engine.Observation
}

func (s *Service) observe(ctx context.Context, engineName string, list []Resource) error {
	sights := make([]sight, 0, len(list))
	reqs := make([]engine.Request, 0, len(list))
	for _, r := range list {
		sight := sight{res: r, next: s.ObserveEvery}
		req, err := s.observeRequest(ctx, &sight)
		if err != nil { // poisoned: shown on the resource, and no harm to its neighbours
			sight.seen.Err = err
			if err := s.record(ctx, []sight2{{sight, false}}); err != nil {
				return err
			}
			continue
		}
		sights, reqs = append(sights, sight), append(reqs, req)
	}
	eng, ok := s.Engines[engineName]
	if !ok || len(reqs) == 0 {
		return nil
	}
	seen, err := eng.Observe(ctx, reqs)
	if err != nil {
		s.Log.Warn("observing failed; it is tried again", "engine", engineName, "error", err)
		for i := range sights {
			sights[i].seen.Err = err
		}
	} else {
		for i := range sights {
			sights[i].seen = seen[i]
		}
	}
	return s.record(ctx, s.brake(engineName, sights))
}

// sight2 is a sight with whether the brake holds its repair.
type sight2 struct {
	sight
	held bool
}

func (s *Service) brake(engineName string, sights []sight) []sight2 {
	bad := 0
	for _, v := range sights {
		if v.needsRepair() || v.seen.Presence == engine.Lost {
			bad++
		}
	}
	held := bad > brakeCount && float64(bad) > brakeShare*float64(len(sights))
	if held {
		s.Log.Error("mass drift: nothing is repaired until a person has looked", "engine", engineName, "affected", bad, "of", len(sights))
	}
	out := make([]sight2, len(sights))
	for i, v := range sights {
		out[i] = sight2{v, held}
	}
	return out
}

func (v sight) needsRepair() bool {
	if v.seen.Err != nil {
		return false
	}
	if v.seen.Presence == engine.Absent || v.seen.Presence == engine.Partial {
		return true
	}
	for _, d := range v.seen.Drift {
		if d.Severity == engine.Heal {
			return true
		}
	}
	return false
}

func (s *Service) observeRequest(ctx context.Context, v *sight) (engine.Request, error) {
	var err error
	if v.env, err = s.Environments.Load(ctx, v.res.EnvironmentID); err != nil {
		return engine.Request{}, err
	}
	t, err := s.Templates.Load(ctx, v.res.Template, v.res.TemplateVersion)
	if err != nil {
		return engine.Request{}, err
	}
	v.next = s.observeEvery(t.Info())
	inputs, err := s.resolve(ctx, v.res, t.Info())
	if err != nil {
		return engine.Request{}, err
	}
	return s.request(v.env, v.res, t, inputs, v.res.previous(nil))
}

// record writes what was seen, in one transaction a batch.
func (s *Service) record(ctx context.Context, sights []sight2) error {
	if len(sights) == 0 {
		return nil
	}
	return s.DB.Write(ctx, "resource.observed", func(tx *sqldb.Tx) error {
		for _, v := range sights {
			if err := s.recordOne(ctx, tx, v); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *Service) recordOne(ctx context.Context, tx *sqldb.Tx, v sight2) error {
	r, err := s.db.lock(ctx, tx, v.res.ID)
	if err != nil {
		return err
	}
	if r.Version != v.res.Version { // it moved on while we looked
		return s.db.scheduleObservation(ctx, tx, r.ID, tx.Now().Add(v.next))
	}
	if err := s.db.scheduleObservation(ctx, tx, r.ID, tx.Now().Add(v.next)); err != nil {
		return err
	}
	was := r
	r.ObservedAt, r.Drift = tx.Now(), v.seen.Drift
	action := ""
	switch {
	case v.seen.Err != nil:
		r.Drift, r.ObservedAt = was.Drift, was.ObservedAt
		r.Reason, r.Message, r.Hint = "not_observed", "it could not be looked at just now", "this is tried again by itself"
	case v.held && (v.needsRepair() || v.seen.Presence == engine.Lost):
		action = "resource:repair-held"
		r.Reason, r.Message = "mass_drift", "many resources seem to have drifted at once, so nothing is repaired by itself"
		r.Hint = "look whether the server shows what it should; then repair one by one with: fairlead retry " + r.Name
	case v.seen.Presence == engine.Lost:
		action = "resource:lost"
		r.Phase, r.Reason = Lost, codeLost
		r.Message = "its data is gone from outside; it is not made anew by itself"
		r.Hint = "restore it from a backup, or destroy it and request a new one"
	case v.needsRepair():
		return s.heal(ctx, tx, v, r)
	case len(v.seen.Drift) > 0:
		action = "resource:drift"
		r.Reason, r.Message, r.Hint = "drift", "it is not as wanted, and that needs a person", "see: fairlead describe "+r.Name
	default:
		r.Reason, r.Message, r.Hint = "", "", ""
	}
	if r.Reason == was.Reason && r.Phase == was.Phase && len(r.Drift) == len(was.Drift) {
		// Nothing new: note the time alone, so that watchers stay quiet.
		_, err := tx.ExecContext(ctx, `UPDATE resources SET observed_at = $2 WHERE id = $1`, r.ID, toMicro(r.ObservedAt))
		return err
	}
	if err := s.db.update(ctx, tx, &r); err != nil {
		return err
	}
	if action != "" {
		s.Log.Warn("observed", "what", action, "resource", r.ID, "name", r.Name, "message", r.Message)
		s.systemAudit(ctx, tx, action, v.env, r, map[string]any{"drift": v.seen.Drift, "presence": v.seen.Presence})
	}
	return nil
}

// heal starts a run that brings the resource back to what is wanted.
func (s *Service) heal(ctx context.Context, tx *sqldb.Tx, v sight2, r Resource) error {
	r.Drift = v.seen.Drift
	s.systemAudit(ctx, tx, "resource:heal", v.env, r, map[string]any{"drift": v.seen.Drift, "presence": v.seen.Presence})
	_, err := s.startRun(ctx, tx, r, RunHeal)
	return err
}

func (s *Service) systemAudit(ctx context.Context, tx *sqldb.Tx, action string, env Environment, r Resource, details map[string]any) {
	audit.Append(ctx, tx, audit.Entry{Action: action, Target: env.target("resource", r.ID, r.Name, r.Template),
		Decision: access.Decision{Allowed: true, Policies: []string{"system"}}, Details: details})
}

// observable gives settled resources whose observation is due, the longest
// overdue first.
func (s store) observable(ctx context.Context, now time.Time, limit int) ([]Resource, error) {
	return sqldb.Collect(ctx, s.db.Read(), scanResource, `SELECT `+resourceColumns+`
		WHERE r.observe_due_at <= $1 AND r.destroyed_at IS NULL AND r.phase = 'ready' ORDER BY r.observe_due_at LIMIT $2`, now.UnixMicro(), limit)
}

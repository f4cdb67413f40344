package resource

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

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
	next time.Duration
	seen engine.Observation
	held bool // the brake holds its repair
}

func (s *Service) observe(ctx context.Context, engineName string, list []Resource) error {
	var poisoned, sights []sight
	var reqs []engine.Request
	for _, r := range list {
		v := sight{res: r, next: s.ObserveEvery}
		req, err := s.observeRequest(ctx, &v)
		if err != nil { // shown on the resource, and no harm to its neighbours
			v.seen.Err = err
			poisoned = append(poisoned, v)
			continue
		}
		sights, reqs = append(sights, v), append(reqs, req)
	}
	if len(reqs) > 0 {
		seen, err := s.look(ctx, engineName, reqs)
		if err != nil {
			s.Log.Warn("observing failed; it is tried again", "engine", engineName, "error", err)
		}
		for i := range sights {
			if err != nil {
				sights[i].seen.Err = err
				continue
			}
			sights[i].seen = seen[i]
		}
	}
	s.brake(engineName, sights)
	return s.record(ctx, append(sights, poisoned...))
}

// look calls the engine, whose panic is an error like any other.
func (s *Service) look(ctx context.Context, engineName string, reqs []engine.Request) (seen []engine.Observation, err error) {
	eng, ok := s.Engines[engineName]
	if !ok {
		return nil, noEngine(engineName)
	}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	if seen, err = eng.Observe(ctx, reqs); err == nil && len(seen) != len(reqs) {
		err = errObservations
	}
	return seen, err
}

// brake holds all repairs when too many seem to be needed.
func (s *Service) brake(engineName string, sights []sight) {
	bad := 0
	for _, v := range sights {
		if v.res.Phase == Ready && v.isBad() {
			bad++
		}
	}
	if bad <= brakeCount || float64(bad) <= brakeShare*float64(len(sights)) {
		return
	}
	s.Log.Error("mass drift: nothing is repaired until a person has looked", "engine", engineName, "affected", bad, "of", len(sights))
	for i := range sights {
		sights[i].held = sights[i].isBad()
	}
}

func (v sight) isBad() bool {
	return v.needsRepair() || v.seen.Err == nil && v.seen.Presence == engine.Lost
}

func (v sight) needsRepair() bool {
	if v.seen.Err != nil || v.seen.Presence == engine.Lost {
		return false
	}
	return v.seen.Presence != engine.Present ||
		slices.ContainsFunc(v.seen.Drift, func(d engine.Drift) bool { return d.Severity == engine.Heal })
}

func (s *Service) observeRequest(ctx context.Context, v *sight) (engine.Request, error) {
	env, err := s.Environments.Load(ctx, v.res.EnvironmentID)
	if err != nil {
		return engine.Request{}, err
	}
	t, err := s.Templates.Load(ctx, v.res.Template, v.res.TemplateVersion)
	if err != nil {
		return engine.Request{}, err
	}
	v.next = s.observeEvery(t)
	inputs, err := s.resolve(ctx, v.res)
	if err != nil {
		return engine.Request{}, err
	}
	prev, err := s.previous(ctx, v.res)
	if err != nil {
		return engine.Request{}, err
	}
	return s.request(env, v.res, t, inputs, prev)
}

// record writes what was seen, in one transaction a batch.
func (s *Service) record(ctx context.Context, sights []sight) error {
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

func (s *Service) recordOne(ctx context.Context, tx *sqldb.Tx, v sight) error {
	r, err := s.db.lock(ctx, tx, v.res.ID)
	if err != nil {
		return err
	}
	if err := s.db.scheduleObservation(ctx, tx, r.ID, tx.Now().Add(v.next)); err != nil {
		return err
	}
	if r.Version != v.res.Version { // it moved on while we looked
		return nil
	}
	was := r
	if v.seen.Err == nil {
		r.ObservedAt, r.Drift = tx.Now(), v.seen.Drift
	}
	action, err := s.judge(ctx, tx, v, &r)
	if err != nil || action == "resource:heal" {
		return err
	}
	if r.Reason == was.Reason && r.Phase == was.Phase && equalDrift(r.Drift, was.Drift) {
		// Nothing new: note the time alone, so that watchers stay quiet.
		_, err := tx.ExecContext(ctx, `UPDATE resources SET observed_at = $2 WHERE id = $1`, r.ID, toMicro(r.ObservedAt))
		return err
	}
	if err := s.db.update(ctx, tx, &r); err != nil {
		return err
	}
	if action != "" {
		s.Log.Warn("observed", "what", action, "resource", r.ID, "name", r.Name, "message", r.Message)
		systemAudit(ctx, tx, action, r, map[string]any{"drift": v.seen.Drift, "presence": v.seen.Presence})
	}
	return nil
}

// judge says what a sight means for r, and gives the audit action when it is
// worth one. A heal is written already.
func (s *Service) judge(ctx context.Context, tx *sqldb.Tx, v sight, r *Resource) (action string, err error) {
	switch {
	case v.seen.Err != nil:
		r.Reason, r.Message, r.Hint = "not_observed", "it could not be looked at just now", "this is tried again by itself"
	case r.Phase == Lost && (v.held || v.isBad()): // as known
	case r.Phase == Lost:
		r.Phase, r.Reason, r.Message, r.Hint = Ready, "", "", ""
		return "resource:found", nil
	case v.held:
		r.Reason, r.Message = "mass_drift", "many resources seem to have drifted at once, so nothing is repaired by itself"
		r.Hint = "look whether the server shows what it should; then repair one by one with: fairlead retry " + r.Name
		return "resource:repair-held", nil
	case v.seen.Presence == engine.Lost:
		r.Phase, r.Reason = Lost, codeLost
		r.Message = "its data is gone from outside; it is not made anew by itself"
		r.Hint = "restore it from a backup, or destroy it and request a new one"
		return "resource:lost", nil
	case v.needsRepair():
		if _, err := s.startRun(ctx, tx, *r, RunHeal); err != nil {
			return "", err
		}
		systemAudit(ctx, tx, "resource:heal", *r, map[string]any{"drift": v.seen.Drift, "presence": v.seen.Presence})
		return "resource:heal", nil
	case len(v.seen.Drift) > 0:
		r.Reason, r.Message, r.Hint = "drift", "it is not as wanted, and that needs a person", "see: fairlead describe "+r.Name
		return "resource:drift", nil
	case r.Reason != retireFailed:
		r.Reason, r.Message, r.Hint = "", "", ""
	}
	return "", nil
}

// observable gives resources whose observation is due, the longest overdue
// first: those that are ready, and lost ones, which somebody may restore. What
// is on its way is looked at by its run.
func (s store) observable(ctx context.Context, now time.Time, limit int) ([]Resource, error) {
	return sqldb.Collect(ctx, s.db.Read(), scanResource, `SELECT `+resourceColumns+`
		WHERE r.observe_due_at <= $1 AND r.destroyed_at IS NULL AND r.phase IN ('ready', 'lost') ORDER BY r.observe_due_at LIMIT $2`, now.UnixMicro(), limit)
}

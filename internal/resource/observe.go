package resource

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"time"

	"fairlead/internal/drift"
	"fairlead/internal/engine"
	"fairlead/internal/fault"
	"fairlead/internal/principal"
	"fairlead/internal/sqldb"
)

const (
	observeBatch = 500              // resources looked at in one go, of engines that see many at once
	observeLimit = 10 * time.Minute // of one go: what hangs holds up its neighbours no longer
	observePass  = 10 * time.Second // after which a pass makes room: its leadership is renewed then
)

// ObserveDue looks at the resources whose turn it is, engine by engine.
func (s *Service) ObserveDue(ctx context.Context) error {
	for _, name := range append(slices.Sorted(maps.Keys(s.Engines)), "") {
		if err := s.ObserveEngine(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

// ObserveTopic is woken when an engine has more due than one pass looks at.
func ObserveTopic(engineName string) string { return "observe." + engineName }

// ObserveEngine looks at those resources of an engine whose turn it is, and
// records what was seen and what follows: drift starts a repair, is shown, or
// waits for a person, and data that is gone marks the resource lost. The
// engine "" stands for all that are not there. A pass ends after some seconds,
// with more to come; it is for one replica at a time, and an overlap of two
// changes nothing, because a result is only written to the version that was
// looked at.
func (s *Service) ObserveEngine(ctx context.Context, name string) error {
	ctx = principal.With(ctx, principal.System)
	began := time.Now()
	for {
		now, err := s.DB.Now(ctx)
		if err != nil {
			return err
		}
		n := s.observeAtOnce(name)
		due, err := s.db.observable(ctx, now, name, slices.Collect(maps.Keys(s.Engines)), n)
		if err != nil || len(due) == 0 {
			return err
		}
		more := len(due) == n
		over := more && time.Since(began) > observePass
		if err := s.observe(ctx, due, look{wake: over}); err != nil || !more || over {
			return err
		}
	}
}

func (s *Service) observeAtOnce(name string) int {
	if l, ok := s.Engines[name].(engine.Looker); ok {
		return max(1, min(l.ObserveAtOnce(), observeBatch))
	}
	return observeBatch
}

// ObserveRequested looks at the resources that somebody asked to look at, whoever
// else is due.
func (s *Service) ObserveRequested(ctx context.Context) error {
	ctx = principal.With(ctx, principal.System)
	for {
		ids, err := s.Checks.Requested(ctx, 16)
		if err != nil || len(ids) == 0 {
			return err
		}
		byEngine := map[string][]Resource{}
		for _, id := range ids {
			r, err := s.db.byID(ctx, s.DB.Read(), id)
			if err != nil {
				return err
			}
			if r.Phase != Ready && r.Phase != Lost {
				err := s.DB.Write(ctx, "drift.unseen", func(tx *sqldb.Tx) error {
					return s.Checks.End(ctx, tx, r.ID, drift.NotSeen, r.Name+" is "+string(r.Phase)+": its run looks at it")
				})
				if err != nil {
					return err
				}
				continue
			}
			byEngine[r.Engine] = append(byEngine[r.Engine], r)
		}
		if err := s.Checks.Begin(ctx, ids); err != nil {
			return err
		}
		for _, list := range byEngine {
			if err := s.observe(ctx, list, look{asked: true}); err != nil {
				return err
			}
		}
	}
}

// ObserveSoon has a resource looked at by the observer at once.
func (s *Service) ObserveSoon(ctx context.Context, tx *sqldb.Tx, id string) error {
	var engineName string
	if err := tx.QueryRowContext(ctx, `SELECT engine FROM resources WHERE id = $1`, id).Scan(&engineName); err != nil {
		return err
	}
	tx.Notify(ObserveTopic(engineName), "")
	return s.db.scheduleObservation(ctx, tx, id, tx.Now())
}

// look says how resources are looked at.
type look struct {
	asked bool // by a person, who waits
	wake  bool // there is more due, for a pass of its own
}

// sight is one resource and what was seen of it.
type sight struct {
	res  Resource
	next time.Duration
	seen engine.Observation
	how  drift.Policy
	hide []string // secrets at hand; none may be told
	look
}

// observe looks at resources of one engine.
func (s *Service) observe(ctx context.Context, list []Resource, how look) error {
	engineName := list[0].Engine
	var poisoned, sights []sight
	var reqs []engine.Request
	for _, r := range list {
		v := sight{res: r, next: s.interval(r.Engine, nil), look: how}
		req, err := s.observeRequest(ctx, &v)
		if err != nil { // shown on the resource, and no harm to its neighbours
			v.seen.Err = err
			poisoned = append(poisoned, v)
			continue
		}
		req.Background = !how.asked
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
			sights[i].seen.Drift = veilDrift(seen[i].Drift, sights[i].hide)
		}
	}
	return s.record(ctx, engineName, append(sights, poisoned...))
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
	ctx, cancel := context.WithTimeout(ctx, observeLimit)
	defer cancel()
	if seen, err = eng.Observe(ctx, reqs); err == nil && len(seen) != len(reqs) {
		err = errObservations
	}
	return seen, err
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
	v.next, v.how = s.interval(v.res.Engine, t), t.Info().Drift
	inputs, err := s.resolve(ctx, v.res)
	if err != nil {
		return engine.Request{}, err
	}
	prev, err := s.previous(ctx, v.res)
	if err != nil {
		return engine.Request{}, err
	}
	v.hide = secretTexts(t, inputs)
	if prev != nil {
		for _, o := range prev.Outputs {
			v.hide = texts(v.hide, o.Secret.Reveal())
		}
	}
	return s.request(env, v.res, t, inputs, prev)
}

// interval is how often a resource is looked at: as its template says, or its
// engine, or the server.
func (s *Service) interval(engineName string, t Template) time.Duration {
	if t != nil {
		if every := t.Info().ObserveEvery; every > 0 {
			return every
		}
	}
	if l, ok := s.Engines[engineName].(engine.Looker); ok {
		if every := l.ObserveEvery(); every > 0 {
			return every
		}
	}
	return s.ObserveEvery
}

// spread gives d, a tenth more or less: what was made together is not looked
// at together for ever.
func spread(d time.Duration) time.Duration {
	return d - d/10 + time.Duration(rand.Int64N(int64(d/5)+1))
}

// record writes what was seen and what follows, in one transaction a batch.
func (s *Service) record(ctx context.Context, engineName string, sights []sight) error {
	if len(sights) == 0 {
		return nil
	}
	var seen []drift.Sight
	for _, v := range sights {
		if v.seen.Err == nil {
			seen = append(seen, drift.Sight{Subject: v.res.subject(), Policy: v.how, Known: v.res.Phase == Lost, Presence: v.seen.Presence, Drift: v.seen.Drift})
		}
	}
	return s.DB.Write(ctx, "resource.observed", func(tx *sqldb.Tx) error {
		verdicts, err := s.Drifts.Judge(ctx, tx, seen)
		if err != nil {
			return err
		}
		i := 0
		for _, v := range sights {
			o := outcome{sight: v}
			if v.seen.Err == nil {
				o.seenAs, o.verdict = seen[i], verdicts[i]
				i++
			}
			if err := s.recordOne(ctx, tx, o); err != nil {
				return err
			}
		}
		if sights[0].wake {
			tx.Notify(ObserveTopic(engineName), "")
		}
		return nil
	})
}

// outcome is a sight and what follows from it.
type outcome struct {
	sight
	seenAs  drift.Sight
	verdict drift.Verdict
}

func (s *Service) recordOne(ctx context.Context, tx *sqldb.Tx, v outcome) error {
	r, err := s.db.lock(ctx, tx, v.res.ID)
	if err != nil {
		return err
	}
	if v.asked {
		if err := s.answerCheck(ctx, tx, v, r.Version != v.res.Version); err != nil {
			return err
		}
	}
	if err := s.db.scheduleObservation(ctx, tx, r.ID, tx.Now().Add(spread(v.next))); err != nil {
		return err
	}
	if r.Version != v.res.Version { // it moved on while we looked
		return nil
	}
	was := r
	if v.seen.Err == nil {
		r.ObservedAt, r.Drift = tx.Now(), v.verdict.Drift
	}
	action, err := s.follow(ctx, tx, v, &r)
	if err != nil {
		return err
	}
	if v.seen.Err == nil {
		repair := ""
		if action == healing {
			repair = r.RunID
		}
		if err := s.Drifts.Record(ctx, tx, v.seenAs, v.verdict, repair); err != nil {
			return err
		}
	}
	if action == healing { // written already
		return nil
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
		systemAudit(ctx, tx, action, r, map[string]any{"drift": shownDrift(r.Drift), "presence": v.seen.Presence})
	}
	return nil
}

const healing = "resource:heal"

// follow does what a sight comes to for r, and gives the audit action when it is
// worth one. A repair is written already.
func (s *Service) follow(ctx context.Context, tx *sqldb.Tx, v outcome, r *Resource) (action string, err error) {
	answer := v.verdict.Answer
	place := r.Name + " -e " + r.Project + "/" + r.Environment
	switch {
	case v.seen.Err != nil:
		r.Reason, r.Message, r.Hint = "not_observed", "it could not be looked at just now", "this is tried again by itself"
	case r.Phase == Lost && (answer == drift.Lost || answer == drift.Heal): // as known
	case r.Phase == Lost:
		r.Phase, r.Reason, r.Message, r.Hint = Ready, "", "", ""
		return "resource:found", nil
	case answer == drift.Held:
		r.Reason, r.Message = "mass_drift", "much of "+v.verdict.Brake+" is not as wanted at once, so nothing of it is repaired by itself"
		r.Hint = "look whether the server shows what it should; then repair one with: fairlead drift heal " + place + ", or have all go on with: fairlead drift brake release " + v.verdict.Brake
		return "resource:repair-held", nil
	case answer == drift.Lost:
		r.Phase, r.Reason = Lost, codeLost
		r.Message = "its data is gone from outside; it is not made anew by itself"
		r.Hint = "restore it from a backup, or destroy it and request a new one"
		return "resource:lost", nil
	case answer == drift.Heal:
		healed, err := s.startRun(ctx, tx, *r, RunHeal)
		if err != nil {
			return "", err
		}
		*r = healed
		systemAudit(ctx, tx, healing, *r, map[string]any{"drift": shownDrift(v.verdict.Drift), "presence": v.seen.Presence})
		return healing, nil
	case answer == drift.Ask && v.verdict.Repairs > 0:
		r.Reason = reasonDoesNotHold
		r.Message = "it was repaired by itself " + itoa(v.verdict.Repairs) + " times and did not stay as wanted: something changes it back, or what makes it never sets what is wanted"
		r.Hint = "see what comes back: fairlead drift show " + place + ", and stop what changes it; then put it right with: fairlead drift heal " + place + ", or say that it is fine with: fairlead drift accept " + place + " --reason TEXT"
		return "resource:drift", nil
	case answer == drift.Ask:
		r.Reason, r.Message = reasonAsks, "it is not as wanted, and waits for a person to heal or to accept that"
		r.Hint = "put it right with: fairlead drift heal " + place + ", or say that it is fine with: fairlead drift accept " + place + " --reason TEXT"
		return "resource:drift", nil
	case answer == drift.Alert:
		r.Reason, r.Message, r.Hint = "drift", "it is not as wanted, and that needs a person", "see: fairlead drift show "+place
		return "resource:drift", nil
	case r.Reason != retireFailed:
		r.Reason, r.Message, r.Hint = "", "", ""
	}
	return "", nil
}

// reasonAsks is the code of a resource that is ready and waits for a person to
// say what becomes of its drift.
const reasonAsks = "drift_asks"

// reasonDoesNotHold is that of one which was repaired by itself too often.
const reasonDoesNotHold = "repair_does_not_hold"

// answerCheck tells whoever asked for a look what it found.
func (s *Service) answerCheck(ctx context.Context, tx *sqldb.Tx, v outcome, moved bool) error {
	what, text := drift.AsWanted, "it is as wanted"
	switch {
	case v.seen.Err != nil:
		var f *fault.Error
		what, text = drift.NotSeen, "it could not be looked at"
		if errors.As(v.seen.Err, &f) && f.Kind != fault.Internal {
			text = clean(f.Message)
		}
	case moved:
		what, text = drift.NotSeen, "it was changed meanwhile, and is looked at by its run"
	case v.verdict.Answer == drift.Lost:
		what, text = drift.Drifted, "what held its data is gone"
	case v.verdict.Answer != drift.None:
		what, text = drift.Drifted, itoa(len(v.verdict.Drift))+" differences"
		if len(v.verdict.Drift) == 1 {
			text = "1 difference"
		}
	}
	return s.Checks.End(ctx, tx, v.res.ID, what, text)
}

// subject is r as package drift knows it.
func (r Resource) subject() drift.Subject {
	host := ""
	for _, o := range r.Objects {
		if o.Host != "" {
			host = o.Host
			break
		}
	}
	return drift.Subject{ID: r.ID, Name: r.Name, Engine: r.Engine, Template: r.Template, Host: host,
		OwnerID: r.CreatedBy, TeamID: r.TeamID, ProjectID: r.ProjectID, Project: r.Project, EnvironmentID: r.EnvironmentID, Environment: r.Environment}
}

// shownDrift is drift as the audit log has it: without what only tells values
// apart.
func shownDrift(list []engine.Drift) []engine.Drift {
	out := slices.Clone(list)
	for i := range out {
		out[i].Print = ""
	}
	return out
}

// observable gives resources of an engine whose observation is due, the longest
// overdue first: those that are ready, and lost ones, which somebody may
// restore. What is on its way is looked at by its run. The engine "" stands for
// all that are none of the known.
func (s store) observable(ctx context.Context, now time.Time, engineName string, known []string, limit int) ([]Resource, error) {
	which, arg := `r.engine = $3`, engineName
	if engineName == "" {
		which, arg = `NOT `+s.db.InArray("r.engine", "$3"), sqldb.Strings(known)
	}
	return sqldb.Collect(ctx, s.db.Read(), scanResource, `SELECT `+resourceColumns+`
		WHERE r.observe_due_at <= $1 AND r.destroyed_at IS NULL AND r.phase IN ('ready', 'lost') AND `+which+` ORDER BY r.observe_due_at LIMIT $2`, now.UnixMicro(), limit, arg)
}

// Backlog is how much of an engine waits to be looked at.
type Backlog struct {
	Engine string
	Due    int           // whose turn it is
	Behind time.Duration // how long the first of them has waited
}

// Backlogs tells how far observing is behind, for metrics.
func Backlogs(ctx context.Context, db *sqldb.DB) ([]Backlog, error) {
	now, err := db.Now(ctx)
	if err != nil {
		return nil, err
	}
	return sqldb.Collect(ctx, db.Read(), func(r sqldb.Row) (b Backlog, err error) {
		var first int64
		err = r.Scan(&b.Engine, &b.Due, &first)
		b.Behind = now.Sub(sqldb.Time(first))
		return b, err
	}, `SELECT engine, count(*), min(observe_due_at) FROM resources
		WHERE observe_due_at <= $1 AND destroyed_at IS NULL AND phase IN ('ready', 'lost') GROUP BY engine ORDER BY engine`, now.UnixMicro())
}

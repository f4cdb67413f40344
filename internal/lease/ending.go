package lease

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"fairlead/internal/access"
	"fairlead/internal/audit"
	"fairlead/internal/fault"
	"fairlead/internal/sqldb"
)

// drive takes away what the leases that are ending are of, a step at a time.
// One that cannot go on does not hold up the others.
func (s *Service) drive(ctx context.Context) error {
	now, err := s.DB.Now(ctx)
	if err != nil {
		return err
	}
	due, err := s.store.dueNow(ctx, Ending, now, batch)
	if err != nil {
		return err
	}
	var failed error
	for _, l := range due {
		if err := s.takeAway(ctx, l); err != nil {
			failed = errors.Join(failed, fmt.Errorf("lease %s: %w", l.ID, err))
		}
	}
	return failed
}

// subject is a resource that a lease ends.
type subject struct {
	id, name    string
	template    string
	asked, gone bool
	refused     bool // the gates refused its end since the lease is ending
	reason      string
	message     string
}

// takeAway asks for the end of what is left, or writes the proof when nothing is.
func (s *Service) takeAway(ctx context.Context, l Lease) error {
	all, err := s.store.subjects(ctx, l)
	if err != nil {
		return err
	}
	var left []subject
	for _, r := range all {
		if !r.gone {
			left = append(left, r)
		}
	}
	if len(left) == 0 {
		err := s.close(ctx, l, all)
		if err == nil || !fault.Is(err, fault.Conflict) {
			return err
		}
		return s.later(ctx, l, fault.From(err).Message) // something was asked for meanwhile
	}
	return s.later(ctx, l, s.ask(ctx, l, left))
}

// ask asks for the end of each resource, what refers before what it refers to,
// and says what stands in the way. Where the gates refused an end it is asked
// for again each time: rules change.
func (s *Service) ask(ctx context.Context, l Lease, left []subject) (problem string) {
	var open []subject
	for _, r := range left {
		if r.refused && problem == "" {
			if problem = l.Problem; !r.asked && r.reason != "" {
				problem = r.name + ": " + r.message
			}
		}
		if !r.asked {
			open = append(open, r)
			continue
		}
		if r.reason != "" && r.reason != "waiting_for_referrers" && problem == "" {
			problem = r.name + ": " + r.message
		}
	}
	for len(open) > 0 {
		var again []subject
		said := ""
		for _, r := range open {
			err := s.Resources.End(ctx, l.ProjectID, l.EnvironmentID, r.id)
			if err == nil {
				continue
			}
			f := fault.From(err)
			if said == "" {
				said = r.name + ": " + f.Message
			}
			if f.Kind == fault.Internal {
				s.Log.Error("a lease's resource could not be destroyed", "lease", l.ID, "resource", r.id, "error", err)
			}
			again = append(again, r)
		}
		if len(again) == len(open) { // no progress
			return said
		}
		open = again
	}
	return problem
}

const (
	lookAgain = 2 * time.Second  // a wake-up can get lost
	longWait  = 10 * time.Minute // each try may be a run that guardrails refuse
)

// later has the loop look at l again, soon while all goes well.
func (s *Service) later(ctx context.Context, l Lease, problem string) error {
	if len(problem) > 500 {
		problem = strings.ToValidUTF8(problem[:500], "") + "…"
	}
	return s.DB.Write(ctx, "lease.later", func(tx *sqldb.Tx) error {
		now, err := s.store.lock(ctx, tx, l.ID)
		if err != nil || now.State != Ending {
			return err
		}
		wait, attempts := lookAgain, int64(0)
		if problem != "" {
			attempts = now.Attempts + 1
			wait = min(lookAgain<<min(attempts, 10), longWait)
		}
		if problem != "" && now.Problem == "" && attempts == 1 {
			if err := s.emit(ctx, tx, "lease.stuck", now, map[string]any{"problem": problem}); err != nil {
				return err
			}
		}
		return s.store.again(ctx, tx, l.ID, problem, attempts, tx.Now().Add(wait))
	})
}

// Proof says that what a lease was of is gone: what was looked for, by which
// run, when, and that nothing was found.
type Proof struct {
	At        time.Time  `json:"at"`
	Resources []Evidence `json:"resources"`
}

// Evidence is the proof for one resource.
type Evidence struct {
	ResourceID string         `json:"resourceId"`
	Resource   string         `json:"resource"`
	Template   string         `json:"template"`
	LookedFor  []SoughtObject `json:"lookedFor"`
	Found      string         `json:"found"`
	LookedAt   time.Time      `json:"lookedAt"`
	RunID      string         `json:"runId"`
	Snapshot   string         `json:"snapshot,omitempty"` // where the last one is
	Cost       float64        `json:"cost"`
	Currency   string         `json:"currency,omitempty"`
	Record     int64          `json:"record"` // number of the audit record that it was taken from
	Hash       string         `json:"hash"`   // of that record
}

// SoughtObject is one external object that was looked for.
type SoughtObject struct {
	Kind string `json:"kind"`
	Name string `json:"name"`
	Host string `json:"host,omitempty"`
}

// close ends a lease whose resources are all seen to be gone: an environment
// is deleted, and the proof is written.
func (s *Service) close(ctx context.Context, l Lease, all []subject) error {
	p := Proof{Resources: []Evidence{}}
	for _, r := range all {
		e, err := s.evidence(ctx, r)
		if err != nil {
			return fmt.Errorf("evidence for %s: %w", r.id, err)
		}
		p.Resources = append(p.Resources, e)
	}
	if l.Kind == Environment {
		if err := s.Environments.Delete(ctx, l.ProjectID, l.EnvironmentID); err != nil && !fault.Is(err, fault.NotFound) {
			return err
		}
	}
	return s.DB.Write(ctx, "lease.prove", func(tx *sqldb.Tx) error {
		l, err := s.store.lock(ctx, tx, l.ID)
		if err != nil || l.State != Ending {
			return err
		}
		p.At = tx.Now()
		l.State, l.EndedAt, l.Problem = Ended, tx.Now(), ""
		if err := s.store.update(ctx, tx, &l); err != nil {
			return err
		}
		if err := s.store.prove(ctx, tx, l.ID, p); err != nil {
			return err
		}
		for _, e := range p.Resources {
			t := access.Target{Kind: string(Resource), ID: e.ResourceID, Name: e.Resource, TeamID: l.TeamID, ProjectID: l.ProjectID,
				EnvironmentID: l.EnvironmentID, EnvironmentClass: l.Class, Template: e.Template}
			audit.Append(ctx, tx, audit.Entry{Action: "lease:proof", Target: t, Details: map[string]any{"lease": l.ID, "lookedFor": e.LookedFor, "found": e.Found,
				"lookedAt": stamp(e.LookedAt), "run": e.RunID, "snapshot": e.Snapshot, "cost": e.Cost, "currency": e.Currency, "record": e.Record, "hash": e.Hash}})
		}
		if l.Kind == Environment {
			s.record(ctx, tx, "lease:proof", l, nil, map[string]any{"resources": len(p.Resources), "environment": "deleted"})
		}
		return s.emit(ctx, tx, "lease.proved", l, map[string]any{"resources": len(p.Resources)})
	})
}

// evidence takes from the audit log what was seen of a resource at its end.
func (s *Service) evidence(ctx context.Context, r subject) (Evidence, error) {
	e := Evidence{ResourceID: r.id, Resource: r.name, Template: r.template, LookedFor: []SoughtObject{}}
	found, _, err := s.Records.Search(ctx, audit.Filter{Action: "resource:destroyed", Target: r.id}, sqldb.Page{Limit: 1})
	if err != nil {
		return e, err
	}
	if len(found) == 0 {
		return e, errors.New("the audit log has no record of its end")
	}
	var d struct {
		LookedFor []SoughtObject `json:"lookedFor"`
		Found     string         `json:"found"`
		Run       string         `json:"run"`
		Snapshot  string         `json:"snapshot"`
	}
	if err := json.Unmarshal(found[0].Details, &d); err != nil {
		return e, err
	}
	if d.LookedFor != nil {
		e.LookedFor = d.LookedFor
	}
	e.Found, e.RunID, e.Snapshot, e.LookedAt, e.Record, e.Hash = d.Found, d.Run, d.Snapshot, found[0].At, found[0].Seq, found[0].Hash
	e.Cost, e.Currency, err = s.Costs.CostSoFar(ctx, r.id)
	return e, err
}

// Proof gives the proof of what a lease ended.
func (s *Service) Proof(ctx context.Context, id string) (Lease, Proof, error) {
	l, err := s.Get(ctx, id)
	if err != nil {
		return l, Proof{}, err
	}
	p, ok, err := s.store.proof(ctx, id)
	if err == nil && !ok {
		err = fault.New(fault.NotFound, "no_proof", "the lease of %s has no proof of destruction: it is %s", l.Subject, l.State).
			WithHint("a proof is written when everything that the lease ended is seen to be gone")
	}
	return l, p, err
}

// subjects gives the resources that an ending is about: those that were there
// when it began, or came since.
func (s store) subjects(ctx context.Context, l Lease) ([]subject, error) {
	where, args := `r.id = $1`, []any{l.SubjectID, l.EndingAt.UnixMicro()}
	if l.Kind == Environment {
		where = `r.environment_id = $1 AND (r.destroyed_at IS NULL OR r.destroyed_at >= $2)`
	}
	return sqldb.Collect(ctx, s.db.Read(), func(row sqldb.Row) (r subject, err error) {
		err = row.Scan(&r.id, &r.name, &r.template, &r.asked, &r.gone, &r.refused, &r.reason, &r.message)
		return r, err
	}, `SELECT r.id, r.name, r.template, r.destroy_wanted_at IS NOT NULL, r.destroyed_at IS NOT NULL,
		EXISTS (SELECT 1 FROM runs u WHERE u.resource_id = r.id AND u.kind = 'destroy' AND u.status = 'failed' AND u.created_at >= $2), r.reason, r.message
		FROM resources r WHERE `+where+` ORDER BY r.id DESC`, args...)
}

func (s store) prove(ctx context.Context, tx *sqldb.Tx, id string, p Proof) error {
	_, err := tx.ExecContext(ctx, `UPDATE leases SET proof = $2 WHERE id = $1`, id, toJSON(p))
	return err
}

func (s store) proof(ctx context.Context, id string) (p Proof, ok bool, err error) {
	var text string
	if err := s.db.Read().QueryRowContext(ctx, `SELECT proof FROM leases WHERE id = $1`, id).Scan(&text); err != nil || text == "" {
		return p, false, err
	}
	return p, true, json.Unmarshal([]byte(text), &p)
}

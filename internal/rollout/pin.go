package rollout

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"fairlead/internal/access"
	"fairlead/internal/audit"
	"fairlead/internal/event"
	"fairlead/internal/fault"
	"fairlead/internal/ident"
	"fairlead/internal/principal"
	"fairlead/internal/resource"
	"fairlead/internal/sqldb"
)

// Pin keeps a resource at its version for a while: from every rollout, or, as
// an exemption, from one.
type Pin struct {
	ID                                string
	ResourceID, Resource              string
	RolloutID, RolloutTo              string // of an exemption
	Template, TemplateVersion         string
	EnvironmentID, Environment, Class string
	ProjectID, Project                string
	TeamID, Team                      string
	Reason                            string
	Until                             time.Time
	CreatedAt, EndedAt                time.Time
	CreatedBy, CreatedByName          string
	Expired                           bool // it ended because its time was over
	Version                           int64

	rolloutTemplate string
}

func (p Pin) target() access.Target {
	return access.Target{Kind: "resource", ID: p.ResourceID, Name: p.Resource, TeamID: p.TeamID, ProjectID: p.ProjectID, EnvironmentID: p.EnvironmentID,
		EnvironmentClass: p.Class, Template: p.Template}
}

// toPin gives the resource that a pin is about, to who may pin it.
func (s *Service) toPin(ctx context.Context, w resource.Where) (resource.Resource, access.Decision, error) {
	r, err := s.Names.Get(ctx, w)
	if err != nil {
		return r, access.Decision{}, err
	}
	d, err := s.Access.Check(ctx, access.ResourcePin, targetOf(r))
	return r, d, err
}

// Pin keeps a resource at its version until a time: no rollout changes it. An
// earlier pin is replaced.
func (s *Service) Pin(ctx context.Context, w resource.Where, reason string, until time.Time) (Pin, error) {
	return s.hold(ctx, w, "", reason, until)
}

// Exempt keeps one rollout from changing a resource until a time.
func (s *Service) Exempt(ctx context.Context, w resource.Where, rolloutID, reason string, until time.Time) (Pin, error) {
	r, _, err := s.see(ctx, rolloutID)
	if err != nil {
		return Pin{}, err
	}
	return s.hold(ctx, w, r.ID, reason, until)
}

func (s *Service) hold(ctx context.Context, w resource.Where, rolloutID, reason string, until time.Time) (Pin, error) {
	res, d, err := s.toPin(ctx, w)
	if err != nil {
		return Pin{}, err
	}
	if err := checkReason("/reason", reason); err != nil {
		return Pin{}, err
	}
	if !res.DestroyedAt.IsZero() {
		return Pin{}, fault.New(fault.Conflict, "destroyed", "%s is destroyed", res.Name).WithHint("request a new one; the name is free")
	}
	var out Pin
	err = s.DB.Write(ctx, "rollout.pin", func(tx *sqldb.Tx) error {
		if !until.After(tx.Now()) || until.Sub(tx.Now()) > 10*365*24*time.Hour {
			return fault.New(fault.Invalid, "invalid_end", "it ends later than now, and within 10 years").WithField("/until").WithHint("as 30d or 2027-01-31T18:00:00Z")
		}
		if rolloutID != "" {
			if _, err := s.store.memberOf(ctx, tx, rolloutID, res.ID); errors.Is(err, sql.ErrNoRows) {
				return fault.New(fault.NotFound, "not_found", "%s is no member of the rollout", res.Name).WithHint("see who is: fairlead rollout members %s", rolloutID)
			} else if err != nil {
				return err
			}
		}
		p, err := s.store.openPin(ctx, tx, res.ID, rolloutID)
		if errors.Is(err, sql.ErrNoRows) {
			p, err = Pin{ID: ident.New("pin"), ResourceID: res.ID, RolloutID: rolloutID, CreatedAt: tx.Now()}, nil
		}
		if err != nil {
			return err
		}
		p.Reason, p.Until, p.CreatedBy, p.Version = reason, until.UTC().Truncate(time.Microsecond), principal.From(ctx).ID, p.Version+1
		if err := s.store.putPin(ctx, tx, p); err != nil {
			return err
		}
		if out, err = s.store.openPin(ctx, tx, res.ID, rolloutID); err != nil {
			return err
		}
		audit.Append(ctx, tx, audit.Entry{Action: string(access.ResourcePin), Target: out.target(), Decision: d,
			Details: map[string]any{"pin": out.ID, "rollout": rolloutID, "reason": reason, "until": out.Until.Format(time.RFC3339), "version": res.TemplateVersion}})
		tx.Notify(resource.Topic(res.ID), "")
		return s.emitPin(ctx, tx, "pin.set", out)
	})
	return out, err
}

// Unpin ends a pin; Unexempt ends an exemption. What is not there is success.
func (s *Service) Unpin(ctx context.Context, w resource.Where) error {
	return s.letGo(ctx, w, "")
}

// Unexempt lets a rollout change a resource again. It takes it up when it is
// retried.
func (s *Service) Unexempt(ctx context.Context, w resource.Where, rolloutID string) error {
	r, _, err := s.see(ctx, rolloutID)
	if err != nil {
		return err
	}
	return s.letGo(ctx, w, r.ID)
}

func (s *Service) letGo(ctx context.Context, w resource.Where, rolloutID string) error {
	res, d, err := s.toPin(ctx, w)
	if err != nil {
		return err
	}
	return s.DB.Write(ctx, "rollout.unpin", func(tx *sqldb.Tx) error {
		p, err := s.store.openPin(ctx, tx, res.ID, rolloutID)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		if ended, err := s.store.endPin(ctx, tx, p.ID, principal.From(ctx).ID); err != nil || !ended {
			return err
		}
		audit.Append(ctx, tx, audit.Entry{Action: string(access.ResourcePin), Target: p.target(), Decision: d, Details: map[string]any{"pin": p.ID, "rollout": rolloutID, "ended": true}})
		tx.Notify(resource.Topic(res.ID), "")
		return s.emitPin(ctx, tx, "pin.ended", p)
	})
}

// PinFilter narrows a list of pins; empty fields do not.
type PinFilter struct {
	Search   string // part of the resource's, project's or environment's name, or of the reason
	Template string // of resources that are made from it
	Rollout  string // that keep it from its members: exemptions from it, and pins
	Project  string // name or id
	Over     bool   // also those that have ended
	Sort     string
}

// Pins lists the pins and exemptions of resources that the caller may see.
func (s *Service) Pins(ctx context.Context, f PinFilter, p sqldb.Page) ([]Pin, string, error) {
	if err := known(ctx); err != nil {
		return nil, "", err
	}
	scope, err := s.Access.Scope(ctx, access.ResourceView)
	if err != nil {
		return nil, "", err
	}
	var w sqldb.Where
	w.And(`r.destroyed_at IS NULL`)
	if !f.Over {
		w.And(`i.ended_at IS NULL`)
	}
	if f.Search != "" {
		w.And(`(r.name LIKE ? ESCAPE '\' OR p.name LIKE ? ESCAPE '\' OR e.name LIKE ? ESCAPE '\' OR lower(i.reason) LIKE ? ESCAPE '\')`, sqldb.Contains(f.Search))
	}
	if f.Template != "" {
		w.And(`r.template = ?`, f.Template)
	}
	if f.Project != "" {
		w.And(`(p.id = ? OR p.name = ?)`, f.Project)
	}
	if f.Rollout != "" {
		w.And(`(i.rollout_id = ? OR i.rollout_id = '' AND EXISTS (SELECT 1 FROM rollout_members m WHERE m.rollout_id = ? AND m.resource_id = i.resource_id))`, f.Rollout)
	}
	scope.Narrow(&w, s.DB, access.Columns{Team: "r.team_id", Project: "r.project_id", Environment: "r.environment_id"})
	return pins.Page(ctx, s.DB.Read(), w, f.Sort, p)
}

// pinsOf gives a resource's pins and exemptions from rollouts that are not
// over, the newest first.
func (s store) pinsOf(ctx context.Context, resourceID string) ([]Pin, error) {
	return sqldb.Collect(ctx, s.db.Read(), scanPin, `SELECT `+pinColumns+` WHERE i.resource_id = $1 AND (i.rollout_id = '' OR o.finished_at IS NULL) ORDER BY i.id DESC LIMIT 50`, resourceID)
}

// Standing tells how rollouts and pins bear on a resource, to who may see it.
func (s *Service) Standing(ctx context.Context, w resource.Where) (Hold, error) {
	r, err := s.Names.Get(ctx, w)
	if err != nil {
		return Hold{}, err
	}
	return s.Holds(ctx, r)
}

// Upgrade brings one resource to a version, "" being the newest stable, with
// inputs set on top of its own. A pin is not passed over.
func (s *Service) Upgrade(ctx context.Context, w resource.Where, to string, set map[string]any, note string, ifMatch int64) (resource.Resource, error) {
	r, err := s.Names.Get(ctx, w)
	if err != nil {
		return r, err
	}
	v, err := s.Templates.Version(ctx, r.Template, to)
	if err != nil {
		return r, err
	}
	now, err := s.DB.Now(ctx)
	if err != nil {
		return r, err
	}
	if v.EndOfLife && v.Version != r.TemplateVersion {
		return r, endOfLife(v.Template, v.Version)
	}
	held, err := s.store.holds(ctx, s.DB.Read(), r.ID, "", now)
	if err != nil {
		return r, err
	}
	if len(held) > 0 && v.Version != r.TemplateVersion {
		p := held[0]
		return r, fault.New(fault.Conflict, "pinned", "%s is pinned until %s by %s: %s", r.Name, p.Until.UTC().Format("2006-01-02 15:04 MST"), p.CreatedByName, p.Reason).
			WithHint("take the pin away first: fairlead unpin %s -e %s/%s", r.Name, r.Project, r.Environment)
	}
	return s.Names.Change(ctx, resource.Where{Project: r.ProjectID, Environment: r.EnvironmentID, Name: r.ID}, resource.Change{Version: v.Version, Set: set, Note: note, IfMatch: ifMatch})
}

// ExpirePins notices pins and exemptions whose time is over. It is for a loop;
// several replicas may do it at once.
func (s *Service) ExpirePins(ctx context.Context) error {
	ctx = principal.With(ctx, principal.System)
	const batch = 100
	for {
		now, err := s.DB.Now(ctx)
		if err != nil {
			return err
		}
		due, err := s.store.expiredPins(ctx, now, batch)
		if err != nil {
			return err
		}
		for _, p := range due {
			if err := s.DB.Write(ctx, "rollout.unpin", func(tx *sqldb.Tx) error { return s.expire(ctx, tx, p.ID) }); err != nil {
				return fmt.Errorf("pin %s: %w", p.ID, err)
			}
		}
		if len(due) < batch {
			return nil
		}
	}
}

func (s *Service) expire(ctx context.Context, tx *sqldb.Tx, id string) error {
	p, err := scanPin(tx.QueryRowContext(ctx, `SELECT `+pinColumns+` WHERE i.id = $1`+s.lockPins(), id))
	if err != nil || !p.EndedAt.IsZero() || p.Until.After(tx.Now()) { // it was made longer meanwhile
		return err
	}
	if ended, err := s.store.endPin(ctx, tx, id, ""); err != nil || !ended {
		return err
	}
	audit.Append(ctx, tx, audit.Entry{Action: "resource:pin-expired", Target: p.target(), Decision: access.Decision{Allowed: true, Policies: []string{"system"}},
		Details: map[string]any{"pin": p.ID, "rollout": p.RolloutID, "reason": p.Reason}})
	return s.emitPin(ctx, tx, "pin.expired", p)
}

func (s *Service) lockPins() string {
	if s.DB.Dialect() == sqldb.SQLite {
		return ""
	}
	return " FOR UPDATE OF i"
}

func (s *Service) emitPin(ctx context.Context, tx *sqldb.Tx, kind string, p Pin) error {
	data := map[string]any{"pin": p.ID, "resource": p.Resource, "environment": p.Environment, "project": p.Project, "template": p.Template, "version": p.TemplateVersion,
		"reason": p.Reason, "until": p.Until.Format(time.RFC3339)}
	if p.RolloutID != "" {
		data["rollout"] = p.RolloutID
	}
	return event.Emit(ctx, tx, event.Event{Type: kind, Subject: p.ResourceID, TeamID: p.TeamID, ProjectID: p.ProjectID, EnvironmentID: p.EnvironmentID, To: []string{p.CreatedBy}, Data: data})
}

package resource

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"fairlead/internal/access"
	"fairlead/internal/audit"
	"fairlead/internal/drift"
	"fairlead/internal/engine"
	"fairlead/internal/fault"
	"fairlead/internal/ident"
	"fairlead/internal/principal"
	"fairlead/internal/sqldb"
)

// Inventory is an engine that can list what it has made.
type Inventory interface {
	// Objects gives every external object that carries this installation's
	// ownership marker. What the engine keeps records of by itself (prepared
	// objects, unfinished ones that nobody can tell the owner of) is left out.
	Objects(ctx context.Context) ([]Made, error)
}

// Made is one external object that this installation seems to have made.
type Made struct {
	engine.Object
	ResourceID string // what its marker names; "" when that cannot be believed
	Doubt      string // why it cannot; "" when it can
}

// Suspect is an external object that no record explains. Nothing is removed by
// itself; a person looks.
type Suspect struct {
	ID         string
	Engine     string
	Kind       string
	Name       string
	Host       string
	ResourceID string // what its marker names
	Reason     string
	FoundAt    time.Time

	ReleasedAt    time.Time // zero: it waits for a person
	ReleasedBy    string
	ReleaseReason string
}

// LogValue implements slog.LogValuer.
func (s Suspect) LogValue() slog.Value {
	return slog.StringValue(fmt.Sprintf("%s %s %s at %q (%s)", s.Engine, s.Kind, s.Name, s.Host, s.Reason))
}

// object is what makes two suspects the same.
func (s Suspect) object() [4]string { return [4]string{s.Engine, s.Kind, s.Host, s.Name} }

// Sweep is what SweepSuspects found.
type Sweep struct {
	Suspects []Suspect // all that is unexplained now, in no record's order; without ids
	Resolved int       // suspects of before that are gone or explained
	// NotLooked are the engines that could not be asked, and why. What is known
	// of theirs stays as it is.
	NotLooked map[string]error
}

// SweepSuspects holds what the engines have made against the records: every
// object belongs to one resource that is not destroyed, or is listed as
// suspect, for a person, and left as it is. A suspect that is gone, or
// explained, is resolved.
//
// In a system that works, an object may be listed and its resource destroyed
// before the records are read. So what is unexplained counts only if it still
// is after apart, when everything is looked at again. With apart 0 one look
// counts: for a system that stands still, as after a restore.
//
// The other direction, a resource whose objects are not there, is ObserveDue's.
// It is for one replica at a time; an overlap of two changes nothing.
func (s *Service) SweepSuspects(ctx context.Context, apart time.Duration) (Sweep, error) {
	ctx = principal.With(ctx, principal.System)
	w := Sweep{NotLooked: map[string]error{}}
	found, err := s.unexplained(ctx, slices.Sorted(maps.Keys(s.Inventories)), w.NotLooked)
	if err != nil {
		return w, err
	}
	if len(found) > 0 && apart > 0 {
		if err := pause(ctx, apart); err != nil {
			return w, err
		}
		again, err := s.unexplained(ctx, slices.Sorted(maps.Keys(s.Inventories)), w.NotLooked)
		if err != nil {
			return w, err
		}
		maps.DeleteFunc(found, func(o [4]string, _ Suspect) bool { _, still := again[o]; return !still })
	}
	for _, o := range slices.SortedFunc(maps.Keys(found), func(a, b [4]string) int { return slices.Compare(a[:], b[:]) }) {
		if w.NotLooked[o[0]] == nil { // an engine that answered once only is not heard
			w.Suspects = append(w.Suspects, found[o])
		}
	}
	return w, s.keepSuspects(ctx, &w)
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// unexplained asks the engines and gives what no living resource has; the
// engines that gave no answer go into failed.
func (s *Service) unexplained(ctx context.Context, engines []string, failed map[string]error) (map[[4]string]Suspect, error) {
	found := map[[4]string]Suspect{}
	for _, name := range engines {
		made, err := s.Inventories[name].Objects(ctx)
		if err != nil {
			failed[name] = err
			continue
		}
		// The records are read after the objects: a record is there before its object.
		state, err := s.db.fates(ctx, made)
		if err != nil {
			return nil, err
		}
		for _, m := range made {
			reason := m.Doubt
			if destroyed, known := state[m.ResourceID]; reason == "" && !known {
				reason = "no resource of this id is recorded"
			} else if reason == "" && destroyed {
				reason = "its resource is recorded as destroyed"
			}
			if reason != "" {
				v := Suspect{Engine: name, Kind: m.Kind, Name: m.Name, Host: m.Host, ResourceID: m.ResourceID, Reason: reason}
				found[v.object()] = v
			}
		}
	}
	return found, nil
}

// keepSuspects makes the records say what the sweep found. It writes nothing
// when they do already.
func (s *Service) keepSuspects(ctx context.Context, w *Sweep) error {
	open, err := s.db.openSuspects(ctx, s.DB.Read())
	if err != nil {
		return err
	}
	now := map[[4]string]bool{}
	var added, resolved []Suspect
	for _, v := range w.Suspects {
		now[v.object()] = true
		if !slices.ContainsFunc(open, func(o Suspect) bool { return o.object() == v.object() }) {
			v.ID = ident.New("sus")
			added = append(added, v)
		}
	}
	for _, v := range open {
		_, asked := s.Inventories[v.Engine]
		if asked && w.NotLooked[v.Engine] == nil && !now[v.object()] {
			resolved = append(resolved, v)
		}
	}
	w.Resolved = len(resolved)
	for name, err := range w.NotLooked {
		s.Log.Warn("an engine could not be asked what it has made; it is asked again", "engine", name, "error", err)
	}
	if len(added)+len(resolved) == 0 {
		return nil
	}
	err = s.DB.Write(ctx, "resource.suspects", func(tx *sqldb.Tx) error {
		if err := s.db.writeSuspects(ctx, tx, added, resolved); err != nil {
			return err
		}
		audit.Append(ctx, tx, audit.Entry{Action: "system:suspects", Target: access.Target{Kind: "system", Name: "suspects"},
			Details: map[string]any{"added": shownSuspects(added), "resolved": shownSuspects(resolved)}})
		return nil
	})
	if err != nil {
		return err
	}
	for _, v := range added {
		s.Log.Error("an external object has no record: it is left as it is, and a person should look at it", "suspect", v)
	}
	for _, v := range resolved {
		s.Log.Info("an external object that had no record is gone or explained", "suspect", v)
	}
	return nil
}

// shownSuspects is what the audit record says: so many, and the first by name.
func shownSuspects(list []Suspect) map[string]any {
	names := []string{}
	for _, v := range list[:min(len(list), 20)] {
		names = append(names, v.Engine+" "+v.Kind+" "+v.Name)
	}
	return map[string]any{"count": len(list), "objects": names}
}

// Suspects gives the external objects that no record explains, oldest first:
// those that wait for a person, or those that one has released.
func (s *Service) Suspects(ctx context.Context, released bool, p sqldb.Page) ([]Suspect, string, error) {
	if _, err := s.Access.Check(ctx, access.SystemView, access.Target{Kind: "system"}); err != nil {
		return nil, "", err
	}
	which := "IS NULL"
	if released {
		which = "IS NOT NULL"
	}
	list, err := sqldb.Collect(ctx, s.DB.Read(), scanSuspect, `SELECT `+suspectColumns+`
		WHERE resolved_at IS NULL AND released_at `+which+` AND id > $1 ORDER BY id LIMIT $2`, p.After, p.Size()+1)
	if err != nil || len(list) <= p.Size() {
		return list, "", err
	}
	list = list[:p.Size()]
	return list, list[len(list)-1].ID, nil
}

// ReleaseSuspect says of a suspect that a person knows it and leaves it as it
// is: it is counted no more, and is not found again. It touches no external
// object. Releasing what is released is success. It needs system:manage.
func (s *Service) ReleaseSuspect(ctx context.Context, id, reason string) (Suspect, error) {
	d, err := s.Access.Check(ctx, access.SystemManage, access.Target{Kind: "system", Name: "suspects"})
	if err != nil {
		return Suspect{}, err
	}
	if err := drift.CheckReason(reason); err != nil {
		return Suspect{}, err
	}
	none := fault.New(fault.NotFound, "suspect_not_found", "there is no such suspect, or it is gone or explained by now").WithHint("list them: fairlead suspects")
	if !ident.IsRef(id) {
		return Suspect{}, none
	}
	var out Suspect
	err = s.DB.Write(ctx, "resource.release-suspect", func(tx *sqldb.Tx) error {
		v, err := scanSuspect(tx.QueryRowContext(ctx, `SELECT `+suspectColumns+` WHERE id = $1 AND resolved_at IS NULL`+s.DB.ForUpdate(), id))
		if errors.Is(err, sql.ErrNoRows) {
			return none
		}
		if err != nil {
			return err
		}
		if v.ReleasedAt.IsZero() {
			v.ReleasedAt, v.ReleasedBy, v.ReleaseReason = tx.Now(), principal.From(ctx).Name, strings.TrimSpace(reason)
			if _, err := tx.ExecContext(ctx, `UPDATE suspects SET released_at = $2, released_by = $3, release_reason = $4 WHERE id = $1`, id, v.ReleasedAt.UnixMicro(), v.ReleasedBy, v.ReleaseReason); err != nil {
				return err
			}
			audit.Append(ctx, tx, audit.Entry{Action: "system:release-suspect", Target: access.Target{Kind: "system", Name: "suspects"}, Decision: d,
				Details: map[string]any{"suspect": id, "object": v.Engine + " " + v.Kind + " " + v.Name, "host": v.Host, "reason": v.ReleaseReason}})
		}
		out = v
		return nil
	})
	return out, err
}

// CountSuspects is how many external objects wait for a person, for metrics.
func CountSuspects(ctx context.Context, db *sqldb.DB) (n int, err error) {
	return n, db.Read().QueryRowContext(ctx, `SELECT count(*) FROM suspects WHERE resolved_at IS NULL AND released_at IS NULL`).Scan(&n)
}

const suspectColumns = `id, engine, kind, name, host, resource_id, reason, found_at, released_at, released_by, release_reason FROM suspects`

func scanSuspect(r sqldb.Row) (v Suspect, err error) {
	var at int64
	var released sql.NullInt64
	err = r.Scan(&v.ID, &v.Engine, &v.Kind, &v.Name, &v.Host, &v.ResourceID, &v.Reason, &at, &released, &v.ReleasedBy, &v.ReleaseReason)
	v.FoundAt, v.ReleasedAt = time.UnixMicro(at).UTC(), sqldb.TimeOrZero(released)
	return v, err
}

func (s store) openSuspects(ctx context.Context, q sqldb.Querier) ([]Suspect, error) {
	return sqldb.Collect(ctx, q, scanSuspect, `SELECT `+suspectColumns+` WHERE resolved_at IS NULL ORDER BY id`)
}

func (s store) writeSuspects(ctx context.Context, tx *sqldb.Tx, added, resolved []Suspect) error {
	at := tx.Now().UnixMicro()
	for _, v := range added {
		_, err := tx.ExecContext(ctx, `INSERT INTO suspects (id, engine, kind, name, host, resource_id, reason, found_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (engine, kind, host, name) WHERE resolved_at IS NULL DO NOTHING`,
			v.ID, v.Engine, v.Kind, v.Name, v.Host, v.ResourceID, v.Reason, at)
		if err != nil {
			return err
		}
	}
	for _, v := range resolved {
		if _, err := tx.ExecContext(ctx, `UPDATE suspects SET resolved_at = $2 WHERE id = $1 AND resolved_at IS NULL`, v.ID, at); err != nil {
			return err
		}
	}
	return nil
}

// fates tells of each resource that is named whether it was destroyed; those
// that were never recorded are not in it.
func (s store) fates(ctx context.Context, made []Made) (destroyed map[string]bool, err error) {
	type fate struct {
		id   string
		gone bool
	}
	ids := []string{}
	for _, m := range made {
		ids = append(ids, m.ResourceID)
	}
	slices.Sort(ids)
	list, err := sqldb.Collect(ctx, s.db.Read(), func(r sqldb.Row) (f fate, err error) {
		var gone int
		err = r.Scan(&f.id, &gone)
		f.gone = gone != 0
		return f, err
	}, `SELECT id, CASE WHEN destroyed_at IS NULL OR phase = 'released' THEN 0 ELSE 1 END FROM resources WHERE `+s.db.InArray("id", "$1"), toJSON(slices.Compact(ids)))
	destroyed = map[string]bool{}
	for _, f := range list {
		destroyed[f.id] = f.gone
	}
	return destroyed, err
}

package drift

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"fairlead/internal/access"
	"fairlead/internal/audit"
	"fairlead/internal/event"
	"fairlead/internal/fault"
	"fairlead/internal/principal"
	"fairlead/internal/sqldb"
)

// remembered is how many looks a brake remembers beyond those of a batch.
const remembered = 20

// look is the last outcome of one resource.
type look struct {
	ID  string `json:"i"`
	Bad bool   `json:"b,omitempty"`
}

// brakeRow is the brake of one scope.
type brakeRow struct {
	scope    string
	recent   []look
	heldAt   time.Time
	free     time.Time
	released time.Time
	dirty    bool
}

// scopes are those that a resource is in, the narrowest first.
func (s Subject) scopes() []string {
	out := []string{}
	if s.Host != "" {
		out = append(out, "server/"+s.Host)
	}
	return append(out, "template/"+s.Template, engineScope(s.Engine))
}

func engineScope(engine string) string { return "engine/" + engine }

// bad tells whether a verdict would repair something, or call it lost.
func (v Verdict) bad() bool { return v.Answer == Heal || v.Answer == Lost }

// brake holds repairs, and losses, where too many seem to be needed at once.
// Two things trip it, for each scope by itself: of those that were looked at
// last, this batch and a few before it, more than the share is amiss; or more
// than the share of all that live were repaired within the window. So many as
// Least are never held. What a narrower scope holds does not count for a wider
// one: when a server shows nothing, that server is held and no other; and what
// a person released there goes on whatever a wider scope would hold.
func (s *Service) brake(ctx context.Context, tx *sqldb.Tx, sights []Sight, verdicts []Verdict) error {
	anyBad := false
	var engines, scopes []string
	for i, v := range sights {
		anyBad = anyBad || verdicts[i].bad() && !v.Known
		engines = append(engines, engineScope(v.Engine))
		scopes = append(scopes, v.scopes()...)
	}
	slices.Sort(engines)
	engines = slices.Compact(engines)
	slices.Sort(scopes)
	scopes = slices.Compact(scopes)
	if anyBad {
		for _, scope := range engines { // the lock, in an order that all keep
			if err := s.store.lockBrake(ctx, tx, scope); err != nil {
				return err
			}
		}
	}
	rows, err := s.store.brakes(ctx, tx, scopes) // and theirs: what a person releases meanwhile waits
	if err != nil {
		return err
	}
	if !anyBad && !slices.ContainsFunc(rows, func(r brakeRow) bool { return r.uneasy() }) {
		return nil
	}
	byScope := map[string]*brakeRow{}
	for i := range rows {
		byScope[rows[i].scope] = &rows[i]
	}
	for _, kind := range []string{"server/", "template/", "engine/"} {
		groups := map[string][]int{}
		for i, v := range sights {
			for _, scope := range v.scopes() {
				if strings.HasPrefix(scope, kind) && verdicts[i].Answer != Held && !verdicts[i].free && !v.Known {
					groups[scope] = append(groups[scope], i)
				}
			}
		}
		for _, scope := range sortedKeys(groups) {
			row := byScope[scope]
			if row == nil {
				row = &brakeRow{scope: scope}
				byScope[scope] = row
			}
			if err := s.press(ctx, tx, row, sights, verdicts, groups[scope]); err != nil {
				return err
			}
		}
	}
	for _, scope := range sortedKeys(byScope) {
		if row := byScope[scope]; row.dirty {
			if err := s.store.writeBrake(ctx, tx, *row); err != nil {
				return err
			}
		}
	}
	return nil
}

// uneasy tells whether the brake is in force, or remembers something amiss.
func (r brakeRow) uneasy() bool {
	return !r.heldAt.IsZero() || slices.ContainsFunc(r.recent, func(l look) bool { return l.Bad })
}

// press looks at one scope and the sights, by index, that are in it.
func (s *Service) press(ctx context.Context, tx *sqldb.Tx, row *brakeRow, sights []Sight, verdicts []Verdict, members []int) error {
	var starting []string
	seen := row.recent
	for _, i := range members {
		id := sights[i].ID
		seen = slices.DeleteFunc(slices.Clone(seen), func(l look) bool { return l.ID == id })
		seen = append(seen, look{id, verdicts[i].bad()})
		if verdicts[i].bad() {
			starting = append(starting, id)
		}
	}
	amiss := 0
	for _, l := range seen {
		if l.Bad {
			amiss++
		}
	}
	was := row.uneasy()
	row.recent = slices.Clone(seen[max(0, len(seen)-remembered):])
	row.dirty = was || amiss > 0
	held := !row.heldAt.IsZero()
	switch {
	case tx.Now().Before(row.free):
		for _, i := range members {
			verdicts[i].free = true
		}
		return nil
	case held && !row.uneasyLooks():
		row.heldAt = time.Time{}
		return s.tellBrake(ctx, tx, "drift.released", row.scope, map[string]any{"why": "what was looked at last is as wanted"})
	case !held && len(starting) == 0:
		return nil
	}
	why := ""
	if !held {
		if s.tooMany(amiss, len(seen)) {
			why = fmt.Sprintf("%d of the last %d that were looked at are not as wanted", amiss, len(seen))
		} else {
			repaired, alive, err := s.repairs(ctx, tx, *row, starting)
			if err != nil {
				return err
			}
			if n := repaired + len(starting); s.tooMany(n, alive) {
				why = fmt.Sprintf("%d of %d would be repaired within %s", n, alive, s.Brake.Window)
			}
		}
		if why == "" {
			return nil
		}
		row.heldAt = tx.Now()
		if err := s.trip(ctx, tx, row.scope, why); err != nil {
			return err
		}
	}
	for _, i := range members {
		if verdicts[i].bad() {
			verdicts[i].hold(row.scope)
		}
	}
	return nil
}

func (r brakeRow) uneasyLooks() bool {
	return slices.ContainsFunc(r.recent, func(l look) bool { return l.Bad })
}

func (s *Service) tooMany(n, of int) bool {
	return of > 0 && n > s.Brake.Least && float64(n) > s.Brake.Share*float64(of)
}

// repairs counts the resources that were repaired by themselves in a scope
// within the window, but those whose repair is to start, and those that live
// in it. Which server a resource is on is not known to SQL; of those the last
// looks alone decide.
func (s *Service) repairs(ctx context.Context, tx *sqldb.Tx, row brakeRow, starting []string) (repaired, alive int, err error) {
	kind, name, _ := strings.Cut(row.scope, "/")
	if kind == "server" {
		return 0, 0, nil
	}
	since := tx.Now().Add(-s.Brake.Window)
	if row.released.After(since) {
		since = row.released
	}
	column := map[string]string{"engine": "engine", "template": "template"}[kind]
	err = tx.QueryRowContext(ctx, `SELECT count(DISTINCT resource_id) FROM drifts WHERE `+column+` = $1 AND repair_at > $2 AND NOT (`+s.DB.InArray("resource_id", "$3")+`)`,
		name, since.UnixMicro(), sqldb.Strings(starting)).Scan(&repaired)
	if err != nil {
		return 0, 0, err
	}
	alive, err = s.sizes.of(ctx, s.DB, column, name)
	return repaired, alive, err
}

// sizes remembers for a moment how many resources live in a scope.
type sizes struct {
	mu    sync.Mutex
	known map[string]size
}

type size struct {
	n    int
	read time.Time
}

func (z *sizes) of(ctx context.Context, db *sqldb.DB, column, name string) (int, error) {
	z.mu.Lock()
	defer z.mu.Unlock()
	if k, ok := z.known[column+name]; ok && time.Since(k.read) < 10*time.Second {
		return k.n, nil
	}
	var n int
	err := db.Read().QueryRowContext(ctx, `SELECT count(*) FROM resources WHERE destroyed_at IS NULL AND `+column+` = $1`, name).Scan(&n)
	if z.known == nil || len(z.known) > 1000 {
		z.known = map[string]size{}
	}
	if err == nil {
		z.known[column+name] = size{n, time.Now()}
	}
	return n, err
}

// trip records that repairs are held, and tells of it.
func (s *Service) trip(ctx context.Context, tx *sqldb.Tx, scope, why string) error {
	if err := tx.Later(ctx, `INSERT INTO drift_brakes (scope, why) VALUES ($1, $2) ON CONFLICT (scope) DO UPDATE SET why = excluded.why`, scope, why); err != nil {
		return err
	}
	tx.After(func() {
		s.Log.Error("mass drift: repairs are held until it is over or a person releases them", "scope", scope, "why", why)
	})
	audit.Append(ctx, tx, audit.Entry{Action: "drift:hold", Target: access.Target{Kind: "system", Name: "drift brake"},
		Decision: access.Decision{Allowed: true, Policies: []string{"system"}}, Details: map[string]any{"scope": scope, "why": why}})
	return s.tellBrake(ctx, tx, "drift.held", scope, map[string]any{"why": why, "release": "fairlead drift brake release " + scope + " --reason TEXT"})
}

func (s *Service) tellBrake(ctx context.Context, tx *sqldb.Tx, what, scope string, data map[string]any) error {
	data["scope"] = scope
	return event.Emit(ctx, tx, event.Event{Type: what, Subject: scope, Data: data})
}

// Brakes gives the brakes that are in force or released, for those who may
// view the system, by scope.
func (s *Service) Brakes(ctx context.Context) ([]HeldScope, error) {
	if _, err := s.Access.Check(ctx, access.SystemView, access.Target{Kind: "system"}); err != nil {
		return nil, err
	}
	now, err := s.DB.Now(ctx)
	if err != nil {
		return nil, err
	}
	list, err := sqldb.Collect(ctx, s.DB.Read(), scanHeld, heldColumns+` WHERE b.held_at IS NOT NULL OR b.free_until > $1 ORDER BY b.scope LIMIT 500`, now.UnixMicro())
	for i := range list {
		if !list[i].FreeUntil.After(now) {
			list[i].FreeUntil = time.Time{}
		}
	}
	return list, err
}

// MayRelease tells whether the caller may release a brake.
func (s *Service) MayRelease(ctx context.Context) bool {
	_, err := s.Access.Check(access.Wondering(ctx), access.DriftRelease, access.Target{Kind: "system", Name: "drift brake"})
	return err == nil
}

// HeldScope is one scope whose repairs are held, or were released.
type HeldScope struct {
	Scope        string
	HeldAt       time.Time // zero: they are not held
	Why          string
	FreeUntil    time.Time // zero: nobody released it
	ReleasedAt   time.Time
	ReleasedByID string
	ReleasedBy   string
	Reason       string
	Resources    int // whose repair is held
}

const heldColumns = `SELECT b.scope, b.held_at, b.why, b.free_until, b.released_at, b.released_by, coalesce(c.name, b.released_by), b.reason
	FROM drift_brakes b LEFT JOIN principals c ON c.id = b.released_by`

func scanHeld(r sqldb.Row) (h HeldScope, err error) {
	var held, released sql.NullInt64
	var free int64
	err = r.Scan(&h.Scope, &held, &h.Why, &free, &released, &h.ReleasedByID, &h.ReleasedBy, &h.Reason)
	h.HeldAt, h.FreeUntil, h.ReleasedAt = sqldb.TimeOrZero(held), sqldb.Time(free), sqldb.TimeOrZero(released)
	return h, err
}

// Release lets repairs of a scope go on, for as long as the window is; the
// brake acts again afterwards. It is for drift:release. Releasing what is
// released is success.
func (s *Service) Release(ctx context.Context, scope, reason string) (HeldScope, error) {
	d, err := s.Access.Check(ctx, access.DriftRelease, access.Target{Kind: "system", Name: "drift brake"})
	if err != nil {
		return HeldScope{}, err
	}
	if err := CheckReason(reason); err != nil {
		return HeldScope{}, err
	}
	missing := fault.New(fault.NotFound, "brake_not_found", "no repairs of %q are held", clip(scope)).WithHint("see what is held: fairlead drift brake")
	var out HeldScope
	err = s.DB.Write(ctx, "drift.release", func(tx *sqldb.Tx) error {
		if suffix := s.DB.ForUpdate(); suffix != "" {
			if err := tx.Later(ctx, `SELECT scope FROM drift_brakes WHERE scope = $1`+suffix, scope); err != nil {
				return err
			}
		}
		h, err := scanHeld(tx.QueryRowContext(ctx, heldColumns+` WHERE b.scope = $1`, scope))
		if errors.Is(err, sql.ErrNoRows) || err == nil && h.HeldAt.IsZero() && !h.FreeUntil.After(tx.Now()) {
			return missing
		}
		if err != nil {
			return err
		}
		if !h.HeldAt.IsZero() {
			h.HeldAt, h.ReleasedAt, h.FreeUntil, h.Reason = time.Time{}, tx.Now(), tx.Now().Add(s.Brake.Window), strings.TrimSpace(reason)
			h.ReleasedByID, h.ReleasedBy = principal.From(ctx).ID, principal.From(ctx).Name
			if _, err := tx.ExecContext(ctx, `UPDATE drift_brakes SET held_at = NULL, recent = '[]', free_until = $2, released_at = $3, released_by = $4, reason = $5 WHERE scope = $1`,
				scope, h.FreeUntil.UnixMicro(), h.ReleasedAt.UnixMicro(), h.ReleasedByID, h.Reason); err != nil {
				return err
			}
			audit.Append(ctx, tx, audit.Entry{Action: string(access.DriftRelease), Target: access.Target{Kind: "system", Name: "drift brake"}, Decision: d,
				Details: map[string]any{"scope": scope, "why": h.Why, "reason": h.Reason, "until": h.FreeUntil.Format(time.RFC3339)}})
			if err := s.tellBrake(ctx, tx, "drift.released", scope, map[string]any{"why": "a person released it", "by": h.ReleasedBy, "reason": h.Reason}); err != nil {
				return err
			}
		}
		out = h
		return nil
	})
	return out, err
}

func clip(s string) string {
	if len(s) > 80 {
		return strings.ToValidUTF8(s[:80], "") + "…"
	}
	return s
}

func (s store) lockBrake(ctx context.Context, tx *sqldb.Tx, scope string) error {
	if err := tx.Later(ctx, `INSERT INTO drift_brakes (scope) VALUES ($1) ON CONFLICT (scope) DO NOTHING`, scope); err != nil {
		return err
	}
	if suffix := s.db.ForUpdate(); suffix != "" {
		return tx.Later(ctx, `SELECT scope FROM drift_brakes WHERE scope = $1`+suffix, scope)
	}
	return nil
}

func (s store) brakes(ctx context.Context, tx *sqldb.Tx, scopes []string) ([]brakeRow, error) {
	return sqldb.Collect(ctx, tx, func(r sqldb.Row) (b brakeRow, err error) {
		var recent string
		var held, released sql.NullInt64
		var free int64
		if err = r.Scan(&b.scope, &recent, &held, &free, &released); err == nil {
			err = json.Unmarshal([]byte(recent), &b.recent)
		}
		b.heldAt, b.free, b.released = sqldb.TimeOrZero(held), sqldb.Time(free), sqldb.TimeOrZero(released)
		return b, err
	}, `SELECT scope, recent, held_at, free_until, released_at FROM drift_brakes WHERE `+s.db.InArray("scope", "$1")+` ORDER BY scope`+s.db.ForUpdate(), sqldb.Strings(scopes))
}

func (s store) writeBrake(ctx context.Context, tx *sqldb.Tx, b brakeRow) error {
	return tx.Later(ctx, `INSERT INTO drift_brakes (scope, recent, held_at) VALUES ($1, $2, $3)
		ON CONFLICT (scope) DO UPDATE SET recent = excluded.recent, held_at = excluded.held_at`, b.scope, toJSON(b.recent), orNull(b.heldAt))
}

package approval

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"fairlead/internal/access"
	"fairlead/internal/audit"
	"fairlead/internal/event"
	"fairlead/internal/fault"
	"fairlead/internal/ident"
	"fairlead/internal/principal"
	"fairlead/internal/sqldb"
)

// Delegation is that somebody stands in for somebody else for a while. It
// gives the right to vote and nothing more: never more than the other holds at
// the moment of the vote, not on what either of them asked for, and not what
// was delegated to the other. It ends by itself.
type Delegation struct {
	ID        string
	FromID    string
	From      string // name
	ToID      string
	To        string
	Begins    time.Time
	Until     time.Time
	Reason    string
	CreatedAt time.Time
	CreatedBy string // name
	EndedAt   time.Time
}

// NewDelegation is what a delegation is made of.
type NewDelegation struct {
	From   string // name or id; "" is the caller
	To     string
	Begins time.Time // zero: now
	Until  time.Time
	Reason string
}

const (
	longestDelegation = 90 * 24 * time.Hour
	maxReason         = 300
)

// Delegate lets somebody decide in the caller's name for a while. For another,
// who is ill say, it takes the right to change their account.
func (s *Service) Delegate(ctx context.Context, in NewDelegation) (Delegation, error) {
	p, err := known(ctx)
	if err != nil {
		return Delegation{}, err
	}
	if in.From == "" {
		in.From = p.ID
	}
	from, decision, err := s.delegator(ctx, in.From)
	if err != nil {
		return Delegation{}, err
	}
	to, enabled, err := s.people.Person(ctx, s.db.Read(), in.To)
	if fault.Is(err, fault.NotFound) || err == nil && (!enabled || to.Kind != principal.User) {
		return Delegation{}, fault.New(fault.Invalid, "unknown_delegate", "there is no such user, or they are disabled").WithField("/to").
			WithHint("name a person, not a robot")
	}
	if err != nil {
		return Delegation{}, err
	}
	if from.ID == to.ID {
		return Delegation{}, fault.New(fault.Invalid, "unknown_delegate", "nobody stands in for themselves").WithField("/to").WithHint("name somebody else")
	}
	if err := ident.CheckText("/reason", in.Reason, maxReason); err != nil {
		return Delegation{}, err
	}
	var d Delegation
	err = s.db.Write(ctx, "approval.delegate", func(tx *sqldb.Tx) error {
		d = Delegation{ID: ident.New("dlg"), FromID: from.ID, From: from.Name, ToID: to.ID, To: to.Name, Begins: in.Begins.UTC(), Until: in.Until.UTC(),
			Reason: in.Reason, CreatedAt: tx.Now(), CreatedBy: p.Name}
		if d.Begins.Before(tx.Now()) {
			d.Begins = tx.Now()
		}
		if err := d.check(); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO approval_delegations (id, from_id, to_id, from_at, until_at, reason, created_at, created_by)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`, d.ID, d.FromID, d.ToID, d.Begins.UnixMicro(), d.Until.UnixMicro(), d.Reason, tx.Now().UnixMicro(), p.ID)
		if err != nil {
			return err
		}
		audit.Append(ctx, tx, audit.Entry{Action: "approval:delegate", Target: userTarget(from), Decision: decision, Details: map[string]any{
			"delegation": d.ID, "to": to.ID, "name": to.Name, "from": d.Begins.Format(time.RFC3339), "until": d.Until.Format(time.RFC3339), "reason": d.Reason}})
		return event.Emit(ctx, tx, event.Event{Type: "approval.delegated", Subject: d.ID, To: []string{from.ID, to.ID}, Data: map[string]any{
			"from": from.Name, "to": to.Name, "begins": d.Begins.Format(time.RFC3339), "until": d.Until.Format(time.RFC3339), "reason": d.Reason, "by": p.Name}})
	})
	return d, err
}

func (d Delegation) check() error {
	bad := func(why string) error {
		return fault.New(fault.Invalid, "invalid_delegation", "%s", why).WithField("/until").
			WithHint("it lasts at most %d days and can be given again", int(longestDelegation.Hours()/24))
	}
	switch {
	case d.Until.IsZero():
		return bad("say until when")
	case !d.Until.After(d.Begins):
		return bad("it would be over before it begins")
	case d.Until.Sub(d.Begins) > longestDelegation:
		return bad("that is too long")
	}
	return nil
}

// delegator is whose right is delegated: the caller's, or that of somebody
// whose account the caller may change.
func (s *Service) delegator(ctx context.Context, ref string) (principal.Principal, access.Decision, error) {
	missing := fault.New(fault.NotFound, "not_found", "no such user").WithHint("check the name")
	from, _, err := s.people.Person(ctx, s.db.Read(), ref)
	if fault.Is(err, fault.NotFound) || err == nil && from.Kind != principal.User {
		return from, access.Decision{}, missing
	}
	if err != nil {
		return from, access.Decision{}, err
	}
	d, err := s.access.Check(ctx, access.UserUpdate, userTarget(from))
	if fault.Is(err, fault.NotFound) {
		return from, d, missing
	}
	return from, d, err
}

func userTarget(p principal.Principal) access.Target {
	return access.Target{Kind: "user", ID: p.ID, Name: p.Name, OwnerID: p.ID, Attributes: p.Attributes}
}

// EndDelegation ends a delegation at once: by either of the two, or by who may
// change the account of the one who gave it. What is over already is no error.
func (s *Service) EndDelegation(ctx context.Context, id string) error {
	p, err := known(ctx)
	if err != nil {
		return err
	}
	d, decision, err := s.delegation(ctx, p, id)
	if err != nil {
		return err
	}
	return s.db.Write(ctx, "approval.undelegate", func(tx *sqldb.Tx) error {
		res, err := tx.ExecContext(ctx, `UPDATE approval_delegations SET ended_at = $2 WHERE id = $1 AND ended_at IS NULL AND until_at > $2`, id, tx.Now().UnixMicro())
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return err
		}
		audit.Append(ctx, tx, audit.Entry{Action: "approval:undelegate", Target: access.Target{Kind: "user", ID: d.FromID, Name: d.From, OwnerID: d.FromID},
			Decision: decision, Details: map[string]any{"delegation": d.ID, "to": d.ToID, "name": d.To}})
		return event.Emit(ctx, tx, event.Event{Type: "approval.undelegated", Subject: d.ID, To: []string{d.FromID, d.ToID},
			Data: map[string]any{"from": d.From, "to": d.To, "by": p.Name}})
	})
}

// Delegation gives a delegation from or to the caller, or of somebody whose
// account the caller may change.
func (s *Service) Delegation(ctx context.Context, id string) (Delegation, error) {
	p, err := known(ctx)
	if err != nil {
		return Delegation{}, err
	}
	d, _, err := s.delegation(ctx, p, id)
	return d, err
}

func (s *Service) delegation(ctx context.Context, p principal.Principal, id string) (Delegation, access.Decision, error) {
	missing := fault.New(fault.NotFound, "not_found", "no such delegation").WithHint("list yours: fairlead delegations")
	if !ident.IsRef(id) {
		return Delegation{}, access.Decision{}, missing
	}
	d, err := scanDelegation(s.db.Read().QueryRowContext(ctx, delegationSelect+` WHERE g.id = $1`, id))
	if errors.Is(err, sql.ErrNoRows) {
		return Delegation{}, access.Decision{}, missing
	}
	if err != nil {
		return Delegation{}, access.Decision{}, err
	}
	if d.ToID == p.ID && access.ScopeAllows(p.Scopes, access.ApprovalDecide) {
		return d, access.Decision{Allowed: true, Policies: []string{"self"}}, nil
	}
	_, decision, err := s.delegator(ctx, d.FromID)
	if fault.Is(err, fault.NotFound) {
		return Delegation{}, decision, missing
	}
	return d, decision, err
}

// Delegations lists those from and to the caller; whoever sees all users sees
// all of them. Those that are over are left out unless ended is set.
func (s *Service) Delegations(ctx context.Context, ended bool, page sqldb.Page) (items []Delegation, next string, err error) {
	p, err := known(ctx)
	if err != nil {
		return nil, "", err
	}
	scope, err := s.access.Scope(ctx, access.UserView)
	if err != nil {
		return nil, "", err
	}
	now, err := s.db.Now(ctx)
	if err != nil {
		return nil, "", err
	}
	var w sqldb.Where
	if !scope.All {
		if !access.ScopeAllows(p.Scopes, access.UserView) {
			w.And(`1 = 0`)
		}
		w.And(`(g.from_id = ? OR g.to_id = ?)`, p.ID)
	}
	if !ended {
		w.And(`g.ended_at IS NULL AND g.until_at > ?`, now.UnixMicro())
	}
	return delegations.Page(ctx, s.db.Read(), w, "", page)
}

const delegationSelect = `SELECT g.id, g.from_id, coalesce(f.name, g.from_id), g.to_id, coalesce(t.name, g.to_id), g.from_at, g.until_at, g.reason,
	g.created_at, coalesce(c.name, g.created_by), g.ended_at FROM approval_delegations g
	LEFT JOIN principals f ON f.id = g.from_id LEFT JOIN principals t ON t.id = g.to_id LEFT JOIN principals c ON c.id = g.created_by`

func scanDelegation(r sqldb.Row) (Delegation, error) {
	var d Delegation
	var begins, until, created int64
	var ended sql.NullInt64
	err := r.Scan(&d.ID, &d.FromID, &d.From, &d.ToID, &d.To, &begins, &until, &d.Reason, &created, &d.CreatedBy, &ended)
	d.Begins, d.Until, d.CreatedAt, d.EndedAt = sqldb.Time(begins), sqldb.Time(until), sqldb.Time(created), sqldb.TimeOrZero(ended)
	return d, err
}

var delegations = sqldb.List[Delegation]{
	Select: delegationSelect, Scan: scanDelegation, Default: "-created",
	Orders: map[string]sqldb.Order[Delegation]{"created": {Columns: []string{"g.id"}, Key: func(d Delegation) []any { return []any{d.ID} }}},
}

// inForce is the condition that a delegation holds at $2.
const inForce = ` AND g.from_at <= $2 AND g.until_at > $2 AND g.ended_at IS NULL`

// delegatedTo gives who delegated to somebody at a time.
func (s store) delegatedTo(ctx context.Context, q sqldb.Querier, id string, at time.Time) ([]Delegation, error) {
	return sqldb.Collect(ctx, q, scanDelegation, delegationSelect+` WHERE g.to_id = $1`+inForce+` ORDER BY g.id LIMIT 50`, id, at.UnixMicro())
}

// withdrawn tells of whom ("holder>voter") votes were given for another by a
// delegation that somebody has ended since, and did not give again. One that ran out was good when the
// vote was given, and takes nothing back.
func (s store) withdrawn(ctx context.Context, q sqldb.Querier, votes []Vote, now time.Time) (map[string]bool, error) {
	out := map[string]bool{}
	for _, v := range votes {
		if v.holderID == v.VoterID {
			continue
		}
		var good int
		if err := q.QueryRowContext(ctx, `SELECT count(*) FROM approval_delegations WHERE from_id = $1 AND to_id = $2 AND ended_at IS NULL
				AND (from_at <= $3 AND until_at > $3 OR from_at <= $4 AND until_at > $4)`,
			v.holderID, v.VoterID, v.At.UnixMicro(), now.UnixMicro()).Scan(&good); err != nil {
			return nil, err
		}
		if good == 0 {
			out[v.holderID+">"+v.VoterID] = true
		}
	}
	return out, nil
}

// standIns gives who stands in for some people at a time.
func (s store) standIns(ctx context.Context, q sqldb.Querier, ids []string, at time.Time) ([]Delegation, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	return sqldb.Collect(ctx, q, scanDelegation, delegationSelect+` WHERE `+s.db.InArray("g.from_id", "$1")+inForce+` ORDER BY g.id LIMIT 50`,
		sqldb.Strings(ids), at.UnixMicro())
}

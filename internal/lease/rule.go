package lease

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"time"

	"fairlead/internal/access"
	"fairlead/internal/audit"
	"fairlead/internal/fault"
	"fairlead/internal/gate"
	"fairlead/internal/ident"
	"fairlead/internal/principal"
	"fairlead/internal/sqldb"
)

// Rule says how long things of a class of environment may live. The one that
// says most of template, team and kind, in this order, holds alone.
type Rule struct {
	ID            string
	Class         string
	Kind          Kind // "" is both
	TeamID, Team  string
	Template      string
	Default       time.Duration // given when none is asked for; 0: none is
	Max           time.Duration // extensions included; 0: no end to it
	ExtendBy      time.Duration // at a time; 0: the default
	MaxExtensions int64         // -1: as many as fit
	WarnBefore    []time.Duration
	Required      bool
	CreatedAt     time.Time
	UpdatedAt     time.Time
	Version       int64
}

// DefaultWarnings are those of a lease that no rule speaks of.
var DefaultWarnings = []time.Duration{24 * time.Hour, time.Hour}

const longest = 3650 * 24 * time.Hour

// free holds where no rule does: whoever asks for a lease gets it.
func free() Rule { return Rule{MaxExtensions: -1, WarnBefore: DefaultWarnings} }

// with narrows the rule to what the template says of itself.
func (r Rule) with(t *gate.LeaseRule) Rule {
	if t == nil {
		return r
	}
	if t.Default > 0 {
		r.Default = t.Default
	}
	if t.Max > 0 && (r.Max == 0 || t.Max < r.Max) {
		r.Max = t.Max
	}
	if r.Max > 0 {
		r.Default = min(r.Default, r.Max)
	}
	return r
}

// of narrows the rule to what a lease's template said when it began.
func (r Rule) of(l Lease) Rule { return r.with(&gate.LeaseRule{Max: l.Max}) }

// given is the length of who asks for none.
func (r Rule) given() time.Duration {
	if r.Default == 0 && r.Required {
		return r.Max
	}
	return r.Default
}

// extension is how much one extension gives.
func (r Rule) extension(l Lease) time.Duration {
	switch {
	case r.ExtendBy > 0:
		return r.ExtendBy
	case r.Default > 0:
		return r.Default
	}
	return l.Length() / time.Duration(l.Extensions+1)
}

// target is where a rule holds.
func (r Rule) target() access.Target {
	if r.TeamID != "" {
		return access.Target{Kind: "team", ID: r.TeamID, Name: r.Team, TeamID: r.TeamID}
	}
	return access.Organisation
}

func (r Rule) check() error {
	bad := func(field, format string, args ...any) error {
		return fault.New(fault.Invalid, "invalid_lease_rule", format, args...).WithField(field).
			WithHint("lengths are as 90m, 8h or 7d; docs/leases.md says what goes together")
	}
	if !slices.Contains([]string{"development", "staging", "production"}, r.Class) {
		return bad("/class", "there is no such class of environment")
	}
	if !slices.Contains([]Kind{"", Resource, Environment}, r.Kind) {
		return bad("/kind", "a lease is of a resource or of an environment")
	}
	if r.Template != "" && !ident.IsRef(r.Template) {
		return bad("/template", "this is no template's name")
	}
	if r.Template != "" && r.Kind == Environment {
		return bad("/template", "environments have no template")
	}
	for _, d := range append([]time.Duration{r.Default, r.Max, r.ExtendBy}, r.WarnBefore...) {
		if d < 0 || d > longest {
			return bad("", "a length is between 0 and 3650d")
		}
	}
	if r.Max > 0 && r.Default > r.Max {
		return bad("/default", "the default is longer than the maximum")
	}
	if r.Required && r.Default == 0 && r.Max == 0 {
		return bad("/required", "what is required needs a default or a maximum")
	}
	if r.MaxExtensions < -1 || r.MaxExtensions > 1_000_000 {
		return bad("/maxExtensions", "that many extensions are none; -1 is as many as fit")
	}
	if len(r.WarnBefore) > 10 {
		return bad("/warnBefore", "at most 10 warnings")
	}
	return nil
}

// SetRule makes a rule, or changes the one that there is for the same class,
// kind, team and template. in.Team may be a name or an id. ifVersion 0 is any.
func (s *Service) SetRule(ctx context.Context, in Rule, ifVersion int64) (Rule, error) {
	if err := known(ctx); err != nil {
		return Rule{}, err
	}
	if in.Team != "" {
		if !ident.IsRef(in.Team) {
			return Rule{}, noTeam()
		}
		var err error
		if in.TeamID, in.Team, err = s.store.team(ctx, in.Team); errors.Is(err, sql.ErrNoRows) {
			return Rule{}, noTeam()
		} else if err != nil {
			return Rule{}, err
		}
	}
	d, err := s.Access.Check(ctx, access.CalendarManage, in.target())
	if err != nil {
		return Rule{}, err
	}
	if err := in.check(); err != nil {
		return Rule{}, err
	}
	slices.Sort(in.WarnBefore)
	in.WarnBefore = slices.Compact(in.WarnBefore)
	var out Rule
	err = s.DB.Write(ctx, "lease.rule", func(tx *sqldb.Tx) error {
		was, err := s.store.ruleOf(ctx, tx, in)
		r := in
		switch {
		case errors.Is(err, sql.ErrNoRows):
			r.ID, r.CreatedAt = ident.New("lru"), tx.Now()
		case err != nil:
			return err
		default:
			r.ID, r.CreatedAt, r.Version = was.ID, was.CreatedAt, was.Version
		}
		if ifVersion != 0 && r.Version != ifVersion {
			return stale("lease rule")
		}
		r.UpdatedAt, r.Version = tx.Now(), r.Version+1
		if err := s.store.putRule(ctx, tx, r, principal.From(ctx).ID); err != nil {
			return err
		}
		tx.Notify(rulesTopic, "")
		audit.Append(ctx, tx, audit.Entry{Action: string(access.CalendarManage), Target: r.target(), Decision: d, Details: r.details("lease rule set")})
		out = r
		return nil
	})
	return out, err
}

func (r Rule) details(what string) map[string]any {
	return map[string]any{"what": what, "rule": r.ID, "class": r.Class, "kind": r.Kind, "team": r.Team, "template": r.Template, "default": Text(r.Default), "max": Text(r.Max),
		"extendBy": Text(r.ExtendBy), "maxExtensions": r.MaxExtensions, "required": r.Required}
}

// RuleFilter narrows a list of rules; the zero value is all.
type RuleFilter struct {
	Class    string
	Kind     Kind
	Team     string // name or id
	Template string
	Sort     string // class or created; with - before it the other way round
}

// Rules lists the rules: how long things may live is no secret, but which
// teams there are is, so a team's own are for who may see the team.
func (s *Service) Rules(ctx context.Context, f RuleFilter, page sqldb.Page) (items []Rule, next string, err error) {
	if err := known(ctx); err != nil {
		return nil, "", err
	}
	scope, err := s.Access.Scope(ctx, access.TeamView)
	if err != nil {
		return nil, "", err
	}
	var w sqldb.Where
	scope.NarrowThose(&w, s.DB, `u.team_id <> ''`, access.Columns{Team: "u.team_id"})
	for _, part := range []struct{ cond, value string }{{`u.class = ?`, f.Class}, {`u.kind = ?`, string(f.Kind)}, {`u.template = ?`, f.Template}} {
		if part.value != "" {
			w.And(part.cond, part.value)
		}
	}
	switch {
	case f.Team == "":
	case !ident.IsRef(f.Team):
		w.And(`1 = 0`)
	default:
		w.And(`(u.team_id = ? OR t.name = ?)`, f.Team)
	}
	return rulePages.Page(ctx, s.DB.Read(), w, f.Sort, page)
}

// RemoveRule takes a rule away. The leases that it gave stay. ifVersion 0 is any.
func (s *Service) RemoveRule(ctx context.Context, id string, ifVersion int64) error {
	if err := known(ctx); err != nil {
		return err
	}
	missing := fault.New(fault.NotFound, "not_found", "there is no such lease rule").WithHint("list them: fairlead lease rule ls")
	r, err := s.store.ruleByID(ctx, id)
	if errors.Is(err, sql.ErrNoRows) || !ident.IsRef(id) {
		return missing
	}
	if err != nil {
		return err
	}
	d, err := s.Access.Check(ctx, access.CalendarManage, r.target())
	if err != nil {
		return err
	}
	return s.DB.Write(ctx, "lease.unrule", func(tx *sqldb.Tx) error {
		res, err := tx.ExecContext(ctx, `DELETE FROM lease_rules WHERE id = $1 AND ($2 = 0 OR version = $2)`, id, ifVersion)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return errors.Join(err, stale("lease rule"))
		}
		tx.Notify(rulesTopic, "")
		audit.Append(ctx, tx, audit.Entry{Action: string(access.CalendarManage), Target: r.target(), Decision: d, Details: r.details("lease rule removed")})
		return nil
	})
}

func noTeam() error {
	return fault.New(fault.NotFound, "not_found", "there is no such team, or none that you may know of").WithField("/team")
}

func stale(what string) error {
	return fault.New(fault.Stale, "stale_version", "the %s was changed by somebody else meanwhile", what).
		WithHint("read it again, then repeat the change")
}

func known(ctx context.Context) error {
	if p := principal.From(ctx); p.Kind == principal.Anonymous || p.ID == "" {
		return fault.New(fault.Unauthenticated, "unauthenticated", "sign in first").WithHint("use fairlead login, or send a token")
	}
	return nil
}

package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/casbin/casbin/v2"
	"github.com/casbin/casbin/v2/model"
	"github.com/cedar-policy/cedar-go"

	"fairlead/internal/access"
	"fairlead/internal/principal"
	"fairlead/internal/sqldb"
)

// rules writes n rules as an organisation would: the ten of which most
// requests meet a few, then teams' and projects' own.
func rules(n int) string {
	var b strings.Builder
	roles := []string{"viewer", "approver", "developer", "team-owner", "auditor"}
	for i := range min(n, 10) {
		switch {
		case i < 5:
			fmt.Fprintf(&b, "@id(\"r%d\") permit (principal in Role::%q, action in [Action::\"resource:view\", Action::\"resource:update\"], resource);\n", i, roles[i])
		case i < 8:
			fmt.Fprintf(&b, "@id(\"r%d\") permit (principal in Role::%q, action == Action::\"resource:reveal\", resource) when { resource has class && resource.class == \"development\" };\n", i, roles[i-4])
		default:
			fmt.Fprintf(&b, "@id(\"r%d\") forbid (principal, action == Action::\"resource:destroy\", resource) when { resource has class && resource.class == \"production\" };\n", i)
		}
	}
	for i := 10; i < n; i++ {
		switch i % 3 {
		case 0:
			fmt.Fprintf(&b, "@id(\"r%d\") permit (principal == User::\"usr_%d\", action == Action::\"resource:view\", resource);\n", i, i)
		case 1:
			fmt.Fprintf(&b, "@id(\"r%d\") permit (principal in Team::\"team_%d\", action, resource in Project::\"prj_%d\") when { resource has class && resource.class == \"development\" };\n", i, i, i)
		default:
			fmt.Fprintf(&b, "@id(\"r%d\") forbid (principal, action == Action::\"resource:destroy\", resource in Environment::\"env_%d\");\n", i, i)
		}
	}
	return b.String()
}

// The question: may ada, developer of a team, reveal the secrets of one of its
// databases? Allowed by the rule r7.
var (
	asker = principal.Principal{Kind: principal.User, ID: "usr_1", Name: "ada", Memberships: []principal.Membership{
		{TeamID: "team_1", Team: "one", Role: principal.Developer},
	}}
	asked = access.Target{
		Kind: "resource", ID: "res_1", Name: "orders", TeamID: "team_1", ProjectID: "prj_1", EnvironmentID: "env_1",
		EnvironmentClass: "development", Template: "postgres",
	}
)

func decisions(ctx context.Context, r *run) error {
	big := 100_000
	if r.quick {
		big = 10_000
	}
	few, err := r.decider(ctx, 10)
	if err != nil {
		return err
	}
	many, err := r.decider(ctx, big)
	if err != nil {
		return err
	}
	raw, err := rawCedar(rules(10))
	if err != nil {
		return err
	}
	rawMany, err := rawCedar(rules(big))
	if err != nil {
		return err
	}
	e, err := casbinWith(big)
	if err != nil {
		return err
	}
	viaCasbin := func(context.Context) error {
		ok, err := e.Enforce("usr_1", "team_1", "orders", "resource:reveal", "development")
		if err == nil && !ok {
			err = errors.New("casbin says no")
		}
		return err
	}
	times := 20_000
	if r.quick {
		times = 2_000
	}
	for _, c := range []struct {
		what, peer   string
		ours, theirs func(context.Context) error
		n, m         int
		target       float64
	}{
		{"one decision, 10 rules", "Cedar, prepared, entities at hand", few, raw, times, times, 1.1},
		{fmt.Sprintf("one decision, %d rules", big), "Cedar, prepared, the 10 that matter", many, raw, times, times, 1.1},
		{fmt.Sprintf("one decision, %d rules", big), "Cedar, prepared, all of them", many, rawMany, times, 5, 1.1},
		{fmt.Sprintf("one decision, %d rules", big), "Casbin", many, viaCasbin, times, 3, 0.01},
	} {
		if err := r.compare(ctx, comparison{
			bench: "10", what: c.what, peer: c.peer, ours: repeated(c.n, c.ours), theirs: repeated(c.m, c.theirs),
			stats: []statistic{{"mean", mean, c.target}}, scale: 1e6, unit: "µs",
		}); err != nil {
			return err
		}
	}
	return decisionsWithGuardrails(ctx, r, few, many, viaCasbin, big, times)
}

// repeated gives one sample: how long one of n took.
func repeated(n int, f func(context.Context) error) side {
	return func(ctx context.Context) ([]float64, error) {
		began := time.Now()
		for range n {
			if err := f(ctx); err != nil {
				return nil, err
			}
		}
		return []float64{time.Since(began).Seconds() / float64(n)}, nil
	}
}

// decider is the product's own service on a store that holds n rules.
func (r *run) decider(ctx context.Context, n int) (func(context.Context) error, error) {
	db, err := sqldb.Open(ctx, sqldb.Options{URL: "sqlite:" + filepath.Join(r.dir, fmt.Sprintf("access-%d.db", n))})
	if err != nil {
		return nil, err
	}
	err = db.Write(ctx, "bench.policies", func(tx *sqldb.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO access_policies (version, digest, source, created_at, created_by) VALUES (1, 'bench', $1, $2, 'bench')`,
			rules(n), tx.Now().UnixMicro())
		return err
	})
	if err != nil {
		return nil, err
	}
	s, err := access.New(ctx, access.Options{DB: db, Audit: func(context.Context, *sqldb.Tx, access.Action, access.Target, access.Decision, map[string]any) {}})
	if err != nil {
		return nil, err
	}
	ada := principal.With(ctx, asker)
	return func(context.Context) error {
		_, err := s.Check(ada, access.ResourceReveal, asked)
		return err
	}, nil
}

// rawCedar is Cedar's own query over all the rules, parsed beforehand, with
// the entities and the request at hand: what no real request has.
func rawCedar(source string) (func(context.Context) error, error) {
	set, err := cedar.NewPolicySetFromBytes("bench", []byte(source))
	if err != nil {
		return nil, err
	}
	uid := func(kind, id string) cedar.EntityUID {
		return cedar.NewEntityUID(cedar.EntityType(kind), cedar.String(id))
	}
	user, res := uid("User", "usr_1"), uid("Resource", "res_1")
	team, role, project, env := uid("Team", "team_1"), uid("Role", "developer"), uid("Project", "prj_1"), uid("Environment", "env_1")
	entities := cedar.EntityMap{}
	add := func(e cedar.EntityUID, attributes cedar.RecordMap, parents ...cedar.EntityUID) {
		entities[e] = cedar.Entity{UID: e, Attributes: cedar.NewRecord(attributes), Parents: cedar.NewEntityUIDSet(parents...)}
	}
	add(user, cedar.RecordMap{"name": cedar.String("ada")}, team, role)
	add(team, nil)
	add(role, nil)
	add(project, nil, team)
	add(env, nil, project)
	add(res, cedar.RecordMap{"class": cedar.String("development"), "template": cedar.String("postgres"), "name": cedar.String("orders")}, env)
	q := cedar.Request{Principal: user, Action: uid("Action", "resource:reveal"), Resource: res, Context: cedar.NewRecord(nil)}
	return func(context.Context) error {
		if d, _ := cedar.Authorize(set, entities, q); d != cedar.Allow {
			return errors.New("cedar says no")
		}
		return nil
	}, nil
}

// casbinWith holds n rules of the same shape: roles in teams, then grants to
// single users.
func casbinWith(n int) (*casbin.Enforcer, error) {
	m, err := model.NewModelFromString(`
[request_definition]
r = sub, dom, obj, act, class
[policy_definition]
p = sub, dom, act, class
[role_definition]
g = _, _, _
[policy_effect]
e = some(where (p.eft == allow))
[matchers]
m = (r.sub == p.sub || g(r.sub, p.sub, r.dom)) && (p.dom == "*" || p.dom == r.dom) && p.act == r.act && (p.class == "*" || p.class == r.class)
`)
	if err != nil {
		return nil, err
	}
	e, err := casbin.NewEnforcer(m)
	if err != nil {
		return nil, err
	}
	lines := make([][]string, 0, n)
	for i := 10; i < n; i++ {
		lines = append(lines, []string{fmt.Sprint("usr_", i), fmt.Sprint("team_", i), "resource:view", "*"})
	}
	for i, role := range []string{"viewer", "approver", "developer", "team-owner", "auditor"} {
		lines = append(lines, []string{role, "*", "resource:view", "*"})
		if i > 0 {
			lines = append(lines, []string{role, "*", "resource:reveal", "development"})
		}
	}
	if _, err := e.AddPolicies(lines); err != nil {
		return nil, err
	}
	_, err = e.AddRoleForUserInDomain("usr_1", "developer", "team_1")
	return e, err
}

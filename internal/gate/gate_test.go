package gate_test

import (
	"context"
	"testing"
	"time"

	"fairlead/internal/access/accesstest"
	"fairlead/internal/audit"
	"fairlead/internal/audit/audittest"
	"fairlead/internal/fault"
	"fairlead/internal/gate"
	"fairlead/internal/gate/gatetest"
	"fairlead/internal/principal"
	"fairlead/internal/sqldb"
	"fairlead/internal/sqldb/sqldbtest"
)

var (
	ann = principal.Principal{Kind: principal.User, ID: "usr_ann", Name: "ann", Attributes: map[string]string{"site": "bern"},
		Memberships: []principal.Membership{{TeamID: "team_alpha", Team: "alpha", Role: principal.Developer}}}
	sam = principal.Principal{Kind: principal.User, ID: "usr_sam", Name: "sam", Memberships: []principal.Membership{{TeamID: "team_beta", Team: "beta", Role: principal.Developer}}}
)

var auditor = principal.Principal{Kind: principal.User, ID: "usr_aud", Name: "aud", OrgRoles: []principal.Role{principal.Auditor}}

type world struct {
	db    *sqldb.DB
	gates *gatetest.Gates
	svc   *gate.Service
	audit *audit.Log
}

func each(t *testing.T, f func(t *testing.T, w world)) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		w := world{db: db, gates: &gatetest.Gates{}, audit: audittest.New(t, db)}
		w.svc = w.gates.Service(db, accesstest.Teams{})
		f(t, w)
	})
}

func as(p principal.Principal) context.Context { return principal.With(context.Background(), p) }

func facts(stage gate.Stage) gate.Facts {
	return gate.Facts{
		Stage: stage, Action: gate.Create, Principal: ann, RequestID: "req_1", Resource: "orders", Revision: 1, Inputs: map[string]any{"size": 3},
		Environment: gate.Environment{ID: "env_dev", Name: "dev", Class: "development", ProjectID: "prj_shop", Project: "shop", TeamID: "team_alpha", Team: "alpha"},
		Template:    gate.Template{Name: "store", Version: "1.0.0"},
	}
}

func verdict(s gate.Strength, rule string) gate.Verdict {
	return gate.Verdict{Source: "guardrail", Rule: rule, Strength: s, Message: "no " + rule, Remedy: "mend " + rule}
}

func TestARefusalIsRecordedAuditedAndTold(t *testing.T) {
	each(t, func(t *testing.T, w world) {
		w.gates.Say("digest", func(gate.Facts) []gate.Verdict {
			return []gate.Verdict{verdict(gate.Deny, "sizes"), verdict(gate.Advise, "names"), verdict(gate.Deny, "owners")}
		})
		j, err := w.svc.Judge(as(ann), facts(gate.Request))
		if err != nil || !j.Denied() || j.Outcome() != "denied" {
			t.Fatalf("%+v, %v", j, err)
		}
		f := fault.From(w.svc.Refuse(as(ann), j))
		if f.Code != "guardrail_denied" || len(f.Violations) != 2 || f.Hint == "" {
			t.Errorf("%+v", f)
		}
		list, _, err := w.svc.Records(as(ann), gate.Filter{Outcome: "denied"}, sqldb.Page{Limit: 10})
		if err != nil || len(list) != 1 || len(list[0].Verdicts) != 3 || list[0].Policy != "digest" {
			t.Fatalf("%+v, %v", list, err)
		}
		for _, ref := range []string{list[0].ID, "req_1"} {
			if d, err := w.svc.Record(as(ann), ref); err != nil || d.ID != list[0].ID {
				t.Errorf("by %s: %+v, %v", ref, d, err)
			}
			if _, err := w.svc.Record(as(sam), ref); !fault.Is(err, fault.NotFound) {
				t.Errorf("a stranger by %s: %v", ref, err)
			}
			if _, err := w.svc.Record(context.Background(), ref); !fault.Is(err, fault.Unauthenticated) {
				t.Errorf("nobody by %s: %v", ref, err)
			}
		}
		if list, _, err := w.svc.Records(as(sam), gate.Filter{}, sqldb.Page{Limit: 10}); err != nil || len(list) != 0 {
			t.Errorf("a stranger's list: %v, %v", list, err)
		}
		if _, _, err := w.svc.Records(context.Background(), gate.Filter{}, sqldb.Page{Limit: 10}); !fault.Is(err, fault.Unauthenticated) {
			t.Errorf("nobody's list: %v", err)
		}
		found, _, err := w.audit.Search(as(auditor), audit.Filter{Action: "gate:deny"}, sqldb.Page{Limit: 10})
		if err != nil || len(found) != 1 {
			t.Errorf("audited %v, %v", found, err)
		}
	})
}

func admit(t *testing.T, w world, f gate.Facts, resource string) {
	t.Helper()
	j, err := w.svc.Judge(as(ann), f)
	if err != nil {
		t.Fatal(err)
	}
	err = w.db.Write(as(ann), "test.admit", func(tx *sqldb.Tx) error {
		_, err := w.svc.Admit(as(ann), tx, j, resource, "run_"+resource)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestAWorkerJudgesForWhoeverAsked(t *testing.T) {
	each(t, func(t *testing.T, w world) {
		admit(t, w, facts(gate.Request), "res_1")
		var stages []gate.Stage
		var seen gate.Facts
		w.gates.Say("d", func(f gate.Facts) []gate.Verdict { stages, seen = append(stages, f.Stage), f; return nil })
		later := facts(gate.Plan)
		later.Action, later.Principal, later.ResourceID, later.RunID, later.RunKind = "", principal.Principal{}, "res_1", "run_2", "apply"
		j, err := w.svc.Judge(as(principal.System), later)
		if err != nil || j.Facts.Action != gate.Create || seen.Principal.ID != ann.ID || seen.Principal.Attributes["site"] != "bern" || !seen.Principal.HasTeamRole("team_alpha", principal.Developer) {
			t.Errorf("%+v, %v", seen, err)
		}
		if len(stages) != 2 || stages[0] != gate.Request || stages[1] != gate.Plan {
			t.Errorf("asked at %v", stages)
		}
		stages, later.Revision = nil, 2
		if j, err = w.svc.Judge(as(principal.System), later); err != nil || j.Facts.Action != gate.Keep || len(stages) != 1 {
			t.Errorf("what nobody asked for: %v at %v, %v", j.Facts.Action, stages, err)
		}
	})
}

func TestPruneKeepsWhatAWantedRevisionRestsOn(t *testing.T) {
	each(t, func(t *testing.T, w world) {
		admit(t, w, facts(gate.Request), "res_1")
		err := w.db.Write(t.Context(), "test.world", func(tx *sqldb.Tx) error {
			for _, q := range []string{
				`INSERT INTO teams (id, name, created_at, updated_at) VALUES ('team_alpha', 'alpha', 1, 1)`,
				`INSERT INTO projects (id, name, team_id, created_at, updated_at) VALUES ('prj_shop', 'shop', 'team_alpha', 1, 1)`,
				`INSERT INTO environments (id, project_id, name, class, created_at, updated_at) VALUES ('env_dev', 'prj_shop', 'dev', 'development', 1, 1)`,
				`INSERT INTO resources (id, name, environment_id, project_id, team_id, template, engine, phase, revision, created_at, created_by, updated_at)
					VALUES ('res_1', 'orders', 'env_dev', 'prj_shop', 'team_alpha', 'store', 'null', 'waiting', 1, 1, 'usr_ann', 1)`,
				`UPDATE decisions SET at = 1`,
			} {
				if _, err := tx.ExecContext(t.Context(), q); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range []struct {
			why, change string
			want        int
		}{
			{"its revision is not made yet", `UPDATE resources SET phase = 'waiting'`, 1},
			{"it is made: the record is history", `UPDATE resources SET applied_revision = 1`, 0},
		} {
			err := w.db.Write(t.Context(), "test.change", func(tx *sqldb.Tx) error { _, err := tx.ExecContext(t.Context(), row.change); return err })
			if err == nil {
				err = w.svc.Prune(t.Context())
			}
			list, _, lerr := w.svc.Records(as(ann), gate.Filter{}, sqldb.Page{Limit: 10})
			if err != nil || lerr != nil || len(list) != row.want {
				t.Errorf("%s: %d left, %v %v", row.why, len(list), err, lerr)
			}
		}
	})
}

func TestVerdictsOfLimits(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		why  string
		use  gate.Use
		want gate.Strength
	}{
		{"fits", gate.Use{Max: 10, Used: 3, Wanted: 1, Enforce: true}, ""},
		{"just fits", gate.Use{Max: 10, Used: 9, Wanted: 1, Enforce: true}, ""},
		{"too much", gate.Use{Max: 10, Used: 10, Wanted: 1, Enforce: true}, gate.Deny},
		{"too much, but only told", gate.Use{Max: 10, Used: 10, Wanted: 1}, gate.Advise},
		{"near", gate.Use{Max: 10, Used: 7, Wanted: 1, WarnAt: 0.8, Enforce: true}, gate.Advise},
		{"over already, but it takes no more than it has", gate.Use{Max: 10, Used: 12, Held: 2, Wanted: 2, Enforce: true}, ""},
		{"over already, and it gives back", gate.Use{Max: 10, Used: 12, Held: 2, Wanted: 1, Enforce: true}, ""},
	} {
		row.use.Scope, row.use.Name, row.use.Metric = "team", "alpha", "count"
		got := gate.Strength("")
		if list := gate.LimitVerdicts([]gate.Use{row.use}, ""); len(list) > 0 {
			got = list[0].Strength
		}
		if got != row.want {
			t.Errorf("%s: %q, want %q", row.why, got, row.want)
		}
	}
}

func TestRequestsThatAreGrantedTogetherCountTogether(t *testing.T) {
	t.Parallel()
	use := func(held, wanted float64) *gate.Judgement {
		return &gate.Judgement{Facts: gate.Facts{Usage: []gate.Use{{Limit: "lim", Scope: "team", Name: "alpha", Metric: "cpu", Max: 10, Used: 4, Held: held, Wanted: wanted, Enforce: true}}}}
	}
	set := []*gate.Judgement{use(0, 4), use(3, 1), use(0, 4), use(0, 1)} // 8, 6, 10, 11
	gate.Together(set)
	for i, j := range set {
		if j.Denied() != (i == 3) {
			t.Errorf("%d: %v", i, j.Verdicts)
		}
	}
}

func TestABindingSaysWhatChanged(t *testing.T) {
	t.Parallel()
	a := gate.Binding{gate.PartPlan: "1", gate.PartInputs: "2"}
	b := gate.Binding{gate.PartPlan: "1", gate.PartInputs: "3", gate.PartCost: "4"}
	if a.Digest() == b.Digest() || a.Digest() != (gate.Binding{gate.PartInputs: "2", gate.PartPlan: "1"}).Digest() {
		t.Error("the digest is not of the parts")
	}
	if got := gate.Sentence(a.Changed(b)); got != "changed since: inputs, cost" {
		t.Errorf("%q", got)
	}
	if (gate.Binding{"a": "b;1:c=1:d"}).Digest() == (gate.Binding{"a": "b", "c": "d"}).Digest() {
		t.Error("parts run into each other")
	}
}

func TestLengths(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]time.Duration{"": 0, "90m": 90 * time.Minute, "8h": 8 * time.Hour, "7d": 7 * 24 * time.Hour} {
		if got, err := gate.ParseLength(in); err != nil || got != want {
			t.Errorf("%q: %v, %v", in, got, err)
		}
	}
	for _, in := range []string{"x", "-1h", "0", "0d", "d", "99999d", "1e9h", "5", "1d2h", "NaNh"} {
		if got, err := gate.ParseLength(in); err == nil {
			t.Errorf("%q: %v", in, got)
		}
	}
}

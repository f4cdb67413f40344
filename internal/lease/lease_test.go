package lease_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"fairlead/internal/audit/audittest"
	"fairlead/internal/fault"
	"fairlead/internal/gate"
	"fairlead/internal/lease"
	"fairlead/internal/principal"
	"fairlead/internal/project"
	"fairlead/internal/resource"
	"fairlead/internal/resource/resourcetest"
	"fairlead/internal/sqldb"
)

const hour = time.Hour

func TestARequestGetsTheLeaseThatTheRulesSay(t *testing.T) {
	for _, c := range []struct {
		why   string
		rules []lease.Rule
		asked time.Duration
		want  time.Duration
		code  string
	}{
		{"no rule and nothing asked: as before there were leases", nil, 0, 0, ""},
		{"no rule: whoever asks for one has it", nil, 5 * hour, 5 * hour, ""},
		{"a default is given", []lease.Rule{{Class: "development", Default: 8 * hour}}, 0, 8 * hour, ""},
		{"another class's is not", []lease.Rule{{Class: "production", Default: 8 * hour}}, 0, 0, ""},
		{"what is asked for within the maximum is given", []lease.Rule{{Class: "development", Default: 8 * hour, Max: 24 * hour}}, 24 * hour, 24 * hour, ""},
		{"more is refused", []lease.Rule{{Class: "development", Default: 8 * hour, Max: 24 * hour}}, 25 * hour, 0, "guardrail_denied"},
		{"what is required without a default is the maximum", []lease.Rule{{Class: "development", Max: 24 * hour, Required: true}}, 0, 24 * hour, ""},
		{"the team's goes before the organisation's", []lease.Rule{{Class: "development", Default: 8 * hour}, {Class: "development", Team: "alpha", Default: hour}}, 0, hour, ""},
		{"another team's does not", []lease.Rule{{Class: "development", Default: 8 * hour}, {Class: "development", Team: "beta", Default: hour}}, 0, 8 * hour, ""},
		{"the template's goes before the team's", []lease.Rule{{Class: "development", Team: "alpha", Default: 8 * hour}, {Class: "development", Template: "store", Default: 2 * hour}}, 0, 2 * hour, ""},
		{"one for environments is not for resources", []lease.Rule{{Class: "development", Kind: lease.Environment, Default: 8 * hour}}, 0, 0, ""},
	} {
		t.Run(c.why, func(t *testing.T) {
			each(t, func(t *testing.T, w *world) {
				for _, r := range c.rules {
					r.MaxExtensions = -1
					w.rule(r)
				}
				r, err := w.ask("dev", "db", c.asked, nil)
				if code(err) != c.code {
					t.Fatalf("got %v", err)
				}
				if err != nil {
					return
				}
				l, ok, err := w.svc.First(t.Context(), r.ID, r.EnvironmentID)
				w.must(err)
				if ok != (c.want > 0) || l.Length() != c.want {
					t.Errorf("the lease is of %s", l.Length())
				}
				if ok && (l.OwnerID != "usr_ann" || l.State != lease.Active) {
					t.Errorf("got %+v", l)
				}
			})
		})
	}
}

func TestAnOwnerIsWarnedOnceAtEachTimeOverTwoReplicas(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.rule(lease.Rule{Class: "development", Default: 48 * hour, MaxExtensions: -1, WarnBefore: []time.Duration{hour, 24 * hour}})
		r := w.get("db", 0)
		other := w.replica(w.DB)
		both := func() {
			t.Helper()
			var all sync.WaitGroup
			for _, s := range []*lease.Service{w.svc, other} {
				all.Go(func() {
					if err := s.Turn(t.Context()); err != nil {
						t.Error(err)
					}
				})
			}
			all.Wait()
		}
		for _, step := range []struct {
			by   time.Duration
			want int
			why  string
		}{
			{0, 0, "nothing is due"}, {23 * hour, 0, "still not"}, {2 * hour, 1, "a day before"}, {hour, 1, "not again"},
			{21*hour + 30*time.Minute, 2, "an hour before"}, {0, 2, "not again"},
		} {
			w.later(step.by)
			both()
			if got := w.events("lease.warned", r.ID); len(got) != step.want {
				t.Fatalf("%s: %d warnings: %v", step.why, len(got), got)
			}
		}
		said := w.events("lease.warned", r.ID)[0]
		for _, part := range []string{"usr_ann", "fairlead lease extend db -e shop/dev", `"amount":1.5`} {
			if !strings.Contains(said, part) {
				t.Errorf("%q is not in %s", part, said)
			}
		}
		if n := len(audittest.Records(t, w.Audit, "lease:warn")); n != 2 {
			t.Errorf("%d records", n)
		}
	})
}

func TestAShortLeaseIsWarnedOfInItsLastQuarter(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		r := w.get("db", 40*time.Minute)
		w.later(29 * time.Minute)
		w.turn()
		if got := w.events("lease.warned", r.ID); len(got) != 0 {
			t.Fatalf("too soon: %v", got)
		}
		w.later(2 * time.Minute)
		w.turn()
		if got := w.events("lease.warned", r.ID); len(got) != 1 {
			t.Fatalf("got %v", got)
		}
	})
}

func TestATemplateNarrowsTheRules(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.rule(lease.Rule{Class: "development", Default: 8 * hour, Max: 24 * hour, MaxExtensions: -1})
		for _, c := range []struct {
			why         string
			of          *gate.LeaseRule
			class       string
			asked, want time.Duration
			denied      bool
		}{
			{"it says nothing", nil, "development", 0, 8 * hour, false},
			{"its default goes before the rule's", &gate.LeaseRule{Default: 2 * hour}, "development", 0, 2 * hour, false},
			{"its maximum is shorter", &gate.LeaseRule{Max: 4 * hour}, "development", 5 * hour, 5 * hour, true},
			{"and bounds the default", &gate.LeaseRule{Max: 4 * hour}, "development", 0, 4 * hour, false},
			{"a longer one widens nothing", &gate.LeaseRule{Max: 48 * hour}, "development", 25 * hour, 25 * hour, true},
			{"where there is no rule it holds alone", &gate.LeaseRule{Default: hour, Max: 2 * hour}, "staging", 0, hour, false},
		} {
			f := gate.Facts{Stage: gate.Request, Action: gate.Create, Lease: c.asked, Now: time.Now(), Environment: gate.Environment{ID: "env_dev", Class: c.class, TeamID: "team_alpha"},
				Template: gate.Template{Name: "store", Lease: c.of}}
			got, said, err := w.svc.Check(t.Context(), f)
			w.must(err)
			if got != c.want || (len(said) > 0 && said[0].Strength == gate.Deny) != c.denied {
				t.Errorf("%s: %s %v", c.why, got, said)
			}
		}
	})
}

func TestAnExtensionStaysWithinTheTemplates(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		r := w.get("bare", 0)
		w.must(w.DB.Write(t.Context(), "test.begin", func(tx *sqldb.Tx) error {
			return w.svc.Begin(t.Context(), tx, gate.Facts{Action: gate.Create, Principal: resourcetest.Ann, ResourceID: r.ID, Resource: r.Name, Lease: 2 * hour,
				Environment: gate.Environment{ID: r.EnvironmentID, Class: r.Class, TeamID: r.TeamID}, Template: gate.Template{Name: "store", Lease: &gate.LeaseRule{Max: 3 * hour}}})
		}))
		id := w.of(r.ID).ID
		if _, err := w.svc.Extend(w.Ctx, id, 2*hour, 0); code(err) != "lease_limit" {
			t.Errorf("past the template's maximum: %v", err)
		}
		if l, err := w.svc.Extend(w.Ctx, id, 0, 0); err != nil || l.Length() != 3*hour {
			t.Errorf("up to it: %s %v", l.Length(), err)
		}
	})
}

// A clock that jumps, or a server that was down: what was missed is said once,
// and what is over ends without being warned of.
func TestAfterAJumpOfTheClock(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.rule(lease.Rule{Class: "development", Default: 100 * hour, MaxExtensions: -1, WarnBefore: []time.Duration{hour, 2 * hour, 24 * hour}})
		a, b := w.get("a", 0), w.get("b", 200*hour)
		w.later(99*hour + 30*time.Minute)
		w.turn()
		if got := w.events("lease.warned", a.ID); len(got) != 1 || len(w.of(a.ID).WarnAt) != 0 {
			t.Errorf("three warnings were missed, and said are %v", got)
		}
		w.later(1000 * hour)
		w.turn()
		if l := w.of(b.ID); l.State != lease.Ending || len(w.events("lease.warned", b.ID)) != 0 {
			t.Errorf("the lease of b is %s", l.State)
		}
	})
}

func TestALeaseEndsWithAProof(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.Work()
		r := w.get("db", hour)
		ready := w.UntilPhase(r.ID, resource.Ready)
		w.later(2 * hour)
		l := w.settled(w.of(r.ID).ID)
		if l.Reason != lease.Expired || l.EndedAt.IsZero() {
			t.Errorf("got %+v", l)
		}
		w.Gone(r.ID)
		_, p, err := w.svc.Proof(w.Ctx, l.ID)
		w.must(err)
		if len(p.Resources) != 1 || p.Resources[0].ResourceID != r.ID || p.Resources[0].Found != "nothing" || p.Resources[0].RunID == "" || p.Resources[0].Cost != 1.5 ||
			len(p.Resources[0].LookedFor) != len(ready.Objects) || p.Resources[0].Record == 0 || p.Resources[0].Hash == "" {
			t.Errorf("the proof is %+v", p)
		}
		if n := len(audittest.Records(t, w.Audit, "lease:proof")); n != 1 {
			t.Errorf("%d proofs in the audit log", n)
		}
		for kind, n := range map[string]int{"lease.begun": 1, "lease.ended": 1, "lease.proved": 1, "lease.stuck": 0} {
			if got := w.events(kind, r.ID); len(got) != n {
				t.Errorf("%s: %v", kind, got)
			}
		}
		w.turn()
		if _, err := w.svc.Extend(w.Ctx, l.ID, hour, 0); code(err) != "lease_ended" {
			t.Errorf("extending what is over: %v", err)
		}
	})
}

func TestAnEnvironmentEndsWithAllThatIsInIt(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.Work()
		_, err := w.projects.CreateEnvironment(w.Ctx, "shop", project.NewEnvironment{Name: "pr-1", Class: project.Development, Lease: hour})
		w.must(err)
		refer := func(name string) map[string]any {
			return map[string]any{"label": "${{ resources." + name + ".outputs.name }}"}
		}
		var ids []string
		for _, r := range []struct {
			name   string
			inputs map[string]any
		}{{"a", nil}, {"b", refer("a")}, {"c", refer("b")}, {"d", refer("a")}, {"e", refer("d")}} {
			made, err := w.ask("pr-1", r.name, 0, r.inputs)
			w.must(err)
			ids = append(ids, made.ID)
		}
		for _, id := range ids {
			w.UntilPhase(id, resource.Ready)
		}
		env := w.of("pr-1")
		if first, ok, err := w.svc.First(t.Context(), ids[0], env.EnvironmentID); err != nil || !ok || first.ID != env.ID {
			t.Errorf("what ends it first is %+v %v", first, err)
		}
		w.later(61 * time.Minute)
		w.turn()
		if _, err := w.ask("pr-1", "late", 0, nil); code(err) != "guardrail_denied" {
			t.Errorf("a request in an environment that ends: %v", err)
		}
		l := w.settled(env.ID)
		for _, id := range ids {
			var seenGone int
			w.must(w.DB.Read().QueryRowContext(t.Context(), `SELECT count(*) FROM resources WHERE id = $1 AND destroyed_at IS NOT NULL`, id).Scan(&seenGone))
			if seenGone != 1 {
				t.Errorf("%s is not gone", id)
			}
		}
		if _, err := w.projects.Resolve(w.Ctx, "shop", "pr-1"); !fault.Is(err, fault.NotFound) {
			t.Errorf("the environment is still there: %v", err)
		}
		_, p, err := w.svc.Proof(w.Ctx, l.ID)
		w.must(err)
		if len(p.Resources) != 5 {
			t.Errorf("the proof is of %d", len(p.Resources))
		}
		if n := len(audittest.Records(t, w.Audit, "lease:proof")); n != 6 {
			t.Errorf("%d proofs in the audit log", n)
		}
		if overlaps := w.Engine.Overlaps(); len(overlaps) > 0 {
			t.Error(overlaps)
		}
	})
}

func TestWhatIsReferredToWaitsForItsUsersAndSaysSo(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.Work()
		db := w.get("db", hour)
		w.UntilPhase(db.ID, resource.Ready)
		app, err := w.ask("dev", "app", 0, map[string]any{"label": "${{ resources.db.outputs.name }}"})
		w.must(err)
		w.UntilPhase(app.ID, resource.Ready)
		w.later(2 * hour)
		w.turn()
		l := w.of(db.ID)
		if l.State != lease.Ending || !strings.Contains(l.Problem, "app") {
			t.Fatalf("got %s: %q", l.State, l.Problem)
		}
		if got := w.events("lease.stuck", db.ID); len(got) != 1 {
			t.Errorf("stuck: %v", got)
		}
		_, err = w.Svc.Destroy(w.Ctx, resourcetest.Where("app"), 0)
		w.must(err)
		w.Gone(app.ID)
		w.turn() // at once: what was in its way has told
		if r, err := w.Svc.ByID(w.Ctx, db.ID); err != nil || r.DestroyWantedAt.IsZero() {
			t.Errorf("it is not asked for: %v %v", r.Phase, err)
		}
		w.settled(l.ID)
		w.Gone(db.ID)
	})
}

func TestARuleThatDeniesTheDestroyHoldsAnEndingAndIsTold(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.Work()
		r := w.get("db", hour)
		w.UntilPhase(r.ID, resource.Ready)
		w.Gates.Say("p1", func(f gate.Facts) []gate.Verdict {
			if f.Stage == gate.Plan && f.RunKind == "destroy" {
				return []gate.Verdict{{Source: "guardrail", Rule: "keep-data", Strength: gate.Deny, Message: "nothing with data is deleted", Remedy: "export it first"}}
			}
			return nil
		})
		w.later(2 * hour)
		refused := func(n int64) {
			t.Helper()
			w.Until(r.ID, "refused", func(x resource.Resource) bool {
				var runs int64
				w.must(w.DB.Read().QueryRowContext(t.Context(), `SELECT count(*) FROM runs WHERE resource_id = $1 AND kind = 'destroy' AND status = 'failed'`, r.ID).Scan(&runs))
				return runs >= n && x.Reason == "guardrail_denied"
			})
		}
		w.turn()
		refused(1)
		w.later(time.Minute)
		w.turn()
		l := w.of(r.ID)
		if l.State != lease.Ending || !strings.Contains(l.Problem, "nothing with data is deleted") || l.Attempts != 1 {
			t.Fatalf("%s after %d attempts: %q", l.State, l.Attempts, l.Problem)
		}
		refused(2) // it was asked for again
		w.later(time.Minute)
		w.turn()
		if l = w.of(r.ID); l.Attempts != 2 || l.Problem == "" {
			t.Errorf("%d attempts: %q", l.Attempts, l.Problem)
		}
		if got := w.events("lease.stuck", r.ID); len(got) != 1 {
			t.Errorf("stuck: %v", got)
		}
		// The rule goes, and by itself so does the resource.
		refused(3)
		w.Gates.Say("p2", nil)
		w.later(hour)
		w.turn()
		w.settled(l.ID)
		w.Gone(r.ID)
	})
}

func TestAnEndingGoesOnWhenTheEngineIsBack(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.Work()
		r := w.get("db", hour)
		w.UntilPhase(r.ID, resource.Ready)
		w.Engine.Next("destroy", resourcetest.Fails(fault.Unavailable, "engine_down"), resourcetest.Fails(fault.Unavailable, "engine_down"))
		w.later(2 * hour)
		w.turn()
		w.Until(r.ID, "held up", func(r resource.Resource) bool { return r.Reason == "engine_down" || r.Phase == resource.Destroyed })
		w.settled(w.of(r.ID).ID)
		w.Gone(r.ID)
	})
}

func TestOfExtendingAndEndingJustOneHappens(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		for i := range 10 {
			r := w.get("db-"+string(rune('a'+i)), hour)
			l := w.of(r.ID)
			w.later(2 * hour)
			var extended error
			var all sync.WaitGroup
			all.Go(func() { _, extended = w.svc.Extend(w.Ctx, l.ID, 200*hour, 0) })
			all.Go(func() {
				if err := w.svc.Turn(t.Context()); err != nil {
					t.Error(err)
				}
			})
			all.Wait()
			l = w.of(r.ID)
			switch {
			case extended == nil && l.State == lease.Active && l.Extensions == 1:
			case code(extended) == "lease_ended" && l.State == lease.Ending && l.Extensions == 0:
			default:
				t.Fatalf("extending gave %v, and the lease is %s", extended, l.State)
			}
			ended := len(w.events("lease.ended", r.ID))
			if (ended == 1) != (l.State == lease.Ending) {
				t.Errorf("%d endings of a lease that is %s", ended, l.State)
			}
		}
	})
}

func TestExtensionsGoAsFarAsTheRulesDo(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.rule(lease.Rule{Class: "development", Default: 8 * hour, Max: 20 * hour, ExtendBy: 8 * hour, MaxExtensions: 3})
		r := w.get("db", 0)
		id := w.of(r.ID).ID
		for _, c := range []struct {
			by     time.Duration
			length time.Duration
			code   string
			why    string
		}{
			{9 * hour, 8 * hour, "lease_limit", "more than at a time"},
			{0, 16 * hour, "", "what the rule gives"},
			{5 * hour, 16 * hour, "lease_limit", "past the maximum"},
			{hour, 17 * hour, "", "less than the rule gives"},
			{0, 20 * hour, "", "what is left of the maximum"},
			{0, 20 * hour, "lease_limit", "nothing is left"},
		} {
			_, err := w.svc.Extend(w.Ctx, id, c.by, 0)
			if code(err) != c.code {
				t.Fatalf("%s: %v", c.why, err)
			}
			if got := w.of(r.ID).Length(); got != c.length {
				t.Fatalf("%s: it is of %s", c.why, got)
			}
		}
		w.rule(lease.Rule{Class: "development", Default: 8 * hour, MaxExtensions: 3})
		if _, err := w.svc.Extend(w.Ctx, id, hour, 0); code(err) != "lease_limit" {
			t.Errorf("a fourth time: %v", err)
		}
		if _, err := w.svc.Set(w.Ctx, lease.Subject{Project: "shop", Environment: "dev", Resource: "db"}, time.Now().Add(99*hour), 0); !fault.Is(err, fault.Denied) {
			t.Errorf("ann sets an end: %v", err)
		}
		l, err := w.svc.Set(w.admin, lease.Subject{Project: "shop", Environment: "dev", Resource: "db"}, time.Now().Add(99*hour), 0)
		if err != nil || l.ID != id || l.EndsAt.Before(time.Now().Add(98*hour)) {
			t.Errorf("root sets an end: %+v %v", l, err)
		}
		if _, err := w.svc.Extend(principal.With(t.Context(), resourcetest.Stranger), id, hour, 0); !fault.Is(err, fault.NotFound) {
			t.Errorf("a stranger: %v", err)
		}
	})
}

func TestAnEndSupersedesAnUpgradeAndWithdrawsItsApproval(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.Work()
		r := w.get("db", hour)
		w.UntilPhase(r.ID, resource.Ready)
		w.Gates.Say("p1", func(f gate.Facts) []gate.Verdict {
			if f.Action != gate.Update {
				return nil
			}
			return []gate.Verdict{{Source: "guardrail", Rule: "ask", Strength: gate.Approve, Message: "ask", Need: &gate.Need{Role: "approver", Count: 1}}}
		})
		up, err := w.Svc.Change(w.Ctx, resourcetest.Where("db"), resource.Change{Set: map[string]any{"size": 2}})
		w.must(err)
		w.Until(r.ID, "waiting for an approval", func(r resource.Resource) bool { return r.Reason == "awaiting_approval" })
		status := func() string {
			var s string
			w.must(w.DB.Read().QueryRowContext(t.Context(), `SELECT status FROM approvals WHERE subject_id = $1 ORDER BY id DESC LIMIT 1`, r.ID).Scan(&s))
			return s
		}
		if got := status(); got != "pending" {
			t.Fatalf("the approval is %s", got)
		}
		w.later(2 * hour)
		w.settled(w.of(r.ID).ID)
		w.Gone(r.ID)
		if got := status(); got != "void" {
			t.Errorf("the approval is %s", got)
		}
		run, err := w.Svc.Run(w.Ctx, up.RunID)
		if err != nil || run.Status != resource.RunSuperseded {
			t.Errorf("the upgrade is %s %v", run.Status, err)
		}
	})
}

func TestWhatSomebodyDestroysHasNoLeaseAnyMore(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.Work()
		r := w.get("db", hour)
		w.UntilPhase(r.ID, resource.Ready)
		_, err := w.Svc.Destroy(w.Ctx, resourcetest.Where("db"), 0)
		w.must(err)
		w.Gone(r.ID)
		if l := w.of(r.ID); l.State != lease.Ended || l.Reason != lease.Gone {
			t.Errorf("got %s %s", l.State, l.Reason)
		}
		w.later(2 * hour)
		w.turn()
		if got := w.events("lease.ended", r.ID); len(got) != 0 {
			t.Errorf("it ended: %v", got)
		}
		if _, _, err := w.svc.Proof(w.Ctx, w.of(r.ID).ID); code(err) != "no_proof" {
			t.Errorf("got %v", err)
		}
		_, err = w.projects.CreateEnvironment(w.Ctx, "shop", project.NewEnvironment{Name: "tmp", Class: project.Development, Lease: hour})
		w.must(err)
		w.must(w.projects.DeleteEnvironment(w.Ctx, "shop", "tmp", 0))
		if l := w.of("tmp"); l.State != lease.Ended || l.Reason != lease.Gone {
			t.Errorf("got %s %s", l.State, l.Reason)
		}
	})
}

func TestALeaseIsTransferredToWhoeverSeesWhatItIsOf(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		r := w.get("db", hour)
		id := w.of(r.ID).ID
		for _, to := range []string{"sam", "nobody", "a b"} {
			if _, err := w.svc.Transfer(w.Ctx, id, to, 0); code(err) != "owner_unknown" {
				t.Errorf("to %s: %v", to, err)
			}
		}
		l, err := w.svc.Transfer(w.Ctx, id, "bob", 0)
		if err != nil || l.OwnerID != "usr_bob" {
			t.Errorf("got %+v %v", l, err)
		}
		mine, _, err := w.svc.List(principal.With(t.Context(), bob), lease.Filter{Mine: true}, sqldb.Page{})
		if err != nil || len(mine) != 1 {
			t.Errorf("bob's are %v %v", mine, err)
		}
		if _, err := w.svc.Transfer(w.Ctx, id, "ann", 1); code(err) != "stale_version" {
			t.Errorf("with an old version: %v", err)
		}
	})
}

func TestNobodyGetsPastAccess(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		r := w.get("db", hour)
		id := w.of(r.ID).ID
		at := lease.Subject{Project: "shop", Environment: "dev", Resource: "db"}
		for name, call := range map[string]func(p principal.Principal) error{
			"Get": func(p principal.Principal) error { _, err := w.svc.Get(principal.With(t.Context(), p), id); return err },
			"Extend": func(p principal.Principal) error {
				_, err := w.svc.Extend(principal.With(t.Context(), p), id, 0, 0)
				return err
			},
			"Transfer": func(p principal.Principal) error {
				_, err := w.svc.Transfer(principal.With(t.Context(), p), id, "bob", 0)
				return err
			},
			"Set": func(p principal.Principal) error {
				_, err := w.svc.Set(principal.With(t.Context(), p), at, time.Now().Add(hour), 0)
				return err
			},
			"Remove": func(p principal.Principal) error { return w.svc.Remove(principal.With(t.Context(), p), id, 0) },
			"Proof": func(p principal.Principal) error {
				_, _, err := w.svc.Proof(principal.With(t.Context(), p), id)
				return err
			},
			"SetRule": func(p principal.Principal) error {
				_, err := w.svc.SetRule(principal.With(t.Context(), p), lease.Rule{Class: "staging", Team: "alpha"}, 0)
				return err
			},
			"RemoveRule": func(p principal.Principal) error { return w.svc.RemoveRule(principal.With(t.Context(), p), "lru_x", 0) },
		} {
			if err := call(principal.Nobody); !fault.Is(err, fault.Unauthenticated) {
				t.Errorf("%s by nobody: %v", name, err)
			}
			if err := call(resourcetest.Stranger); !fault.Is(err, fault.NotFound) && !fault.Is(err, fault.Denied) {
				t.Errorf("%s by a stranger: %v", name, err)
			}
		}
		list, _, err := w.svc.List(principal.With(t.Context(), resourcetest.Stranger), lease.Filter{Over: true}, sqldb.Page{})
		if err != nil || len(list) != 0 {
			t.Errorf("a stranger sees %v %v", list, err)
		}
		if _, _, err := w.svc.List(t.Context(), lease.Filter{}, sqldb.Page{}); !fault.Is(err, fault.Unauthenticated) {
			t.Errorf("nobody lists: %v", err)
		}
	})
}

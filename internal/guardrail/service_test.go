package guardrail_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"fairlead/internal/access/accesstest"
	"fairlead/internal/fault"
	"fairlead/internal/gate"
	"fairlead/internal/guardrail"
	"fairlead/internal/guardrail/guardrailtest"
	"fairlead/internal/principal"
	"fairlead/internal/sqldb"
	"fairlead/internal/sqldb/sqldbtest"
)

var (
	ada  = principal.Principal{Kind: principal.User, ID: "usr_ada", Name: "ada"}
	bert = principal.Principal{Kind: principal.User, ID: "usr_bert", Name: "bert"}
)

func as(t testing.TB, p principal.Principal) context.Context { return principal.With(t.Context(), p) }

func newService(t testing.TB, db *sqldb.DB) *guardrail.Service {
	t.Helper()
	return guardrail.New(guardrail.Options{DB: db, Access: accesstest.AllowAll{}, Key: guardrailtest.Key()})
}

func push(t testing.TB, s *guardrail.Service, p principal.Principal, files guardrailtest.Files) guardrail.Pushed {
	t.Helper()
	name := "conftest"
	if _, ok := files[guardrail.ManifestFile]; ok {
		name = ""
	}
	out, err := s.Push(as(t, p), files.Tar(t), name, "")
	if err != nil {
		t.Fatal(err, fault.From(err).Violations)
	}
	return out
}

func activate(t testing.TB, s *guardrail.Service, p principal.Principal, name, version string) guardrail.Activated {
	t.Helper()
	out, err := s.Activate(as(t, p), name, version)
	if err != nil {
		t.Fatal(err, fault.From(err).Violations)
	}
	return out
}

func wants(t testing.TB, err error, code string) {
	t.Helper()
	if !errors.Is(err, fault.New(fault.Invalid, code, "")) {
		t.Errorf("want %s: %v", code, err)
	}
}

func facts(size int) gate.Facts {
	return gate.Facts{Stage: gate.Request, Action: gate.Create, Principal: ada, Resource: "orders", Inputs: map[string]any{"size": size},
		Environment: gate.Environment{Name: "dev", Class: "development", Project: "web", Team: "shop"}, Template: gate.Template{Name: "postgres", Version: "1.0.0"}}
}

func said(list []gate.Verdict) string {
	var out []string
	for _, v := range list {
		out = append(out, string(v.Strength)+" "+v.Rule+": "+v.Message)
	}
	return strings.Join(out, "\n")
}

func TestFromPushToVerdict(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		s, other := newService(t, db), newService(t, db)
		if v, policy, err := s.Evaluate(t.Context(), facts(11)); err != nil || len(v) != 0 || policy == "" {
			t.Fatal(v, policy, err)
		}
		p := push(t, s, ada, guardrailtest.Sizes("1.0.0"))
		if !p.Created || !p.Tests.Passed() || len(p.Tests.Cases) != 2 {
			t.Errorf("%+v", p)
		}
		if again := push(t, s, bert, guardrailtest.Sizes("1.0.0")); again.Created || again.CreatedBy != "usr_ada" {
			t.Errorf("%+v", again)
		}
		_, err := s.Push(as(t, ada), guardrailtest.Sizes("1.0.0").With(guardrailtest.Files{"README.md": "x"}).Tar(t), "", "")
		wants(t, err, "version_exists")
		if v, _, _ := s.Evaluate(t.Context(), facts(11)); len(v) != 0 {
			t.Error("it is in force without having been activated")
		}
		change := activate(t, s, ada, "sizes", "1.0.0")
		if again := activate(t, s, ada, "sizes", "1.0.0"); !again.Unchanged {
			t.Error("activated twice")
		}
		for _, who := range []*guardrail.Service{s, other} {
			if err := who.Reload(t.Context()); err != nil {
				t.Fatal(err)
			}
			v, policy, err := who.Evaluate(t.Context(), facts(11))
			if err != nil || len(v) != 1 || policy != change.Policy {
				t.Fatal(v, policy, err)
			}
			if g := v[0]; g.Message != "size 11 is too large" || g.Remedy == "" || g.Field != "/size" || g.Rule != "sizes.deny" || g.Bundle != "sizes@1.0.0" || g.Strength != gate.Deny || g.Source != "guardrail" {
				t.Errorf("%+v", g)
			}
			if v, _, err := who.Evaluate(t.Context(), facts(1)); err != nil || len(v) != 0 {
				t.Error(v, err)
			}
		}
		next := guardrailtest.Sizes("1.1.0")
		next["sizes.rego"] = strings.ReplaceAll(next["sizes.rego"], "> 10", "> 20")
		next["sizes_test.rego"] = strings.ReplaceAll(next["sizes_test.rego"], "11", "21")
		push(t, s, ada, next)
		d, err := s.Diff(as(t, ada), "sizes", "", "")
		if err != nil || d.From != "sizes@1.0.0" || d.To != "sizes@1.1.0" || len(d.Files) != 3 || len(d.Guardrails) != 0 {
			t.Errorf("%+v %v", d, err)
		}
		activate(t, s, bert, "sizes", "1.1.0")
		if v, _, _ := s.Evaluate(t.Context(), facts(11)); len(v) != 0 {
			t.Error(said(v))
		}
		if back, err := s.Rollback(as(t, ada), "sizes"); err != nil || back.Version != "1.0.0" || back.Policy != change.Policy {
			t.Error(back, err)
		}
		list, err := s.List(as(t, ada), "", sqldb.Page{})
		if err != nil || len(list.Items) != 1 || list.Items[0].Version != "1.1.0" || list.Items[0].Active != "1.0.0" {
			t.Errorf("%+v %v", list, err)
		}
		if _, err := s.Deactivate(as(t, ada), "sizes"); err != nil {
			t.Fatal(err)
		}
		if v, _, _ := s.Evaluate(t.Context(), facts(11)); len(v) != 0 {
			t.Error(said(v))
		}
		h, err := s.History(as(t, ada), "sizes", sqldb.Page{})
		var got []string
		for _, c := range h.Items {
			got = append(got, c.Action+" "+c.Previous+">"+c.Version+" "+c.ByName)
		}
		if want := "[deactivate 1.0.0> ada rollback 1.1.0>1.0.0 ada activate 1.0.0>1.1.0 bert activate >1.0.0 ada]"; err != nil || fmt.Sprint(got) != want {
			t.Error(got, err)
		}
	})
}

func TestTestsMustPassBeforeActivation(t *testing.T) {
	t.Parallel()
	s := newService(t, sqldbtest.SQLite(t))
	failing := guardrailtest.Sizes("1.0.0")
	failing["sizes_test.rego"] = strings.ReplaceAll(failing["sizes_test.rego"], "11", "5")
	if p := push(t, s, ada, failing); p.Tests.Failed() != 1 {
		t.Errorf("%+v", p.Tests)
	}
	_, err := s.Activate(as(t, ada), "sizes", "1.0.0")
	wants(t, err, "guardrail_tests_failed")
	bare := guardrailtest.Sizes("1.0.1")
	delete(bare, "sizes_test.rego")
	push(t, s, ada, bare)
	_, err = s.Activate(as(t, ada), "sizes", "1.0.1")
	wants(t, err, "guardrail_untested")
	_, err = s.Activate(as(t, ada), "sizes", "9.9.9")
	wants(t, err, "unknown_guardrails")
	_, err = s.Rollback(as(t, ada), "sizes")
	wants(t, err, "no_previous")
}

func TestWhatIsTamperedWithDenies(t *testing.T) {
	t.Parallel()
	for reason, sql := range map[string]string{
		"the archive":                  `UPDATE guardrail_bundles SET archive = (SELECT archive FROM guardrail_bundles WHERE version = '1.1.0') WHERE version = '1.0.0'`,
		"archive and digest":           `UPDATE guardrail_bundles SET archive = (SELECT archive FROM guardrail_bundles WHERE version = '1.1.0'), digest = (SELECT digest FROM guardrail_bundles WHERE version = '1.1.0') WHERE version = '1.0.0'`,
		"who pushed it":                `UPDATE guardrail_bundles SET created_by = 'usr_eve'`,
		"the row is gone":              `DELETE FROM guardrail_bundles WHERE version = '1.0.0'`,
		"the list of what is in force": `UPDATE guardrail_state SET list = '[]', version = version + 1`,
		"the list back to nothing":     `UPDATE guardrail_state SET list = '[]', version = 0, signature = ''`,
		"no record at all":             `DELETE FROM guardrail_state`,
	} {
		t.Run(reason, func(t *testing.T) {
			t.Parallel()
			db := sqldbtest.SQLite(t)
			s := newService(t, db)
			push(t, s, ada, guardrailtest.Sizes("1.0.0"))
			lax := guardrailtest.Sizes("1.1.0")
			lax["sizes.rego"] = strings.ReplaceAll(lax["sizes.rego"], "> 10", "> 1000")
			push(t, s, ada, lax)
			activate(t, s, ada, "sizes", "1.0.0")
			if err := db.Write(t.Context(), "test.tamper", func(tx *sqldb.Tx) error { _, err := tx.ExecContext(t.Context(), sql); return err }); err != nil {
				t.Fatal(err)
			}
			who := []*guardrail.Service{newService(t, db), s}
			if strings.Contains(reason, "nothing") { // a signed record that is older is known by whoever saw the newer
				who = who[1:]
			}
			for _, who := range who {
				if err := who.Reload(t.Context()); err != nil {
					t.Fatal(err)
				}
				v, _, err := who.Evaluate(t.Context(), facts(11))
				if err != nil || len(v) == 0 || v[0].Strength != gate.Deny {
					t.Errorf("%s %v", said(v), err)
				}
			}
		})
	}
}

func TestPushingAgainMendsADamagedBundle(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		s := newService(t, db)
		push(t, s, ada, guardrailtest.Sizes("1.0.0"))
		activate(t, s, ada, "sizes", "1.0.0")
		if err := db.Write(t.Context(), "test.tamper", func(tx *sqldb.Tx) error {
			_, err := tx.ExecContext(t.Context(), `UPDATE guardrail_bundles SET archive = $1`, []byte("x"))
			return err
		}); err != nil {
			t.Fatal(err)
		}
		other := newService(t, db)
		if v, _, err := other.Evaluate(t.Context(), facts(1)); err != nil || len(v) != 1 || v[0].Rule != "integrity" {
			t.Error(said(v), err)
		}
		_, err := other.Deactivate(as(t, ada), "sizes")
		wants(t, err, "guard_protected")
		push(t, other, ada, guardrailtest.Sizes("1.0.0"))
		if v, _, err := other.Evaluate(t.Context(), facts(1)); err != nil || len(v) != 0 {
			t.Error(said(v), err)
		}
	})
}

func TestGuardedGuards(t *testing.T) {
	t.Parallel()
	guarded := func(version string, edit func(f guardrailtest.Files)) guardrailtest.Files {
		f := guardrailtest.Sizes(version)
		f["policy.yaml"] += "  protected: true\n  scope: {classes: [production, staging]}\n"
		if edit != nil {
			edit(f)
		}
		return f
	}
	replace := func(file, old, new string) func(guardrailtest.Files) {
		return func(f guardrailtest.Files) {
			if !strings.Contains(f[file], old) {
				panic(file + " has no " + old)
			}
			f[file] = strings.ReplaceAll(f[file], old, new)
		}
	}
	for _, tc := range []struct {
		reason string
		edit   func(guardrailtest.Files)
		self   string // code when its author activates it
		others string // code when somebody else does
	}{
		{"another version that is the same", func(f guardrailtest.Files) { f["README.md"] = "x" }, "", ""},
		{"stricter", replace("sizes.rego", "> 10", "> 5"), "", ""},
		{"wider", replace("policy.yaml", "[production, staging]", "[production, staging, development]"), "", ""},
		{"for all", replace("policy.yaml", "  scope: {classes: [production, staging]}\n", ""), "", ""},
		{"narrower", replace("policy.yaml", "[production, staging]", "[production]"), "guard_protected", "guard_protected"},
		{"narrower in another way", replace("policy.yaml", "{classes: [production, staging]}", "{classes: [production, staging], teams: [none]}"), "guard_protected", "guard_protected"},
		{"weaker", replace("policy.yaml", "  protected: true", "  strength: advise\n  protected: true"), "guard_protected", "guard_protected"},
		{"at another stage", replace("policy.yaml", "stage: request", "stage: plan"), "guard_protected", "guard_protected"},
		{"the rule has another name", func(f guardrailtest.Files) {
			replace("sizes.rego", "deny contains", "warn contains")(f)
			replace("sizes_test.rego", "sizes.deny", "sizes.warn")(f)
		}, "guard_protected", "guard_protected"},
		{"another package", func(f guardrailtest.Files) {
			replace("sizes.rego", "package sizes", "package large")(f)
			replace("policy.yaml", "package: sizes", "package: large")(f)
			f["sizes_test.rego"] = "package t\n\ntest_nothing if true\n"
		}, "guard_protected", "guard_protected"},
		{"hollowed out, with its tests", func(f guardrailtest.Files) {
			replace("sizes.rego", "input.inputs.size > 10", "input.inputs.size > 10\n\tfalse")(f)
			f["sizes_test.rego"] = "package t\n\ntest_nothing if true\n"
		}, "guard_protected", ""},
		{"no longer protected", replace("policy.yaml", "  protected: true\n", ""), "guard_protected", ""},
		{"no longer protected, and weaker", replace("policy.yaml", "  protected: true\n", "  strength: advise\n"), "guard_protected", "guard_protected"},
	} {
		t.Run(tc.reason, func(t *testing.T) {
			t.Parallel()
			s := newService(t, sqldbtest.SQLite(t))
			push(t, s, ada, guarded("1.0.0", nil))
			activate(t, s, ada, "sizes", "1.0.0")
			push(t, s, ada, guarded("1.1.0", tc.edit))
			for _, try := range []struct {
				who  principal.Principal
				code string
			}{{ada, tc.self}, {bert, tc.others}} {
				_, err := s.Activate(as(t, try.who), "sizes", "1.1.0")
				if try.code == "" && err != nil || try.code != "" && fault.From(err).Code != try.code {
					t.Errorf("%s: %v", try.who.Name, err)
				}
			}
		})
	}
	t.Run("out of force, and the two steps that lead there", func(t *testing.T) {
		t.Parallel()
		s := newService(t, sqldbtest.SQLite(t))
		push(t, s, ada, guarded("1.0.0", nil))
		activate(t, s, ada, "sizes", "1.0.0")
		for _, who := range []principal.Principal{ada, bert} {
			_, err := s.Deactivate(as(t, who), "sizes")
			wants(t, err, "guard_protected")
		}
		push(t, s, ada, guarded("1.1.0", replace("policy.yaml", "  protected: true\n", "")))
		_, err := s.Activate(as(t, ada), "sizes", "1.1.0")
		wants(t, err, "guard_protected")
		activate(t, s, bert, "sizes", "1.1.0")
		if _, err := s.Deactivate(as(t, ada), "sizes"); err != nil {
			t.Error(err)
		}
	})
}

func TestGuardrailsOfGuardrails(t *testing.T) {
	t.Parallel()
	s := newService(t, sqldbtest.SQLite(t))
	keeper := guardrailtest.Files{
		"policy.yaml": guardrailtest.Manifest("keeper", "1.0.0", "keeper", "activation"),
		"a.rego":      "package keeper\n\ndeny contains \"not this one\" if input.bundle.name == \"sizes\"\n\napprove contains \"somebody must look\" if input.bundle.name == \"other\"\n",
		"a_test.rego": "package keeper_test\n\ntest_it if count(data.keeper.deny) == 1 with input as {\"bundle\": {\"name\": \"sizes\"}}\n",
	}
	push(t, s, ada, keeper)
	activate(t, s, ada, "keeper", "1.0.0")
	push(t, s, ada, guardrailtest.Sizes("1.0.0"))
	_, err := s.Activate(as(t, ada), "sizes", "1.0.0")
	wants(t, err, "guardrail_denied")
	other := guardrailtest.Sizes("1.0.0")
	other["policy.yaml"] = strings.Replace(other["policy.yaml"], "name: sizes", "name: other", 1)
	push(t, s, ada, other)
	_, err = s.Activate(as(t, ada), "other", "1.0.0")
	wants(t, err, "guardrail_denied")
	if v, _, _ := s.Evaluate(t.Context(), facts(11)); len(v) != 0 {
		t.Error(said(v))
	}
}

// agreed is people who agreed to whatever they were asked already.
type agreed struct {
	mu   sync.Mutex
	runs []string
}

func (a *agreed) Settle(_ context.Context, _ *sqldb.Tx, ask gate.Ask) (gate.Answer, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.runs = append(a.runs, ask.Facts.RunID)
	return gate.Answer{Status: "approved"}, nil
}

// What was taken out of force again does not come back by the old approval.
func TestEachActivationIsAnAttemptOfItsOwn(t *testing.T) {
	t.Parallel()
	people := &agreed{}
	s := guardrail.New(guardrail.Options{DB: sqldbtest.SQLite(t), Access: accesstest.AllowAll{}, Key: guardrailtest.Key(), Approvals: people})
	push(t, s, ada, guardrailtest.Sizes("1.0.0"))
	for range 3 {
		activate(t, s, ada, "sizes", "1.0.0")
		if _, err := s.Deactivate(as(t, ada), "sizes"); err != nil {
			t.Fatal(err)
		}
	}
	if got := slices.Compact(slices.Sorted(slices.Values(people.runs))); len(got) != 6 || got[0] == "" {
		t.Errorf("attempts: %q", people.runs)
	}
}

// Evaluations that race with activations see the one set or the other, whole.
func TestActivationRacesWithEvaluation(t *testing.T) {
	t.Parallel()
	s := newService(t, sqldbtest.SQLite(t))
	want := map[string]string{}
	for i, version := range []string{"1.0.0", "1.1.0"} {
		f := guardrailtest.Sizes(version)
		f["sizes.rego"] = strings.ReplaceAll(f["sizes.rego"], "is too large", fmt.Sprint("is too large for ", i))
		push(t, s, ada, f)
		want[activate(t, s, ada, "sizes", version).Policy] = fmt.Sprint("deny sizes.deny: size 11 is too large for ", i)
	}
	var all sync.WaitGroup
	done := make(chan struct{})
	for range 4 {
		all.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				v, policy, err := s.Evaluate(t.Context(), facts(11))
				if err != nil || said(v) != want[policy] {
					t.Errorf("%s by %s: %v", said(v), policy, err)
					return
				}
			}
		})
	}
	for i := range 10 {
		if _, err := s.Activate(as(t, ada), "sizes", []string{"1.0.0", "1.1.0"}[i%2]); err != nil {
			t.Error(err)
		}
	}
	close(done)
	all.Wait()
}

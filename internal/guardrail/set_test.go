package guardrail_test

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"fairlead/internal/engine"
	"fairlead/internal/fault"
	"fairlead/internal/gate"
	"fairlead/internal/guardrail"
	"fairlead/internal/guardrail/guardrailtest"
	"fairlead/internal/template/bundle"
)

func native(t testing.TB, stage, more, rego string) *guardrail.Bundle {
	t.Helper()
	return guardrailtest.Bundle(t, "", guardrailtest.Files{"policy.yaml": guardrailtest.Manifest("b", "1.0.0", "p", stage) + more, "p.rego": "package p\n\n" + rego})
}

func TestWhatRulesMaySay(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		reason, more, rego string
		want               []string
	}{
		{"a text", "", `deny contains "no"`, []string{"deny p.deny: no"}},
		{"an object", "", `deny contains {"msg": "no", "rule": "other", "details": {"x": 1}}`, []string{"deny p.other: no"}},
		{"violation", "", `violation contains "no"`, []string{"deny p.violation: no"}},
		{"warn", "", `warn contains "mind"`, []string{"advise p.warn: mind"}},
		{"approve", "", `approve contains "ask"`, []string{"approve p.approve: ask"}},
		{"with suffixes, in the order of names", "", "warn_b contains \"2\"\ndeny_a contains \"1\"", []string{"deny p.deny_a: 1", "advise p.warn_b: 2"}},
		{"one text", "", `deny := "no" if input.action == "create"`, []string{"deny p.deny: no"}},
		{"a list", "", `deny := ["a", "b"]`, []string{"deny p.deny: a", "deny p.deny: b"}},
		{"true", "", "default deny := false\n\ndeny if input.action == \"create\"", []string{"deny p.deny: the rule p.deny holds"}},
		{"false", "", "default deny := false\n\ndeny if input.action == \"destroy\"", nil},
		{"undefined", "", `deny := "no" if input.action == "destroy"`, nil},
		{"nothing", "", `deny contains "no" if input.action == "destroy"`, nil},
		{"a number denies too", "", `deny contains 3`, []string{"deny p.deny: the rule says no in a form"}},
		{"an object without msg denies too", "", `deny contains {"message": "x"}`, []string{"deny p.deny: the rule says no in a form"}},
		{"a strength that caps", "  strength: advise\n", "deny contains \"a\"\n\napprove contains \"b\"", []string{"advise p.approve: b", "advise p.deny: a"}},
		{"an approval instead", "  strength: approve\n", `deny contains "a"`, []string{"approve p.deny: a"}},
		{"two values of one rule", "", "deny := \"a\" if input.action == \"create\"\n\ndeny := \"b\" if input.stage == \"request\"", []string{"deny p: the guardrail could not be evaluated"}},
		{"a function that errs", "", `deny contains "a" if to_number(input.resource.name) > 3`, []string{"deny p: the guardrail could not be evaluated: p.rego:3:22: to_number"}},
	} {
		set := guardrail.NewSet(native(t, "request", tc.more, tc.rego))
		got := set.Evaluate(t.Context(), facts(11))
		lines := strings.Split(said(got), "\n")
		if len(got) != len(tc.want) {
			t.Errorf("%s: %v", tc.reason, lines)
			continue
		}
		for i, want := range tc.want {
			if !strings.HasPrefix(lines[i], want) {
				t.Errorf("%s: %q, not %q", tc.reason, lines[i], want)
			}
		}
		again, err := json.Marshal(set.Evaluate(t.Context(), facts(11)))
		first, e := json.Marshal(got)
		if err != nil || e != nil || string(again) != string(first) {
			t.Errorf("%s: another answer the second time", tc.reason)
		}
	}
}

func TestWhoMustAgree(t *testing.T) {
	t.Parallel()
	own := "  approval: {role: approver, team: ops, count: 2, within: 24h}\n"
	for _, tc := range []struct{ reason, more, object, want string }{
		{"nothing said", "", `{"msg": "x"}`, "{  [] 1 0s}"},
		{"the guardrail's own", own, `{"msg": "x"}`, "{approver ops [] 2 24h0m0s}"},
		{"the verdict's", own, `{"msg": "x", "role": "team-owner", "count": 3, "within": "1h"}`, "{team-owner  [] 3 1h0m0s}"},
		{"people", own, `{"msg": "x", "people": ["ada", 3, "bert"]}`, "{  [ada bert] 2 24h0m0s}"},
		{"no fewer than one", own, `{"msg": "x", "count": 0}`, "{approver ops [] 2 24h0m0s}"},
		{"nobody leaves the guardrail's", own, `{"msg": "x", "people": [], "role": "", "team": ""}`, "{approver ops [] 2 24h0m0s}"},
		{"nonsense leaves the guardrail's", own, `{"msg": "x", "role": 3, "count": "many", "within": "soon"}`, "{approver ops [] 2 24h0m0s}"},
	} {
		got := guardrail.NewSet(native(t, "request", tc.more, "approve contains "+tc.object)).Evaluate(t.Context(), facts(1))
		if len(got) != 1 || got[0].Need == nil || fmt.Sprint(*got[0].Need) != tc.want {
			t.Errorf("%s: %+v %v", tc.reason, got, got[0].Need)
		}
	}
}

func TestWhatIsSaidIsBounded(t *testing.T) {
	t.Parallel()
	set := guardrail.NewSet(native(t, "request", "", `deny contains sprintf("%d %s", [i, input.inputs.text]) if some i in numbers.range(1, 300)`))
	f := facts(1)
	f.Inputs["text"] = strings.Repeat("long ", 500)
	got := set.Evaluate(t.Context(), f)
	if len(got) != 201 || !strings.Contains(got[200].Message, "more than 200") {
		t.Fatal(len(got))
	}
	for _, v := range got {
		if len(v.Message) > 2<<10 {
			t.Error(len(v.Message))
		}
	}
	more := guardrail.NewSet(native(t, "request", "", `deny contains sprintf("%d %s", [i, input.inputs.text]) if some i in numbers.range(1, 3000)`)).Evaluate(t.Context(), f)
	if len(more) != 1 || !strings.Contains(more[0].Message, "larger than") {
		t.Error(len(more), said(more))
	}
}

// Who fills a rule's mouth does not get the last thing that it has to say left
// unsaid.
func TestMoreApprovalsThanAreHeardDeny(t *testing.T) {
	t.Parallel()
	set := guardrail.NewSet(native(t, "request", "", `approve contains {"msg": sprintf("%d", [i]), "role": "approver"} if some i in numbers.range(1, 250)

approve contains {"msg": "z", "role": "platform-admin"}`))
	j := gate.Judgement{Verdicts: set.Evaluate(t.Context(), facts(1))}
	if !j.Denied() || len(j.Verdicts) != 201 {
		t.Error(len(j.Verdicts), said(j.With(gate.Deny)))
	}
}

func TestManySlowBundlesTakeNoLongerThanSome(t *testing.T) {
	t.Parallel()
	var bundles []*guardrail.Bundle
	for i := range 12 {
		bundles = append(bundles, guardrailtest.Bundle(t, "", guardrailtest.Files{
			"policy.yaml": guardrailtest.Manifest(fmt.Sprint("slow-", i), "1.0.0", "slow", "request"),
			"slow.rego":   "package slow\n\ndeny contains \"x\" if {\n\tsome i in numbers.range(1, 30000)\n\tsome j in numbers.range(1, 30000)\n\ti * j == -1\n}\n",
		}))
	}
	got := guardrail.NewSet(bundles...).Evaluate(t.Context(), facts(1))
	unasked := 0
	for _, v := range got {
		if v.Strength != gate.Deny {
			t.Error(said([]gate.Verdict{v}))
		}
		if strings.Contains(v.Message, "not asked") {
			unasked++
		}
	}
	if len(got) != 12 || unasked < 5 {
		t.Error(len(got), unasked)
	}
}

// What a requester types is data, wherever it goes (CVE-2025-46569).
func TestPolicyInputInjection(t *testing.T) {
	t.Parallel()
	set := guardrail.NewSet(native(t, "request", "", "deny contains {\"msg\": sprintf(\"%v is too large\", [input.inputs.size]), \"docs\": input.inputs.docs, \"field\": input.inputs.field} if input.inputs.size != 1\n\nwarn contains input.resource.note"))
	for _, evil := range []string{
		`"}]; data.p.deny := set() #`, `data.p.deny`, "x\x1b[2J\x1b]0;owned\x07", "line\nbreak", "\u202egnol", `{{ .Secret }}`, "${{ secrets.x }}", strings.Repeat("]", 5000), "\xff\xfe",
		"package q\ndeny := set()", `", "strength": "advise`,
	} {
		f := facts(11)
		f.Inputs = map[string]any{"size": evil, "docs": "javascript:alert(1)", "field": evil, evil: evil}
		f.Resource, f.Note, f.Environment.Name, f.Environment.Team, f.Template.Name = evil, evil, evil, evil, evil
		got := set.Evaluate(t.Context(), f)
		if len(got) != 2 || got[0].Strength != gate.Deny || got[1].Strength != gate.Advise || got[0].Docs != "" || got[0].Field != "" {
			t.Errorf("%q: %+v", evil, got)
		}
		for _, v := range got {
			if strings.ContainsAny(v.Message, "\x1b\n\x07\u202e") {
				t.Errorf("%q: %q", evil, v.Message)
			}
		}
	}
	// A number that nobody can work with is no way around a rule about it.
	huge := guardrail.NewSet(native(t, "request", "", `deny contains "large" if input.inputs.size > 1`))
	for _, n := range []string{"1e999999999", "1e400", "99999999999999999999999999"} {
		f := facts(11)
		f.Inputs = map[string]any{"size": json.Number(n)}
		if got := huge.Evaluate(t.Context(), f); len(got) != 1 || got[0].Strength != gate.Deny {
			t.Errorf("%s: %s", n, said(got))
		}
	}
}

// A guardrail that never ends denies, and does not silence its neighbours.
func TestOneThatOverrunsLeavesTheOthersHeard(t *testing.T) {
	t.Parallel()
	b := guardrailtest.Bundle(t, "", guardrailtest.Files{
		"policy.yaml": guardrailtest.Manifest("b", "1.0.0", "slow", "request") + "- package: p\n  stage: request\n",
		"slow.rego":   "package slow\n\ndeny contains \"x\" if {\n\tsome i in numbers.range(1, 30000)\n\tsome j in numbers.range(1, 30000)\n\ti * j == -1\n}\n",
		"p.rego":      "package p\n\nwarn contains \"heard\"\n",
	})
	began := time.Now()
	got := guardrail.NewSet(b).Evaluate(t.Context(), facts(1))
	if len(got) != 2 || got[0].Strength != gate.Deny || got[0].Rule != "slow" || !strings.Contains(got[0].Message, "took longer than 1s") || got[1].Message != "heard" {
		t.Error(said(got))
	}
	if took := time.Since(began); took > 20*time.Second {
		t.Error(took)
	}
}

func TestConftestPoliciesRunAsTheyAre(t *testing.T) {
	t.Parallel()
	b := guardrailtest.Bundle(t, "buckets", guardrailtest.Files{
		"main.rego":        "package main\n\nimport data.lib\n\ndeny[msg] {\n  c := input.resource_changes[_]\n  lib.creates(c)\n  c.change.after.acl == data.public\n  msg := sprintf(\"%v is public\", [c.address])\n}\n\ndeny_tags[{\"msg\": \"no tags\"}] {\n  not input.resource_changes[0].change.after.tags\n}\n\nexception[rules] {\n  input.resource_changes[0].change.after.owner == \"legacy\"\n  rules := [\"tags\"]\n}\n",
		"lib/lib.rego":     "package lib\n\ncreates(c) { c.change.actions[_] == \"create\" }\n",
		"net/net.rego":     "package terraform[\"net-work\"]\n\nimport rego.v1\n\nviolation contains {\"msg\": \"closed\"} if input.planned_values.root_module.resources[_].values.open\n",
		"data.yaml":        "public: public-read\n",
		"main_test.rego":   "package main\n\ntest_it { deny[\"a is public\"] with input as {\"resource_changes\": [{\"address\": \"a\", \"change\": {\"actions\": [\"create\"], \"after\": {\"acl\": \"public-read\"}}}]} }\n",
		"docs/whatever.md": "x",
	})
	if !b.Conftest || b.Tests != 1 || !b.RunTests(t.Context()).Passed() || !strings.HasPrefix(b.Version, "0.0.0-") {
		t.Fatalf("%+v %+v", b.Manifest, b.RunTests(t.Context()))
	}
	set := guardrail.NewSet(b)
	f := facts(1)
	f.Stage = gate.Plan
	f.Plan = &engine.Plan{Changes: []engine.Change{{Address: "bucket.a", Kind: "bucket", Action: engine.Replace, After: map[string]any{"acl": "public-read", "open": true}}}}
	want := "deny main.deny: bucket.a is public\ndeny main.deny_tags: no tags\ndeny terraform[\"net-work\"].violation: closed"
	if got := said(set.Evaluate(t.Context(), f)); got != want {
		t.Errorf("of Fairlead's plan: %s", got)
	}
	// What was recorded says the same again.
	var document map[string]any
	raw, err := json.Marshal(f.Document())
	if err == nil {
		err = json.Unmarshal(raw, &document)
	}
	if got := said(set.Replay(t.Context(), document)); err != nil || got != want {
		t.Errorf("of the record: %s %v", got, err)
	}
	f.Plan = &engine.Plan{Engine: json.RawMessage(`{"format_version":"1.2","resource_changes":[{"address":"aws.b","change":{"actions":["create"],"after":{"acl":"public-read","owner":"legacy"}}}]}`)}
	if got := said(set.Evaluate(t.Context(), f)); got != "deny main.deny: aws.b is public" {
		t.Errorf("of the engine's own: %s", got)
	}
	f.Stage = gate.Request
	if got := set.Evaluate(t.Context(), f); len(got) != 0 {
		t.Errorf("at the request: %s", said(got))
	}
}

func TestBundlesThatAreNot(t *testing.T) {
	t.Parallel()
	good := guardrailtest.Sizes("1.0.0")
	with := func(file, text string) guardrailtest.Files { return good.With(guardrailtest.Files{file: text}) }
	manifest := good["policy.yaml"]
	for _, tc := range []struct {
		reason string
		files  guardrailtest.Files
		code   string
		want   string
	}{
		{"no such package", with("policy.yaml", strings.Replace(manifest, "package: sizes", "package: size", 1)), "invalid_bundle", `did you mean "sizes"`},
		{"a package without verdicts", with("sizes.rego", "package sizes\n\nallow := true\n").With(guardrailtest.Files{"sizes_test.rego": ""}), "invalid_bundle", "no rule called deny"},
		{"an unknown field", with("policy.yaml", manifest+"  protectd: true\n"), "invalid_bundle", `did you mean "protected"`},
		{"an unknown stage", with("policy.yaml", strings.Replace(manifest, "stage: request", "stage: now", 1)), "invalid_bundle", "must be one of"},
		{"no version", with("policy.yaml", strings.Replace(manifest, "version: 1.0.0", "version: one", 1)), "invalid_bundle", "semantic version"},
		{"a plan before there is one", with("policy.yaml", manifest+"  input: plan\n"), "invalid_bundle", "at the stage plan alone"},
		{"an empty scope", with("policy.yaml", manifest+"  scope: {teams: []}\n"), "invalid_bundle", "an empty list would mean everything"},
		{"a scope that is no name", with("policy.yaml", manifest+"  scope: {teams: [\"a b\"]}\n"), "invalid_bundle", "no name and no pattern"},
		{"a reserved name", with("policy.yaml", strings.Replace(manifest, "name: sizes", "name: schema", 1)), "invalid_bundle", "reserved"},
		{"a link that runs", with("policy.yaml", manifest+"  docs: 'javascript:alert(1)'\n"), "invalid_bundle", "must be a link"},
		{"another kind", with("policy.yaml", strings.Replace(manifest, "PolicyBundle", "Template", 1)), "invalid_bundle", "must be"},
		{"a misspelt field of the input", with("sizes.rego", "package sizes\n\ndeny contains \"x\" if input.enviroment.class == \"production\"\n"), "invalid_policy", "sizes.rego:3:"},
		{"something unused, strictly", with("sizes.rego", "package sizes\n\nimport data.other\n\ndeny contains \"x\" if input.action == \"create\"\n"), "invalid_policy", "unused"},
		{"data twice", with("data.json", `{"a": 1}`).With(guardrailtest.Files{"data.yaml": "a: 2\n"}), "invalid_bundle", "says what another data file says"},
		{"data that is no object", with("data.json", `[1]`), "invalid_bundle", "must hold an object"},
		{"no policies", guardrailtest.Files{"README.md": "x"}, "invalid_bundle", "no .rego"},
		{"10 MB", with("big.rego", strings.Repeat("# long\n", 10<<20/7)), "policy_too_large", ""},
		{"2 MB of policies", with("a.rego", "package a\n"+strings.Repeat("# long\n", 130000)).With(guardrailtest.Files{"b.rego": "package b\n" + strings.Repeat("# long\n", 130000)}), "policy_too_large", "1048576 are allowed"},
	} {
		s := newService(t, nil)
		name := ""
		if _, ok := tc.files["policy.yaml"]; !ok {
			name = "x"
		}
		_, _, err := s.Test(as(t, ada), tc.files.Tar(t), name)
		f := fault.From(err)
		if err == nil || f.Code != tc.code || !strings.Contains(fmt.Sprint(f.Message, f.Violations), tc.want) {
			t.Errorf("%s: %v %+v", tc.reason, err, f.Violations)
		}
	}
}

// Nothing is released yet; rules about it are held against the schema and
// tested like others, so that they are right when something is.
func TestRulesOfTheStageReleaseAreHeldAgainstTheSchemaAndTested(t *testing.T) {
	t.Parallel()
	s := newService(t, nil)
	bundle := func(rule string) guardrailtest.Files {
		return guardrailtest.Files{"policy.yaml": guardrailtest.Manifest("scanned", "1.0.0", "scanned", "release"),
			"scanned.rego": "package scanned\n\ndeny contains {\"msg\": f.id, \"remedy\": f.fixed} if {\n\tsome scan in input.release.scans\n\tsome f in scan.findings\n\t" + rule + "\n}\n",
			"scanned_test.rego": `package scanned_test

import data.scanned

release(severity) := {"artifact": "shop:1", "scans": [{"tool": "grype", "findings": [{"id": "CVE-1", "severity": severity, "fixed": "1.2"}]}]}

test_critical if count(scanned.deny) == 1 with input as {"release": release("critical")}

test_low if count(scanned.deny) == 0 with input as {"release": release("low")}
`}
	}
	if _, _, err := s.Test(as(t, ada), bundle(`f.severty == "critical"`).Tar(t), ""); fault.From(err).Code == "" || !strings.Contains(fmt.Sprint(fault.From(err).Violations), "scanned.rego:6") {
		t.Errorf("a misspelt field: %v", err)
	}
	_, report, err := s.Test(as(t, ada), bundle(`f.severity == "critical"`).Tar(t), "")
	if err != nil || len(report.Cases) != 2 || !report.Passed() {
		t.Fatalf("%+v %v", report, err)
	}
}

// The schema describes what gate gives: each field of a full document.
func TestTheSchemaFitsTheFacts(t *testing.T) {
	t.Parallel()
	f := facts(1)
	f.Stage, f.Before, f.Lease, f.RunKind, f.RunID = gate.Plan, map[string]any{"a": 1}, time.Hour, "apply", "run_1"
	f.Usage, f.Cost.Items = []gate.Use{{}}, []gate.CostItem{{}}
	f.Plan = &engine.Plan{Changes: []engine.Change{{}}}
	f.Extra = map[string]any{"release": map[string]any{}, "bundle": map[string]any{}}
	raw, err := json.Marshal(f.Document())
	var document, schema map[string]any
	if err == nil {
		err = json.Unmarshal(raw, &document)
	}
	if err == nil {
		err = json.Unmarshal(guardrail.Schema(), &schema)
	}
	if err != nil {
		t.Fatal(err)
	}
	var walk func(at string, value any, schema map[string]any)
	walk = func(at string, value any, schema map[string]any) {
		switch value := value.(type) {
		case map[string]any:
			properties, closed := schema["properties"].(map[string]any)
			for name, v := range value {
				s, ok := properties[name].(map[string]any)
				if closed && !ok {
					t.Errorf("the schema lacks %s/%s", at, name)
				}
				if ok {
					walk(at+"/"+name, v, s)
				}
			}
			if at == "" {
				for name := range properties {
					if _, ok := value[name]; !ok {
						t.Errorf("no document has %s", name)
					}
				}
			}
		case []any:
			items, _ := schema["items"].(map[string]any)
			for _, v := range value {
				walk(at+"/0", v, items)
			}
		}
	}
	walk("", document, schema)
}

func TestScopes(t *testing.T) {
	t.Parallel()
	f := facts(1) // team shop, project web, environment dev of class development, template postgres
	for scope, want := range map[string]bool{
		"{teams: [shop]}": true, "{teams: [shops]}": false, "{teams: [other, shop]}": true, "{teams: ['sh*']}": true, "{teams: ['*op']}": true, "{teams: ['s*h*p']}": true,
		"{teams: ['s*x*p']}": false, "{projects: [web], classes: [development]}": true, "{projects: [web], classes: [production]}": false, "{environments: [dev]}": true,
		"{templates: [postgres]}": true, "{templates: ['post*', other], teams: ['*']}": true, "{templates: [mysql]}": false, "{classes: ['*'], environments: ['preview-*']}": false,
	} {
		got := guardrail.NewSet(native(t, "request", "  scope: "+scope+"\n", `deny contains "x"`)).Evaluate(t.Context(), f)
		if (len(got) == 1) != want {
			t.Errorf("%s: %v", scope, got)
		}
	}
}

// The index finds what asking each guardrail by itself finds.
func TestTheIndexFindsAllInScope(t *testing.T) {
	t.Parallel()
	words := []string{"a", "b", "ab", "ba"}
	patterns := append([]string{"*", "a*", "*b"}, words...)
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 8).Draw(t, "n")
		manifest := "apiVersion: fairlead/v1\nkind: PolicyBundle\nmetadata: {name: b, version: 1.0.0}\nguardrails:\n"
		files := guardrailtest.Files{}
		var scopes [][]([]string)
		for i := range n {
			scope := make([][]string, 3)
			fields := ""
			for d, name := range []string{"teams", "classes", "templates"} {
				scope[d] = rapid.SliceOfN(rapid.SampledFrom(patterns), 0, 3).Draw(t, name)
				if len(scope[d]) > 0 {
					fields += name + ": ['" + strings.Join(scope[d], "', '") + "'], "
				}
			}
			scopes = append(scopes, scope)
			manifest += fmt.Sprintf("- package: p%d\n  stage: request\n", i)
			if fields != "" {
				manifest += "  scope: {" + strings.TrimSuffix(fields, ", ") + "}\n"
			}
			files[fmt.Sprintf("p%d.rego", i)] = fmt.Sprintf("package p%d\n\ndeny contains \"x\"\n", i)
		}
		files["policy.yaml"] = manifest
		set := guardrail.NewSet(rapidBundle(t, files))
		for range 5 {
			place := []string{rapid.SampledFrom(words).Draw(t, "team"), rapid.SampledFrom(words).Draw(t, "class"), rapid.SampledFrom(words).Draw(t, "template")}
			var want []string
			for i, scope := range scopes {
				in := true
				for d, list := range scope {
					in = in && (len(list) == 0 || fits(list, place[d]))
				}
				if in {
					want = append(want, fmt.Sprintf("deny p%d.deny: x", i))
				}
			}
			f := gate.Facts{Stage: gate.Request, Environment: gate.Environment{Team: place[0], Class: place[1]}, Template: gate.Template{Name: place[2]}}
			if got := said(set.Evaluate(t.Context(), f)); got != strings.Join(want, "\n") {
				t.Fatalf("%v of %v: %s", place, scopes, got)
			}
		}
	})
}

// fits is what a scope's list means, written in another way.
func fits(list []string, name string) bool {
	for _, p := range list {
		switch {
		case p == "*", p == name, p == "a*" && strings.HasPrefix(name, "a"), p == "*b" && strings.HasSuffix(name, "b"):
			return true
		}
	}
	return false
}

func TestTheDigestKnowsNoOrder(t *testing.T) {
	t.Parallel()
	a, b := native(t, "request", "", `deny contains "x"`), guardrailtest.Bundle(t, "", guardrailtest.Sizes("1.0.0"))
	if guardrail.NewSet(a, b).Digest() != guardrail.NewSet(b, a).Digest() || guardrail.NewSet(a).Digest() == guardrail.NewSet(b).Digest() || guardrail.NewSet().Digest() == "" {
		t.Error("digests")
	}
	if guardrail.NewSet(a).With(b).Digest() != guardrail.NewSet(a, b).Digest() {
		t.Error("With")
	}
}

func rapidBundle(t *rapid.T, files guardrailtest.Files) *guardrail.Bundle {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for name, text := range files {
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: int64(len(text))}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	folder, err := bundle.Read(&buf)
	if err != nil {
		t.Fatal(err)
	}
	b, err := guardrail.NewBundle(folder, "", "")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

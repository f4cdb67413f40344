package iac_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"fairlead/internal/engine"
	"fairlead/internal/engine/iac"
)

// planOf is the JSON of a plan with one object that drifted, and one that it
// would change.
func planOf(before, after, secret, actions string, healed bool) []byte {
	changes := ""
	if healed {
		changes = `{"address":"x_thing.a","mode":"managed","type":"x_thing","name":"a","change":{"actions":["update"],"before":{},"after":{}}}`
	}
	return fmt.Appendf(nil, `{"format_version":"1.2","terraform_version":"1.11.4","resource_changes":[%s],"resource_drift":[
		{"address":"x_thing.a","mode":"managed","type":"x_thing","name":"a","change":{"actions":[%s],"before":%s,"after":%s,"before_sensitive":%s,"after_sensitive":%s}}]}`,
		changes, actions, before, after, secret, secret)
}

func TestWhyAModuleIsNotAsItWasMade(t *testing.T) {
	t.Parallel()
	type d = engine.Drift
	person := func(field string, want, got any) d {
		return d{Field: field, Want: want, Got: got, Severity: engine.Heal, Cause: engine.CausePerson}
	}
	noise := func(field string, want, got any, why engine.Noise) d {
		return d{Field: field, Want: want, Got: got, Severity: engine.Ignore, Cause: engine.CauseNoise, Noise: why}
	}
	long := strings.Repeat("x", 3000)
	for _, row := range []struct {
		why, before, after, secret, actions string
		healed                              bool
		want                                []d
	}{
		{"somebody changed a text", `{"size":"2"}`, `{"size":"9"}`, `{}`, `"update"`, true, []d{person("size", "2", "9")}},
		{"somebody changed one of many, deep within", `{"tags":{"a":"1","b":"2"}}`, `{"tags":{"a":"1","b":"3"}}`, `{}`, `"update"`, true, []d{person("tags.b", "2", "3")}},
		{"somebody added a key", `{"tags":{}}`, `{"tags":{"new":"x"}}`, `{}`, `"update"`, true, []d{person("tags.new", nil, "x")}},
		{"somebody deleted it", `{"size":"2"}`, `null`, `{}`, `"delete"`, true,
			[]d{{Field: "exists", Want: true, Got: false, Severity: engine.Heal, Cause: engine.CauseDeleted}}},
		{"null became an empty list", `{"a":null}`, `{"a":[]}`, `{}`, `"update"`, true, []d{noise("a", nil, []any{}, engine.NoiseEmpty)}},
		{"members in another order", `{"a":["x","y"]}`, `{"a":["y","x"]}`, `{}`, `"update"`, true, []d{noise("a", []any{"x", "y"}, []any{"y", "x"}, engine.NoiseOrder)}},
		{"the same policy, written in another way", `{"a":"{\"b\": 1}"}`, `{"a":"{\"b\":1}"}`, `{}`, `"update"`, true, []d{noise("a", `{"b": 1}`, `{"b":1}`, engine.NoiseText)}},
		{"noise and a change side by side", `{"a":null,"b":"1"}`, `{"a":"","b":"2"}`, `{}`, `"update"`, true, []d{noise("a", nil, "", engine.NoiseEmpty), person("b", "1", "2")}},
		{"a value that the provider sets and no apply would touch", `{"etag":"1"}`, `{"etag":"2"}`, `{}`, `"update"`, false, []d{noise("etag", "1", "2", engine.NoiseProvider)}},
		{"a secret that changed", `{"key":"first-secret"}`, `{"key":"other-secret"}`, `{"key":true}`, `"update"`, true, []d{person("key", "[redacted]", "[redacted]")}},
		{"a secret within", `{"c":{"user":"a","key":"first-secret"}}`, `{"c":{"user":"b","key":"other-secret"}}`, `{"c":{"key":true}}`, `"update"`, true,
			[]d{person("c.key", "[redacted]", "[redacted]"), person("c.user", "a", "b")}},
		{"all of an object is secret", `{"c":{"key":"first-secret"}}`, `{"c":{"key":"other-secret"}}`, `{"c":true}`, `"update"`, true, []d{person("c", "[redacted]", "[redacted]")}},
		{"a secret in a list", `{"l":["first-secret","a"]}`, `{"l":["other-secret","a"]}`, `{"l":[true,false]}`, `"update"`, true,
			[]d{person("l", []any{"[redacted]", "a"}, []any{"[redacted]", "a"})}},
		{"a long value is told by its length", `{"a":"x"}`, `{"a":"` + long + `"}`, `{}`, `"update"`, true, []d{person("a", "x", "(3002 bytes)")}},
		{"large numbers keep their digits", `{"n":9007199254740993}`, `{"n":9007199254740992}`, `{}`, `"update"`, true, []d{person("n", json.Number("9007199254740993"), json.Number("9007199254740992"))}},
		{"nothing differs but the number's form", `{"n":1}`, `{"n":1.0}`, `{}`, `"update"`, true, []d{noise("n", json.Number("1"), json.Number("1.0"), engine.NoiseText)}},
	} {
		plan := planOf(row.before, row.after, row.secret, row.actions, row.healed)
		got := iac.Drifts(t, plan, plan, func(string) bool { return false })
		text, err := json.Marshal(got)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "-secret") {
			t.Errorf("%s: it shows a secret: %s", row.why, text)
		}
		for i := range got {
			if got[i].Address != "x_thing.a" || got[i].Cause != engine.CauseDeleted && got[i].Print == "" {
				t.Errorf("%s: %+v", row.why, got[i])
			}
			got[i].Address, got[i].Print = "", ""
		}
		if g, w := fmt.Sprintf("%#v", got), fmt.Sprintf("%#v", row.want); g != w {
			t.Errorf("%s:\n got %s\nwant %s", row.why, g, w)
		}
	}
}

func TestTwoSecretsAreToldApart(t *testing.T) {
	t.Parallel()
	print := func(now string) string {
		plan := planOf(`{"key":"was"}`, `{"key":"`+now+`"}`, `{"key":true}`, `"update"`, true)
		return iac.Drifts(t, plan, nil, func(string) bool { return true })[0].Print
	}
	if a, b := print("one"), print("two"); a == b || a != print("one") {
		t.Errorf("%s and %s", a, b)
	}
}

func TestOfTooManyDifferencesTheRestIsCounted(t *testing.T) {
	t.Parallel()
	was, is := map[string]int{}, map[string]int{}
	for i := range 130 {
		was[fmt.Sprint("f", i)], is[fmt.Sprint("f", i)] = 1, 2
	}
	before, _ := json.Marshal(was)
	after, _ := json.Marshal(is)
	got := iac.Drifts(t, planOf(string(before), string(after), `{}`, `"update"`, true), nil, func(string) bool { return true })
	if last := got[len(got)-1]; len(got) != 101 || last.Got != "30 more differences" || !last.Data {
		t.Errorf("%d, %+v", len(got), last)
	}
}

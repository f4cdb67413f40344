package clikit

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"fairlead/internal/fault"
)

type given struct{ set, setString []string }

func TestSet(t *testing.T) {
	t.Parallel()
	num := func(s string) any { return json.Number(s) }
	for _, row := range []struct {
		why  string
		in   given
		want map[string]any // nil: refused
	}{
		{"JSON has its types", given{set: []string{"a=3", "b=true", "c=null", `d="3"`, "e=[1,2]", `f={"x":1}`}},
			map[string]any{"a": num("3"), "b": true, "c": nil, "d": "3", "e": []any{num("1"), num("2")}, "f": map[string]any{"x": num("1")}}},
		{"all else is a string", given{set: []string{"a=hello", "b=3 apples", "c=", "d=01", "e={", "f=a=b", "g=true "}},
			map[string]any{"a": "hello", "b": "3 apples", "c": "", "d": "01", "e": "{", "f": "a=b", "g": "true "}},
		{"numbers keep every digit", given{set: []string{"a=12345678901234567890", "b=1.10"}}, map[string]any{"a": num("12345678901234567890"), "b": num("1.10")}},
		{"a string on demand", given{setString: []string{"a=3", "b=true"}}, map[string]any{"a": "3", "b": "true"}},
		{"a path leads down, and \\. is a dot", given{set: []string{"a.b.c=1", "a.b.d=2", `x\.y=3`}},
			map[string]any{"a": map[string]any{"b": map[string]any{"c": num("1"), "d": num("2")}}, "x.y": num("3")}},
		{"no =", given{set: []string{"a"}}, nil},
		{"no key", given{set: []string{"=1"}}, nil},
		{"an empty name in a path", given{set: []string{"a..b=1"}}, nil},
		{"a path that ends in a dot", given{set: []string{"a.=1"}}, nil},
		{"twice", given{set: []string{"a=1", "a=2"}}, nil},
		{"twice, once as a string", given{set: []string{"a=1"}, setString: []string{"a=2"}}, nil},
		{"below a plain value", given{set: []string{"a=1", "a.b=2"}}, nil},
		{"over what was set below", given{set: []string{"a.b=2", "a=1"}}, nil},
	} {
		got, err := Assignments(row.in.set, row.in.setString)
		if row.want == nil {
			if !errors.Is(err, fault.New(fault.Invalid, "usage", "")) {
				t.Errorf("%s: %v, %v", row.why, got, err)
			}
			continue
		}
		if diff := cmp.Diff(row.want, got); err != nil || diff != "" {
			t.Errorf("%s: %v %s", row.why, err, diff)
		}
	}
	if got, err := Assignments(nil, nil); got != nil || err != nil {
		t.Errorf("nothing set: %v, %v", got, err)
	}
}

// Whatever is typed, --set gives one value at one place, or says what is wrong.
func FuzzSet(f *testing.F) {
	for _, s := range []string{"a=1", "a.b=x", `a\.b={"c":[1]}`, "=", "a..b=1", "a=\x00", `\=1`, ".=1", "ä.ö=1e999"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := Assignments([]string{s}, nil)
		if err != nil {
			if !errors.Is(err, fault.New(fault.Invalid, "usage", "")) {
				t.Fatalf("%q: %v", s, err)
			}
			return
		}
		key, text, _ := strings.Cut(s, "=")
		var at any = got
		for _, name := range path(key) {
			m, ok := at.(map[string]any)
			if !ok || len(m) != 1 {
				t.Fatalf("%q: %v", s, got)
			}
			if at, ok = m[name]; !ok {
				t.Fatalf("%q: no %q in %v", s, name, m)
			}
		}
		if str, ok := at.(string); ok && str != text && !strings.HasPrefix(strings.TrimSpace(text), `"`) {
			t.Fatalf("%q became %q", text, str)
		}
		if _, err := json.Marshal(got); err != nil {
			t.Fatalf("%q cannot be sent: %v", s, err)
		}
	})
}

package resourcecli

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"fairlead/internal/apiclient"
	"fairlead/internal/clikit"
	"fairlead/internal/fault"
)

const twoDocuments = `apiVersion: fairlead/v1
kind: Resource
metadata: {name: orders, project: shop, environment: prod}
spec:
  template: postgres
  version: ^1
  note: why
  inputs:
    limit: 12345678901234567
---
apiVersion: fairlead/v1
kind: Resource
metadata: {name: report}
spec: {template: "null"}
`

func TestManifest(t *testing.T) {
	t.Parallel()
	all, err := parse("f.yaml", []byte(twoDocuments))
	if err != nil || len(all) != 2 {
		t.Fatalf("%d, %v", len(all), err)
	}
	m := all[0]
	if m.name != "orders" || m.project != "shop" || m.environment != "prod" || m.request.Template != "postgres" ||
		clikit.Or(m.request.Version) != "^1" || clikit.Or(m.request.Note) != "why" || clikit.Value((*m.request.Inputs)["limit"]) != "12345678901234567" {
		t.Errorf("%+v %v", m, *m.request.Inputs)
	}
	if all[1].request.Inputs == nil || all[1].request.Version != nil {
		t.Errorf("%+v", all[1].request)
	}
}

func TestManifestSaysWhatIsWrongAndWhere(t *testing.T) {
	t.Parallel()
	head := "apiVersion: fairlead/v1\nkind: Resource\n"
	for _, row := range []struct {
		why, text string
		lines     []string // "line N" of each violation; none: an error of the whole
	}{
		{"a misspelt field, and the one that is missing", head + "metadata: {nam: x}\nspec: {template: t}\n", []string{"line 3", "line 3"}},
		{"another kind", "apiVersion: fairlead/v1\nkind: Template\nmetadata: {name: x}\nspec: {template: t}\n", []string{"line 2"}},
		{"another version", "apiVersion: v1\nkind: Resource\nmetadata: {name: x}\nspec: {template: t}\n", []string{"line 1"}},
		{"a number for a name", head + "metadata: {name: 3}\nspec: {template: t}\n", []string{"line 3"}},
		{"inputs that are a list", head + "metadata: {name: x}\nspec:\n  template: t\n  inputs: [1]\n", []string{"line 6"}},
		{"both documents are read", head + "metadata: {name: 3}\nspec: {template: t}\n---\n" + head + "metadata: {name: y}\nspec: {}\n", []string{"line 3", "line 9"}},
		{"no object at all", "- 1\n", []string{"line 1"}},
		{"a key twice", head + "kind: Resource\n", nil},
		{"no YAML", "a: [\n", nil},
	} {
		_, err := parse("f.yaml", []byte(row.text))
		f, ok := errors.AsType[*fault.Error](err)
		if !ok || f.Kind != fault.Invalid {
			t.Errorf("%s: %v", row.why, err)
			continue
		}
		told := f.Message
		for _, v := range f.Violations {
			told += "\n" + v.Message
		}
		if row.lines != nil && len(f.Violations) != len(row.lines) {
			t.Errorf("%s: %d violations: %s", row.why, len(f.Violations), told)
		}
		for i, line := range row.lines {
			if i < len(f.Violations) && !strings.Contains(f.Violations[i].Message, line) {
				t.Errorf("%s: %q does not say %s", row.why, f.Violations[i].Message, line)
			}
		}
	}
	if _, err := parse("f.yaml", []byte("# nothing\n")); clikit.ExitCode(err) != clikit.ExitUsage {
		t.Errorf("nothing in it: %v", err)
	}
}

func TestGroups(t *testing.T) {
	t.Parallel()
	here := func() (clikit.Where, error) { return clikit.Where{Project: "shop", Environment: "dev"}, nil }
	all, err := parse("f.yaml", []byte(twoDocuments))
	if err != nil {
		t.Fatal(err)
	}
	sets, err := groups(all, here)
	if err != nil || len(sets) != 2 {
		t.Fatalf("%d, %v", len(sets), err)
	}
	if diff := cmp.Diff([]string{"shop/prod", "shop/dev"}, []string{sets[0].String(), sets[1].String()}); diff != "" {
		t.Error(diff)
	}
	if _, err := groups(append(all, all[1]), here); clikit.ExitCode(err) != clikit.ExitUsage {
		t.Errorf("twice: %v", err)
	}
	all[0].environment, all[0].project = "", "other"
	if _, err := groups(all[:1], here); clikit.ExitCode(err) != clikit.ExitUsage {
		t.Errorf("an environment of another project: %v", err)
	}
}

func TestRefusalsAreLocated(t *testing.T) {
	t.Parallel()
	all, err := parse("f.yaml", []byte(twoDocuments))
	if err != nil {
		t.Fatal(err)
	}
	g := &group{items: all}
	for pointer, want := range map[string]string{
		"/resources/0/inputs/limit": "f.yaml line 9", "/resources/0/name": "f.yaml line 3", "/resources/1/template": "f.yaml line 14",
		"/resources/2/inputs": "", "/resources/x": "", "/inputs/limit": "", "": "",
	} {
		if got := g.place(pointer); got != want {
			t.Errorf("%s: %q, want %q", pointer, got, want)
		}
	}
	one := &group{items: all[:1]}
	if got := one.place("/inputs/limit"); got != "f.yaml line 9" {
		t.Errorf("of one: %q", got)
	}
	given := &apiclient.Error{Status: 422, Code: "invalid_inputs", Detail: "no", Field: "/resources/0/inputs/limit", Violations: []apiclient.Violation{{Field: "/resources/0/inputs/limit", Message: "no"}}}
	f := clikit.Fault(g.located(given))
	if f.Message != "f.yaml line 9: no" || f.Violations[0].Message != "no (f.yaml line 9)" || given.Violations[0].Message != "no" {
		t.Errorf("%+v, %+v", f, given)
	}
}

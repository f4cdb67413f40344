package policies_test

import (
	"io/fs"
	"testing"

	"fairlead/internal/fault"
	"fairlead/internal/guardrail"
	"fairlead/internal/template/bundle"
	"fairlead/policies"
)

func TestEveryShippedBundlePassesItsTests(t *testing.T) {
	t.Parallel()
	entries, err := fs.ReadDir(policies.FS, ".")
	if err != nil || len(entries) < 2 {
		t.Fatal(len(entries), err)
	}
	for _, e := range entries {
		sub, err := fs.Sub(policies.FS, e.Name())
		if err != nil {
			t.Fatal(err)
		}
		files, err := bundle.FromFS(sub)
		if err != nil {
			t.Fatal(err)
		}
		b, err := guardrail.NewBundle(files, "", "")
		if err != nil {
			t.Errorf("%s: %v %+v", e.Name(), err, fault.From(err).Violations)
			continue
		}
		if _, ok := b.File("README.md"); !ok {
			t.Errorf("%s has no README.md", e.Name())
		}
		if b.Name != e.Name() {
			t.Errorf("the folder %s holds %s", e.Name(), b.Name)
		}
		if b.Title == "" || b.Description == "" {
			t.Errorf("%s says not what it is", e.Name())
		}
		tests := 0
		r := b.RunTests(t.Context())
		for _, c := range r.Cases {
			tests++
			if !c.Passed {
				t.Errorf("%s: %s:%d %s: %s %s", e.Name(), c.File, c.Line, c.Name, c.Failure, c.Output)
			}
		}
		if !r.Passed() || tests < 2*len(b.Guards) {
			t.Errorf("%s: %d tests of %d guardrails; %s", e.Name(), tests, len(b.Guards), r.Trouble)
		}
	}
}

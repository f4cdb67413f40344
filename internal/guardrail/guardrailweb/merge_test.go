package guardrailweb

import (
	"strings"
	"testing"
)

func TestLinesOfTwoAreMerged(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ base, a, b, want string }{
		"nothing":            {"1 2 3", "1 2 3", "1 2 3", "1 2 3"},
		"one of them":        {"1 2 3", "1 x 3", "1 2 3", "1 x 3"},
		"apart":              {"1 2 3 4 5", "1 x 3 4 5", "1 2 3 4 y", "1 x 3 4 y"},
		"the same":           {"1 2 3", "1 x 3", "1 x 3", "1 x 3"},
		"added and removed":  {"1 2 3 4 5", "0 1 2 3 4 5", "1 2 3 5", "0 1 2 3 5"},
		"the same line":      {"1 2 3", "1 x 3", "1 y 3", "clash"},
		"added at one place": {"1 2", "1 x 2", "1 y 2", "clash"},
		"everything":         {"1 2", "3 4", "1 2 5", "clash"},
		"out of nothing":     {"", "1", "", "1"},
	} {
		lines, ok := mergeLines(strings.Fields(c.base), strings.Fields(c.a), strings.Fields(c.b))
		got := strings.Join(lines, " ")
		if !ok {
			got = "clash"
		}
		if got != c.want {
			t.Errorf("%s: %s, not %s", name, got, c.want)
		}
		if back, ok := mergeLines(strings.Fields(c.base), strings.Fields(c.b), strings.Fields(c.a)); ok && strings.Join(back, " ") != c.want {
			t.Errorf("%s, the other way round: %v", name, back)
		}
	}
}

func TestWhatIsWrongHasItsPlace(t *testing.T) {
	t.Parallel()
	e := editing{}
	for _, p := range []string{"a/b.rego", "a-b.rego"} {
		if fileID(p) == "" || strings.ContainsAny(fileID(p), " /.") {
			t.Errorf("%s has the id %s", p, fileID(p))
		}
	}
	e.Files = map[string]string{"z.md": "", "b_test.rego": "", "b.rego": "", "data.json": "", "policy.yaml": "", "a.rego": ""}
	if got := strings.Join(e.paths(), " "); got != "policy.yaml a.rego b.rego b_test.rego data.json z.md" {
		t.Error(got)
	}
}

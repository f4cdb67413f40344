package resourceweb

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func object(t *testing.T, text string) map[string]any {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// What one of two changed is settled, what both changed is chosen: nothing
// that either wrote is lost.
func TestTwoChangesAreMergedFieldByField(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ base, theirs, mine, want, rows string }{
		"nothing":               {`{"a":1}`, `{"a":1}`, `{"a":1}`, `{"a":1}`, ""},
		"mine alone":            {`{"a":1,"b":1}`, `{"a":1,"b":1}`, `{"a":2,"b":1}`, `{"a":2,"b":1}`, "mine /a"},
		"theirs alone":          {`{"a":1,"b":1}`, `{"a":1,"b":3}`, `{"a":1,"b":1}`, `{"a":1,"b":3}`, "theirs /b"},
		"each another":          {`{"a":1,"b":1}`, `{"a":1,"b":3}`, `{"a":2,"b":1}`, `{"a":2,"b":3}`, "mine /a, theirs /b"},
		"both the same":         {`{"a":1}`, `{"a":2}`, `{"a":2}`, `{"a":2}`, "same /a"},
		"both, otherwise":       {`{"a":1}`, `{"a":2}`, `{"a":3}`, `{"a":3}`, "both /a"},
		"theirs is new":         {`{}`, `{"a":2}`, `{}`, `{"a":2}`, "theirs /a"},
		"theirs is gone":        {`{"a":1}`, `{}`, `{"a":1}`, `{}`, "theirs /a"},
		"mine is gone":          {`{"a":1}`, `{"a":1}`, `{}`, `{}`, "mine /a"},
		"gone, and changed":     {`{"a":1}`, `{"a":2}`, `{}`, `{}`, "both /a"},
		"both made one":         {`{}`, `{"a":2}`, `{"a":3}`, `{"a":3}`, "both /a"},
		"within groups":         {`{"g":{"a":1,"b":1}}`, `{"g":{"a":2,"b":1}}`, `{"g":{"a":1,"b":3}}`, `{"g":{"a":2,"b":3}}`, "theirs /g/a, mine /g/b"},
		"a group that is gone":  {`{"g":{"a":1}}`, `{}`, `{"g":{"a":2}}`, `{"g":{"a":2}}`, "both /g"},
		"a list is one value":   {`{"l":[1,2]}`, `{"l":[1,2,3]}`, `{"l":[2]}`, `{"l":[2]}`, "both /l"},
		"empty is nothing":      {`{"l":[],"t":""}`, `{"l":[],"t":""}`, `{}`, `{"l":[],"t":""}`, ""},
		"a name with a slash":   {`{"a/b~c":1}`, `{"a/b~c":2}`, `{"a/b~c":3}`, `{"a/b~c":3}`, "both /a~1b~0c"},
		"a number from a field": {`{"a":5}`, `{"a":5}`, `{"a":5.0}`, `{"a":5}`, ""},
	} {
		m := &merging{}
		got := m.merge(object(t, c.base), object(t, c.theirs), object(t, c.mine), "")
		var rows []string
		for _, r := range m.rows {
			rows = append(rows, r.who+" "+r.pointer)
		}
		if diff := cmp.Diff(object(t, c.want), got); diff != "" || strings.Join(rows, ", ") != c.rows {
			t.Errorf("%s: %v, not %s\n%s", name, rows, c.rows, diff)
		}
	}
	mine, theirs := object(t, `{"a":1,"g":{"x":1,"y":1},"k/":1}`), object(t, `{"g":{"x":2},"k/":2,"n":{"m":5}}`)
	for path, want := range map[string]string{
		"g/x": `{"a":1,"g":{"x":2,"y":1},"k/":1}`, "g/y": `{"a":1,"g":{"x":1},"k/":1}`, "a": `{"g":{"x":1,"y":1},"k/":1}`, "k~1": `{"a":1,"g":{"x":1,"y":1},"k/":2}`,
		"n/m": `{"a":1,"g":{"x":1,"y":1},"k/":1,"n":{"m":5}}`,
	} {
		if diff := cmp.Diff(object(t, want), graft(mine, theirs, strings.Split(path, "/"))); diff != "" {
			t.Errorf("%s: %s", path, diff)
		}
	}
}

package webui

import (
	"html"
	"strings"
	"testing"

	"github.com/a-h/templ"
	"pgregory.net/rapid"

	"fairlead/internal/fault"
	"fairlead/internal/httpx"
)

func TestCoded(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"run `fairlead retry orders`, then look": "run <code>fairlead retry orders</code>, then look",
		"`a` and `b`":                            "<code>a</code> and <code>b</code>",
		"`<script>alert(1)</script>` <b>":        "<code>&lt;script&gt;alert(1)&lt;/script&gt;</code> &lt;b&gt;",
		"one ` alone":                            "one ` alone",
		"one `code` and one ` alone":             "one <code>code</code> and one ` alone",
		"nothing `` in it":                       "nothing `` in it",
		"two\n`lines\nof` it":                    "two\n`lines\nof` it",
		"```sh":                                  "```sh",
		"":                                       "",
	} {
		if got := coded(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

// TestCodedAddsNothingButCode: whatever comes in, what stands there but for the
// tags of code is the text, escaped.
func TestCodedAddsNothingButCode(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		in := rapid.StringOf(rapid.RuneFrom([]rune("`<>&\"'/ab \n"))).Draw(t, "in")
		out := coded(in)
		bare := strings.NewReplacer("<code>", "", "</code>", "").Replace(out)
		if strings.ContainsAny(bare, "<>") || strings.Count(out, "<code>") != strings.Count(out, "</code>") {
			t.Fatalf("%q gives %q", in, out)
		}
		if text := html.UnescapeString(bare); strings.ReplaceAll(text, "`", "") != strings.ReplaceAll(in, "`", "") {
			t.Fatalf("%q gives the text %q", in, text)
		}
	})
}

// TestWordsStayApart: a component that follows an element has no space before
// it unless somebody writes one.
func TestWordsStayApart(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	wrong := fault.New(fault.Invalid, "x", "it is wrong").WithHint("run `fairlead x`")
	wrong.Violations = []fault.Violation{{Field: "/size", Message: "use `1`"}}
	p := &httpx.Problem{Code: "x", Detail: "it is wrong", Hint: "run `fairlead x`", Violations: []httpx.ProblemViolation{{Field: "/size", Message: "use `1`"}}}
	for _, c := range []templ.Component{Fault(wrong), Problem(p), ErrorState(p, "r", false)} {
		b.Reset()
		if err := c.Render(t.Context(), &b); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"<code>/size</code> use <code>1</code>", ">Run <code>fairlead x</code>", ">It is wrong<"} {
			if !strings.Contains(strings.Join(strings.Fields(b.String()), " "), want) { // browsers show one space for several
				t.Errorf("no %q in %s", want, b.String())
			}
		}
	}
}

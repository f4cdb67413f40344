package webui_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"fairlead/internal/fault"
	"fairlead/internal/httpx"
	"fairlead/internal/webui"
)

func TestNobodyIsLedElsewhere(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"/projects/a?b=c": "/projects/a?b=c", "/": "/", "": "/", "//evil.example": "/", `/\evil.example`: "/", "/\t/evil.example": "/",
		"https://evil.example": "/", "javascript:alert(1)": "/", `/a\..\b`: "/", "/\x00": "/", "/" + strings.Repeat("a", 3000): "/", "evil": "/",
	} {
		if got := webui.Local(in); got != want {
			t.Errorf("%q leads to %q", in, got)
		}
	}
}

func schema(t *testing.T, text string) map[string]any {
	t.Helper()
	var s map[string]any
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		t.Fatal(err)
	}
	return s
}

const wide = `{"type":"object","required":["size"],"properties":{
	"size":{"enum":["small","large"]}, "nodes":{"enum":[1,3,5]}, "sure":{"const":true}, "count":{"type":"integer"}, "on":{"type":"boolean"}, "secret":{"type":"string","writeOnly":true},
	"tags":{"type":"array","uniqueItems":true,"items":{"enum":["a","b","c"]}},
	"rules":{"type":"array","items":{"type":"object","properties":{"port":{"type":"integer"},"from":{"type":"string"}}}},
	"nested":{"type":"object","properties":{"deep":{"type":"object","properties":{"x":{"type":"number"}}}}},
	"free":{}},
	"if":{"properties":{"size":{"const":"large"}}},"then":{"properties":{"why":{"type":"string"}}}}`

func TestWhatASchemaFormSendsIsTheInputs(t *testing.T) {
	t.Parallel()
	in := webui.ReadSchemaForm(schema(t, wide), url.Values{
		"in/size": {"large"}, "in/count": {"12"}, "in/on?": {"shown"}, "in/secret": {" keeps its spaces "}, "in/tags?": {"shown"}, "in/tags": {"a", "c"},
		"in/rules/0/port": {"80"}, "in/rules/0/from": {"x"}, "in/rules/7/port": {"443"}, "in/nested/deep/x": {"1.5"}, "in/free": {`{"any":[1]}`}, "in/why": {"load"},
		"in/unknown": {"ignored"}, "in/nodes": {"3"}, "in/sure": {"true"},
	})
	got, wrong := in.Values, in.Wrong
	want := map[string]any{
		"size": "large", "count": json.Number("12"), "on": false, "secret": " keeps its spaces ", "tags": []any{"a", "c"}, "why": "load", "nodes": 3.0, "sure": true,
		"rules":  []any{map[string]any{"port": json.Number("80"), "from": "x"}, map[string]any{"port": json.Number("443")}},
		"nested": map[string]any{"deep": map[string]any{"x": json.Number("1.5")}}, "free": map[string]any{"any": []any{json.Number("1")}},
	}
	if diff := cmp.Diff(want, got); diff != "" || len(wrong) > 0 {
		t.Errorf("%v\n%s", wrong, diff)
	}
	in = webui.ReadSchemaForm(schema(t, wide), url.Values{"in/size": {"small"}, "in/why": {"does not count"}, "in/count": {"many"}, "in/free": {"{"}, "in/nested/deep/x": {"${{ resources.db.outputs.port }}"}})
	got, wrong = in.Values, in.Wrong
	if got["why"] != nil || len(wrong) != 2 || wrong[0].Field == "" || cmp.Diff(got["nested"], map[string]any{"deep": map[string]any{"x": "${{ resources.db.outputs.port }}"}}) != "" {
		t.Errorf("%v %v", got, wrong)
	}
}

func TestFieldsStandAsTheirAuthorHasThem(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ schema, want string }{
		"the author's order":               {`{"properties":{"a":{"type":"string","x-order":2},"b":{"type":"string","x-order":0},"c":{"type":"string","x-order":1}},"required":["a"]}`, "in/b in/c in/a"},
		"required first, where none is":    {`{"properties":{"a":{"type":"string"},"b":{"type":"string"},"c":{"type":"string"}},"required":["c"]}`, "in/c in/a in/b"},
		"what was added to it comes last":  {`{"properties":{"a":{"type":"string"},"b":{"type":"string","x-order":0}},"required":["a"]}`, "in/b in/a"},
		"an order that is none is the top": {`{"properties":{"a":{"type":"string","x-order":1},"b":{"type":"string","x-order":"first"}}}`, "in/b in/a"},
	} {
		var got []string
		for _, n := range webui.SchemaFields(schema(t, c.schema), nil, nil).Children {
			got = append(got, n.Name)
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: %v, not %s", name, got, c.want)
		}
	}
}

// What a template's author writes is shown as text, whatever it is, and no
// schema makes a form without end.
func TestASchemaIsUntrusted(t *testing.T) {
	t.Parallel()
	many := map[string]any{}
	for i := range 2000 {
		many["p"+strings.Repeat("x", i%40)+string(rune('a'+i%26))] = map[string]any{"type": "string"}
	}
	evil := `"><script>alert(1)</script>`
	for name, s := range map[string]map[string]any{
		"recursive":  schema(t, `{"type":"object","$defs":{"n":{"type":"object","properties":{"n":{"$ref":"#/$defs/n"},"l":{"type":"array","items":{"$ref":"#/$defs/n"}}}}},"properties":{"n":{"$ref":"#/$defs/n"}}}`),
		"loop":       schema(t, `{"type":"object","properties":{"n":{"$ref":"#/properties/n"}}}`),
		"nowhere":    schema(t, `{"type":"object","properties":{"n":{"$ref":"https://evil.example/x"}}}`),
		"many":       {"type": "object", "properties": many},
		"odd":        schema(t, `{"type":"object","properties":{"a":3,"b":{"type":7},"c":{"enum":"x"},"d":{"type":"array"},"e":{"type":["null","integer"]}},"if":3,"allOf":[1]}`),
		"html":       {"type": "object", "properties": map[string]any{evil: map[string]any{"type": "string", "title": evil, "description": evil, "default": evil, "examples": []any{evil}}}},
		"html names": {"type": "object", "properties": map[string]any{evil: map[string]any{"enum": []any{evil}, "title": evil}}},
	} {
		var b strings.Builder
		if err := webui.SchemaForm(webui.SchemaFields(s, nil, []fault.Violation{{Field: "/" + evil, Message: evil}})).Render(t.Context(), &b); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if out := b.String(); strings.Contains(out, "<script") || len(out) > 4<<20 {
			t.Errorf("%s: %d bytes: %.2000s", name, len(out), out)
		}
		webui.ReadSchemaForm(s, url.Values{"in/" + evil: {evil}, "in/n/l/99999999999/n": {"x"}, "in/d/0": {"x"}})
	}
}

func TestMarkdownOfOthersIsTame(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	err := webui.Markdown("# T\n<script>alert(1)</script>\n\n[x](javascript:alert(1)) [y](data:text/html,x) [ok](https://a.example) [in](/docs/errors) [odd](//evil.example)\n\n![i](https://evil.example/t.png)\n\n<img src=x onerror=alert(1)>").Render(t.Context(), &b)
	out := b.String()
	if err != nil || strings.Contains(out, "<script") || strings.Contains(out, "<img") || strings.Contains(out, "javascript:") || strings.Contains(out, "data:text") || strings.Contains(out, `"//evil`) {
		t.Errorf("%v %s", err, out)
	}
	if !strings.Contains(out, `href="https://a.example"`) || !strings.Contains(out, `href="/docs/errors"`) || !strings.Contains(out, "<h3") {
		t.Errorf("too tame: %s", out)
	}
}

// TestWhatIsNotThere: a person sees a page, a program what it can read.
func TestWhatIsNotThere(t *testing.T) {
	t.Parallel()
	_, s := httpx.New(httpx.Options{})
	webui.New(webui.Options{Server: s})
	for accept, want := range map[string]string{"text/html,*/*": "text/html", "application/json": "application/problem+json", "": "application/problem+json"} {
		for _, path := range []string{"/nothing-here", "/assets/0/none.js", "/gallery"} {
			if strings.HasPrefix(path, "/assets") {
				continue
			}
			r := httptest.NewRequest("GET", path, nil)
			r.Header.Set("Accept", accept)
			w := httptest.NewRecorder()
			s.ServeHTTP(w, r)
			if w.Code != http.StatusNotFound || !strings.HasPrefix(w.Header().Get("Content-Type"), want) {
				t.Errorf("%s as %q: %d %s", path, accept, w.Code, w.Header().Get("Content-Type"))
			}
		}
	}
}

func TestAssetsAreKeptForGoodAtTheirAddress(t *testing.T) {
	t.Parallel()
	_, s := httpx.New(httpx.Options{})
	webui.New(webui.Options{Server: s})
	total := 0
	for _, name := range []string{"portal.css", "portal.js", "htmx.js", "icons.svg", "mark.svg"} {
		r := httptest.NewRequest("GET", webui.Asset(name), nil)
		r.Header.Set("Accept-Encoding", "gzip")
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code != 200 || !strings.Contains(w.Header().Get("Cache-Control"), "immutable") || w.Header().Get("Content-Encoding") != "gzip" {
			t.Errorf("%s: %d %v", name, w.Code, w.Header())
		}
		total += w.Body.Len()
	}
	if total > 60<<10 {
		t.Errorf("a first visit takes %d bytes of files", total)
	}
}

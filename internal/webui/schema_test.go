package webui_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"fairlead/internal/fault"
	"fairlead/internal/webui"
)

// shown is a form as a page has it.
func shown(t *testing.T, n *webui.Node) string {
	t.Helper()
	var b strings.Builder
	if err := webui.SchemaForm(n.In("/update", "/pick")).Render(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// names are the names of the fields of a form, without what only marks.
func names(html string) string {
	var out []string
	for _, m := range regexp.MustCompile(` name="([^"?]+(?:\?of)?)"`).FindAllStringSubmatch(html, -1) {
		if !strings.Contains(m[1], "__N__") && (len(out) == 0 || out[len(out)-1] != m[1]) {
			out = append(out, m[1])
		}
	}
	return strings.Join(out, " ")
}

const (
	store = `{"type":"object","properties":{"backup":{"title":"Backup","oneOf":[
		{"title":"Object store","type":"object","properties":{"kind":{"const":"s3"},"bucket":{"type":"string"}},"required":["kind","bucket"]},
		{"title":"Volume","type":"object","properties":{"kind":{"const":"disk"},"size_gb":{"type":"integer"}},"required":["kind","size_gb"]}]}}}`
	either = `{"type":"object","properties":{"url":{"type":"string"},"host":{"type":"string"},"port":{"type":"integer"},"name":{"type":"string"}},
		"oneOf":[{"required":["url"]},{"required":["host","port"]}]}`
	when = `{"type":"object","properties":{"size":{"type":"integer","default":5},"mode":{"enum":["a","b"]},"why":{"type":"string"}},
		"allOf":[{"if":{"properties":{"size":{"minimum":10}},"required":["size"]},"then":{"properties":{"ticket":{"type":"string"}},"required":["ticket"]},"else":{"properties":{"small":{"type":"string"}}}},
			{"if":{"properties":{"mode":{"const":"b"}}},"then":{"required":["why"]}}],
		"dependentSchemas":{"mode":{"properties":{"because":{"type":"string"}}}}}`
)

// What a form asks for depends on what was chosen and written in it.
func TestAFormAsksForWhatTheChosenShapeNeeds(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		schema string
		sent   url.Values // nil: it is opened
		values string     // what there is already
		fields string
		want   string // what is read of what was sent
	}{
		"nothing is chosen yet":   {schema: store, fields: "in/backup?of"},
		"a shape, chosen":         {schema: store, sent: url.Values{"in/backup?of": {"0"}}, fields: "in/backup?of in/backup/bucket in/backup/kind", want: `{"backup":{"kind":"s3"}}`},
		"the other, filled in":    {schema: store, sent: url.Values{"in/backup?of": {"1"}, "in/backup/size_gb": {"7"}, "in/backup/bucket": {"not of this shape"}}, fields: "in/backup?of in/backup/kind in/backup/size_gb", want: `{"backup":{"kind":"disk","size_gb":7}}`},
		"none again":              {schema: store, sent: url.Values{"in/backup?of": {""}, "in/backup/bucket": {"x"}}, fields: "in/backup?of", want: `{}`},
		"no such shape":           {schema: store, sent: url.Values{"in/backup?of": {"99"}}, fields: "in/backup?of", want: `{}`},
		"the shape that is there": {schema: store, values: `{"backup":{"kind":"disk","size_gb":3}}`, fields: "in/backup?of in/backup/kind in/backup/size_gb"},
		"nearly of a shape":       {schema: store, values: `{"backup":{"kind":"disk"}}`, fields: "in/backup?of in/backup/kind in/backup/size_gb"},

		"either, at the top":    {schema: either, fields: "in?of in/url in/name"},
		"the other, at the top": {schema: either, sent: url.Values{"in?of": {"1"}, "in/host": {"h"}, "in/port": {"5432"}, "in/name": {"n"}}, fields: "in?of in/host in/port in/name", want: `{"host":"h","port":5432,"name":"n"}`},

		"a condition, by the default":   {schema: when, fields: "in/mode in/size in/why in/small"},
		"a condition that holds":        {schema: when, sent: url.Values{"in/size": {"12"}, "in/ticket": {"T1"}, "in/small": {"gone"}}, fields: "in/mode in/size in/why in/ticket", want: `{"size":12,"ticket":"T1"}`},
		"a condition that does not":     {schema: when, values: `{"size":3,"mode":"a"}`, fields: "in/mode in/size in/why in/small in/because"},
		"what a field brings with it":   {schema: when, sent: url.Values{"in/mode": {"b"}, "in/why": {"w"}, "in/because": {"c"}}, fields: "in/mode in/size in/why in/small in/because", want: `{"mode":"b","why":"w","because":"c"}`},
		"values, each with a title":     {schema: `{"properties":{"a":{"oneOf":[{"const":1,"title":"One"},{"const":2,"title":"Two"}]}}}`, sent: url.Values{"in/a": {"2"}}, fields: "in/a", want: `{"a":2}`},
		"a value or nothing":            {schema: `{"properties":{"a":{"anyOf":[{"type":"integer"},{"type":"null"}]}}}`, sent: url.Values{"in/a": {"2"}}, fields: "in/a", want: `{"a":2}`},
		"a text or a number":            {schema: `{"properties":{"a":{"anyOf":[{"type":"string"},{"type":"integer"}]}},"required":["a"]}`, sent: url.Values{"in/a?of": {"1"}, "in/a": {"8"}}, fields: "in/a?of in/a", want: `{"a":8}`},
		"shapes within rows":            {schema: `{"properties":{"l":{"type":"array","items":{"oneOf":[{"properties":{"x":{"type":"string"}},"required":["x"]},{"properties":{"y":{"type":"string"}},"required":["y"]}]}}}}`, sent: url.Values{"in/l/0?of": {"0"}, "in/l/0/x": {"1"}, "in/l/4?of": {"1"}, "in/l/4/y": {"2"}}, fields: "in/l/0?of in/l/0/x in/l/1?of in/l/1/y in/l/2?of", want: `{"l":[{"x":"1"},{"y":"2"}]}`},
		"parts that all hold":           {schema: `{"$defs":{"n":{"properties":{"name":{"type":"string"}},"required":["name"]}},"allOf":[{"$ref":"#/$defs/n"},{"properties":{"b":{"type":"boolean"}}}]}`, fields: "in/name in/b"},
		"an output stands for anything": {schema: wide, sent: url.Values{"in/count": {"${{ resources.a.outputs.n }}"}, "in/nested": {"${{ resources.a.outputs.o }}"}, "in/on": {"${{ resources.a.outputs.b }}"}, "in/size": {"${{ resources.a.outputs.s }}"}, "in/tags": {"${{ resources.a.outputs.l }}"}, "in/rules": {"${{ resources.a.outputs.l }}"}}, fields: "in/size in/count in/free in/nested in/nodes in/on in/rules in/secret in/sure in/tags in/why", want: `{"count":"${{ resources.a.outputs.n }}","nested":"${{ resources.a.outputs.o }}","on":"${{ resources.a.outputs.b }}","size":"${{ resources.a.outputs.s }}","tags":"${{ resources.a.outputs.l }}","rules":"${{ resources.a.outputs.l }}"}`},
	} {
		s := schema(t, c.schema)
		var html string
		if c.sent == nil {
			var values map[string]any
			if c.values != "" {
				values = schema(t, c.values)
			}
			html = shown(t, webui.SchemaFields(s, values, nil))
		} else {
			in := webui.ReadSchemaForm(s, c.sent)
			if c.want != "" {
				var got any
				b, err := json.Marshal(in.Values)
				if err == nil {
					err = json.Unmarshal(b, &got)
				}
				if diff := cmp.Diff(any(schema(t, c.want)), got); diff != "" || err != nil {
					t.Errorf("%s: read %v\n%s", name, err, diff)
				}
			}
			html = shown(t, in.Fields(s, nil))
		}
		if got := names(html); got != c.fields {
			t.Errorf("%s:\n got %s\nwant %s", name, got, c.fields)
		}
	}
}

// What cannot be asked for by fields is text, and comes back as it was written
// when it is none.
func TestWhatAFormCannotAskForIsText(t *testing.T) {
	t.Parallel()
	deep := map[string]any{"type": "string"}
	for i := range 20 {
		deep = map[string]any{"type": "object", "properties": map[string]any{fmt.Sprintf("l%d", 19-i): deep}}
	}
	value := any("bottom")
	for i := range 20 {
		value = map[string]any{fmt.Sprintf("l%d", 19-i): value}
	}
	html := shown(t, webui.SchemaFields(deep, value.(map[string]any), nil))
	if !strings.Contains(html, "l19: bottom") || strings.Count(html, "<fieldset") > 7 {
		t.Errorf("twenty levels are shown as %s", html)
	}
	at := "in/l0/l1/l2/l3/l4/l5/l6"
	for name, c := range map[string]struct {
		text, want string
		wrong      int
	}{
		"YAML":     {"l7:\n  l8: {l9: x}", `{"l7":{"l8":{"l9":"x"}}}`, 0},
		"JSON":     {`{"l7": 1.50}`, `{"l7":1.50}`, 0},
		"neither":  {"l7: [", "", 1},
		"by bombs": {"a: &a [x,x]\nb: &b [*a,*a]\nc: [*b,*b]", "", 1},
	} {
		in := webui.ReadSchemaForm(deep, url.Values{at + "?data": {"1"}, at: {c.text}})
		if len(in.Wrong) != c.wrong {
			t.Errorf("%s: %v", name, in.Wrong)
		}
		if c.wrong > 0 {
			if again := shown(t, in.Fields(deep, in.Wrong)); !strings.Contains(again, strings.ReplaceAll(c.text, "&", "&amp;")) || in.Wrong[0].Field != "/l0/l1/l2/l3/l4/l5/l6" {
				t.Errorf("%s: what was written is gone: %v", name, in.Wrong)
			}
			continue
		}
		var v any = in.Values
		for i := range 7 {
			v = v.(map[string]any)[fmt.Sprintf("l%d", i)]
		}
		if b, _ := json.Marshal(v); string(b) != c.want {
			t.Errorf("%s: %s", name, b)
		}
	}
	odd := webui.SchemaFields(schema(t, wide), map[string]any{"nested": []any{"not", "an object"}, "rules": "no list"}, nil)
	if html := shown(t, odd); !strings.Contains(html, "- an object") || !strings.Contains(html, "no list") {
		t.Error("what is there and does not fit is not shown")
	}
}

// Two hundred fields are shown in sections, quickly.
func TestManyFieldsComeInSections(t *testing.T) {
	t.Parallel()
	props := map[string]any{}
	for i := range 200 {
		p := map[string]any{"type": "string", "description": "What it is for"}
		if i%50 == 0 {
			p["x-section"] = "Network"
		}
		props[fmt.Sprintf("field%03d", i)] = p
	}
	s := map[string]any{"type": "object", "properties": props, "required": []any{"field003", "field007"}}
	var html string
	best := time.Hour // of several: the machine may have other work at any moment
	for range 10 {
		began := time.Now()
		html = shown(t, webui.SchemaFields(s, nil, []fault.Violation{{Field: "/field100", Message: "is wrong"}}))
		if best = min(best, time.Since(began)); best < 100*time.Millisecond {
			break
		}
	}
	if best > 100*time.Millisecond {
		t.Errorf("it takes %v", best)
	}
	if n := strings.Count(html, "<details"); n != 12 {
		t.Errorf("%d sections", n)
	}
	if n := strings.Count(html, "<details class=\"section\" open"); n != 2 || !strings.Contains(html, "1 wrong") {
		t.Errorf("%d sections are open: the first, and the one with what is wrong", n)
	}
	sent := url.Values{}
	for key := range props {
		sent.Set("in/"+key, key)
	}
	if in := webui.ReadSchemaForm(s, sent); len(in.Values) != 200 {
		t.Errorf("%d of 200 fields are read", len(in.Values))
	}
}

func TestFieldsSayWhatTheyAre(t *testing.T) {
	t.Parallel()
	html := shown(t, webui.SchemaFields(schema(t, `{"properties":{
		"memory":{"type":"integer","x-unit":"GiB","minimum":1,"maximum":64,"default":4},"timeout_seconds":{"type":"number"},
		"name":{"type":"string","pattern":"^(?P<x>[a-z]+)$","title":"<b>Name</b>","default":"\"><script>alert(1)</script>"},
		"mode":{"enum":["<i>a</i>","b"]}}}`), nil, nil))
	for _, want := range []string{`<span class="unit">GiB</span>`, `<span class="unit">s</span>`, "From 1 to 64", `value="4"`, "&lt;b&gt;Name", "&lt;i&gt;a"} {
		if !strings.Contains(html, want) {
			t.Errorf("%s is not there", want)
		}
	}
	for _, not := range []string{"<script", "<b>", "<i>", "pattern="} { // a browser reads patterns otherwise: the server checks
		if strings.Contains(html, not) {
			t.Errorf("%s is there", not)
		}
	}
}

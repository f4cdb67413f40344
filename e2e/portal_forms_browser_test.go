//go:build browser

package e2e

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"fairlead/internal/template/templatetest"
)

const branchy = `apiVersion: fairlead/v1
kind: Template
metadata: {name: widget, title: Widget, description: "Choices.", version: 1.0.0, tags: [example], owner: platform}
engine: "null"
inputs:
  type: object
  required: [expose]
  properties:
    memory: {type: integer, title: Memory, x-unit: GiB, default: 4}
    database: {type: string, title: Database}
    expose:
      title: Exposed
      oneOf:
      - {title: Inside only, type: object, properties: {kind: {const: internal}, name: {type: string}}, required: [kind, name]}
      - {title: To the world, type: object, properties: {kind: {const: public}, hostname: {type: string}}, required: [kind, hostname]}
  if: {properties: {memory: {minimum: 32}}, required: [memory]}
  then: {properties: {ticket: {type: string, title: Ticket}}, required: [ticket]}
outputs:
  value: {type: string}
spec:
  outputs: {value: "${{ inputs.database }}"}
`

// template pushes one of a single file.
func (e *estate) template(t *testing.T, text string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, e.s.url()+"/api/v1/templates", templatetest.Files{"template.yaml": text}.Tar(t))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-tar")
	req.Header.Set("Authorization", "Bearer "+e.c.token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusCreated {
		t.Fatalf("template: %d", res.StatusCode)
	}
}

// looksRight holds a page against its screen, once no colour is on its way to
// another theme's any more.
func (tb *tab) looksRight(name string) {
	tb.t.Helper()
	tb.until("it stands still", `document.getAnimations().length === 0`)
	tb.fits(name)
	tb.accessible(name)
	tb.shot(name)
}

// TestBrowserARequestWithChoices: a shape is chosen, a condition asks for
// more, an output is picked from the list; all of it is made.
func TestBrowserARequestWithChoices(t *testing.T) {
	e := newEstate(t)
	e.template(t, branchy)
	in := e.params["project"] + "/" + e.params["environment"]
	tb := e.browse(t, "administrator")
	for _, s := range screens {
		tb.on(s)
		tb.open("/create/widget?in=" + url.QueryEscape(in))
		tb.until("the preview", `document.querySelector("#panel [data-errors]")`)
		tb.looksRight("create-widget-" + s.name)
	}
	tb.on(screens[0])
	tb.fill("#f-name", "chosen")
	tb.click(`input[name="in/expose?of"][value="1"]`)
	tb.until("the other shape", `document.querySelector("#in-expose-hostname") && !document.querySelector("#in-expose-name")`)
	tb.fill("#in-expose-hostname", "shop.example.org")
	tb.fill("#in-memory", "64")
	js[bool](tb, `document.querySelector("#in-memory").dispatchEvent(new Event("change", {bubbles: true}))`)
	tb.until("what a large one needs", `document.querySelector("#in-ticket")`)
	tb.fill("#in-ticket", "T-1")
	if js[string](tb, `document.querySelector("#in-expose-hostname").value`) != "shop.example.org" {
		t.Error("what was written is gone")
	}
	tb.click(`[data-pick="in/database"]`)
	tb.until("outputs", `document.querySelector("#offers [data-reference]")`)
	tb.accessible("the list of outputs")
	tb.shot("pick")
	tb.fill("#pick input[type=search]", mark+"-app")
	tb.until("its own", `document.querySelectorAll("#offers [data-reference]").length === 1`)
	tb.click("#offers [data-reference]")
	tb.until("it is referred to", `document.querySelector("#in-database")?.value === "${{ resources.`+mark+`-app.outputs.value }}"`)
	tb.says("Nothing stands against it")
	tb.shot("create-widget-filled")
	tb.click("[data-final]")
	tb.until("its page", `location.pathname === "/projects/`+in+`/chosen"`)
	tb.until("ready, with the other's output", `document.querySelector(".head .badge.ok")?.innerText === "ready"`)

	// A draft keeps what is asked for by a choice alone.
	tb.open("/create/widget?in=" + url.QueryEscape(in))
	tb.click(`input[name="in/expose?of"][value="1"]`)
	tb.until("the other shape", `document.querySelector("#in-expose-hostname")`)
	tb.fill("#in-expose-hostname", "kept.example.org")
	tb.open("/")
	tb.open("/create/widget?in=" + url.QueryEscape(in))
	tb.until("the draft", `document.querySelector("#in-expose-hostname")?.value === "kept.example.org"`)
	tb.clean()
}

// TestBrowserTwoChangesAreMerged: the second of two sees both, and nothing is
// lost.
func TestBrowserTwoChangesAreMerged(t *testing.T) {
	e := newEstate(t)
	at := e.params["project"] + "/" + e.params["environment"] + "/" + e.params["resource"]
	tb := e.browse(t, "administrator")
	tb.on(screens[0])
	tb.open("/projects/" + at + "/change")
	tb.fill("#in-value", "mine")
	api := "/api/v1/projects/" + e.params["project"] + "/environments/" + e.params["environment"] + "/resources/" + e.params["resource"]
	e.c.must(t, "PATCH", api, map[string]any{"set": map[string]any{"value": "theirs", "delay": "10ms"}, "note": "meanwhile"}, "", 200)
	tb.fill("#f-note", "after all")
	tb.says("See both changes")
	tb.click(`button[formaction$="/merge"]`)
	tb.says("Two changes at once")
	for _, s := range screens {
		tb.on(s)
		tb.looksRight("merge-" + s.name)
	}
	tb.says("theirs")
	tb.says("meanwhile")
	if got := js[string](tb, `document.querySelector("#in-value").value + " " + document.querySelector("#in-delay").value`); got != "mine 10ms" {
		t.Errorf("merged is %q", got)
	}
	tb.click("[data-final]")
	tb.until("its page", `location.pathname === "/projects/`+at+`"`)
	got := e.c.must(t, "GET", api, nil, "", 200)
	if in, _ := got.json["inputs"].(map[string]any); in["value"] != "mine" || in["delay"] != "10ms" {
		t.Errorf("sent %v", in)
	}
	tb.clean("409")
}

// TestBrowserAGuardrailIsWritten: with a mistake, mended, checked, put in
// force; it refuses a request and says what to do; a backtest shows whom else
// it would have refused.
func TestBrowserAGuardrailIsWritten(t *testing.T) {
	e := newEstate(t)
	in := e.params["project"] + "/" + e.params["environment"]
	tb := e.browse(t, "administrator")
	tb.on(screens[0])
	tb.open("/guardrails")
	tb.click(`[popovertarget="new-bundle"]`)
	tb.fill("#bundle-name", "words")
	tb.click("#new-bundle .btn.primary")
	tb.until("the editor", `location.pathname === "/guardrails/words/edit"`)
	tb.until("it compiles", `document.querySelector("#checked")?.innerText.includes("2 pass")`)
	for _, s := range screens {
		tb.on(s)
		tb.looksRight("guardrail-edit-" + s.name)
	}
	tb.on(screens[0])
	write := func(file, text string) {
		t.Helper()
		js[bool](tb, fmt.Sprintf(`(() => { const el = document.querySelector('[name="file/%s"]'); el.value = %q; el.dispatchEvent(new Event("input", {bubbles: true})); return true })()`, file, text))
	}
	rule := "package words\n\ndeny contains {\"msg\": \"that word is not used here\", \"remedy\": \"say it otherwise\", \"field\": \"/value\"} if {\n\tinput.inputs.value == \"naughty\"\n"
	write("words.rego", rule)
	tb.until("what is wrong, with its line", `document.querySelector("#checked .problems a")?.innerText.startsWith("words.rego:")`)
	tb.click("#checked .problems a")
	tb.until("the line", `document.activeElement?.name === "file/words.rego"`)
	tb.shot("guardrail-wrong")
	write("words.rego", rule+"}\n")
	write("words_test.rego", "package words_test\n\nimport data.words\n\ntest_nice if count(words.deny) == 0 with input as {\"inputs\": {\"value\": \"nice\"}}\n\ntest_naughty if count(words.deny) == 1 with input as {\"inputs\": {\"value\": \"naughty\"}}\n")
	js[bool](tb, `(() => { const el = document.querySelector('[name="file/policy.yaml"]'); el.value = el.value.replace(/  scope:\n    classes: \[production\]\n/, ""); el.dispatchEvent(new Event("input", {bubbles: true})); return true })()`)
	tb.until("it is right", `document.querySelector("#checked")?.innerText.includes("test_naughty") && document.querySelector("#checked")?.innerText.includes("for everything")`)
	tb.click(`button[name="then"]`)
	tb.until("in force", `location.pathname === "/guardrails/words" && document.querySelector(".head .badge.ok")?.innerText === "in force"`)
	tb.shot("guardrail-in-force")

	tb.open("/create/null?in=" + url.QueryEscape(in))
	tb.fill("#f-name", "refused")
	tb.fill("#in-value", "naughty")
	tb.says("This would be refused")
	tb.says("say it otherwise")
	tb.click("[data-final]")
	tb.until("refused, with the form", `document.querySelector("#in-value")?.value === "naughty" && document.querySelector("[role=alert]")`)
	tb.shot("refused")

	tb.open("/guardrails/words")
	tb.click(`[popovertarget="backtest"]`)
	tb.click("#backtest .btn.primary")
	tb.until("the backtest's end", `location.pathname.startsWith("/backtests/") && document.querySelector(".head .badge.ok")?.innerText === "done"`)
	for _, s := range screens {
		tb.on(s)
		tb.looksRight("backtest-" + s.name)
	}
	tb.clean("403", "422")
}

// TestBrowserTwoHundredFields: in sections, one found by its name, one wrong.
func TestBrowserTwoHundredFields(t *testing.T) {
	e := newEstate(t)
	var b strings.Builder
	b.WriteString("apiVersion: fairlead/v1\nkind: Template\nmetadata: {name: wide, title: Wide, description: Many., version: 1.0.0, owner: platform}\nengine: \"null\"\ninputs:\n  type: object\n  properties:\n")
	for i := range 200 {
		fmt.Fprintf(&b, "    field%03d: {type: integer, title: \"<b>Field</b> %d\"}\n", i, i)
	}
	b.WriteString("spec: {outputs: {}}\n")
	e.template(t, b.String())
	in := e.params["project"] + "/" + e.params["environment"]
	tb := e.browse(t, "administrator")
	for _, s := range screens {
		tb.on(s)
		tb.open("/create/wide?in=" + url.QueryEscape(in))
		tb.until("the preview", `document.querySelector("#panel [data-errors]")`)
		tb.looksRight("create-wide-" + s.name)
	}
	tb.on(screens[0])
	if n := js[int](tb, `document.querySelectorAll(".section").length`); n != 10 {
		t.Errorf("%d sections", n)
	}
	tb.fill("#f-name", "wide")
	tb.fill("[data-field-find]", "field177")
	tb.until("it alone", `[...document.querySelectorAll(".section [data-field]")].filter((f) => f.offsetParent).length === 1`)
	tb.fill("#in-field177", "many")
	tb.click("[data-final]")
	tb.until("what is wrong, in its open section", `document.querySelector("#in-field177")?.offsetParent && document.querySelector("#in-field177-error")?.innerText.includes("number")`)
	tb.fill("#in-field177", "7")
	tb.click("[data-final]")
	tb.until("its page", `location.pathname === "/projects/`+in+`/wide"`)
	tb.clean("422", "400")
}

//go:build browser

package e2e

import (
	"fmt"
	"testing"
)

// TestBrowserHomeShowsWhatWaits: what somebody changed, and what offends a
// guardrail that came later, are on the first page while they wait.
func TestBrowserHomeShowsWhatWaits(t *testing.T) {
	s := newServer(t, withBox(sharedBox(t)), withConfig(loopback))
	s.start()
	d := driftingIn(environment(t, s), s)
	d.makes()
	d.c.settle(t, d.create("noisy", "null", map[string]any{"value": "loud"}), patience, applied(1))
	e := &estate{s: s, c: d.c, params: map[string]string{}}
	tb := e.browse(t, "administrator")
	tb.on(screens[0])
	tb.open("/")
	tb.until("nothing waits", `!document.querySelector("#page").innerText.includes("Waits for you")`)
	js[bool](tb, `window.untouched = true`)
	row := func(name, about string) string {
		return fmt.Sprintf(`[...document.querySelectorAll("#page ul.rows li")].some((li) => li.querySelector(".main a")?.innerText === %q && li.innerText.includes(%q))`, name, about)
	}
	d.tampered("orders", 3)
	tb.until("what was changed, live", row("orders", "web / dev is not as wanted: person")+` && window.untouched === true`)
	d.c.must(t, "POST", "/api/v1/guardrails", folder(t, map[string]string{
		"policy.yaml":     "apiVersion: fairlead/v1\nkind: PolicyBundle\nmetadata: {name: quiet, version: 1.0.0, title: Quiet}\nguardrails:\n- {package: quiet, stage: request}\n",
		"quiet.rego":      "package quiet\n\ndeny contains {\"msg\": \"the value is loud\", \"remedy\": \"say it quietly\", \"field\": \"/value\"} if {\n\tinput.action != \"destroy\"\n\tinput.inputs.value == \"loud\"\n}\n",
		"quiet_test.rego": "package quiet_test\n\nimport data.quiet\n\ntest_loud if count(quiet.deny) == 1 with input as {\"action\": \"create\", \"inputs\": {\"value\": \"loud\"}}\n",
	}), "", 201)
	d.c.must(t, "POST", "/api/v1/guardrails/quiet/versions/1.0.0/activate", nil, "", 200)
	tb.until("what offends, live", row("noisy", "the value is loud")+` && window.untouched === true`)
	for _, s := range screens {
		tb.on(s)
		tb.looksRight("home-waits-" + s.name)
	}
	tb.click(`a.side-info[href="/compliance"]`)
	tb.says("say it quietly")
	tb.open("/")
	tb.click(`a[href="/projects/web/dev/orders/drift"]`)
	tb.until("its own page", `document.querySelector("#reason")`)
	tb.fill("#reason", "for the sale")
	tb.click(`form[action$="/drift/accept"] .btn`)
	tb.until("accepted", `!document.querySelector("form[action$='/drift/accept']")`)
	tb.open("/")
	tb.until("the other alone", row("noisy", "the value is loud")+` && !`+row("orders", "is not as wanted"))
	tb.clean()
}

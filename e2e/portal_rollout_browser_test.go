//go:build browser

package e2e

import (
	"fmt"
	"testing"
)

// fleetOf is a server with resources of fleet 1.0.0, of which one is in trouble
// with 1.1.0.
func fleetOf(t *testing.T, n int) (*estate, *fleet) {
	s := newServer(t, withConfig(loopback))
	s.start()
	f := &fleet{job: environment(t, s)}
	f.c.must(t, "POST", "/api/v1/templates", fleetTemplate(t, "1.0.0", "  outputs: {trouble: \"${{ inputs.trouble }}\"}\n"), "", 201)
	for i := range n {
		inputs := map[string]any{}
		if i == n-1 {
			inputs["trouble"] = "broke"
		}
		f.id = append(f.id, f.create(fmt.Sprintf("f%d", i), "fleet", inputs))
	}
	for _, id := range f.id {
		f.c.settle(t, id, patience, applied(1))
	}
	f.c.must(t, "POST", "/api/v1/templates", fleetTemplate(t, "1.1.0", "  outputs: {trouble: \"${{ inputs.trouble }}\", extra: \"yes\"}\n  fail: \"${{ inputs.trouble }}\"\n"), "", 201)
	f.c.must(t, "POST", "/api/v1/templates", fleetTemplate(t, "1.2.0", "  outputs: {trouble: \"${{ inputs.trouble }}\", extra: \"yes\"}\n"), "", 201)
	return &estate{s: s, c: f.c, params: map[string]string{}}, f
}

// TestBrowserARolloutIsWatched: a bad version comes in waves, halts and is
// taken back, and a good one comes to all, on a page that nobody reloads.
func TestBrowserARolloutIsWatched(t *testing.T) {
	e, f := fleetOf(t, 4)
	e.user(t, "vera", "shop", "viewer")
	tb := e.browse(t, "administrator")
	tb.on(screens[0])
	badge := func(text string) string {
		return fmt.Sprintf(`document.querySelector(".head .badge")?.innerText === %q && window.untouched === true`, text)
	}
	begin := func(to string) string {
		id := e.c.must(t, "POST", "/api/v1/rollouts", map[string]any{"template": "fleet", "to": to, "waves": "50%,100%", "rollback": "all"}, "", 201).str("id")
		tb.open("/rollouts/" + id)
		js[bool](tb, `window.untouched = true`)
		tb.until("planned, live", badge("planned"))
		return id
	}
	id := begin("1.1.0")
	tb.says("4 members")
	vera := e.browse(t, "vera")
	vera.open("/rollouts/" + id)
	vera.says("4 members")
	if js[int](vera, `document.querySelectorAll("[name=do], [name=decision]").length`) != 0 {
		t.Error("who may only look is shown buttons")
	}
	tb.click(`form:has([value="start"]) .btn`)
	tb.until("begun", `document.querySelector(".toast")?.innerText.includes("goes on")`)
	js[bool](tb, `window.untouched = true`)
	vera.until("taken back, seen by another, too", `document.querySelector(".head .badge")?.innerText === "reverted"`)
	tb.until("taken back, live", badge("reverted"))
	tb.says("4 taken back")
	tb.fits("a rollout that was taken back")
	tb.accessible("a rollout that was taken back")
	tb.shot("rollout-reverted")
	for _, id := range f.id {
		if r := f.c.settle(t, id, patience, inPhase("ready")); r.str("templateVersion") != "1.0.0" {
			t.Errorf("taken back, it is %v", r)
		}
	}
	begin("1.2.0")
	tb.click(`form:has([value="start"]) .btn`)
	tb.until("begun", `document.querySelector(".toast")?.innerText.includes("goes on")`)
	js[bool](tb, `window.untouched = true`)
	tb.until("succeeded, live", badge("succeeded"))
	tb.until("each member is done", `[...document.querySelectorAll("table .badge")].filter(b => b.innerText === "done").length === 4`)
	tb.open("/rollouts")
	tb.fill("input[name=q]", "flee")
	tb.until("found by a part of its name", `location.search.includes("q=flee") && document.querySelectorAll("table tbody tr").length === 2`)
	tb.clean()
	vera.clean()
}

// TestBrowserAResourceIsPinnedAndUpgraded: pinned with a reason and an end, it
// is left out; unpinned, it is upgraded alone after a look at what that does.
func TestBrowserAResourceIsPinnedAndUpgraded(t *testing.T) {
	e, _ := fleetOf(t, 2)
	e.user(t, "vera", "shop", "viewer")
	tb := e.browse(t, "administrator")
	tb.on(screens[0])
	tb.open("/projects/web/dev/f0/version")
	tb.fill("#pin-reason", "the release of friday")
	tb.fill("#pin-until", "soon")
	tb.click(`form[action$="/pin"] .btn`)
	tb.says("The end is neither a length of time nor a day")
	tb.fill("#pin-until", "7d")
	tb.click(`form[action$="/pin"] .btn`)
	tb.until("pinned", `document.querySelector("#page").innerText.includes("It stays at 1.0.0")`)
	tb.says("take the pin away to upgrade it")
	tb.accessible("what is pinned")
	tb.shot("pinned")
	vera := e.browse(t, "vera")
	vera.open("/projects/web/dev/f0/version")
	vera.says("It stays at 1.0.0")
	if js[int](vera, `document.querySelectorAll("form[action$='/unpin'], form[action$='/pin']").length`) != 0 {
		t.Error("who may only look is shown how to unpin")
	}
	js[bool](vera, `window.untouched = true`)

	id := e.c.must(t, "POST", "/api/v1/rollouts", map[string]any{"template": "fleet", "to": "1.2.0"}, "", 201).str("id")
	tb.open("/rollouts/" + id)
	tb.until("left out", `[...document.querySelectorAll("table .badge")].some(b => b.innerText === "excluded")`)
	tb.says("the release of friday")
	for _, page := range []string{"/pins", "/pins?rollout=" + id, "/templates/fleet/pins"} {
		tb.open(page)
		tb.until("who is pinned", `document.querySelector("table .name")?.innerText === "f0" && document.querySelector("table").innerText.includes("the release of friday")`)
	}
	tb.open("/projects/web/dev/f1/version")
	tb.click("details.body summary")
	tb.fill("#exempt-"+id+"-reason", "a migration")
	tb.fill("#exempt-"+id+"-until", "3d")
	tb.click(`form[action$="/exempt"] .btn`)
	tb.until("exempt", `document.querySelector("#page").innerText.includes("It leaves this one as it is")`)
	tb.shot("exempt")
	tb.click(`form[action$="/unexempt"] .btn`)
	tb.until("not exempt any more", `document.querySelector("form[action$='/exempt']")`)
	e.c.must(t, "POST", "/api/v1/rollouts/"+id+"/start", nil, "", 200, 409)

	tb.open("/projects/web/dev/f0/version")
	tb.click(`form[action$="/unpin"] .btn`)
	tb.until("unpinned", `document.querySelector("#page").innerText.includes("Rollouts may change it")`)
	vera.until("unpinned, seen by another, live", `document.querySelector("#page").innerText.includes("Rollouts may change it") && window.untouched === true`)
	tb.click(`form[action$="/upgrade"] .btn`)
	tb.says("What it would do")
	tb.says("extra")
	tb.accessible("what an upgrade does")
	tb.fill("#note", "at last")
	tb.click(`form[method="post"][action$="/upgrade"] .btn.primary`)
	tb.until("upgraded, live", `location.pathname === "/projects/web/dev/f0" && document.querySelector(".head .sub").innerText.includes("1.2.0") && document.querySelector(".head .badge.ok")?.innerText === "ready"`)
	tb.clean("422")
	vera.clean()
}

// TestBrowserDriftIsAnswered: what somebody changed is on the page of drift,
// waits for an answer, is accepted, changes again, and is put right there.
func TestBrowserDriftIsAnswered(t *testing.T) {
	s := newServer(t, withBox(sharedBox(t)), withConfig(loopback))
	s.start()
	d := driftingIn(environment(t, s), s)
	d.makes()
	e := &estate{s: s, c: d.c, params: map[string]string{}}
	tb := e.browse(t, "administrator")
	tb.on(screens[0])
	tb.open("/drift")
	tb.says("Nothing here")
	js[bool](tb, `window.untouched = true`)
	d.tampered("orders", 3)
	tb.until("seen, live", `document.querySelector("table .name")?.innerText === "orders" && window.untouched === true`)
	tb.says("Waits for a person")
	tb.fill("input[name=q]", "rder")
	tb.until("found by a part of its name", `location.search.includes("q=rder") && document.querySelector("table .name")?.innerText === "orders"`)
	tb.click("table .name")
	tb.until("its own page", `location.pathname === "/projects/web/dev/orders/drift"`)
	tb.fill("#reason", "more room for the sale")
	tb.click(`form[action$="/drift/accept"] .btn`)
	tb.until("accepted", `document.querySelector("#page").innerText.includes("more room for the sale") && !document.querySelector("form[action$='/drift/accept']")`)
	js[bool](tb, `window.untouched = true`)
	d.tampered("orders", 4)
	tb.until("seen again, live", `document.querySelector("form[action$='/drift/heal']") && window.untouched === true`)
	tb.accessible("what waits for an answer")
	tb.shot("drift-asks")
	tb.click(`form[action$="/drift/heal"] .btn`)
	tb.until("put right, live", `document.querySelector("#page").innerText.includes("As wanted")`)
	tb.open("/drift")
	tb.says("Nothing here")
	tb.clean()
}

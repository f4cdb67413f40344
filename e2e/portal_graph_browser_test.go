//go:build browser

package e2e

import (
	"strings"
	"testing"
)

// linked is an environment in which one thing takes from another, and another
// environment with a part of that.
func linked(t *testing.T, e *estate) (dev string) {
	t.Helper()
	at := "/api/v1/projects/" + e.params["project"] + "/environments/"
	e.c.must(t, "POST", "/api/v1/projects/"+e.params["project"]+"/environments", map[string]any{"name": "next", "class": "staging"}, "", 201)
	ask := func(env, name, value string) {
		r := e.c.must(t, "POST", at+env+"/resources", map[string]any{"name": name, "template": "null", "inputs": map[string]any{"value": value}}, "", 201)
		e.c.settle(t, r.str("id"), patience, applied(1))
	}
	ask(e.params["environment"], "base", "one")
	ask(e.params["environment"], "top", "${{ resources.base.outputs.value }}")
	ask("next", "base", "two")
	return "/projects/" + e.params["project"] + "/" + e.params["environment"]
}

// TestBrowserTheGraph is found in, walked by keys, zoomed, updates itself, and
// leads on by a click; its list is there without it.
func TestBrowserTheGraph(t *testing.T) {
	e := newEstate(t)
	dev := linked(t, e)
	tb := e.browse(t, "administrator")
	tb.on(screens[0])
	tb.open(dev + "?view=graph")
	tb.until("drawn", `document.querySelectorAll(".gnode").length >= 3 && document.querySelectorAll(".gedges path").length === 1`)
	tb.until("the buttons", `!document.querySelector(".graph .zoom").hidden`)
	tb.shot("journey-graph")
	tb.fill("[data-graph-search]", "top")
	tb.until("found", `document.querySelectorAll(".gnode.found").length === 1`)
	js[bool](tb, `(document.querySelector(".graph form[role=search]").requestSubmit(), true)`)
	tb.until("the found one has the focus", `document.activeElement.dataset.find?.startsWith("top ")`)
	key := func(key string) {
		js[bool](tb, `document.activeElement.dispatchEvent(new KeyboardEvent("keydown", {key: "`+key+`", bubbles: true, cancelable: true})) || true`)
	}
	key("ArrowRight")
	tb.until("what it takes from", `document.activeElement.dataset.find?.startsWith("base ")`)
	tb.until("its edge stands out", `document.querySelectorAll(".gedges path.lit").length === 1`)
	width := `document.querySelector(".graphbox > svg").getBoundingClientRect().width`
	before := js[string](tb, `String(`+width+`)`)
	key("+")
	tb.until("larger", width+` > `+before)
	key("0")
	tb.until("as before", width+` === `+before)
	js[bool](tb, `window.untouched = true`)
	e.c.must(t, "PATCH", "/api/v1"+strings.Replace(dev, "/"+e.params["environment"], "/environments/"+e.params["environment"], 1)+"/resources/base", map[string]any{"set": map[string]any{"fail": "gone wrong"}}, "", 200)
	tb.until("failed, live", `document.querySelector(".gnode.bad")?.dataset.find.startsWith("base ") && window.untouched === true`)
	tb.click(".graphlist summary")
	tb.accessible("the graph as a list")
	js[bool](tb, `(document.querySelector(".gnode[data-find^='top ']").dispatchEvent(new MouseEvent("click", {bubbles: true, cancelable: true})), true)`)
	tb.until("its page", `location.pathname.endsWith("/top")`)
	tb.until("its neighbourhood", `document.querySelector(".graph.small .gnode.current")`)
	tb.accessible("a resource with neighbours")
	tb.clean()
}

// TestBrowserTwoEnvironmentsCompared: what differs, and the way to make it alike.
func TestBrowserTwoEnvironmentsCompared(t *testing.T) {
	e := newEstate(t)
	linked(t, e)
	tb := e.browse(t, "administrator")
	tb.on(screens[0])
	tb.open("/projects/" + e.params["project"])
	tb.click(`.head a[href$="/compare"]`)
	tb.until("the comparison", `location.pathname.endsWith("/compare") && document.querySelector("table.compare")`)
	js[bool](tb, `(() => { const b = document.querySelector("select[name=b]"); b.value = "next"; b.dispatchEvent(new Event("change", {bubbles: true})); return true })()`)
	tb.until("the one that was chosen", `new URLSearchParams(location.search).get("b") === "next"`)
	tb.says("only in " + e.params["environment"])
	tb.says("value: one")
	tb.says("value: two")
	tb.accessible("a comparison")
	js[bool](tb, `([...document.querySelectorAll("table.compare a.btn")].find((a) => a.closest("tr").innerText.includes("top")).click(), true)`)
	tb.until("a form, filled in", `location.pathname === "/create/null" && document.querySelector("#f-name")?.value === "top" && document.querySelector("#in-value")?.value.includes("resources.base")`)
	tb.says("Nothing stands against it")
	tb.click("[data-final]")
	tb.until("made", `location.pathname.endsWith("/next/top")`)
	tb.open("/projects/" + e.params["project"] + "/compare?state=same&b=next&a=" + e.params["environment"])
	tb.says("top")
	tb.clean()
}

// TestBrowserABudgetIsSetAndSeen: things with prices, what they cost step by
// step down, a budget, and that it is held against.
func TestBrowserABudgetIsSetAndSeen(t *testing.T) {
	e := newEstate(t)
	tb := e.browse(t, "administrator")
	tb.on(screens[0])
	tb.open("/costs")
	tb.click(`[popovertarget="set-budget"]`)
	tb.fill("#max-new", "much")
	tb.click("#set-budget .btn.primary")
	tb.says("The budget is not a number")
	tb.click(`[popovertarget="set-budget"]`)
	tb.fill("#max-new", "250.5")
	tb.fill("#project-new", e.params["project"])
	tb.click("#set-budget .btn.primary")
	tb.until("told so", `document.querySelector(".toast")?.innerText.includes("holds from now on")`)
	tb.says("250.5 a month")
	tb.says("Project " + e.params["project"])
	tb.accessible("costs with a budget")
	tb.shot("journey-costs")
	tb.click(`.field button[popovertarget^="budget-"]`)
	tb.fill(`.modal:popover-open input[name="max"]`, "300")
	tb.click(".modal:popover-open .btn.primary")
	tb.says("300 a month")
	tb.open("/projects/" + e.params["project"] + "/" + e.params["environment"])
	tb.says("of 300")
	tb.clean("422") // the form that was wrong
}

// TestBrowserTheCalendarIsKept: a freeze is made, seen, drawn and ended; a
// window and a schedule likewise.
func TestBrowserTheCalendarIsKept(t *testing.T) {
	e := newEstate(t)
	tb := e.browse(t, "administrator")
	tb.on(screens[0])
	tb.open("/calendar")
	tb.click(`.head [popovertarget="add-entry"]`)
	tb.fill("#c-name", "year-end")
	tb.fill("#c-reason", "Nobody is there <b>to mend it</b>")
	js[bool](tb, `(document.querySelector("#c-until").value = new Date(Date.now() + 3 * 86400e3).toISOString().slice(0, 16), true)`)
	tb.click("#add-entry .btn.primary")
	tb.says("in force")
	tb.says("Nobody is there <b>to mend it</b>")
	tb.until("drawn", `document.querySelector(".strip .span.bad")`)
	tb.accessible("a calendar with a freeze")
	tb.shot("journey-calendar")
	tb.click(`[aria-label="Remove year-end"]`)
	tb.click(".modal:popover-open .btn.danger")
	tb.until("gone", `document.querySelector(".toast")?.innerText.includes("gone") && !document.querySelector('[aria-label="Remove year-end"]')`)
	for _, show := range []string{"windows", "schedules"} {
		tb.open("/calendar?show=" + show)
		tb.click(`.head [popovertarget="add-entry"]`)
		tb.fill("#c-name", "journey-office")
		tb.fill("#c-zone", "Europe/Berlin")
		tb.click("#add-entry .btn.primary")
		tb.says("mon to fri, 09:00 to 17:00, Europe/Berlin")
		tb.until("drawn", `document.querySelectorAll(".strip rect.span").length >= 9`)
		tb.accessible(show)
	}
	tb.clean()
}

//go:build browser

package e2e

import (
	"strconv"
	"testing"
	"time"
)

// TestBrowserTheFirstRun goes from the printed link to a resource that is ready
// and a colleague's link, by clicking and typing alone, in less than two
// minutes; it is left in between, and goes on where it was.
func TestBrowserTheFirstRun(t *testing.T) {
	s := newServer(t)
	s.start()
	tb := &tab{newBrowser(t, s.url()), t, s.url()}
	tb.on(screens[0])
	began := time.Now()
	tb.open("/sign-in?link=" + s.link())
	tb.click("form button")
	tb.until("the first run", `location.pathname === "/start" && document.querySelector("#next")`)
	tb.shot("first-password")
	tb.fill("#next", "three unrelated words")
	tb.fill("#again", "three unrelated wards")
	tb.click(`form[action="/start/password"] .btn.primary`)
	tb.says("The two passwords are not the same")
	tb.fill("#next", "three unrelated words")
	tb.fill("#again", "three unrelated words")
	tb.click(`form[action="/start/password"] .btn.primary`)
	tb.until("the place", `document.querySelector("#team")?.value && document.querySelector("#project").value && document.querySelector("#environment").value`)
	tb.shot("first-place")
	tb.click(`form[action="/start/place"] .btn.primary`)
	tb.until("what can be asked for", `document.querySelector(".offers")`)
	tb.shot("first-request")

	tb.click(`.leave a`) // left: the home page leads back to what is not done
	tb.until("home", `location.pathname === "/" && document.querySelector(".todos .next a")?.innerText === "Get the first resource"`)
	tb.click(`.todos .next a`)
	tb.until("back", `location.pathname === "/start" && document.querySelector(".offers")`)
	tb.click(`.offers li:has(input[value="null"]) .btn.primary`)
	tb.until("it is watched", `document.querySelector(".watched")`)
	tb.until("ready, live", `document.querySelector("#page h1").innerText === "hello is ready"`)
	if took := time.Since(began); took > 2*time.Minute {
		t.Errorf("the first resource took %v", took)
	}
	tb.shot("first-ready")
	tb.click(`.first-run .btn.primary`)
	tb.until("colleagues", `document.querySelector('form[action="/start/colleague"] #name')`)
	tb.fill("#name", "ada")
	tb.click(`form[action="/start/colleague"] .btn.primary`)
	tb.says("ada can sign in")
	tb.accessible("the colleague's link")
	link := js[string](tb, `document.querySelector(".code pre").innerText.trim()`)
	tb.click(`.first-run .btn.primary`)
	tb.until("home again", `location.pathname === "/"`)
	tb.says("6 of 9")
	tb.click(`[aria-label="Put the first steps away"]`)
	tb.until("put away", `location.pathname === "/" && !document.querySelector(".todos")`)
	tb.clean("422")

	ada := &tab{newBrowser(t, s.url()), t, s.url()}
	ada.open(link[len(s.url()):])
	ada.click("form button")
	ada.until("a developer is at home", `location.pathname === "/" && document.querySelector(".todos")`)
	ada.says("sandbox")
	ada.clean()
}

// TestBrowserIsThisPageHelpful is answered at the foot, with words, and read.
func TestBrowserIsThisPageHelpful(t *testing.T) {
	e := newEstate(t)
	tb := e.browse(t, "administrator")
	tb.on(screens[0])
	tb.open("/projects")
	tb.until("htmx", `window.htmx && document.readyState === "complete"`)
	tb.click(`.helpful button[value="no"]`)
	tb.until("it asks why", `document.querySelector(".foot #feedback-words")`)
	tb.accessible("the words")
	tb.fill("#feedback-words", "where is <b>the</b> button?")
	tb.click(`.foot .helpful .btn`)
	tb.until("thanks", `document.querySelector(".foot").innerText.includes("Thank you. The platform team reads it.")`)
	if at := js[string](tb, `location.pathname`); at != "/projects" {
		t.Errorf("it leads to %s", at)
	}
	tb.open("/feedback")
	tb.says("/projects")
	tb.shot("feedback")
	tb.click(`td a.name`)
	tb.says("where is <b>the</b> button?") // as text
	tb.clean()

	// The manual asks the same, without a script.
	tb.bare("/docs/portal")
	tb.accessible("the manual, signed in")
	tb.shot("docs-portal")
	tb.click(`footer button[value="no"]`)
	tb.until("it asks why, on a page of its own", `location.pathname === "/feedback" && document.querySelector("#feedback-words")`)
	tb.fill("#feedback-words", "a picture of the mast")
	tb.click(`#page .narrow form .btn`)
	tb.says("Thank you. The platform team reads it.")
	tb.accessible("thanks")
	tb.shot("docs-thanks")
	tb.click(`#page a[href="/docs/portal"]`)
	tb.until("back at the manual", `location.pathname === "/docs/portal"`)
	tb.open("/feedback?show=said&page=%2Fdocs%2Fportal")
	tb.says("a picture of the mast")
	out := &tab{newBrowser(t, e.s.url()), t, e.s.url()}
	out.bare("/docs/portal")
	if js[bool](out, `!!document.querySelector("form")`) {
		t.Error("nobody is asked")
	}
}

// TestBrowserTheBellRings on whatever page somebody is, while another acts; and
// what waits for them is in the inbox at once.
func TestBrowserTheBellRings(t *testing.T) {
	e := newEstate(t)
	e.user(t, "bob", mark+"-acme", "approver")
	in := "/api/v1/projects/" + e.params["project"] + "/environments/" + e.params["environment"] + "/resources"
	bob, other := e.browse(t, "bob"), e.browse(t, "bob")
	bob.on(screens[0])
	bob.open("/account") // a page that does not change by itself
	other.open("/approvals")
	for _, tb := range []*tab{bob, other} {
		tb.until("a quiet bell", `document.querySelector("#bell").dataset.unread === "0" && document.querySelector("#bell .count").hidden`)
		js[bool](tb, `window.untouched = true`)
	}
	e.c.must(t, "POST", in, map[string]any{"name": mark + "-asks", "template": "careful"}, "", 201)
	for _, tb := range []*tab{bob, other} {
		tb.until("it rings, without a reload", `document.querySelector("#bell").dataset.unread === "1" && !document.querySelector("#bell .count").hidden && window.untouched === true`)
	}
	other.until("it is in the inbox", `document.querySelector("#page").innerText.includes(`+strconv.Quote(mark+"-asks")+`) && window.untouched === true`)
	bob.accessible("a bell that rings")
	bob.click("#bell")
	bob.until("what is new", `location.pathname === "/notifications" && document.querySelector(".news .unread .open")?.innerText.includes(`+strconv.Quote(mark+"-asks")+`)`)
	bob.shot("notifications-bob")
	bob.click(".news .unread .open")
	bob.until("the approval", `location.pathname.startsWith("/approvals/") && document.querySelector("#bell").dataset.unread === "0"`)
	other.until("read in one tab, quiet in the other", `document.querySelector("#bell").dataset.unread === "0" && document.querySelector("#bell .count").hidden`)

	// Two tabs decide: the second is told, and nothing happens twice.
	at := js[string](bob, `location.pathname`)
	other.open(at)
	bob.click(`button[name="decision"][value="approve"]`)
	bob.until("decided", `location.pathname === "/approvals"`)
	other.until("the other tab says so", `!document.querySelector('button[name="decision"][value="approve"]') || document.querySelector("#page").innerText.toLowerCase().includes("approved")`)
	bob.clean()
	other.clean()
}

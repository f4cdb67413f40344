//go:build browser

package e2e

import (
	"net/url"
	"strings"
	"testing"
)

// TestBrowserEveryPageOnEveryScreen opens each page in both themes and at
// phone width: nothing is logged, nothing is asked elsewhere, nothing is wider
// than the window, and axe finds nothing.
func TestBrowserEveryPageOnEveryScreen(t *testing.T) {
	e := newEstate(t)
	in := "/projects/" + e.params["project"] + "/" + e.params["environment"]
	one := in + "/" + e.params["resource"]
	e.backtest(t, e.visit(t, "administrator"))
	list := []struct{ name, path string }{
		{"home", "/"}, {"projects", "/projects"}, {"project-new", "/projects/new"}, {"project", "/projects/" + e.params["project"]}, {"environment", in},
		{"environment-graph", in + "?view=graph"}, {"compare", "/projects/" + e.params["project"] + "/compare"},
		{"resources", "/resources"}, {"resource", one}, {"resource-runs", one + "/runs"}, {"resource-revisions", one + "/revisions"}, {"resource-drift", one + "/drift"}, {"resource-version", in + "/" + mark + "-fleet/version"}, {"resource-upgrade", in + "/" + mark + "-fleet/upgrade"}, {"resource-activity", one + "/activity"}, {"resource-settings", one + "/settings"},
		{"resource-change", one + "/change"}, {"waiting", in + "/" + mark + "-waits"}, {"run", "/runs/" + e.params["run"]}, {"create", "/create"},
		{"create-postgres", "/create/postgres?in=" + url.QueryEscape(e.params["project"]+"/"+e.params["environment"])}, {"approvals", "/approvals?show=all"},
		{"approval", "/approvals/" + e.params["approval"]}, {"drift", "/drift"}, {"templates", "/templates"}, {"template", "/templates/postgres"}, {"template-versions", "/templates/postgres/versions"},
		{"template-use", "/templates/null/use"}, {"template-pins", "/templates/null/pins"}, {"pins", "/pins?rollout=" + e.params["rollout"]}, {"sources", "/sources"}, {"source", "/sources/" + mark + "-source"}, {"source-add", "/add-source"}, {"rollouts", "/rollouts"}, {"rollout", "/rollouts/" + e.params["rollout"]}, {"audit", "/audit"}, {"account", "/account"}, {"teams", "/teams"}, {"team", "/teams/" + e.params["team"]}, {"tokens", "/tokens?whose=all"},
		{"quotas", "/quotas"}, {"quota", "/quotas/" + e.params["quota"]}, {"leases", "/leases"},
		{"costs", "/costs"}, {"costs-resources", "/costs?by=resource&since=all"}, {"calendar", "/calendar"}, {"calendar-windows", "/calendar?show=windows"}, {"calendar-schedules", "/calendar?show=schedules"},
		{"guardrails", "/guardrails"}, {"guardrail", "/guardrails/baseline"}, {"guardrail-edit", "/guardrails/baseline/edit"}, {"run-log-searched", "/runs/" + e.params["run"] + "?q=e"}, {"backtest", "/backtests/" + e.params["backtest"]}, {"compliance", "/compliance"}, {"access", "/access?action=resource:reveal&project=" + e.params["project"]},
		{"first-run", "/start?step=place"}, {"first-run-request", "/start?step=request"}, {"first-run-colleague", "/start?step=colleague"},
		{"feedback", "/feedback"}, {"feedback-said", "/feedback?show=said"}, {"notifications", "/notifications"}, {"told", "/account/notifications"}, {"mail", "/mail"},
		{"search", "/search?q=" + mark}, {"nothing-there", "/nothing-there"},
		{"error", "/projects/nobodys"}, {"gallery", "/gallery"},
	}
	tb := e.browse(t, "administrator")
	for _, s := range screens {
		tb.on(s)
		for _, p := range list {
			tb.open(p.path)
			tb.until("htmx", `window.htmx && document.readyState === "complete"`)
			if p.name == "create-postgres" || p.name == "resource-change" {
				tb.until("the preview", `document.querySelector("#panel [data-errors]")`)
			}
			name := p.name + " on " + s.name
			tb.fits(name)
			tb.accessible(name)
			tb.shot(p.name + "-" + s.name)
		}
	}
	out := &tab{newBrowser(t, e.s.url()), t, e.s.url()}
	for _, s := range screens {
		out.on(s)
		out.open("/sign-in")
		out.accessible("sign-in on " + s.name)
		out.shot("sign-in-" + s.name)
	}
	out.clean()
	tb.clean("/nothing-there", "/projects/nobodys", "/gallery") // they are answered with 404
}

// TestBrowserFirstRunToDestroyed is the whole way of a person: a project, a
// thing in it that comes to be while they look, its credentials, its end.
func TestBrowserFirstRunToDestroyed(t *testing.T) {
	e := newEstate(t)
	tb := e.browse(t, "administrator")
	tb.on(screens[0])
	tb.open("/projects/new")
	tb.fill("#name", "shop")
	tb.click("details summary")
	tb.fill("#newteam", "payments")
	tb.click("form .btn.primary")
	tb.says("Nothing here yet")
	tb.until("the environment's address", `location.pathname === "/projects/shop/dev"`)

	tb.open("/create/null?in=shop%2Fdev")
	tb.fill("#f-name", "orders")
	tb.fill("#in-value", "v1")
	tb.fill("#in-delay", "2s")
	tb.says("Nothing stands against it")
	tb.shot("create-filled")
	tb.click("[data-final]")
	tb.until("the resource's page", `location.pathname === "/projects/shop/dev/orders"`)
	js[bool](tb, `window.untouched = true`)
	tb.until("live, without a reload", `document.querySelector(".head .badge.ok")?.innerText === "ready" && window.untouched === true`)
	tb.says("v1")

	if js[bool](tb, `document.querySelector("#outputs").innerText.includes("••••")`) != true {
		t.Error("the secret is not hidden")
	}
	tb.click("#outputs form .btn")
	tb.until("the secret", `document.querySelector("#outputs [data-secret]")?.innerText.length > 5`)
	tb.until("it hides itself", `(document.querySelector("#outputs").dataset.hideAfter && document.querySelector("#outputs [data-countdown]").innerText < 45)`)

	tb.open("/projects/shop/dev/orders/change")
	tb.fill("#in-value", "v2")
	tb.fill("#f-note", "because")
	tb.says("value")
	tb.click("[data-final]")
	tb.until("the second revision", `location.pathname === "/projects/shop/dev/orders" && document.querySelector(".head .sub").innerText.includes("revision 2")`)
	tb.until("ready again", `document.querySelector(".head .badge.ok")?.innerText === "ready"`)
	tb.open("/projects/shop/dev/orders/revisions")
	tb.click(`[popovertarget="back-1"]`)
	tb.click("#back-1 .btn.primary")
	tb.until("the third revision", `location.pathname === "/projects/shop/dev/orders" && document.querySelector(".head .sub").innerText.includes("revision 3")`)
	tb.says("v1")
	tb.open("/projects/shop/dev/orders/activity")
	tb.says("administrator changed orders")
	tb.says("looked at the credentials")

	tb.open("/projects/shop/dev/orders/settings")
	if !js[bool](tb, `document.querySelector(".btn.danger.solid").disabled`) {
		t.Error("it can be destroyed without its name")
	}
	tb.fill("#confirm", "orders")
	tb.click(".btn.danger.solid")
	tb.until("gone, live", `document.querySelector(".head .badge")?.innerText === "destroyed"`)
	tb.clean()
}

// TestBrowserAFailureSaysWhy: what went wrong is on the page, with what to do.
func TestBrowserAFailureSaysWhy(t *testing.T) {
	e := newEstate(t)
	tb := e.browse(t, "administrator")
	tb.open("/create/null?in=" + url.QueryEscape(e.params["project"]+"/"+e.params["environment"]))
	tb.fill("#f-name", "broken")
	tb.fill("#in-fail", "<b>no route</b> to host")
	tb.click("[data-final]")
	tb.until("failed", `document.querySelector(".head .badge.bad")?.innerText === "failed"`)
	tb.says("<b>no route</b> to host") // as text
	tb.says("Why is it so?")
	tb.shot("failed")
	tb.click(`form[action$="/retry"] .btn`)
	tb.until("told so", `document.querySelector(".toast")?.innerText.includes("tried again")`)
	tb.clean()
}

// TestBrowserSomebodyElseApproves: who asked cannot, who may does, by a key,
// and the one who asked sees it go on.
func TestBrowserSomebodyElseApproves(t *testing.T) {
	e := newEstate(t)
	e.user(t, "bob", mark+"-acme", "approver")
	ann := e.browse(t, "administrator")
	ann.open("/approvals/" + e.params["approval"])
	ann.says("It is not yours to decide")
	ann.open("/projects/" + e.params["project"] + "/" + e.params["environment"] + "/" + mark + "-waits")
	ann.says("Waits for approval")
	bob := e.browse(t, "bob")
	bob.open("/")
	bob.says(mark + "-waits")
	bob.open("/approvals/" + e.params["approval"])
	bob.says("Why somebody has to agree")
	bob.shot("approval-bob")
	bob.click("#page h1")
	js[bool](bob, `document.dispatchEvent(new KeyboardEvent("keydown", {key: "y"}))`)
	bob.until("back at the inbox", `location.pathname === "/approvals"`)
	ann.until("it goes on, live", `document.querySelector(".head .badge.ok")?.innerText === "ready"`)
	ann.clean()
	bob.clean()
}

// TestBrowserASessionEndsInMidForm: nothing that was written is lost.
func TestBrowserASessionEndsInMidForm(t *testing.T) {
	e := newEstate(t)
	e.user(t, "dora", mark+"-acme", "developer")
	tb := e.browse(t, "dora")
	tb.open("/create/null?in=" + url.QueryEscape(e.params["project"]+"/"+e.params["environment"]))
	tb.fill("#f-name", "kept")
	tb.fill("#in-value", "what I wrote")
	e.c.must(t, "DELETE", "/api/v1/users/dora/sessions", nil, "", 200, 204)
	tb.click("[data-final]")
	tb.until("it says so", `document.querySelector("#session-over").open`)
	tb.shot("session-over")
	v := e.visit(t, "dora") // in another tab
	at, err := v.jarURL()
	tb.must(err)
	for _, c := range v.http.Jar.Cookies(at) {
		tb.cookie(c.Name, c.Value)
	}
	tb.click("#session-over [data-again]")
	tb.until("closed", `!document.querySelector("#session-over").open`)
	if got := js[string](tb, `document.querySelector("#in-value").value`); got != "what I wrote" {
		t.Errorf("the form has %q", got)
	}
	tb.click("[data-final]")
	tb.until("made", `location.pathname.endsWith("/kept")`)
	tb.says("what I wrote")
	tb.clean("401")
}

// TestBrowserADraftSurvives: a closed tab takes nothing along but secrets.
func TestBrowserADraftSurvives(t *testing.T) {
	e := newEstate(t)
	tb := e.browse(t, "administrator")
	tb.open("/create/careful")
	tb.fill("#f-name", "later")
	tb.fill("#in-database", "orders")
	tb.fill("#in-key", "hunter2hunter2")
	tb.open("/")
	tb.open("/create/careful")
	if got := js[string](tb, `document.querySelector("#f-name").value + " " + document.querySelector("#in-database").value + " " + document.querySelector("#in-key").value`); got != "later orders " {
		t.Errorf("the draft has %q", got)
	}
	if js[bool](tb, `JSON.stringify(localStorage).includes("hunter2")`) {
		t.Error("a secret is kept in the browser")
	}
	tb.clean()
}

// TestBrowserWithoutScripts: reading and plain forms need none.
func TestBrowserWithoutScripts(t *testing.T) {
	e := newEstate(t)
	v := e.visit(t, "administrator")
	in := e.params["project"] + "/" + e.params["environment"]
	form := url.Values{"where": {in}, "name": {"plain"}, "in/value": {"no script"}}
	if status, _, body := v.ask(t, "POST", "/create/null/check", form); status != 200 || !strings.Contains(body, "Nothing stands against it") || !strings.Contains(body, `value="plain"`) {
		t.Errorf("the preview without a script: %d", status)
	}
	status, h, _ := v.ask(t, "POST", "/create/null", form)
	if status != 303 || h.Get("Location") != "/projects/"+in+"/plain" {
		t.Fatalf("%d %v", status, h)
	}
	if status, h, _ = v.ask(t, "POST", "/create/null", form); status != 303 || h.Get("Location") != "/projects/"+in+"/plain" {
		t.Errorf("sent twice: %d %v", status, h)
	}
	tb := e.browse(t, "administrator")
	tb.withoutScripts(true)
	tb.open("/projects/" + in + "/plain/settings")
	tb.click(`[popovertarget="me"]`)
	tb.clean()
}

// TestBrowserTheServerComesAgain: whoever watches sees what happened meanwhile.
func TestBrowserTheServerComesAgain(t *testing.T) {
	e := newEstate(t)
	tb := e.browse(t, "administrator")
	path := "/projects/" + e.params["project"] + "/" + e.params["environment"] + "/" + e.params["resource"]
	tb.open(path)
	js[bool](tb, `window.untouched = true`)
	e.s.stop()
	tb.until("it says that it is not live", `!document.querySelector("#stale").hidden`)
	e.s.start()
	e.c.must(t, "PATCH", "/api/v1/projects/"+e.params["project"]+"/environments/"+e.params["environment"]+"/resources/"+e.params["resource"], map[string]any{"set": map[string]any{"value": "meanwhile"}}, "", 200)
	tb.until("what happened meanwhile", `document.querySelector("#page").innerText.includes("meanwhile") && window.untouched === true`)
	tb.until("live again", `document.querySelector("#stale").hidden`)
	tb.clean("ERR_CONNECTION", "ERR_INCOMPLETE", "ERR_NETWORK", "net::")
}

// TestBrowserPaletteAndThemes: anywhere from the keyboard; a theme is kept.
func TestBrowserPaletteAndThemes(t *testing.T) {
	e := newEstate(t)
	tb := e.browse(t, "administrator")
	tb.on(screens[0])
	tb.open("/")
	js[bool](tb, `document.dispatchEvent(new KeyboardEvent("keydown", {key: "k", ctrlKey: true}))`)
	tb.until("the palette", `document.querySelector("#palette").open && document.querySelector("#palette .hits a")`)
	tb.accessible("the palette")
	tb.shot("palette")
	tb.fill("#palette input[name=q]", mark+"-app")
	tb.until("the resource", `document.querySelector("#palette .hits a")?.innerText.includes("`+mark+`-app")`)
	js[bool](tb, `document.querySelector("#palette input[name=q]").dispatchEvent(new KeyboardEvent("keydown", {key: "Enter", bubbles: true}))`)
	tb.until("its page", `location.pathname.endsWith("/`+mark+`-app")`)
	tb.click(`[popovertarget="me"]`)
	tb.click(`#me [value="dark"]`)
	tb.until("dark at once", `document.documentElement.dataset.theme === "dark"`)
	tb.until("kept", `fetch("/session").then(() => true)`)
	tb.open("/projects")
	if js[string](tb, `document.documentElement.dataset.theme`) != "dark" {
		t.Error("the theme is not kept")
	}
	tb.clean()
}

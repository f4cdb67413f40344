//go:build browser

package e2e

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"fairlead/internal/sqldb"
)

// TestBrowserPagesOfThePlatformTeam opens each in both themes and at phone
// width, when all is well and when it is not.
func TestBrowserPagesOfThePlatformTeam(t *testing.T) {
	e := newEstate(t)
	e.unwell(t)
	tb := e.browse(t, "administrator")
	for _, s := range screens {
		tb.on(s)
		for _, p := range []struct{ name, path string }{
			{"users", "/users"}, {"user", "/users/" + e.params["user"]}, {"webhooks", "/webhooks"}, {"webhook", "/webhooks/" + e.params["webhook"]}, {"delivery", "/deliveries/" + e.params["delivery"]},
			{"system", "/system"}, {"system-queue", "/system/queue"}, {"system-engines", "/system/engines"}, {"system-suspects", "/system/suspects"}, {"system-settings", "/system/settings"}, {"system-backups", "/system/backups"},
			{"access-policies", "/access/policies"},
		} {
			tb.open(p.path)
			tb.until("htmx", `window.htmx && document.readyState === "complete"`)
			name := p.name + " on " + s.name
			tb.fits(name)
			tb.accessible(name)
			tb.shot(p.name + "-" + s.name)
		}
	}
	tb.open("/users")
	tb.click(`[popovertarget="new-user"]`)
	tb.accessible("the form for a new user")
	tb.open("/webhooks")
	tb.click(`[popovertarget="new-webhook"]`)
	tb.accessible("the form for a new webhook")
	tb.open("/users/" + e.params["user"])
	tb.click(`[popovertarget="disable"]`)
	tb.accessible("before somebody is disabled")
	tb.clean()
}

// unwell leaves a suspect, and work that is tried in vain.
func (e *estate) unwell(t *testing.T) {
	t.Helper()
	db := e.s.db(t)
	now := time.Now().UnixMicro()
	for _, q := range []struct {
		sql  string
		args []any
	}{
		{`INSERT INTO suspects (id, engine, kind, name, host, resource_id, reason, found_at) VALUES ('sus_01jd2v8n5k3q7x9w4m6p8r0t2y', 'elsewhere', 'database', 'orders_x7k2', 'db.example.org:5432', 'res_unheard', 'no resource of this id is recorded', $1)`, []any{now}},
		{`UPDATE queue SET attempts = 9, last_error = 'unreachable', due_at = $1 WHERE key = $2`, []any{now + time.Hour.Microseconds(), e.params["id"]}},
	} {
		if _, err := db.ExecContext(t.Context(), q.sql, q.args...); err != nil && !sqldb.IsUnique(err) {
			t.Fatal(err)
		}
	}
}

// TestBrowserAUserIsInvited: made, let in by a link in a browser of their own,
// given a role and asked for it again; the last administrator stays.
func TestBrowserAUserIsInvited(t *testing.T) {
	e := newEstate(t)
	tb := e.browse(t, "administrator")
	tb.open("/users")
	tb.click(`[popovertarget="new-user"]`)
	tb.fill("#user-name", "Not a name")
	tb.click("#new-user .btn.primary")
	tb.until("told what a name is", `document.querySelector("[role=alert]")`)
	tb.open("/users")
	tb.click(`[popovertarget="new-user"]`)
	tb.fill("#user-name", "maria")
	tb.fill("#user-display", "Maria <b>Lopez</b>")
	tb.click("#new-user .btn.primary")
	tb.until("her page", `location.pathname === "/users/maria"`)
	tb.says("never signed in")
	tb.says("Maria <b>Lopez</b>") // as text
	tb.click(`form[action="/users/maria/link"] .btn`)
	tb.says("It is not shown again")
	link := js[string](tb, `document.querySelector("#page .note pre").innerText.trim()`)
	u, err := url.Parse(link)
	if err != nil || !strings.HasPrefix(link, e.s.url()+"/sign-in?link=") {
		t.Fatalf("the link is %q: %v", link, err)
	}

	maria := &tab{newBrowser(t, e.s.url()), t, e.s.url()}
	maria.bare(u.RequestURI())
	maria.click("main form .btn.primary")
	maria.until("signed in", `document.querySelector(".shell h1")`)
	if js[bool](maria, `[...document.querySelectorAll("nav a")].some((a) => a.getAttribute("href") === "/system")`) {
		t.Error("she is shown the system")
	}

	tb.open("/users/maria")
	tb.says("active")
	tb.says("1 live")
	tb.click(`[popovertarget="give-auditor"]`)
	if !js[bool](tb, `document.querySelector("#give-auditor button[type=submit]").disabled`) {
		t.Error("a role is given without her name")
	}
	tb.fill("#confirm-give-auditor", "maria")
	tb.click("#give-auditor button[type=submit]")
	tb.until("told so", `document.querySelector(".toast")?.innerText.includes("now auditor")`)
	maria.open("/system")
	maria.until("she sees the system", `document.querySelector("#verdict")`)

	tb.open("/users/maria")
	tb.click(`[popovertarget="take-auditor"]`)
	tb.fill("#confirm-take-auditor", "maria")
	tb.click("#take-auditor button[type=submit]")
	tb.until("told so", `document.querySelector(".toast")?.innerText.includes("auditor no more")`)
	tb.says("No role here")
	maria.open("/system")
	maria.until("she sees it no more", `!document.querySelector("#verdict")`)

	tb.open("/users/administrator")
	tb.click(`[popovertarget="take-platform-admin"]`)
	tb.fill("#confirm-take-platform-admin", "administrator")
	tb.click("#take-platform-admin button[type=submit]")
	tb.says("This is the last platform administrator")

	tb.open("/users/maria")
	tb.click(`[popovertarget="reset"]`)
	tb.fill("#confirm-reset", "maria")
	tb.click("#reset button[type=submit]")
	tb.says("Their password is taken")
	maria.bare("/account")
	maria.until("signed out", `location.pathname === "/sign-in"`)
	tb.open("/users/maria")
	tb.click(`[popovertarget="disable"]`)
	tb.fill("#confirm-disable", "maria")
	tb.click("#disable button[type=submit]")
	tb.says("Nobody gets in with this account")
	tb.shot("user-disabled")
	tb.clean("400", "409", "422")
	maria.clean("403", "404", "401")
}

// bare opens a page that has no shell around it.
func (tb *tab) bare(path string) {
	tb.t.Helper()
	tb.must(navigate(tb, tb.base+path))
}

// TestBrowserAWebhookIsToldInTheEnd: a place that may not be asked is refused
// in the form; a delivery that failed is sent again, and arrives.
func TestBrowserAWebhookIsToldInTheEnd(t *testing.T) {
	e := newEstate(t)
	r := newReceiver(t)
	r.down.Store(true)
	tb := e.browse(t, "administrator")
	tb.open("/webhooks")
	tb.click(`[popovertarget="new-webhook"]`)
	tb.fill("#new-url", "http://10.1.2.3/hook")
	tb.click("#new-webhook .btn.primary")
	tb.until("refused, with what was written", `document.querySelector("#again-url")?.value === "http://10.1.2.3/hook" && document.querySelector("#again-url").getAttribute("aria-invalid") === "true"`)
	tb.accessible("a refused webhook")
	tb.shot("webhook-refused")
	tb.fill("#again-url", r.URL+"/hook")
	tb.fill("#again-types", "webhook.*, approval.*")
	tb.click("#page section.card form .btn.primary")
	tb.says("Copy it now")
	secret := js[string](tb, `document.querySelector("#page .note pre").innerText.trim()`)
	if !strings.HasPrefix(secret, "whsec_") {
		t.Errorf("the secret is %q", secret)
	}
	tb.click(`form[action$="/ping"] .btn`)
	tb.until("its page", `location.pathname.startsWith("/webhooks/whk_")`)
	tb.says("tried again")
	tb.says("the receiver answered 503")
	if js[bool](tb, `document.body.innerText.includes(`+"`"+secret+"`"+`)`) {
		t.Error("the secret is shown again")
	}
	js[bool](tb, `window.untouched = true`)
	tb.shot("webhook-failing")

	r.down.Store(false)
	tb.click(`form[action$="/again"] .btn`)
	tb.until("it arrives, live", `document.querySelector("table .badge.ok")?.innerText === "delivered"`)
	tb.until("well again", `document.querySelector(".head .badge.ok")?.innerText === "ready"`)
	if got := r.all(); len(got) == 0 {
		t.Error("the receiver has nothing")
	}
	if err := r.genuine([]string{secret}); err != nil {
		t.Error(err)
	}
	tb.click("table a.name")
	tb.says("webhook.ping")
	tb.says("specversion")

	tb.open(js[string](tb, `document.querySelector(".head .sub a").getAttribute("href")`))
	tb.click(`form[action$="/enabled"] .btn`)
	tb.until("disabled", `document.querySelector(".head .badge")?.innerText === "disabled"`)
	tb.click(`[popovertarget="delete"]`)
	tb.fill("#confirm", strings.TrimPrefix(r.URL, "http://"))
	tb.click("#delete button[type=submit]")
	tb.until("gone", `location.pathname === "/webhooks" && !document.querySelector("table")?.innerText.includes(`+"`"+strings.TrimPrefix(r.URL, "http://")+"`"+`)`)
	tb.clean("400", "409", "422")
}

// TestBrowserSomethingIsNotWell: the first line says so, leads to what it is,
// and says so no more once somebody has seen to it.
func TestBrowserSomethingIsNotWell(t *testing.T) {
	e := newEstate(t)
	tb := e.browse(t, "administrator")
	tb.open("/system")
	tb.says("there is none") // no backup
	js[bool](tb, `window.untouched = true`)
	e.unwell(t)
	tb.until("it is said, live", `document.querySelector(".verdict").innerText.includes("Suspects") && document.querySelector(".verdict").innerText.includes("Stuck work") && window.untouched === true`)
	tb.shot("system-unwell")

	tb.click(`.verdict a[href="/system/suspects"]`)
	tb.says("orders_x7k2")
	tb.click(`[aria-label="Release orders_x7k2"]`)
	tb.fill("textarea[name=reason]", "the auditors have it")
	tb.click(`form[action$="/release"] .btn.primary`)
	tb.says("Every external object has its record")
	tb.open("/system/suspects?show=released")
	tb.says("the auditors have it")

	tb.open("/system")
	tb.click(`.verdict a[href="/system/queue?state=stuck"]`)
	tb.says(e.params["resource"])
	tb.says("stuck")
	tb.click(`form[action$="/retry"] .btn`)
	tb.until("it is tried, and rests", `location.pathname === "/system/queue" && !document.querySelector("#page table")?.innerText.includes("stuck")`)

	v := e.visit(t, "administrator")
	phrase := "four words in a row"
	status, h, body := v.ask(t, "POST", "/system/backups", url.Values{"passphrase": {phrase}, "again": {phrase}})
	if status != 200 || !strings.Contains(h.Get("Content-Disposition"), ".age") || !strings.HasPrefix(body, "age-encryption.org/v1") {
		t.Fatalf("a backup: %d %v %.60q", status, h, body)
	}
	tb.open("/system/backups")
	tb.says("whole")
	tb.fill("#passphrase", "short")
	tb.fill("#again", "short")
	tb.click("form .btn.primary")
	tb.says("shorter than 12 characters")
	tb.open("/system/engines")
	tb.click(`form[action="/system/engines/check"] .btn`)
	tb.until("asked", `document.querySelector(".toast")?.innerText.includes("asked how they are")`)
	tb.says("PostgreSQL")
	tb.open("/system")
	tb.until("nothing of it is left", `!/Suspects:|Stuck work:|Backups:/.test(document.querySelector(".verdict").innerText)`)
	tb.shot("system-well")
	tb.clean("400", "409", "422")
}

func navigate(tb *tab, address string) error {
	return chromedp.Do(tb.ctx, chromedp.Navigate(address), chromedp.WaitVisible(chromedp.CSS("main")))
}

//go:build browser

package e2e

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"
)

// logged adds lines to a run's log, past the server; the one numbered 1234 has
// a needle in it. It gives the number of the last.
func (e *estate) logged(t *testing.T, run string, n int) (last int) {
	t.Helper()
	db := e.s.db(t)
	if _, err := db.ExecContext(t.Context(), `WITH RECURSIVE new(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM new WHERE i < CAST($1 AS INTEGER))
		INSERT INTO run_log (run_id, seq, at, phase, level, message)
		SELECT CAST($2 AS TEXT), last.n + i, CAST($3 AS BIGINT), 'apply', 'info', 'line ' || (last.n + i) || CASE WHEN last.n + i = 1234 THEN ' needle in <b>hay</b>' ELSE '' END || CAST($4 AS TEXT)
		FROM (SELECT max(seq) AS n FROM run_log WHERE run_id = CAST($2 AS TEXT)) last CROSS JOIN new`,
		n, run, time.Now().UnixMicro(), strings.Repeat(" and so on", 20)); err != nil {
		t.Fatal(err)
	}
	if err := db.QueryRowContext(t.Context(), `SELECT max(seq) FROM run_log WHERE run_id = $1`, run).Scan(&last); err != nil {
		t.Fatal(err)
	}
	return last
}

// TestBrowserALargeLogIsAWindow: the end first, followed while it grows; what
// is earlier comes as one scrolls, what is far above is found, all of it is
// downloaded; the page never has more than a part.
func TestBrowserALargeLogIsAWindow(t *testing.T) {
	e := newEstate(t)
	run := e.params["run"]
	last := e.logged(t, run, 6000)
	tb := e.browse(t, "administrator")
	tb.on(screens[0])
	const lines, first, newest = `document.querySelectorAll(".log li[data-seq]").length`, `Number(document.querySelector(".log li[data-seq]").dataset.seq)`, `Number([...document.querySelectorAll(".log li[data-seq]")].at(-1).dataset.seq)`
	few := func(when string, most int) {
		t.Helper()
		if n := js[int](tb, lines); n == 0 || n > most {
			t.Errorf("%s the page has %d lines", when, n)
		}
	}
	atEnd := func(last int) string {
		return fmt.Sprintf(`%s === %d && (l => l.scrollHeight - l.scrollTop - l.clientHeight < 30)(document.querySelector(".log"))`, newest, last)
	}
	tb.open("/runs/" + run)
	tb.until("the end", atEnd(last))
	few("at first", 300)

	js[bool](tb, `window.untouched = true`)
	last = e.logged(t, run, 500)
	tb.until("what is new, live, at the end", atEnd(last)+` && window.untouched === true`)
	few("following", 1000)

	for at := js[int](tb, first); at > 2000; at = js[int](tb, first) {
		js[bool](tb, `(document.querySelector(".log").scrollTop = 0, true)`)
		tb.until("what is earlier", fmt.Sprintf(`%s < %d`, first, at))
		few("scrolled up", 2000)
	}
	if js[bool](tb, `document.querySelector("[data-log-follow]").getAttribute("aria-pressed") === "true"`) {
		t.Error("it follows whoever scrolled up")
	}
	for at := js[int](tb, newest); at < 4500; at = js[int](tb, newest) {
		js[bool](tb, `(l => (l.scrollTop = 0, l.scrollTop = l.scrollHeight, true))(document.querySelector(".log"))`)
		tb.until("what is later", fmt.Sprintf(`%s > %d`, newest, at))
		few("scrolled down", 2000)
	}
	if gaps := js[int](tb, `[...document.querySelectorAll(".log li[data-seq]")].filter((li, i, all) => i > 0 && Number(li.dataset.seq) !== Number(all[i - 1].dataset.seq) + 1).length`); gaps != 0 {
		t.Errorf("%d gaps between the lines", gaps)
	}
	tb.click(`[data-log-go="first"]`)
	tb.until("the beginning", first+` === 1`)
	few("at the beginning", 600)
	tb.click(`[data-log-follow]`)
	tb.until("the end again", atEnd(last))

	tb.fill("[data-log-search]", "NEEDLE in")
	tb.until("found far above", lines+` === 1 && `+first+` === 1234 && document.querySelector(".log li .m").innerText.includes("needle in <b>hay</b>")`)
	tb.fill("[data-log-search]", "nothing like this")
	tb.until("not found", `document.querySelector(".log .none")?.innerText === "Nothing in the log is like that."`)
	tb.fill("[data-log-search]", "so on")
	tb.until("enough of many", `document.querySelector(".log [data-more]")?.innerText.includes("go on")`)
	few("searched", 600)
	found := js[int](tb, lines)
	tb.click("[data-log-more]")
	tb.until("more of them", fmt.Sprintf(`%s > %d`, lines, found))
	few("searched on", 1200)

	const wide = `(l => l.scrollWidth > l.clientWidth + 1)(document.querySelector(".log"))`
	tb.until("long lines", wide)
	tb.click("[data-log-wrap]")
	tb.until("wrapped", `document.querySelector("[data-log-wrap]").getAttribute("aria-pressed") === "true" && !`+wide)
	if most := js[int](tb, `Math.max(...performance.getEntries().filter((e) => e.name.includes("/runs/")).map((e) => e.decodedBodySize || 0))`); most == 0 || most > 500_000 {
		t.Errorf("the largest piece has %d bytes", most)
	}
	for _, s := range screens {
		tb.on(s)
		tb.looksRight("log-" + s.name)
	}

	status, h, body := e.visit(t, "administrator").ask(t, "GET", js[string](tb, `document.querySelector("#log a[download]").getAttribute("href")`), nil)
	if n := strings.Count(body, "\n"); status != 200 || n != last || h.Get("Content-Length") != "" || !strings.Contains(h.Get("Content-Disposition"), run+".log") {
		t.Errorf("the file: %d, %d lines of %d, %v", status, n, last, h)
	}
	tb.clean()
}

// TestBrowserTwoPeopleWriteOneGuardrail: who saves second gets both versions
// in one, chooses where both changed the same lines, and nothing is lost.
func TestBrowserTwoPeopleWriteOneGuardrail(t *testing.T) {
	e := newEstate(t)
	e.user(t, "bob", "")
	e.c.must(t, "PUT", "/api/v1/users/bob/roles/platform-admin", nil, "", 200, 204)
	change := func(tb *tab, file, from, to string) {
		t.Helper()
		if !js[bool](tb, fmt.Sprintf(`(() => { const el = document.querySelector('[name="file/%s"]'), was = el.value; el.value = was.replace(%q, %q); el.dispatchEvent(new Event("input", {bubbles: true})); return el.value !== was })()`, file, from, to)) {
			t.Fatalf("%s has no %q", file, from)
		}
	}
	ann, bob := e.browse(t, "administrator"), e.browse(t, "bob")
	for _, tb := range []*tab{ann, bob} {
		tb.on(screens[0])
		tb.open("/guardrails/house/edit")
		tb.until("it compiles", `document.querySelector("#checked")?.innerText.includes("2 pass")`)
	}
	change(bob, "names.rego", "take another name", "take a nicer name")
	change(bob, "production.rego", "package", "# for the auditors\npackage")
	change(bob, "names_test.rego", "test_allowed", "test_orders")
	bob.click(`.editor .btn.primary[data-final]`)
	bob.until("kept", `location.pathname === "/guardrails/house" && location.search === "?version=1.0.1"`)

	change(ann, "names.rego", "take another name", "choose again")
	change(ann, "production.rego", "in production", "in the shop")
	ann.click(`.editor .btn.primary[data-final]`)
	ann.says("Two versions at once")
	ann.says("bob pushed 1.0.1 while you were writing")
	ann.says("take a nicer name")
	if clashes := js[string](ann, `[...document.querySelectorAll(".merge legend")].map((l) => l.innerText).join()`); clashes != "names.rego" {
		t.Errorf("both changed %q", clashes)
	}
	for _, s := range screens {
		ann.on(s)
		ann.looksRight("guardrail-merge-" + s.name)
	}
	if got := js[string](ann, `document.querySelector('[name="file/names.rego"]').value`); !strings.Contains(got, "choose again") {
		t.Errorf("hers is lost: %s", got)
	}
	ann.click(`input[name="keep/names.rego"][value="theirs"]`)
	ann.click(`.editor .btn.primary[data-final]`)
	ann.until("kept", `location.pathname === "/guardrails/house" && location.search === "?version=1.0.2"`)
	bob.open("/guardrails/house/edit?from=" + url.QueryEscape("house@1.0.2"))
	for file, parts := range map[string][]string{"names.rego": {"take a nicer name"}, "production.rego": {"# for the auditors", "in the shop"}, "names_test.rego": {"test_orders"}, "policy.yaml": {"approver"}} {
		got := js[string](bob, fmt.Sprintf(`document.querySelector('[name="file/%s"]').value`, file))
		for _, part := range parts {
			if !strings.Contains(got, part) {
				t.Errorf("%s lost %q: %s", file, part, got)
			}
		}
	}
	ann.clean("409")
	bob.clean()
}

// TestBrowserATemplateVersionIsDeprecated: with a reason, on the page of its
// versions; who uses it is there to see, and who would ask for it is told.
func TestBrowserATemplateVersionIsDeprecated(t *testing.T) {
	e := newEstate(t)
	for _, version := range []string{"1.0.0", "1.1.0"} {
		e.c.must(t, "POST", "/api/v1/templates", folder(t, map[string]string{"template.yaml": strings.NewReplacer("name: app", "name: ledger", "1.0.0", version).Replace(appTemplate), "README.md": "# Ledger\n\nKeeps the **books** in " + version + ".\n"}), "", 201)
		made := e.c.must(t, "POST", "/api/v1/projects/"+e.params["project"]+"/environments/"+e.params["environment"]+"/resources", map[string]any{"name": "books-" + version[2:3], "template": "ledger", "version": version}, "", 201)
		e.c.settle(t, made.str("id"), patience, applied(1))
	}
	e.user(t, "dora", mark+"-acme", "developer")
	tb, dora := e.browse(t, "administrator"), e.browse(t, "dora")
	tb.on(screens[0])
	tb.open("/templates/ledger")
	tb.says("Keeps the books in 1.1.0")
	tb.click(`.tabs a[href="/templates/ledger/versions"]`)
	tb.until("both versions", `location.pathname.endsWith("/versions") && [...document.querySelectorAll("#page ul.rows .main a")].map((a) => a.innerText).join() === "1.1.0,1.0.0"`)
	tb.click(`[popovertarget="deprecate-0"]`)
	tb.click(`#deprecate-0 .btn.primary`)
	if !js[bool](tb, `document.querySelector("#deprecate-0-reason:invalid") !== null`) {
		t.Error("no reason is asked for")
	}
	tb.fill("#deprecate-0-reason", "it loses <b>pages</b>")
	tb.fill("#deprecate-0-successor", "9.9.9")
	tb.click(`#deprecate-0 .btn.primary`)
	tb.until("told what is wrong", `document.querySelector("#page [role=alert]")?.innerText.includes("9.9.9")`)
	tb.click(`[popovertarget="deprecate-0"]`)
	if got := js[string](tb, `document.querySelector("#deprecate-0-reason").value`); got != "it loses <b>pages</b>" {
		t.Errorf("the form kept %q", got)
	}
	tb.fill("#deprecate-0-successor", "1.0.0")
	tb.click(`#deprecate-0 .btn.primary`)
	tb.until("told so", `document.querySelector(".toast")?.innerText.includes("ledger 1.1.0 is deprecated")`)
	tb.says("it loses <b>pages</b>") // as text
	for _, s := range screens {
		tb.on(s)
		tb.looksRight("template-deprecated-" + s.name)
	}
	tb.on(screens[0])
	tb.open("/templates/ledger/use")
	tb.until("who still uses it", `[...document.querySelectorAll("table tbody tr")].some((tr) => tr.innerText.includes("books-1") && tr.innerText.includes("1.1.0"))`)

	in := url.QueryEscape(e.params["project"] + "/" + e.params["environment"])
	dora.on(screens[0])
	dora.open("/templates/ledger/versions")
	dora.says("deprecated")
	if js[int](dora, `document.querySelectorAll("form[action$='/deprecate']").length`) != 0 {
		t.Error("who may not push is shown how to deprecate")
	}
	dora.open("/create/ledger?in=" + in)
	dora.click("details.card:has(.prose) summary")
	if dora.says("Keeps the books in 1.0.0"); js[bool](dora, `document.querySelector("#page").innerText.includes("is deprecated")`) {
		t.Error("what is not deprecated is called so")
	}
	dora.open("/create/ledger?version=1.1.0&in=" + in)
	dora.says("ledger 1.1.0 is deprecated: it loses <b>pages</b>")
	dora.says("Use version 1.0.0")
	dora.looksRight("create-deprecated")
	e.c.must(t, "PUT", "/api/v1/templates/ledger/versions/1.0.0/deprecation", map[string]any{"reason": "nobody keeps books"}, "", 200)
	dora.open("/create?q=ledger")
	dora.until("shown as such among all", `document.querySelector(".tile .badge.warn")?.innerText === "deprecated"`)
	tb.clean("422", "409", "400")
	dora.clean()
}

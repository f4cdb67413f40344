//go:build browser

package e2e

import (
	"fmt"
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

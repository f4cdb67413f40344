//go:build browser

package e2e

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// tab is a browser with somebody's session at a server's portal.
type tab struct {
	*browser
	t    *testing.T
	base string
}

// browse opens a browser, signed in as somebody by a one-time link.
func (e *estate) browse(t *testing.T, name string) *tab {
	t.Helper()
	v := e.visit(t, name)
	tb := &tab{newBrowser(t, v.base), t, v.base}
	req, err := v.jarURL()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range v.http.Jar.Cookies(req) {
		tb.cookie(c.Name, c.Value)
	}
	return tb
}

func (tb *tab) must(err error) {
	tb.t.Helper()
	if err != nil {
		url, _ := chromedp.Run(tb.ctx, chromedp.Evaluate[string](`location.href + " " + document.body.innerText.slice(0, 1500)`))
		tb.t.Fatalf("%v\nat %s", err, url)
	}
}

// screen is how wide the window is, and in which theme.
type screen struct {
	name  string
	width int64
	theme string
}

var screens = []screen{{"light", 1280, "light"}, {"dark", 1280, "dark"}, {"phone", 360, "light"}, {"phone-dark", 360, "dark"}}

func (tb *tab) on(s screen) {
	tb.t.Helper()
	_, err := chromedp.Call(tb.ctx, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: s.width, Height: 860, DeviceScaleFactor: 1})
	tb.must(err)
	_, err = chromedp.Call(tb.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: s.theme}, {Name: "prefers-reduced-motion", Value: "reduce"}}})
	tb.must(err)
}

func (tb *tab) open(path string) {
	tb.t.Helper()
	tb.must(chromedp.Do(tb.ctx, chromedp.Navigate(tb.base+path), chromedp.WaitVisible(chromedp.CSS("#page"))))
}

func (tb *tab) click(css string) {
	tb.t.Helper()
	// A page may be morphed between aiming and clicking: the element is told, not the place.
	tb.must(chromedp.Do(tb.ctx, chromedp.WaitVisible(chromedp.CSS(css))))
	js[bool](tb, `(document.querySelector(`+strconv.Quote(css)+`).click(), true)`)
}

func (tb *tab) fill(css, text string) {
	tb.t.Helper()
	js[bool](tb, `(() => { const el = document.querySelector(`+strconv.Quote(css)+`); el.focus(); el.value = ""; return true })()`)
	tb.must(chromedp.Do(tb.ctx, chromedp.SendKeys(chromedp.CSS(css), text)))
}

// js evaluates an expression in the page.
func js[T any](tb *tab, expression string) T {
	tb.t.Helper()
	v, err := chromedp.Run(tb.ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	tb.must(err)
	return v
}

// until waits for an expression to be true, over navigations.
func (tb *tab) until(what, expression string) {
	tb.t.Helper()
	deadline := time.Now().Add(patience)
	for {
		yes, err := chromedp.Run(tb.ctx, chromedp.Evaluate[bool](`!!(`+expression+`)`))
		if err == nil && yes {
			return
		}
		if time.Now().After(deadline) {
			tb.must(fmt.Errorf("never came: %s (%v)", what, err))
		}
		select {
		case <-tb.ctx.Done():
			tb.must(tb.ctx.Err())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// says waits for a text on the page.
func (tb *tab) says(text string) {
	tb.t.Helper()
	tb.until(strconv.Quote(text), `document.querySelector("#page")?.innerText.includes(`+strconv.Quote(text)+`)`)
}

// shot keeps a picture, if somebody asked for them with FAIRLEAD_SCREENSHOTS.
func (tb *tab) shot(name string) {
	tb.t.Helper()
	dir := os.Getenv("FAIRLEAD_SCREENSHOTS")
	if dir == "" {
		return
	}
	png, err := chromedp.Run(tb.ctx, chromedp.FullScreenshot(100))
	tb.must(err)
	tb.must(os.MkdirAll(dir, 0o755))
	tb.must(os.WriteFile(filepath.Join(dir, name+".png"), png, 0o600))
}

var axeSource = sync.OnceValues(func() (string, error) {
	b, err := os.ReadFile(filepath.Join("testdata", "axe.min.js"))
	return string(b), err
})

// accessible holds a page against WCAG 2.2 AA, as far as a program can.
func (tb *tab) accessible(name string) {
	tb.t.Helper()
	source, err := axeSource()
	tb.must(err)
	tb.must(chromedp.Do(tb.ctx, chromedp.Evaluate[chromedp.Void](`void (window.axe || (() => {`+source+`})())`)))
	found := js[string](tb, `axe.run(document, {runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}).then((r) => JSON.stringify(
		r.violations.map((v) => v.id + ": " + v.nodes.slice(0, 3).map((n) => n.html.slice(0, 160) + " " + (n.any[0]?.message || n.all[0]?.message || n.none[0]?.message || "")).join(" | "))))`)
	var list []string
	tb.must(json.Unmarshal([]byte(found), &list))
	for _, v := range list {
		tb.t.Errorf("%s: %s", name, v)
	}
}

// fits tells when a page is wider than its window.
func (tb *tab) fits(name string) {
	tb.t.Helper()
	if wide := js[string](tb, `(() => { const w = document.documentElement.clientWidth; if (document.scrollingElement.scrollWidth <= w + 1) return "";
		return [...document.querySelectorAll("#page *")].filter((e) => e.getBoundingClientRect().right > w + 1 && !e.closest(".tablewrap, .tabs, .log, pre")).slice(0, 3).map((e) => e.outerHTML.slice(0, 120)).join(" | ") || "something" })()`); wide != "" {
		tb.t.Errorf("%s is wider than its window: %s", name, wide)
	}
}

// clean reports what no page may do; errors that a step meant to cause are
// named by a part of their text.
func (tb *tab) clean(meant ...string) {
	tb.t.Helper()
	tb.mu.Lock()
	defer tb.mu.Unlock()
next:
	for _, what := range tb.bad {
		for _, m := range meant {
			if strings.Contains(what, m) {
				continue next
			}
		}
		tb.t.Error(what)
	}
}

// withoutScripts turns scripts off, or on again.
func (tb *tab) withoutScripts(off bool) {
	tb.t.Helper()
	_, err := chromedp.Call(tb.ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: off})
	tb.must(err)
}

func (tb *tab) cookie(name, value string) {
	tb.t.Helper()
	_, err := chromedp.Call(tb.ctx, network.SetCookie, network.SetCookieParams{Name: name, Value: value, URL: tb.base})
	tb.must(err)
}

func (v *visitor) jarURL() (*url.URL, error) { return url.Parse(v.base) }

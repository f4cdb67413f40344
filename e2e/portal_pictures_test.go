//go:build browser

package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// picture keeps what the window shows for the manual, when somebody makes its
// pictures anew: FAIRLEAD_PICTURES=$PWD/docs/pictures.
func (tb *tab) picture(name string) {
	tb.t.Helper()
	dir := os.Getenv("FAIRLEAD_PICTURES")
	if dir == "" {
		return
	}
	quality := int64(82)
	shot, err := chromedp.Call(tb.ctx, page.CaptureScreenshot, page.CaptureScreenshotParams{Format: page.CaptureScreenshotFormatWebp, Quality: &quality})
	tb.must(err)
	tb.must(os.WriteFile(filepath.Join(dir, name+".webp"), shot.Data, 0o644)) //nolint:gosec // a picture of the manual
}

// TestBrowserTheManualsPictures shows what docs/portal.md shows.
func TestBrowserTheManualsPictures(t *testing.T) {
	s := newServer(t, withConfig(loopback))
	s.start()
	j := newJob(t, s)
	c := j.c
	c.signIn(t, j.link)
	e := &estate{s: s, c: c, params: map[string]string{}}
	must := func(method, path string, body any) reply {
		t.Helper()
		return c.must(t, method, path, body, "", 200, 201, 204)
	}
	must("POST", "/api/v1/teams", map[string]any{"name": "payments"})
	for _, p := range []string{"shop", "ledger"} {
		must("POST", "/api/v1/projects", map[string]any{"name": p, "team": "payments"})
		for _, env := range []string{"production", "staging", "development"} {
			must("POST", "/api/v1/projects/"+p+"/environments", map[string]any{"name": strings.TrimSuffix(env, "elopment"), "class": env})
		}
	}
	careful := strings.NewReplacer("name: careful", "name: archive", "title: An app", "title: Archive", "description: For tests.", "description: A bucket that keeps what is put in for seven years.").Replace(careful)
	must("POST", "/api/v1/templates", folder(t, map[string]string{"template.yaml": careful, "README.md": "# Archive\n"}))
	in := "/api/v1/projects/shop/environments/"
	for _, r := range []struct {
		env, name string
		inputs    map[string]any
	}{{"dev", "orders", map[string]any{"value": "v2"}}, {"dev", "customers", nil}, {"dev", "search", map[string]any{"fail": "the index could not be reached"}}, {"staging", "orders", nil}, {"production", "orders", nil}, {"production", "invoices", nil}} {
		must("POST", in+r.env+"/resources", map[string]any{"name": r.name, "template": "null", "inputs": r.inputs})
	}
	e.user(t, "ann", "payments", "developer")
	e.user(t, "bob", "payments", "approver", "developer")
	ann := e.person(t, "ann")
	waits := ann.must(t, "POST", in+"production/resources", map[string]any{"name": "receipts", "template": "archive", "inputs": map[string]any{"database": "orders"}}, "", 201)
	c.settle(t, waits.str("id"), patience, inPhase("waiting"))
	id := first(t, must("GET", "/api/v1/approvals", nil))

	tb := e.browse(t, "bob")
	for _, scr := range screens[:2] {
		tb.on(scr)
		tb.open("/")
		tb.says("receipts")
		tb.says("the index could not be reached")
		tb.picture(map[string]string{"light": "home", "dark": "home-dark"}[scr.name])
	}
	tb.on(screens[0])
	tb.open("/approvals/" + id)
	tb.says("asks for an approval")
	tb.picture("approval")
	tb.open("/create/postgres?in=shop/dev")
	tb.fill("#f-name", "payments")
	tb.says("Nothing stands against it")
	tb.picture("create")
	tb.open("/projects/shop/dev/orders")
	tb.says("Why is it so?")
	tb.picture("resource")
	tb.clean()
}

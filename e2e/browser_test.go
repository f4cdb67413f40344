//go:build browser

package e2e

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// browser is a headless Chromium that notes what no page may do: log an error,
// or ask another origin for anything.
type browser struct {
	ctx context.Context
	mu  sync.Mutex
	bad []string
}

func newBrowser(t *testing.T, origin string) *browser {
	t.Helper()
	b := &browser{}
	opts := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true))
	ctx, cancelTime := context.WithTimeout(context.Background(), 8*time.Minute)
	t.Cleanup(cancelTime)
	ctx, cancelAlloc := chromedp.NewExecAllocator(ctx, opts...)
	t.Cleanup(cancelAlloc)
	ctx, cancel := chromedp.NewContext(ctx, chromedp.WithListener(func(ev any) { b.note(origin, ev) }))
	t.Cleanup(cancel)
	b.ctx = ctx
	if _, err := chromedp.Call(ctx, network.Enable, network.EnableParams{}); err != nil {
		t.Fatalf("Chromium: %v (Debian: apt-get install chromium)", err)
	}
	return b
}

func (b *browser) note(origin string, ev any) {
	what := ""
	switch e := ev.(type) {
	case *runtime.EventExceptionThrown:
		what = "an exception: " + e.ExceptionDetails.Text
		if of := e.ExceptionDetails.Exception; of != nil {
			what += " " + of.Description + " in " + e.ExceptionDetails.URL
		}
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError {
			what = "an error in the log: " + e.Entry.Text + " " + e.Entry.URL
		}
	case *network.EventRequestWillBeSent:
		if u := e.Request.URL; !strings.HasPrefix(u, origin) && !strings.HasPrefix(u, "data:") && !strings.HasPrefix(u, "blob:") {
			what = "asks another origin: " + u
		}
	}
	if what == "" {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.bad = append(b.bad, what)
}

// visit does the steps and gives the text of what sel selects then.
func (b *browser) visit(t *testing.T, what string, sel chromedp.CSS, steps ...chromedp.Action[chromedp.Void]) string {
	t.Helper()
	if err := chromedp.Do(b.ctx, append(steps, chromedp.WaitVisible(sel))...); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	if dir := os.Getenv("FAIRLEAD_SCREENSHOTS"); dir != "" {
		png, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
		if err == nil {
			err = os.MkdirAll(dir, 0o755)
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, strings.ReplaceAll(what, " ", "-")+".png"), png, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	text, err := chromedp.Run(b.ctx, chromedp.Text(sel))
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	return text
}

func TestBrowserSignsInWithTheLinkAndFindsItsWay(t *testing.T) {
	s := newServer(t, withBox(sharedBox(t)))
	s.start()
	b := newBrowser(t, s.url())
	link := s.url() + "/sign-in?link=" + s.link()
	button := chromedp.CSS("form button")
	for _, step := range []struct {
		what  string
		sel   chromedp.CSS
		steps []chromedp.Action[chromedp.Void]
		want  string
	}{
		{"the page of the link", "main", []chromedp.Action[chromedp.Void]{chromedp.Navigate(link)}, "This link signs you in once"},
		{"signed in", ".shell h1", []chromedp.Action[chromedp.Void]{chromedp.Click(button)}, "Welcome"},
		{"a used link", "[role=alert]", []chromedp.Action[chromedp.Void]{chromedp.Navigate(link), chromedp.Click(button)}, "used or expired"},
		{"an error code", "body", []chromedp.Action[chromedp.Void]{chromedp.Navigate(s.url() + "/docs/errors/name_taken")}, "name_taken"},
		{"the reference", "main h1, .introduction-section h1, h1", []chromedp.Action[chromedp.Void]{chromedp.Navigate(s.url() + "/docs/api")}, "Fairlead"},
	} {
		if got := b.visit(t, step.what, step.sel, step.steps...); !strings.Contains(got, step.want) {
			t.Errorf("%s says %q, not %q", step.what, got, step.want)
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, what := range b.bad {
		// The used link's answer is a 401, which the browser logs by itself.
		if !strings.Contains(what, "/sign-in") {
			t.Error(what)
		}
	}
}

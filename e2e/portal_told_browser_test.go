//go:build browser

package e2e

import (
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/emersion/go-smtp"
)

// post is a mail server that keeps what it is sent.
type post struct {
	mu    sync.Mutex
	mails []string
}

func (p *post) NewSession(*smtp.Conn) (smtp.Session, error) { return p, nil }
func (p *post) Mail(string, *smtp.MailOptions) error        { return nil }
func (p *post) Rcpt(string, *smtp.RcptOptions) error        { return nil }
func (p *post) Reset()                                      {}
func (p *post) Logout() error                               { return nil }

func (p *post) Data(r io.Reader) error {
	b, err := io.ReadAll(r)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mails = append(p.mails, string(b))
	return err
}

func (p *post) got() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.mails, "\n")
}

// open answers at an address.
func (p *post) open(t *testing.T, addr string) {
	t.Helper()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	s := smtp.NewServer(p)
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Serve(l) }()
	t.Cleanup(func() { s.Close(); l.Close(); <-done })
}

// TestBrowserSomebodyChoosesWhatTheyAreTold, and gets it: also by mail, which
// the platform team sees fail, sends again once the mail server works, and sees
// arrive.
func TestBrowserSomebodyChoosesWhatTheyAreTold(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close() // nobody is there yet
	s := newServer(t, withConfig(fmt.Sprintf("%ssmtp: {host: 127.0.0.1, port: %s, from: fairlead@example.org, tls: none}\n", loopback, addr[strings.LastIndex(addr, ":")+1:])))
	s.start()
	j := newJob(t, s)
	j.c.signIn(t, j.link)
	e := &estate{s: s, c: j.c}
	must := func(method, path string, body any) { t.Helper(); e.c.must(t, method, path, body, "", 200, 201, 204) }
	must("POST", "/api/v1/teams", map[string]any{"name": "acme"})
	must("POST", "/api/v1/projects", map[string]any{"name": "web", "team": "acme"})
	must("POST", "/api/v1/projects/web/environments", map[string]any{"name": "dev", "class": "development"})
	must("POST", "/api/v1/users", map[string]any{"name": "ann", "email": "ann@example.org"})
	must("PUT", "/api/v1/teams/acme/members/ann/roles/developer", nil)

	ann := e.browse(t, "ann")
	ann.on(screens[0])
	ann.open("/account")
	ann.click(`a[href="/account/notifications"]`)
	ann.until("the list", `document.querySelector('input[name="bell"][value="run.failed"]')?.disabled && document.querySelector('input[name="bell"][value="lease.ended"]').checked && !document.querySelector('input[name="mail"][value="run.failed"]').checked`)
	ann.accessible("what somebody is told")
	ann.click(`input[name="mail"][value="run.failed"]`)
	ann.click(`input[name="bell"][value="lease.ended"]`)
	ann.click(`input[name="mail"][value="approval.requested"]`)
	ann.click(`#page form .btn.primary`)
	ann.until("saved", `document.querySelector(".toast")?.innerText.includes("holds for what happens from now on")`)
	ann.open("/account/notifications")
	ann.until("as it was saved", `document.querySelector('input[name="mail"][value="run.failed"]').checked && !document.querySelector('input[name="bell"][value="lease.ended"]').checked && !document.querySelector('input[name="mail"][value="approval.requested"]').checked && document.querySelector('input[name="bell"][value="approval.requested"]').checked`)
	ann.click("details.more summary")
	ann.accessible("with what there is mail alone about")

	must("POST", "/api/v1/projects/web/environments/dev/resources", map[string]any{"name": "quiet", "template": "null"})
	e.person(t, "ann").must(t, "POST", "/api/v1/projects/web/environments/dev/resources", map[string]any{"name": "breaks", "template": "null", "inputs": map[string]any{"fail": "no route"}}, "", 201)
	ann.until("it rings", `document.querySelector("#bell").dataset.unread === "1"`)

	tb := e.browse(t, "administrator")
	tb.on(screens[0])
	tb.open("/mail")
	tb.until("it is tried in vain", `document.querySelector("table")?.innerText.includes("ann@example.org") && document.querySelector("table").innerText.includes("the mail server could not be used")`)
	tb.accessible("a mail that does not go")
	tb.shot("mail-failing")
	p := &post{}
	p.open(t, addr)
	tb.click(`form[action$="/again"] .btn`)
	tb.until("it goes, live", `document.querySelector("table .badge.ok")?.innerText === "delivered"`)
	if got := p.got(); !strings.Contains(got, "To: ") || !strings.Contains(got, "breaks") || !strings.Contains(got, "fairlead why breaks -e web/dev") {
		t.Errorf("the mail is %q", got)
	}
	tb.open("/mail?status=failed")
	tb.says("No mail")
	tb.open("/mail?q=ann")
	tb.click("table a.name")
	tb.says("a run has failed: breaks in web/dev")
	tb.says("fairlead why breaks -e web/dev")
	tb.accessible("a mail")
	for _, s := range screens {
		tb.on(s)
		tb.open("/mail")
		tb.fits("mail on " + s.name)
		tb.accessible("mail on " + s.name)
		tb.shot("mail-" + s.name)
	}

	ann.click(`button[name="default"]`)
	ann.until("told so", `document.querySelector(".toast")?.innerText.includes("Back to the default")`)
	ann.until("as in the beginning", `document.querySelector('input[name="bell"][value="lease.ended"]').checked && !document.querySelector('input[name="mail"][value="run.failed"]').checked`)
	ann.clean()
	tb.clean()
}

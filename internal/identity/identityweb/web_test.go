package identityweb_test

import (
	"bufio"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"fairlead/internal/httpx"
	"fairlead/internal/identity"
	"fairlead/internal/identity/identitytest"
	"fairlead/internal/identity/identityweb"
	"fairlead/internal/redact"
	"fairlead/internal/sqldb"
	"fairlead/internal/sqldb/sqldbtest"
	"fairlead/internal/webui"
)

const password = "three unrelated words here"

// site is the pages over a world, asked from an address each time.
type site struct {
	*identitytest.World
	t *testing.T
	s *httpx.Server
}

func open(t *testing.T, secure bool) *site {
	t.Helper()
	w := identitytest.New(t, sqldbtest.SQLite(t), func(o *identity.Options) {
		o.Throttle.Window, o.Throttle.PerAccount, o.Throttle.PerAddress, o.Throttle.Block, o.Throttle.Longest = 1<<40, 1000, 3, 1<<40, 1<<40
	})
	_, s := httpx.New(httpx.Options{Auth: w.Identity, Secure: secure, AnonymousRate: httpx.Rate{PerSecond: 0.001, Burst: 12}})
	identityweb.Mount(webui.New(webui.Options{Server: s}), identityweb.Services{Identity: w.Identity, Audit: w.Log, PublicURL: "http://portal.test"})
	return &site{w, t, s}
}

func (s *site) ask(method, target, address string, form url.Values, headers ...string) *httptest.ResponseRecorder {
	s.t.Helper()
	r := httptest.NewRequest(method, target, strings.NewReader(form.Encode()))
	r.RemoteAddr = address + ":1234"
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	s.s.ServeHTTP(w, r)
	return w
}

func (s *site) link(user string) url.Values {
	s.t.Helper()
	l, err := s.Identity.IssueLink(s.Admin, user)
	s.Must(err)
	return url.Values{"link": {l.Value.Reveal()}}
}

// signIn uses a link and gives the cookie.
func (s *site) signIn(user, address string, headers ...string) *http.Cookie {
	s.t.Helper()
	w := s.ask("POST", "/sign-in", address, s.link(user), headers...)
	if w.Code != http.StatusSeeOther || len(w.Result().Cookies()) != 1 {
		s.t.Fatalf("%d %s", w.Code, w.Body)
	}
	return w.Result().Cookies()[0]
}

// home is the page that says who is signed in; a way to sign in for nobody.
func (s *site) home(cookies string) string {
	s.t.Helper()
	return s.ask("GET", "/account", "10.0.0.9", nil, "Cookie", cookies).Body.String()
}

func TestAnotherSiteSignsNobodyIn(t *testing.T) {
	t.Parallel()
	s := open(t, false)
	s.User("bob", "")
	form := s.link("bob")
	for _, c := range []struct{ why, header, value string }{
		{"another site", "Sec-Fetch-Site", "cross-site"},
		{"a sister domain", "Sec-Fetch-Site", "same-site"},
		{"another origin, from an old browser", "Origin", "https://evil.example"},
		{"a sandboxed frame", "Origin", "null"},
	} {
		if w := s.ask("POST", "/sign-in", "10.0.0.1", form, c.header, c.value); w.Code != http.StatusForbidden || len(w.Result().Cookies()) > 0 {
			t.Errorf("%s: %d", c.why, w.Code)
		}
	}
	if w := s.ask("GET", "/sign-in?"+form.Encode(), "10.0.0.1", nil); w.Code != 200 || len(w.Result().Cookies()) > 0 {
		t.Errorf("a GET signs in: %d", w.Code)
	}
	if w := s.ask("POST", "/sign-in", "10.0.0.1", form, "Sec-Fetch-Site", "same-origin"); w.Code != http.StatusSeeOther {
		t.Errorf("the form itself: %d", w.Code) // so nothing above used the link up
	}
}

func TestASignInLeadsNowhereElse(t *testing.T) {
	t.Parallel()
	s := open(t, false)
	s.User("bob", "")
	w := s.ask("POST", "/sign-in?next=https://evil.example&return_to=//evil.example", "10.0.0.1", s.link("bob"), "X-Forwarded-Host", "evil.example")
	if got := w.Header().Get("Location"); got != "/" {
		t.Errorf("leads to %q", got)
	}
	for _, target := range []string{
		"//evil.example", "//evil.example/..", "//evil.example/../sign-in", `/\evil.example`, "/%5cevil.example", "/%5c%5cevil.example/..",
		"/%09/evil.example", "/%2f%2fevil.example/..", "/.//evil.example", "/sign-in/..//evil.example", "/x/../%09//evil.example", "https://evil.example/x/..",
		"/%0d%0aLocation:%20https://evil.example",
	} {
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader("GET " + target + " HTTP/1.1\r\nHost: fairlead.example\r\n\r\n")))
		if err != nil {
			t.Errorf("%s: %v", target, err)
			continue
		}
		r.RemoteAddr = "10.0.0.2:1"
		w := httptest.NewRecorder()
		s.s.ServeHTTP(w, r)
		got := w.Header().Get("Location")
		u, err := url.Parse(got)
		if err != nil || u.Host != "" && target[0] == '/' || strings.HasPrefix(got, "//") || strings.ContainsAny(got, "\\\t\r\n") {
			t.Errorf("%s leads to %q", target, got)
		}
	}
}

func TestASessionFromBeforeTheSignInEnds(t *testing.T) {
	t.Parallel()
	s := open(t, false)
	s.User("bob", "")
	s.User("eve", "")
	old := s.signIn("eve", "10.0.0.1")
	if body := s.home(old.String()); !strings.Contains(body, "<strong>eve</strong>") {
		t.Fatalf("not signed in: %s", body)
	}
	// Eve's session was planted in Bob's browser: it must not be his afterwards.
	now := s.signIn("bob", "10.0.0.1", "Cookie", old.String())
	if now.Value == old.Value || !now.HttpOnly || now.SameSite != http.SameSiteLaxMode || now.Path != "/" || now.Domain != "" || now.Expires.IsZero() {
		t.Errorf("cookie %v", now)
	}
	if body := s.home(old.String()); strings.Contains(body, "Your account") {
		t.Errorf("the planted session lives on: %s", body)
	}
	if body := s.home(old.Name + "=fl_ses_chosen-by-somebody-else"); strings.Contains(body, "Your account") {
		t.Error("a session of somebody's choice")
	}
	if body := s.home(now.String()); !strings.Contains(body, "<strong>bob</strong>") {
		t.Errorf("got %s", body)
	}
}

func TestOnlyTheFailingAddressWaits(t *testing.T) {
	t.Parallel()
	s := open(t, false)
	s.User("bob", "")
	wrong := url.Values{"name": {"bob"}, "password": {"wrong password"}}
	last := 0
	for i := range 5 {
		// Other spellings of the address and of headers gain nothing.
		last = s.ask("POST", "/sign-in", "[2001:db8::"+string(rune('1'+i))+"]", wrong, "X-Forwarded-For", "10.1.1."+string(rune('1'+i))).Code
	}
	if last != http.StatusTooManyRequests {
		t.Errorf("the sixth guess: %d", last)
	}
	cookie := s.signIn("bob", "10.0.0.7") // nobody else has to wait
	p, err := s.Identity.AuthenticateSession(t.Context(), redact.New(cookie.Value))
	s.Must(err)
	mine, _, err := s.Identity.Sessions(s.As("bob"), sqldb.Page{})
	s.Must(err)
	if len(mine) != 1 || mine[0].ID != p.SessionID || mine[0].Address != "10.0.0.7" {
		t.Errorf("the session does not say where it came from: %+v", mine)
	}
	for range 20 { // before any password is hashed, the address's own limit holds
		last = s.ask("POST", "/sign-in", "10.0.0.8", wrong).Code
	}
	if w := s.ask("POST", "/sign-in", "10.0.0.8", wrong); last != http.StatusTooManyRequests || w.Header().Get("RateLimit-Remaining") != "0" {
		t.Errorf("no limit on the form: %d %v", last, w.Header())
	}
}

func TestOverHTTPSOnlyTheHostCookieCounts(t *testing.T) {
	t.Parallel()
	s := open(t, true)
	s.User("bob", "")
	cookie := s.signIn("bob", "10.0.0.1")
	if cookie.Name != httpx.HostCookie || !cookie.Secure || cookie.Domain != "" || cookie.Path != "/" {
		t.Errorf("cookie %v", cookie)
	}
	if body := s.home(cookie.String()); !strings.Contains(body, "<strong>bob</strong>") {
		t.Errorf("got %s", body)
	}
	// A sister domain can set any other cookie for this one.
	if body := s.home(httpx.SessionCookie + "=" + cookie.Value); strings.Contains(body, "Your account") {
		t.Error("a cookie that anybody next door can plant")
	}
}

func TestTheFormEscapesWhatTheLinkSays(t *testing.T) {
	t.Parallel()
	s := open(t, false)
	for _, evil := range []string{`"><script>alert(1)</script>`, `javascript:alert(1)`, `' onfocus=alert(1) autofocus='`} {
		w := s.ask("GET", "/sign-in?link="+url.QueryEscape(evil), "10.0.0.1", nil)
		if strings.Contains(w.Body.String(), "<script>") || strings.Contains(w.Body.String(), `value="'`) {
			t.Errorf("%s: %s", evil, w.Body)
		}
		csp := w.Header().Get("Content-Security-Policy")
		if !strings.HasPrefix(csp, "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'") || w.Header().Get("Referrer-Policy") != "no-referrer" {
			t.Errorf("policy %q", csp)
		}
	}
	w := s.ask("POST", "/sign-in", "10.0.0.1", url.Values{"name": {"<b>bob"}, "password": {password}})
	if w.Code != http.StatusUnauthorized || strings.Contains(w.Body.String(), "<b>") || strings.Contains(w.Body.String(), password) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

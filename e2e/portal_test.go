package e2e

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"time"

	"fairlead/internal/app/pages"
	"fairlead/internal/httpx"
)

// visitor is somebody's browser, without the browser.
type visitor struct {
	http *http.Client
	base string
}

// visit signs somebody in by a one-time link; "" is nobody.
func (e *estate) visit(t *testing.T, name string) *visitor {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	v := &visitor{base: e.s.url(), http: &http.Client{Jar: jar, Timeout: 15 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
	if name == "" {
		v.http.Transport = fromEverywhere().Transport
		return v
	}
	link := e.c.must(t, "POST", "/api/v1/users/"+name+"/links", nil, "", 201).str("value")
	if status, _, body := v.ask(t, "POST", "/sign-in", url.Values{"link": {link}}); status != http.StatusSeeOther {
		t.Fatalf("%s cannot sign in: %d %s", name, status, body)
	}
	return v
}

func (v *visitor) ask(t *testing.T, method, path string, form url.Values) (status int, h http.Header, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, v.base+path, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "text/html")
	if method != http.MethodGet {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	res, err := v.http.Do(req)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, 4<<20))
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	return res.StatusCode, res.Header, string(b)
}

// backtest has one started, for its page.
func (e *estate) backtest(t *testing.T, v *visitor) {
	t.Helper()
	status, h, body := v.ask(t, "POST", "/guardrails/baseline/backtests", url.Values{"days": {"7"}})
	if status != http.StatusSeeOther {
		t.Fatalf("no backtest: %d %.300s", status, body)
	}
	e.params["backtest"] = strings.TrimPrefix(h.Get("Location"), "/backtests/")
}

// address fills in a page's address with what belongs to team acme.
func (e *estate) address(r httpx.PageRoute) string {
	path := strings.TrimSuffix(r.Path, "{$}")
	for name, value := range e.params {
		path = strings.ReplaceAll(path, "{"+name+"}", value)
	}
	return strings.NewReplacer("{template}", "null", "{guardrail}", "baseline").Replace(path)
}

// form is a form that would do something on any page that takes one.
func (e *estate) form() url.Values {
	return url.Values{
		"confirm": {e.params["resource"]}, "decision": {"approve"}, "comment": {"x"}, "digest": {"x"}, "revision": {"1"}, "name": {"sneaked"}, "class": {"development"},
		"where": {e.params["project"] + "/" + e.params["environment"]}, "team": {e.params["team"]}, "environment": {"sneaked"}, "in/value": {"sneaked"},
	}
}

// TestStrangersSeeNothingOfThePortal asks for every page, and sends every
// form, as everybody who has no right to it.
func TestStrangersSeeNothingOfThePortal(t *testing.T) {
	t.Parallel()
	e := newEstate(t)
	e.user(t, "olga", "others", "team-owner")
	e.user(t, "nobody", "")
	anonymous, olga, nobody := e.visit(t, ""), e.visit(t, "olga"), e.visit(t, "nobody")
	admin := e.visit(t, "administrator")
	e.backtest(t, admin)
	list := pages.Describe()
	if len(list) < 25 {
		t.Fatalf("only %d pages are known", len(list))
	}
	for _, r := range list {
		path := e.address(r)
		if strings.Contains(path, "{") {
			t.Errorf("%s %s: the test does not know what to fill in", r.Method, r.Path)
			continue
		}
		if r.Path == "/sign-out" || r.Path == "/live" {
			continue
		}
		form := url.Values(nil)
		if r.Method != http.MethodGet {
			form = e.form()
		}
		if status, h, body := anonymous.ask(t, r.Method, path, form); !r.Public && (status != http.StatusSeeOther && status != http.StatusUnauthorized || status == http.StatusSeeOther && !strings.HasPrefix(h.Get("Location"), "/sign-in")) || strings.Contains(strings.ReplaceAll(body, url.QueryEscape(path), ""), mark) {
			t.Errorf("%s %s for nobody: %d %v", r.Method, path, status, h)
		}
		for who, v := range map[string]*visitor{"another team's owner": olga, "a stranger": nobody} {
			status, h, body := v.ask(t, r.Method, path, form)
			switch {
			case status >= 500:
				t.Errorf("%s %s for %s: %d %.300s", r.Method, path, who, status, body)
			case strings.Contains(strings.ReplaceAll(body, path, ""), mark+"-value"), strings.Contains(strings.ReplaceAll(body, path, ""), mark+"-ann"):
				t.Errorf("%s %s tells %s of others", r.Method, path, who)
			case strings.Contains(r.Path, "{project}") || strings.Contains(r.Path, "{run}") || strings.Contains(r.Path, "{approval}") || strings.Contains(r.Path, "{rollout}"):
				if status != http.StatusNotFound {
					t.Errorf("%s %s for %s: %d %v", r.Method, path, who, status, h)
				}
			case status == http.StatusOK && r.Method == http.MethodGet && strings.Contains(body, mark):
				t.Errorf("%s %s shows %s what is others'", r.Method, path, who)
			}
		}
		if r.Method == http.MethodGet && r.Path != "/session" { // the page is there for who may see it
			if status, h, body := admin.ask(t, "GET", path, nil); status != http.StatusOK {
				t.Errorf("%s for an administrator: %d %.300s", path, status, body)
			} else if csp := h.Get("Content-Security-Policy"); strings.HasPrefix(h.Get("Content-Type"), "text/html") && (strings.Contains(csp, "unsafe") || !strings.Contains(csp, "frame-ancestors 'none'")) {
				t.Errorf("%s: policy %q", path, csp)
			}
		}
	}
	for path, want := range map[string]int{
		"/live?page=" + url.QueryEscape("/projects/"+e.params["project"]+"/"+e.params["environment"]): 404, "/live?page=//evil.example": 200,
	} {
		if want == 200 {
			continue // a stream of the home page, which is one's own
		}
		if status, _, body := olga.ask(t, "GET", path, nil); status != want || strings.Contains(body, mark) {
			t.Errorf("%s for another team's owner: %d", path, status)
		}
	}
	if got := e.c.settle(t, e.params["id"], patience, applied(1)); got.num("revision") != 1 || got.str("phase") != "ready" {
		t.Errorf("somebody changed the resource: %v", got)
	}
	if got := e.c.must(t, "GET", "/api/v1/resources?search=sneaked", nil, "", 200); len(items(got)) != 0 {
		t.Errorf("somebody made something: %v", got)
	}
}

// TestThePortalIsAskedByItsOwnPagesAlone: what changes something is refused to
// a page of another site, whoever's session its browser sends along.
func TestThePortalIsAskedByItsOwnPagesAlone(t *testing.T) {
	t.Parallel()
	e := newEstate(t)
	admin := e.visit(t, "administrator")
	for _, r := range pages.Describe() {
		if r.Method == http.MethodGet {
			continue
		}
		for _, from := range []struct{ header, value string }{{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Origin", "https://evil.example"}, {"Origin", "null"}} {
			req, err := http.NewRequestWithContext(t.Context(), r.Method, admin.base+e.address(r), strings.NewReader(e.form().Encode()))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			req.Header.Set(from.header, from.value)
			res, err := admin.http.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			if res.StatusCode != http.StatusForbidden {
				t.Errorf("%s %s from %s %s: %d", r.Method, r.Path, from.header, from.value, res.StatusCode)
			}
		}
	}
}

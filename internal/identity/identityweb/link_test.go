package identityweb_test

import (
	"html"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"fairlead/internal/identity"
)

// TestALinkIsUsedByItsButtonAlone: previews of a mailed link, and a second
// look at it, cost nothing; the button signs in, once.
func TestALinkIsUsedByItsButtonAlone(t *testing.T) {
	t.Parallel()
	s := open(t, false)
	s.User("bob", "")
	form := s.link("bob")
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodGet} {
		if w := s.ask(method, "/sign-in?"+form.Encode(), "10.0.0.1", nil); w.Code != http.StatusOK || len(w.Result().Cookies()) > 0 {
			t.Fatalf("%s: %d %v", method, w.Code, w.Result().Cookies())
		}
	}
	first := s.ask("POST", "/sign-in", "10.0.0.1", form)
	cookies := first.Result().Cookies()
	if first.Code != http.StatusSeeOther || first.Header().Get("Location") != "/" || len(cookies) != 1 || !cookies[0].HttpOnly || cookies[0].SameSite != http.SameSiteLaxMode {
		t.Fatalf("%d %v", first.Code, first.Header())
	}
	if body := s.home(cookies[0].String()); !strings.Contains(body, "<strong>bob</strong>") {
		t.Errorf("got %s", body)
	}
	again := s.ask("POST", "/sign-in", "10.0.0.2", form)
	if again.Code != http.StatusUnauthorized || len(again.Result().Cookies()) > 0 || !strings.Contains(again.Body.String(), "used or expired") {
		t.Errorf("used again: %d %v %s", again.Code, again.Result().Cookies(), again.Body)
	}
	if strings.Contains(again.Body.String(), form.Get("link")) {
		t.Error("the page repeats a link that does not work")
	}
	if csp := again.Header().Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'none'") || again.Header().Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("a page about an error is a page: %v", again.Header())
	}
	if _, err := s.Identity.SignIn(t.Context(), identity.SignIn{Name: "bob"}); err == nil {
		t.Error("a name alone signs in")
	}
}

// TestALinkIsCarriedAsItIs: whatever stands in the URL is one attribute's
// value, and nothing else of the page.
func TestALinkIsCarriedAsItIs(t *testing.T) {
	t.Parallel()
	s := open(t, false)
	plain := s.ask("GET", "/sign-in?link=x", "10.0.0.1", nil).Body.String()
	for _, evil := range []string{
		`"><img src=x onerror=alert(1)>`, `' autofocus onfocus='alert(1)`, `</form><form action=https://evil.example>`, `{{.Title}}`, "`${1}`",
		"&#34;&gt;<b>", `" formaction="https://evil.example`, strings.Repeat(`">`, 1000),
	} {
		page := s.ask("GET", "/sign-in?link="+url.QueryEscape(evil), "10.0.0.1", nil).Body.String()
		before, rest, ok := strings.Cut(page, `name="link" value="`)
		value, after, ok2 := strings.Cut(rest, `"`)
		if !ok || !ok2 || before+`name="link" value="x"`+after != plain {
			t.Errorf("%q changes the page: %s", evil, page)
		}
		if got := html.UnescapeString(value); got != evil {
			t.Errorf("%q is carried as %q", evil, got)
		}
	}
	if w := s.ask("GET", "/sign-in?link=%00%ff%22", "10.0.0.1", nil); w.Code != http.StatusBadRequest {
		t.Errorf("what is no text: %d", w.Code)
	}
}

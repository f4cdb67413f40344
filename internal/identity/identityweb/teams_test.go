package identityweb_test

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"fairlead/internal/identity/identitytest"
)

// cookie signs somebody in and gives what their browser sends.
func (s *site) cookie(user, address string) string {
	s.t.Helper()
	c := s.signIn(user, address)
	return c.Name + "=" + c.Value
}

func TestATokenIsShownOnce(t *testing.T) {
	t.Parallel()
	s := open(t, false)
	s.User("bob", "")
	s.User("eve", "")
	bob, eve := s.cookie("bob", "10.0.0.1"), s.cookie("eve", "10.0.0.2")
	w := s.ask("POST", "/tokens", "10.0.0.1", url.Values{"name": {"notebook-7"}, "lifetime": {"24h"}}, "Cookie", bob)
	value := regexp.MustCompile(`fl_pat_[0-9A-Za-z]{20,}`).FindString(w.Body.String())
	if w.Code != http.StatusOK || value == "" || w.Header().Get("Cache-Control") != "no-store" {
		t.Fatalf("%d %v: %s", w.Code, w.Header(), w.Body)
	}
	page := s.ask("GET", "/tokens", "10.0.0.1", nil, "Cookie", bob).Body.String()
	if strings.Contains(page, value) || !strings.Contains(page, "notebook-7") {
		t.Error("the list shows the value again, or not the token")
	}
	revoke := regexp.MustCompile(`/tokens/tok_[0-9a-z]+/revoke`).FindString(page)
	if got := s.ask("POST", revoke, "10.0.0.2", nil, "Cookie", eve).Code; got != http.StatusNotFound {
		t.Errorf("somebody else revokes it: %d", got)
	}
	if got := s.ask("POST", revoke, "10.0.0.1", nil, "Cookie", bob).Code; got != http.StatusSeeOther {
		t.Errorf("revoke: %d", got)
	}
	if page := s.ask("GET", "/tokens", "10.0.0.1", nil, "Cookie", bob).Body.String(); strings.Contains(page, "notebook-7") {
		t.Error("a revoked token is among those in use")
	}
	bad := s.ask("POST", "/tokens", "10.0.0.1", url.Values{"name": {"ci"}, "scopes": {"nothing:like-it"}}, "Cookie", bob)
	if bad.Code != http.StatusUnprocessableEntity || !strings.Contains(bad.Body.String(), "nothing:like-it") {
		t.Errorf("a scope that is none: %d, and what was written is not kept", bad.Code)
	}
}

func TestATeamsPageIsItsOwners(t *testing.T) {
	t.Parallel()
	s := open(t, false)
	s.User("bob", "")
	s.User("eve", "")
	admin, bob, eve := s.cookie(identitytest.AdminName, "10.0.0.1"), s.cookie("bob", "10.0.0.2"), s.cookie("eve", "10.0.0.3")
	if w := s.ask("POST", "/teams", "10.0.0.2", url.Values{"name": {"mine"}}, "Cookie", bob); w.Code != http.StatusForbidden {
		t.Errorf("anybody makes a team: %d", w.Code)
	}
	if w := s.ask("POST", "/teams", "10.0.0.1", url.Values{"name": {"payments"}}, "Cookie", admin); w.Header().Get("Location") != "/teams/payments" {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	add := func(cookie, address, member, role string) int {
		return s.ask("POST", "/teams/payments/members", address, url.Values{"member": {member}, "role": {role}}, "Cookie", cookie).Code
	}
	for _, c := range []struct {
		why, cookie, member, role string
		want                      int
	}{
		{"a stranger", eve, "eve", "team-owner", http.StatusNotFound},
		{"an administrator", admin, "bob", "team-owner", http.StatusSeeOther},
		{"nobody of that name", bob, "nobody-there", "developer", http.StatusUnprocessableEntity},
		{"an owner", bob, "eve", "viewer", http.StatusSeeOther},
		{"a viewer", eve, "eve", "team-owner", http.StatusForbidden},
	} {
		if got := add(c.cookie, "10.0.0.4", c.member, c.role); got != c.want {
			t.Errorf("%s adds %s: %d, not %d", c.why, c.member, got, c.want)
		}
	}
	if page := s.ask("GET", "/teams/payments", "10.0.0.3", nil, "Cookie", eve).Body.String(); strings.Contains(page, "Add member") || !strings.Contains(page, "bob") {
		t.Error("a viewer's page has the owner's buttons, or not the members")
	}
	if got := s.ask("POST", "/teams/payments/members/eve/remove", "10.0.0.2", nil, "Cookie", bob).Code; got != http.StatusSeeOther {
		t.Errorf("remove: %d", got)
	}
	if got := s.ask("GET", "/teams/payments", "10.0.0.3", nil, "Cookie", eve).Code; got != http.StatusNotFound {
		t.Errorf("who was removed still sees it: %d", got)
	}
}

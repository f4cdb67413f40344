package apidoc_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"fairlead/internal/apidoc"
	"fairlead/internal/httpx"
	"fairlead/internal/principal"
	"fairlead/internal/redact"
)

// doors knows a session of a person and one of a robot, which has none in fact.
type doors struct{}

func (doors) AuthenticateToken(context.Context, redact.Secret) (principal.Principal, error) {
	return principal.Principal{ID: "usr_1", Kind: principal.User, Name: "ann"}, nil
}

func (doors) AuthenticateSession(_ context.Context, value redact.Secret) (principal.Principal, error) {
	switch value.Reveal() {
	case "anns":
		return principal.Principal{ID: "usr_1", Kind: principal.User, Name: "ann"}, nil
	case "robots":
		return principal.Principal{ID: "bot_1", Kind: principal.Robot, Name: "ci"}, nil
	}
	return principal.Nobody, errors.New("no such session")
}

func TestTheManualAsksWhoIsSignedIn(t *testing.T) {
	t.Parallel()
	_, s := httpx.New(httpx.Options{Auth: doors{}})
	apidoc.Mount(s, "/feedback")
	for path, page := range map[string]string{"/docs/portal": "/docs/portal", "/docs/errors": "/docs/errors", "/docs/errors/unauthenticated": "/docs/errors/{code}"} {
		if !apidoc.IsPage(page) {
			t.Errorf("%s is no page to have an opinion on", page)
		}
		w := get(s, path, "Cookie", httpx.SessionCookie+"=anns")
		for _, want := range []string{`action="/feedback"`, `name="page" value="` + page + `"`, `name="back" value="` + path + `"`, `name="helpful" value="no"`} {
			if !strings.Contains(w.Body.String(), want) {
				t.Errorf("%s: no %s", path, want)
			}
		}
		if !strings.Contains(w.Header().Get("Content-Security-Policy"), "form-action 'self'") || !strings.Contains(w.Header().Get("Vary"), "Cookie") {
			t.Errorf("%s: %v", path, w.Header())
		}
		for who, headers := range map[string][]string{"nobody": nil, "an old session": {"Cookie", httpx.SessionCookie + "=old"}, "a robot": {"Cookie", httpx.SessionCookie + "=robots"}, "a token": {"Authorization", "Bearer abc"}} {
			w := get(s, path, headers...)
			if w.Code != http.StatusOK || strings.Contains(w.Body.String(), "<form") || !strings.Contains(w.Header().Get("Content-Security-Policy"), "form-action 'none'") {
				t.Errorf("%s asks %s: %d", path, who, w.Code)
			}
		}
	}
	for _, page := range []string{"", "/docs/", "/docs/nothing", "/docs/../docs/portal", "/docs/errors/unauthenticated", "portal", "/docs/portal.md"} {
		if apidoc.IsPage(page) {
			t.Errorf("%q is a page", page)
		}
	}
	if w := get(s, "/docs/nothing", "Cookie", httpx.SessionCookie+"=anns"); w.Code != http.StatusNotFound || strings.Contains(w.Body.String(), "<form") {
		t.Errorf("what is not there is asked about: %d", w.Code)
	}
}

package identityapi_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"fairlead/internal/httpx"
	"fairlead/internal/httpx/httpxtest"
	"fairlead/internal/identity"
	"fairlead/internal/identity/identityapi"
	"fairlead/internal/identity/identitytest"
	"fairlead/internal/principal"
	"fairlead/internal/project"
	"fairlead/internal/project/projectapi"
	"fairlead/internal/sqldb/sqldbtest"
)

type server struct {
	*identitytest.World
	t   *testing.T
	srv http.Handler
}

func newServer(t *testing.T) (*server, []httpxtest.Request) {
	t.Helper()
	w := identitytest.New(t, sqldbtest.SQLite(t))
	api, srv := httpx.New(httpx.Options{Auth: w.Identity, DB: w.DB})
	identityapi.Register(api, w.Identity, identityapi.Options{})
	projectapi.Register(api, w.Projects)
	params := map[string]string{"user": "bob", "team": "red", "robot": "ci", "member": "bob", "role": "developer", "project": "shop", "environment": "dev"}
	return &server{w, t, srv}, httpxtest.EveryRoute(api, params)
}

// do sends a request; credential is a bearer token or, beginning with
// fl_ses_, a session.
func (s *server) do(method, target, credential, body string, into any) *http.Response {
	s.t.Helper()
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if strings.HasPrefix(credential, "fl_ses_") {
		r.AddCookie(&http.Cookie{Name: httpx.SessionCookie, Value: credential})
	} else if credential != "" {
		r.Header.Set("Authorization", "Bearer "+credential)
	}
	rec := httptest.NewRecorder()
	s.srv.ServeHTTP(rec, r)
	if into != nil {
		if err := json.Unmarshal(rec.Body.Bytes(), into); err != nil {
			s.t.Fatalf("%s %s: %v: %s", method, target, err, rec.Body)
		}
	}
	return rec.Result()
}

func (s *server) link(name string) string {
	l, err := s.Identity.IssueLink(s.Admin, name)
	s.Must(err)
	return l.Value.Reveal()
}

func TestTheWayOfAUser(t *testing.T) {
	t.Parallel()
	s, _ := newServer(t)
	res := s.do("POST", "/api/v1/session/link", "", `{"link":"`+s.link(identitytest.AdminName)+`"}`, nil)
	if res.StatusCode != 201 || len(res.Cookies()) != 1 || res.Header.Get("Cache-Control") != "no-store" {
		t.Fatalf("%d %v", res.StatusCode, res.Header)
	}
	c := res.Cookies()[0]
	if !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Secure {
		t.Errorf("cookie %+v", c)
	}
	admin := c.Value
	if res := s.do("PUT", "/api/v1/me/password", admin, `{"password":"several words in a row"}`, nil); res.StatusCode != 204 {
		t.Fatal(res.Status)
	}
	var token identityapi.NewToken
	if res := s.do("POST", "/api/v1/login", "", `{"name":"`+identitytest.AdminName+`","password":"several words in a row","tokenName":"laptop"}`, &token); res.StatusCode != 201 {
		t.Fatal(res.Status, token)
	}
	if !strings.HasPrefix(token.Value, "fl_pat_") || token.Name != "laptop" {
		t.Errorf("%+v", token.Token)
	}
	for _, step := range []struct {
		method, target, body string
		status               int
	}{
		{"POST", "/api/v1/teams", `{"name":"red"}`, 201},
		{"POST", "/api/v1/teams", `{"name":"red"}`, 409},
		{"POST", "/api/v1/teams", `{"name":"Red"}`, 422},
		{"POST", "/api/v1/users", `{"name":"bob"}`, 201},
		{"PUT", "/api/v1/teams/red/members/bob/roles/developer", "", 204},
		{"PUT", "/api/v1/teams/red/members/bob/roles/god", "", 422},
		{"POST", "/api/v1/robots", `{"team":"red","name":"ci","roles":["developer"]}`, 201},
		{"POST", "/api/v1/tokens", `{"name":"ci","robot":"ci","scopes":["resource:*"]}`, 201},
		{"POST", "/api/v1/projects", `{"team":"red","name":"shop"}`, 201},
		{"POST", "/api/v1/projects/shop/environments", `{"name":"dev","class":"development"}`, 201},
		{"PATCH", "/api/v1/projects/shop/environments/dev", `{"title":"Dev"}`, 200},
		{"DELETE", "/api/v1/projects/shop", "", 409},
		{"DELETE", "/api/v1/teams/red", "", 409},
		{"GET", "/api/v1/teams/red/members?limit=1", "", 200},
		{"GET", "/api/v1/users?q=bo&team=red&role=developer&sort=-created&disabled=false", "", 200},
		{"GET", "/api/v1/tokens?owner=ci", "", 200},
		{"GET", "/api/v1/environments?class=development", "", 200},
		{"GET", "/api/v1/projects/none/environments", "", 404},
		{"POST", "/api/v1/users/bob/links", "", 201},
		{"DELETE", "/api/v1/me/sessions", "", 204},
	} {
		var body json.RawMessage
		into := any(&body)
		if step.status == 204 {
			into = nil
		}
		if res := s.do(step.method, step.target, token.Value, step.body, into); res.StatusCode != step.status {
			t.Errorf("%s %s: %s %s", step.method, step.target, res.Status, body)
		}
	}
	var me identityapi.Me
	s.do("GET", "/api/v1/me", token.Value, "", &me)
	if me.Name != identitytest.AdminName || me.Kind != "user" || len(me.Roles) != 1 || me.TokenID == "" {
		t.Errorf("%+v", me)
	}
	if res := s.do("GET", "/api/v1/me", admin, "", nil); res.StatusCode != 401 {
		t.Errorf("a session ended by a token: %s", res.Status)
	}
	signIn := `{"name":"` + identitytest.AdminName + `","password":"several words in a row"}`
	first := s.do("POST", "/api/v1/session", "", signIn, nil).Cookies()[0].Value
	second := s.do("POST", "/api/v1/session", first, signIn, nil).Cookies()[0].Value
	if first == second || s.do("GET", "/api/v1/me", first, "", nil).StatusCode != 401 {
		t.Error("the session from before the sign-in lives on")
	}
	if res := s.do("DELETE", "/api/v1/session", second, "", nil); res.StatusCode != 204 || res.Cookies()[0].MaxAge >= 0 {
		t.Errorf("%s %v", res.Status, res.Cookies())
	}
	if s.do("GET", "/api/v1/me", second, "", nil).StatusCode != 401 {
		t.Error("signed out, and still in")
	}
}

func TestStrangersGetNothingAtAnyRoute(t *testing.T) {
	t.Parallel()
	s, routes := newServer(t)
	s.Team("red")
	s.Team("blue")
	s.User("bob", "red", principal.Developer)
	s.User("mallory", "blue", principal.TeamOwner)
	_, err := s.Identity.CreateRobot(s.Admin, identity.NewRobot{Team: "red", Name: "ci"})
	s.Must(err)
	s.Environment("red", "shop", "dev", project.Development)
	mallory, err := s.Identity.CreateToken(s.As("mallory"), identity.NewToken{Name: "m"})
	s.Must(err)
	forged := "fl_pat_" + strings.Repeat("A", 49)
	tried := 0
	for _, rt := range routes {
		if !strings.HasPrefix(rt.Path, "/api/v1/") || strings.HasPrefix(rt.Path, "/api/v1/session") || rt.Path == "/api/v1/login" {
			continue
		}
		for _, credential := range []string{"", forged} {
			if res := s.do(rt.Method, rt.Target, credential, string(rt.Body), nil); res.StatusCode != 401 {
				t.Errorf("%s %s with %q: %s", rt.Method, rt.Target, credential, res.Status)
			}
		}
		if strings.Contains(rt.Path, "/me") || !strings.Contains(rt.Path, "{") {
			continue
		}
		tried++
		r := httptest.NewRequest(rt.Method, rt.Target, bytes.NewReader(rt.Body))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", "Bearer "+mallory.Value.Reveal())
		rec := httptest.NewRecorder()
		s.srv.ServeHTTP(rec, r)
		orgRole := strings.HasPrefix(rt.Path, "/api/v1/users/{user}/roles/") // "developer" is none: refused before anybody is asked
		if rec.Code != 404 && !(orgRole && rec.Code == 422) {
			t.Errorf("%s %s by a stranger: %d %s", rt.Method, rt.Target, rec.Code, rec.Body)
		}
	}
	if tried < 20 {
		t.Errorf("only %d routes tried", tried)
	}
}

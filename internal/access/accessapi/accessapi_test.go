package accessapi_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"fairlead/internal/access"
	"fairlead/internal/access/accessapi"
	"fairlead/internal/access/accesstest"
	"fairlead/internal/httpx"
	"fairlead/internal/principal"
	"fairlead/internal/sqldb/sqldbtest"
)

var (
	admin     = principal.Principal{Kind: principal.User, ID: "usr_root", Name: "root", OrgRoles: []principal.Role{principal.PlatformAdmin}}
	developer = principal.Principal{Kind: principal.User, ID: "usr_dev", Name: "dev", Memberships: []principal.Membership{{TeamID: "team_a", Team: "a", Role: principal.Developer}}}
)

type face struct {
	t   *testing.T
	mux *http.ServeMux
}

func newFace(t *testing.T) face {
	svc := accesstest.Service(t, sqldbtest.SQLite(t))
	mux := http.NewServeMux()
	accessapi.Register(humago.New(mux, huma.DefaultConfig("test", "1")), svc)
	return face{t, mux}
}

func (f face) do(p principal.Principal, method, path, ifMatch string, body any) *httptest.ResponseRecorder {
	f.t.Helper()
	var b bytes.Buffer
	if body != nil {
		if err := json.NewEncoder(&b).Encode(body); err != nil {
			f.t.Fatal(err)
		}
	}
	r := httptest.NewRequestWithContext(principal.With(f.t.Context(), p), method, path, &b)
	r.Header.Set("Content-Type", "application/json")
	if ifMatch != "" {
		r.Header.Set("If-Match", ifMatch)
	}
	w := httptest.NewRecorder()
	f.mux.ServeHTTP(w, r)
	return w
}

func into[T any](t *testing.T, w *httptest.ResponseRecorder) (v T) {
	t.Helper()
	if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil {
		t.Fatalf("%d %s: %v", w.Code, w.Body, err)
	}
	return v
}

func TestPoliciesOverTheWire(t *testing.T) {
	t.Parallel()
	f := newFace(t)
	w := f.do(admin, "GET", "/api/v1/access/policies", "", nil)
	got := into[accessapi.AccessPolicies](t, w)
	if w.Code != 200 || w.Header().Get("ETag") != `"1"` || got.Source != access.DefaultPolicies() {
		t.Fatal(w.Code, w.Header())
	}
	text := got.Source + "\n@id(\"freeze\") forbid (principal, action == Action::\"resource:create\", resource);"
	check := into[accessapi.AccessPolicyCheck](t, f.do(admin, "POST", "/api/v1/access/policies/check", "", map[string]string{"source": text}))
	if len(check.Changes) != 1 || check.Changes[0].ID != "freeze" {
		t.Errorf("%+v", check)
	}
	put := map[string]string{"source": text, "note": "freeze"}
	if w := f.do(admin, "PUT", "/api/v1/access/policies", `"7"`, put); w.Code != http.StatusPreconditionFailed {
		t.Error(w.Code, w.Body)
	}
	if w := f.do(developer, "PUT", "/api/v1/access/policies", "", put); w.Code != http.StatusForbidden {
		t.Error(w.Code, w.Body)
	}
	if w := f.do(principal.Nobody, "GET", "/api/v1/access/policies", "", nil); w.Code != http.StatusUnauthorized {
		t.Error(w.Code, w.Body)
	}
	if w := f.do(admin, "PUT", "/api/v1/access/policies", `"1"`, put); w.Code != 200 || w.Header().Get("ETag") != `"2"` {
		t.Fatal(w.Code, w.Body)
	}
	diff := into[accessapi.AccessPolicyDiff](t, f.do(admin, "GET", "/api/v1/access/policies/2/diff", "", nil))
	if diff.From != 1 || len(diff.Changes) != 1 {
		t.Errorf("%+v", diff)
	}
	page := into[httpx.Page[accessapi.AccessPolicyVersion]](t, f.do(admin, "GET", "/api/v1/access/policies/versions?limit=1", "", nil))
	if len(page.Items) != 1 || page.Items[0].Note != "freeze" || page.Next == "" {
		t.Errorf("%+v", page)
	}
	page = into[httpx.Page[accessapi.AccessPolicyVersion]](t, f.do(admin, "GET", "/api/v1/access/policies/versions?limit=1&cursor="+page.Next, "", nil))
	if len(page.Items) != 1 || page.Items[0].Version != 1 || page.Next != "" {
		t.Errorf("%+v", page)
	}
	if got := into[accessapi.AccessPolicies](t, f.do(admin, "GET", "/api/v1/access/policies/1", "", nil)); got.Source != access.DefaultPolicies() {
		t.Error("version 1 is kept")
	}
	w = f.do(admin, "PUT", "/api/v1/access/policies", "", map[string]string{"source": "permit ("})
	if p := into[httpx.Problem](t, w); w.Code != 422 || p.Code != "invalid_policy" || len(p.Violations) != 1 || !strings.HasPrefix(p.Violations[0].Message, "line 1, ") {
		t.Errorf("%d %+v", w.Code, p)
	}
	if s := into[accessapi.AccessSchema](t, f.do(developer, "GET", "/api/v1/access/schema", "", nil)); len(s.Actions) != len(access.Actions()) || s.Source == "" {
		t.Error(len(s.Actions))
	}
}

func TestWhyOverTheWire(t *testing.T) {
	t.Parallel()
	f := newFace(t)
	ask := map[string]any{"action": "system:manage", "target": map[string]string{"kind": "system"}}
	w := f.do(developer, "POST", "/api/v1/access/why", "", ask)
	if e := into[accessapi.AccessExplanation](t, w); w.Code != 200 || e.Allowed || len(e.WouldDo) != 1 || e.WouldDo[0] != "platform-admin" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	ask["principal"] = "root"
	if w := f.do(developer, "POST", "/api/v1/access/why", "", ask); w.Code != http.StatusForbidden {
		t.Error(w.Code, w.Body)
	}
	if w := f.do(principal.Nobody, "POST", "/api/v1/access/why", "", ask); w.Code != http.StatusUnauthorized {
		t.Error(w.Code, w.Body)
	}
}

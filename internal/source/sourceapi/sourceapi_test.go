package sourceapi_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"fairlead/internal/access/accesstest"
	"fairlead/internal/egress"
	"fairlead/internal/httpx"
	"fairlead/internal/principal"
	"fairlead/internal/redact"
	"fairlead/internal/secret/secrettest"
	"fairlead/internal/source"
	"fairlead/internal/source/sourceapi"
	"fairlead/internal/sqldb/sqldbtest"
	"fairlead/internal/template"
)

type nowhere struct{}

func (nowhere) Import(context.Context, source.Import) (version, digest string, err error) {
	return "", "", nil
}
func (nowhere) CheckName(name string) error            { return template.CheckTemplateName(name) }
func (nowhere) Release(version string) (string, error) { return template.SortKey(version) }

type ada struct{}

func (ada) AuthenticateToken(context.Context, redact.Secret) (principal.Principal, error) {
	return principal.Principal{Kind: principal.User, ID: "usr_ada", Name: "ada"}, nil
}

func (a ada) AuthenticateSession(ctx context.Context, v redact.Secret) (principal.Principal, error) {
	return a.AuthenticateToken(ctx, v)
}

// TestAForgesPushComesThrough: over HTTP, as forges send it.
func TestAForgesPushComesThrough(t *testing.T) {
	t.Parallel()
	db := sqldbtest.SQLite(t)
	out, err := egress.New(egress.Options{})
	if err != nil {
		t.Fatal(err)
	}
	api, srv := httpx.New(httpx.Options{Version: "test", DB: db, Auth: ada{}})
	sourceapi.Register(api, source.New(source.Options{DB: db, Access: accesstest.AllowAll{}, Secrets: &secrettest.Memory{}, Egress: out, Templates: nowhere{}}))
	call := func(method, path, body string, header ...string) *httptest.ResponseRecorder {
		r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		w := httptest.NewRecorder()
		srv.ServeHTTP(w, r)
		return w
	}
	w := call("POST", "/api/v1/template-sources", `{"name":"bucket","url":"https://git.example.org/x.git","webhook":true}`, "Authorization", "Bearer x")
	var made sourceapi.NewTemplateSource
	if err := json.Unmarshal(w.Body.Bytes(), &made); err != nil || w.Code != http.StatusCreated || made.Secret == "" || made.Kind != "https" {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	if w := call("GET", "/api/v1/template-sources/bucket", "", "Authorization", "Bearer x"); strings.Contains(w.Body.String(), made.Secret) || w.Code != http.StatusOK {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	body := `{"ref":"refs/tags/v1.0.0","commits":[]}`
	h := hmac.New(sha256.New, []byte(made.Secret))
	h.Write([]byte(body))
	sign := "sha256=" + hex.EncodeToString(h.Sum(nil))
	path := "/api/v1/template-sources/" + made.ID + "/push"
	for _, c := range []struct {
		body, sign string
		status     int
		code       string
	}{
		{body, "", 401, "push_refused"}, {body, "sha256=00", 401, "push_refused"}, {body + " ", sign, 401, "push_refused"},
		{body, sign, 202, ""}, {body, sign, 409, "push_replayed"}, {strings.Repeat(" ", 2<<20), sign, 413, "body_too_large"},
	} {
		var header []string
		if c.sign != "" {
			header = []string{"X-Hub-Signature-256", c.sign, "X-GitHub-Delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958"}
		}
		if w := call("POST", path, c.body, header...); w.Code != c.status || !strings.Contains(w.Body.String(), c.code) {
			t.Errorf("%.40q signed %q: %d %s", c.body, c.sign, w.Code, w.Body)
		}
	}
}

package templateapi_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"fairlead/internal/access/accesstest"
	"fairlead/internal/engine"
	"fairlead/internal/httpx"
	"fairlead/internal/principal"
	"fairlead/internal/sqldb/sqldbtest"
	"fairlead/internal/template"
	"fairlead/internal/template/templateapi"
	"fairlead/internal/template/templatetest"
)

func TestTheFace(t *testing.T) {
	t.Parallel()
	planner := templatetest.Planner{OnPlan: func(req engine.Request) (engine.Plan, error) {
		return engine.Plan{Changes: []engine.Change{{Address: "thing." + req.Ref.Name, Kind: "thing", Action: engine.Create, After: map[string]any{"size": req.Inputs["size"]}}}}, nil
	}}
	svc := template.New(template.Options{DB: sqldbtest.SQLite(t), Access: accesstest.AllowAll{}, Engines: templatetest.Engines{"fake": planner}})
	mux := http.NewServeMux()
	templateapi.Register(humago.New(mux, huma.DefaultConfig("test", "1")), svc)
	ada := principal.Principal{Kind: principal.User, ID: "usr_ada", Name: "ada"}
	call := func(p principal.Principal, method, path string, body io.Reader) *httptest.ResponseRecorder {
		r := httptest.NewRequestWithContext(principal.With(t.Context(), p), method, path, body)
		if body != nil {
			r.Header.Set("Content-Type", "application/x-tar")
		}
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		return w
	}
	files := templatetest.New("thing", "1.0.0").With(templatetest.Files{
		"template.yaml":  templatetest.Manifest("thing", "1.0.0") + "docs: docs/README.md\n",
		"docs/README.md": "# <script>alert(1)</script>",
		"tests/a.yaml":   "name: good\nexpect: {plan: [{kind: thing, action: create, address: 'thing.*', after: {size: 10}}]}\n---\nname: bad\nexpect: {plan: [{kind: thing, action: create, after: {size: 11}}]}\n",
	})

	if w := call(ada, http.MethodPost, "/api/v1/templates", files.Tar(t)); w.Code != http.StatusCreated || w.Header().Get("Location") != "/api/v1/templates/thing/versions/1.0.0" {
		t.Fatalf("%d %v %s", w.Code, w.Header(), w.Body)
	}
	if w := call(ada, http.MethodPost, "/api/v1/templates", files.Tar(t)); w.Code != http.StatusOK {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	other := files.With(templatetest.Files{"docs/README.md": "x"})
	if w := call(ada, http.MethodPost, "/api/v1/templates", other.Tar(t)); w.Code != http.StatusConflict || !strings.Contains(w.Body.String(), "version_exists") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := call(ada, http.MethodPost, "/api/v1/templates", templatetest.Files{"template.yaml": "a: 1"}.Tar(t)); w.Code != http.StatusUnprocessableEntity {
		t.Errorf("%d %s", w.Code, w.Body)
	}

	w := call(ada, http.MethodPost, "/api/v1/templates/test", files.Tar(t))
	var report templateapi.TemplateTestReport
	if err := json.Unmarshal(w.Body.Bytes(), &report); err != nil || w.Code != http.StatusOK {
		t.Fatal(w.Code, w.Body)
	}
	if report.Passed || len(report.Cases) != 2 || !report.Cases[0].Passed || report.Cases[1].Passed || !strings.Contains(report.Cases[1].Failures[0], "after.size is 10, not 11") {
		t.Errorf("%+v", report)
	}

	var page httpx.Page[templateapi.TemplateSummary]
	w = call(ada, http.MethodGet, "/api/v1/templates?search=THING&tag=test&engine=fake&limit=1", nil)
	if err := json.Unmarshal(w.Body.Bytes(), &page); err != nil || len(page.Items) != 1 || page.Items[0].CreatedBy != "usr_ada" {
		t.Error(w.Code, w.Body)
	}
	var v templateapi.TemplateVersion
	for _, path := range []string{"/api/v1/templates/thing", "/api/v1/templates/thing?version=1.x", "/api/v1/templates/thing/versions/1.0.0"} {
		w = call(ada, http.MethodGet, path, nil)
		if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil || v.Version != "1.0.0" || !v.Outputs["token"].Sensitive || v.Inputs["type"] != "object" {
			t.Error(path, w.Code, w.Body)
		}
	}
	w = call(ada, http.MethodGet, "/api/v1/templates/thing/versions", nil)
	if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), `"version":"1.0.0"`) {
		t.Error(w.Code, w.Body)
	}
	w = call(ada, http.MethodGet, "/api/v1/templates/thing/versions/1.0.0/docs", nil)
	if w.Header().Get("Content-Type") != "text/markdown; charset=utf-8" || w.Body.String() != "# <script>alert(1)</script>" {
		t.Error(w.Header(), w.Body)
	}
	w = call(ada, http.MethodGet, "/api/v1/templates/thing/versions/1.0.0/archive", nil)
	sum := sha256.Sum256(w.Body.Bytes())
	if w.Header().Get("Content-Type") != "application/x-tar" || hex.EncodeToString(sum[:]) != v.Digest {
		t.Error(w.Header(), "the archive's digest is not the version's")
	}
	if w = call(ada, http.MethodGet, "/api/v1/templates/nothing", nil); w.Code != http.StatusNotFound {
		t.Error(w.Code, w.Body)
	}

	for _, rt := range [][2]string{
		{"POST", ""}, {"POST", "/test"}, {"GET", ""}, {"GET", "/thing"}, {"GET", "/thing/versions"}, {"GET", "/thing/versions/1.0.0"},
		{"GET", "/thing/versions/1.0.0/docs"}, {"GET", "/thing/versions/1.0.0/archive"},
	} {
		var body io.Reader
		if rt[0] == "POST" {
			body = bytes.NewReader([]byte("x"))
		}
		if w := call(principal.Nobody, rt[0], "/api/v1/templates"+rt[1], body); w.Code != http.StatusUnauthorized {
			t.Errorf("%s %s for nobody: %d %s", rt[0], rt[1], w.Code, w.Body)
		}
	}
}

package auditapi_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"fairlead/internal/access"
	"fairlead/internal/audit"
	"fairlead/internal/audit/auditapi"
	"fairlead/internal/audit/audittest"
	"fairlead/internal/httpx"
	"fairlead/internal/principal"
	"fairlead/internal/sqldb"
	"fairlead/internal/sqldb/sqldbtest"
)

func TestTheFace(t *testing.T) {
	t.Parallel()
	db := sqldbtest.SQLite(t)
	log := audittest.New(t, db)
	ada := principal.Principal{Kind: principal.User, ID: "usr_ada", Name: "ada"}
	ctx := principal.With(t.Context(), ada)
	if err := db.Write(ctx, "test.append", func(tx *sqldb.Tx) error {
		for range 3 {
			audit.Append(ctx, tx, audit.Entry{Action: "team:create", Target: access.Target{Kind: "team", ID: "team_1", Name: "a"}, Details: map[string]any{"k": 1}})
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	auditapi.Register(humago.New(mux, huma.DefaultConfig("test", "1")), log)
	get := func(path string, p principal.Principal) *httptest.ResponseRecorder {
		r := httptest.NewRequestWithContext(principal.With(t.Context(), p), http.MethodGet, path, nil)
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		return w
	}
	for _, path := range []string{"/api/v1/audit", "/api/v1/audit/export", "/api/v1/audit/status", "/api/v1/audit/checkpoints"} {
		if w := get(path, principal.Nobody); w.Code != http.StatusUnauthorized {
			t.Errorf("%s, anonymous: %d", path, w.Code)
		}
	}
	var page httpx.Page[auditapi.AuditRecord]
	w := get("/api/v1/audit?actor=ada&limit=2", ada)
	if err := json.Unmarshal(w.Body.Bytes(), &page); err != nil || len(page.Items) != 2 || page.Next == "" {
		t.Fatal(w.Body.String(), err)
	}
	w = get("/api/v1/audit?actor=ada&limit=2&cursor="+page.Next, ada)
	page = httpx.Page[auditapi.AuditRecord]{}
	if err := json.Unmarshal(w.Body.Bytes(), &page); err != nil || len(page.Items) != 1 || page.Next != "" || page.Items[0].Details["k"] != 1.0 {
		t.Fatal(w.Body.String(), err)
	}
	w = get("/api/v1/audit/export", ada)
	if w.Header().Get("Content-Type") != "application/x-ndjson" {
		t.Error(w.Header())
	}
	if report, err := audit.Verify(w.Body, nil); err != nil || report.Records != 5 {
		t.Errorf("%+v %v", report, err)
	}
	var status auditapi.AuditStatus
	w = get("/api/v1/audit/status", ada)
	if err := json.Unmarshal(w.Body.Bytes(), &status); err != nil || !status.Healthy || status.LastCheckpoint.Seq != 5 || len(status.Keys) != 1 {
		t.Error(w.Body.String(), err)
	}
	if w = get("/api/v1/audit/checkpoints", ada); !strings.Contains(w.Body.String(), `"seq":5`) {
		t.Error(w.Body.String())
	}
}

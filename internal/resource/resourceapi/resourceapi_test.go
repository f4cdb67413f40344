package resourceapi_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"fairlead/internal/fault"
	"fairlead/internal/httpx"
	"fairlead/internal/httpx/httpxtest"
	"fairlead/internal/principal"
	"fairlead/internal/redact"
	"fairlead/internal/resource/resourceapi"
	"fairlead/internal/resource/resourcetest"
	"fairlead/internal/sqldb"
	"fairlead/internal/sqldb/sqldbtest"

	"github.com/danielgtaylor/huma/v2"
)

type people map[string]principal.Principal

func (k people) AuthenticateSession(ctx context.Context, v redact.Secret) (principal.Principal, error) {
	return k.AuthenticateToken(ctx, v)
}

func (k people) AuthenticateToken(_ context.Context, v redact.Secret) (principal.Principal, error) {
	p, ok := k[v.Reveal()]
	if !ok {
		return principal.Principal{}, fault.New(fault.Unauthenticated, "invalid_token", "the token is not valid")
	}
	return p, nil
}

// face is a server with the operations, on a bench.
type face struct {
	t   *testing.T
	b   *resourcetest.Bench
	api huma.API
	url string
}

func newFace(t *testing.T, db *sqldb.DB) *face {
	b := resourcetest.New(t, db)
	api, srv := httpx.New(httpx.Options{Auth: people{"ann": resourcetest.Ann, "sam": resourcetest.Stranger}, DB: db, Rate: httpx.Rate{PerSecond: -1}})
	resourceapi.Register(api, b.Svc)
	ts := httptest.NewServer(srv)
	t.Cleanup(ts.Close)
	return &face{t, b, api, ts.URL}
}

type answer struct {
	*http.Response
	json map[string]any
	text string
}

func (f *face) as(who, method, path, body string, header ...string) answer {
	f.t.Helper()
	req, err := http.NewRequestWithContext(f.t.Context(), method, f.url+path, strings.NewReader(body))
	if err != nil {
		f.t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if who != "" {
		req.Header.Set("Authorization", "Bearer "+who)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		f.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		f.t.Fatal(err)
	}
	a := answer{Response: resp, text: string(text)}
	_ = json.Unmarshal(text, &a.json) // streams are none
	return a
}

func (f *face) want(status int, method, path, body string, header ...string) answer {
	f.t.Helper()
	a := f.as("ann", method, path, body, header...)
	if a.StatusCode != status {
		f.t.Fatalf("%s %s: %d, wanted %d: %s", method, path, a.StatusCode, status, a.text)
	}
	return a
}

const (
	env    = "/api/v1/projects/shop/environments/dev"
	orders = env + "/resources/orders"
)

func TestTheLifeOfAResourceOverHTTP(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		f := newFace(t, db)
		f.b.Work()
		if a := f.want(200, "POST", env+"/plan", `{"name":"orders","template":"store","inputs":{"size":2}}`); a.json["summary"] != "2 to create" || a.json["digest"] == "" {
			t.Errorf("plan: %s", a.text)
		}
		a := f.want(201, "POST", env+"/resources", `{"name":"orders","template":"store","inputs":{"size":2,"password":"canary-pw"},"note":"first"}`)
		id := a.json["id"].(string)
		if a.Header.Get("Location") != "/api/v1/resources/"+id || a.Header.Get("ETag") != `"1"` || strings.Contains(a.text, "canary-pw") {
			t.Errorf("created: %v %s", a.Header, a.text)
		}
		if a = f.want(200, "GET", orders+"?wait=30&until=settled", ""); a.json["phase"] != "ready" {
			t.Errorf("waited for the end: %s", a.text)
		}
		if a = f.want(200, "GET", "/api/v1/resources/"+id+"?wait=30&until=settled&known=1", ""); a.json["phase"] != "ready" {
			t.Errorf("waited for the end, by id: %s", a.text)
		}
		f.want(422, "GET", orders+"?wait=5&until=later", "")
		a = f.want(200, "GET", orders+"?wait=5", "")
		outputs := a.json["outputs"].(map[string]any)
		if a.json["phase"] != "ready" || a.json["settled"] != true || outputs["key"] != "[redacted]" || outputs["name"] == "" || a.json["createdBy"] != "ann" || a.json["environment"] != "dev" {
			t.Errorf("ready: %s", a.text)
		}
		tag := a.Header.Get("ETag")
		f.want(200, "GET", "/api/v1/resources/"+id, "")
		if a := f.want(200, "POST", orders+"/plan", `{"set":{"size":3}}`); a.json["summary"] != "2 to update" {
			t.Errorf("plan of a change: %s", a.text)
		}
		if a := f.want(200, "PATCH", orders, `{"set":{"size":3}}`, "If-Match", tag); a.json["revision"] != 2.0 {
			t.Errorf("changed: %s", a.text)
		}
		if a := f.want(412, "PATCH", orders, `{"set":{"size":4}}`, "If-Match", tag); a.json["code"] != "stale_version" {
			t.Errorf("stale: %s", a.text)
		}
		f.b.UntilPhase(id, "ready")
		f.want(200, "PUT", orders, `{"template":"store","inputs":{"size":3,"password":"[redacted]"}}`)
		f.want(201, "PUT", env+"/resources/cache", `{"template":"store"}`)
		a = f.want(200, "POST", env+"/apply", `{"resources":[{"name":"app","template":"store","inputs":{"label":"${{ resources.db.outputs.name }}"}},{"name":"db","template":"store"},{"name":"cache","template":"store"}]}`)
		if !strings.Contains(a.text, `"created"`) || !strings.Contains(a.text, `"unchanged"`) {
			t.Errorf("applied: %s", a.text)
		}
		a = f.want(409, "DELETE", env+"/resources/db", "")
		if a.json["code"] != "in_use" || !strings.Contains(a.json["detail"].(string), "app") {
			t.Errorf("in use: %s", a.text)
		}
		if a := f.want(200, "GET", env+"/resources/db/references", ""); !strings.Contains(a.text, `"referredBy":[{"resource":"app"`) {
			t.Errorf("references: %s", a.text)
		}
		a = f.want(200, "POST", orders+"/credentials", "")
		if key, _ := a.json["outputs"].(map[string]any)["key"].(string); a.Header.Get("Cache-Control") != "no-store" || len(key) < 10 {
			t.Errorf("credentials: %v", a.Header)
		}
		f.want(200, "POST", orders+"/rollback", `{"revision":1}`)
		f.b.UntilPhase(id, "ready")
		f.want(200, "POST", orders+"/retry", "")
		f.b.UntilPhase(id, "ready")
		f.want(200, "POST", orders+"/rotate", "")
		if a := f.want(200, "GET", orders+"/revisions?limit=1", ""); len(a.json["items"].([]any)) != 1 || a.json["next"] == nil {
			t.Errorf("revisions: %s", a.text)
		}
		runs := f.want(200, "GET", orders+"/runs?limit=2", "")
		more := f.want(200, "GET", orders+"/runs?limit=50&cursor="+runs.json["next"].(string), "")
		if n := len(more.json["items"].([]any)); n != 3 {
			t.Errorf("%d more runs: %s", n, more.text)
		}
		if a := f.want(200, "GET", "/api/v1/resources?limit=2&project=shop&search=a", ""); len(a.json["items"].([]any)) != 2 {
			t.Errorf("list: %s", a.text)
		}
		f.want(202, "DELETE", orders, "")
		f.b.Gone(id)
		f.want(404, "GET", orders, "")
		if a := f.want(200, "GET", "/api/v1/resources/"+id, ""); a.json["phase"] != "destroyed" || a.json["destroyedAt"] == nil {
			t.Errorf("destroyed: %s", a.text)
		}
	})
}

func TestALogIsStreamedAndResumedOverHTTP(t *testing.T) {
	t.Parallel()
	f := newFace(t, sqldbtest.SQLite(t))
	gate := resourcetest.NewGate()
	f.b.Engine.Next("apply", func(ctx context.Context, call func() error) error {
		if err := call(); err != nil {
			return err
		}
		return gate.Step(ctx, func() error { return nil })
	})
	f.b.Work()
	r := f.b.Create("orders", nil)
	log := "/api/v1/runs/" + r.RunID + "/log"
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, "GET", f.url+log, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer ann")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	id := ""
	for lines.Scan() {
		if v, ok := strings.CutPrefix(lines.Text(), "id: "); ok {
			id = v
			break
		}
	}
	if id != "1" || resp.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("the first event has id %q", id)
	}
	gate.Open()
	rest := f.want(200, "GET", log, "", "Last-Event-ID", id)
	if strings.Contains(rest.text, "id: 1\n") || !strings.Contains(rest.text, "id: 2\nevent: line\n") || !strings.Contains(rest.text, `"status":"succeeded"`) || !strings.HasSuffix(rest.text, "event: end\ndata: {}\n\n") {
		t.Errorf("resumed:\n%s", rest.text)
	}
	for _, path := range []string{log + "?format=json&after=1", "/api/v1/runs/" + r.RunID + "/lines?after=1"} {
		a := f.want(200, "GET", path, "")
		if a.json["over"] != true || a.json["items"].([]any)[0].(map[string]any)["seq"] != 2.0 {
			t.Errorf("%s: %s", path, a.text)
		}
	}
	f.want(422, "GET", log, "", "Last-Event-ID", "x")
	if a := f.want(200, "GET", "/api/v1/runs/"+r.RunID, ""); a.json["status"] != "succeeded" || a.json["plan"] == nil {
		t.Errorf("run: %s", a.text)
	}
	f.want(409, "POST", "/api/v1/runs/"+r.RunID+"/cancel", "")
	f.want(200, "POST", "/api/v1/runs/"+r.RunID+"/retry", "")
}

func TestNobodyAndStrangersGetNothingOfAnyRoute(t *testing.T) {
	t.Parallel()
	f := newFace(t, sqldbtest.SQLite(t))
	stop := f.b.Work()
	r := f.b.Ready("orders", nil)
	stop()
	before, err := resourcetest.Dump(t.Context(), f.b.DB)
	if err != nil {
		t.Fatal(err)
	}
	routes := httpxtest.EveryRoute(f.api, map[string]string{"project": "shop", "environment": "dev", "resource": "orders", "id": r.ID, "run": r.RunID})
	if len(routes) < 24 {
		t.Errorf("only %d routes", len(routes))
	}
	for _, rt := range routes {
		body := string(bytes.TrimSpace(rt.Body))
		if a := f.as("", rt.Method, rt.Target, body); a.StatusCode != 401 {
			t.Errorf("%s %s for nobody: %d %s", rt.Method, rt.Target, a.StatusCode, a.text)
		}
		a := f.as("sam", rt.Method, rt.Target, body)
		if rt.OperationID == "list-resources" && a.StatusCode == 200 && len(a.json["items"].([]any)) == 0 {
			continue
		}
		if a.StatusCode != 404 || strings.Contains(a.text, r.ID) {
			t.Errorf("%s %s for a stranger: %d %s", rt.Method, rt.Target, a.StatusCode, a.text)
		}
	}
	if after, err := resourcetest.Dump(t.Context(), f.b.DB); err != nil || after != before {
		t.Errorf("something was written, %v", err)
	}
}

func TestBadInputOverHTTP(t *testing.T) {
	t.Parallel()
	f := newFace(t, sqldbtest.SQLite(t))
	for _, c := range []struct {
		why, method, path, body string
		status                  int
		code, field             string
	}{
		{"an unknown template", "POST", env + "/resources", `{"name":"x","template":"nix"}`, 404, "unknown_template", "/template"},
		{"a wrong type", "POST", env + "/resources", `{"name":"x","template":"store","inputs":{"size":"y"}}`, 422, "invalid_inputs", "/inputs/size"},
		{"an extra field", "POST", env + "/resources", `{"name":"x","template":"store","x":1}`, 422, "", ""},
		{"a duplicate key", "POST", env + "/resources", `{"name":"x","name":"y","template":"store"}`, 400, "duplicate_key", "/name"},
		{"no name", "POST", env + "/resources", `{"template":"store"}`, 422, "", ""},
		{"a name of SQL", "POST", env + "/resources", `{"name":"x'; --","template":"store"}`, 422, "invalid_name", "/name"},
		{"somebody else's environment", "POST", "/api/v1/projects/other/environments/dev/resources", `{"name":"x","template":"store"}`, 404, "environment_not_found", ""},
		{"a cursor of nobody", "GET", "/api/v1/resources?cursor=x", "", 422, "invalid_cursor", "query:cursor"},
		{"a phase that is none", "GET", "/api/v1/resources?phase=x", "", 422, "", ""},
		{"If-Match that is no tag", "DELETE", orders, "", 422, "invalid_if_match", ""},
	} {
		a := f.as("ann", c.method, c.path, c.body, "If-Match", "x")
		if a.StatusCode != c.status || c.code != "" && a.json["code"] != c.code || c.field != "" && a.json["field"] != c.field || a.json["detail"] == nil {
			t.Errorf("%s: %d %s", c.why, a.StatusCode, a.text)
		}
	}
}

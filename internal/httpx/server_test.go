package httpx_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"fairlead/internal/audit"
	"fairlead/internal/fault"
	"fairlead/internal/httpx"
	"fairlead/internal/principal"
	"fairlead/internal/redact"
)

// keys is an Authenticator that knows a few tokens and sessions.
type keys map[string]principal.Principal

func (k keys) AuthenticateToken(_ context.Context, v redact.Secret) (principal.Principal, error) {
	p, ok := k[v.Reveal()]
	if !ok {
		return principal.Principal{}, fault.New(fault.Unauthenticated, "invalid_token", "the token is not valid").WithHint("sign in again")
	}
	return p, nil
}

func (k keys) AuthenticateSession(ctx context.Context, v redact.Secret) (principal.Principal, error) {
	return k.AuthenticateToken(ctx, v)
}

var people = keys{
	"ann":   {Kind: principal.User, ID: "usr_ann", Name: "ann", OrgRoles: []principal.Role{principal.PlatformAdmin}},
	"bob":   {Kind: principal.User, ID: "usr_bob", Name: "bob"},
	"empty": {},
	"root":  principal.System,
}

type Thing struct {
	Name string `json:"name" pattern:"^[a-z]+$" maxLength:"20"`
	Size int    `json:"size,omitempty" minimum:"0"`
}

type nameInput struct {
	Name string `path:"name"`
}

type thingInput struct{ Body Thing }

// mount adds operations enough to try the chain with.
func mount(api huma.API) {
	httpx.Register(api, huma.Operation{OperationID: "get-thing", Method: "GET", Path: "/api/v1/things/{name}"},
		func(ctx context.Context, in *nameInput) (*httpx.Tagged[Thing], error) {
			switch in.Name {
			case "panic":
				panic("secret-in-a-panic")
			case "none":
				return nil, fault.New(fault.NotFound, "thing_not_found", "there is no thing %q", in.Name).WithHint("list them")
			case "bug":
				return nil, io.ErrUnexpectedEOF
			}
			return httpx.NewTagged(3, Thing{Name: principal.From(ctx).Name + audit.OriginFrom(ctx).Address}), nil
		})
	httpx.Register(api, httpx.Located(huma.Operation{OperationID: "create-thing", Method: "POST", Path: "/api/v1/things"}, "/api/v1/things/{name}"),
		func(_ context.Context, in *thingInput) (*httpx.Body[Thing], error) {
			return &httpx.Body[Thing]{Body: in.Body}, nil
		})
	httpx.Register(api, huma.Operation{OperationID: "list-things", Method: "GET", Path: "/api/v1/things"},
		func(_ context.Context, in *struct{ httpx.PageInput }) (*httpx.Body[httpx.Page[Thing]], error) {
			p, err := in.Page()
			if err != nil {
				return nil, err
			}
			return &httpx.Body[httpx.Page[Thing]]{Body: httpx.NewPage([]Thing{{Name: "a", Size: p.Size()}}, "a/1")}, nil
		})
	httpx.Register(api, huma.Operation{OperationID: "greet", Method: "GET", Path: "/api/v1/hello", Security: httpx.Public},
		func(ctx context.Context, _ *struct{}) (*httpx.Body[Thing], error) {
			return &httpx.Body[Thing]{Body: Thing{Name: principal.From(ctx).Name}}, nil
		})
	httpx.Register(api, huma.Operation{OperationID: "sign-in", Method: "POST", Path: "/api/v1/session", Security: httpx.Public},
		func(context.Context, *thingInput) (*struct{}, error) { return nil, nil })
	httpx.Register(api, huma.Operation{OperationID: "push", Method: "POST", Path: "/api/v1/push", MaxBodyBytes: 4 << 20},
		func(_ context.Context, in *struct {
			RawBody []byte `contentType:"application/gzip"`
		}) (*httpx.Body[Thing], error) {
			return &httpx.Body[Thing]{Body: Thing{Name: "x", Size: len(in.RawBody)}}, nil
		})
}

func serve(t testing.TB, o httpx.Options) (*httpx.Server, *httptest.Server) {
	t.Helper()
	if o.Auth == nil {
		o.Auth = people
	}
	api, s := httpx.New(o)
	mount(api)
	ts := httptest.NewUnstartedServer(s)
	ts.Config = s.HTTP()
	ts.Start()
	t.Cleanup(func() { s.Drain(); ts.Close() })
	return s, ts
}

// ask sends a request; headers come as pairs.
func ask(t testing.TB, ts *httptest.Server, method, path, body string, headers ...string) (*http.Response, string) {
	t.Helper()
	var in io.Reader
	if body != "" {
		in = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, ts.URL+path, in)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			req.Host = headers[i+1]
		}
		req.Header.Add(headers[i], headers[i+1])
	}
	res, err := ts.Client().Do(req)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(b)
}

func problem(t testing.TB, res *http.Response, body string) httpx.Problem {
	t.Helper()
	var p httpx.Problem
	if ct := res.Header.Get("Content-Type"); ct != "application/problem+json" {
		t.Errorf("Content-Type %q: %s", ct, body)
	}
	if err := json.Unmarshal([]byte(body), &p); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	if p.Status != res.StatusCode || p.Title == "" || p.RequestID != res.Header.Get("X-Request-Id") || p.Type != "/docs/errors/"+p.Code {
		t.Errorf("incomplete problem: %s", body)
	}
	return p
}

// What a list can be asked by is said to who asked by something else.
func TestAnUnknownParameterNamesThoseThatThereAre(t *testing.T) {
	t.Parallel()
	_, ts := serve(t, httpx.Options{})
	for query, says := range map[string]string{
		"limt=3":     "limt: unknown query parameter; known here are cursor, limit",
		"limit=9999": "limit: expected number <= 200",
	} {
		res, body := ask(t, ts, "GET", "/api/v1/things?"+query, "", "Authorization", "Bearer ann")
		if p := problem(t, res, body); !strings.HasPrefix(p.Detail, says) {
			t.Errorf("got %q, want %q", p.Detail, says)
		}
	}
}

func TestEveryRefusalIsAProblemWithItsReason(t *testing.T) {
	t.Parallel()
	_, ts := serve(t, httpx.Options{})
	const ann = "Bearer ann"
	big := `{"name":"` + strings.Repeat("a", 10<<20) + `"}`
	for _, c := range []struct {
		why, method, path, body string
		headers                 []string
		status                  int
		code, field             string
	}{
		{"nobody", "GET", "/api/v1/things/a", "", nil, 401, "unauthenticated", ""},
		{"nobody's body is not even read", "POST", "/api/v1/things", `{`, nil, 401, "unauthenticated", ""},
		{"forged token", "GET", "/api/v1/things/a", "", []string{"Authorization", "Bearer forged"}, 401, "invalid_token", ""},
		{"another scheme", "GET", "/api/v1/things/a", "", []string{"Authorization", "Basic YTpi"}, 401, "malformed_credentials", ""},
		{"no token after the scheme", "GET", "/api/v1/things/a", "", []string{"Authorization", "Bearer "}, 401, "malformed_credentials", ""},
		{"two headers", "GET", "/api/v1/things/a", "", []string{"Authorization", ann, "Authorization", ann}, 401, "malformed_credentials", ""},
		{"huge token", "GET", "/api/v1/things/a", "", []string{"Authorization", "Bearer " + strings.Repeat("a", 600)}, 401, "malformed_credentials", ""},
		{"planted second cookie", "GET", "/api/v1/things/a", "", []string{"Cookie", "fairlead_session=ann; fairlead_session=bob"}, 401, "malformed_credentials", ""},
		{"an authenticator that gives an empty principal", "GET", "/api/v1/things/a", "", []string{"Authorization", "Bearer empty"}, 401, "unauthenticated", ""},
		{"nobody is the system from outside", "GET", "/api/v1/things/a", "", []string{"Authorization", "Bearer root"}, 401, "unauthenticated", ""},
		{"bad token on a public operation", "GET", "/api/v1/hello", "", []string{"Authorization", "Bearer forged"}, 401, "invalid_token", ""},
		{"a handler's fault", "GET", "/api/v1/things/none", "", []string{"Authorization", ann}, 404, "thing_not_found", ""},
		{"a foreign error", "GET", "/api/v1/things/bug", "", []string{"Authorization", ann}, 500, "internal", ""},
		{"a panic", "GET", "/api/v1/things/panic", "", []string{"Authorization", ann}, 500, "internal", ""},
		{"no such route", "GET", "/api/v1/nothing", "", []string{"Authorization", ann}, 404, "no_such_route", ""},
		{"another method", "PUT", "/api/v1/things/a", "{}", []string{"Authorization", ann}, 405, "method_not_allowed", ""},
		{"10 MB", "POST", "/api/v1/things", big, []string{"Authorization", ann}, 413, "body_too_large", ""},
		{"wrong type", "POST", "/api/v1/things", `{"name":"a","size":"3"}`, []string{"Authorization", ann}, 422, "invalid_request", "/size"},
		{"pattern", "POST", "/api/v1/things", `{"name":"a; DROP TABLE"}`, []string{"Authorization", ann}, 422, "invalid_request", "/name"},
		{"missing field", "POST", "/api/v1/things", `{}`, []string{"Authorization", ann}, 422, "invalid_request", ""},
		{"extra field", "POST", "/api/v1/things", `{"name":"a","colour":"red"}`, []string{"Authorization", ann}, 422, "invalid_request", "/colour"},
		{"a field in another case", "POST", "/api/v1/things", `{"name":"a","Size":1}`, []string{"Authorization", ann}, 422, "invalid_request", "/Size"},
		{"duplicate key", "POST", "/api/v1/things", `{"name":"a","name":"b"}`, []string{"Authorization", ann}, 400, "duplicate_key", "/name"},
		{"invalid UTF-8", "POST", "/api/v1/things", "{\"name\":\"\xff\"}", []string{"Authorization", ann}, 400, "invalid_utf8", ""},
		{"NUL", "POST", "/api/v1/things", `{"name":"\u0000"}`, []string{"Authorization", ann}, 400, "invalid_text", ""},
		{"half a surrogate", "POST", "/api/v1/things", `{"name":"\ud800"}`, []string{"Authorization", ann}, 400, "invalid_json", "/name"},
		{"nesting", "POST", "/api/v1/things", strings.Repeat("[", 100000), []string{"Authorization", ann}, 400, "too_deep", ""},
		{"two values", "POST", "/api/v1/things", `{"name":"a"}{}`, []string{"Authorization", ann}, 400, "invalid_json", ""},
		{"not JSON", "POST", "/api/v1/things", `name: a`, []string{"Authorization", ann}, 400, "invalid_json", ""},
		{"no body", "POST", "/api/v1/things", "", []string{"Authorization", ann}, 400, "invalid_request", ""},
		{"a form, as another site could send it", "POST", "/api/v1/things", "name=a", []string{"Authorization", ann, "Content-Type", "application/x-www-form-urlencoded"}, 415, "unsupported_media_type", ""},
		{"unknown query parameter", "GET", "/api/v1/things?limt=3", "", []string{"Authorization", ann}, 422, "invalid_request", "query:limt"},
		{"a body that is packed", "POST", "/api/v1/things", `{"name":"a"}`, []string{"Authorization", ann, "Content-Encoding", "gzip"}, 415, "unsupported_media_type", "header:Content-Encoding"},
		{"a slash at the end", "GET", "/api/v1/things/", "", []string{"Authorization", ann}, 404, "no_such_route", ""},
		{"limit out of range", "GET", "/api/v1/things?limit=9999", "", []string{"Authorization", ann}, 422, "invalid_request", "query:limit"},
		{"made-up cursor", "GET", "/api/v1/things?cursor=abc", "", []string{"Authorization", ann}, 422, "invalid_cursor", "query:cursor"},
		{"invalid UTF-8 in the path", "GET", "/api/v1/things/%ff", "", []string{"Authorization", ann}, 400, "invalid_url", ""},
		{"NUL in the path", "GET", "/api/v1/things/a%00", "", []string{"Authorization", ann}, 400, "invalid_url", ""},
		{"invalid UTF-8 in the query", "GET", "/api/v1/things?cursor=%ff", "", []string{"Authorization", ann}, 400, "invalid_url", ""},
		{"bad escape in the query", "GET", "/api/v1/things?cursor=%zz", "", []string{"Authorization", ann}, 400, "invalid_url", ""},
		{"another site with a cookie", "POST", "/api/v1/things", `{"name":"a"}`, []string{"Cookie", "fairlead_session=ann", "Sec-Fetch-Site", "cross-site"}, 403, "cross_origin", ""},
		{"another origin with a cookie, old browser", "POST", "/api/v1/things", `{"name":"a"}`, []string{"Cookie", "fairlead_session=ann", "Origin", "https://evil.example"}, 403, "cross_origin", ""},
		{"another site signs the browser in", "POST", "/api/v1/session", `{"name":"a"}`, []string{"Sec-Fetch-Site", "cross-site"}, 403, "cross_origin", ""},
		{"idempotency key with a space", "POST", "/api/v1/things", `{"name":"a"}`, []string{"Authorization", ann, "Idempotency-Key", "a b"}, 400, "invalid_idempotency_key", "header:Idempotency-Key"},
	} {
		t.Run(c.why, func(t *testing.T) {
			t.Parallel()
			headers := c.headers
			if c.body != "" && !strings.Contains(strings.Join(headers, " "), "Content-Type") {
				headers = append(headers[:len(headers):len(headers)], "Content-Type", "application/json")
			}
			res, body := ask(t, ts, c.method, c.path, c.body, headers...)
			p := problem(t, res, body)
			if res.StatusCode != c.status || p.Code != c.code || p.Field != c.field {
				t.Errorf("got %d %s %q, want %d %s %q: %s", res.StatusCode, p.Code, p.Field, c.status, c.code, c.field, body)
			}
			if p.Hint == "" {
				t.Errorf("no hint: %s", body)
			}
			if strings.Contains(body, "secret-in-a-panic") || strings.Contains(body, "EOF") {
				t.Errorf("a cause leaked: %s", body)
			}
		})
	}
}

func TestAllViolationsAreListed(t *testing.T) {
	t.Parallel()
	_, ts := serve(t, httpx.Options{})
	res, body := ask(t, ts, "POST", "/api/v1/things", `{"name":"A1","size":-1,"x":1}`, "Authorization", "Bearer ann")
	if p := problem(t, res, body); len(p.Violations) != 3 || strings.Contains(body, "A1") {
		t.Errorf("got %s", body)
	}
}

func TestWhatIsRightPasses(t *testing.T) {
	t.Parallel()
	_, ts := serve(t, httpx.Options{TrustedOrigins: []string{"https://portal.example"}})
	for _, c := range []struct {
		why, method, path, body string
		headers                 []string
		status                  int
		want                    string
	}{
		{"token", "GET", "/api/v1/things/a", "", []string{"Authorization", "bearer ann"}, 200, "ann127.0.0.1"},
		{"session", "GET", "/api/v1/things/a", "", []string{"Cookie", "other=1; fairlead_session=bob"}, 200, "bob127.0.0.1"},
		{"what no sister domain can plant wins", "GET", "/api/v1/things/a", "", []string{"Cookie", "fairlead_session=ann; __Host-fairlead_session=bob"}, 200, "bob127.0.0.1"},
		{"token wins over the session", "GET", "/api/v1/things/a", "", []string{"Cookie", "fairlead_session=bob", "Authorization", "Bearer ann"}, 200, "ann"},
		{"nobody where it is public", "GET", "/api/v1/hello", "", nil, 200, "anonymous"},
		{"an old session where it is public", "GET", "/api/v1/hello", "", []string{"Cookie", "fairlead_session=old"}, 200, "anonymous"},
		{"who it is, also where it is public", "GET", "/api/v1/hello", "", []string{"Cookie", "fairlead_session=bob"}, 200, "bob"},
		{"create", "POST", "/api/v1/things", `{"name":"a","size":3}`, []string{"Authorization", "Bearer ann"}, 201, `{"name":"a","size":3}`},
		{"same origin with a cookie", "POST", "/api/v1/things", `{"name":"a"}`, []string{"Cookie", "fairlead_session=ann", "Sec-Fetch-Site", "same-origin"}, 201, `"a"`},
		{"trusted origin with a cookie", "POST", "/api/v1/things", `{"name":"a"}`, []string{"Cookie", "fairlead_session=ann", "Origin", "https://portal.example"}, 201, `"a"`},
		{"a token is no cookie: another site may hold one", "POST", "/api/v1/things", `{"name":"a"}`, []string{"Authorization", "Bearer ann", "Origin", "https://elsewhere.example"}, 201, `"a"`},
		{"a body larger than usual where it is allowed", "POST", "/api/v1/push", strings.Repeat("a", 2<<20), []string{"Authorization", "Bearer ann", "Content-Type", "application/gzip"}, 201, "2097152"},
		{"escaped backslash before u0000", "POST", "/api/v1/session", `{"name":"a"}`, nil, 201, ""},
		{"page", "GET", "/api/v1/things?limit=2", "", []string{"Authorization", "Bearer ann"}, 200, httpx.Cursor("a/1")},
	} {
		t.Run(c.why, func(t *testing.T) {
			t.Parallel()
			res, body := ask(t, ts, c.method, c.path, c.body, c.headers...)
			if res.StatusCode != c.status || !strings.Contains(body, c.want) || strings.Contains(body, "$schema") {
				t.Errorf("got %d %s", res.StatusCode, body)
			}
			for name, want := range map[string]string{
				"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store",
				"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
			} {
				if got := res.Header.Get(name); got != want {
					t.Errorf("%s is %q", name, got)
				}
			}
			if c.path == "/api/v1/things" && c.status == 201 && res.Header.Get("Location") != "/api/v1/things/a" {
				t.Errorf("Location is %q", res.Header.Get("Location"))
			}
			if strings.HasPrefix(c.why, "token") && res.Header.Get("ETag") != `"3"` {
				t.Errorf("ETag is %q", res.Header.Get("ETag"))
			}
		})
	}
}

func TestRequestIDsComeFromHereAlone(t *testing.T) {
	t.Parallel()
	_, ts := serve(t, httpx.Options{})
	res, _ := ask(t, ts, "GET", "/healthz", "", "X-Request-Id", "evil")
	if id := res.Header.Get("X-Request-Id"); !strings.HasPrefix(id, "req_") {
		t.Errorf("got %q", id)
	}
}

func TestForwardingHeadersCountOnlyFromATrustedProxy(t *testing.T) {
	t.Parallel()
	loopback := netip.MustParsePrefix("127.0.0.0/8")
	for _, c := range []struct {
		why     string
		trusted []netip.Prefix
		headers []string
		want    string
		hsts    bool
	}{
		{"nobody is trusted", nil, []string{"X-Forwarded-For", "9.9.9.9", "X-Forwarded-Proto", "https"}, "ann127.0.0.1\"", false},
		{"the proxy says who", []netip.Prefix{loopback}, []string{"X-Forwarded-For", "9.9.9.9", "X-Forwarded-Proto", "https"}, "ann9.9.9.9\"", true},
		{"what the client wrote before it is not believed", []netip.Prefix{loopback}, []string{"X-Forwarded-For", "1.1.1.1, 9.9.9.9"}, "ann9.9.9.9\"", false},
		{"proxies behind proxies", []netip.Prefix{loopback}, []string{"X-Forwarded-For", "1.1.1.1, 9.9.9.9", "X-Forwarded-For", "127.0.0.3"}, "ann9.9.9.9\"", false},
		{"mapped addresses are the same", []netip.Prefix{loopback}, []string{"X-Forwarded-For", "::ffff:9.9.9.9"}, "ann9.9.9.9\"", false},
		{"rubbish stops the walk", []netip.Prefix{loopback}, []string{"X-Forwarded-For", "9.9.9.9, rubbish"}, "ann127.0.0.1\"", false},
		{"other headers say nothing", []netip.Prefix{loopback}, []string{"X-Real-Ip", "9.9.9.9", "Forwarded", "for=9.9.9.9;proto=https", "X-Forwarded-Host", "evil"}, "ann127.0.0.1\"", false},
	} {
		t.Run(c.why, func(t *testing.T) {
			t.Parallel()
			_, ts := serve(t, httpx.Options{TrustedProxies: c.trusted})
			res, body := ask(t, ts, "GET", "/api/v1/things/a", "", append([]string{"Authorization", "Bearer ann"}, c.headers...)...)
			if !strings.Contains(body, c.want) {
				t.Errorf("got %s", body)
			}
			if (res.Header.Get("Strict-Transport-Security") != "") != c.hsts {
				t.Errorf("HSTS is %q", res.Header.Get("Strict-Transport-Security"))
			}
		})
	}
}

type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func TestTheAccessLogHoldsNoSecrets(t *testing.T) {
	t.Parallel()
	var log logBuffer
	_, ts := serve(t, httpx.Options{Log: slog.New(slog.NewJSONHandler(&log, nil))})
	ask(t, ts, "POST", "/api/v1/things?link=canary1", `{"name":"canarytwo"}`, "Authorization", "Bearer canary3", "Cookie", "fairlead_session=canary4")
	ask(t, ts, "POST", "/api/v1/things?limit=canary5", `{"name":"canarysix!"}`, "Authorization", "Bearer ann")
	if s := log.String(); strings.Contains(s, "canary") || strings.Count(s, `"msg":"request"`) != 2 || !strings.Contains(s, `"principal":"usr_ann"`) {
		t.Errorf("got %s", s)
	}
}

func TestRateLimits(t *testing.T) {
	t.Parallel()
	_, ts := serve(t, httpx.Options{Rate: httpx.Rate{PerSecond: 0.01, Burst: 3}, AnonymousRate: httpx.Rate{PerSecond: 0.01, Burst: 2}})
	get := func(token string) *http.Response {
		res, body := ask(t, ts, "GET", "/api/v1/things/a", "", "Authorization", "Bearer "+token, "X-Forwarded-For", token)
		if res.StatusCode >= 400 {
			problem(t, res, body)
		}
		return res
	}
	for i, want := range []int{200, 200, 200, 429, 429} {
		res := get("ann")
		if res.StatusCode != want {
			t.Errorf("request %d: %d", i, res.StatusCode)
		}
		if res.Header.Get("RateLimit-Limit") != "3" || res.Header.Get("RateLimit-Policy") != `"default";q=3;w=300` || res.Header.Get("RateLimit") == "" {
			t.Errorf("headers %v", res.Header)
		}
		if left := res.Header.Get("RateLimit-Remaining"); left != []string{"2", "1", "0", "0", "0"}[i] {
			t.Errorf("request %d: %s remain", i, left)
		}
		if (res.Header.Get("Retry-After") != "") != (want == 429) {
			t.Errorf("request %d: Retry-After %q", i, res.Header.Get("Retry-After"))
		}
	}
	if res := get("bob"); res.StatusCode != 200 {
		t.Errorf("one principal's requests count against another: %d", res.StatusCode)
	}
	for i, want := range []int{401, 401, 429} { // each with another guess and another X-Forwarded-For
		if res := get("guess" + string(rune('a'+i))); res.StatusCode != want {
			t.Errorf("guess %d: %d", i, res.StatusCode)
		}
	}
}

func TestHealthReadinessMetrics(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var down error
	s, ts := serve(t, httpx.Options{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}, Ready: []httpx.Check{{Name: "store", Probe: func(context.Context) error {
		mu.Lock()
		defer mu.Unlock()
		return down
	}}}})
	if res, body := ask(t, ts, "GET", "/readyz", ""); res.StatusCode != 200 {
		t.Error(body)
	}
	mu.Lock()
	down = io.ErrClosedPipe
	mu.Unlock()
	if res, body := ask(t, ts, "GET", "/readyz", ""); res.StatusCode != 503 || !strings.Contains(body, "store") || strings.Contains(body, "pipe") {
		t.Error(body)
	}
	if res, _ := ask(t, ts, "GET", "/healthz", ""); res.StatusCode != 200 {
		t.Error("a store that is down must not get the process killed")
	}
	ask(t, ts, "GET", "/api/v1/things/some-name", "", "Authorization", "Bearer ann")
	_, body := ask(t, ts, "GET", "/metrics", "")
	if !strings.Contains(body, `fairlead_http_request_duration_seconds_count{operation="get-thing",status="5xx"} 0`) || !strings.Contains(body, `{operation="create-thing",status="2xx"} 0`) {
		t.Errorf("what nobody asked for is not shown as zero: %s", body)
	}
	if !strings.Contains(body, `fairlead_http_request_duration_seconds_count{operation="get-thing",status="2xx"} 1`) || strings.Contains(body, "some-name") {
		t.Error(body)
	}
	for token, want := range map[string]int{"": 401, "Bearer bob": 403, "Bearer ann": 200, "Bearer forged": 401} {
		h := []string{"X-Forwarded-For", "9.9.9.9"}
		if token != "" {
			h = append(h, "Authorization", token)
		}
		if res, _ := ask(t, ts, "GET", "/metrics", "", h...); res.StatusCode != want {
			t.Errorf("metrics for %q from outside: %d", token, res.StatusCode)
		}
	}
	for host, want := range map[string]int{"evil.example": 401, "127.0.0.1.evil.example:80": 401, "localhost:8080": 200, "[::1]": 200} {
		if res, _ := ask(t, ts, "GET", "/metrics", "", "Host", host); res.StatusCode != want {
			t.Errorf("metrics for a browser here that was sent to %s: %d", host, res.StatusCode)
		}
	}
	s.Drain()
	if res, body := ask(t, ts, "GET", "/readyz", ""); res.StatusCode != 503 || !strings.Contains(body, "shutting_down") {
		t.Error(body)
	}
}

func TestTheDocumentIsDeterministicAndSaysWhatIsPublic(t *testing.T) {
	t.Parallel()
	s, _ := serve(t, httpx.Options{})
	a, err := json.Marshal(s.API().OpenAPI())
	if err != nil {
		t.Fatal(err)
	}
	other, _ := serve(t, httpx.Options{})
	b, _ := json.Marshal(other.API().OpenAPI())
	if !bytes.Equal(a, b) {
		t.Error("two documents differ")
	}
	for _, want := range []string{`"openapi":"3.1.0"`, `"security":[]`, `"security":[{"token":[]},{"session":[]}]`, `"Problem":`, `application/problem+json`} {
		if !strings.Contains(string(a), want) {
			t.Errorf("no %s in %s", want, a)
		}
	}
	for _, no := range []string{"$schema", "fairlead.traits"} {
		if strings.Contains(string(a), no) {
			t.Errorf("%s in the document", no)
		}
	}
}

func TestSlowClientsAreCutOff(t *testing.T) {
	t.Parallel()
	_, ts := serve(t, httpx.Options{HeaderTimeout: 100 * time.Millisecond, BodyTimeout: 100 * time.Millisecond})
	for why, head := range map[string]string{
		"headers that never end":   "GET /healthz HTTP/1.1\r\nHost: x\r\nX-A: ",
		"a body that never comes":  "POST /api/v1/things HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ann\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{",
		"a body that nobody wants": "POST /api/v1/things HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n{",
	} {
		t.Run(why, func(t *testing.T) {
			t.Parallel()
			conn := dial(t, ts)
			if _, err := conn.Write([]byte(head)); err != nil {
				t.Fatal(err)
			}
			_ = conn.SetReadDeadline(time.Now().Add(20 * time.Second))
			b, err := io.ReadAll(conn) // ends only when the server closes
			if err != nil {
				t.Fatalf("still open: %v after %s", err, b)
			}
			if strings.Contains(why, "never comes") && !strings.Contains(string(b), "408 ") {
				t.Errorf("got %s", b)
			}
		})
	}
}

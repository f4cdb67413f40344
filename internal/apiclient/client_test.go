package apiclient_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"fairlead/internal/apiclient"
	"fairlead/internal/fault"
	"fairlead/internal/httpx"
	"fairlead/internal/principal"
	"fairlead/internal/redact"
)

// script answers requests one after the other and remembers them.
type script struct {
	mu      sync.Mutex
	replies []func(http.ResponseWriter, *http.Request)
	seen    []*http.Request
	bodies  []string
}

func (s *script) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	i := min(len(s.seen), len(s.replies)-1)
	s.seen = append(s.seen, r)
	s.bodies = append(s.bodies, string(b))
	s.mu.Unlock()
	s.replies[i](w, r)
}

func problem(status int, code string, more ...string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(more); i += 2 {
			w.Header().Set(more[i], more[i+1])
		}
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"status":%d,"code":%q,"detail":"no","hint":"do","field":"/name","violations":[{"field":"/name","message":"m"}],"requestId":"req_1"}`, status, code)
	}
}

func ok(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, `{}`)
}

func hangUp(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

func client(t *testing.T, h http.Handler, token string) *apiclient.API {
	t.Helper()
	ts := httptest.NewServer(h)
	t.Cleanup(ts.Close)
	c, err := apiclient.New(apiclient.Options{URL: ts.URL + "/", Token: redact.New(token), UserAgent: "test/1"})
	if err != nil {
		t.Fatal(err)
	}
	return apiclient.WithoutPauses(c)
}

func send(t *testing.T, c *apiclient.API, method string) error {
	t.Helper()
	var body io.Reader
	if method == "POST" {
		body = strings.NewReader("body")
	}
	req, err := http.NewRequestWithContext(t.Context(), method, c.URL()+"/api/v1/x", body)
	if err != nil {
		t.Fatal(err)
	}
	res, err := apiclient.Do(c, req)
	if err == nil {
		res.Body.Close()
	}
	return err
}

func TestRetriesNeverDoAThingTwice(t *testing.T) {
	t.Parallel()
	type h = func(http.ResponseWriter, *http.Request)
	for _, c := range []struct {
		why, method, token string
		replies            []h
		sent               int
		code               string
	}{
		{"all well", "POST", "t", []h{ok}, 1, ""},
		{"busy, then well", "POST", "t", []h{problem(503, "store_unavailable"), problem(429, "rate_limited"), ok}, 3, ""},
		{"for ever busy", "POST", "t", []h{problem(503, "store_unavailable")}, 5, "store_unavailable"},
		{"cut off: the key makes it safe", "POST", "t", []h{hangUp, ok}, 2, ""},
		{"cut off while reading", "GET", "", []h{hangUp, ok}, 2, ""},
		{"cut off as nobody: no key is kept for nobody", "POST", "", []h{hangUp, ok}, 1, "server_unreachable"},
		{"refused for now as nobody", "POST", "", []h{problem(429, "rate_limited"), ok}, 2, ""},
		{"maybe done as nobody", "POST", "", []h{problem(503, "outcome_unknown"), ok}, 1, "outcome_unknown"},
		{"wrong stays wrong", "POST", "t", []h{problem(422, "invalid_request")}, 1, "invalid_request"},
		{"a defect there is not retried", "POST", "t", []h{problem(500, "internal")}, 1, "internal"},
		{"a redirect is no answer", "GET", "t", []h{func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://127.0.0.1:1/steal", http.StatusFound)
		}}, 1, "unexpected_reply"},
		{"not Fairlead", "GET", "t", []h{func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "nginx", 404) }}, 1, "unexpected_reply"},
	} {
		t.Run(c.why, func(t *testing.T) {
			t.Parallel()
			s := &script{replies: c.replies}
			err := send(t, client(t, s, c.token), c.method)
			var e *apiclient.Error
			if c.code == "" && err != nil || c.code != "" && (!errors.As(err, &e) || e.Code != c.code) {
				t.Errorf("got %v", err)
			}
			s.mu.Lock()
			defer s.mu.Unlock()
			if len(s.seen) != c.sent {
				t.Fatalf("sent %d times", len(s.seen))
			}
			first := s.seen[0]
			for i, r := range s.seen {
				if key := r.Header.Get("Idempotency-Key"); key != first.Header.Get("Idempotency-Key") || (key == "") != (c.method == "GET") {
					t.Errorf("key %q", key)
				}
				if c.method == "POST" && s.bodies[i] != "body" {
					t.Errorf("body %q", s.bodies[i])
				}
				if r.Header.Get("User-Agent") != "test/1" || (r.Header.Get("Authorization") == "Bearer t") != (c.token != "") {
					t.Errorf("headers %v", r.Header)
				}
			}
		})
	}
}

func TestErrorsCarryAllThatTheServerSaid(t *testing.T) {
	t.Parallel()
	err := send(t, client(t, &script{replies: []func(http.ResponseWriter, *http.Request){problem(422, "invalid_name")}}, "t"), "POST")
	var e *apiclient.Error
	if !errors.As(err, &e) || e.Status != 422 || e.Detail != "no" || e.Hint != "do" || e.Field != "/name" || len(e.Violations) != 1 || e.RequestID != "req_1" {
		t.Errorf("got %+v", e)
	}
	if !errors.Is(err, &apiclient.Error{Code: "invalid_name"}) || errors.Is(err, &apiclient.Error{Code: "other"}) {
		t.Error("not compared by code")
	}
}

func TestNobodyIsThere(t *testing.T) {
	t.Parallel()
	ts := httptest.NewServer(http.NotFoundHandler())
	ts.Close()
	c, err := apiclient.New(apiclient.Options{URL: ts.URL, Token: redact.New("canary")})
	if err != nil {
		t.Fatal(err)
	}
	err = send(t, apiclient.WithoutPauses(c), "POST")
	var e *apiclient.Error
	if !errors.As(err, &e) || e.Code != "server_unreachable" || e.Hint == "" || strings.Contains(fmt.Sprintf("%+v", e), "canary") {
		t.Errorf("got %+v", err)
	}
	for _, u := range []string{"", "localhost:8080", "ftp://x", "http://user:pw@x", "http://x?q", "http://"} {
		if _, err := apiclient.New(apiclient.Options{URL: u}); err == nil {
			t.Errorf("%q is accepted", u)
		}
	}
}

type anybody struct{}

func (anybody) AuthenticateToken(context.Context, redact.Secret) (principal.Principal, error) {
	return principal.Principal{Kind: principal.User, ID: "usr_1"}, nil
}

func (anybody) AuthenticateSession(context.Context, redact.Secret) (principal.Principal, error) {
	return principal.Nobody, fault.New(fault.Unauthenticated, "no", "no")
}

func TestEventsGoOnAfterABreak(t *testing.T) {
	t.Parallel()
	api, s := httpx.New(httpx.Options{Auth: anybody{}})
	httpx.Register(api, huma.Operation{OperationID: "follow", Method: "GET", Path: "/api/v1/log/{how}"},
		func(_ context.Context, in *struct {
			httpx.StreamInput
			How string `path:"how"`
		}) (*huma.StreamResponse, error) {
			after, err := in.After()
			if err != nil {
				return nil, err
			}
			if in.How == "refused" {
				return nil, fault.New(fault.NotFound, "run_not_found", "no such run")
			}
			return httpx.Stream(func(_ context.Context, out *httpx.Events) error {
				for i := after + 1; i <= 7; i++ {
					if err := out.SendNumbered(i, "log", map[string]int64{"n": i}); err != nil {
						return err
					}
					if i%3 == 0 {
						panic(http.ErrAbortHandler) // the connection breaks
					}
				}
				if in.How == "fails" {
					return fault.New(fault.Unavailable, "store_unavailable", "gone")
				}
				return nil
			}), nil
		})
	for _, c := range []struct {
		how, last, want, code string
	}{
		{"whole", "", "1234567", ""},
		{"whole", "4", "567", ""},
		{"fails", "", "1234567", "store_unavailable"},
		{"refused", "", "", "run_not_found"},
	} {
		t.Run(c.how+c.last, func(t *testing.T) {
			t.Parallel()
			got := ""
			err := client(t, s, "t").Events(t.Context(), "/api/v1/log/"+c.how, c.last, func(e apiclient.Event) error {
				got += e.ID
				return nil
			})
			var e *apiclient.Error
			if got != c.want || c.code == "" && err != nil || c.code != "" && (!errors.As(err, &e) || e.Code != c.code) {
				t.Errorf("got %q %v", got, err)
			}
		})
	}
	stop := errors.New("enough")
	if err := client(t, s, "t").Events(t.Context(), "/api/v1/log/whole", "", func(apiclient.Event) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	broken := client(t, &script{replies: []func(http.ResponseWriter, *http.Request){hangUp}}, "t")
	if err := broken.Events(ctx, "/x", "", func(apiclient.Event) error { return nil }); err == nil {
		t.Error("a stream that never comes is no success")
	}
}

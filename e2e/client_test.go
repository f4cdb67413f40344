package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"
)

// client speaks HTTP to one or more servers, as a careful program does: it
// sends the same request again, with the same Idempotency-Key, until it has an
// answer.
type client struct {
	urls     []string
	token    string
	patience time.Duration // how long one request is tried
	http     *http.Client
}

func newClient(urls ...string) *client {
	return &client{urls: urls, patience: 30 * time.Second, http: &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 64}}}
}

func (c *client) as(token string) *client {
	d := *c
	d.token = token
	return &d
}

type reply struct {
	status int
	header http.Header
	body   []byte
	json   map[string]any
}

func (r reply) str(key string) string {
	s, _ := r.json[key].(string)
	return s
}

func (r reply) num(key string) int64 {
	n, _ := r.json[key].(float64)
	return int64(n)
}

func (r reply) String() string { return fmt.Sprintf("%d %.600s", r.status, r.body) }

type raw struct {
	contentType string
	body        []byte
}

// request sends once. The body is nil, raw, or what becomes JSON.
func (c *client) request(ctx context.Context, base, method, path string, body any, header map[string]string) (reply, error) {
	var in io.Reader
	ct := ""
	switch b := body.(type) {
	case nil:
	case raw:
		in, ct = bytes.NewReader(b.body), b.contentType
	default:
		j, err := json.Marshal(b)
		if err != nil {
			return reply{}, err
		}
		in, ct = bytes.NewReader(j), "application/json"
	}
	req, err := http.NewRequestWithContext(ctx, method, base+path, in)
	if err != nil {
		return reply{}, err
	}
	if ct != "" {
		req.Header.Set("Content-Type", ct)
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	for k, v := range header {
		req.Header.Set(k, v)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return reply{}, err
	}
	defer resp.Body.Close()
	out := reply{status: resp.StatusCode, header: resp.Header}
	if out.body, err = io.ReadAll(resp.Body); err != nil {
		return reply{}, err
	}
	if strings.Contains(resp.Header.Get("Content-Type"), "json") {
		_ = json.Unmarshal(out.body, &out.json)
	}
	return out, nil
}

// once sends once and requires an answer, whatever it is.
func (c *client) once(t testing.TB, method, path string, body any, header ...string) reply {
	t.Helper()
	h := map[string]string{}
	for i := 0; i+1 < len(header); i += 2 {
		h[header[i]] = header[i+1]
	}
	r, err := c.request(context.Background(), c.urls[0], method, path, body, h)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	return r
}

// try sends until there is an answer that is not "later", with one key.
func (c *client) try(method, path string, body any, key string) (reply, error) {
	h := map[string]string{}
	if key != "" {
		h["Idempotency-Key"] = key
	}
	deadline := time.Now().Add(c.patience)
	wait := 20 * time.Millisecond
	for {
		r, err := c.request(context.Background(), c.urls[rand.IntN(len(c.urls))], method, path, body, h)
		later := err != nil || r.status >= 500 || r.status == http.StatusTooManyRequests || (r.status == http.StatusConflict && r.str("code") == "idempotency_claimed")
		if !later {
			return r, nil
		}
		if time.Now().After(deadline) {
			return r, fmt.Errorf("%s %s: no answer in %s: %v: %w", method, path, c.patience, r, err)
		}
		time.Sleep(wait)
		wait = min(wait*2, 300*time.Millisecond)
	}
}

// must tries and requires one of the statuses.
func (c *client) must(t testing.TB, method, path string, body any, key string, statuses ...int) reply {
	t.Helper()
	r, err := c.try(method, path, body, key)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range statuses {
		if r.status == s {
			return r
		}
	}
	t.Fatalf("%s %s: want %v, got %v", method, path, statuses, r)
	return r
}

// settle waits until a resource is as f wants it; f says what is missing.
func (c *client) settle(t testing.TB, id string, limit time.Duration, f func(reply) string) reply {
	t.Helper()
	began := time.Now()
	deadline := began.Add(limit)
	history := ""
	var known int64
	for {
		path := "/api/v1/resources/" + id
		if known > 0 {
			path += fmt.Sprintf("?wait=2&known=%d", known)
		}
		r := c.must(t, http.MethodGet, path, nil, "", http.StatusOK)
		if r.num("version") != known {
			history += fmt.Sprintf("; %.1fs %s %s", time.Since(began).Seconds(), r.str("phase"), r.str("message"))
		}
		wrong := f(r)
		if wrong == "" {
			if time.Since(began) > 10*time.Second {
				t.Logf("slow: %s%s", r.str("name"), history)
			}
			return r
		}
		if time.Now().After(deadline) {
			t.Fatalf("resource %s after %s: %s: %s", id, limit, wrong, r)
		}
		if r.num("version") == known || r.json["settled"] == true {
			time.Sleep(30 * time.Millisecond)
		}
		known = r.num("version")
	}
}

func inPhase(phase string) func(reply) string {
	return func(r reply) string {
		if r.str("phase") != phase {
			return "is " + r.str("phase") + ", not " + phase
		}
		return ""
	}
}

// applied wants a resource to be ready at a revision.
func applied(revision int64) func(reply) string {
	return func(r reply) string {
		if r.str("phase") != "ready" || r.num("appliedRevision") != revision {
			return fmt.Sprintf("is %s at revision %d of %d, not ready at %d", r.str("phase"), r.num("appliedRevision"), r.num("revision"), revision)
		}
		return ""
	}
}

// signIn uses the first sign-in link, from whichever file has a good one.
func (c *client) signIn(t testing.TB, link func() string) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		var r reply
		var err error
		l := link()
		if l != "" {
			r, err = c.request(context.Background(), c.urls[0], http.MethodPost, "/api/v1/login", map[string]any{"link": l, "tokenName": "e2e"}, nil)
			if err == nil && r.status/100 == 2 {
				c.token = r.str("value")
				return
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("nobody can sign in: link %q, %v %v", l, r, err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

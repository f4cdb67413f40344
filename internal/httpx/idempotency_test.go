package httpx_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"fairlead/internal/fault"
	"fairlead/internal/httpx"
	"fairlead/internal/sqldb"
	"fairlead/internal/sqldb/sqldbtest"
)

// shop is a feature with a store: what it makes is counted in the database.
type shop struct {
	db      *sqldb.DB
	handled atomic.Int64
	after   func() // runs between the commit and the reply
}

func (s *shop) mount(api huma.API) {
	create := func(ctx context.Context, in *thingInput) (*httpx.Body[Thing], error) {
		n := s.handled.Add(1)
		err := s.db.Write(ctx, "test.create", func(tx *sqldb.Tx) error {
			_, err := tx.ExecContext(ctx, `INSERT INTO settings (key, value) VALUES ($1, $2)`, in.Body.Name, fmt.Sprint(n))
			return err
		})
		switch {
		case sqldb.IsUnique(err):
			return nil, fault.New(fault.Conflict, "name_taken", "taken")
		case err != nil:
			return nil, err
		}
		// A second transaction of the same request is not a second claim.
		if err := s.db.Write(ctx, "test.second", func(*sqldb.Tx) error { return nil }); err != nil {
			return nil, err
		}
		if s.after != nil {
			s.after()
		}
		return &httpx.Body[Thing]{Body: Thing{Name: in.Body.Name, Size: int(n)}}, nil
	}
	httpx.Register(api, httpx.Located(huma.Operation{OperationID: "create", Method: "POST", Path: "/api/v1/shop"}, "/api/v1/shop/{name}"), create)
	httpx.Register(api, huma.Operation{OperationID: "create-unlocated", Method: "POST", Path: "/api/v1/unlocated"}, create)
	httpx.Register(api, httpx.Sensitive(huma.Operation{OperationID: "create-secret", Method: "POST", Path: "/api/v1/secrets"}), create)
	httpx.Register(api, huma.Operation{OperationID: "create-as-anybody", Method: "POST", Path: "/api/v1/anybody", Security: httpx.Public}, create)
	httpx.Register(api, huma.Operation{OperationID: "show", Method: "GET", Path: "/api/v1/shop/{name}"},
		func(ctx context.Context, in *nameInput) (*httpx.Tagged[Thing], error) {
			out := Thing{Name: in.Name}
			err := s.db.Read().QueryRowContext(ctx, `SELECT CAST(value AS BIGINT) FROM settings WHERE key = $1`, in.Name).Scan(&out.Size)
			return httpx.NewTagged(1, out), err
		})
}

// replica starts a server on db, with its background work.
func replica(t *testing.T, s *shop) *httptest.Server {
	t.Helper()
	api, srv := httpx.New(httpx.Options{Auth: people, DB: s.db, Rate: httpx.Rate{PerSecond: -1}, AnonymousRate: httpx.Rate{PerSecond: -1}})
	s.mount(api)
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { srv.Run(ctx) })
	ts := httptest.NewServer(srv)
	t.Cleanup(func() { ts.Close(); stop(); wg.Wait() })
	return ts
}

func rows(t *testing.T, db *sqldb.DB) (n int) {
	t.Helper()
	if err := db.Read().QueryRowContext(t.Context(), `SELECT count(*) FROM settings WHERE key <> 'clock'`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func post(t *testing.T, ts *httptest.Server, path, key, body string, more ...string) (*http.Response, string) {
	t.Helper()
	return ask(t, ts, "POST", path, body, append([]string{"Authorization", "Bearer ann", "Idempotency-Key", key}, more...)...)
}

// Each replica has its own connection to the store, as processes have.
func TestTheSameKeyOverReplicasMakesOneThing(t *testing.T) {
	t.Parallel()
	for name, url := range map[string]string{"sqlite": "sqlite:" + t.TempDir() + "/s.db", "postgres": sqldbtest.PostgresURL(t)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var replicas []*httptest.Server
			var db *sqldb.DB
			for range 3 {
				db = sqldbtest.Open(t, sqldb.Options{URL: url})
				replicas = append(replicas, replica(t, &shop{db: db}))
			}
			var wg sync.WaitGroup
			bodies := make([]string, 100)
			for i := range bodies {
				wg.Go(func() {
					res, body := post(t, replicas[i%3], "/api/v1/shop", "k", `{"name":"one"}`)
					if res.StatusCode != 201 || res.Header.Get("Location") != "/api/v1/shop/one" {
						t.Errorf("%d: %d %s %q", i, res.StatusCode, body, res.Header.Get("Location"))
					}
					bodies[i] = body
				})
			}
			wg.Wait()
			for _, b := range bodies[1:] {
				if b != bodies[0] {
					t.Errorf("two replies: %s and %s", bodies[0], b)
				}
			}
			if n := rows(t, db); n != 1 {
				t.Errorf("%d things", n)
			}
		})
	}
}

func TestKeysAreBoundToTheirRequest(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		s := &shop{db: db}
		ts := replica(t, s)
		if res, body := post(t, ts, "/api/v1/shop", "k", `{"name":"one"}`); res.StatusCode != 201 || res.Header.Get("Idempotency-Replayed") != "" {
			t.Fatalf("%d %s", res.StatusCode, body)
		}
		for _, c := range []struct {
			why, path, body string
			status          int
			code            string
			headers         []string
		}{
			{"the same again", "/api/v1/shop", `{"name":"one"}`, 201, "", nil},
			{"another body", "/api/v1/shop", `{"name":"two"}`, 409, "idempotency_key_reused", nil},
			{"another path", "/api/v1/unlocated", `{"name":"one"}`, 409, "idempotency_key_reused", nil},
			{"another precondition", "/api/v1/shop", `{"name":"one"}`, 409, "idempotency_key_reused", []string{"If-Match", `"1"`}},
		} {
			res, body := post(t, ts, c.path, "k", c.body, c.headers...)
			if res.StatusCode != c.status || !strings.Contains(body, c.code) || res.Header.Get("Idempotency-Replayed") == "" && c.status == 201 {
				t.Errorf("%s: %d %s", c.why, res.StatusCode, body)
			}
		}
		// Another principal's key is another key.
		if res, body := ask(t, ts, "POST", "/api/v1/shop", `{"name":"bobs"}`, "Authorization", "Bearer bob", "Idempotency-Key", "k"); res.StatusCode != 201 {
			t.Errorf("%d %s", res.StatusCode, body)
		}
		// What was refused before it did anything may be tried again.
		for range 2 {
			if res, body := post(t, ts, "/api/v1/shop", "k2", `{"name":"one"}`); res.StatusCode != 409 || !strings.Contains(body, "name_taken") {
				t.Errorf("%d %s", res.StatusCode, body)
			}
		}
		// Nobody's keys are nobody's: one stranger must not see another's reply.
		for i, want := range []int{201, 409} {
			res, body := ask(t, ts, "POST", "/api/v1/anybody", `{"name":"anybody"}`, "Idempotency-Key", "k")
			if res.StatusCode != want {
				t.Errorf("anybody %d: %d %s", i, res.StatusCode, body)
			}
		}
		if n := rows(t, db); n != 3 {
			t.Errorf("%d things", n)
		}
	})
}

func TestADeadServersWorkIsNotRedone(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		dying := &shop{db: db, after: func() { panic(http.ErrAbortHandler) }}
		s := &shop{db: db}
		before, ts := replica(t, dying), replica(t, s)
		for _, c := range []struct {
			why, path, key string
			status         int
			want           string
		}{
			{"what it made is shown", "/api/v1/shop", "a", 201, `{"name":"a","size":`},
			{"with nowhere to look", "/api/v1/unlocated", "b", 409, "already_done"},
			{"a secret is gone", "/api/v1/secrets", "c", 409, "idempotency_replay_unavailable"},
		} {
			body := `{"name":"` + c.key + `"}`
			req, _ := http.NewRequestWithContext(t.Context(), "POST", before.URL+c.path, strings.NewReader(body))
			req.Header.Set("Authorization", "Bearer ann")
			req.Header.Set("Idempotency-Key", c.key)
			if res, err := before.Client().Do(req); err == nil {
				res.Body.Close()
				t.Fatalf("%s: answered %d", c.why, res.StatusCode)
			}
			for range 2 {
				res, got := post(t, ts, c.path, c.key, body)
				if res.StatusCode != c.status || !strings.Contains(got, c.want) {
					t.Errorf("%s: %d %s", c.why, res.StatusCode, got)
				}
				if c.status == 201 && (res.Header.Get("Location") != "/api/v1/shop/a" || res.Header.Get("Idempotency-Replayed") != "true") {
					t.Errorf("%s: %v", c.why, res.Header)
				}
			}
		}
		if n := s.handled.Load(); n != 0 {
			t.Errorf("done again %d times", n)
		}
	})
}

func TestASecretReplyIsNeitherKeptNorGivenAgain(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		s := &shop{db: db}
		ts, other := replica(t, s), replica(t, s)
		if res, _ := post(t, ts, "/api/v1/secrets", "k", `{"name":"canary"}`); res.StatusCode != 201 {
			t.Fatal(res.StatusCode)
		}
		for _, at := range []*httptest.Server{ts, other} {
			if res, body := post(t, at, "/api/v1/secrets", "k", `{"name":"canary"}`); res.StatusCode != 409 || !strings.Contains(body, "idempotency_replay_unavailable") {
				t.Errorf("%d %s", res.StatusCode, body)
			}
		}
		var kept string
		if err := db.Read().QueryRowContext(t.Context(), `SELECT body || headers FROM idempotency_keys WHERE key = 'k'`).Scan(&kept); err != nil || strings.Contains(kept, "canary") {
			t.Errorf("%v, kept %s", err, kept)
		}
		if n := s.handled.Load(); n != 1 {
			t.Errorf("done %d times", n)
		}
	})
}

func TestOldKeysAreForgotten(t *testing.T) {
	t.Parallel()
	now := time.Now()
	var mu sync.Mutex
	db := sqldbtest.Open(t, sqldb.Options{URL: "sqlite:" + t.TempDir() + "/s.db", Clock: func() time.Time { mu.Lock(); defer mu.Unlock(); return now }})
	s := &shop{db: db}
	api, srv := httpx.New(httpx.Options{Auth: people, DB: db})
	s.mount(api)
	ts := httptest.NewServer(srv)
	defer ts.Close()
	post(t, ts, "/api/v1/shop", "old", `{"name":"old"}`)
	mu.Lock()
	now = now.Add(23 * time.Hour)
	mu.Unlock()
	post(t, ts, "/api/v1/shop", "new", `{"name":"new"}`)
	for _, c := range []struct {
		later time.Duration
		want  int64
	}{{0, 0}, {2 * time.Hour, 1}, {24 * time.Hour, 1}} {
		mu.Lock()
		now = now.Add(c.later)
		mu.Unlock()
		if n, err := srv.Purge(t.Context()); err != nil || n != c.want {
			t.Errorf("after %v: %d %v", c.later, n, err)
		}
	}
}

package e2e

import (
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// skew is a wrong clock for one server, which a test may set anew while the
// server runs.
type skew struct{ file string }

func newSkew(t testing.TB, by time.Duration) *skew {
	s := &skew{filepath.Join(t.TempDir(), "clock")}
	s.set(t, by)
	return s
}

func (s *skew) env() string { return "FAIRLEAD_FAILPOINT_CLOCK=@" + s.file }

func (s *skew) set(t testing.TB, by time.Duration) {
	t.Helper()
	if err := os.WriteFile(s.file+".new", []byte(by.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(s.file+".new", s.file); err != nil {
		t.Fatal(err)
	}
}

// whole is what must hold of n resources that were all made, whatever the
// clocks said: each once, none in a second run, and the log in its order.
func (j *job) whole(s *server, ids []string) {
	t := j.t
	t.Helper()
	db := s.db(t)
	eventually(t, 20*time.Second, func() string { return compare(s.engine, db) })
	for _, id := range ids {
		j.c.settle(t, id, patience, applied(1))
		equal(t, "I2: runs of "+id, []string{"1 succeeded"}, column(t, db, `SELECT number || ' ' || status FROM runs WHERE resource_id = $1 AND kind <> 'rotate'`, id))
	}
	equal(t, "I2: resources", []string{fmt.Sprint(len(ids))}, column(t, db, `SELECT count(*) FROM resources`))
	equal(t, "runs that never end", nil, column(t, db, `SELECT id FROM runs WHERE finished_at IS NULL`))
	var last int64
	for _, v := range column(t, db, `SELECT at FROM audit_log ORDER BY seq`) {
		at, err := strconv.ParseInt(v, 10, 64)
		if err != nil || at < last {
			t.Fatalf("I3: the audit log goes back in time: %s after %d", v, last)
		}
		last = at
	}
	j.verified()
}

// TestReplicasWithWrongClocks: one replica is an hour ahead, the other an hour
// behind, and the database's clock is what counts.
func TestReplicasWithWrongClocks(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	store := b.newStore(t)
	start := func(by time.Duration) *server {
		s := newServer(t, withBox(b), onPostgres(store), withEnv(masterKey, newSkew(t, by).env()))
		s.start()
		return s
	}
	ahead, behind := start(time.Hour), start(-time.Hour)
	j := environment(t, ahead, behind)
	// Each works for longer than a lease: whoever's clock counted would steal
	// what the other one holds, or find its own run out.
	var ids []string
	for i := range 6 {
		ids = append(ids, j.create(fmt.Sprintf("slow-%d", i), "app", map[string]any{"delay": "3s"}))
	}
	for i := range 2 {
		ids = append(ids, j.create(fmt.Sprintf("pg-%d", i), "pg-tiny", nil))
	}
	j.whole(ahead, ids)
	db := ahead.db(t)
	for _, s := range []*server{ahead, behind} {
		if n := countIn(s.log, "claim lost"); n > 0 {
			t.Errorf("I2: %d leases were stolen from a replica that lives", n)
		}
	}

	j.tokensEnd(db, ahead, behind)

	// Neither is a lease kept for ever: each dies in mid-work, the other goes on.
	for n, dies := range []*server{ahead, behind} {
		id := j.create(fmt.Sprintf("left-%d", n), "app", map[string]any{"delay": "2s"})
		ids = append(ids, id)
		dies.signal(syscall.SIGSTOP) // with whatever it holds just then
		other := []*server{behind, ahead}[n]
		j.c.urls = []string{other.url()}
		j.c.settle(t, id, patience, applied(1))
		dies.signal(syscall.SIGKILL)
		dies.await(10 * time.Second)
		dies.start()
	}
	j.whole(ahead, ids)
}

// tokensEnd wants a token to live until its end by the database's clock, on
// whichever server, and no longer.
func (j *job) tokensEnd(db *sql.DB, servers ...*server) {
	t := j.t
	t.Helper()
	for i, s := range servers {
		c := newClient(s.url()).as(j.c.token)
		made := c.must(t, "POST", "/api/v1/tokens", map[string]any{"name": fmt.Sprintf("short-%d", i), "expiresInSeconds": 600}, "", 201)
		value, id := made.str("value"), made.str("id")
		for _, at := range servers {
			newClient(at.url()).as(value).must(t, "GET", "/api/v1/me", nil, "", 200)
		}
		var now, end int64
		if err := db.QueryRow(`SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint, expires_at FROM tokens WHERE id = $1`, id).Scan(&now, &end); err != nil {
			t.Fatal(err)
		}
		if left := time.Duration(end-now) * time.Microsecond; left > 600*time.Second || left < 500*time.Second {
			t.Errorf("a token of ten minutes lives %s by the database's clock", left)
		}
		if _, err := db.Exec(`UPDATE tokens SET expires_at = $2 WHERE id = $1`, id, now+1); err != nil {
			t.Fatal(err)
		}
		for _, at := range servers { // within what a server may remember it for
			eventually(t, 10*time.Second, func() string {
				if r := newClient(at.url()).as(value).once(t, "GET", "/api/v1/me", nil); r.status != 401 {
					return fmt.Sprintf("a token lives beyond its end: %v", r)
				}
				return ""
			})
		}
	}
}

// TestAClockThatJumps: a single server whose machine's clock is set wrong and
// right again, while it runs and while it is down.
func TestAClockThatJumps(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	clock := newSkew(t, 0)
	s := newServer(t, withBox(b), withEnv(clock.env()), withPool(1))
	s.start()
	j := environment(t, s)
	db := s.db(t)
	var ids []string
	short := j.c.must(t, "POST", "/api/v1/tokens", map[string]any{"name": "short", "expiresInSeconds": 600}, "", 201).str("value")
	j.c.as(short).must(t, "GET", "/api/v1/me", nil, "", 200)
	for i, step := range []struct {
		why  string
		by   time.Duration
		kill bool // the jump happens while the server is down
		long bool // left to make torture
	}{
		{"ahead while it runs", time.Hour, false, false},
		{"right again while it runs", 0, false, true},
		{"behind while it runs", -time.Hour, false, false},
		{"right again after a crash", 0, true, true},
		{"ahead after a crash", time.Hour, true, true},
		{"further behind after a crash", -2 * time.Hour, true, false},
	} {
		if step.long && !*torture {
			continue
		}
		slow := j.create(fmt.Sprintf("slow-%d", i), "app", map[string]any{"delay": "2s"})
		j.c.settle(t, slow, patience, inPhase("applying"))
		if step.kill {
			s.signal(syscall.SIGKILL)
			s.await(10 * time.Second)
		}
		clock.set(t, step.by)
		if step.kill {
			s.start()
		}
		seen := column(t, db, `SELECT coalesce(max(observed_at), 0) FROM resources`)
		id := j.create(fmt.Sprintf("pg-%d", i), "pg-tiny", nil)
		ids = append(ids, slow, id)
		j.whole(s, ids)
		// What is due later comes: an old password retires, and what is there is looked at.
		name := fmt.Sprintf("pg-%d", i)
		j.c.must(t, "POST", inDev+"/resources/"+name+"/rotate", nil, "k-rotate-"+name, 200)
		retired := func(r reply) string {
			if r.json["credentialsRetireAt"] != nil || r.str("phase") != "ready" {
				return "the old credentials are not retired"
			}
			return ""
		}
		j.c.settle(t, id, patience, retired)
		eventually(t, patience, func() string {
			if now := column(t, db, `SELECT coalesce(max(observed_at), 0) FROM resources`); slices.Equal(now, seen) {
				return "I6: " + step.why + ": nothing is observed any more"
			}
			return ""
		})
		eventually(t, 10*time.Second, func() string { // within what a server may remember it for
			if r := j.c.as(short).once(t, "GET", "/api/v1/me", nil); r.status != 401 {
				return fmt.Sprintf("%s: a token of ten minutes lives after an hour: %v", step.why, r)
			}
			return ""
		})
	}
	s.stop()
}

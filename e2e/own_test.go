package e2e

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// ownServer prepares a server that runs its own PostgreSQL, and clears away
// what that may leave behind.
func ownServer(t *testing.T, options ...serverOption) *server {
	t.Helper()
	var s *server
	t.Cleanup(func() { // after the server's own end
		for _, pid := range postgresOf(s) {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		_ = os.RemoveAll(elsewhere(s))
	})
	s = newServer(t, append(options, withOwnPostgres())...)
	return s
}

// elsewhere is where the data lives when PostgreSQL's account cannot reach the
// data directory.
func elsewhere(s *server) string {
	sum := sha256.Sum256([]byte(filepath.Join(s.dir, "postgres")))
	return "/var/lib/fairlead-" + hex.EncodeToString(sum[:6])
}

// postgresOf lists the processes that work in the server's PostgreSQL folders:
// initdb, the server and its children.
func postgresOf(s *server) (pids []int) {
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		cwd, err := os.Readlink(filepath.Join("/proc", e.Name(), "cwd"))
		if err == nil && (strings.HasPrefix(cwd, filepath.Join(s.dir, "postgres")) || strings.HasPrefix(cwd, elsewhere(s))) {
			pids = append(pids, pid)
		}
	}
	return pids
}

func noPostgres(t *testing.T, s *server, why string) {
	t.Helper()
	eventually(t, 5*time.Second, func() string {
		if left := postgresOf(s); len(left) > 0 {
			return fmt.Sprintf("%s: processes of PostgreSQL are left: %v", why, left)
		}
		return ""
	})
}

// works wants a database to be made on the server's own PostgreSQL.
func works(t *testing.T, s *server) {
	t.Helper()
	j := environment(t, s)
	id := j.create("orders", "pg-tiny", nil)
	j.c.settle(t, id, patience, applied(1))
	j.sql("orders", `CREATE TABLE t (v text)`)
	j.verified()
}

// TestKillsAroundItsOwnPostgres kills the server at the points that exist only
// when it runs PostgreSQL itself. The next start must converge, and the
// graceful stop leave nothing running.
func TestKillsAroundItsOwnPostgres(t *testing.T) {
	t.Parallel()
	points := []string{}
	for _, step := range []string{"initdb", "init", "start", "stop"} {
		points = append(points, "pgserver."+step+".before", "pgserver."+step+".after")
	}
	if !*torture {
		rnd := rand.New(rand.NewPCG(uint64(*seed), 7))
		t.Logf("seed %d", *seed)
		points = []string{points[rnd.IntN(6)], points[6+rnd.IntN(2)]}
	}
	for _, point := range points {
		t.Run(point, func(t *testing.T) {
			s := ownServer(t)
			s.launch("FAIRLEAD_FAILPOINT=" + point)
			if strings.Contains(point, ".stop.") {
				if !s.ready(60 * time.Second) {
					t.Fatal("the server does not come up")
				}
				works(t, s)
				s.signal(syscall.SIGTERM)
			}
			if !s.await(60 * time.Second) {
				t.Fatal("the point was not passed")
			}
			if sig, code := s.status(); sig != syscall.SIGKILL {
				t.Fatalf("the point was not passed: signal %v, code %d", sig, code)
			}
			s.start()
			if strings.Contains(point, ".stop.") {
				equal(t, "what was there", []string{"orders ready"}, column(t, s.db(t), `SELECT name || ' ' || phase FROM resources`))
			} else {
				works(t, s)
			}
			s.stop()
			noPostgres(t, s, "after a graceful stop")
		})
	}
}

// TestToldToStopWhileItStarts signals twice, as timeout(1) does: the process
// and then its group.
func TestToldToStopWhileItStarts(t *testing.T) {
	t.Parallel()
	exists := func(s *server, names ...string) bool {
		for _, name := range names {
			for _, dir := range []string{filepath.Join(s.dir, "postgres"), elsewhere(s)} {
				if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
					return true
				}
			}
		}
		return false
	}
	for _, c := range []struct {
		why   string
		mode  os.FileMode // of the folder above: 0700 keeps PostgreSQL's account out
		until func(s *server) bool
		sig   syscall.Signal
		kept  bool // there may be a data directory, which the next start goes on with
		long  bool
	}{
		{"at once", 0o700, func(s *server) bool { return exists(s, "server.json") }, syscall.SIGTERM, false, true},
		{"in initdb", 0o711, func(s *server) bool { return exists(s, "data.new/PG_VERSION") }, syscall.SIGTERM, false, true},
		{"in initdb, data elsewhere", 0o700, func(s *server) bool { return exists(s, "data.new/PG_VERSION") }, syscall.SIGTERM, false, false},
		{"killed in initdb", 0o700, func(s *server) bool { return exists(s, "data.new/PG_VERSION") }, syscall.SIGKILL, true, false},
		{"in PostgreSQL's start", 0o700, func(s *server) bool { return exists(s, "start.log") }, syscall.SIGTERM, true, true},
		{"when PostgreSQL has a pid", 0o711, func(s *server) bool { return exists(s, "data/postmaster.pid") }, syscall.SIGTERM, true, true},
		{"when it is up", 0o700, func(s *server) bool { return s.ready(10 * time.Millisecond) }, syscall.SIGTERM, true, true},
	} {
		if c.long && !*torture {
			continue
		}
		t.Run(strings.ReplaceAll(c.why, " ", "_"), func(t *testing.T) {
			s := ownServer(t)
			if err := os.Chmod(filepath.Dir(s.dir), c.mode); err != nil {
				t.Fatal(err)
			}
			s.launch()
			for deadline := time.Now().Add(60 * time.Second); !c.until(s); time.Sleep(time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatalf("never came to it:\n%s", tail(s.log, 2000))
				}
			}
			s.signal(c.sig)
			s.signal(c.sig)
			if !s.await(20 * time.Second) {
				t.Fatalf("it does not stop:\n%s", tail(s.log, 2000))
			}
			noPostgres(t, s, c.why)
			if !c.kept {
				for _, left := range []string{elsewhere(s), filepath.Join(s.dir, "postgres", "data.new"), filepath.Join(s.dir, "postgres", "data.new.pass")} {
					if _, err := os.Stat(left); !os.IsNotExist(err) {
						t.Errorf("%s is left", left)
					}
				}
			}
			s.start()
			works(t, s)
			s.stop()
			noPostgres(t, s, "after a graceful stop")
		})
	}
}

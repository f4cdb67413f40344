package postgres_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"fairlead/internal/engine"
	"fairlead/internal/engine/postgres"
)

// TestHostileNamesOfWhatIsAdopted takes over databases that somebody else has
// named, and their owners: their names are what they are, and go into
// statements, into URLs and to pg_dump.
func TestHostileNamesOfWhatIsAdopted(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var asked atomic.Int64 // of the place that a name leads to
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			asked.Add(1)
			_ = c.Close()
		}
	}()
	port := l.Addr().(*net.TCPAddr).Port
	dir := t.TempDir()
	e := newEngine(t, func(o *postgres.Options) { o.SnapshotDir = dir })
	for why, name := range map[string]string{
		"another place": fmt.Sprintf("host=127.0.0.1 port=%d user=x", port),
		"a URL":         fmt.Sprintf("postgres://127.0.0.1:%d/x", port),
		"SQL":           `x"; ALTER ROLE postgres RENAME TO gone; --`,
		"quotes":        `o'n"e\il`,
		"an option":     "--file=/tmp/x",
		"a URL's parts": "a?host=x#b/../%2e",
	} {
		t.Run(why, func(t *testing.T) {
			t.Parallel()
			owner := name + " o"
			admin(t, `CREATE ROLE `+quote(owner)+` LOGIN`, `CREATE DATABASE `+quote(name)+` OWNER `+quote(owner))
			t.Cleanup(func() {
				admin(t, `DROP DATABASE IF EXISTS `+quote(name)+` WITH (FORCE)`, `DROP ROLE IF EXISTS `+quote(owner))
			})
			req := request("adopts")
			a := engine.Adoption{Object: "database/" + name}
			if _, err := e.PlanAdoption(t.Context(), req, a); err != nil {
				t.Fatal(err)
			}
			if err := e.Adopt(t.Context(), req, a, engine.Discard); err != nil {
				t.Fatal(err)
			}
			req.Adopted = a.Object
			res, err := e.Apply(t.Context(), req, engine.Plan{}, engine.Discard)
			if err != nil {
				t.Fatal(err)
			}
			if err := use(t.Context(), res); err != nil {
				t.Errorf("its developer cannot use it: %v", err)
			}
			req.Previous = &res
			if o, err := e.Observe(t.Context(), []engine.Request{req}); err != nil || o[0].Presence != engine.Present {
				t.Errorf("%+v %v", o, err)
			}
			req.LifeCycle.SnapshotOnDestroy = true
			if err := e.Destroy(context.Background(), req, engine.Discard); err != nil {
				t.Fatal(err)
			}
			at, err := e.LastSnapshot(t.Context(), req)
			if st, serr := os.Stat(at); err != nil || serr != nil || filepath.Dir(at) != dir || st.Size() == 0 {
				t.Errorf("the last dump: %s, %v, %v", at, err, serr)
			}
		})
	}
	t.Cleanup(func() {
		_ = l.Close()
		if n := asked.Load(); n != 0 {
			t.Errorf("a place that a name leads to was asked %d times", n)
		}
		admin(t, `SELECT 1`) // the administrator's role is what it was
	})
}

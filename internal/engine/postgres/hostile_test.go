package postgres_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"fairlead/internal/engine"
	"fairlead/internal/engine/postgres"
	"fairlead/internal/engine/postgres/pgserver"
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
		"a shell's":     "$(touch /tmp/x) `id` '; id #",
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
			req.Inputs = map[string]any{"connectionLimit": 9.0, "extensions": []any{"hstore"}} // whose script connects
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
			ejects(t, e, req)
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

// ejects takes the files along, runs the script where everything is, and looks
// at the commands that are to be pasted.
func ejects(t *testing.T, e *postgres.Engine, req engine.Request) {
	t.Helper()
	files, err := e.Eject(t.Context(), req, false)
	if err != nil {
		t.Fatal(err)
	}
	psql, err := pgserver.Binaries("psql")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		text := string(f.Data)
		switch f.Path {
		case "database.sql":
			cmd := exec.CommandContext(t.Context(), filepath.Join(psql, "psql"), "-X", "-v", "ON_ERROR_STOP=1", "-f", "-", shared.URL("postgres").Reveal())
			cmd.Stdin = strings.NewReader(text)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("the script does not run: %v\n%s", err, out)
			}
		case "README.md":
			if n := strings.Count(text, "\n    pg_dump "); n != 1 {
				t.Fatalf("%d commands dump it:\n%s", n, text)
			}
			for line := range strings.SplitSeq(text, "\n") {
				if !strings.HasPrefix(line, "    p") {
					continue
				}
				if bare := unquoted(line); strings.ContainsAny(bare, "$`;|&<>\"()#?*=") {
					t.Errorf("what is pasted does something else: %s (%s)", line, bare)
				}
			}
		}
	}
}

// unquoted is a line of a shell without what stands in single quotes.
func unquoted(line string) string {
	var b strings.Builder
	for i, part := range strings.Split(strings.ReplaceAll(line, `'\''`, ""), "'") {
		if i%2 == 0 {
			b.WriteString(part)
		}
	}
	return strings.ReplaceAll(b.String(), "ON_ERROR_STOP=1", "")
}

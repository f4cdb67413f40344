package audit_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"fairlead/internal/access"
	"fairlead/internal/access/accesstest"
	"fairlead/internal/audit"
	"fairlead/internal/audit/audittest"
	"fairlead/internal/fault"
	"fairlead/internal/principal"
	"fairlead/internal/redact"
	"fairlead/internal/sqldb"
	"fairlead/internal/sqldb/sqldbtest"
)

var ada = principal.Principal{Kind: principal.User, ID: "usr_ada", Name: "ada", TokenID: "tok_1"}

func as(ctx context.Context, p principal.Principal) context.Context {
	ctx = principal.With(ctx, p)
	return audit.WithOrigin(ctx, audit.Origin{Address: "192.0.2.1", RequestID: "req_1"})
}

func openLog(t testing.TB, db *sqldb.DB, dir string) *audit.Log {
	t.Helper()
	l, err := audit.NewLog(t.Context(), audit.Options{DB: db, KeyDir: dir, Authorizer: accesstest.AllowAll{}})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func entry(n int) audit.Entry {
	return audit.Entry{
		Action:   string(access.ResourceCreate),
		Target:   access.Target{Kind: "resource", ID: fmt.Sprint("res_", n), Name: "orders", TeamID: "team_a", ProjectID: "prj_a", EnvironmentID: "env_a"},
		Decision: access.Decision{Allowed: true, Policies: []string{"developers"}, Version: 3},
		Details:  map[string]any{"n": n, "what": "a \"quote\", a \x00, a \u2028 and <b>"},
	}
}

func appendOne(ctx context.Context, db *sqldb.DB, e audit.Entry) error {
	return db.Write(ctx, "test.append", func(tx *sqldb.Tx) error {
		audit.Append(ctx, tx, e)
		return nil
	})
}

func appendN(t testing.TB, db *sqldb.DB, n int) {
	t.Helper()
	ctx := as(t.Context(), ada)
	err := db.Write(ctx, "test.append", func(tx *sqldb.Tx) error {
		for i := range n {
			audit.Append(ctx, tx, entry(i))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// export gives an export and the error that ended it.
func export(t testing.TB, l *audit.Log) ([]byte, error) {
	t.Helper()
	ctx := as(t.Context(), ada)
	e, err := l.Export(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	err = e.Write(ctx, &b)
	return b.Bytes(), err
}

func mustExport(t testing.TB, l *audit.Log) []byte {
	t.Helper()
	b, err := export(t, l)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func verify(b []byte, keys ...audit.Key) (audit.Report, error) {
	return audit.Verify(bytes.NewReader(b), keys)
}

func TestReplicasKeepOneChain(t *testing.T) {
	t.Parallel()
	url := sqldbtest.PostgresURL(t)
	var logs []*audit.Log
	var wg sync.WaitGroup
	for range 2 {
		db := sqldbtest.Open(t, sqldb.Options{URL: url})
		logs = append(logs, openLog(t, db, t.TempDir()))
		for i := range 200 {
			wg.Go(func() {
				if err := appendOne(as(t.Context(), ada), db, entry(i)); err != nil {
					t.Error(err)
				}
			})
		}
	}
	wg.Wait()
	for i, l := range logs {
		report, err := verify(mustExport(t, l))
		if err != nil {
			t.Fatal(err)
		}
		if want := int64(400 + 2 + i + 1); report.Records != want { // two keys; one record an export
			t.Errorf("%d records, want %d", report.Records, want)
		}
		if len(report.Keys) != 2 || report.Checkpoints != int64(i+1) {
			t.Errorf("%d keys, %d checkpoints", len(report.Keys), report.Checkpoints)
		}
	}
}

// TestTheLogDoesNotGoBackInTime: a replica whose transaction began first and
// comes second writes no earlier time than what stands before its record.
func TestTheLogDoesNotGoBackInTime(t *testing.T) {
	t.Parallel()
	url, dir, ctx := sqldbtest.PostgresURL(t), t.TempDir(), as(t.Context(), ada)
	first, second := sqldbtest.Open(t, sqldb.Options{URL: url}), sqldbtest.Open(t, sqldb.Options{URL: url})
	l := openLog(t, first, dir)
	openLog(t, second, dir)
	err := first.Write(ctx, "test.append", func(tx *sqldb.Tx) error {
		began := tx.Now()
		if err := second.Write(ctx, "test.append", func(tx *sqldb.Tx) error {
			if !tx.Now().After(began) {
				return errors.New("the second did not begin later")
			}
			audit.Append(ctx, tx, entry(1))
			return nil
		}); err != nil {
			return err
		}
		audit.Append(ctx, tx, entry(2))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	times, err := sqldb.Collect(ctx, first.Read(), func(r sqldb.Row) (at int64, err error) { return at, r.Scan(&at) }, `SELECT at FROM audit_log ORDER BY seq`)
	if err != nil || len(times) < 2 || !slices.IsSorted(times) {
		t.Errorf("times %v, %v", times, err)
	}
	if _, err := verify(mustExport(t, l)); err != nil {
		t.Error(err)
	}
}

func TestWhatARecordHolds(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		l := audittest.New(t, db)
		const canary = "canary-7f3a"
		e := entry(1)
		e.Details["password"] = redact.New(canary)
		e.Details["nested"] = map[string]any{"list": []any{redact.New(canary), struct{ P *redact.Secret }{ptr(redact.New(canary))}}}
		big := entry(2)
		big.Details["big"] = strings.Repeat("\"é", 50_000)
		big.Target.Name = strings.Repeat("x", 5000) + "\xff\x00"
		odd := entry(3)
		odd.Details["no JSON"] = func() {}
		for _, e := range []audit.Entry{e, big, odd} {
			if err := appendOne(as(t.Context(), ada), db, e); err != nil {
				t.Fatal(err)
			}
		}
		got := audittest.Records(t, l, "resource:")
		if len(got) != 3 {
			t.Fatalf("%d records", len(got))
		}
		r := got[0]
		if r.ActorID != "usr_ada" || r.Credential != "tok_1" || r.Address != "192.0.2.1" || r.RequestID != "req_1" ||
			r.Decision != audit.Allowed || string(r.Policies) != `["developers"]` || r.PolicyVersion != 3 || r.TeamID != "team_a" {
			t.Errorf("%+v", r)
		}
		if s := string(r.Details); strings.Contains(s, canary) || strings.Count(s, redact.Shown) != 3 {
			t.Error(s)
		}
		if s := string(got[1].Details); len(s) > 9<<10 || !strings.Contains(s, `"_truncated":true`) {
			t.Error(len(s), s[:100])
		}
		if s := string(got[2].Details); !strings.Contains(s, "_unencodable") {
			t.Error(s)
		}
		if _, err := verify(mustExport(t, l)); err != nil {
			t.Error(err)
		}
	})
}

func ptr[T any](v T) *T { return &v }

func TestWithoutItsRecordThereIsNoMutation(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		audittest.New(t, db)
		break_ := `ALTER TABLE audit_log RENAME TO audit_gone`
		if err := db.Write(t.Context(), "test.break", func(tx *sqldb.Tx) error {
			_, err := tx.ExecContext(t.Context(), break_)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		err := db.Write(t.Context(), "test.put", func(tx *sqldb.Tx) error {
			audit.Append(as(t.Context(), ada), tx, entry(1))
			_, err := tx.ExecContext(t.Context(), `INSERT INTO settings (key, value) VALUES ('k', 'v')`)
			return err
		})
		if err == nil {
			t.Fatal("a mutation without its record")
		}
		var n int
		if err := db.Read().QueryRowContext(t.Context(), `SELECT count(*) FROM settings WHERE key = 'k'`).Scan(&n); err != nil || n != 0 {
			t.Error(n, err)
		}
	})
}

func TestSearch(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		l, err := audit.NewLog(t.Context(), audit.Options{DB: db, KeyDir: t.TempDir(), Authorizer: accesstest.Teams{}})
		if err != nil {
			t.Fatal(err)
		}
		appendN(t, db, 120)
		other := entry(1000)
		other.Action, other.Target.TeamID, other.Target.Name = "team:create", "team_b", "b"
		if err := appendOne(as(t.Context(), principal.Principal{Kind: principal.Robot, ID: "rob_x", Name: "ci"}), db, other); err != nil {
			t.Fatal(err)
		}
		member := func(teams ...string) context.Context {
			p := principal.Principal{Kind: principal.User, ID: "usr_m", Name: "m"}
			for _, id := range teams {
				p.Memberships = append(p.Memberships, principal.Membership{TeamID: id, Role: principal.Auditor})
			}
			return as(t.Context(), p)
		}
		both := member("team_a", "team_b")
		for _, c := range []struct {
			why  string
			ctx  context.Context
			f    audit.Filter
			want int
		}{
			{"a member of no team sees nothing", member(), audit.Filter{}, 0},
			{"a member of one team sees its records alone", member("team_b"), audit.Filter{}, 1},
			{"of both teams: all but the log's own", both, audit.Filter{}, 121},
			{"by the actor's id", both, audit.Filter{Actor: "rob_x"}, 1},
			{"by the actor's name", both, audit.Filter{Actor: "ada"}, 120},
			{"by the beginning of the action", both, audit.Filter{Action: "resource:"}, 120},
			{"a pattern is no pattern", both, audit.Filter{Action: "%"}, 0},
			{"by the target's id", both, audit.Filter{Target: "res_7"}, 1},
			{"by the target's kind and name", both, audit.Filter{TargetKind: "resource", Target: "b"}, 1},
			{"by a project that is unknown", both, audit.Filter{Project: "prj_a"}, 0},
			{"by a period that is over", both, audit.Filter{Until: time.Now().Add(-time.Hour)}, 0},
			{"by a period that is now", both, audit.Filter{Since: time.Now().Add(-time.Hour), Until: time.Now().Add(time.Hour)}, 121},
			{"someone else's team, asked for by id", member("team_b"), audit.Filter{Target: "res_7"}, 0},
		} {
			n, pages, last, page := 0, 0, int64(1<<62), sqldb.Page{Limit: 50}
			for {
				records, next, err := l.Search(c.ctx, c.f, page)
				if err != nil {
					t.Fatalf("%s: %v", c.why, err)
				}
				for _, r := range records {
					if r.Seq >= last {
						t.Errorf("%s: not newest first", c.why)
					}
					last = r.Seq
				}
				n, pages = n+len(records), pages+1
				if page.After = next; next == "" {
					break
				}
			}
			if n != c.want || pages > n/50+1 {
				t.Errorf("%s: %d records on %d pages, want %d", c.why, n, pages, c.want)
			}
		}
		if _, _, err := l.Search(t.Context(), audit.Filter{}, sqldb.Page{}); !fault.Is(err, fault.Unauthenticated) {
			t.Error(err)
		}
		if _, _, err := l.Search(both, audit.Filter{}, sqldb.Page{After: "x' OR 1=1"}); !fault.Is(err, fault.Invalid) {
			t.Error(err)
		}
		for name, call := range map[string]func(context.Context) error{
			"export":      func(ctx context.Context) error { _, err := l.Export(ctx); return err },
			"status":      func(ctx context.Context) error { _, err := l.Status(ctx); return err },
			"checkpoints": func(ctx context.Context) error { _, _, err := l.Checkpoints(ctx, sqldb.Page{}); return err },
		} {
			if err := call(t.Context()); !fault.Is(err, fault.Unauthenticated) {
				t.Errorf("%s, anonymous: %v", name, err)
			}
			if err := call(both); !fault.Is(err, fault.NotFound) {
				t.Errorf("%s, as a stranger: %v", name, err)
			}
		}
	})
}

func TestCheckpointsAreSignedWhileRunningAndAtTheEnd(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		dir := t.TempDir()
		l := openLog(t, db, dir)
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- l.Run(ctx) }()
		appendN(t, db, 1500)
		sys := principal.With(t.Context(), principal.System)
		for deadline := time.Now().Add(20 * time.Second); ; {
			s, err := l.Status(sys)
			if err != nil {
				t.Fatal(err)
			}
			if s.LastCheckpoint != nil && s.LastCheckpoint.Seq == 1501 {
				break
			}
			if time.Now().After(deadline) {
				t.Fatal("no checkpoint after 1,000 records")
			}
			time.Sleep(5 * time.Millisecond)
		}
		appendN(t, db, 3)
		stop()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		s, err := l.Status(sys)
		if err != nil || s.LastCheckpoint.Seq != 1504 || s.Problem != nil || s.SigningKeyID != s.Keys[0].ID {
			t.Errorf("%+v %v", s, err)
		}
		again := openLog(t, db, dir) // the same key; nothing new is recorded
		report, err := verify(mustExport(t, again), s.Keys...)
		if err != nil || report.Records != 1505 || report.Checkpoints < 3 || !report.Pinned {
			t.Errorf("%+v %v", report, err)
		}
	})
}

func TestAKeyThatCannotBeUsedStopsTheStart(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		why, file, content, code string
		mode                     os.FileMode
	}{
		{"another kind of key is not overwritten", audit.KeyFile, "no key", "audit_key_damaged", 0o600},
		{"a key that others can read is no key", audit.KeyFile, "x", "key_file_exposed", 0o644},
		{"a damaged witness says so", audit.WitnessFile, "{", "audit_witness_damaged", 0o600},
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, c.file), []byte(c.content), c.mode); err != nil {
			t.Fatal(err)
		}
		_, err := audit.NewLog(t.Context(), audit.Options{DB: sqldbtest.SQLite(t), KeyDir: dir, Authorizer: accesstest.AllowAll{}})
		if fault.From(err).Code != c.code {
			t.Errorf("%s: %v", c.why, err)
		}
		if b, err := os.ReadFile(filepath.Join(dir, c.file)); err != nil || string(b) != c.content {
			t.Errorf("%s: the file was touched", c.why)
		}
	}
}

func TestTheExportStreams(t *testing.T) {
	t.Parallel()
	db := sqldbtest.SQLite(t)
	l := audittest.New(t, db)
	appendN(t, db, 3000)
	ctx := as(t.Context(), ada)
	e, err := l.Export(ctx)
	if err != nil {
		t.Fatal(err)
	}
	appendN(t, db, 100) // later than the export
	boom := errors.New("the reader went away")
	if err := e.Write(ctx, failAfter{100_000, boom}.writer()); !errors.Is(err, boom) {
		t.Error(err)
	}
	r, w := io.Pipe()
	go func() { w.CloseWithError(e.Write(ctx, w)) }()
	report, err := audit.Verify(r, nil)
	if err != nil || report.Records != 3002 {
		t.Errorf("%+v %v", report, err)
	}
}

type failAfter struct {
	n   int
	err error
}

func (f failAfter) writer() io.Writer { return &f }

func (f *failAfter) Write(p []byte) (int, error) {
	if f.n -= len(p); f.n < 0 {
		return 0, f.err
	}
	return len(p), nil
}

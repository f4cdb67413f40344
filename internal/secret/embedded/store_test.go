package embedded_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"fairlead/internal/access/accesstest"
	"fairlead/internal/audit/audittest"
	"fairlead/internal/fault"
	"fairlead/internal/principal"
	"fairlead/internal/redact"
	"fairlead/internal/secret"
	"fairlead/internal/secret/embedded"
	"fairlead/internal/secret/secrettest"
	"fairlead/internal/sqldb"
	"fairlead/internal/sqldb/sqldbtest"
)

func open(t testing.TB, o embedded.Options) *embedded.Store {
	t.Helper()
	s, err := embedded.New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func put(t testing.TB, db *sqldb.DB, s *embedded.Store, owner, name, value string) {
	t.Helper()
	if err := db.Write(t.Context(), "test.put", func(tx *sqldb.Tx) error {
		return s.Put(t.Context(), tx, owner, name, redact.New(value))
	}); err != nil {
		t.Fatal(err)
	}
}

func want(t testing.TB, s *embedded.Store, owner, name, value string) {
	t.Helper()
	if got, err := s.Get(t.Context(), owner, name); err != nil || got.Reveal() != value {
		t.Errorf("%s of %s: %v", name, owner, err)
	}
}

func exec1(t testing.TB, db *sqldb.DB, statement string) {
	t.Helper()
	if err := db.Write(t.Context(), "test.exec", func(tx *sqldb.Tx) error {
		_, err := tx.ExecContext(t.Context(), statement)
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

// background runs s.Run until the test ends.
func background(t testing.TB, s *embedded.Store) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = s.Run(ctx) })
	t.Cleanup(func() { stop(); wg.Wait() })
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("never: ", what)
		}
	}
}

func noRecord(*sqldb.Tx, string, string) {}

func TestTheContract(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		secrettest.Run(t, db, open(t, embedded.Options{DB: db, KeyDir: t.TempDir()}))
	})
}

func TestARowThatWasChangedOrMovedOpensNothing(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		s := open(t, embedded.Options{DB: db, KeyDir: t.TempDir()})
		for _, c := range []struct{ why, statement string }{
			{"another owner's value in my row", `UPDATE secrets SET ciphertext = (SELECT ciphertext FROM secrets WHERE owner = 'b') WHERE owner = 'a'`},
			{"another owner's value and key in my row", `UPDATE secrets SET ciphertext = (SELECT ciphertext FROM secrets WHERE owner = 'b'),
				wrapped_key = (SELECT wrapped_key FROM secrets WHERE owner = 'b') WHERE owner = 'a'`},
			{"my row under another name", `UPDATE secrets SET name = 'p2' WHERE owner = 'a'`},
			{"another owner's row given to me", `UPDATE secrets SET owner = CASE owner WHEN 'a' THEN 'z' ELSE 'a' END`},
			{"another row's id", `UPDATE secrets SET id = 'sec_x' WHERE owner = 'a'`},
			{"an empty value", `UPDATE secrets SET ciphertext = wrapped_key WHERE owner = 'a'`},
		} {
			exec1(t, db, `DELETE FROM secrets`)
			put(t, db, s, "a", "p", "mine")
			put(t, db, s, "b", "p", "theirs")
			exec1(t, db, c.statement)
			for _, name := range []string{"p", "p2"} {
				v, err := s.Get(t.Context(), "a", name)
				if code := fault.From(err).Code; err == nil || code != "secret_damaged" && code != "secret_not_found" || !v.Empty() {
					t.Errorf("%s: %v", c.why, err)
				}
			}
		}
	})
}

func encoded(b byte) string { return base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{b}, 32)) }

func TestAMissingWrongOrExposedKeyStopsTheStartAndIsNotReplaced(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		dir := t.TempDir()
		path := filepath.Join(dir, embedded.KeyFile)
		s := open(t, embedded.Options{DB: db, KeyDir: dir})
		put(t, db, s, "a", "p", "value")
		original, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Fatal(info.Mode(), err)
		}
		other := t.TempDir()
		open(t, embedded.Options{DB: sqldbtest.SQLite(t), KeyDir: other})
		foreign, err := os.ReadFile(filepath.Join(other, embedded.KeyFile))
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			why     string
			content []byte
			mode    os.FileMode
			env     string
			code    string
		}{
			{"no file", nil, 0, "", "master_key_missing"},
			{"another installation's file", foreign, 0o600, "", "master_key_missing"},
			{"a damaged file", original[:len(original)/2], 0o600, "", "master_key_damaged"},
			{"an empty file", []byte{}, 0o600, "", "master_key_damaged"},
			{"a file that others read", original, 0o644, "", "key_file_exposed"},
			{"another key in the environment", original, 0o600, encoded(1), "master_key_missing"},
			{"a short key in the environment", original, 0o600, "c2hvcnQ=", "master_key_damaged"},
		} {
			if err := os.RemoveAll(path); err != nil {
				t.Fatal(err)
			}
			if c.content != nil {
				if err := os.WriteFile(path, c.content, c.mode); err != nil {
					t.Fatal(err)
				}
			}
			_, err := embedded.New(t.Context(), embedded.Options{DB: db, KeyDir: dir, Environment: c.env})
			if fault.From(err).Code != c.code || fault.From(err).Hint == "" {
				t.Errorf("%s: %v", c.why, err)
			}
			if now, err := os.ReadFile(path); c.content == nil && err == nil || c.content != nil && !bytes.Equal(now, c.content) {
				t.Errorf("%s: the file was touched", c.why)
			}
		}
		if err := os.WriteFile(path, original, 0o600); err != nil {
			t.Fatal(err)
		}
		want(t, open(t, embedded.Options{DB: db, KeyDir: dir}), "a", "p", "value")
	})
}

func TestReplicasThatStartTogetherAgreeOnOneKey(t *testing.T) {
	t.Parallel()
	url, shared := sqldbtest.PostgresURL(t), t.TempDir()
	var wg sync.WaitGroup
	for i := range 3 {
		db := sqldbtest.Open(t, sqldb.Options{URL: url})
		wg.Go(func() {
			s, err := embedded.New(t.Context(), embedded.Options{DB: db, KeyDir: shared})
			if err != nil {
				t.Error(err)
				return
			}
			put(t, db, s, fmt.Sprint("r", i), "p", "v")
		})
	}
	wg.Wait()
	s := open(t, embedded.Options{DB: sqldbtest.Open(t, sqldb.Options{URL: url}), KeyDir: shared})
	for i := range 3 {
		want(t, s, fmt.Sprint("r", i), "p", "v")
	}
	own := t.TempDir()
	_, err := embedded.New(t.Context(), embedded.Options{DB: sqldbtest.Open(t, sqldb.Options{URL: url}), KeyDir: own})
	if fault.From(err).Code != "master_key_missing" {
		t.Error("a replica with a folder of its own: ", err)
	}
	if _, err := os.Stat(filepath.Join(own, embedded.KeyFile)); !errors.Is(err, os.ErrNotExist) {
		t.Error("it made a key: ", err)
	}
}

func copyKey(t *testing.T, from, to string) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(from, embedded.KeyFile))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(to, embedded.KeyFile), b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestRotationReachesReplicasAndDropsTheOldKey(t *testing.T) {
	t.Parallel()
	url := sqldbtest.PostgresURL(t)
	dirA, dirB, dirLate := t.TempDir(), t.TempDir(), t.TempDir()
	dbA, dbB := sqldbtest.Open(t, sqldb.Options{URL: url}), sqldbtest.Open(t, sqldb.Options{URL: url})
	a := open(t, embedded.Options{DB: dbA, KeyDir: dirA, Grace: time.Hour})
	copyKey(t, dirA, dirB)
	copyKey(t, dirA, dirLate)
	b := open(t, embedded.Options{DB: dbB, KeyDir: dirB, Grace: time.Hour})
	for i := range 250 {
		put(t, dbA, a, "o", fmt.Sprint(i), fmt.Sprint("v", i))
	}
	before, err := a.Rotation(t.Context())
	if err != nil || before.Left != 0 {
		t.Fatal(before, err)
	}
	var from, to string
	r, err := a.Rotate(t.Context(), func(_ *sqldb.Tx, f, n string) { from, to = f, n })
	if err != nil || r.Left != 250 || from != before.ActiveKey || r.ActiveKey != to || len(r.OldKeys) != 1 {
		t.Fatal(r, err)
	}
	if _, err := b.Rotate(t.Context(), noRecord); fault.From(err).Code != "rotation_under_way" {
		t.Fatal(err)
	}
	put(t, dbB, b, "o", "by b", "new") // b learns the new key on the way
	want(t, a, "o", "by b", "new")
	background(t, a)
	eventually(t, "all wrapped anew", func() bool {
		r, err := a.Rotation(t.Context())
		return err == nil && r.Left == 0
	})
	for i := range 250 {
		want(t, b, "o", fmt.Sprint(i), fmt.Sprint("v", i))
	}
	// A replica that was away all the time comes back within the grace.
	late := open(t, embedded.Options{DB: dbB, KeyDir: dirLate, Grace: time.Hour})
	want(t, late, "o", "7", "v7")
	// When the grace is over the old key goes, from the store and the files.
	copyKey(t, dirA, dirB) // as a backup would have it: with the old key
	ended := open(t, embedded.Options{DB: dbB, KeyDir: dirB, Grace: time.Nanosecond})
	background(t, ended)
	eventually(t, "the old key dropped", func() bool {
		r, err := a.Rotation(t.Context())
		return err == nil && len(r.OldKeys) == 0
	})
	var announced int
	if err := dbA.Read().QueryRowContext(t.Context(), `SELECT count(*) FROM master_keys WHERE wrapped IS NOT NULL`).Scan(&announced); err != nil || announced != 0 {
		t.Error("the new key is still announced", announced, err)
	}
	eventually(t, "the file pruned", func() bool {
		k, err := os.ReadFile(filepath.Join(dirB, embedded.KeyFile))
		return err == nil && bytes.Count(k, []byte("=")) == 1
	})
	again := open(t, embedded.Options{DB: dbB, KeyDir: dirB})
	want(t, again, "o", "249", "v249")
}

func TestRotationGoesOnAfterACrashAtAnyStep(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		dir := t.TempDir()
		s := open(t, embedded.Options{DB: db, KeyDir: dir, Grace: time.Nanosecond})
		for i := range 10 {
			put(t, db, s, "o", fmt.Sprint(i), "v")
		}
		// The key is in the file, the commit did not happen.
		if _, err := s.Rotate(t.Context(), func(*sqldb.Tx, string, string) { panic("crash") }); err == nil {
			t.Fatal("no crash")
		}
		s = open(t, embedded.Options{DB: db, KeyDir: dir, Grace: time.Nanosecond})
		want(t, s, "o", "3", "v")
		// Committed, nothing wrapped anew.
		if _, err := s.Rotate(t.Context(), noRecord); err != nil {
			t.Fatal(err)
		}
		s = open(t, embedded.Options{DB: db, KeyDir: dir, Grace: time.Nanosecond})
		want(t, s, "o", "3", "v")
		// One row is beyond help; the others go on.
		exec1(t, db, `UPDATE secrets SET wrapped_key = ciphertext WHERE name = '5'`)
		background(t, s)
		eventually(t, "all but one", func() bool {
			r, err := s.Rotation(t.Context())
			return err == nil && r.Left == 1 && len(r.OldKeys) == 1
		})
		exec1(t, db, `DELETE FROM secrets WHERE name = '5'`)
		wake(t, db)
		eventually(t, "the old key dropped, and the stray one of the crash", func() bool {
			r, err := s.Rotation(t.Context())
			k, err2 := os.ReadFile(filepath.Join(dir, embedded.KeyFile))
			return errors.Join(err, err2) == nil && r.Left == 0 && len(r.OldKeys) == 0 && bytes.Count(k, []byte("=")) == 1
		})
		s = open(t, embedded.Options{DB: db, KeyDir: dir})
		want(t, s, "o", "3", "v")
	})
}

func wake(t *testing.T, db *sqldb.DB) {
	t.Helper()
	if err := db.Write(t.Context(), "test.wake", func(tx *sqldb.Tx) error { tx.Notify("secret.keys", ""); return nil }); err != nil {
		t.Fatal(err)
	}
}

func TestRotationByEnvironment(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		o := embedded.Options{DB: db, Environment: encoded(1), Grace: time.Nanosecond}
		s := open(t, o)
		put(t, db, s, "o", "p", "v")
		if _, err := s.Rotate(t.Context(), noRecord); fault.From(err).Code != "master_key_from_environment" {
			t.Fatal(err)
		}
		o.Environment = encoded(2) + "," + encoded(1)
		s = open(t, o)
		want(t, s, "o", "p", "v")
		background(t, s)
		eventually(t, "rotated", func() bool {
			r, err := s.Rotation(t.Context())
			return err == nil && r.Left == 0 && len(r.OldKeys) == 0
		})
		o.Environment = encoded(2)
		want(t, open(t, o), "o", "p", "v")
	})
}

func TestTheServiceAsksAndRecords(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		log := audittest.New(t, db)
		s := open(t, embedded.Options{DB: db, KeyDir: t.TempDir()})
		stranger := principal.With(t.Context(), principal.Principal{Kind: principal.User, ID: "usr_x", Name: "x"})
		strict := secret.NewService(secret.Options{Rotator: s, Authorizer: accesstest.Teams{}})
		for _, ctx := range []context.Context{t.Context(), stranger} {
			if _, err := strict.Rotate(ctx); !fault.Is(err, fault.Unauthenticated) && !fault.Is(err, fault.NotFound) {
				t.Error(err)
			}
			if _, err := strict.Rotation(ctx); !fault.Is(err, fault.Unauthenticated) && !fault.Is(err, fault.NotFound) {
				t.Error(err)
			}
		}
		svc := secret.NewService(secret.Options{Rotator: s, Authorizer: accesstest.AllowAll{}})
		r, err := svc.Rotate(stranger)
		if err != nil {
			t.Fatal(err)
		}
		records := audittest.Records(t, log, "system:rotate-master-key")
		if len(records) != 1 || !strings.Contains(string(records[0].Details), r.ActiveKey) {
			t.Errorf("%+v", records)
		}
	})
}

func TestAPlantedSecretIsNowhere(t *testing.T) {
	t.Parallel()
	const canary = "canary-9b1f0c77e4"
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		var logs bytes.Buffer
		dir := t.TempDir()
		s := open(t, embedded.Options{DB: db, KeyDir: dir, Log: slog.New(slog.NewTextHandler(&logs, &slog.HandlerOptions{Level: slog.LevelDebug}))})
		put(t, db, s, "o", "p", canary)
		if _, err := s.Rotate(t.Context(), noRecord); err != nil {
			t.Fatal(err)
		}
		put(t, db, s, "o", "q", canary)
		ring, err := s.Keys()
		if err != nil {
			t.Fatal(err)
		}
		exec1(t, db, `UPDATE secrets SET wrapped_key = ciphertext WHERE name = 'q'`)
		_, damaged := s.Get(t.Context(), "o", "q")
		errText := fmt.Sprintf("%v %+v %#v", damaged, damaged, damaged)
		var seen bytes.Buffer
		seen.WriteString(logs.String() + errText)
		seen.Write(dump(t, db))
		if seen.Len() < 2000 {
			t.Fatal("nothing was looked at")
		}
		needles := []string{canary, base64.StdEncoding.EncodeToString([]byte(canary))}
		for _, line := range strings.Split(ring.Reveal(), "\n") {
			if raw, err := base64.StdEncoding.DecodeString(strings.Trim(line, "\", ")); err == nil && len(raw) == 32 {
				needles = append(needles, string(raw), base64.StdEncoding.EncodeToString(raw))
			}
		}
		if len(needles) < 6 {
			t.Fatal("the ring's keys were not looked for: ", len(needles))
		}
		for _, needle := range needles {
			for _, form := range []string{needle, fmt.Sprintf("%x", needle)} {
				if strings.Contains(seen.String(), form) {
					t.Error("a secret or a master key is in the store, a log or an error")
				}
			}
		}
	})
}

// dump gives all that the store has on disk, or would show an operator.
func dump(t *testing.T, db *sqldb.DB) []byte {
	t.Helper()
	if db.Dialect() == sqldb.Postgres {
		found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/pg_dump")
		if p, err := exec.LookPath("pg_dump"); err == nil {
			found = append(found, p)
		}
		if len(found) == 0 {
			t.Fatal("no pg_dump on this machine")
		}
		out, err := exec.CommandContext(t.Context(), found[len(found)-1], "--inserts", db.URL()).Output()
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	var out []byte
	for _, suffix := range []string{"", "-wal"} {
		b, err := os.ReadFile(db.Path() + suffix)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, b...)
	}
	return out
}

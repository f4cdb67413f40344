package backup_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"filippo.io/age"
	"github.com/google/go-cmp/cmp"

	"fairlead/internal/access"
	"fairlead/internal/access/accesstest"
	"fairlead/internal/audit"
	"fairlead/internal/backup"
	"fairlead/internal/fault"
	"fairlead/internal/principal"
	"fairlead/internal/redact"
	"fairlead/internal/secret/embedded"
	"fairlead/internal/sqldb"
	"fairlead/internal/sqldb/sqldbtest"
)

const canary = "canary-5d0c2b77"

var admin = principal.Principal{Kind: principal.User, ID: "usr_root", Name: "rita"}

// plane is a small control plane.
type plane struct {
	db      *sqldb.DB
	keys    string
	log     *audit.Log
	secrets *embedded.Store
	svc     *backup.Service
}

func open(t testing.TB, url, keys string) *plane {
	t.Helper()
	p := &plane{db: sqldbtest.Open(t, sqldb.Options{URL: url}), keys: keys}
	var err error
	if p.log, err = audit.NewLog(t.Context(), audit.Options{DB: p.db, KeyDir: keys, Authorizer: accesstest.AllowAll{}}); err != nil {
		t.Fatal(err)
	}
	if p.secrets, err = embedded.New(t.Context(), embedded.Options{DB: p.db, KeyDir: keys}); err != nil {
		t.Fatal(err)
	}
	p.svc = backup.NewService(backup.Options{DB: p.db, Authorizer: accesstest.AllowAll{}, Keys: p.keyFiles})
	return p
}

func (p *plane) keyFiles() (map[string]redact.Secret, error) {
	ring, err := p.secrets.Keys()
	signing, err2 := p.log.SigningKey()
	return map[string]redact.Secret{embedded.KeyFile: ring, audit.KeyFile: signing}, errors.Join(err, err2)
}

func storeURL(t testing.TB, d sqldb.Dialect) string {
	if d == sqldb.Postgres {
		return sqldbtest.PostgresURL(t)
	}
	return "sqlite:" + filepath.Join(t.TempDir(), "store", "fairlead.db")
}

func newPlane(t testing.TB, d sqldb.Dialect) *plane {
	t.Helper()
	u := storeURL(t, d)
	if path, ok := strings.CutPrefix(u, "sqlite:"); ok {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return open(t, u, filepath.Join(t.TempDir(), "keys"))
}

func (p *plane) do(t testing.TB, f func(ctx context.Context, tx *sqldb.Tx) error) {
	t.Helper()
	ctx := principal.With(t.Context(), admin)
	if err := p.db.Write(ctx, "test.do", func(tx *sqldb.Tx) error { return f(ctx, tx) }); err != nil {
		t.Fatal(err)
	}
}

// fill puts something into many tables, children first by name, and every
// kind of value.
func (p *plane) fill(t testing.TB, records int) {
	t.Helper()
	p.do(t, func(ctx context.Context, tx *sqldb.Tx) error {
		for _, s := range []string{
			`INSERT INTO settings (key, value) VALUES ('installation', 'ins_1')`,
			`INSERT INTO teams (id, name, title, created_at, updated_at) VALUES ('team_a', 'a', 'Ü "q" \ <b> ' || '` + "\n\t\u2028" + `', 1, 9007199254740993)`,
			`INSERT INTO principals (id, kind, name, team_id, created_at, updated_at) VALUES ('rob_a', 'robot', 'ci', 'team_a', 1, 1)`,
			`INSERT INTO principals (id, kind, name, created_at, updated_at) VALUES ('usr_a', 'user', 'ada', 1, 1)`,
			`INSERT INTO role_bindings (principal_id, team_id, role, created_at, created_by) VALUES ('usr_a', 'team_a', 'developer', 1, 'x')`,
			`INSERT INTO projects (id, name, team_id, created_at, updated_at) VALUES ('prj_a', 'shop', 'team_a', 1, 1)`,
			`INSERT INTO environments (id, project_id, name, class, created_at, updated_at) VALUES ('env_a', 'prj_a', 'dev', 'development', 1, 1)`,
			`INSERT INTO resources (id, name, environment_id, project_id, team_id, template, engine, phase, revision, created_at, created_by, updated_at)
				VALUES ('res_a', 'orders', 'env_a', 'prj_a', 'team_a', 'postgres', 'postgres', 'ready', 1, 1, 'usr_a', 1)`,
			`INSERT INTO resources (id, name, environment_id, project_id, team_id, template, engine, phase, revision, created_at, created_by, updated_at, destroyed_at)
				VALUES ('res_gone', 'old', 'env_a', 'prj_a', 'team_a', 'postgres', 'postgres', 'destroyed', 1, 1, 'usr_a', 1, 2)`,
			`UPDATE guardrail_state SET version = 7, list = '["changed since it was seeded"]'`,
			`INSERT INTO queue (key, lane, team, generation) VALUES ('res_a', 'postgres', 'team_a', -5)`,
		} {
			if _, err := tx.ExecContext(ctx, s); err != nil {
				return fmt.Errorf("%s: %w", s, err)
			}
		}
		if err := p.secrets.Put(ctx, tx, "res_a", "large", redact.New(strings.Repeat("\x00\xff", 400_000))); err != nil {
			return err
		}
		for i := range records {
			audit.Append(ctx, tx, audit.Entry{Action: "team:create", Target: access.Target{Kind: "team", ID: fmt.Sprint("team_", i)},
				Details: map[string]any{"pad": strings.Repeat("x", 500)}})
		}
		return p.secrets.Put(ctx, tx, "res_a", "password", redact.New(canary))
	})
}

// rows gives every row of every table.
func rows(t testing.TB, db *sqldb.DB) map[string][]string {
	t.Helper()
	list := `SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'`
	if db.Dialect() == sqldb.Postgres {
		list = `SELECT table_name::text FROM information_schema.tables WHERE table_schema = 'public'`
	}
	names, err := sqldb.Collect(t.Context(), db.Read(), func(r sqldb.Row) (string, error) {
		var n string
		return n, r.Scan(&n)
	}, list)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]string{}
	for _, n := range names {
		if n == "goose_db_version" {
			continue
		}
		out[n] = table(t, db, n)
	}
	return out
}

func table(t testing.TB, db *sqldb.DB, name string) []string {
	t.Helper()
	rows, err := db.Read().QueryContext(t.Context(), `SELECT * FROM `+name+` ORDER BY 1, 2`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for rows.Next() {
		values, into := make([]any, len(columns)), make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			t.Fatal(err)
		}
		m := map[string]any{}
		for i, c := range columns {
			m[c] = values[i]
		}
		b, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, string(b))
	}
	if rows.Err() != nil {
		t.Fatal(rows.Err())
	}
	return out
}

type keyPair struct {
	to   backup.Encryption
	from backup.Decryption
}

func newKeyPair(t testing.TB) keyPair {
	t.Helper()
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	return keyPair{backup.Encryption{Recipients: []string{id.Recipient().String()}},
		backup.Decryption{Identities: redact.New("# a key file\n" + id.String() + "\n")}}
}

func (p *plane) backup(t testing.TB, e backup.Encryption) []byte {
	t.Helper()
	ctx := principal.With(t.Context(), admin)
	b, err := p.svc.Create(ctx, e)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := b.Write(ctx, &out); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func each(t *testing.T, f func(t *testing.T, from, to sqldb.Dialect)) {
	for _, from := range []sqldb.Dialect{sqldb.SQLite, sqldb.Postgres} {
		for _, to := range []sqldb.Dialect{sqldb.SQLite, sqldb.Postgres} {
			t.Run(string(from)+" to "+string(to), func(t *testing.T) { t.Parallel(); f(t, from, to) })
		}
	}
}

func TestRestoredIsEqualOnEitherStore(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, from, to sqldb.Dialect) {
		p, kp := newPlane(t, from), newKeyPair(t)
		p.fill(t, 2500)
		sealed := p.backup(t, kp.to)
		want := rows(t, p.db)
		if len(want["audit_log"]) < 2500 || len(want["secrets"]) != 2 {
			t.Fatal("nothing to compare")
		}
		u, keys := storeURL(t, to), filepath.Join(t.TempDir(), "keys")
		report, err := backup.Restore(t.Context(), bytes.NewReader(sealed), backup.RestoreOptions{URL: u, KeyDir: keys, Open: kp.from})
		if err != nil {
			t.Fatal(err)
		}
		if report.From != string(from) || report.AuditSeq != int64(len(want["audit_log"])) || report.Rows["teams"] != 1 {
			t.Errorf("%+v", report)
		}
		for name := range want { // of the schema as it is, so also of tables to come
			if _, ok := report.Rows[name]; !ok {
				t.Errorf("the backup does not hold the table %s", name)
			}
		}
		db := sqldbtest.Open(t, sqldb.Options{URL: u})
		got := rows(t, db)
		n := len(want["audit_log"])
		if len(got["audit_log"]) != n+1 || !strings.Contains(got["audit_log"][n], "system:restore") {
			t.Error("the restore is not on record")
		}
		got["audit_log"] = got["audit_log"][:n]
		delete(got, "audit_head")
		delete(want, "audit_head")
		delete(got, "backups") // a backup holds no record of itself
		if list := want["backups"]; len(list) != 1 || !strings.Contains(list[0], `"broken":""`) || strings.Contains(list[0], `"ended_at":null`) {
			t.Errorf("the backup's record: %v", list)
		}
		delete(want, "backups")
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d[:min(len(d), 3000)])
		}
		db.Close()

		again := open(t, u, keys)
		if v, err := again.secrets.Get(t.Context(), "res_a", "password"); err != nil || v.Reveal() != canary {
			t.Error("the secret cannot be read: ", err)
		}
		ctx := principal.With(t.Context(), admin)
		s, err := p.log.Status(ctx)
		if err != nil {
			t.Fatal(err)
		}
		e, err := again.log.Export(ctx)
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if err := e.Write(ctx, &out); err != nil {
			t.Fatal(err)
		}
		if r, err := audit.Verify(&out, s.Keys); err != nil || r.Records != int64(n+2) {
			t.Errorf("%+v %v", r, err)
		}
		if _, err := backup.Restore(t.Context(), bytes.NewReader(sealed), backup.RestoreOptions{URL: u, KeyDir: keys, Open: kp.from}); fault.From(err).Code != "store_not_empty" {
			t.Error("into a store that is not empty: ", err)
		}
	})
}

func TestABackupUnderLoadIsOfOneMoment(t *testing.T) {
	t.Parallel()
	for _, from := range []sqldb.Dialect{sqldb.SQLite, sqldb.Postgres} {
		t.Run(string(from), func(t *testing.T) {
			t.Parallel()
			p, kp := newPlane(t, from), newKeyPair(t)
			to := sqldb.Postgres
			if from == sqldb.Postgres {
				to = sqldb.SQLite
			}
			ctx, stop := context.WithCancel(principal.With(t.Context(), admin))
			var wg sync.WaitGroup
			wrote := make(chan struct{}, 1)
			for w := range 4 {
				wg.Go(func() {
					for i := 0; ctx.Err() == nil; i++ {
						id := fmt.Sprintf("w%d-%d", w, i)
						err := p.db.Write(ctx, "test.load", func(tx *sqldb.Tx) error {
							audit.Append(ctx, tx, audit.Entry{Action: "team:create", Target: access.Target{Kind: "team", ID: id}})
							if err := p.secrets.Put(ctx, tx, id, "s", redact.New(id)); err != nil {
								return err
							}
							_, err := tx.ExecContext(ctx, `INSERT INTO teams (id, name, created_at, updated_at) VALUES ($1, $1, 1, 1)`, id)
							return err
						})
						if err != nil && ctx.Err() == nil {
							t.Error(err)
							return
						}
						select {
						case wrote <- struct{}{}:
						default:
						}
					}
				})
			}
			<-wrote
			sealed := p.backup(t, kp.to)
			stop()
			wg.Wait()
			u, keys := storeURL(t, to), filepath.Join(t.TempDir(), "keys")
			if _, err := backup.Restore(t.Context(), bytes.NewReader(sealed), backup.RestoreOptions{URL: u, KeyDir: keys, Open: kp.from}); err != nil {
				t.Fatal(err)
			}
			again := open(t, u, keys)
			var teams, records, secrets int
			err := again.db.Read().QueryRowContext(t.Context(), `SELECT (SELECT count(*) FROM teams), (SELECT count(*) FROM audit_log WHERE action = 'team:create'),
				(SELECT count(*) FROM secrets)`).Scan(&teams, &records, &secrets)
			if err != nil || teams == 0 || teams != records || teams != secrets {
				t.Errorf("%d teams, %d records, %d secrets: %v", teams, records, secrets, err)
			}
			left, err := filepath.Glob(filepath.Join(filepath.Dir(p.db.Path()), ".backup-*"))
			if err != nil || len(left) > 0 && from == sqldb.SQLite {
				t.Error("left over: ", left, err)
			}
		})
	}
}

func TestADamagedCutOrForeignBackupRestoresNothing(t *testing.T) {
	t.Parallel()
	p, kp := newPlane(t, sqldb.SQLite), newKeyPair(t)
	p.fill(t, 20)
	sealed := p.backup(t, kp.to)
	type attempt struct {
		why  string
		data []byte
		open backup.Decryption
		code string
	}
	flip := func(at int) []byte {
		b := bytes.Clone(sealed)
		b[at] ^= 1
		return b
	}
	attempts := []attempt{
		{"another identity", sealed, newKeyPair(t).from, "backup_wrong_key"},
		{"a passphrase for a backup with recipients", sealed, backup.Decryption{Passphrase: redact.New("correct horse battery")}, "backup_wrong_key"},
		{"no identity at all", sealed, backup.Decryption{}, "invalid_identity"},
		{"a recipient for an identity", sealed, backup.Decryption{Identities: redact.New(kp.to.Recipients[0])}, "invalid_identity"},
		{"nothing", nil, kp.from, "backup_damaged"},
		{"no backup", []byte("hello, world\n"), kp.from, "backup_damaged"},
	}
	for _, part := range []int{0, 200, len(sealed) / 3, len(sealed) / 2, len(sealed) - 20} {
		attempts = append(attempts, attempt{fmt.Sprint("flipped at ", part), flip(part), kp.from, "backup_damaged"})
	}
	for _, n := range []int{1, 100, 300, 70_000, len(sealed) / 2, len(sealed) - 1} {
		attempts = append(attempts, attempt{fmt.Sprint("cut at ", n), sealed[:n], kp.from, "backup_damaged"})
	}
	for _, to := range []sqldb.Dialect{sqldb.SQLite, sqldb.Postgres} {
		u, keys := storeURL(t, to), filepath.Join(t.TempDir(), "keys")
		for _, a := range attempts {
			_, err := backup.Restore(t.Context(), bytes.NewReader(a.data), backup.RestoreOptions{URL: u, KeyDir: keys, Open: a.open})
			if f := fault.From(err); f.Code != a.code || f.Hint == "" {
				t.Errorf("%s: %v", a.why, err)
			}
			if _, err := os.Stat(keys); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s: keys were written", a.why)
			}
		}
		boom := errors.New("the disk went away")
		_, err := backup.Restore(t.Context(), io.MultiReader(bytes.NewReader(sealed[:len(sealed)/2]), failing{boom}), backup.RestoreOptions{URL: u, KeyDir: keys, Open: kp.from})
		if !errors.Is(err, boom) {
			t.Error(err)
		}
		restoredNothing(t, u)
		if _, err := backup.Restore(t.Context(), bytes.NewReader(sealed), backup.RestoreOptions{URL: u, KeyDir: keys, Open: kp.from}); err != nil {
			t.Error("after all that, the good one: ", err)
		}
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func TestAKeyInTheWayIsNotOverwritten(t *testing.T) {
	t.Parallel()
	p, kp := newPlane(t, sqldb.SQLite), newKeyPair(t)
	sealed := p.backup(t, kp.to)
	u, keys := storeURL(t, sqldb.SQLite), t.TempDir()
	path := filepath.Join(keys, embedded.KeyFile)
	if err := os.WriteFile(path, []byte("another"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := backup.Restore(t.Context(), bytes.NewReader(sealed), backup.RestoreOptions{URL: u, KeyDir: keys, Open: kp.from})
	if fault.From(err).Code != "key_file_in_the_way" {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(keys)
	if err != nil || len(entries) != 1 {
		t.Error("the other key was left: ", entries, err)
	}
	if b, err := os.ReadFile(path); err != nil || string(b) != "another" {
		t.Error("overwritten")
	}
	restoredNothing(t, u)
}

func TestABrokenAuditChainIsNotRestoredUnlessAllowed(t *testing.T) {
	t.Parallel()
	p, kp := newPlane(t, sqldb.SQLite), newKeyPair(t)
	p.fill(t, 20)
	p.do(t, func(ctx context.Context, tx *sqldb.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE audit_log SET actor_name = 'eve' WHERE seq = 7`)
		return err
	})
	sealed := p.backup(t, kp.to)
	o := backup.RestoreOptions{URL: storeURL(t, sqldb.SQLite), KeyDir: t.TempDir(), Open: kp.from}
	if _, err := backup.Restore(t.Context(), bytes.NewReader(sealed), o); fault.From(err).Code != "backup_audit_broken" {
		t.Fatal(err)
	}
	o.AllowBrokenAudit = true
	if report, err := backup.Restore(t.Context(), bytes.NewReader(sealed), o); err != nil || report.AuditBroken == nil {
		t.Fatal(err)
	}
}

func TestAPassphraseAndWhatIsRefused(t *testing.T) {
	t.Parallel()
	p := newPlane(t, sqldb.SQLite)
	ctx := principal.With(t.Context(), admin)
	secretKey, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		why  string
		e    backup.Encryption
		code string
	}{
		{"a backup is never in the clear", backup.Encryption{}, "backup_not_encrypted"},
		{"one way only", backup.Encryption{Recipients: []string{"age1x"}, Passphrase: redact.New("correct horse battery")}, "backup_two_encryptions"},
		{"too short", backup.Encryption{Passphrase: redact.New("short")}, "weak_passphrase"},
		{"no recipient", backup.Encryption{Recipients: []string{"ssh-rsa x"}}, "invalid_recipient"},
		{"an identity by mistake is not repeated", backup.Encryption{Recipients: []string{secretKey.String()}}, "invalid_recipient"},
	} {
		_, err := p.svc.Create(ctx, c.e)
		if fault.From(err).Code != c.code || strings.Contains(fmt.Sprint(err), secretKey.String()) {
			t.Errorf("%s: %v", c.why, err)
		}
	}
	pass := redact.New("correct horse battery")
	sealed := p.backup(t, backup.Encryption{Passphrase: pass})
	o := backup.RestoreOptions{URL: storeURL(t, sqldb.SQLite), KeyDir: t.TempDir(), Open: backup.Decryption{Passphrase: redact.New("wrong horse battery")}}
	if _, err := backup.Restore(t.Context(), bytes.NewReader(sealed), o); fault.From(err).Code != "backup_wrong_key" {
		t.Fatal(err)
	}
	o.Open.Passphrase = pass
	if _, err := backup.Restore(t.Context(), bytes.NewReader(sealed), o); err != nil {
		t.Fatal(err)
	}
}

func TestABackupIsAskedForAndRecorded(t *testing.T) {
	t.Parallel()
	p, kp := newPlane(t, sqldb.SQLite), newKeyPair(t)
	strict := backup.NewService(backup.Options{DB: p.db, Authorizer: accesstest.Teams{}, Keys: p.keyFiles})
	if _, err := strict.Create(t.Context(), kp.to); !fault.Is(err, fault.Unauthenticated) {
		t.Error(err)
	}
	if _, err := strict.Create(principal.With(t.Context(), admin), kp.to); !fault.Is(err, fault.NotFound) {
		t.Error(err)
	}
	p.backup(t, kp.to)
	records, _, err := p.log.Search(principal.With(t.Context(), admin), audit.Filter{Action: "system:backup"}, sqldb.Page{})
	if err != nil || len(records) != 1 || records[0].ActorID != admin.ID {
		t.Error(records, err)
	}
}

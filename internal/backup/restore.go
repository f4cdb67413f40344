package backup

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"fairlead/internal/audit"
	"fairlead/internal/failpoint"
	"fairlead/internal/fault"
	"fairlead/internal/keyfile"
	"fairlead/internal/principal"
	"fairlead/internal/sqldb"
)

// RestoreOptions says where a backup goes. The server is stopped.
type RestoreOptions struct {
	// URL is the store's, as sqldb.Open takes it. It is created, or empty.
	URL string
	// KeyDir is DATA/keys; it has no keys yet, or the same ones.
	KeyDir string
	Open   Decryption
	// AllowBrokenAudit restores although the audit chain does not verify: when
	// it was broken before the backup was made, and there is no other.
	AllowBrokenAudit bool
}

// Report says what was restored.
type Report struct {
	CreatedAt   time.Time
	From        string // the kind of store it was made of
	Rows        map[string]int64
	AuditSeq    int64 // where the verified chain ended; the restore's own record follows
	AuditBroken error // what AllowBrokenAudit let pass
}

// Restore puts a backup into an empty store: all of it, or nothing. A store
// that is not empty is a Conflict, "store_not_empty"; a damaged or truncated
// backup Invalid, "backup_damaged"; a wrong key Denied, "backup_wrong_key".
// Afterwards sweep for suspects, with the store open: resource.SweepSuspects.
func Restore(ctx context.Context, r io.Reader, o RestoreOptions) (Report, error) {
	plain, err := o.Open.open(bufio.NewReader(r))
	if err != nil {
		return Report{}, err
	}
	pool, dialect, err := openTarget(ctx, o.URL)
	if err != nil {
		return Report{}, err
	}
	defer pool.Close()
	tx, err := pool.BeginTx(ctx, nil)
	if err != nil {
		return Report{}, unavailable(err)
	}
	defer func() { _ = tx.Rollback() }()
	l := &loader{ctx: ctx, q: querier{tx}, dialect: dialect, o: o, columns: map[string][]string{}}
	l.report.Rows = map[string]int64{}
	if err := l.prepare(); err != nil {
		return Report{}, err
	}
	if err := read(plain, l); err != nil {
		return Report{}, err
	}
	undo, err := l.placeKeys()
	if err != nil {
		return Report{}, errors.Join(err, undo())
	}
	failpoint.Hit("backup.restore.before")
	if err := tx.Commit(); err != nil {
		return Report{}, errors.Join(unavailable(err), undo())
	}
	failpoint.Hit("backup.restore.after")
	return l.report, nil
}

// openTarget brings the target's schema up, and opens it for one long
// transaction.
func openTarget(ctx context.Context, u string) (*sql.DB, sqldb.Dialect, error) {
	if path, ok := strings.CutPrefix(u, "sqlite:"); ok {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return nil, "", unavailable(err)
		}
	}
	db, err := sqldb.Open(ctx, sqldb.Options{URL: u})
	if err != nil {
		return nil, "", err
	}
	dialect, path, pgURL := db.Dialect(), db.Path(), db.URL()
	if err := db.Close(); err != nil {
		return nil, "", unavailable(err)
	}
	if dialect == sqldb.SQLite {
		pool, err := openSQLite(path, "_txlock=exclusive&_pragma=busy_timeout(5000)&_pragma=foreign_keys(1)&_pragma=synchronous(FULL)")
		return pool, dialect, err
	}
	pool, err := openPostgres(pgURL)
	return pool, dialect, err
}

// loader is the sink that fills the store, in one transaction.
type loader struct {
	ctx     context.Context
	q       querier
	dialect sqldb.Dialect
	o       RestoreOptions
	version int64
	columns map[string][]string // of the target's tables
	report  Report
	keys    []keyFile

	name    string // of the table being filled
	into    string // INSERT INTO … (…)
	width   int
	pending []any
	bytes   int
}

type keyFile struct {
	name    string
	content []byte
}

// prepare makes sure that the store is empty, and stays ours. What migrations
// have put there makes way for the backup's.
func (l *loader) prepare() error {
	names, err := tables(l.ctx, l.q, l.dialect)
	if err != nil {
		return unavailable(err)
	}
	if l.version, err = schemaVersion(l.ctx, l.q); err != nil {
		return unavailable(err)
	}
	var filled []string
	for _, name := range names {
		has, err := l.look(name)
		if err != nil {
			return err
		}
		if has {
			filled = append(filled, name)
		}
	}
	if len(filled) == 0 {
		return nil
	}
	seeded, err := newSeeds()
	if err != nil {
		return err
	}
	for _, name := range slices.Backward(filled) { // those that refer to others come first
		if ok, err := seeded.are(l.ctx, l.q, name); err != nil {
			return err
		} else if !ok {
			return fault.New(fault.Conflict, "store_not_empty", "the store is not empty: its table %s has rows", name).
				WithHint("restore into a new data directory or a new database; nothing was changed")
		}
		if _, err := l.q.ExecContext(l.ctx, `DELETE FROM "`+name+`"`); err != nil {
			return unavailable(err)
		}
	}
	return nil
}

// look locks a table, learns its columns, and tells whether it has rows.
func (l *loader) look(name string) (filled bool, err error) {
	table, err := quoted(name)
	if err != nil {
		return false, err
	}
	if l.dialect == sqldb.Postgres {
		if _, err := l.q.ExecContext(l.ctx, `LOCK TABLE `+table+` IN ACCESS EXCLUSIVE MODE`); err != nil {
			return false, unavailable(err)
		}
	}
	rows, err := l.q.QueryContext(l.ctx, `SELECT * FROM `+table+` LIMIT 1`)
	if err != nil {
		return false, unavailable(err)
	}
	defer rows.Close()
	if l.columns[name], err = rows.Columns(); err == nil {
		filled = rows.Next()
		err = rows.Err()
	}
	if err != nil {
		return false, unavailable(err)
	}
	return filled, nil
}

func (l *loader) begin(h header) error {
	if h.SchemaVersion != l.version {
		return fault.New(fault.Conflict, "backup_other_version", "the backup has schema version %d, this Fairlead has %d", h.SchemaVersion, l.version).
			WithHint("restore with the version that made the backup, then upgrade; nothing was restored")
	}
	l.report.CreatedAt, l.report.From = h.CreatedAt, h.Store
	return nil
}

func (l *loader) table(name string, columns []string) error {
	if err := l.flush(); err != nil {
		return err
	}
	known, ok := l.columns[name]
	if !ok {
		return damaged("the table %q is unknown", name)
	}
	list := make([]string, len(columns))
	for i, c := range columns {
		if !slices.Contains(known, c) || slices.Contains(columns[:i], c) {
			return damaged("the table %q has a column %q that is unknown", name, c)
		}
		list[i] = `"` + c + `"`
	}
	l.into, l.width = `INSERT INTO "`+name+`" (`+strings.Join(list, ", ")+`) VALUES `, len(columns)
	l.name = name
	l.report.Rows[name] += 0
	return nil
}

const (
	batchParameters = 4000
	batchBytes      = 4 << 20
)

func (l *loader) row(values []any) error {
	for _, v := range values {
		switch v := v.(type) {
		case string:
			l.bytes += len(v)
		case []byte:
			l.bytes += len(v)
		}
	}
	l.pending = append(l.pending, values...)
	if len(l.pending) >= batchParameters || l.bytes >= batchBytes {
		return l.flush()
	}
	return nil
}

// flush inserts what is pending, in one statement.
func (l *loader) flush() error {
	if len(l.pending) == 0 {
		return nil
	}
	b := []byte(l.into)
	for i := range l.pending {
		switch {
		case i == 0:
			b = append(b, '(')
		case i%l.width == 0:
			b = append(b, "),("...)
		default:
			b = append(b, ',')
		}
		if l.dialect == sqldb.SQLite { // it looks a numbered one up among all the others
			b = append(b, '?')
			continue
		}
		b = strconv.AppendInt(append(b, '$'), int64(i+1), 10)
	}
	if _, err := l.q.ExecContext(l.ctx, string(append(b, ')')), l.pending...); err != nil {
		if l.ctx.Err() != nil {
			return l.ctx.Err()
		}
		return fault.New(fault.Invalid, "backup_refused", "the store does not take the rows of table %s", l.name).
			WithHint("check the store's free space and the server's log; nothing was restored").WithCause(err)
	}
	l.report.Rows[l.name] += int64(len(l.pending) / l.width)
	l.pending, l.bytes = l.pending[:0], 0
	return nil
}

func (l *loader) key(name string, content []byte) error {
	l.keys = append(l.keys, keyFile{name, content})
	return l.flush()
}

// end checks the audit chain, and records the restore in it.
func (l *loader) end(m manifest) error {
	if err := l.flush(); err != nil {
		return err
	}
	seq, hash, err := audit.VerifyStored(l.ctx, l.q)
	switch {
	case err != nil && fault.From(err).Code == "audit_broken" && l.o.AllowBrokenAudit:
		l.report.AuditBroken = err
	case err != nil && fault.From(err).Code == "audit_broken":
		return fault.New(fault.Conflict, "backup_audit_broken", "the audit chain in the backup does not verify").
			WithHint("use another backup; when the chain was broken before, restore with the flag that allows it; nothing was restored").WithCause(err)
	case err != nil:
		return unavailable(err)
	case seq != m.Audit.Seq || hash != m.Audit.Hash:
		return damaged("the audit chain does not end where the manifest says")
	}
	l.report.AuditSeq = m.Audit.Seq
	ctx := principal.With(l.ctx, principal.System)
	return audit.AppendTo(ctx, l.q, time.Now(), audit.Entry{
		Action: "system:restore", Target: target,
		Details: map[string]any{"madeAt": m.Header.CreatedAt, "from": m.Header.Store, "auditVerified": l.report.AuditBroken == nil},
	})
}

// placeKeys writes the key files. A key that is there already and is another
// one is never overwritten. undo takes back what was written.
func (l *loader) placeKeys() (undo func() error, err error) {
	var made []string
	undo = func() error {
		var err error
		for _, path := range made {
			err = errors.Join(err, os.Remove(path))
		}
		return err
	}
	for _, k := range l.keys {
		path := filepath.Join(l.o.KeyDir, k.name)
		switch err := keyfile.Create(path, k.content); {
		case err == nil:
			made = append(made, path)
		case !errors.Is(err, fs.ErrExist):
			return undo, err
		default:
			old, err := keyfile.Load(path)
			if err != nil {
				return undo, err
			}
			if !bytes.Equal(old, k.content) {
				return undo, fault.New(fault.Conflict, "key_file_in_the_way", "%s holds another key than the backup", path).
					WithHint("restore into a new data directory, or move that file away; nothing was restored")
			}
		}
	}
	// What this folder's server signed before is another chain's, or later.
	witness := filepath.Join(l.o.KeyDir, audit.WitnessFile)
	if err := os.Remove(witness); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return undo, fault.New(fault.Unavailable, "key_file_unwritable", "%s cannot be removed", witness).WithCause(err)
	}
	return undo, nil
}

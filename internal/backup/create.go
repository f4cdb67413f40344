package backup

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"time"

	"filippo.io/age"

	"fairlead/internal/access"
	"fairlead/internal/audit"
	"fairlead/internal/fault"
	"fairlead/internal/redact"
	"fairlead/internal/sqldb"
)

// Options is what a Service needs.
type Options struct {
	DB         *sqldb.DB
	Authorizer access.Authorizer
	// Keys gives the key files by name: "master.key", "audit.pem". It is asked
	// for each backup.
	Keys func() (map[string]redact.Secret, error)
	Log  *slog.Logger
}

// Service makes backups.
type Service struct{ o Options }

// NewService makes a Service.
func NewService(o Options) *Service {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Service{o}
}

var target = access.Target{Kind: "system", Name: "backup"}

// Backup is a backup about to be written. Call Write or Close.
type Backup struct {
	snap *snapshot
	to   []age.Recipient
	keys map[string]redact.Secret
	at   time.Time
	log  *slog.Logger
	db   *sqldb.DB
	id   string // of its record
	over bool
}

// Create authorises a backup, records it, and freezes what it will hold. It
// needs system:manage. What is written meanwhile goes on and is not in it.
func (s *Service) Create(ctx context.Context, e Encryption) (*Backup, error) {
	d, err := s.o.Authorizer.Check(ctx, access.SystemManage, target)
	if err != nil {
		return nil, err
	}
	to, err := e.recipients()
	if err != nil {
		return nil, err
	}
	err = s.o.DB.Write(ctx, "backup.create", func(tx *sqldb.Tx) error {
		audit.Append(ctx, tx, audit.Entry{Action: "system:backup", Target: target, Decision: d,
			Details: map[string]any{"recipients": e.Recipients, "passphrase": !e.Passphrase.Empty()}})
		return nil
	})
	if err != nil {
		return nil, err
	}
	at, err := s.o.DB.Now(ctx)
	if err != nil {
		return nil, err
	}
	// The master key may be rotated just now. Keys that were the same before
	// and after the snapshot are those that it needs.
	for range 5 {
		before, err := s.o.Keys()
		if err != nil {
			return nil, err
		}
		snap, err := takeSnapshot(context.WithoutCancel(ctx), s.o.DB)
		if err != nil {
			return nil, err
		}
		after, err := s.o.Keys()
		if err == nil && maps.EqualFunc(before, after, redact.Secret.Equal) {
			id, err := s.begin(ctx, e)
			if err != nil {
				snap.close()
				return nil, err
			}
			return &Backup{snap: snap, to: to, keys: after, at: at.Truncate(time.Microsecond), log: s.o.Log, db: s.o.DB, id: id}, nil
		}
		snap.close()
		if err != nil {
			return nil, err
		}
	}
	return nil, fault.New(fault.Unavailable, "keys_changing", "the master key is being rotated").WithRetryAfter(10)
}

// Close gives up what the backup holds of the store. Write does so, too. One
// that is closed without is noted as broken off.
func (b *Backup) Close() {
	b.snap.close()
	if !b.over {
		b.over = true
		b.end(context.Background(), 0, errors.New("it was given up"))
	}
}

// Write streams the backup. An error leaves a stream that Restore refuses.
func (b *Backup) Write(ctx context.Context, w io.Writer) error {
	out := &counter{w: w}
	err := b.write(ctx, out)
	b.over = true
	b.Close()
	b.end(ctx, out.n, err)
	return err
}

func (b *Backup) write(ctx context.Context, w io.Writer) error {
	sealed, err := age.Encrypt(w, b.to...)
	if err != nil {
		return fmt.Errorf("write backup: %w", err)
	}
	zipped, err := gzip.NewWriterLevel(sealed, gzip.BestSpeed)
	if err != nil {
		return fmt.Errorf("write backup: %w", err)
	}
	a := &archive{tar: tar.NewWriter(zipped), at: b.at}
	if err := b.contents(ctx, a); err != nil {
		return fmt.Errorf("write backup: %w", err)
	}
	for _, c := range []io.Closer{a.tar, zipped, sealed} {
		if err := c.Close(); err != nil {
			return fmt.Errorf("write backup: %w", err)
		}
	}
	return nil
}

func (b *Backup) contents(ctx context.Context, a *archive) error {
	q := querier{b.snap.tx}
	m := manifest{Header: header{Format: format, CreatedAt: b.at, Store: string(b.snap.dialect)}, Tables: map[string]int64{}}
	var err error
	if m.Header.SchemaVersion, err = schemaVersion(ctx, q); err != nil {
		return err
	}
	if err := a.addJSON(headerEntry, m.Header); err != nil {
		return err
	}
	names, err := tables(ctx, q, b.snap.dialect)
	if err != nil {
		return err
	}
	for _, name := range names {
		if m.Tables[name], err = writeTable(ctx, q, a, name); err != nil {
			return fmt.Errorf("table %s: %w", name, err)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(b.keys)) {
		if err := a.add(keyPrefix+name, []byte(b.keys[name].Reveal())); err != nil {
			return err
		}
	}
	if m.Audit.Seq, m.Audit.Hash, err = audit.Head(ctx, q); err != nil {
		return err
	}
	m.Entries = a.entries
	return a.addJSON(manifestEntry, m)
}

// writeTable writes a table in pieces, at least one, and counts its rows.
func writeTable(ctx context.Context, q querier, a *archive, name string) (n int64, err error) {
	table, err := quoted(name)
	if err != nil {
		return 0, err
	}
	rows, err := q.QueryContext(ctx, `SELECT * FROM `+table)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return 0, err
	}
	p := piece{archive: a, table: name, columns: columns}
	p.start()
	values, into := make([]any, len(columns)), make([]any, len(columns))
	for i := range values {
		into[i] = &values[i]
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return n, err
		}
		for i, v := range values {
			if values[i], err = portable(v); err != nil {
				return n, fmt.Errorf("column %s: %w", columns[i], err)
			}
		}
		if err := p.row(values); err != nil {
			return n, err
		}
		n++
	}
	if err := rows.Err(); err != nil {
		return n, err
	}
	return n, p.end()
}

// archive writes entries and remembers their digests.
type archive struct {
	tar     *tar.Writer
	at      time.Time
	entries []entry
}

func (a *archive) add(name string, data []byte) error {
	err := a.tar.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: int64(len(data)), Mode: 0o600, ModTime: a.at, Format: tar.FormatPAX})
	if err != nil {
		return err
	}
	sum := sha256.Sum256(data)
	a.entries = append(a.entries, entry{name, hex.EncodeToString(sum[:])})
	_, err = a.tar.Write(data)
	return err
}

func (a *archive) addJSON(name string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return a.add(name, data)
}

// piece is the piece of a table that is being filled.
type piece struct {
	archive *archive
	table   string
	columns []string
	number  int
	buf     bytes.Buffer
	enc     *json.Encoder
	err     error
}

func (p *piece) start() {
	p.buf.Reset()
	p.number++
	p.enc = json.NewEncoder(&p.buf)
	p.enc.SetEscapeHTML(false)
	p.err = p.enc.Encode(pieceHeader{p.table, p.columns})
}

func (p *piece) row(values []any) error {
	if p.err != nil {
		return p.err
	}
	if p.buf.Len() > pieceSize {
		if err := p.end(); err != nil {
			return err
		}
		p.start()
	}
	return p.enc.Encode(values)
}

func (p *piece) end() error {
	if p.err != nil {
		return p.err
	}
	return p.archive.add(fmt.Sprintf("%s%s/%06d.jsonl", tablePrefix, p.table, p.number), p.buf.Bytes())
}

package backup

import (
	"context"
	"database/sql"
	"io"
	"strings"
	"time"

	"fairlead/internal/access"
	"fairlead/internal/audit"
	"fairlead/internal/ident"
	"fairlead/internal/principal"
	"fairlead/internal/sqldb"
)

// Record is one backup that was begun.
type Record struct {
	ID        string
	StartedAt time.Time
	EndedAt   time.Time // zero: it is being written, or nobody knows
	Bytes     int64
	Broken    string // why it is of no use; "" when it is whole
	MadeBy    string // who asked for it
	Address   string // where it went
	Opens     string // what opens it: a passphrase, or the recipients
}

// whileWriting is how long a backup may be without an end before it is taken
// for broken off: its server was killed.
const whileWriting = 6 * time.Hour

// State says how the backup is, in a word: whole, writing or broken.
func (r Record) State(now time.Time) string {
	switch {
	case r.Broken != "" || r.EndedAt.IsZero() && now.Sub(r.StartedAt) > whileWriting:
		return "broken"
	case r.EndedAt.IsZero():
		return "writing"
	}
	return "whole"
}

const recordColumns = `b.id, b.started_at, b.ended_at, b.bytes, b.broken, b.made_by, b.address, b.opens`

var records = sqldb.List[Record]{
	Select: `SELECT ` + recordColumns + ` FROM backups b`, Scan: scanRecord, Default: "-started",
	Orders: map[string]sqldb.Order[Record]{"started": {Columns: []string{"b.id"}, Key: func(r Record) []any { return []any{r.ID} }}},
}

func scanRecord(r sqldb.Row) (v Record, err error) {
	var started int64
	var ended sql.NullInt64
	err = r.Scan(&v.ID, &started, &ended, &v.Bytes, &v.Broken, &v.MadeBy, &v.Address, &v.Opens)
	v.StartedAt, v.EndedAt = sqldb.Time(started), sqldb.TimeOrZero(ended)
	return v, err
}

// List lists the backups that were made, the newest first. It needs
// system:view. Where a file was put is its maker's to know.
func (s *Service) List(ctx context.Context, p sqldb.Page) ([]Record, string, error) {
	if _, err := s.o.Authorizer.Check(ctx, access.SystemView, target); err != nil {
		return nil, "", err
	}
	return records.Page(ctx, s.o.DB.Read(), sqldb.Where{}, "", p)
}

// Last gives the newest backup and the newest whole one; ids are empty when
// there is none. It needs system:view.
func (s *Service) Last(ctx context.Context) (newest, whole Record, err error) {
	if _, err := s.o.Authorizer.Check(ctx, access.SystemView, target); err != nil {
		return newest, whole, err
	}
	list, err := sqldb.Collect(ctx, s.o.DB.Read(), scanRecord, `SELECT `+recordColumns+` FROM backups b WHERE b.id IN (
		(SELECT max(id) FROM backups), (SELECT max(id) FROM backups WHERE ended_at IS NOT NULL AND broken = '')) ORDER BY b.id`)
	for _, r := range list {
		newest = r
		if !r.EndedAt.IsZero() && r.Broken == "" {
			whole = r
		}
	}
	return newest, whole, err
}

// begin notes a backup whose snapshot is taken: it holds no record of itself.
func (s *Service) begin(ctx context.Context, e Encryption) (string, error) {
	opens := strings.Join(e.Recipients, ", ")
	if opens == "" {
		opens = "passphrase"
	}
	id := ident.New("bak")
	return id, s.o.DB.Write(ctx, "backup.begin", func(tx *sqldb.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO backups (id, started_at, made_by, address, opens) VALUES ($1, $2, $3, $4, $5)`,
			id, tx.Now().UnixMicro(), principal.From(ctx).Name, audit.OriginFrom(ctx).Address, opens)
		return err
	})
}

// end notes what became of a backup. What cannot be noted is only logged: the
// stream is what counts.
func (b *Backup) end(ctx context.Context, bytes int64, broken error) {
	why := ""
	if broken != nil {
		why = "the stream broke off"
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	err := b.db.Write(ctx, "backup.end", func(tx *sqldb.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE backups SET ended_at = $2, bytes = $3, broken = $4 WHERE id = $1 AND ended_at IS NULL`, b.id, tx.Now().UnixMicro(), bytes, why)
		return err
	})
	if err != nil {
		b.log.WarnContext(ctx, "what became of a backup could not be noted", "backup", b.id, "error", err)
	}
}

// counter counts what is written through it.
type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

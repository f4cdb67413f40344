package audit

import (
	"context"
	"errors"
	"path/filepath"
	"time"

	"fairlead/internal/keyfile"
	"fairlead/internal/redact"
	"fairlead/internal/sqldb"
)

// SigningKey gives the signing key as its file is, for a backup, which is
// encrypted.
func (l *Log) SigningKey() (redact.Secret, error) {
	data, err := keyfile.Load(filepath.Join(l.keyDir, KeyFile))
	return redact.New(string(data)), err
}

// Head gives where the chain ends, as q sees it.
func Head(ctx context.Context, q sqldb.Querier) (seq int64, hash string, err error) {
	h, err := readHead(ctx, q)
	return h.seq, h.hash, err
}

// VerifyStored checks every stored hash, link and checkpoint that q sees, and
// gives where the chain ends. It is for a restore; the fault is a Conflict
// with the code "audit_broken".
func VerifyStored(ctx context.Context, q sqldb.Querier) (seq int64, hash string, err error) {
	end, err := readHead(ctx, q)
	if err != nil {
		return 0, "", err
	}
	keys, err := readKeys(ctx, q)
	if err != nil {
		return 0, "", err
	}
	byID := map[string]Key{}
	for _, k := range keys {
		byID[k.ID] = k
	}
	var marks []Checkpoint
	var after int64
	next := func() (*Checkpoint, error) {
		if len(marks) == 0 {
			if marks, err = readCheckpoints(ctx, q, after, exportBatch); err != nil || len(marks) == 0 {
				return nil, err
			}
		}
		return &marks[0], nil
	}
	err = chainLeads(ctx, q, head{0, genesis}, end, func(at head) error {
		c, err := next()
		if err != nil || c == nil || c.Seq > at.seq {
			return err
		}
		if c.Seq != at.seq || c.Hash != at.hash || !c.verify(statementCheckpoint, byID[c.KeyID]) {
			return broken(c.Seq, errors.New("its checkpoint does not match"))
		}
		marks, after = marks[1:], c.Seq
		return nil
	})
	if err != nil {
		return 0, "", err
	}
	switch c, err := next(); {
	case err != nil:
		return 0, "", err
	case c != nil:
		return 0, "", broken(c.Seq, errors.New("it was signed and is missing"))
	}
	var n int64
	if err := q.QueryRowContext(ctx, `SELECT count(*) FROM audit_log`).Scan(&n); err != nil {
		return 0, "", err
	}
	if n != end.seq {
		return 0, "", broken(end.seq+1, errors.New("there are records past the head"))
	}
	return end.seq, end.hash, nil
}

// AppendTo adds a record where no group commits: in the one transaction of a
// restore, which has the store to itself.
func AppendTo(ctx context.Context, q sqldb.Querier, at time.Time, e Entry) error {
	end, err := readHead(ctx, q)
	if err != nil {
		return err
	}
	r := newRecord(pendingOf(ctx, e), at.UTC().Truncate(time.Microsecond))
	seal(&r, end.seq+1, end.hash, nil)
	if end.seq == 0 {
		if _, err := q.ExecContext(ctx, `INSERT INTO audit_head (id, seq, hash) VALUES (1, 0, $1) ON CONFLICT (id) DO NOTHING`, genesis); err != nil {
			return err
		}
	}
	if _, err := q.ExecContext(ctx, insertRecord, r.values()...); err != nil {
		return err
	}
	_, err = q.ExecContext(ctx, moveHead, r.Seq, r.Hash, r.At.UnixMicro())
	return err
}

const insertRecord = `INSERT INTO audit_log (` + columns + `)
	VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21)`

package audit

import (
	"bufio"
	"context"
	"io"
	"slices"
	"strconv"

	"fairlead/internal/access"
	"fairlead/internal/sqldb"
)

const exportBatch = 500

// Export is an export about to be written. It was authorised and recorded.
type Export struct {
	log *Log
	end head
	err error // why nothing is signed, if so
}

// Export authorises an export of the whole log, records it, and signs the
// head. It needs audit:export on the whole organisation: a part of a chain
// cannot be verified. What was found broken while signing does not stop the
// export, which is then the evidence: it has no final line.
func (l *Log) Export(ctx context.Context) (*Export, error) {
	d, err := l.access.Check(ctx, access.AuditExport, logTarget)
	if err != nil {
		return nil, err
	}
	err = l.store.db.Write(ctx, "audit.export", func(tx *sqldb.Tx) error {
		Append(ctx, tx, Entry{Action: string(access.AuditExport), Target: logTarget, Decision: d})
		return nil
	})
	if err != nil {
		return nil, err
	}
	end, err := l.checkpoint(ctx)
	if err == nil {
		return &Export{log: l, end: end}, nil
	}
	broken := err
	if end, err = l.store.head(ctx); err != nil {
		return nil, err
	}
	return &Export{log: l, end: end, err: broken}, nil
}

// Write streams the export, in memory that does not grow with it. When it
// returns an error what was written has no final line.
func (e *Export) Write(ctx context.Context, w io.Writer) error {
	out := bufio.NewWriterSize(w, 64<<10)
	l := e.log
	now, err := l.store.db.Now(ctx)
	if err != nil {
		return err
	}
	b := append([]byte(nil), `{"export":{"format":"fairlead-audit/v1","at":"`...)
	b = now.UTC().AppendFormat(b, timeFormat)
	b = append(b, "\"}}\n"...)
	keys, err := l.store.keys(ctx)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(keys, func(k Key) bool { return k.ID == l.public.ID }) {
		keys = append(keys, l.public) // somebody took it out of the store
	}
	for _, k := range keys {
		b = appendKey(b, k)
	}
	if _, err := out.Write(b); err != nil {
		return err
	}
	at, err := e.records(ctx, out)
	if err != nil {
		return err
	}
	if e.err == nil && at != e.end {
		e.err = broken(e.end.seq, nil)
	}
	if e.err == nil {
		if _, err := out.Write(appendStatement(nil, l.sign(statementFinal, e.end, now), statementFinal)); err != nil {
			return err
		}
	}
	if err := out.Flush(); err != nil {
		return err
	}
	return e.err
}

// records writes the records and the checkpoints among them, and gives where
// the stored chain ends.
func (e *Export) records(ctx context.Context, out *bufio.Writer) (head, error) {
	s := e.log.store
	at := head{0, genesis}
	marks := &checkpointReader{store: s}
	var line []byte
	for {
		records, err := s.between(ctx, at.seq, e.end.seq, exportBatch)
		if err != nil {
			return at, err
		}
		for i := range records {
			r := &records[i]
			line = appendLine(line[:0], r)
			at = head{r.Seq, r.Hash}
			if line, err = marks.upTo(ctx, line, at.seq); err != nil {
				return at, err
			}
			if _, err := out.Write(line); err != nil {
				return at, err
			}
		}
		if len(records) < exportBatch {
			break
		}
	}
	line, err := marks.upTo(ctx, line[:0], e.end.seq) // of records that are gone
	if err != nil {
		return at, err
	}
	_, err = out.Write(line)
	return at, err
}

// checkpointReader reads checkpoints in order, in batches.
type checkpointReader struct {
	store store
	batch []Checkpoint
	after int64
	done  bool
}

// upTo appends the checkpoints about records up to seq that were not yet.
func (c *checkpointReader) upTo(ctx context.Context, b []byte, seq int64) ([]byte, error) {
	for {
		if len(c.batch) == 0 {
			if c.done {
				return b, nil
			}
			batch, err := c.store.checkpoints(ctx, c.after, exportBatch)
			if err != nil {
				return b, err
			}
			if c.batch, c.done = batch, len(batch) == 0; c.done {
				return b, nil
			}
		}
		next := c.batch[0]
		if next.Seq > seq {
			return b, nil
		}
		b = appendStatement(b, next, statementCheckpoint)
		c.batch, c.after = c.batch[1:], next.Seq
	}
}

func appendKey(b []byte, k Key) []byte {
	b = append(b, `{"key":{"id":`...)
	b = appendString(b, k.ID)
	b = append(b, `,"ed25519":`...)
	b = appendString(b, k.encoded())
	return append(b, "}}\n"...)
}

func appendStatement(b []byte, c Checkpoint, statement string) []byte {
	b = append(b, `{"`+statement+`":{"seq":`...)
	b = strconv.AppendInt(b, c.Seq, 10)
	b = append(b, `,"hash":`...)
	b = appendString(b, c.Hash)
	b = append(b, `,"at":"`...)
	b = c.At.UTC().AppendFormat(b, timeFormat)
	b = append(b, `","key":`...)
	b = appendString(b, c.KeyID)
	b = append(b, `,"signature":`...)
	b = appendString(b, c.Signature)
	return append(b, "}}\n"...)
}

package audit

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"fairlead/internal/fault"
	"fairlead/internal/sqldb"
)

// Checkpoint is a signed statement that the chain had a hash at a record.
type Checkpoint struct {
	Seq       int64
	Hash      string
	At        time.Time
	KeyID     string
	Signature string // base64
}

// The two statements a signature can be about.
const (
	statementCheckpoint = "checkpoint"
	statementFinal      = "final" // an export ends here
)

func (c Checkpoint) message(statement string) []byte {
	return fmt.Appendf(nil, "fairlead-audit/v1 %s\n%d\n%s\n%s\n%s\n", statement, c.Seq, c.Hash, c.At.UTC().Format(timeFormat), c.KeyID)
}

func (c Checkpoint) verify(statement string, k Key) bool {
	sig, err := base64.StdEncoding.DecodeString(c.Signature)
	return err == nil && len(k.Public) == ed25519.PublicKeySize && ed25519.Verify(k.Public, c.message(statement), sig)
}

func (l *Log) sign(statement string, at head, now time.Time) Checkpoint {
	c := Checkpoint{Seq: at.seq, Hash: at.hash, At: now.UTC().Truncate(time.Microsecond), KeyID: l.public.ID}
	c.Signature = base64.StdEncoding.EncodeToString(ed25519.Sign(l.key, c.message(statement)))
	return c
}

// checkpoint checks the chain from what was signed last to the head, and signs
// the head. It signs nothing on top of a chain that is not the one it knows;
// that is an error with the code "audit_broken" or "audit_rewound".
func (l *Log) checkpoint(ctx context.Context) (head, error) {
	l.signing.Lock()
	defer l.signing.Unlock()
	end, err := l.store.head(ctx)
	if err != nil {
		return head{}, err
	}
	if end == l.signed {
		return end, nil
	}
	if err := l.follows(ctx, end); err != nil {
		if code := fault.From(err).Code; code == "audit_broken" || code == "audit_rewound" {
			l.setRefusing(err)
		}
		return head{}, err
	}
	now, err := l.store.db.Now(ctx)
	if err != nil {
		return head{}, err
	}
	c := l.sign(statementCheckpoint, end, now)
	err = l.store.db.Write(ctx, "audit.checkpoint", func(tx *sqldb.Tx) error {
		return l.store.addCheckpoint(ctx, tx, c)
	})
	if err != nil {
		return head{}, err
	}
	if err := SaveWitness(l.keyDir, end.seq, end.hash); err != nil {
		return head{}, err
	}
	l.signed = end
	l.setRefusing(nil)
	l.mu.Lock()
	l.since = end.seq
	l.mu.Unlock()
	return end, nil
}

func (l *Log) setRefusing(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.refusing = err
}

// follows tells whether the chain leads from l.signed to end.
func (l *Log) follows(ctx context.Context, end head) error {
	if end.seq <= l.signed.seq {
		return fault.New(fault.Conflict, "audit_rewound",
			"the audit log ends at record %d, but record %d was signed before", end.seq, l.signed.seq).
			WithHint("records were removed from the store, unless it was restored from a backup: then remove %s from the key folder", WitnessFile)
	}
	return chainLeads(ctx, l.store.db.Read(), l.signed, end, nil)
}

// chainLeads tells whether the stored records lead from one link to another.
// It calls each, if given, for every link on the way.
func chainLeads(ctx context.Context, q sqldb.Querier, at, end head, each func(head) error) error {
	var buf []byte
	for at.seq < end.seq {
		records, err := recordsBetween(ctx, q, at.seq, end.seq, checkpointRecords)
		if err != nil {
			return err
		}
		if len(records) == 0 {
			return broken(at.seq+1, errors.New("it is missing"))
		}
		for i := range records {
			r := &records[i]
			was := *r
			buf = seal(r, at.seq+1, at.hash, buf)
			if r.Seq != was.Seq || r.PrevHash != was.PrevHash || r.Hash != was.Hash {
				return broken(r.Seq, errors.New("its link or its hash does not match"))
			}
			at = head{r.Seq, r.Hash}
			if each == nil {
				continue
			}
			if err := each(at); err != nil {
				return err
			}
		}
	}
	if at != end {
		return broken(end.seq, errors.New("the head is not the last record"))
	}
	return nil
}

func broken(seq int64, cause error) error {
	return fault.New(fault.Conflict, "audit_broken", "the audit log was changed: record %d is not what was written", seq).
		WithHint("nothing is signed any more; keep the store as it is, export the log and run: fairlead audit verify FILE").WithCause(cause)
}

package audit

import (
	"context"
	"strconv"
	"time"

	"fairlead/internal/access"
	"fairlead/internal/fault"
	"fairlead/internal/principal"
	"fairlead/internal/sqldb"
)

// Filter narrows a search; an empty field lets everything through.
type Filter struct {
	Actor       string // id or name
	Action      string // or its beginning: "resource:"
	TargetKind  string
	Target      string // id or name
	Team        string // id or name, as the two below
	Project     string
	Environment string
	Since       time.Time // inclusive
	Until       time.Time // exclusive
}

// Search gives records that the caller may see, newest first, and the key of
// the next page ("" on the last). A caller who may see none gets none.
func (l *Log) Search(ctx context.Context, f Filter, p sqldb.Page) ([]Record, string, error) {
	if err := signedIn(ctx); err != nil {
		return nil, "", err
	}
	scope, err := l.access.Scope(ctx, access.AuditView)
	if err != nil {
		return nil, "", err
	}
	before, err := parseAfter(p.After)
	if err != nil {
		return nil, "", err
	}
	if !f.Until.IsZero() && f.Until.Before(f.Since) {
		return nil, "", fault.New(fault.Invalid, "invalid_period", "the period ends before it starts").WithField("/until")
	}
	records, err := l.store.search(ctx, f, scope, before, p.Size()+1)
	if err != nil {
		return nil, "", err
	}
	if len(records) <= p.Size() {
		return records, "", nil
	}
	records = records[:p.Size()]
	return records, strconv.FormatInt(records[len(records)-1].Seq, 10), nil
}

// Status is how the log is.
type Status struct {
	Records        int64
	Hash           string // of the last one
	LastCheckpoint *Checkpoint
	Keys           []Key
	SigningKeyID   string // of the replica that answers
	Problem        error  // why that replica signs no more; nil when all is well
}

// Status tells where the chain ends and what is signed. It needs audit:view
// on the whole organisation.
func (l *Log) Status(ctx context.Context) (Status, error) {
	if _, err := l.access.Check(ctx, access.AuditView, logTarget); err != nil {
		return Status{}, err
	}
	end, err := l.store.head(ctx)
	if err != nil {
		return Status{}, err
	}
	keys, err := l.store.keys(ctx)
	if err != nil {
		return Status{}, err
	}
	last, err := l.store.lastCheckpoints(ctx, 0, 1)
	if err != nil {
		return Status{}, err
	}
	s := Status{Records: end.seq, Hash: end.hash, Keys: keys, SigningKeyID: l.public.ID}
	if len(last) > 0 {
		s.LastCheckpoint = &last[0]
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	s.Problem = l.refusing
	return s, nil
}

// Checkpoints lists them, newest first. It needs audit:view on the whole
// organisation.
func (l *Log) Checkpoints(ctx context.Context, p sqldb.Page) ([]Checkpoint, string, error) {
	if _, err := l.access.Check(ctx, access.AuditView, logTarget); err != nil {
		return nil, "", err
	}
	before, err := parseAfter(p.After)
	if err != nil {
		return nil, "", err
	}
	list, err := l.store.lastCheckpoints(ctx, before, p.Size()+1)
	if err != nil {
		return nil, "", err
	}
	if len(list) <= p.Size() {
		return list, "", nil
	}
	list = list[:p.Size()]
	return list, strconv.FormatInt(list[len(list)-1].Seq, 10), nil
}

func signedIn(ctx context.Context) error {
	if principal.From(ctx).Kind == principal.Anonymous {
		return fault.New(fault.Unauthenticated, "unauthenticated", "sign in first")
	}
	return nil
}

func parseAfter(after string) (int64, error) {
	if after == "" {
		return 0, nil
	}
	seq, err := strconv.ParseInt(after, 10, 64)
	if err != nil || seq < 1 {
		return 0, fault.New(fault.Invalid, "invalid_cursor", "the cursor is not one of this list").
			WithHint("start again without a cursor").WithField("/cursor")
	}
	return seq, nil
}

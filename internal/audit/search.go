package audit

import (
	"context"
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
	Sort        string    // created or -created; "" is the newest first
}

// Search gives records that the caller may see, and the key of
// the next page ("" on the last). A caller who may see none gets none.
func (l *Log) Search(ctx context.Context, f Filter, p sqldb.Page) ([]Record, string, error) {
	if err := signedIn(ctx); err != nil {
		return nil, "", err
	}
	scope, err := l.access.Scope(ctx, access.AuditView)
	if err != nil {
		return nil, "", err
	}
	if !f.Until.IsZero() && f.Until.Before(f.Since) {
		return nil, "", fault.New(fault.Invalid, "invalid_period", "the period ends before it starts").WithField("/until")
	}
	return l.store.search(ctx, f, scope, p)
}

// Status is how the log is.
type Status struct {
	Records        int64
	Hash           string // of the last one
	LastCheckpoint *Checkpoint
	UnsignedSince  time.Time // when the first record after it was written; zero: all are signed
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
	last, _, err := checkpoints.Page(ctx, l.store.db.Read(), sqldb.Where{}, "", sqldb.Page{Limit: 1})
	if err != nil {
		return Status{}, err
	}
	s := Status{Records: end.seq, Hash: end.hash, Keys: keys, SigningKeyID: l.public.ID}
	if len(last) > 0 {
		s.LastCheckpoint = &last[0]
	}
	if s.UnsignedSince, err = l.store.writtenAfter(ctx, signedTo(s)); err != nil {
		return Status{}, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	s.Problem = l.refusing
	return s, nil
}

func signedTo(s Status) int64 {
	if s.LastCheckpoint == nil {
		return 0
	}
	return s.LastCheckpoint.Seq
}

// Checkpoints lists them, newest first. It needs audit:view on the whole
// organisation.
func (l *Log) Checkpoints(ctx context.Context, p sqldb.Page) ([]Checkpoint, string, error) {
	if _, err := l.access.Check(ctx, access.AuditView, logTarget); err != nil {
		return nil, "", err
	}
	return checkpoints.Page(ctx, l.store.db.Read(), sqldb.Where{}, "", p)
}

func signedIn(ctx context.Context) error {
	if principal.From(ctx).Kind == principal.Anonymous {
		return fault.New(fault.Unauthenticated, "unauthenticated", "sign in first")
	}
	return nil
}

package audit

import (
	"context"
	"crypto/ed25519"
	"log/slog"
	"sync"
	"time"

	"fairlead/internal/access"
	"fairlead/internal/fault"
	"fairlead/internal/principal"
	"fairlead/internal/sqldb"
)

const (
	checkpointRecords = 1000        // so many records at most are not covered by a signature …
	checkpointEvery   = time.Minute // … or for so long

	topicDue = "audit.due"
)

// Options is what a Log needs.
type Options struct {
	DB *sqldb.DB
	// KeyDir is the folder of the signing key and of what was signed last,
	// DATA/keys. Each replica has its own.
	KeyDir     string
	Authorizer access.Authorizer
	Log        *slog.Logger
}

// Log is the audit log of one store. It is safe for concurrent use.
type Log struct {
	store  store
	access access.Authorizer
	log    *slog.Logger
	key    ed25519.PrivateKey
	public Key
	keyDir string

	signing  sync.Mutex
	signed   head  // what this process signed last; known to be a prefix of the chain
	refusing error // why it signs no more

	mu    sync.Mutex
	since int64 // the seq of the newest checkpoint known here
}

// NewLog opens the log and makes itself the flusher of the database: from
// then on what Append gives is chained and stored by the same commit, and a
// commit whose records cannot be stored is refused. Call it before the first
// Write. The signing key is made on first start.
func NewLog(ctx context.Context, o Options) (*Log, error) {
	l := &Log{store: store{o.DB}, access: o.Authorizer, log: o.Log, keyDir: o.KeyDir}
	if l.log == nil {
		l.log = slog.New(slog.DiscardHandler)
	}
	var err error
	if l.key, err = loadKey(o.KeyDir); err != nil {
		return nil, err
	}
	l.public = keyOf(l.key)
	if l.signed, err = loadWitness(o.KeyDir); err != nil {
		return nil, err
	}
	l.since = l.signed.seq
	o.DB.SetFlusher(l.flush)
	ctx = principal.With(ctx, principal.System)
	err = o.DB.Write(ctx, "audit.key", func(tx *sqldb.Tx) error {
		added, err := l.store.addKey(ctx, tx, l.public)
		if added { // who may sign from now on is itself a matter of record
			Append(ctx, tx, Entry{Action: "audit:key", Target: logTarget, Details: map[string]any{"key": l.public.ID}})
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return l, nil
}

var logTarget = access.Target{Kind: "audit", Name: "audit"}

// flush is the sqldb.Flusher: it links a group's records to the chain.
func (l *Log) flush(ctx context.Context, tx *sqldb.Tx, items []any) error {
	records := make([]Record, 0, len(items))
	for _, item := range items {
		p, ok := item.(pending)
		if !ok {
			return fault.New(fault.Internal, "audit_unknown_item", "the audit log was given a %T", item)
		}
		records = append(records, newRecord(p, tx.Now()))
	}
	end, before, err := l.store.lockHead(ctx, tx)
	if err != nil {
		return err
	}
	// A replica that began later may have been first: the log does not go back.
	for i := range records {
		if records[i].At.Before(before) {
			records[i].At = before
		}
	}
	var buf []byte
	for i := range records {
		buf = seal(&records[i], end.seq+1, end.hash, buf)
		end = head{records[i].Seq, records[i].Hash}
	}
	if err := l.store.add(ctx, tx, records); err != nil {
		return err
	}
	if l.due(end.seq) {
		tx.Notify(topicDue, "")
	}
	return nil
}

func (l *Log) due(seq int64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return seq-l.since >= checkpointRecords
}

// Run signs checkpoints until ctx ends: after 1,000 records, and each minute
// in which there was one. It signs a last one on its way out.
func (l *Log) Run(ctx context.Context) error {
	due, stop := l.store.db.Subscribe(topicDue)
	defer stop()
	tick := time.NewTicker(checkpointEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			l.checkpointOrSay(end)
			return nil
		case <-tick.C:
		case <-due:
		}
		l.checkpointOrSay(ctx)
	}
}

func (l *Log) checkpointOrSay(ctx context.Context) {
	if _, err := l.checkpoint(ctx); err != nil && ctx.Err() == nil {
		l.log.ErrorContext(ctx, "no audit checkpoint could be signed", "error", err)
	}
}

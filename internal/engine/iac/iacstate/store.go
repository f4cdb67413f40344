package iacstate

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"log/slog"

	"fairlead/internal/fault"
	"fairlead/internal/redact"
	"fairlead/internal/sqldb"
)

// Options is what a Store needs.
type Options struct {
	DB      *sqldb.DB
	Secrets Secrets
	Log     *slog.Logger
}

// Store keeps states. It is safe for concurrent use, by replicas too.
type Store struct {
	db      table
	secrets Secrets
	log     *slog.Logger
}

// New gives a store over o.
func New(o Options) *Store {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Store{db: table{o.DB}, secrets: o.Secrets, log: o.Log}
}

// Meta tells of a state; the zero Meta when there never was one.
func (s *Store) Meta(ctx context.Context, state string) (Meta, error) {
	r, err := s.db.row(ctx, s.db.Read(), state, "")
	if errors.Is(err, sql.ErrNoRows) {
		return Meta{}, nil
	}
	return r.meta(), err
}

// Read gives the current state; nil when there is none. What was changed at
// rest is a Conflict, code "state_damaged".
func (s *Store) Read(ctx context.Context, state string) ([]byte, Meta, error) {
	for range 3 { // a newer version may appear, and an older one go, between two reads
		m, err := s.Meta(ctx, state)
		if err != nil || m.Version == 0 {
			return nil, m, err
		}
		body, err := s.ReadVersion(ctx, state, m.Version)
		if fault.Is(err, fault.NotFound) {
			continue
		}
		return body, m, err
	}
	return nil, Meta{}, damaged()
}

// ReadVersion gives one version that is kept.
func (s *Store) ReadVersion(ctx context.Context, state string, version int64) ([]byte, error) {
	v, sealed, err := s.db.version(ctx, s.db.Read(), state, version)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, noVersion(version)
	}
	if err != nil {
		return nil, err
	}
	key, err := s.secrets.Get(ctx, keyOwner(state), keyName)
	if err != nil {
		return nil, err
	}
	return unseal(key, sealed, bind(state, v.Version, v.Serial, v.Lineage))
}

func noVersion(version int64) error {
	return fault.New(fault.NotFound, "state_version_not_found", "there is no version %d of the state", version).
		WithHint("see those that are kept: fairlead state ls")
}

// Version tells of one version that is kept.
func (s *Store) Version(ctx context.Context, state string, version int64) (Version, error) {
	v, _, err := s.db.version(ctx, s.db.Read(), state, version)
	if errors.Is(err, sql.ErrNoRows) {
		err = noVersion(version)
	}
	return v, err
}

// Claim makes the caller the only one who may write to a state: whoever
// claimed it before is refused from now on, and the lock it may have left is
// released. fenced is asked first whether the caller may; its error is given as
// it is. It is asked again at each write.
func (s *Store) Claim(ctx context.Context, state, run string, fenced func(context.Context) error) (*Session, error) {
	if fenced == nil {
		fenced = func(context.Context) error { return nil }
	}
	if err := fenced(ctx); err != nil {
		return nil, err
	}
	key := newKey()
	var epoch int64
	var left string
	err := s.db.Write(ctx, "iac.claim", func(tx *sqldb.Tx) error {
		r, err := s.db.lock(ctx, tx, state)
		if err != nil {
			return err
		}
		left = r.lockID
		epoch = r.Epoch + 1
		if r.Version == 0 { // nothing is sealed yet; an unused key may be replaced
			if err := s.secrets.Put(ctx, tx, keyOwner(state), keyName, key); err != nil {
				return err
			}
		}
		return s.db.claim(ctx, tx, state, epoch)
	})
	if err != nil {
		return nil, err
	}
	if left != "" {
		s.log.Warn("the lock that a dead run left on a state was released", "state", state, "lock", left, "epoch", epoch)
	}
	return &Session{store: s, State: state, Run: run, epoch: epoch, fenced: fenced}, nil
}

// Open gives a session that may read and nothing else.
func (s *Store) Open(state, run string) *Session {
	return &Session{store: s, State: state, Run: run}
}

// OpenGiven gives a session that reads body instead of a state of the store,
// and writes nothing. What is no state is Invalid.
func (s *Store) OpenGiven(state, run string, body []byte) (*Session, error) {
	if len(body) > MaxSize {
		return nil, tooLarge()
	}
	h, err := readHead(body)
	if err != nil {
		return nil, err
	}
	m := Meta{Version: 1, Serial: h.Serial, Lineage: h.Lineage, Digest: digest(body), Objects: h.objects()}
	return &Session{store: s, State: state, Run: run, given: &given{body: body, meta: m}}, nil
}

// OpenNothing gives a session of a state that is not there and cannot be made.
func (s *Store) OpenNothing(run string) *Session {
	return &Session{store: s, State: "nothing", Run: run, given: &given{}}
}

// OfLineage names a state of a lineage that is kept under another name than
// not; "" when there is none. Two states of one lineage name the same objects.
func (s *Store) OfLineage(ctx context.Context, lineage, not string) (string, error) {
	return s.db.ofLineage(ctx, lineage, not)
}

// Forget removes a state with all its versions and its key, so that no copy of
// the store opens it. The caller has claimed it; a state with objects in it is
// not forgotten (Conflict, "state_not_empty").
func (c *Session) Forget(ctx context.Context) error {
	return c.store.db.Write(ctx, "iac.forget", func(tx *sqldb.Tx) error {
		r, err := c.own(ctx, tx)
		if err != nil {
			return err
		}
		if r.Objects > 0 {
			return fault.New(fault.Conflict, "state_not_empty", "the state still names %d objects", r.Objects)
		}
		if err := c.store.db.forget(ctx, tx, c.State); err != nil {
			return err
		}
		return c.store.secrets.Delete(ctx, tx, keyOwner(c.State))
	})
}

// LockFile gives the provider hashes noted for a module, "" when there are none.
func (s *Store) LockFile(ctx context.Context, id string) (content string, err error) {
	err = s.db.Read().QueryRowContext(ctx, `SELECT content FROM iac_lock_files WHERE id = $1`, id).Scan(&content)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return content, err
}

// KeepLockFile notes the provider hashes of a module, unless somebody was
// first, and gives those that count.
func (s *Store) KeepLockFile(ctx context.Context, id, content string) (kept string, err error) {
	err = s.db.Write(ctx, "iac.lock-file", func(tx *sqldb.Tx) error {
		if _, err := tx.ExecContext(ctx, `INSERT INTO iac_lock_files (id, content, created_at) VALUES ($1, $2, $3) ON CONFLICT (id) DO NOTHING`,
			id, content, tx.Now().UnixMicro()); err != nil {
			return err
		}
		return tx.QueryRowContext(ctx, `SELECT content FROM iac_lock_files WHERE id = $1`, id).Scan(&kept)
	})
	return kept, err
}

// PlanKey is the installation's key for digests of plans, made at first use.
func (s *Store) PlanKey(ctx context.Context) (redact.Secret, error) {
	const owner, name = "iac", "plan-digest"
	key, err := s.secrets.Get(ctx, owner, name)
	if !fault.Is(err, fault.NotFound) {
		return key, err
	}
	made := newKey()
	err = s.db.Write(ctx, "iac.plan-key", func(tx *sqldb.Tx) error {
		res, err := tx.ExecContext(ctx, `INSERT INTO settings (key, value) VALUES ('iac_plan_key', 'made') ON CONFLICT (key) DO NOTHING`)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return err
		}
		return s.secrets.Put(ctx, tx, owner, name, made)
	})
	if err != nil {
		return redact.Secret{}, err
	}
	return s.secrets.Get(ctx, owner, name)
}

func encodeLock(l Lock) string {
	b, err := json.Marshal(l)
	if err != nil {
		return "{}"
	}
	return string(b)
}

package embedded

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"strconv"
	"sync/atomic"
	"time"

	"fairlead/internal/access"
	"fairlead/internal/audit"
	"fairlead/internal/failpoint"
	"fairlead/internal/fault"
	"fairlead/internal/ident"
	"fairlead/internal/principal"
	"fairlead/internal/redact"
	"fairlead/internal/secret"
	"fairlead/internal/sqldb"
)

// Options is what a Store needs.
type Options struct {
	DB *sqldb.DB
	// KeyDir is DATA/keys.
	KeyDir string
	// Environment is the value of FAIRLEAD_MASTER_KEY; "" uses the file.
	Environment string
	// Grace is how long an old master key is kept after a rotation, for
	// replicas that were not there. 0 is a day on PostgreSQL and nothing on
	// SQLite, which has one process.
	Grace time.Duration
	Log   *slog.Logger
}

// Store is the embedded secret.Store, and a secret.Rotator.
type Store struct {
	db    table
	ring  *ring
	grace time.Duration
	log   *slog.Logger

	active atomic.Pointer[string] // id of the active master key, as it was seen last
}

var (
	_ secret.Store   = (*Store)(nil)
	_ secret.Rotator = (*Store)(nil)
)

// New opens the store. The first start of an installation makes the master
// key. A key that is missing, wrong, damaged or open to others is a fault, and
// nothing is changed then.
func New(ctx context.Context, o Options) (*Store, error) {
	s := &Store{db: table{o.DB}, grace: o.Grace, log: o.Log}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.grace == 0 && o.DB.Dialect() == sqldb.Postgres {
		s.grace = 24 * time.Hour
	}
	var err error
	if s.ring, err = openRing(o.KeyDir, o.Environment); err != nil {
		return nil, err
	}
	if err := s.start(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// start makes sure that this process has the active key.
func (s *Store) start(ctx context.Context) error {
	unlock, err := s.ring.lock()
	if err != nil {
		return err
	}
	defer unlock()
	// Whoever had the lock before may have written the file since it was read.
	if err := s.ring.reload(); err != nil {
		return err
	}
	active, err := s.db.active(ctx, s.db.Read())
	if errors.Is(err, sql.ErrNoRows) {
		active, err = s.first(ctx)
	}
	if err != nil {
		return err
	}
	if _, err := s.key(ctx, s.db.Read(), active); err != nil {
		return err
	}
	if s.ring.first != "" && s.ring.first != active {
		return s.rotateByEnvironment(ctx, active)
	}
	return s.save()
}

// rotateByEnvironment makes the environment's first key the active one. Of
// replicas that start together one does.
func (s *Store) rotateByEnvironment(ctx context.Context, active string) error {
	to := s.ring.first
	err := s.rotateTo(ctx, active, to, nil, func(tx *sqldb.Tx, from, to string) {
		audit.Append(principal.With(ctx, principal.System), tx, audit.Entry{
			Action: "system:rotate-master-key", Target: access.Target{Kind: "system", Name: "master-key"},
			Details: map[string]any{"from": from, "to": to, "by": KeyVariable},
		})
	})
	if errors.Is(err, errUnderWay) {
		if now, again := s.db.active(ctx, s.db.Read()); again != nil || now == to {
			return again
		}
	}
	return err
}

// first claims the installation's first master key, and gives the one that is
// active afterwards.
func (s *Store) first(ctx context.Context) (string, error) {
	id, created := s.ring.first, false
	if id == "" {
		keys, err := s.ring.load()
		if err != nil {
			return "", err
		}
		if len(keys) == 0 {
			k, err := generateKey()
			if err != nil {
				return "", err
			}
			s.ring.put(k)
			failpoint.Hit("secret.master-key.before")
			if err := s.ring.update(func(string) bool { return false }); err != nil {
				return "", err
			}
			failpoint.Hit("secret.master-key.after")
			keys, created = []key{k}, true
		}
		id = keys[0].id
	}
	var active string
	err := s.db.Write(ctx, "secret.first-key", func(tx *sqldb.Tx) error {
		var err error
		if active, err = s.db.active(ctx, tx); !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		active = id
		if n, err := s.db.count(ctx, tx, ""); err != nil || n > 0 {
			return errors.Join(err, missingKey("of "+strconv.FormatInt(n, 10)+" secrets", s.ring.where()))
		}
		return s.db.addKey(ctx, tx, id, "", nil)
	})
	if sqldb.IsUnique(err) { // another replica was first
		active, err = s.db.active(ctx, s.db.Read())
	}
	if err == nil && created && active != id {
		err = s.ring.forget(id) // made here a moment ago, and nothing uses it
	}
	return active, err
}

func missingKey(id, where string) error {
	return fault.New(fault.Unavailable, "master_key_missing", "the store's secrets need the master key %s, which is not in %s", id, where).
		WithHint("put back the original key file, from a backup or from another replica, or set %s; nothing was changed", KeyVariable)
}

// key gives a master key: from the ring, or from the store when another
// replica announced it there.
func (s *Store) key(ctx context.Context, q sqldb.Querier, id string) (key, error) {
	if k, ok := s.ring.get(id); ok {
		return k, nil
	}
	by, wrapped, err := s.db.announced(ctx, q, id)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return key{}, err
	}
	if err != nil || len(wrapped) == 0 {
		return key{}, missingKey(id, s.ring.where())
	}
	old, err := s.key(ctx, q, by) // it may have been announced in its turn; keys are wrapped by older ones, so this ends
	if err != nil {
		return key{}, err
	}
	raw, err := old.open(wrapped, bind("master key", id, by, ""))
	if err != nil {
		return key{}, missingKey(id, s.ring.where())
	}
	k, err := newKey(raw)
	if err != nil || k.id != id {
		return key{}, missingKey(id, s.ring.where())
	}
	s.ring.learn(k)
	return k, nil
}

// bind is the associated data of a row: nothing sealed for one purpose, id,
// owner and name opens for another.
func bind(purpose, id, owner, name string) []byte {
	b := []byte("fairlead/v1")
	for _, part := range []string{purpose, id, owner, name} {
		b = strconv.AppendInt(append(b, ' '), int64(len(part)), 10)
		b = append(append(b, ':'), part...)
	}
	return b
}

// Put implements secret.Store.
func (s *Store) Put(ctx context.Context, tx *sqldb.Tx, owner, name string, value redact.Secret) error {
	if err := secret.CheckPut(owner, name, value); err != nil {
		return err
	}
	master, err := s.master(ctx, tx)
	if err != nil {
		return err
	}
	data, err := generateKey()
	if err != nil {
		return err
	}
	id := ident.New("sec")
	return s.db.put(ctx, tx, row{
		id: id, owner: owner, name: name, keyID: master.id,
		wrapped:    master.seal(data.raw, bind("data key", id, owner, name)),
		ciphertext: data.seal([]byte(value.Reveal()), bind("value", id, owner, name)),
	})
}

// master gives the active master key. That the one which was seen last is still
// it is asked along with the next statement; if not, the transaction is done
// again with the one that is.
func (s *Store) master(ctx context.Context, tx *sqldb.Tx) (key, error) {
	last := s.active.Load()
	if last == nil {
		active, err := s.db.active(ctx, tx)
		if err != nil {
			return key{}, err
		}
		s.active.Store(&active)
		return s.key(ctx, tx, active)
	}
	err := s.db.stillActive(ctx, tx, *last, func() { s.active.CompareAndSwap(last, nil) })
	if err != nil {
		return key{}, err
	}
	return s.key(ctx, tx, *last)
}

// Get implements secret.Store.
func (s *Store) Get(ctx context.Context, owner, name string) (redact.Secret, error) {
	r, err := s.db.get(ctx, owner, name)
	if errors.Is(err, sql.ErrNoRows) {
		return redact.Secret{}, secret.ErrNotFound
	}
	if err != nil {
		return redact.Secret{}, err
	}
	master, err := s.key(ctx, s.db.Read(), r.keyID)
	if err != nil {
		return redact.Secret{}, err
	}
	data, err := r.dataKey(master)
	if err != nil {
		return redact.Secret{}, err
	}
	plain, err := data.open(r.ciphertext, bind("value", r.id, r.owner, r.name))
	if err != nil {
		return redact.Secret{}, damaged(r)
	}
	return redact.New(string(plain)), nil
}

// Names implements secret.Store.
func (s *Store) Names(ctx context.Context, owner string) ([]string, error) {
	return s.db.names(ctx, owner)
}

// Delete implements secret.Store.
func (s *Store) Delete(ctx context.Context, tx *sqldb.Tx, owner string) error {
	return s.db.delete(ctx, tx, owner)
}

func (r row) dataKey(master key) (key, error) {
	raw, err := master.open(r.wrapped, bind("data key", r.id, r.owner, r.name))
	if err != nil {
		return key{}, damaged(r)
	}
	k, err := newKey(raw)
	if err != nil {
		return key{}, damaged(r)
	}
	return k, nil
}

func damaged(r row) error {
	return fault.New(fault.Conflict, "secret_damaged", "the secret %q of %s was changed in the store and cannot be opened", r.name, r.owner).
		WithHint("rotate the resource's credentials, and find out who can write to the store")
}

// Keys gives the ring as its file is, for a backup, which is encrypted.
func (s *Store) Keys() (redact.Secret, error) {
	data, err := s.ring.encoded()
	return redact.New(string(data)), err
}

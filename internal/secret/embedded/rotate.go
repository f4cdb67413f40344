package embedded

import (
	"context"
	"time"

	"fairlead/internal/fault"
	"fairlead/internal/secret"
	"fairlead/internal/sqldb"
)

const (
	rewrapBatch = 100
	rewrapPoll  = time.Minute
	topicKeys   = "secret.keys"
)

var errUnderWay = fault.New(fault.Conflict, "rotation_under_way", "the master key is being rotated already").
	WithHint("wait until every secret is wrapped by the new key; see the rotation's status")

// Rotate implements secret.Rotator.
func (s *Store) Rotate(ctx context.Context, record func(tx *sqldb.Tx, from, to string)) (secret.Rotation, error) {
	if s.ring.dir == "" {
		return secret.Rotation{}, fault.New(fault.Conflict, "master_key_from_environment", "the master key is set by %s, so it is rotated there", KeyVariable).
			WithHint("restart every replica with OLD,NEW, then with NEW,OLD; when no old key is left, with NEW")
	}
	unlock, err := s.ring.lock()
	if err != nil {
		return secret.Rotation{}, err
	}
	defer unlock()
	now, err := s.Rotation(ctx)
	if err != nil {
		return secret.Rotation{}, err
	}
	if now.Left > 0 {
		return secret.Rotation{}, errUnderWay
	}
	from, err := s.key(ctx, s.db.Read(), now.ActiveKey)
	if err != nil {
		return secret.Rotation{}, err
	}
	to, err := generateKey()
	if err != nil {
		return secret.Rotation{}, err
	}
	s.ring.put(to)
	if err := s.ring.update(func(string) bool { return false }); err != nil {
		return secret.Rotation{}, err
	}
	if err := s.rotateTo(ctx, from.id, to.id, from.seal(to.raw, bind("master key", to.id, from.id, "")), record); err != nil {
		return secret.Rotation{}, err
	}
	return s.Rotation(ctx)
}

// rotateTo makes a key that is in the ring the active one.
func (s *Store) rotateTo(ctx context.Context, from, to string, wrapped []byte, record func(tx *sqldb.Tx, from, to string)) error {
	by := from
	if wrapped == nil {
		by = ""
	}
	return s.db.Write(ctx, "secret.rotate", func(tx *sqldb.Tx) error {
		retired, err := s.db.retire(ctx, tx, from)
		if err != nil {
			return err
		}
		if !retired {
			return errUnderWay
		}
		if err := s.db.addKey(ctx, tx, to, by, wrapped); err != nil {
			return err
		}
		record(tx, from, to)
		tx.Notify(topicKeys, to)
		return nil
	})
}

// Rotation implements secret.Rotator.
func (s *Store) Rotation(ctx context.Context) (secret.Rotation, error) {
	keys, err := s.db.masterKeys(ctx, s.db.Read())
	if err != nil {
		return secret.Rotation{}, err
	}
	var r secret.Rotation
	for _, k := range keys {
		if k.retired.IsZero() {
			r.ActiveKey, r.Since = k.id, k.created
		} else {
			r.OldKeys = append(r.OldKeys, k.id)
		}
	}
	r.Left, err = s.db.count(ctx, s.db.Read(), r.ActiveKey)
	return r, err
}

// Run carries rotations through until ctx ends, whoever began them: it wraps
// what an old key wraps, takes over keys that other replicas made, and drops
// old keys when their time is over. Every replica runs it.
func (s *Store) Run(ctx context.Context) error {
	woken, stop := s.db.Subscribe(topicKeys)
	defer stop()
	tick := time.NewTicker(rewrapPoll)
	defer tick.Stop()
	for {
		if err := s.tidy(ctx); err != nil && ctx.Err() == nil {
			s.log.ErrorContext(ctx, "the master key's rotation does not go on", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-woken:
		case <-tick.C:
		}
	}
}

// tidy does one round of Run.
func (s *Store) tidy(ctx context.Context) error {
	active, err := s.db.active(ctx, s.db.Read())
	if err != nil {
		return err
	}
	master, err := s.key(ctx, s.db.Read(), active)
	if err != nil {
		return err
	}
	if err := s.saveLocked(); err != nil {
		return err
	}
	if err := s.rewrapAll(ctx, master); err != nil {
		return err
	}
	now, err := s.db.Now(ctx)
	if err != nil {
		return err
	}
	if err := s.forget(ctx, now.Add(-s.grace)); err != nil {
		return err
	}
	return s.prune(ctx)
}

// rewrapAll goes once through what other keys wrap. A secret that cannot be
// opened is left as it is, said so, and does not hold up the others.
func (s *Store) rewrapAll(ctx context.Context, master key) error {
	after := ""
	for {
		rows, err := s.db.wrappedOtherwise(ctx, master.id, after, rewrapBatch)
		if err != nil || len(rows) == 0 {
			return err
		}
		wrapped := make([][]byte, len(rows))
		for i, r := range rows {
			after = r.id
			old, err := s.key(ctx, s.db.Read(), r.keyID)
			if err == nil {
				var data key
				if data, err = r.dataKey(old); err == nil {
					wrapped[i] = master.seal(data.raw, bind("data key", r.id, r.owner, r.name))
				}
			}
			if err != nil {
				s.log.ErrorContext(ctx, "a secret cannot be wrapped by the new master key", "secret", r.id, "owner", r.owner, "error", err)
			}
		}
		err = s.db.Write(ctx, "secret.rewrap", func(tx *sqldb.Tx) error {
			for i, r := range rows {
				if wrapped[i] == nil {
					continue
				}
				if err := s.db.rewrap(ctx, tx, r, master.id, wrapped[i]); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
}

func (s *Store) forget(ctx context.Context, before time.Time) error {
	keys, err := s.db.masterKeys(ctx, s.db.Read())
	if err != nil || len(keys) < 2 {
		return err
	}
	return s.db.Write(ctx, "secret.forget-key", func(tx *sqldb.Tx) error {
		_, err := s.db.forgetRetired(ctx, tx, before)
		return err
	})
}

// prune takes the keys out of the ring that the store knows no more.
func (s *Store) prune(ctx context.Context) error {
	unlock, err := s.ring.lock() // a rotation holds it from the file to the commit
	if err != nil {
		return err
	}
	defer unlock()
	keys, err := s.db.masterKeys(ctx, s.db.Read())
	if err != nil {
		return err
	}
	known := map[string]bool{}
	for _, k := range keys {
		known[k.id] = true
	}
	if s.ring.dir == "" || !s.ring.hasOther(known) {
		return nil
	}
	return s.ring.update(func(id string) bool { return !known[id] })
}

func (s *Store) saveLocked() error {
	if !s.ring.needsSaving() {
		return nil
	}
	unlock, err := s.ring.lock()
	if err != nil {
		return err
	}
	defer unlock()
	return s.save()
}

// save writes down what was learnt; the ring's lock is held.
func (s *Store) save() error {
	if !s.ring.needsSaving() {
		return nil
	}
	return s.ring.update(func(string) bool { return false })
}

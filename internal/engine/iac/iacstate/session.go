package iacstate

import (
	"context"
	"sync"
	"time"

	"fairlead/internal/fault"
	"fairlead/internal/sqldb"
)

// Session is what one run may do with one state.
type Session struct {
	State, Run string

	store  *Store
	epoch  int64 // 0 may only read
	fenced func(context.Context) error
	given  *given // read instead of what the store has
	wrote  func(body []byte, m Meta)
}

// given is a state that a session reads and the store does not have.
type given struct {
	body []byte
	meta Meta
}

// Watch has fn called with each state that this session wrote, once it is
// durable and before the program is told so. fn returns at once and changes
// nothing of the body. It is set before a program gets the session.
func (c *Session) Watch(fn func(body []byte, m Meta)) { c.wrote = fn }

// Epoch is the claim's number; 0 for a session that only reads.
func (c *Session) Epoch() int64 { return c.epoch }

// Busy is the error of a Lock that somebody else holds.
type Busy struct{ Holder Lock }

func (Busy) Error() string { return "the state is locked" }

// own gives the locked row if this session may still write.
func (c *Session) own(ctx context.Context, tx *sqldb.Tx) (row, error) {
	if c.epoch == 0 {
		return row{}, fault.New(fault.Denied, "state_read_only", "this run may read the state and not change it")
	}
	r, err := c.store.db.lock(ctx, tx, c.State)
	if err == nil && r.Epoch != c.epoch {
		err = fault.New(fault.Conflict, "state_fenced", "a later run has claimed the state")
	}
	return r, err
}

// allowed asks the caller's fence.
func (c *Session) allowed(ctx context.Context) error {
	if c.epoch == 0 || c.fenced == nil {
		return nil
	}
	return c.fenced(ctx)
}

// Read gives the current state; nil when there is none.
func (c *Session) Read(ctx context.Context) ([]byte, Meta, error) {
	if c.given != nil {
		return c.given.body, c.given.meta, nil
	}
	return c.store.Read(ctx, c.State)
}

// Lock takes the state's lock, or gives a Busy. The same lock taken again is
// success: the answer to the first may have been lost.
func (c *Session) Lock(ctx context.Context, l Lock) error {
	if l.ID == "" || len(l.ID) > 200 {
		return fault.New(fault.Invalid, "state_lock_invalid", "a lock needs an id")
	}
	if err := c.allowed(ctx); err != nil {
		return err
	}
	return c.store.db.Write(ctx, "iac.lock", func(tx *sqldb.Tx) error {
		r, err := c.own(ctx, tx)
		if err != nil {
			return err
		}
		switch r.lockID {
		case "":
		case l.ID:
			return nil
		default:
			return Busy{r.holder()}
		}
		return c.store.db.setLock(ctx, tx, c.State, l.ID, encodeLock(l), c.epoch)
	})
}

// Unlock releases the lock of an id. A lock that is not held is success; one
// that somebody else holds is a Busy.
func (c *Session) Unlock(ctx context.Context, id string) error {
	return c.store.db.Write(ctx, "iac.unlock", func(tx *sqldb.Tx) error {
		r, err := c.own(ctx, tx)
		switch {
		case err != nil:
			return err
		case r.lockID == "":
			return nil
		case r.lockID != id:
			return Busy{r.holder()}
		}
		return c.store.db.setLock(ctx, tx, c.State, "", "", 0)
	})
}

// Write makes body the current state. It is refused (Conflict) without the
// lock of that id, from a session that a later one has replaced, with another
// lineage, and with a serial that is not newer; the state that is there already
// is success.
func (c *Session) Write(ctx context.Context, lockID string, body []byte) error {
	return c.write(ctx, body, func(_ *sqldb.Tx, r row) error {
		if r.lockID == "" || r.lockID != lockID {
			return fault.New(fault.Conflict, "state_not_locked", "the state is only written by who holds its lock")
		}
		return nil
	})
}

func (c *Session) write(ctx context.Context, body []byte, may func(*sqldb.Tx, row) error) error {
	if len(body) > MaxSize {
		return tooLarge()
	}
	var packed []byte
	var sum string
	var packErr error
	var packing sync.WaitGroup
	packing.Go(func() { packed, packErr = compress(body); sum = digest(body) }) // the program waits for us
	h, err := readHead(body)
	packing.Wait()
	if err != nil {
		return err
	}
	if packErr != nil {
		return packErr
	}
	key, err := c.store.secrets.Get(ctx, keyOwner(c.State), keyName)
	if err != nil {
		return err
	}
	if err := c.allowed(ctx); err != nil {
		return err
	}
	var made Meta
	err = c.store.db.Write(ctx, "iac.write", func(tx *sqldb.Tx) error {
		made = Meta{}
		r, err := c.own(ctx, tx)
		if err != nil {
			return err
		}
		if err := may(tx, r); err != nil {
			return err
		}
		if r.Version > 0 {
			switch {
			case r.Lineage != h.Lineage:
				return fault.New(fault.Conflict, "state_lineage", "the state that was sent is another one: its lineage differs")
			case r.Serial == h.Serial && r.Digest == sum:
				return nil
			case r.Serial >= h.Serial:
				return fault.New(fault.Conflict, "state_serial", "the state that was sent has serial %d, and %d is there", h.Serial, r.Serial)
			}
		}
		m := Meta{Version: r.Version + 1, Serial: h.Serial, Lineage: h.Lineage, Digest: sum, Objects: h.objects(), UpdatedAt: tx.Now(), Epoch: c.epoch}
		sealed, err := seal(key, packed, bind(c.State, m.Version, m.Serial, m.Lineage))
		if err != nil {
			return err
		}
		made = m
		return c.store.db.add(ctx, tx, c.State, m, c.Run, int64(len(body)), sealed)
	})
	if err == nil && made.Version > 0 && c.wrote != nil {
		c.wrote(body, made)
	}
	if sqldb.IsUnique(err) {
		return fault.New(fault.Conflict, "object_not_ours", "what the state names is managed already, by another resource").WithCause(err)
	}
	return err
}

// LetGo removes a state with all its versions and its key, whatever objects it
// names: they are no longer looked after here. Called again it is success.
func (c *Session) LetGo(ctx context.Context) error {
	if err := c.allowed(ctx); err != nil {
		return err
	}
	return c.store.db.Write(ctx, "iac.let-go", func(tx *sqldb.Tx) error {
		if _, err := c.own(ctx, tx); err != nil {
			return err
		}
		if err := c.store.db.forget(ctx, tx, c.State); err != nil {
			return err
		}
		return c.store.secrets.Delete(ctx, tx, keyOwner(c.State))
	})
}

func tooLarge() error {
	return fault.New(fault.TooLarge, "state_too_large", "the state is larger than %d MiB", MaxSize>>20).
		WithHint("split the module, or keep large data out of its state")
}

// End releases the lock that this session may still hold, once its program has
// ended.
func (c *Session) End(ctx context.Context) error {
	if c.epoch == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	return c.store.db.Write(ctx, "iac.end", func(tx *sqldb.Tx) error {
		r, err := c.store.db.lock(ctx, tx, c.State)
		if err != nil || r.lockEpoch != c.epoch || r.lockID == "" {
			return err
		}
		return c.store.db.setLock(ctx, tx, c.State, "", "", 0)
	})
}

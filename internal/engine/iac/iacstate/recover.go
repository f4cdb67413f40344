package iacstate

import (
	"context"
	"errors"

	"fairlead/internal/fault"
	"fairlead/internal/sqldb"
)

// Recovery is what became of a state that a run could not deliver.
type Recovery string

// What becomes of it.
const (
	Recovered Recovery = "recovered" // it is the current one
	Older     Recovery = "older"     // the current one has it, and more
	Aside     Recovery = "aside"     // it is kept as a version, and the current one stays
)

// leftBehind is what the versions that were put aside are told apart by.
const leftBehind = "left-behind"

var errOvertaken = errors.New("a later run has written since")

// Recover makes the current state of what a run of the epoch of could not
// deliver. When a later run has written since, it was overtaken: what it knew
// was not what that one began with, its serial says nothing, and its lineage
// may be another. Then it is kept aside, for people, and the current state
// stays.
func (c *Session) Recover(ctx context.Context, body []byte, of int64) (Recovery, error) {
	err := c.write(ctx, body, func(tx *sqldb.Tx, r row) error {
		if r.Version == 0 {
			return nil
		}
		writer, err := c.store.db.writer(ctx, tx, c.State, r.Version)
		if err == nil && writer > of {
			err = errOvertaken
		}
		return err
	})
	switch {
	case errors.Is(err, errOvertaken):
		return Aside, c.aside(ctx, body)
	case err != nil && fault.From(err).Code == "state_serial":
		return Older, nil
	}
	return Recovered, err
}

// aside keeps a state as a version that is not the current one: the content of
// that follows it once more, so that the newest is always the current.
func (c *Session) aside(ctx context.Context, body []byte) error {
	h, err := readHead(body)
	if err != nil {
		return err
	}
	packed, err := compress(body)
	if err != nil {
		return err
	}
	current, meta, err := c.Read(ctx)
	if err != nil {
		return err
	}
	again, err := compress(current)
	if err != nil {
		return err
	}
	key, err := c.store.secrets.Get(ctx, keyOwner(c.State), keyName)
	if err != nil {
		return err
	}
	return c.store.db.Write(ctx, "iac.aside", func(tx *sqldb.Tx) error {
		r, err := c.own(ctx, tx)
		if err != nil {
			return err
		}
		if r.Version != meta.Version {
			return fault.New(fault.Unavailable, "state_moved", "the state was written meanwhile").WithHint("it is tried again by itself")
		}
		left := Meta{Version: r.Version + 1, Serial: h.Serial, Lineage: h.Lineage, UpdatedAt: tx.Now(), Epoch: c.epoch}
		sealed, err := seal(key, packed, bind(c.State, left.Version, left.Serial, left.Lineage))
		if err != nil {
			return err
		}
		if err := c.store.db.put(ctx, tx, c.State, left, leftBehind, int64(len(body)), sealed); err != nil {
			return err
		}
		now := r.Meta
		now.Version, now.UpdatedAt, now.Epoch = r.Version+2, tx.Now(), c.epoch
		if sealed, err = seal(key, again, bind(c.State, now.Version, now.Serial, now.Lineage)); err != nil {
			return err
		}
		return c.store.db.add(ctx, tx, c.State, now, c.Run, int64(len(current)), sealed)
	})
}

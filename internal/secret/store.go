package secret

import (
	"context"
	"time"

	"fairlead/internal/fault"
	"fairlead/internal/redact"
	"fairlead/internal/sqldb"
)

// ErrNotFound is what Get gives for a secret that is not there.
var ErrNotFound error = fault.New(fault.NotFound, "secret_not_found", "there is no such secret")

const (
	// MaxName is the longest owner and the longest name, in bytes.
	MaxName = 512
	// MaxValue is the largest value, in bytes.
	MaxValue = 1 << 20
)

// Store keeps secrets by owner (a resource's id) and name (an output's name).
// It is safe for concurrent use. No error of it and nothing that it logs
// carries a value.
type Store interface {
	// Put stores a value in the transaction that makes it true: it is there
	// when tx commits, and not otherwise. A value of the same owner and name is
	// replaced. A store elsewhere must have the value durable before it returns
	// and may keep one that tx then did not commit: it is replaced by the next
	// Put and removed by Delete. An empty owner or name, or one that is too
	// long, is Invalid, code "invalid_secret"; so is a value over MaxValue.
	Put(ctx context.Context, tx *sqldb.Tx, owner, name string, value redact.Secret) error

	// Get gives the value last committed, or ErrNotFound. A value that was
	// tampered with, or moved from another owner or name, is never given: it is
	// a Conflict with the code "secret_damaged".
	Get(ctx context.Context, owner, name string) (redact.Secret, error)

	// Names lists an owner's secrets, sorted; none is an empty list.
	Names(ctx context.Context, owner string) ([]string, error)

	// Delete removes all of an owner's secrets when tx commits. None there is
	// success. A store elsewhere removes them after the commit, and again at
	// the next Delete should that fail.
	Delete(ctx context.Context, tx *sqldb.Tx, owner string) error
}

// CheckPut says whether a Put is within the bounds; stores call it first.
func CheckPut(owner, name string, value redact.Secret) error {
	if owner == "" || name == "" || len(owner) > MaxName || len(name) > MaxName {
		return fault.New(fault.Invalid, "invalid_secret", "a secret needs an owner and a name of 1 to %d bytes", MaxName)
	}
	if len(value.Reveal()) > MaxValue {
		return fault.New(fault.Invalid, "invalid_secret", "the secret %q is larger than %d bytes", name, MaxValue)
	}
	return nil
}

// Rotation is how far the change of the master key is.
type Rotation struct {
	ActiveKey string    // id of the key that new secrets use
	Since     time.Time // it is the active one
	OldKeys   []string  // ids of keys that are still kept; none when the rotation is over
	Left      int64     // secrets that an old key still wraps
}

// Rotator is a Store with a master key of its own.
type Rotator interface {
	// Rotate makes a new master key the active one and returns; the secrets
	// are wrapped anew in the background. record runs in the transaction that
	// makes the key active. While a rotation is under way the error is a
	// Conflict, code "rotation_under_way".
	Rotate(ctx context.Context, record func(tx *sqldb.Tx, from, to string)) (Rotation, error)
	// Rotation tells how far it is.
	Rotation(ctx context.Context) (Rotation, error)
}

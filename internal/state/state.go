package state

import (
	"context"
	"time"

	"fairlead/internal/sqldb"
)

// State is what is known of a resource's state without opening it.
type State struct {
	Version   int64 // counts its writes
	Serial    int64
	Lineage   string
	Objects   int64 // managed objects in it
	UpdatedAt time.Time
	Lock      *Lock // nil when it is free
}

// Lock is who holds a state, as the program that took it says.
type Lock struct {
	ID        string
	Operation string
	Who       string
	Program   string // its version
	Since     string
}

// Version is one version that is kept.
type Version struct {
	Version   int64
	Serial    int64
	Lineage   string
	Size      int64
	By        string // "apply", "rollback"
	CreatedAt time.Time
}

// Keeper keeps states. Its errors are faults.
type Keeper interface {
	// Current tells of a resource's state; one with Version 0 when there is none.
	Current(ctx context.Context, resourceID string) (State, error)
	// Versions lists what is kept, the newest first.
	Versions(ctx context.Context, resourceID string, p sqldb.Page) ([]Version, string, error)
	// Read opens one version; NotFound when it is not kept, Conflict when it
	// was changed at rest.
	Read(ctx context.Context, resourceID string, version int64) ([]byte, Version, error)
	// Rollback makes the content of a version the current state, under a newer
	// serial, and takes the state from whoever has claimed it. It is refused
	// (Conflict, "state_locked") while somebody holds the lock. When the
	// current state is that content already, nothing is done and then is not
	// called; else it is called in the same transaction.
	Rollback(ctx context.Context, resourceID string, version int64, then func(tx *sqldb.Tx, made State) error) (State, error)
}

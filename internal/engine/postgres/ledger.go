package postgres

import (
	"context"
	"sync"
)

// Ledger keeps the control plane's record of each prepared database, so that
// every external object maps to exactly one record. An entry is put before its
// database is made and deleted after it is gone from the pool, so an entry
// without a database is harmless, and the sweep clears it. Which database a
// resource takes is settled on the server, by the transaction that renames it.
type Ledger interface {
	// Put records an entry; one that is there already is success.
	Put(ctx context.Context, p Prepared) error
	// List gives all entries.
	List(ctx context.Context) ([]Prepared, error)
	// Delete forgets an entry; one that is not there is success.
	Delete(ctx context.Context, p Prepared) error
}

// Prepared is one database of the pool.
type Prepared struct{ Server, Name string }

// MemoryLedger is a Ledger for tests.
type MemoryLedger struct {
	mu      sync.Mutex
	entries map[Prepared]bool
}

// Put implements Ledger.
func (l *MemoryLedger) Put(_ context.Context, p Prepared) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.entries == nil {
		l.entries = map[Prepared]bool{}
	}
	l.entries[p] = true
	return nil
}

// List implements Ledger.
func (l *MemoryLedger) List(context.Context) ([]Prepared, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []Prepared
	for p := range l.entries {
		out = append(out, p)
	}
	return out, nil
}

// Delete implements Ledger.
func (l *MemoryLedger) Delete(_ context.Context, p Prepared) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.entries, p)
	return nil
}

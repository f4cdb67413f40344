package postgres

import (
	"context"
	"sync"

	"fairlead/internal/sqldb"
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

// SQLLedger keeps the entries in the control plane's database. What the pool
// holds is nobody's yet, so it is the system's work and no principal's: there
// is nothing to authorise or audit until a resource takes one.
type SQLLedger struct{ DB *sqldb.DB }

// Put implements Ledger.
func (l SQLLedger) Put(ctx context.Context, p Prepared) error {
	return l.DB.Write(ctx, "pg_pool.put", func(tx *sqldb.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO pg_pool (server, name, created_at) VALUES ($1, $2, $3)
			ON CONFLICT (server, name) DO NOTHING`, p.Server, p.Name, tx.Now().UnixMicro())
		return err
	})
}

// List implements Ledger.
func (l SQLLedger) List(ctx context.Context) ([]Prepared, error) {
	return sqldb.Collect(ctx, l.DB.Read(), func(r sqldb.Row) (Prepared, error) {
		var p Prepared
		err := r.Scan(&p.Server, &p.Name)
		return p, err
	}, `SELECT server, name FROM pg_pool ORDER BY server, name`)
}

// Delete implements Ledger.
func (l SQLLedger) Delete(ctx context.Context, p Prepared) error {
	return l.DB.Write(ctx, "pg_pool.delete", func(tx *sqldb.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM pg_pool WHERE server = $1 AND name = $2`, p.Server, p.Name)
		return err
	})
}

package sqldb

import (
	"context"
	"database/sql"
	"sync"
)

const (
	maxPrepared    = 300  // statements of one pool; further ones are parsed each time
	maxPreparedSQL = 3000 // bytes; what is longer was composed for one occasion
)

// prepared keeps SQLite's statements: parsing one costs it more than running
// it. (pgx does this by itself.)
type prepared struct {
	pool *sql.DB

	mu     sync.RWMutex
	known  map[string]*sql.Stmt
	missed map[string]bool // to be prepared when the write connection is free
}

func newPrepared(pool *sql.DB) *prepared {
	return &prepared{pool: pool, known: map[string]*sql.Stmt{}, missed: map[string]bool{}}
}

// find gives the statement, or nil; then it is noted for learn.
func (p *prepared) find(query string) *sql.Stmt {
	if p == nil || len(query) > maxPreparedSQL {
		return nil
	}
	p.mu.RLock()
	s, full := p.known[query], len(p.known)+len(p.missed) >= maxPrepared
	p.mu.RUnlock()
	if s == nil && !full {
		p.mu.Lock()
		p.missed[query] = true
		p.mu.Unlock()
	}
	return s
}

// learn prepares what was missed. It needs a connection of the pool: the
// commit loop calls it between two groups.
func (p *prepared) learn(ctx context.Context) {
	if p == nil {
		return
	}
	p.mu.RLock()
	none := len(p.missed) == 0
	p.mu.RUnlock()
	if none {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for query := range p.missed {
		delete(p.missed, query)
		// What cannot be prepared fails by itself when it is run.
		if s, err := p.pool.PrepareContext(ctx, query); err == nil {
			p.known[query] = s
		}
	}
}

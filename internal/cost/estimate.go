package cost

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"fairlead/internal/gate"
	"fairlead/internal/rego"
	"fairlead/internal/sqldb"
)

// Estimate implements gate.Prices. Without a price table, or a cost rule,
// everything is Unpriced. What only keeps a resource as it is (gate.Keep) is
// never refused: it costs what it cost when its rule cannot tell any more.
func (s *Service) Estimate(ctx context.Context, f gate.Facts) (gate.Cost, error) {
	if f.Template.CostRule == nil {
		return gate.Cost{Unpriced: true}, nil
	}
	p, err := s.current(ctx)
	if err != nil {
		return gate.Cost{}, err
	}
	if p == nil {
		return gate.Cost{Unpriced: true}, nil
	}
	c, err := s.price(ctx, *p, f, f.Inputs)
	if err != nil && f.Action == gate.Keep && ctx.Err() == nil {
		s.log.Warn("what a resource costs cannot be told any more; it counts as before", "resource", f.ResourceID, "error", err)
		return s.store.metered(ctx, f.ResourceID)
	}
	if err != nil {
		return gate.Cost{}, err
	}
	if f.Before != nil {
		if before, err := s.price(ctx, *p, f, f.Before); err == nil {
			c.Before = before.Monthly
		} else if last, err := s.store.metered(ctx, f.ResourceID); err == nil {
			c.Before = last.Monthly
		}
	}
	return c, nil
}

// price asks the template's rule, or remembers what it said.
func (s *Service) price(ctx context.Context, p Prices, f gate.Facts, inputs map[string]any) (gate.Cost, error) {
	b, err := json.Marshal(inputs)
	if err != nil {
		return gate.Cost{}, fmt.Errorf("inputs: %w", err)
	}
	of := f.Template.Digest
	if of == "" {
		sum := sha256.Sum256(f.Template.CostRule)
		of = string(sum[:])
	}
	at := ruleKey{of, p.Digest}
	key := costKey{at, f.Environment.Class, sha256.Sum256(b)}
	if c, ok := s.costs.get(key); ok {
		return c, nil
	}
	r, ok := s.rules.get(at)
	if !ok {
		if r, err = compile("cost.rego", f.Template.CostRule, p, rego.Options{}); err != nil {
			return gate.Cost{}, failed("the cost rule does not compile").WithCause(err)
		}
		s.rules.put(at, r)
	}
	c, err := r.ask(ctx, p, inputs, f.Environment.Class)
	if err == nil {
		s.costs.put(key, c)
	}
	return c, err
}

type ruleKey struct{ template, prices string }

type costKey struct {
	rule   ruleKey
	class  string
	inputs [32]byte
}

// memo remembers some hundreds or thousands of answers: what is not asked for
// between two fillings is forgotten.
type memo[K comparable, V any] struct {
	mu         sync.Mutex
	most       int
	young, old map[K]V
}

func (m *memo[K, V]) get(k K) (V, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	v, ok := m.young[k]
	if !ok {
		if v, ok = m.old[k]; ok {
			m.keep(k, v)
		}
	}
	return v, ok
}

func (m *memo[K, V]) put(k K, v V) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.keep(k, v)
}

func (m *memo[K, V]) keep(k K, v V) {
	if m.young == nil || len(m.young) >= m.most {
		m.young, m.old = map[K]V{}, m.young
	}
	m.young[k] = v
}

// pricesTTL bounds how long a lost wake-up can leave the prices behind.
const pricesTTL = 15 * time.Second

// inForce is the price table in force, in memory.
type inForce struct {
	mu      sync.Mutex
	changed <-chan string
	read    time.Time
	prices  *Prices // nil: there is none
}

// current gives the prices in force; nil when there are none.
func (s *Service) current(ctx context.Context) (*Prices, error) {
	c := &s.active
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case <-c.changed:
		c.read = time.Time{}
	default:
	}
	if time.Since(c.read) < pricesTTL {
		return c.prices, nil
	}
	t, err := s.store.newest(ctx, s.db.Read())
	if err != nil {
		return nil, err
	}
	c.read = time.Now()
	switch {
	case t.Version == 0:
		c.prices = nil
	case c.prices == nil || c.prices.Digest != t.Digest:
		p, err := ParsePrices([]byte(t.Document))
		if err != nil {
			return nil, fmt.Errorf("price table %d: %w", t.Version, err)
		}
		c.prices = &p
	}
	return c.prices, nil
}

// Meter implements gate.Prices: it ends the span that is open when another
// amount begins, and begins that.
func (s *Service) Meter(ctx context.Context, tx *sqldb.Tx, f gate.Facts, c *gate.Cost) error {
	if c == nil || c.Unpriced || millionths(c.Monthly) == 0 {
		return tx.Later(ctx, `UPDATE cost_spans SET ended_at = $2 WHERE resource_id = $1 AND ended_at IS NULL`, f.ResourceID, tx.Now().UnixMicro())
	}
	now, monthly := tx.Now().UnixMicro(), millionths(c.Monthly)
	err := tx.Later(ctx, `UPDATE cost_spans SET ended_at = $2 WHERE resource_id = $1 AND ended_at IS NULL AND (monthly <> $3 OR currency <> $4 OR team_id <> $5)`,
		f.ResourceID, now, monthly, c.Currency, f.Environment.TeamID)
	if err != nil {
		return err
	}
	e := f.Environment
	return tx.Later(ctx, `INSERT INTO cost_spans (resource_id, started_at, monthly, currency, resource, environment_id, project_id, team_id, template)
		SELECT CAST($1 AS TEXT), CAST($2 AS BIGINT), CAST($3 AS BIGINT), CAST($4 AS TEXT), CAST($5 AS TEXT), CAST($6 AS TEXT), CAST($7 AS TEXT), CAST($8 AS TEXT), CAST($9 AS TEXT)
		WHERE NOT EXISTS (SELECT 1 FROM cost_spans WHERE resource_id = $1 AND ended_at IS NULL)
		ON CONFLICT (resource_id, started_at) DO UPDATE SET ended_at = NULL, monthly = excluded.monthly, currency = excluded.currency, team_id = excluded.team_id`,
		f.ResourceID, now, monthly, c.Currency, f.Resource, e.ID, e.ProjectID, e.TeamID, f.Template.Name)
}

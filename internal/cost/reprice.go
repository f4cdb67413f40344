package cost

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"fairlead/internal/audit"
	"fairlead/internal/event"
	"fairlead/internal/gate"
	"fairlead/internal/loop"
	"fairlead/internal/principal"
	"fairlead/internal/sqldb"
)

// Living gives what stands there.
type Living interface {
	// Standing gives a page of living resources behind an id, in the order of
	// ids: what is wanted of each, and what of it is in use (zero: nothing).
	// None is the end.
	Standing(ctx context.Context, after string) (wanted, inUse []gate.Facts, err error)
}

// Holdings are what resources hold of budgets.
type Holdings interface {
	// Reprice lets what a resource holds of budgets be another amount. Nothing
	// is refused: who must know that a budget is passed is told.
	Reprice(ctx context.Context, tx *sqldb.Tx, resourceID string, monthly float64) error
}

// Loop prices all that lives by another price table when there is one.
func (s *Service) Loop() loop.Loop {
	return loop.Loop{Name: "reprice", Every: 15 * time.Second, Wake: topic, Once: true, Do: s.Reprice}
}

// stragglers is how long after a change of the prices a replica may still
// price a request by those of before: prices are in memory that long, and a
// request takes its time. A pass that began later has missed nobody.
const stragglers = pricesTTL + 15*time.Second

// Reprice goes over all living resources when the price table in force is not
// what they were priced by, and lets budgets, and what is spent from now on,
// follow. It stops nowhere: begun again, it passes over what is priced already.
// Templates need no pass: a version is for ever, its cost rule with it.
func (s *Service) Reprice(ctx context.Context) error {
	ctx = principal.With(ctx, principal.System)
	t, done, err := s.store.unpriced(ctx)
	if err != nil || done || t.Version == 0 {
		return err
	}
	p, err := ParsePrices([]byte(t.Document))
	if err != nil {
		return err
	}
	began, err := s.db.Now(ctx)
	if err != nil {
		return err
	}
	pass := &repricing{s: s, table: t, prices: p}
	var failed error // of one that harms no neighbour: it is tried again with the next pass
	for after := ""; ; {
		wanted, inUse, err := s.living.Standing(ctx, after)
		if err != nil {
			return err
		}
		if len(wanted) == 0 {
			break
		}
		for i := range wanted {
			err := pass.one(ctx, wanted[i], inUse[i])
			if errors.Is(err, errOvertaken) {
				return nil // the next turn begins anew
			}
			if err != nil {
				failed = fmt.Errorf("price %s: %w", wanted[i].ResourceID, err)
			}
			if ctx.Err() != nil {
				return ctx.Err()
			}
		}
		after = wanted[len(wanted)-1].ResourceID
	}
	if failed != nil {
		return failed
	}
	return pass.end(ctx, began)
}

// repricing is one pass.
type repricing struct {
	s      *Service
	table  Table
	prices Prices
	moved  bool // something changed under it: another pass looks again
}

var errOvertaken = errors.New("another price table is in force by now")

// amounts are what a resource holds of budgets and costs a month, in millionths.
type amounts struct {
	held, spent int64
	currency    string // of what is spent
}

// one prices one resource. What cannot be priced costs what it cost.
func (p *repricing) one(ctx context.Context, wanted, inUse gate.Facts) error {
	now, err := p.s.store.amounts(ctx, p.s.db.Read(), wanted.ResourceID)
	if err != nil {
		return err
	}
	held, okHeld, err := p.price(ctx, wanted)
	if err != nil {
		return err
	}
	is := now
	if okHeld {
		is.held = millionths(held.Monthly)
	}
	var spent *gate.Cost // nil leaves it
	if inUse.ResourceID != "" {
		c, ok, err := p.price(ctx, inUse)
		if err != nil {
			return err
		}
		if ok {
			spent, is.spent = &c, millionths(c.Monthly)
			if is.currency = c.Currency; is.spent == 0 {
				is.currency = ""
			}
		}
	}
	if is == now {
		return nil
	}
	return p.write(ctx, wanted, inUse, spent, now, is)
}

// price asks the template's rule; false keeps what there is.
func (p *repricing) price(ctx context.Context, f gate.Facts) (gate.Cost, bool, error) {
	if f.Template.CostRule == nil { // it has none, which no price changes; or its template cannot be read
		return gate.Cost{}, false, nil
	}
	c, err := p.s.price(ctx, p.prices, f, f.Inputs)
	if err != nil && ctx.Err() == nil {
		p.s.log.Warn("what a resource costs by the new prices cannot be told; it counts as before", "resource", f.ResourceID, "error", err)
		return gate.Cost{}, false, nil
	}
	return c, err == nil, err
}

// write lets the amounts follow, if the resource and the prices are still what
// was priced.
func (p *repricing) write(ctx context.Context, wanted, inUse gate.Facts, spent *gate.Cost, was, is amounts) error {
	return p.s.db.Write(ctx, "cost.reprice", func(tx *sqldb.Tx) error {
		newest, err := p.s.store.newest(ctx, tx)
		if err != nil {
			return err
		}
		if newest.Version != p.table.Version {
			return errOvertaken
		}
		revision, applied, err := p.s.store.revisions(ctx, tx, wanted.ResourceID)
		if errors.Is(err, sql.ErrNoRows) {
			return nil // it is gone
		}
		if err != nil {
			return err
		}
		if revision != wanted.Revision || inUse.ResourceID != "" && applied != inUse.Revision || inUse.ResourceID == "" && applied > 0 {
			p.moved = true
			return nil
		}
		if is.held != was.held {
			if err := p.s.holdings.Reprice(ctx, tx, wanted.ResourceID, float64(is.held)/1e6); err != nil {
				return err
			}
		}
		if spent != nil {
			if err := p.s.Meter(ctx, tx, inUse, spent); err != nil {
				return err
			}
		}
		audit.Append(ctx, tx, audit.Entry{Action: "cost:reprice", Target: wanted.Target(), Details: map[string]any{
			"prices": p.table.Version, "currency": p.prices.Currency, "before": float64(max(was.spent, was.held)) / 1e6, "after": float64(max(is.spent, is.held)) / 1e6}})
		return p.s.store.repriced(ctx, tx, p.table.Version)
	})
}

// end notes that all is priced by the table, unless somebody may have asked by
// the prices of before meanwhile: then the next turn looks again.
func (p *repricing) end(ctx context.Context, began time.Time) error {
	if p.moved || began.Before(p.table.CreatedAt.Add(stragglers)) {
		return nil
	}
	return p.s.db.Write(ctx, "cost.priced", func(tx *sqldb.Tx) error {
		n, first, err := p.s.store.settle(ctx, tx, p.table.Version)
		if err != nil || !first {
			return err
		}
		details := map[string]any{"version": p.table.Version, "currency": p.prices.Currency, "resources": n}
		audit.Append(ctx, tx, audit.Entry{Action: "cost:repriced", Target: priceTable, Details: details})
		return event.Emit(ctx, tx, event.Event{Type: "prices.applied", Subject: p.table.Digest, Data: details})
	})
}

// unpriced gives the table in force, and whether all is priced by it.
func (s store) unpriced(ctx context.Context) (Table, bool, error) {
	t, err := s.newest(ctx, s.db.Read())
	return t, !t.RepricedAt.IsZero(), err
}

// amounts gives what a resource holds and costs as it is noted.
func (s store) amounts(ctx context.Context, q sqldb.Querier, resourceID string) (a amounts, err error) {
	err = q.QueryRowContext(ctx, `SELECT coalesce((SELECT h.amount FROM quota_holdings h WHERE h.resource_id = $1 AND h.metric = 'monthly_cost'), 0),
		coalesce((SELECT c.monthly FROM cost_spans c WHERE c.resource_id = $1 AND c.ended_at IS NULL), 0),
		coalesce((SELECT c.currency FROM cost_spans c WHERE c.resource_id = $1 AND c.ended_at IS NULL), '')`, resourceID).Scan(&a.held, &a.spent, &a.currency)
	return a, err
}

// revisions locks a living resource and gives what is wanted and in use.
func (s store) revisions(ctx context.Context, tx *sqldb.Tx, resourceID string) (wanted, applied int64, err error) {
	err = tx.QueryRowContext(ctx, `SELECT revision, applied_revision FROM resources WHERE id = $1 AND destroyed_at IS NULL`+s.db.ForUpdate(), resourceID).Scan(&wanted, &applied)
	return wanted, applied, err
}

func (s store) repriced(ctx context.Context, tx *sqldb.Tx, version int64) error {
	return tx.Later(ctx, `UPDATE price_tables SET repriced = repriced + 1 WHERE version = $1`, version)
}

// settle notes that all is priced by a version; false: it was noted already.
func (s store) settle(ctx context.Context, tx *sqldb.Tx, version int64) (resources int64, first bool, err error) {
	err = tx.QueryRowContext(ctx, `UPDATE price_tables SET repriced_at = $2 WHERE version = $1 AND repriced_at IS NULL RETURNING repriced`, version, tx.Now().UnixMicro()).Scan(&resources)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, false, nil
	}
	return resources, err == nil, err
}

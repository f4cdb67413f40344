package postgres

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"fairlead/internal/engine"
	"fairlead/internal/fault"
)

// Plan implements engine.Engine.
func (e *Engine) Plan(ctx context.Context, req engine.Request) (engine.Plan, error) {
	w, err := e.read(req)
	if err != nil {
		return engine.Plan{}, err
	}
	var wd *world
	err = w.server.with(ctx, "plan", func(ctx context.Context, c *pgxpool.Conn) error {
		seen, err := look(ctx, c.Conn(), w.server.facts.Load(), []*want{w})
		if err != nil {
			return err
		}
		wd = seen[w]
		if len(w.missing(wd)) > 0 {
			return w.available(ctx, c.Conn())
		}
		return nil
	})
	if err != nil {
		return engine.Plan{}, err
	}
	if err := w.check(wd); err != nil {
		return engine.Plan{}, err
	}
	return w.plan(wd)
}

// PlanNew implements engine.DryPlanner. It connects to no server, so it cannot
// know which of the allowed extensions a server has.
func (e *Engine) PlanNew(_ context.Context, req engine.Request) (engine.Plan, error) {
	req.Previous = nil
	w, err := e.read(req)
	if err != nil {
		return engine.Plan{}, err
	}
	return w.plan(&world{facts: &facts{}})
}

// plan tells the changes object by object.
func (w *want) plan(wd *world) (engine.Plan, error) {
	var p engine.Plan
	at := map[string]int{}
	for _, c := range w.compare(wd, nil) {
		i, known := at[c.address()]
		if !known {
			i = len(p.Changes)
			at[c.address()] = i
			p.Changes = append(p.Changes, engine.Change{Address: c.address(), Kind: c.kind, Action: c.action, Reason: c.reason})
		}
		ch := &p.Changes[i]
		if c.field == "" {
			ch.After, _ = c.want.(map[string]any)
			continue
		}
		if ch.Before == nil {
			ch.Before, ch.After = map[string]any{}, map[string]any{}
		}
		ch.Before[c.field], ch.After[c.field] = c.got, c.want
	}
	if wd.db != nil {
		for _, x := range w.missing(wd) {
			p.Changes = append(p.Changes, engine.Change{Address: "extension." + w.names.Database + "." + x, Kind: "extension", Action: engine.Create, Reason: "asked for"})
		}
	}
	raw, err := json.Marshal(map[string]any{
		"server": w.server.Name, "database": w.names.Database, "owner": w.names.Owner, "login": w.names.login(w.state.Active),
		"connectionLimit": w.limit, "extensions": append([]string{}, w.extensions...),
	})
	p.Engine = raw
	return p, err
}

// missing are the extensions that were never installed.
func (w *want) missing(wd *world) []string {
	if wd.db == nil {
		return w.extensions
	}
	return without(w.extensions, w.state.Extensions...)
}

// available refuses extensions that the server does not have, before anything
// is made.
func (w *want) available(ctx context.Context, c *pgx.Conn) error {
	if len(w.extensions) == 0 {
		return nil
	}
	rows, err := c.Query(ctx, `SELECT name::text FROM pg_available_extensions WHERE name = ANY ($1::name[])`, w.extensions)
	if err != nil {
		return err
	}
	there, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	for _, x := range w.extensions {
		if !slices.Contains(there, x) {
			return fault.New(fault.Invalid, "extension_unavailable", "PostgreSQL server %q does not have the extension %q", w.server.Name, x).
				WithHint("its administrator installs the package, often postgresql-contrib or postgresql-NN-%s", x).WithField("/extensions")
		}
	}
	return nil
}

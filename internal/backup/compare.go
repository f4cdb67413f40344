package backup

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"

	"fairlead/internal/access"
	"fairlead/internal/audit"
	"fairlead/internal/engine"
	"fairlead/internal/ident"
	"fairlead/internal/principal"
	"fairlead/internal/sqldb"
)

// Inventory lists what an engine has made.
type Inventory interface {
	// Objects gives every external object that carries this installation's
	// ownership marker, by the id of the resource it says it belongs to.
	Objects(ctx context.Context) (map[string][]engine.Object, error)
}

// Suspect is an external object that no record explains.
type Suspect struct {
	Engine     string
	ResourceID string // whose it says it is
	Object     engine.Object
}

// Comparison is what Compare found.
type Comparison struct {
	Suspects []Suspect
	// NotLooked are the engines that could not be asked, and why: compare
	// again when they answer.
	NotLooked map[string]error
}

// Compare holds what the engines have made against the restored records. What
// belongs to a resource that the records do not know, or know as destroyed,
// was made after the backup: it is listed as suspect, for a person, and left
// as it is. It may be called again; nothing is listed twice.
func Compare(ctx context.Context, db *sqldb.DB, inventories map[string]Inventory) (Comparison, error) {
	c := Comparison{NotLooked: map[string]error{}}
	for _, name := range slices.Sorted(maps.Keys(inventories)) {
		objects, err := inventories[name].Objects(ctx)
		if err != nil {
			c.NotLooked[name] = err
			continue
		}
		unknown, err := unknownTo(ctx, db, slices.Sorted(maps.Keys(objects)))
		if err != nil {
			return c, err
		}
		for _, id := range unknown {
			for _, o := range objects[id] {
				c.Suspects = append(c.Suspects, Suspect{name, id, o})
			}
		}
	}
	if len(c.Suspects) == 0 {
		return c, nil
	}
	return c, record(ctx, db, c.Suspects)
}

// unknownTo gives those ids that are of no living resource.
func unknownTo(ctx context.Context, db *sqldb.DB, ids []string) ([]string, error) {
	list, err := json.Marshal(ids)
	if err != nil {
		return nil, err
	}
	living, err := sqldb.Collect(ctx, db.Read(), func(r sqldb.Row) (string, error) {
		var id string
		return id, r.Scan(&id)
	}, `SELECT id FROM resources WHERE destroyed_at IS NULL AND `+db.InArray("id", "$1"), string(list))
	if err != nil {
		return nil, fmt.Errorf("compare: %w", err)
	}
	return slices.DeleteFunc(ids, func(id string) bool { return slices.Contains(living, id) }), nil
}

func record(ctx context.Context, db *sqldb.DB, suspects []Suspect) error {
	ctx = principal.With(ctx, principal.System)
	return db.Write(ctx, "backup.suspects", func(tx *sqldb.Tx) error {
		var added int64
		for _, s := range suspects {
			res, err := tx.ExecContext(ctx, `INSERT INTO suspects (id, engine, kind, name, host, resource_id, reason, found_at)
				VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
				ON CONFLICT (engine, kind, host, name) WHERE resolved_at IS NULL DO NOTHING`,
				ident.New("sus"), s.Engine, s.Object.Kind, s.Object.Name, s.Object.Host, s.ResourceID,
				"made after the backup that was restored", tx.Now().UnixMicro())
			if err != nil {
				return err
			}
			n, err := res.RowsAffected()
			if err != nil {
				return err
			}
			added += n
		}
		if added > 0 {
			audit.Append(ctx, tx, audit.Entry{Action: "system:suspects", Target: access.Target{Kind: "system", Name: "suspects"},
				Details: map[string]any{"added": added}})
		}
		return nil
	})
}

// LogValue implements slog.LogValuer.
func (s Suspect) LogValue() slog.Value {
	return slog.StringValue(s.Engine + " " + s.Object.Kind + " " + s.Object.Name)
}

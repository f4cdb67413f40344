package postgres

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"fairlead/internal/engine"
	"fairlead/internal/fault"
)

const adoptedKind = "database/"

// adoptedName reads what a resource adopted: "database/NAME".
func adoptedName(object string) (string, error) {
	name, ok := strings.CutPrefix(object, adoptedKind)
	if !ok || name == "" || len(name) > 63 || strings.ContainsAny(name, "\x00\n\r") {
		return "", fault.New(fault.Invalid, "nothing_to_adopt", "%q names no database", clip(object)).
			WithHint("as --object database/orders").WithField("/object")
	}
	return name, nil
}

// adoptee is the database that is to be adopted, as it is.
type adoptee struct {
	comment, ownerComment []byte
	owner                 string
	kept                  string // why it is nobody's to adopt
}

const adopteeSQL = `
SELECT substring(textsend(c.description) FROM 1 FOR 4096), substring(textsend(oc.description) FROM 1 FOR 4096), coalesce(o.rolname::text, ''),
  CASE WHEN d.datistemplate THEN 'it is a template for others' WHEN d.datname = current_database() OR d.datname = 'postgres' THEN 'administrators log in to it'
    WHEN NOT d.datallowconn THEN 'it lets nobody in' ELSE '' END
FROM pg_database d LEFT JOIN pg_roles o ON o.oid = d.datdba
LEFT JOIN pg_shdescription c ON c.objoid = d.oid AND c.classoid = 'pg_database'::regclass
LEFT JOIN pg_shdescription oc ON oc.objoid = d.datdba AND oc.classoid = 'pg_authid'::regclass
WHERE d.datname = $1`

func lookAdoptee(ctx context.Context, c *pgx.Conn, name string) (a adoptee, err error) {
	err = c.QueryRow(ctx, adopteeSQL, name).Scan(&a.comment, &a.ownerComment, &a.owner, &a.kept)
	return a, err
}

// may refuses what is not there, what is no resource's to have, and what
// carries somebody else's marker.
func (w *want) may(ctx context.Context, a adoptee, err error, released func(context.Context, string) (bool, error)) error {
	name := w.names.Database
	if errors.Is(err, pgx.ErrNoRows) {
		return fault.New(fault.Invalid, "nothing_to_adopt", "PostgreSQL server %q has no database %s", w.server.Name, clip(name)).WithField("/object")
	}
	if err != nil {
		return err
	}
	if a.kept != "" || strings.HasPrefix(name, poolPrefix) {
		return fault.New(fault.Invalid, "nothing_to_adopt", "the database %s cannot be adopted: %s", clip(name), a.kept).WithField("/object")
	}
	for _, comment := range [][]byte{a.ownerComment, a.comment} {
		m, ok := readMarker(comment)
		if !ok || m.Installation == w.ref.Installation && m.Resource == w.ref.ID {
			continue
		}
		if m.Installation == w.ref.Installation && m.Resource != "" && released != nil {
			let, err := released(ctx, m.Resource)
			if err != nil {
				return err
			}
			if let {
				continue
			}
		}
		return fault.New(fault.Conflict, "object_not_ours", "the database %s on PostgreSQL server %q belongs to another resource", clip(name), w.server.Name).
			WithHint("have whoever may let go of it do so first: fairlead eject NAME --reveal --release").WithField("/object")
	}
	return nil
}

// PlanAdoption implements engine.Adopter.
func (e *Engine) PlanAdoption(ctx context.Context, req engine.Request, a engine.Adoption) (engine.Plan, error) {
	w, err := e.readAdoption(req, a)
	if err != nil {
		return engine.Plan{}, err
	}
	var wd *world
	err = w.server.with(ctx, "plan_adoption", func(ctx context.Context, c *pgxpool.Conn) error {
		seen, err := lookAdoptee(ctx, c.Conn(), w.names.Database)
		if err := w.may(ctx, seen, err, a.Released); err != nil {
			return err
		}
		all, err := look(ctx, c.Conn(), w.server.facts.Load(), []*want{w})
		if err != nil {
			return err
		}
		if wd = all[w]; wd.db != nil && !w.marks(wd.db.comment) {
			wd.db.comment = []byte(w.markOf(seen.owner).String())
		}
		return w.available(ctx, c.Conn())
	})
	if err != nil {
		return engine.Plan{}, err
	}
	if err := w.check(wd); err != nil {
		return engine.Plan{}, err
	}
	p, err := w.plan(wd)
	if err != nil {
		return p, err
	}
	p.Changes = append([]engine.Change{{
		Address: "adoption." + w.names.Database, Kind: "database", Action: engine.Update, Reason: "it becomes this resource's",
		Before: map[string]any{"marker": nil}, After: map[string]any{"marker": w.ref.ID},
	}}, p.Changes...)
	return p, nil
}

func (e *Engine) readAdoption(req engine.Request, a engine.Adoption) (*want, error) {
	if a.Object == "" {
		return nil, fault.New(fault.Invalid, "nothing_to_adopt", "a database is adopted by its name, and none was given").
			WithHint("as --object database/orders").WithField("/object")
	}
	req.Adopted = a.Object
	return e.read(req)
}

// markOf is the marker of an adopted database: it notes who owned it.
func (w *want) markOf(owner string) marker {
	m := w.marker
	if owner != w.names.Owner {
		m.Former = owner
	}
	return m
}

// Adopt implements engine.Adopter: the database gets the marker.
func (e *Engine) Adopt(ctx context.Context, req engine.Request, a engine.Adoption, p engine.Progress) error {
	w, err := e.readAdoption(req, a)
	if err != nil {
		return err
	}
	return w.server.locked(ctx, lockKey(w.ref.Installation, w.ref.ID), req.Check, func(ses *session) error {
		// Whoever else adopts the same database waits here.
		if err := ses.exec("adopt_lock", `SELECT pg_advisory_lock(`+strconv.FormatInt(lockKey("adopt", w.names.Database), 10)+`)`); err != nil {
			return err
		}
		var seen adoptee
		var found error
		err := ses.query("adoptee", func(ctx context.Context, c *pgx.Conn) error {
			seen, found = lookAdoptee(ctx, c, w.names.Database)
			return w.may(ctx, seen, found, a.Released)
		})
		if err != nil || w.marks(seen.comment) || w.marks(seen.ownerComment) {
			return err
		}
		p.Step("adopting database %s, owned by %s", w.names.Database, seen.owner)
		return ses.exec("adopt", `COMMENT ON DATABASE `+ident(w.names.Database)+` IS `+literal(w.markOf(seen.owner).String()))
	})
}

// former is who owned an adopted database before, and may still use it.
func (w *want) former(wd *world) string {
	if w.existed || w.adopted == "" {
		return w.state.Former
	}
	if wd.db == nil || !w.marks(wd.db.comment) {
		return ""
	}
	m, _ := readMarker(wd.db.comment)
	if m.Former == wd.facts.user {
		return "" // it may all anyway
	}
	return m.Former
}

// handOver makes the owner role the owner of all that the former owner made in
// the database, but for what belongs to extensions. REASSIGN OWNED would take
// the former owner's other databases too.
func handOver(former, owner string) string {
	return strings.NewReplacer("%FORMER%", literal(former), "%OWNER%", literal(owner)).Replace(`DO $do$
DECLARE sql text; former oid := (SELECT oid FROM pg_roles WHERE rolname = %FORMER%); owner text := %OWNER%;
BEGIN
  IF former IS NULL THEN RETURN; END IF;
  FOR sql IN
    SELECT format('ALTER SCHEMA %I OWNER TO %I', nspname, owner) FROM pg_namespace n
      WHERE nspowner = former AND nspname !~ '^pg_' AND nspname <> 'information_schema'
        AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_namespace'::regclass AND d.objid = n.oid AND d.deptype = 'e')
    UNION ALL
    SELECT format('ALTER %s %I.%I OWNER TO %I', CASE c.relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' WHEN 'S' THEN 'SEQUENCE'
        WHEN 'f' THEN 'FOREIGN TABLE' WHEN 'c' THEN 'TYPE' ELSE 'TABLE' END, n.nspname, c.relname, owner)
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE c.relowner = former AND c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f', 'c') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
        AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND (d.deptype = 'e' OR c.relkind = 'S' AND d.deptype IN ('a', 'i')))
    UNION ALL
    SELECT format('ALTER ROUTINE %I.%I(%s) OWNER TO %I', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid), owner)
      FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
      WHERE p.proowner = former AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
        AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
    UNION ALL
    SELECT format('ALTER TYPE %I.%I OWNER TO %I', n.nspname, t.typname, owner)
      FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
      WHERE t.typowner = former AND t.typtype IN ('d', 'e', 'r') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
        AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_type'::regclass AND d.objid = t.oid AND d.deptype = 'e')
  LOOP EXECUTE sql; END LOOP;
END $do$`)
}

// takeOver does what adopting needs inside the database, once.
func (a *applying) takeOver(ses *session) error {
	if a.adopted == "" || a.state.TakenOver {
		return nil
	}
	wd, err := ses.look(a.want)
	if err != nil {
		return err
	}
	m, _ := readMarker(wd.db.comment)
	if m.Former != "" && a.marks(wd.db.comment) {
		a.progress.Step("all that %s owns in it goes to %s", m.Former, a.names.Owner)
		if err := a.server.inside(ses.ctx, "take_over", a.names.Database, handOver(m.Former, a.names.Owner)); err != nil {
			return err
		}
	}
	a.next.TakenOver, a.next.Former = true, a.former(wd)
	return nil
}

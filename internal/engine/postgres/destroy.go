package postgres

import (
	"context"
	"strings"

	"github.com/jackc/pgx/v5"

	"fairlead/internal/engine"
	"fairlead/internal/fault"
)

// Destroy implements engine.Engine.
func (e *Engine) Destroy(ctx context.Context, req engine.Request, p engine.Progress) error {
	var sp spec
	if known, err := readSpec(req.Template.Spec); err == nil { // a damaged spec must not keep a resource alive
		sp = known
	}
	w, err := e.locate(req, sp)
	if err != nil {
		return err
	}
	if req.LifeCycle.SnapshotOnDestroy && e.opt.SnapshotDir == "" {
		return fault.New(fault.Unavailable, "snapshot_not_configured", "the template asks for a last dump, and no folder for dumps is configured").
			WithHint("configure one, or use a template version that keeps none")
	}
	return w.server.locked(ctx, lockKey(w.ref.Installation, w.ref.ID), req.Check, func(ses *session) error {
		wd, err := ses.look(w)
		if err != nil {
			return err
		}
		if wd.ownsDatabase(w) {
			if err := ses.closeLogins(w, wd); err != nil {
				return err
			}
			if req.LifeCycle.SnapshotOnDestroy && !wd.unfinished(w) {
				if err := ses.snapshot(w, wd, p); err != nil {
					return err
				}
			}
			p.Step("dropping database %s", w.names.Database)
			if err := ses.dropDatabase("drop_database", w.names.Database); err != nil {
				return err
			}
		}
		var roles []string
		for _, name := range []string{w.names.A, w.names.B, w.names.Owner} {
			if wd.ownsRole(w, name) {
				roles = append(roles, name)
			}
		}
		if len(roles) == 0 {
			return nil
		}
		p.Step("dropping roles %s", strings.Join(roles, ", "))
		return ses.dropRoles(roles)
	})
}

// closeLogins lets nobody in any more and ends who is in, so that a last dump
// is the last.
func (ses *session) closeLogins(w *want, wd *world) error {
	var sql []string
	for _, name := range []string{w.names.A, w.names.B} {
		if wd.ownsRole(w, name) && wd.roles[name].login {
			sql = append(sql, `ALTER ROLE `+ident(name)+` NOLOGIN`)
		}
	}
	if len(sql) > 0 {
		if err := ses.exec("close_logins", strings.Join(sql, ";\n")); err != nil {
			return err
		}
	}
	return ses.endSessions(w)
}

// endSessions ends who is in the database.
func (ses *session) endSessions(w *want) error {
	return ses.endThose(`a.datname = ` + literal(w.names.Database))
}

// endThose ends the sessions of pg_stat_activity a for which where holds. An
// account that is no superuser ends what it may: autovacuum ends by itself, and
// a superuser's session is met again when the database is dropped.
func (ses *session) endThose(where string) error {
	sql := `SELECT pg_terminate_backend(a.pid) FROM pg_stat_activity a WHERE a.pid <> pg_backend_pid() AND ` + where
	if !ses.facts.Load().superuser {
		sql = `SELECT pg_terminate_backend(a.pid) FROM pg_stat_activity a JOIN pg_roles r ON r.oid = a.usesysid
			WHERE NOT r.rolsuper AND (pg_has_role(r.oid, 'USAGE') OR pg_has_role('pg_signal_backend', 'USAGE')) AND a.pid <> pg_backend_pid() AND ` + where
	}
	return ses.exec("end_sessions", sql)
}

// dropDatabase closes a database and drops it. FORCE ends the sessions that
// slipped in before it was closed.
func (ses *session) dropDatabase(op, name string) error {
	err := ses.exec(op+"_close", `ALTER DATABASE `+ident(name)+` ALLOW_CONNECTIONS false IS_TEMPLATE false`)
	if err != nil && !hasCode(err, "3D000") {
		return err
	}
	err = ses.exec(op, `DROP DATABASE IF EXISTS `+ident(name)+` WITH (FORCE)`)
	if !ses.facts.Load().superuser && hasCode(err, "42501") {
		// FORCE refuses when it meets one that our account may not end, autovacuum
		// too; without it PostgreSQL sends that away and waits some seconds.
		return ses.exec(op, `DROP DATABASE IF EXISTS `+ident(name))
	}
	return err
}

// dropRoles drops roles, also those that someone gave rights or objects in
// other databases: objects are handed to Fairlead's account there, not lost.
func (ses *session) dropRoles(roles []string) error {
	quoted := make([]string, len(roles))
	for i, r := range roles {
		quoted[i] = ident(r)
	}
	list := strings.Join(quoted, ", ")
	err := ses.exec("drop_roles", `DROP ROLE IF EXISTS `+list)
	if !hasCode(err, "2BP01") {
		return err
	}
	var databases []string
	err = ses.query("dependents", func(ctx context.Context, c *pgx.Conn) error {
		rows, err := c.Query(ctx, `SELECT DISTINCT coalesce(d.datname, current_database())::text FROM pg_shdepend s
			JOIN pg_roles r ON s.refclassid = 'pg_authid'::regclass AND s.refobjid = r.oid
			LEFT JOIN pg_database d ON d.oid = s.dbid WHERE r.rolname = ANY ($1::name[]) ORDER BY 1`, roles)
		if err != nil {
			return err
		}
		databases, err = pgx.CollectRows(rows, pgx.RowTo[string])
		return err
	})
	if err != nil {
		return err
	}
	for _, d := range databases {
		if err := ses.inside(ses.ctx, "disown", d, `REASSIGN OWNED BY `+list+` TO CURRENT_USER`, `DROP OWNED BY `+list); err != nil {
			return err
		}
	}
	return ses.exec("drop_roles", `DROP ROLE IF EXISTS `+list)
}

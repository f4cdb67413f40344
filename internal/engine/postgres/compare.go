package postgres

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"fairlead/internal/engine"
	"fairlead/internal/fault"
	"fairlead/internal/redact"
)

// change is one difference between what is wanted and what is there: Plan
// tells it, Observe reports it, Apply executes its SQL. All of a resource's
// SQL together is one transaction, the late parts after all others.
type change struct {
	kind, name string // "database", "role"
	action     engine.Action
	field      string // "" for the whole object
	want, got  any
	reason     string
	sql        string
	late       string // SQL that needs the database to be there
}

func (c change) address() string { return c.kind + "." + c.name }

// check refuses what Apply must not touch.
func (w *want) check(wd *world) error {
	if f := wd.foreign(w); len(f) > 0 {
		return fault.New(fault.Conflict, "object_not_ours", "PostgreSQL server %q has a %s that does not belong to this resource", w.server.Name, strings.Join(f, " and a ")).
			WithHint("it carries no ownership marker of ours, so it was left alone; rename or drop it there, then retry")
	}
	if w.adopted != "" && !w.existed && wd.db == nil {
		return fault.New(fault.Invalid, "nothing_to_adopt", "PostgreSQL server %q has no database %s", w.server.Name, clip(w.adopted)).WithField("/object")
	}
	if w.existed && wd.db == nil {
		return fault.New(fault.Conflict, "resource_lost", "the database %s is gone from PostgreSQL server %q", w.names.Database, w.server.Name).
			WithHint("it held data, so it is not made again silently: restore it under its name, or destroy the resource and request a new one")
	}
	return nil
}

// verifiers are the SCRAM verifiers that Apply sets; Plan and Observe have none.
type verifiers map[string]string

// compare gives the changes in an order that works as one transaction. The
// world must have passed check.
func (w *want) compare(wd *world, set verifiers) []change {
	var out []change
	out = append(out, w.compareOwner(wd)...)
	out = append(out, w.compareLogin(wd, w.state.Active, set)...)
	idle := other(w.state.Active)
	if wd.roles[w.names.login(idle)] != nil {
		out = append(out, w.compareIdle(wd, idle)...)
	}
	out = append(out, w.compareDatabase(wd)...)
	return out
}

func (w *want) compareOwner(wd *world) []change {
	name := w.names.Owner
	r := wd.roles[name]
	if r == nil {
		sql := `CREATE ROLE ` + ident(name) + ` NOLOGIN; COMMENT ON ROLE ` + ident(name) + ` IS ` + literal(w.marker.String())
		if !wd.facts.superuser {
			sql += `; GRANT ` + ident(name) + ` TO CURRENT_USER`
		}
		out := []change{{kind: "role", name: name, action: engine.Create, want: map[string]any{"login": false}, reason: "owns the database", sql: sql}}
		return append(out, w.compareFormer(wd, nil)...)
	}
	out := w.compareFlags(r, false)
	allowed := []string{w.names.A, w.names.B, wd.facts.user, w.former(wd)}
	out = append(out, w.compareFormer(wd, r)...)
	for _, m := range without(r.members, allowed...) {
		out = append(out, change{kind: "role", name: name, action: engine.Update, field: "member." + m, want: false, got: true,
			reason: "only the resource's log-ins may be the owner", sql: wd.facts.revoke(name, m)})
	}
	return append(out, w.compareMemberOf(wd.facts, r, nil)...)
}

// compareFormer lets who owned an adopted database go on using it, as the owner
// role, until a rotation is over.
func (w *want) compareFormer(wd *world, owner *seenRole) []change {
	former := w.former(wd)
	if w.existed || former == "" || former == w.names.Owner || owner != nil && slices.Contains(owner.members, former) {
		return nil
	}
	return []change{{kind: "role", name: w.names.Owner, action: engine.Update, field: "member." + former, want: true, got: false,
		reason: "owned the database until now; its credentials work until they are rotated",
		sql:    `GRANT ` + ident(w.names.Owner) + ` TO ` + ident(former),
		late:   `ALTER ROLE ` + ident(former) + ` IN DATABASE ` + ident(w.names.Database) + ` SET role = ` + literal(w.names.Owner)}}
}

// compareLogin compares the log-in that must work, or of what is stopped must not.
func (w *want) compareLogin(wd *world, which string, set verifiers) []change {
	name := w.names.login(which)
	r := wd.roles[name]
	become := `ALTER ROLE ` + ident(name) + ` IN DATABASE ` + ident(w.names.Database) + ` SET role = ` + literal(w.names.Owner)
	if r == nil {
		can := ` LOGIN`
		if w.paused {
			can = ` NOLOGIN`
		}
		sql := `CREATE ROLE ` + ident(name) + can + ` PASSWORD ` + literal(set[name]) + ` IN ROLE ` + ident(w.names.Owner) +
			`; COMMENT ON ROLE ` + ident(name) + ` IS ` + literal(w.marker.String())
		if !wd.facts.superuser {
			sql += `; GRANT ` + ident(name) + ` TO CURRENT_USER`
		}
		return []change{{kind: "role", name: name, action: engine.Create, want: map[string]any{"login": !w.paused, "password": redact.Shown, "memberOf": []string{w.names.Owner}},
			reason: "logs in", sql: sql, late: become}}
	}
	out := w.compareFlags(r, !w.paused)
	if v, ok := set[name]; ok {
		out = append(out, change{kind: "role", name: name, action: engine.Update, field: "password", want: redact.Shown, got: redact.Shown,
			reason: "the password is not the recorded one", sql: `ALTER ROLE ` + ident(name) + ` PASSWORD ` + literal(v)})
	} else if w.passwordDrifted(wd, name) {
		out = append(out, change{kind: "role", name: name, action: engine.Update, field: "password", want: redact.Shown, got: redact.Shown,
			reason: "the password is not the recorded one"})
	}
	if !slices.Contains(r.memberOf, w.names.Owner) || wd.roles[w.names.Owner] == nil {
		out = append(out, change{kind: "role", name: name, action: engine.Update, field: "member_of." + w.names.Owner, want: true, got: false,
			reason: "must be able to become the owner", sql: `GRANT ` + ident(w.names.Owner) + ` TO ` + ident(name)})
	}
	out = append(out, w.compareMemberOf(wd.facts, r, []string{w.names.Owner})...)
	if !slices.Contains(r.becomes, w.names.Database+":role="+w.names.Owner) {
		out = append(out, change{kind: "role", name: name, action: engine.Update, field: "becomes", want: w.names.Owner, got: nil,
			reason: "all that it makes must belong to the owner", late: become})
	}
	return out
}

// passwordDrifted tells whether someone else set the password since it was noted.
func (w *want) passwordDrifted(wd *world, name string) bool {
	noted, seen := w.state.Verifiers[name], wd.roles[name]
	return seen != nil && wd.facts.passwords && w.existed && noted != "" && seen.verifier != noted
}

// compareIdle compares the other log-in: during an overlap it may work with the
// password that was noted, else it must not. Stopping ends an overlap.
func (w *want) compareIdle(wd *world, which string) []change {
	name := w.names.login(which)
	r := wd.roles[name]
	if r.login && (w.paused || !w.state.Overlap || w.passwordDrifted(wd, name)) {
		return []change{{kind: "role", name: name, action: engine.Update, field: "login", want: false, got: true,
			reason: "its credentials were not issued, or were retired", sql: `ALTER ROLE ` + ident(name) + ` NOLOGIN PASSWORD NULL`}}
	}
	out := w.compareFlags(r, r.login)
	return append(out, w.compareMemberOf(wd.facts, r, []string{w.names.Owner})...)
}

// revoke takes a membership away, whoever granted it. From 16 on PostgreSQL
// keeps a grant for each grantor, and REVOKE takes only the caller's own, with
// no more than a warning about others.
func (f *facts) revoke(role, member string) string {
	if f.version < 160000 {
		return `REVOKE ` + ident(role) + ` FROM ` + ident(member) + ` CASCADE`
	}
	return `DO ` + literal(`DECLARE g name; BEGIN
  FOR g IN SELECT pg_get_userbyid(a.grantor) FROM pg_auth_members a
    WHERE a.roleid = (SELECT oid FROM pg_roles WHERE rolname = `+literal(role)+`) AND a.member = (SELECT oid FROM pg_roles WHERE rolname = `+literal(member)+`)
  LOOP EXECUTE format('REVOKE %I FROM %I GRANTED BY %I CASCADE', `+literal(role)+`, `+literal(member)+`, g); END LOOP;
END`)
}

var unflag = map[string]string{
	"superuser": "NOSUPERUSER", "createdb": "NOCREATEDB", "createrole": "NOCREATEROLE", "replication": "NOREPLICATION",
	"bypassrls": "NOBYPASSRLS", "noinherit": "INHERIT", "expires": "VALID UNTIL 'infinity'",
}

func (w *want) compareFlags(r *seenRole, login bool) []change {
	var out []change
	add := func(field string, want, got any, option string) {
		out = append(out, change{kind: "role", name: r.name, action: engine.Update, field: field, want: want, got: got,
			reason: "changed outside Fairlead", sql: `ALTER ROLE ` + ident(r.name) + ` ` + option})
	}
	for _, f := range r.flags {
		add(f, false, true, unflag[f])
	}
	if r.login != login {
		add("login", login, r.login, map[bool]string{true: "LOGIN", false: "NOLOGIN"}[login])
	}
	if r.limit != -1 {
		add("connection_limit", -1, int(r.limit), "CONNECTION LIMIT -1")
	}
	return out
}

func (w *want) compareMemberOf(f *facts, r *seenRole, allowed []string) []change {
	var out []change
	for _, m := range without(r.memberOf, allowed...) {
		out = append(out, change{kind: "role", name: r.name, action: engine.Update, field: "member_of." + m, want: false, got: true,
			reason: "a tenant's role has no rights beyond its database", sql: f.revoke(m, r.name)})
	}
	return out
}

func (w *want) compareDatabase(wd *world) []change {
	name := w.names.Database
	if wd.db == nil {
		return []change{{kind: "database", name: name, action: engine.Create, reason: "holds the data", want: map[string]any{
			"owner": w.names.Owner, "connection_limit": w.limit, "extensions": append([]string{}, w.extensions...), "public": "nothing",
		}}}
	}
	var out []change
	add := func(field string, want, got any, why, sql string) {
		out = append(out, change{kind: "database", name: name, action: engine.Update, field: field, want: want, got: got, reason: why, sql: sql})
	}
	db, q := wd.db, ident(name)
	if db.owner != w.names.Owner {
		add("owner", w.names.Owner, db.owner, "the owner role must own it", `ALTER DATABASE `+q+` OWNER TO `+ident(w.names.Owner))
	}
	if !w.marks(db.comment) {
		add("marker", w.ref.ID, nil, "says whose it is", `COMMENT ON DATABASE `+q+` IS `+literal(w.marker.String()))
	}
	for _, g := range db.grantees {
		switch g {
		case "PUBLIC":
			add("grant.PUBLIC", false, true, "nobody else may connect", `REVOKE ALL ON DATABASE `+q+` FROM PUBLIC CASCADE`)
		case "", w.names.Owner: // a dropped role has no access; the owner's own grants move with the ownership
		default:
			if db.owner != w.names.Owner && g == db.owner {
				continue
			}
			add("grant."+g, false, true, "nobody else may connect", `REVOKE ALL ON DATABASE `+q+` FROM `+ident(g)+` CASCADE`)
		}
	}
	if db.ownerACL < 3 {
		add("grant."+w.names.Owner, true, false, "the owner must be able to use it", `GRANT ALL ON DATABASE `+q+` TO `+ident(w.names.Owner))
	}
	if db.isTemplate {
		add("is_template", false, true, "a template can be copied by others", `ALTER DATABASE `+q+` IS_TEMPLATE false`)
	}
	if int(db.limit) != w.limit {
		add("connection_limit", w.limit, int(db.limit), "the limit differs", `ALTER DATABASE `+q+` CONNECTION LIMIT `+strconv.Itoa(w.limit))
	}
	if !db.open { // last: only a whole database is opened
		add("allow_connections", true, false, "it is closed", `ALTER DATABASE `+q+` ALLOW_CONNECTIONS true`)
	}
	return out
}

// fresh is a database as createDatabase leaves it, so that one comparison
// serves new and old.
func (w *want) fresh(f *facts) *seenDatabase {
	return &seenDatabase{name: w.names.Database, owner: f.user, limit: fingerprint(w.ref.Installation, w.ref.ID), ownerACL: 3, grantees: []string{"PUBLIC"}}
}

func (c change) String() string { return fmt.Sprintf("%s %s %s", c.action, c.address(), c.field) }

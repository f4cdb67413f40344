package postgres

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"fairlead/internal/engine"
	"fairlead/internal/fault"
)

// ejected is a resource's database as it is, with what look does not read.
type ejected struct {
	*want
	world      *world
	encoding   string
	collate    string
	ctype      string
	extensions []string
	settings   [][3]string // role ("" for all), name, value; of this database
	passwords  map[string]string
}

// Eject implements engine.Ejector: SQL that makes the same roles and the same
// database wherever it is run, and changes nothing where they are.
func (e *Engine) Eject(ctx context.Context, req engine.Request, reveal bool) ([]engine.File, error) {
	w, err := e.readToObserve(req)
	if err != nil {
		return nil, err
	}
	x := &ejected{want: w, passwords: map[string]string{}}
	err = w.server.with(ctx, "eject", func(ctx context.Context, c *pgxpool.Conn) error { return x.look(ctx, c.Conn()) })
	if err != nil {
		return nil, err
	}
	if reveal && req.Previous != nil {
		if p := req.Previous.Outputs["password"].Secret; !p.Empty() {
			x.passwords[w.names.login(w.state.Active)] = p.Reveal()
		}
	}
	return []engine.File{
		{Path: "README.md", Data: []byte(x.readme(reveal))},
		{Path: "database.sql", Data: []byte(x.sql())},
		{Path: "forget-fairlead.sql", Data: []byte(x.forget())},
	}, nil
}

// Release implements engine.Ejector. The engine keeps nothing of a resource;
// markers are on the objects, and those are not touched.
func (*Engine) Release(context.Context, engine.Request) error { return nil }

func (x *ejected) look(ctx context.Context, c *pgx.Conn) error {
	seen, err := look(ctx, c, x.server.facts.Load(), []*want{x.want})
	if err != nil {
		return err
	}
	x.world = seen[x.want]
	if x.world.db == nil || !x.world.ownsDatabase(x.want) {
		return fault.New(fault.Conflict, "resource_lost", "the database %s is gone from PostgreSQL server %q", x.names.Database, x.server.Name).
			WithHint("restore it under its name first")
	}
	err = c.QueryRow(ctx, `SELECT pg_encoding_to_char(encoding), datcollate, datctype FROM pg_database WHERE datname = $1`, x.names.Database).
		Scan(&x.encoding, &x.collate, &x.ctype)
	if err != nil {
		return err
	}
	rows, err := c.Query(ctx, `SELECT coalesce(r.rolname::text, ''), split_part(g, '=', 1), substr(g, strpos(g, '=') + 1)
		FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase LEFT JOIN pg_roles r ON r.oid = s.setrole, unnest(s.setconfig) g
		WHERE d.datname = $1 ORDER BY 1, 2`, x.names.Database)
	if err != nil {
		return err
	}
	x.settings, err = pgx.CollectRows(rows, func(r pgx.CollectableRow) (v [3]string, err error) {
		err = r.Scan(&v[0], &v[1], &v[2])
		return v, err
	})
	x.extensions = slices.Clone(x.state.Extensions)
	return err
}

// lists are settings whose value is a list of names: PostgreSQL keeps them
// quoted already.
var lists = []string{"search_path", "temp_tablespaces", "local_preload_libraries", "session_preload_libraries"}

// sql is a script for psql.
func (x *ejected) sql() string {
	var b strings.Builder
	say := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	db := x.names.Database
	say("-- The roles and the database of a resource, as they are. Run it as an administrator:\n--\n--     psql -v ON_ERROR_STOP=1 -f database.sql postgres\n--\n-- Where they are already, it changes nothing; a password that is in it is set again.\n")
	say("SET standard_conforming_strings = on;\n")
	for _, name := range x.names.roles() {
		r := x.world.roles[name]
		if r == nil || !x.world.ownsRole(x.want, name) {
			continue
		}
		can := "NOLOGIN"
		if r.login {
			can = "LOGIN"
		}
		say("SELECT %s WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = %s) \\gexec", literal("CREATE ROLE "+ident(name)), literal(name))
		say("ALTER ROLE %s %s CONNECTION LIMIT %d;", ident(name), can, r.limit)
		if p, ok := x.passwords[name]; ok {
			say("ALTER ROLE %s PASSWORD %s;", ident(name), literal(p))
		} else if r.login {
			say("-- its password is not here; give it one with: \\password %s", name)
		}
	}
	for _, name := range x.names.roles() {
		if r := x.world.roles[name]; r != nil && x.world.ownsRole(x.want, name) {
			for _, of := range r.memberOf {
				say("GRANT %s TO %s;", ident(of), ident(name))
			}
		}
	}
	say("")
	create := fmt.Sprintf("CREATE DATABASE %s OWNER %s TEMPLATE template0 ENCODING %s LC_COLLATE %s LC_CTYPE %s",
		ident(db), ident(x.world.db.owner), literal(x.encoding), literal(x.collate), literal(x.ctype))
	say("SELECT %s WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = %s) \\gexec", literal(create), literal(db))
	say("ALTER DATABASE %s OWNER TO %s;", ident(db), ident(x.world.db.owner))
	say("ALTER DATABASE %s CONNECTION LIMIT %d;", ident(db), x.world.db.limit)
	if !slices.Contains(x.world.db.grantees, "PUBLIC") {
		say("REVOKE ALL ON DATABASE %s FROM PUBLIC;", ident(db))
	}
	say("GRANT ALL ON DATABASE %s TO %s;", ident(db), ident(x.world.db.owner))
	for _, s := range x.settings {
		value := literal(s[2])
		if slices.Contains(lists, s[1]) {
			if strings.ContainsAny(s[2], "\n\r;\\") {
				continue
			}
			value = s[2]
		}
		if s[0] == "" {
			say("ALTER DATABASE %s SET %s TO %s;", ident(db), ident(s[1]), value)
			continue
		}
		say("ALTER ROLE %s IN DATABASE %s SET %s TO %s;", ident(s[0]), ident(db), ident(s[1]), value)
	}
	if len(x.extensions) > 0 {
		say("\n\\connect -reuse-previous=on %s", ident(conninfo(db)))
		for _, ext := range x.extensions {
			say("CREATE EXTENSION IF NOT EXISTS %s SCHEMA public;", ident(ext))
		}
	}
	return b.String()
}

// forget takes the markers away.
func (x *ejected) forget() string {
	var b strings.Builder
	b.WriteString("-- Takes away what says that Fairlead looks after these objects. Run it once Fairlead has let go\n-- (fairlead eject NAME --reveal --release), as an administrator:\n--\n--     psql -v ON_ERROR_STOP=1 -f forget-fairlead.sql postgres\n\n")
	fmt.Fprintf(&b, "COMMENT ON DATABASE %s IS NULL;\n", ident(x.names.Database))
	for _, name := range x.names.roles() {
		if x.world.ownsRole(x.want, name) {
			fmt.Fprintf(&b, "COMMENT ON ROLE %s IS NULL;\n", ident(name))
		}
	}
	return b.String()
}

func (x *ejected) readme(reveal bool) string {
	var b strings.Builder
	say := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	db, host, port := x.names.Database, x.server.host, x.server.port
	say("# %s, without Fairlead\n", x.ref.Name)
	say("The database `%s` on %s:%d, owned by the role `%s`; `%s` logs in. Nothing of it was changed: who uses it goes on.\n",
		db, host, port, x.world.db.owner, x.names.login(x.state.Active))
	say("| File | What it is |\n|---|---|")
	say("| `database.sql` | the roles, the database, grants and settings; makes them where they are not |")
	say("| `forget-fairlead.sql` | takes Fairlead's markers away |\n")
	if reveal {
		say("`database.sql` **holds a password in the clear**: keep it as you keep passwords.\n")
	} else {
		say("Passwords were not asked for (`--reveal`). They still work; nobody can read them from the server.\n")
	}
	say("## Go on where it is\n\nNothing needs to be done. An administrator changes the password, the limit, the owner:\n")
	say("    psql -h %s -p %d -U ADMIN -d postgres -c '\\password %s'", host, port, x.names.login(x.state.Active))
	say("    psql -h %s -p %d -U ADMIN -d postgres -c %s\n", host, port, pasted("ALTER DATABASE "+ident(db)+" CONNECTION LIMIT 100"))
	say("## Move it to another server\n")
	say("    psql -h OTHER -U ADMIN -d postgres -v ON_ERROR_STOP=1 -f database.sql")
	say("    pg_dump -h %s -p %d -U ADMIN -Fc -f database.dump -d %s", host, port, pastedDatabase(db))
	say("    pg_restore -h OTHER -U ADMIN --exit-on-error -d %s database.dump\n", pastedDatabase(db))
	say("## Who manages it\n\nAs long as Fairlead does, it heals what differs. It lets go, and touches nothing, with\n\n    fairlead eject %s -e %s/%s --reveal --release\n", x.ref.Name, x.ref.Project, x.ref.Environment)
	say("Then `forget-fairlead.sql` takes the markers away. The way back is `fairlead adopt TEMPLATE %s -e %s/%s --object %s`.", x.ref.Name, x.ref.Project, x.ref.Environment, pasted(adoptedKind+db))
	return b.String()
}

// pasted is a word of a command that somebody pastes into a shell: an adopted
// database has whatever name it was given.
func pasted(word string) string {
	if plainWord(word) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// pastedDatabase names a database to one of PostgreSQL's programs there.
func pastedDatabase(name string) string {
	if plainWord(name) {
		return name
	}
	return pasted(conninfo(name))
}

func plainWord(s string) bool {
	return strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789_/") == ""
}

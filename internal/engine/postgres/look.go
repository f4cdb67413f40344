package postgres

import (
	"context"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// seenDatabase is a database of one of our names, as it is.
type seenDatabase struct {
	name       string
	comment    []byte
	owner      string
	limit      int32
	open       bool // lets anyone connect
	isTemplate bool
	ownerACL   int      // how many of the three privileges its owner has
	grantees   []string // others who have any; "PUBLIC" too
}

// seenRole is a role of one of our names, as it is.
type seenRole struct {
	name     string
	comment  []byte
	login    bool
	limit    int32
	flags    []string // what a tenant's role must not have, and "noinherit", "expires"
	members  []string // who is a member of it
	memberOf []string // what it is a member of
	becomes  []string // "database:role=…": what it becomes when it logs in
	verifier string   // hash of it; "" when none or not readable
}

// world is what was seen of one resource.
type world struct {
	facts *facts
	db    *seenDatabase
	roles map[string]*seenRole
}

// lookSQL sees any number of resources at once. Comments travel as the bytes
// they are, cut short: one database's comment must not spoil the others'.
// %PASSWORD% and %AUTHID% depend on whether verifiers may be read.
const lookSQL = `
SELECT 'd', d.datname::text, substring(textsend(c.description) FROM 1 FOR 4096), coalesce(o.rolname::text, ''), d.datconnlimit, d.datallowconn, d.datistemplate,
  (SELECT count(DISTINCT x.privilege_type)::int FROM aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) x WHERE x.grantee = d.datdba),
  ARRAY(SELECT DISTINCT CASE WHEN x.grantee = 0 THEN 'PUBLIC' ELSE coalesce(g.rolname::text, '') END
    FROM aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) x LEFT JOIN pg_roles g ON g.oid = x.grantee WHERE x.grantee <> d.datdba ORDER BY 1),
  NULL::text[], NULL::text[], NULL::text[], ''
FROM pg_database d LEFT JOIN pg_roles o ON o.oid = d.datdba
LEFT JOIN pg_shdescription c ON c.objoid = d.oid AND c.classoid = 'pg_database'::regclass
WHERE d.datname = ANY ($1::name[])
UNION ALL
SELECT 'r', r.rolname::text, substring(textsend(c.description) FROM 1 FOR 4096), '', r.rolconnlimit, r.rolcanlogin, false, 0,
  array_remove(ARRAY[CASE WHEN r.rolsuper THEN 'superuser' END, CASE WHEN r.rolcreatedb THEN 'createdb' END, CASE WHEN r.rolcreaterole THEN 'createrole' END,
    CASE WHEN r.rolreplication THEN 'replication' END, CASE WHEN r.rolbypassrls THEN 'bypassrls' END,
    CASE WHEN NOT r.rolinherit THEN 'noinherit' END, CASE WHEN r.rolvaliduntil < 'infinity' THEN 'expires' END], NULL),
  ARRAY(SELECT DISTINCT m.rolname::text FROM pg_auth_members a JOIN pg_roles m ON m.oid = a.member WHERE a.roleid = r.oid ORDER BY 1),
  ARRAY(SELECT DISTINCT m.rolname::text FROM pg_auth_members a JOIN pg_roles m ON m.oid = a.roleid WHERE a.member = r.oid ORDER BY 1),
  ARRAY(SELECT b.datname || ':' || g FROM pg_db_role_setting s JOIN pg_database b ON b.oid = s.setdatabase, unnest(s.setconfig) g
    WHERE s.setrole = r.oid AND g LIKE 'role=%' ORDER BY 1),
  %PASSWORD%
FROM pg_roles r %AUTHID%
LEFT JOIN pg_shdescription c ON c.objoid = r.oid AND c.classoid = 'pg_authid'::regclass
WHERE r.rolname = ANY ($2::name[])`

var lookWithVerifiers = strings.NewReplacer(
	"%PASSWORD%", "coalesce(encode(sha256(convert_to(p.rolpassword, 'UTF8')), 'hex'), '')",
	"%AUTHID%", "JOIN pg_authid p ON p.oid = r.oid").Replace(lookSQL)

var lookWithout = strings.NewReplacer("%PASSWORD%", "''", "%AUTHID%", "").Replace(lookSQL)

// look sees the databases and roles of many resources with one query.
func look(ctx context.Context, c *pgx.Conn, f *facts, wants []*want) (map[*want]*world, error) {
	databases, roles := make([]string, 0, len(wants)), make([]string, 0, 3*len(wants))
	for _, w := range wants {
		databases, roles = append(databases, w.names.Database), append(roles, w.names.roles()...)
	}
	sql := lookWithout
	if f.passwords {
		sql = lookWithVerifiers
	}
	rows, err := c.Query(ctx, sql, databases, roles)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	dbs, rls := map[string]*seenDatabase{}, map[string]*seenRole{}
	for rows.Next() {
		var kind, name, owner, verifier string
		var comment []byte
		var limit int32
		var can, isTemplate bool
		var ownerACL int
		var list, members, memberOf, becomes []string
		if err := rows.Scan(&kind, &name, &comment, &owner, &limit, &can, &isTemplate, &ownerACL, &list, &members, &memberOf, &becomes, &verifier); err != nil {
			return nil, err
		}
		if kind == "d" {
			dbs[name] = &seenDatabase{name, comment, owner, limit, can, isTemplate, ownerACL, list}
		} else {
			rls[name] = &seenRole{name, comment, can, limit, list, members, memberOf, becomes, verifier}
		}
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	seen := make(map[*want]*world, len(wants))
	for _, w := range wants {
		wd := &world{facts: f, db: dbs[w.names.Database], roles: map[string]*seenRole{}}
		for _, r := range w.names.roles() {
			if rls[r] != nil {
				wd.roles[r] = rls[r]
			}
		}
		seen[w] = wd
	}
	return seen, nil
}

// look sees one resource in the session that holds its lock.
func (ses *session) look(w *want) (wd *world, err error) {
	err = ses.query("look", func(ctx context.Context, c *pgx.Conn) error {
		seen, err := look(ctx, c, ses.facts.Load(), []*want{w})
		wd = seen[w]
		return err
	})
	return wd, err
}

func (w *want) marks(comment []byte) bool {
	m, ok := readMarker(comment)
	return ok && m.Installation == w.ref.Installation && m.Resource == w.ref.ID
}

// unfinished tells whether the database is one that a killed Apply left: see
// the package's comment.
func (wd *world) unfinished(w *want) bool {
	return wd.db != nil && !wd.db.open && wd.db.limit == fingerprint(w.ref.Installation, w.ref.ID)
}

// ownsDatabase tells whether the database of our name is the resource's.
func (wd *world) ownsDatabase(w *want) bool {
	if wd.db == nil {
		return false
	}
	owner := wd.roles[wd.db.owner]
	return wd.unfinished(w) || w.marks(wd.db.comment) || owner != nil && w.marks(owner.comment)
}

func (wd *world) ownsRole(w *want, name string) bool {
	r := wd.roles[name]
	return r != nil && w.marks(r.comment)
}

// foreign names the objects of our names that are not ours.
func (wd *world) foreign(w *want) []string {
	var f []string
	if wd.db != nil && !wd.ownsDatabase(w) {
		f = append(f, "database "+w.names.Database)
	}
	for _, name := range w.names.roles() {
		if wd.roles[name] != nil && !wd.ownsRole(w, name) {
			f = append(f, "role "+name)
		}
	}
	return f
}

// ours counts the objects that are ours.
func (wd *world) ours(w *want) int {
	n := 0
	if wd.ownsDatabase(w) {
		n++
	}
	for name := range wd.roles {
		if wd.ownsRole(w, name) {
			n++
		}
	}
	return n
}

func without(list []string, drop ...string) []string {
	var kept []string
	for _, x := range list {
		if !slices.Contains(drop, x) {
			kept = append(kept, x)
		}
	}
	return kept
}

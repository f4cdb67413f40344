package postgres

import (
	"context"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"

	"fairlead/internal/engine"
)

// Owned is one external object that this installation made, or seems to have.
type Owned struct {
	engine.Object
	Server   string
	Resource string // whose it is; "" for the pool's and the suspect
	Pool     string // id within the pool
	Suspect  string // why a person should look at it; "" when all is well
	// Unfinished is a database that nobody can connect to yet. Only its own
	// resource can tell that it is not another installation's.
	Unfinished bool
}

const objectsQuery = `
SELECT 'database', d.datname::text, coalesce(substring(textsend(c.description) FROM 1 FOR 4096), ''), coalesce(substring(textsend(oc.description) FROM 1 FOR 4096), ''),
  d.datconnlimit >= 1073741824 AND NOT d.datallowconn
FROM pg_database d
LEFT JOIN pg_shdescription c ON c.objoid = d.oid AND c.classoid = 'pg_database'::regclass
LEFT JOIN pg_shdescription oc ON oc.objoid = d.datdba AND oc.classoid = 'pg_authid'::regclass
UNION ALL
SELECT 'role', r.rolname::text, coalesce(substring(textsend(c.description) FROM 1 FOR 4096), ''), '', false
FROM pg_roles r JOIN pg_shdescription c ON c.objoid = r.oid AND c.classoid = 'pg_authid'::regclass
ORDER BY 1, 2`

// Objects lists all that carries this installation's marker, on all servers,
// with the pool, and unfinished databases that carry a fingerprint: for the
// check that every object has one record, and for the report of a restore. A
// name that does not fit its marker is suspect: a tenant may write any comment
// on its own database, but cannot rename it.
func (e *Engine) Objects(ctx context.Context) ([]Owned, error) {
	var out []Owned
	for _, name := range e.names {
		s := e.servers[name]
		err := s.with(ctx, "objects", func(ctx context.Context, c *pgxpool.Conn) error {
			rows, err := c.Query(ctx, objectsQuery)
			if err != nil {
				return err
			}
			defer rows.Close()
			for rows.Next() {
				var kind, name string
				var comment, ownerComment []byte
				var unfinished bool
				if err := rows.Scan(&kind, &name, &comment, &ownerComment, &unfinished); err != nil {
					return err
				}
				if o, ours := e.owned(s, kind, name, comment, ownerComment, unfinished); ours {
					out = append(out, o)
				}
			}
			return rows.Err()
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (e *Engine) owned(s *server, kind, name string, comment, ownerComment []byte, unfinished bool) (Owned, bool) {
	o := Owned{Object: s.object(kind, name), Server: s.Name}
	m, ok := readMarker(ownerComment) // the owner role's word counts more: no tenant can change it
	said, marked := readMarker(comment)
	adopted := ok && marked && kind == "database" && said.Adopted && said.Resource == m.Resource
	if !ok {
		m, ok = said, marked
	}
	switch {
	case ok && m.Installation != e.opt.Installation:
		return o, false
	case ok && m.Pool != "":
		o.Pool = m.Pool
		if strings.TrimSuffix(name, "_a") != poolPrefix+m.Pool {
			o.Suspect = "its marker is a prepared database's, its name is not"
		}
	case ok:
		o.Resource = m.Resource
		base := name
		if kind == "role" {
			base = strings.TrimSuffix(strings.TrimSuffix(base, "_a"), "_b")
		}
		if !adopted && !strings.HasSuffix(base, "_"+shortHash(m.Installation, m.Resource)) {
			o.Resource, o.Suspect = "", "its marker names a resource whose objects have other names"
		}
	case unfinished && strings.HasPrefix(name, poolPrefix):
		id := strings.TrimPrefix(name, poolPrefix)
		o.Pool, o.Unfinished, o.Suspect = id, true, "it is being made, or its making was cut off; the pool's sweep drops it"
	case unfinished:
		o.Unfinished, o.Suspect = true, "it is being made, or its making was cut off; the next run of its resource finishes it"
	default:
		return o, false
	}
	return o, true
}

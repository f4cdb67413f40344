package postgres_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"fairlead/internal/engine"
	"fairlead/internal/engine/enginetest"
	"fairlead/internal/engine/postgres"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	enginetest.Run(t, harness(func(*postgres.Options) {}))
}

// deleting says what is to be found of a tamper that takes an object away.
func deleting(t enginetest.Tamper) enginetest.Tamper {
	t.Cause = engine.CauseDeleted
	return t
}

func harness(change func(*postgres.Options)) enginetest.Harness {
	prefix := unique("c")
	prefix = "c" + strings.ReplaceAll(prefix[len(prefix)-6:], "-", "x") // as it is in the objects' names
	tamper := func(name, format string) enginetest.Tamper {
		return enginetest.Tamper{Name: name, Severity: engine.Heal, Do: func(t *testing.T, res engine.Result) {
			db := text(res, "database")
			admin(t, fmt.Sprintf(format, quote(db), quote(text(res, "username"))))
		}}
	}
	return enginetest.Harness{
		New: func(t *testing.T, onCall func(string)) engine.Engine {
			return newEngine(t, change, func(o *postgres.Options) { o.OnCall = onCall })
		},
		Request: func(_ *testing.T, name string) engine.Request { return request(prefix + name) },
		Change: func(req engine.Request) engine.Request {
			req.Inputs = map[string]any{"connectionLimit": 9.0, "extensions": []any{"hstore"}}
			return req
		},
		Invalid: map[string]func(engine.Request) engine.Request{
			"an extension off the list": func(r engine.Request) engine.Request {
				r.Inputs = map[string]any{"extensions": []any{"plpython3u"}}
				return r
			},
			"SQL for an extension": func(r engine.Request) engine.Request {
				r.Inputs = map[string]any{"extensions": []any{`hstore"; DROP DATABASE postgres; --`}}
				return r
			},
			"an allowed extension that the server lacks": func(r engine.Request) engine.Request {
				r.Inputs = map[string]any{"extensions": []any{"vector"}}
				return r
			},
			"a limit of nothing":       func(r engine.Request) engine.Request { r.Inputs = map[string]any{"connectionLimit": 0.0}; return r },
			"a limit that is a text":   func(r engine.Request) engine.Request { r.Inputs = map[string]any{"connectionLimit": "9"}; return r },
			"a spec of another engine": func(r engine.Request) engine.Request { r.Template.Spec = json.RawMessage(`{"module":"x"}`); return r },
		},
		World: func(t *testing.T) string { return picture(t, prefix+"%") },
		Adoptable: func(t *testing.T, name string) (engine.Request, engine.Adoption) {
			db := prefix + "old_" + name
			admin(t, `CREATE ROLE `+quote(db)+` LOGIN`, `CREATE DATABASE `+quote(db)+` OWNER `+quote(db))
			t.Cleanup(func() { admin(t, `DROP DATABASE IF EXISTS `+quote(db)+` WITH (FORCE)`, `DROP ROLE `+quote(db)) })
			if err := as(t.Context(), shared.URL(db), `SET ROLE `+quote(db), `CREATE TABLE kept (n serial PRIMARY KEY); INSERT INTO kept DEFAULT VALUES`); err != nil {
				t.Fatal(err)
			}
			req := request(prefix + name)
			return req, engine.Adoption{Object: "database/" + db}
		},
		Use: use,
		Lose: func(t *testing.T, res engine.Result) {
			admin(t, `DROP DATABASE `+quote(text(res, "database"))+` WITH (FORCE)`)
		},
		Foreign: func(t *testing.T, req engine.Request) func() bool {
			name := postgres.DatabaseName(req.Ref)
			admin(t, `CREATE DATABASE `+quote(name)) // by our own administrator, even
			t.Cleanup(func() { admin(t, `DROP DATABASE `+quote(name)) })
			before := picture(t, name+"%")
			return func() bool { return picture(t, name+"%") == before }
		},
		Poison: func(t *testing.T, res engine.Result) {
			admin(t, `COMMENT ON DATABASE `+quote(text(res, "database"))+` IS '{"fairlead": {"\u0000": [[['`)
		},
		Tampers: []enginetest.Tamper{
			tamper("GrantToPublic", `GRANT CONNECT ON DATABASE %[1]s TO PUBLIC`),
			tamper("GrantToAnother", `GRANT ALL ON DATABASE %[1]s TO %[2]s WITH GRANT OPTION`),
			tamper("Owner", `ALTER DATABASE %[1]s OWNER TO CURRENT_USER`),
			tamper("OwnerLosesConnect", `REVOKE CONNECT ON DATABASE %[1]s FROM %[1]s`),
			tamper("ConnectionLimit", `ALTER DATABASE %[1]s CONNECTION LIMIT 3`),
			tamper("Closed", `ALTER DATABASE %[1]s ALLOW_CONNECTIONS false`),
			tamper("Template", `ALTER DATABASE %[1]s IS_TEMPLATE true`),
			tamper("CommentGone", `COMMENT ON DATABASE %[1]s IS NULL`),
			tamper("CommentForged", `COMMENT ON DATABASE %[1]s IS '{"fairlead":"inst-test","resource":"res-of-another"}'`),
			tamper("Superuser", `ALTER ROLE %[2]s SUPERUSER CREATEDB CREATEROLE BYPASSRLS REPLICATION`),
			tamper("NoLogin", `ALTER ROLE %[2]s NOLOGIN`),
			tamper("OwnerLogsIn", `ALTER ROLE %[1]s LOGIN`),
			tamper("Expired", `ALTER ROLE %[2]s VALID UNTIL '2001-01-01'`),
			tamper("NoInherit", `ALTER ROLE %[2]s NOINHERIT`),
			tamper("RoleLimit", `ALTER ROLE %[2]s CONNECTION LIMIT 0`),
			tamper("Password", `ALTER ROLE %[2]s PASSWORD 'mine now'`),
			tamper("MemberOfMore", `GRANT pg_read_all_settings TO %[2]s`),
			tamper("NotTheOwnersMember", `REVOKE %[1]s FROM %[2]s`),
			tamper("BecomesNobody", `ALTER ROLE %[2]s IN DATABASE %[1]s RESET role`),
			deleting(tamper("LoginDropped", `DROP ROLE %[2]s`)),
			{Name: "OwnerDropped", Severity: engine.Heal, Cause: engine.CauseDeleted, Do: func(t *testing.T, res engine.Result) {
				db, login := quote(text(res, "database")), quote(text(res, "username"))
				if err := as(t.Context(), shared.URL(text(res, "database")), `DROP OWNED BY `+db+` CASCADE`,
					`CREATE SCHEMA IF NOT EXISTS public; GRANT ALL ON SCHEMA public TO PUBLIC`); err != nil { // before 15 the schema was the owner's, too
					t.Fatal(err)
				}
				admin(t, `ALTER DATABASE `+db+` OWNER TO CURRENT_USER; ALTER ROLE `+login+` IN DATABASE `+db+` RESET role; REVOKE ALL ON DATABASE `+db+` FROM `+db+`; DROP ROLE `+db)
			}},
		},
	}
}

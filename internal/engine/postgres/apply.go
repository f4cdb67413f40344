package postgres

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"

	"fairlead/internal/engine"
	"fairlead/internal/fault"
	"fairlead/internal/redact"
)

// raced are the errors that mean that the world changed between look and act:
// an earlier call's last statement landed, or another taker had the prepared
// database. The answer is to look again.
var raced = []string{"42P04", "42710", "23505", "42704", "3D000", "XX000"}

// Apply implements engine.Engine.
func (e *Engine) Apply(ctx context.Context, req engine.Request, _ engine.Plan, p engine.Progress) (engine.Result, error) {
	w, err := e.read(req)
	if err != nil {
		return engine.Result{}, err
	}
	job := &applying{want: w, progress: p, recorded: previousPassword(req.Previous, w)}
	var res engine.Result
	err = w.server.locked(ctx, lockKey(w.ref.Installation, w.ref.ID), func(ses *session) error {
		if err := job.converge(ses); err != nil {
			return err
		}
		if err := job.settle(ses); err != nil {
			return err
		}
		res, err = job.next.result(w, job.password)
		return err
	})
	if err != nil {
		return engine.Result{}, err
	}
	return res, nil
}

// previousPassword is the recorded one of the active log-in.
func previousPassword(prev *engine.Result, w *want) redact.Secret {
	if prev == nil {
		return redact.Secret{}
	}
	if user, _ := prev.Outputs["username"].Value.(string); user != w.names.login(w.state.Active) {
		return redact.Secret{}
	}
	return prev.Outputs["password"].Secret
}

// applying is one Apply on its way.
type applying struct {
	*want
	progress engine.Progress
	recorded redact.Secret // password of the active log-in, as it was noted; empty when it was not
	password redact.Secret // the one that works after this
	next     state
}

// converge makes roles and database as wanted.
func (a *applying) converge(ses *session) error {
	var err error
	for range 5 {
		if err = a.attempt(ses); !hasCode(err, raced...) {
			return err
		}
	}
	return err
}

func (a *applying) attempt(ses *session) error {
	wd, err := ses.look(a.want)
	if err != nil {
		return err
	}
	if err := a.check(wd); err != nil {
		return err
	}
	if wd.db == nil {
		if len(a.extensions) > 0 {
			if err := ses.query("available", a.available); err != nil {
				return err
			}
		}
	}
	set, err := a.choosePassword(wd)
	if err != nil {
		return err
	}
	var sql []string
	taken := ""
	if wd.db == nil {
		if taken, err = a.make(ses, wd); err != nil {
			return err
		}
		if taken != "" {
			sql = append(sql, `ALTER DATABASE `+ident(taken)+` RENAME TO `+ident(a.names.Database))
		}
	}
	for _, c := range a.compare(wd, set) {
		if c.sql != "" {
			sql = append(sql, c.sql)
			if taken == "" && wd.db.comment != nil {
				a.progress.Step("%s %s %s", c.action, c.address(), c.field)
			}
		}
	}
	if len(sql) > 0 {
		if err := ses.exec("finish", strings.Join(sql, ";\n")); err != nil {
			return err
		}
		a.progress.Step("database %s is owned by role %s, log-in is %s", a.names.Database, a.names.Owner, a.names.login(a.state.Active))
	}
	if taken != "" {
		a.server.e.lostOne()
	}
	return nil
}

// choosePassword decides whether the active log-in gets a verifier: when there
// is no such role, no recorded password, or one that someone else changed.
func (a *applying) choosePassword(wd *world) (verifiers, error) {
	login := a.names.login(a.state.Active)
	a.password = a.recorded
	a.next = a.state
	a.next.Server = a.server.Name
	a.next.Verifiers = maps.Clone(a.state.Verifiers)
	if a.next.Verifiers == nil {
		a.next.Verifiers = map[string]string{}
	}
	if wd.roles[login] != nil && !a.password.Empty() && !a.passwordDrifted(wd, login) {
		return nil, nil
	}
	if a.password.Empty() {
		a.password = newPassword()
	}
	v, err := verifier(a.password)
	if err != nil {
		return nil, fault.New(fault.Internal, "verifier_failed", "the password's verifier could not be made").WithCause(err)
	}
	a.next.Verifiers[login] = hashed(v)
	return verifiers{login: v}, nil
}

// make gives the world a database that is closed and ours: a prepared one,
// whose name it returns, or a new one.
func (a *applying) make(ses *session, wd *world) (string, error) {
	if a.pool && a.server.e.opt.Pool > 0 && a.ref.Installation == a.server.e.opt.Installation {
		name, err := ses.take()
		if err != nil {
			return "", err
		}
		if name != "" {
			a.progress.Step("taking a prepared database")
			wd.db = a.fresh(a.names.Database, wd.facts)
			wd.db.grantees, wd.db.limit = nil, 0
			return name, nil
		}
	}
	a.progress.Step("creating database %s on %s", a.names.Database, a.server.Name)
	if err := ses.createDatabase("create_database", a.names.Database, fingerprint(a.ref.Installation, a.ref.ID)); err != nil {
		return "", err
	}
	wd.db = a.fresh(a.names.Database, wd.facts)
	return "", nil
}

// createDatabase makes a closed database with the fingerprint of whom it is
// for. template0 holds nothing that anyone planted, and nobody is ever
// connected to it.
func (ses *session) createDatabase(op, name string, mark int32) error {
	sql := `CREATE DATABASE ` + ident(name) + ` TEMPLATE template0 ALLOW_CONNECTIONS false CONNECTION LIMIT ` + strconv.Itoa(int(mark))
	if ses.facts.Load().version >= 150000 {
		sql += ` STRATEGY wal_log` // FILE_COPY forces checkpoints: seconds on a busy disk
	}
	return ses.exec(op, sql)
}

// settle does what can only be done inside the database: extensions, and on
// servers before 15 the schema public, which newer ones hand over by themselves.
func (a *applying) settle(ses *session) error {
	f := ses.facts.Load()
	if f.version < 150000 && !a.state.Settled {
		err := a.server.inside(ses.ctx, "schema", a.names.Database,
			`ALTER SCHEMA public OWNER TO `+ident(a.names.Owner)+`; REVOKE CREATE ON SCHEMA public FROM PUBLIC`)
		if err != nil {
			return err
		}
		a.next.Settled = true
	}
	for _, x := range without(a.extensions, a.state.Extensions...) {
		a.progress.Step("installing extension %s", x)
		create := `CREATE EXTENSION IF NOT EXISTS ` + ident(x) + ` SCHEMA public`
		// As the owner first: a script that runs with more than that runs only
		// for extensions that PostgreSQL does not trust.
		err := a.server.inside(ses.ctx, "extension", a.names.Database, `SET ROLE `+ident(a.names.Owner), create)
		if hasCode(err, "42501") {
			err = a.server.inside(ses.ctx, "extension", a.names.Database, create)
		}
		if err != nil {
			return err
		}
	}
	all := append(slices.Clone(a.state.Extensions), a.extensions...)
	slices.Sort(all)
	a.next.Extensions = slices.Compact(all)
	return nil
}

package postgres

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

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
	job := newApplying(w, p, previousPassword(req.Previous, w))
	if job.recorded.Empty() && !job.mayTake() {
		go job.draft() // while the lock is taken and the server is looked at
	}
	var res engine.Result
	err = w.server.lockedFirst(ctx, lockKey(w.ref.Installation, w.ref.ID), req.Check, func(ses *session) error {
		if err := job.converge(ses); err != nil {
			return err
		}
		if err := job.settle(ses); err != nil {
			return err
		}
		if err := job.takeOver(ses); err != nil {
			return err
		}
		if w.paused {
			if err := ses.endSessions(w); err != nil {
				return err
			}
		}
		if job.took {
			ses.unlocked = e.lostOne // only then: the sweep leaves alone what is still locked
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
	draft    func() drafted
	next     state
	took     bool // a prepared database
}

// drafted is a new password with its verifier, which takes a millisecond to make.
type drafted struct {
	password redact.Secret
	verifier string
	err      error
}

func newApplying(w *want, p engine.Progress, recorded redact.Secret) *applying {
	return &applying{want: w, progress: p, recorded: recorded, draft: sync.OnceValue(func() drafted {
		d := drafted{password: newPassword()}
		d.verifier, d.err = verifier(d.password)
		return d
	})}
}

// mayTake tells whether the resource may have a database of the pool.
func (a *applying) mayTake() bool {
	return a.pool && a.server.e.opt.Pool > 0 && a.ref.Installation == a.server.e.opt.Installation && a.state.Active == "a" && !a.paused
}

// converge makes roles and database as wanted.
func (a *applying) converge(ses *session) error {
	var err error
	for i := range 5 {
		if err = a.attempt(ses, i == 0); !hasCode(err, raced...) {
			return err
		}
	}
	return err
}

// attempt looks and acts once. Only the first one takes from the pool, so that a
// prepared database with something amiss does not stand in the way for ever.
func (a *applying) attempt(ses *session, first bool) error {
	wd, err := ses.look(a.want)
	if err != nil {
		return err
	}
	if err := ses.allowed(); err != nil {
		return err
	}
	if err := a.check(wd); err != nil {
		return err
	}
	if wd.db == nil && len(a.extensions) > 0 {
		if err := ses.query("available", a.available); err != nil {
			return err
		}
	}
	if first && wd.db == nil && len(wd.roles) == 0 && a.mayTake() {
		if done, err := a.fromPool(ses, wd); done || err != nil {
			return err
		}
	}
	set, err := a.choosePassword(wd)
	if err != nil {
		return err
	}
	if wd.db != nil {
		changes := a.compare(wd, set)
		if !wd.unfinished(a.want) {
			for _, c := range changes {
				a.progress.Step("%s %s %s", c.action, c.address(), c.field)
			}
		}
		early, late := script(changes)
		return a.finish(ses, early, late)
	}
	wd.db = a.fresh(wd.facts)
	a.progress.Step("creating database %s on %s", a.names.Database, a.server.Name)
	return a.create(ses, a.compare(wd, set))
}

// script is the SQL of changes in two parts: what needs no database, and what
// does.
func script(changes []change) (early, late string) {
	var first, then []string
	for _, c := range changes {
		switch {
		case c.sql == "":
		case c.kind == "database":
			then = append(then, c.sql)
		default:
			first = append(first, c.sql)
		}
		if c.late != "" {
			then = append(then, c.late)
		}
	}
	return strings.Join(first, ";\n"), strings.Join(then, ";\n")
}

// choosePassword decides whether the active log-in gets a verifier: when there
// is no such role, no recorded password, or one that someone else changed.
func (a *applying) choosePassword(wd *world) (verifiers, error) {
	login := a.names.login(a.state.Active)
	a.carryOn()
	if wd.roles[login] != nil && !a.recorded.Empty() && !a.passwordDrifted(wd, login) {
		a.password = a.recorded
		return nil, nil
	}
	var d drafted
	if a.recorded.Empty() {
		d = a.draft()
	} else {
		d.password = a.recorded
		d.verifier, d.err = verifier(a.recorded)
	}
	if d.err != nil {
		return nil, fault.New(fault.Internal, "verifier_failed", "the password's verifier could not be made").WithCause(d.err)
	}
	a.password, a.next.Verifiers[login] = d.password, hashed(d.verifier)
	return verifiers{login: d.verifier}, nil
}

// carryOn begins the state that is noted after this with the one before.
func (a *applying) carryOn() {
	a.next = a.state
	a.next.Server = a.server.Name
	a.next.Verifiers = maps.Clone(a.state.Verifiers)
	if a.next.Verifiers == nil {
		a.next.Verifiers = map[string]string{}
	}
}

// fromPool takes a prepared database and its roles by renaming them, and tells
// whether there was one.
func (a *applying) fromPool(ses *session, wd *world) (bool, error) {
	taken, err := ses.take()
	if err != nil || taken == "" {
		return false, err
	}
	a.took = true
	a.progress.Step("taking a prepared database")
	var set verifiers
	if sp, ok := a.server.e.spare(taken); ok {
		a.carryOn()
		a.password, a.next.Verifiers[a.names.A] = sp.password, sp.hash
	} else if set, err = a.choosePassword(wd); err != nil {
		return true, err
	}
	mark := a.marker.String()
	wd.db = &seenDatabase{name: a.names.Database, owner: a.names.Owner, ownerACL: 3}
	wd.roles[a.names.Owner] = &seenRole{name: a.names.Owner, comment: []byte(mark), limit: -1, members: []string{a.names.A}}
	wd.roles[a.names.A] = &seenRole{name: a.names.A, comment: []byte(mark), limit: -1, memberOf: []string{a.names.Owner}, verifier: a.state.Verifiers[a.names.A]}
	early, late := script(a.compare(wd, set))
	owner, login := ident(a.names.Owner), ident(a.names.A)
	return true, a.finish(ses,
		`ALTER DATABASE `+ident(taken)+` RENAME TO `+ident(a.names.Database),
		`ALTER ROLE `+ident(taken)+` RENAME TO `+owner, `COMMENT ON ROLE `+owner+` IS `+literal(mark),
		`ALTER ROLE `+ident(taken+"_a")+` RENAME TO `+login, `COMMENT ON ROLE `+login+` IS `+literal(mark),
		early, late)
}

// finish does all that is left in one transaction.
func (a *applying) finish(ses *session, parts ...string) error {
	sql := strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), ";\n")
	if sql == "" {
		return nil
	}
	if err := ses.exec("finish", sql); err != nil {
		return err
	}
	a.progress.Step("database %s is owned by role %s, log-in is %s", a.names.Database, a.names.Owner, a.names.login(a.state.Active))
	return nil
}

// create makes the database and, while the server copies its files, the roles
// on a second connection: the server checks a new verifier against the empty
// password, which takes it as long as a log-in. The second connection's
// transaction stays open until the database is there, and then finishes it.
func (a *applying) create(ses *session, changes []change) error {
	early, late := script(changes)
	acquiring, stop := context.WithCancel(ses.ctx)
	defer stop()
	roles := make(chan *session, 1)
	go func() { roles <- ses.beside(acquiring, a.ref, early) }()
	err := ses.createDatabase("create_database", a.names.Database, fingerprint(a.ref.Installation, a.ref.ID))
	stop() // with no connection to be had, the roles are made on ours
	second := <-roles
	if second == nil {
		if err != nil {
			return err
		}
		return a.finish(ses, early, late)
	}
	defer second.conn.Release()
	if err == nil {
		err = a.finish(second, late, "COMMIT")
	}
	if err != nil {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ses.ctx), time.Second)
		defer cancel()
		_ = second.conn.Conn().Close(closing) // rolls back
		return err
	}
	if !a.paused {
		a.server.greet(a.names.Database)
	}
	return err
}

// beside opens a transaction on a second connection and runs sql in it; nil
// when that did not work, and then nothing of it is left. The transaction holds
// the resource's second lock, so that whoever sets a stale worker aside sets
// this aside too.
func (ses *session) beside(acquiring context.Context, ref engine.Ref, sql string) *session {
	conn, err := ses.acquire(acquiring)
	if err != nil {
		return nil
	}
	second := &session{server: ses.server, ctx: ses.ctx, conn: conn}
	key := strconv.FormatInt(secondKey(lockKey(ref.Installation, ref.ID)), 10)
	if err := second.exec("create_roles", `BEGIN; SELECT pg_advisory_xact_lock(`+key+`); `+sql); err != nil {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ses.ctx), time.Second)
		defer cancel()
		_ = conn.Conn().Close(closing)
		conn.Release()
		return nil // the first connection does it again, and tells the error
	}
	return second
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
		// An account that is no superuser cannot have it from the server, to whom it
		// belongs: all may create in it then, and only the resource's log-ins connect.
		if err != nil && (f.superuser || !hasCode(err, "42501")) {
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
	a.next.Limit = a.limit
	return nil
}

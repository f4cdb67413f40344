package postgres

import (
	"context"
	"errors"
	"sync"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"fairlead/internal/engine"
)

// Observe implements engine.Engine: one query a server.
func (e *Engine) Observe(ctx context.Context, targets []engine.Request) ([]engine.Observation, error) {
	out := make([]engine.Observation, len(targets))
	index := map[*want]int{}
	byServer := map[*server][]*want{}
	for i, req := range targets {
		w, err := e.readToObserve(req)
		if err != nil {
			out[i].Err = err
			continue
		}
		index[w] = i
		byServer[w.server] = append(byServer[w.server], w)
	}
	var wg sync.WaitGroup
	for s, wants := range byServer {
		wg.Go(func() {
			s.observe(ctx, wants, func(w *want, o engine.Observation) { out[index[w]] = o }) // each has its own element
		})
	}
	wg.Wait()
	if ctx.Err() != nil {
		return nil, e.servers[e.names[0]].fault(ctx, "observe", ctx.Err())
	}
	return out, nil
}

// readToObserve reads what is wanted; inputs that became invalid still leave
// the resource's presence to be seen.
func (e *Engine) readToObserve(req engine.Request) (*want, error) {
	w, err := e.read(req)
	if err == nil {
		return w, nil
	}
	var sp spec
	if known, serr := readSpec(req.Template.Spec); serr == nil {
		sp = known
	}
	w, lerr := e.locate(req, sp)
	if lerr != nil {
		return nil, lerr
	}
	w.limit = -2 // unknown: any limit will do
	return w, nil
}

// observe looks at wants with one query. When something in the server's
// catalogs cannot be read, it looks at halves, until the poisoned one is alone.
func (s *server) observe(ctx context.Context, wants []*want, tell func(*want, engine.Observation)) {
	var seen map[*want]*world
	err := s.with(ctx, "observe", func(ctx context.Context, c *pgxpool.Conn) error {
		var err error
		seen, err = look(ctx, c.Conn(), s.facts.Load(), wants)
		return err
	})
	switch {
	case err == nil:
		for _, w := range wants {
			tell(w, w.observation(seen[w]))
		}
	case len(wants) > 1 && isDataError(err):
		half := len(wants) / 2
		s.observe(ctx, wants[:half], tell)
		s.observe(ctx, wants[half:], tell)
	default:
		for _, w := range wants {
			tell(w, engine.Observation{Err: err})
		}
	}
}

// isDataError tells errors that one row causes (class 22, and values that do
// not scan) from those of the server.
func isDataError(err error) bool {
	var pe *pgconn.PgError
	if errors.As(err, &pe) {
		return len(pe.Code) == 5 && pe.Code[:2] == "22"
	}
	return false
}

func (w *want) observation(wd *world) engine.Observation {
	var o engine.Observation
	ours := wd.ours(w)
	switch {
	case w.existed && !wd.ownsDatabase(w):
		o.Presence = engine.Lost
	case ours == 0:
		o.Presence = engine.Absent
		return o
	case wd.ownsDatabase(w) && !wd.unfinished(w) && wd.ownsRole(w, w.names.Owner) && wd.ownsRole(w, w.names.login(w.state.Active)):
		o.Presence = engine.Present
	default:
		o.Presence = engine.Partial
	}
	if wd.ownsDatabase(w) {
		o.Objects = append(o.Objects, w.server.object("database", w.names.Database))
	}
	for _, name := range w.names.roles() {
		if wd.ownsRole(w, name) {
			o.Objects = append(o.Objects, w.server.object("role", name))
		}
	}
	if foreign := wd.foreign(w); len(foreign) > 0 && ours > 0 && o.Presence != engine.Lost {
		for _, f := range foreign {
			o.Drift = append(o.Drift, engine.Drift{Address: f, Field: "marker", Want: w.ref.ID, Got: nil, Severity: engine.Alert, Cause: engine.CausePerson})
		}
		return o
	}
	if w.limit == -2 && wd.db != nil {
		w.limit = int(wd.db.limit)
	}
	for _, c := range w.compare(wd, nil) {
		d := engine.Drift{Address: c.address(), Field: c.field, Want: c.want, Got: c.got, Severity: engine.Heal, Cause: w.cause(c), Print: w.print(wd, c)}
		if c.action == engine.Create {
			d.Field, d.Want, d.Got = "exists", true, false
			if c.kind == "database" && w.existed {
				d.Severity = engine.Alert
			}
		}
		o.Drift = append(o.Drift, d)
	}
	return o
}

// cause says why a change would be needed. All but the connection limit is the
// same for every revision, so only of that something else may be wanted.
func (w *want) cause(c change) engine.Cause {
	switch {
	case c.action == engine.Create:
		return engine.CauseDeleted
	case c.kind == "database" && c.field == "connection_limit" && w.state.Limit != 0 && c.got == w.state.Limit:
		return engine.CauseDesired
	}
	return engine.CausePerson
}

// print tells two passwords that somebody set apart; verifiers are salted, and
// of what is seen of one only a hash is at hand.
func (w *want) print(wd *world, c change) string {
	if r := wd.roles[c.name]; c.field == "password" && r != nil {
		return r.verifier
	}
	return ""
}

package identity

import (
	"context"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"fairlead/internal/access"
	"fairlead/internal/audit"
	"fairlead/internal/fault"
	"fairlead/internal/principal"
	"fairlead/internal/sqldb"
)

const (
	failuresEvery  = time.Minute // a sum of failed sign-ins is recorded no more often
	mostNames      = 1000        // names kept apart in between; what is beyond is summed as one
	mostAddresses  = 10          // named in a record
	nobodysAccount = ""          // stands for what is beyond, and for links
)

// failures sums failed sign-ins for the audit log. They are recorded apart
// from the request: an account that exists must not answer more slowly, and a
// flood must not grow a log that is kept for ever at its own pace.
type failures struct {
	total  atomic.Int64 // since the start
	mu     sync.Mutex
	byName map[string]*failed
	links  *failed
}

// failed is how often it was tried, and from where.
type failed struct {
	count     int64
	addresses map[string]bool
}

func (f *failed) add(g *failed) *failed {
	if f == nil {
		f = &failed{addresses: map[string]bool{}}
	}
	f.count += g.count
	for a := range g.addresses {
		if len(f.addresses) <= mostAddresses {
			f.addresses[a] = true
		}
	}
	return f
}

func (f *failed) details(what string) map[string]any {
	from := slices.Sorted(maps.Keys(f.addresses))
	d := map[string]any{"method": what, "failures": f.count, "addresses": from[:min(len(from), mostAddresses)]}
	if len(from) > mostAddresses {
		d["moreAddresses"] = true
	}
	return d
}

// noteFailure logs and counts a sign-in that was tried and proved nothing.
// What was not tried (a malformed request, one that has to wait) is none.
func (s *Service) noteFailure(ctx context.Context, in SignIn, err error) {
	if !fault.Is(err, fault.Unauthenticated) {
		return
	}
	from := audit.OriginFrom(ctx).Address
	if in.Link.Empty() {
		name := lookupName(in.Name)
		s.failures.password(name, from)
		s.log.InfoContext(ctx, "sign-in failed", "method", byPassword, "account", newAttempt(in.Name, "").account[:8], "address", from)
		return
	}
	s.failures.link(from)
	s.log.InfoContext(ctx, "sign-in failed", "method", byLink, "address", from)
}

// password counts a wrong password given for a name, whoever's it is.
func (f *failures) password(name, address string) {
	f.note(func(one *failed) {
		if f.byName == nil {
			f.byName = map[string]*failed{}
		}
		if len(f.byName) >= mostNames && f.byName[name] == nil {
			name = nobodysAccount
		}
		f.byName[name] = f.byName[name].add(one)
	}, address)
}

// link counts a link that is none.
func (f *failures) link(address string) {
	f.note(func(one *failed) { f.links = f.links.add(one) }, address)
}

func (f *failures) note(add func(one *failed), address string) {
	f.total.Add(1)
	f.mu.Lock()
	defer f.mu.Unlock()
	add(&failed{count: 1, addresses: map[string]bool{address: true}})
}

func (f *failures) take() (byName map[string]*failed, links *failed) {
	f.mu.Lock()
	defer f.mu.Unlock()
	byName, links = f.byName, f.links
	f.byName, f.links = nil, nil
	return byName, links
}

// FailedSignIns counts failed sign-ins in this process since its start.
func (s *Service) FailedSignIns() int64 { return s.failures.total.Load() }

// recordFailures writes the sums down: one record an account, and one for all
// names that nobody has, without the names: people type passwords there. What
// cannot be written is dropped; each failure was logged.
func (s *Service) recordFailures(ctx context.Context) {
	byName, links := s.failures.take()
	if len(byName) == 0 && links == nil {
		return
	}
	ctx = principal.With(ctx, principal.Nobody)
	err := s.db.Write(ctx, "sign-in.failures", func(tx *sqldb.Tx) error {
		var unknown *failed
		for _, name := range slices.Sorted(maps.Keys(byName)) {
			a, err := s.store.account(ctx, tx, name, principal.User)
			if missing(err) || err == nil && a.name != name {
				unknown = unknown.add(byName[name])
				continue
			}
			if err != nil {
				return err
			}
			denied(ctx, tx, access.Target{Kind: "user", ID: a.id, Name: a.name}, byName[name], byPassword)
		}
		if unknown != nil {
			denied(ctx, tx, access.Target{Kind: "session"}, unknown, "unknown names")
		}
		if links != nil {
			denied(ctx, tx, access.Target{Kind: "session"}, links, byLink)
		}
		return nil
	})
	if err != nil && ctx.Err() == nil {
		s.log.WarnContext(ctx, "failed sign-ins could not be recorded", "error", err)
	}
}

func denied(ctx context.Context, tx *sqldb.Tx, t access.Target, f *failed, method string) {
	audit.Append(ctx, tx, audit.Entry{Action: "session:create", Target: t,
		Decision: access.Decision{Policies: []string{"sign-in"}}, Details: f.details(method)})
}

package source

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"time"

	"fairlead/internal/access"
	"fairlead/internal/audit"
	"fairlead/internal/event"
	"fairlead/internal/failpoint"
	"fairlead/internal/fault"
	"fairlead/internal/loop"
	"fairlead/internal/principal"
	"fairlead/internal/redact"
	"fairlead/internal/source/gitrepo"
	"fairlead/internal/sqldb"
	"fairlead/internal/template/bundle"
)

const (
	atOnce       = 3  // sources looked at together
	perLook      = 25 // versions taken in by one look; the rest is next
	longestPause = 6 * time.Hour
	longestLook  = 15 * time.Minute
)

// errVersionExists is what Templates says of other content under a number that
// is taken.
var errVersionExists = fault.New(fault.Conflict, "version_exists", "")

var errOvertaken = errors.New("another look has overtaken this one")

// Loop is what looks at the sources that are due.
func (s *Service) Loop() loop.Loop {
	return loop.Loop{Name: "sources", Every: 2 * time.Second, Wake: Topic, Once: true, Do: s.Turn}
}

// Turn looks at every source that is due by the database's clock. A look may
// be done twice: what is there is not taken in again.
func (s *Service) Turn(ctx context.Context) error {
	ctx = principal.With(ctx, principal.System)
	now, err := s.DB.Now(ctx)
	if err != nil {
		return err
	}
	if due, err := s.store.any(ctx, now); err != nil || !due {
		return err
	}
	var all sync.WaitGroup
	failed := make([]error, atOnce)
	for i := range atOnce {
		all.Go(func() {
			for ctx.Err() == nil {
				v, ok, err := s.store.claim(ctx, s.Lease)
				if err != nil || !ok {
					failed[i] = err
					return
				}
				if err := s.look(ctx, v); err != nil {
					s.Log.WarnContext(ctx, "a template's source could not be looked at", "source", v.ID, "template", v.Name, "error", err)
				}
			}
		})
	}
	all.Wait()
	return errors.Join(failed...)
}

// look is one look at a source that was claimed.
func (s *Service) look(parent context.Context, v Source) error {
	ctx, end := s.hold(parent, v)
	more, err := s.take(ctx, v)
	cause := context.Cause(ctx)
	end()
	switch {
	case errors.Is(err, errOvertaken), errors.Is(cause, errOvertaken):
		return errOvertaken // whoever has it now, or comes next, goes on
	case parent.Err() != nil:
		return err
	case cause != nil:
		err = fault.New(fault.Unavailable, "source_unreachable", "looking at the source took longer than %s", longestLook).WithHint("have fewer tags looked at, by a pattern (--ref)").WithCause(err)
	}
	p := problemOf(err)
	failpoint.Hit("source.look.done")
	return errors.Join(err, s.DB.Write(context.WithoutCancel(parent), "source.done", func(tx *sqldb.Tx) error {
		return s.store.done(ctx, tx, v, p, v.next(tx.Now(), p.Code != "", more), p.Code == "" && !more)
	}))
}

// hold keeps the claim of a look while it goes on: the lease is short, so that
// what a killed server was looking at is soon another's. A look that another
// has overtaken, or that does not end, is ended.
func (s *Service) hold(parent context.Context, v Source) (context.Context, func()) {
	ctx, cancel := context.WithTimeout(parent, longestLook)
	ctx, stop := context.WithCancelCause(ctx)
	var done sync.WaitGroup
	done.Go(func() {
		every := time.NewTicker(s.Lease / 3)
		defer every.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-every.C:
				switch held, err := s.store.renew(ctx, v, s.Lease); {
				case err != nil && ctx.Err() == nil:
					s.Log.WarnContext(ctx, "the claim of a source could not be renewed", "source", v.ID, "error", err)
				case err == nil && !held:
					stop(errOvertaken)
				}
			}
		}
	})
	return ctx, func() { stop(nil); cancel(); done.Wait() }
}

// next is when a source is due again: at its pace, later the more often in a
// row it failed, and never all sources at the same moment. Zero: when asked.
func (v Source) next(now time.Time, failed, more bool) time.Time {
	if more {
		return now
	}
	if v.Every == 0 {
		return time.Time{}
	}
	wait := v.Every
	if failed {
		wait = min(max(wait, time.Minute)<<min(v.Failures, 10), max(longestPause, v.Every))
	}
	return now.Add(wait*9/10 + time.Duration(rand.Int64N(int64(wait/5)+1)))
}

func problemOf(err error) Problem {
	if err == nil {
		return Problem{}
	}
	f := fault.From(err)
	p := Problem{Code: f.Code, Message: f.Message, Hint: f.Hint}
	for i, x := range f.Violations {
		if i == 0 && x.Message != "" && len(f.Violations) > 1 {
			p.Message = f.Message + ":"
		}
		if len(f.Violations) > 1 && i < 10 {
			p.Message += "\n  " + x.Message
		}
	}
	if len(p.Message) > 4000 {
		p.Message = p.Message[:4000] + "…"
	}
	return p
}

// candidate is a version that may be taken in, with how its files are read.
type candidate struct {
	tag   Tag
	was   Tag // what it was, which is not told again; zero: nothing
	files func(context.Context) (*bundle.Bundle, error)
}

// take takes in what is new in a source; more tells that there is more.
func (s *Service) take(ctx context.Context, v Source) (more bool, err error) {
	if v.Kind == Folder {
		return false, s.takeFolder(ctx, v)
	}
	remote, err := s.remote(ctx, v)
	if err != nil {
		return false, err
	}
	repo, err := gitrepo.Open(remote)
	if err != nil {
		return false, err
	}
	defer repo.Close()
	there, err := repo.Tags(ctx)
	if err != nil {
		return false, err
	}
	known, err := s.store.known(ctx, v.ID)
	if err != nil {
		return false, err
	}
	found, err := s.fresh(ctx, v, there, known)
	if err != nil {
		return false, err
	}
	if len(found) > perLook {
		found, more = found[:perLook], true
	}
	var list []gitrepo.Tag
	for _, t := range found {
		list = append(list, gitrepo.Tag{Name: t.Name, Commit: t.Commit})
	}
	if err := repo.Fetch(ctx, list); err != nil {
		return false, err
	}
	for _, t := range found {
		read := func(ctx context.Context) (*bundle.Bundle, error) { return repo.Bundle(ctx, t.Commit, v.Path) }
		if err := s.bring(ctx, v, candidate{t, v.before(known, t.Name), read}); err != nil {
			return false, err
		}
	}
	return more, nil
}

// before is what a tag was at a place that the source has left.
func (v Source) before(known map[string]Tag, tag string) Tag {
	if was := known[tag]; was.place < v.place {
		return was
	}
	return Tag{}
}

// fresh gives the tags to take in, the newest version first, and refuses those
// that moved. What is known of another place counts for nothing: whether its
// versions are the same ones their content says.
func (s *Service) fresh(ctx context.Context, v Source, there []gitrepo.Tag, known map[string]Tag) ([]Tag, error) {
	byRelease := map[string]string{}
	for _, k := range known {
		if k.Status != Broken && k.place == v.place {
			byRelease[k.Release] = k.Name
		}
	}
	slices.SortFunc(there, func(a, b gitrepo.Tag) int { return cmp.Compare(a.Name, b.Name) })
	var out []Tag
	for _, t := range there {
		release := v.release(t.Name)
		key, err := s.Templates.Release(release)
		if release == "" || err != nil {
			continue
		}
		now := Tag{Name: t.Name, Release: release, Commit: t.Commit, sortKey: key}
		was, seen := known[t.Name]
		seen = seen && was.place == v.place
		switch {
		case seen && was.Status != Broken:
			if err := s.compare(ctx, v, was, t.Commit); err != nil {
				return nil, err
			}
			continue
		case seen && was.Commit == t.Commit && !was.again && !v.asked():
			continue
		}
		if other, taken := byRelease[release]; taken && other != t.Name {
			now.Status, now.Problem = Broken, Problem{"version_exists", "the tag " + other + " is this version already", "remove one of the two tags"}
			if !seen || was.Commit != t.Commit {
				if err := s.note(ctx, v, now, "template.version_broken", seen); err != nil {
					return nil, err
				}
			}
			continue
		}
		byRelease[release] = t.Name
		out = append(out, now)
	}
	slices.SortStableFunc(out, func(a, b Tag) int { return cmp.Compare(b.sortKey, a.sortKey) })
	return out, nil
}

// asked tells whether somebody asked for this look: then what is broken is
// tried again.
func (v Source) asked() bool { return v.Wanted > v.Looked }

// compare looks whether an imported tag still leads where it did. The version
// stays what it is: what is refused is the move.
func (s *Service) compare(ctx context.Context, v Source, was Tag, commit string) error {
	moved := ""
	if commit != was.Commit {
		moved = commit
	}
	if moved == was.MovedTo {
		return nil
	}
	now := was
	now.MovedTo, now.Status, now.Problem = moved, Imported, Problem{}
	kind := "template.tag_restored"
	if moved != "" {
		now.Status, kind = Moved, "template.tag_moved"
		now.Problem = problemOf(fault.New(fault.Conflict, "tag_moved", "the tag was taken in at %.12s and leads to %.12s now; the version stays as it was taken in", was.Commit, moved).
			WithHint("find out who moved it; publish what is new under a new version"))
	}
	return s.note(ctx, v, now, kind, true)
}

// bring takes one version in and notes what became of it.
func (s *Service) bring(ctx context.Context, v Source, c candidate) error {
	t := c.tag
	var version string
	b, err := c.files(ctx)
	if err == nil {
		failpoint.Hit("source.import.before")
		version, t.Digest, err = s.Templates.Import(ctx, Import{Name: v.Name, Version: t.Release, Files: b,
			Held:    func(ctx context.Context, tx *sqldb.Tx) error { return s.store.held(ctx, tx, v) },
			Details: map[string]any{"source": v.ID, "url": v.URL, "path": v.Path, "tag": t.Name, "commit": t.Commit}})
		failpoint.Hit("source.import.after")
	}
	if ctx.Err() != nil {
		return fault.New(fault.Unavailable, "interrupted", "the work was cut off").WithCause(ctx.Err())
	}
	if t.Release == "" && version != "" {
		t.Release = version
		if t.sortKey, err = s.Templates.Release(version); err != nil {
			return err
		}
	}
	kind := "template.version_added"
	t.Status = Imported
	if err != nil {
		switch fault.KindOf(err) {
		case fault.Internal:
			return err // ours, not the version's
		case fault.Unavailable:
			t.again = true
		}
		t.Status, t.Problem, kind = Broken, problemOf(err), "template.version_broken"
		if errors.Is(err, errVersionExists) {
			kind = "template.version_refused"
		}
	}
	if c.was.Status != Broken && c.was.Digest != "" && c.was.Digest == t.Digest && c.was.Release == t.Release {
		kind = "" // it has what it had, perhaps at another place
	}
	return s.note(ctx, v, t, kind, false)
}

// note writes down what became of a tag and, with a kind of event, tells it.
func (s *Service) note(ctx context.Context, v Source, t Tag, kind string, audited bool) error {
	t.place = v.place
	return s.DB.Write(ctx, "source.tag", func(tx *sqldb.Tx) error {
		if err := s.store.held(ctx, tx, v); err != nil {
			return err
		}
		if err := s.store.putTag(ctx, tx, v.ID, t); err != nil {
			return err
		}
		details := map[string]any{"source": v.ID, "template": v.Name, "tag": t.Name, "version": t.Release, "commit": t.Commit, "status": string(t.Status)}
		if t.MovedTo != "" {
			details["movedTo"] = t.MovedTo
		}
		if t.Problem.Code != "" {
			details["code"], details["message"] = t.Problem.Code, t.Problem.Message
		}
		if t.Status != Imported || audited { // what was imported has its own record
			audit.Append(ctx, tx, audit.Entry{Action: "template:source-" + string(t.Status), Target: v.Target(), Decision: access.Decision{Allowed: t.Status == Imported, Policies: []string{"source"}}, Details: details})
		}
		if kind == "" {
			return nil
		}
		return event.Emit(ctx, tx, event.Event{Type: kind, Subject: v.ID, To: []string{v.CreatedBy}, Data: details})
	})
}

// takeFolder takes in a folder on the server as the version that its manifest,
// or the source, says.
func (s *Service) takeFolder(ctx context.Context, v Source) error {
	b, err := bundle.FromDir(v.folder())
	if err != nil {
		return err
	}
	known, err := s.store.known(ctx, v.ID)
	if err != nil {
		return err
	}
	t := Tag{Name: "folder", Release: v.Release, Commit: b.Digest()}
	if was, seen := known[t.Name]; seen && was.place == v.place && was.Commit == t.Commit && !was.again && !v.asked() {
		return nil
	}
	if v.Release != "" {
		if t.sortKey, err = s.Templates.Release(v.Release); err != nil {
			return err
		}
	}
	return s.bring(ctx, v, candidate{t, known[t.Name], func(context.Context) (*bundle.Bundle, error) { return b, nil }})
}

func (v Source) folder() string {
	if v.Path == "" {
		return v.URL
	}
	return v.URL + "/" + v.Path
}

// remote says how a repository is reached: the address is judged now, and is
// the one that is dialled.
func (s *Service) remote(ctx context.Context, v Source) (gitrepo.Remote, error) {
	where, err := parsePlace(v.URL, s.Egress)
	if err != nil {
		return gitrepo.Remote{}, err
	}
	r := gitrepo.Remote{Dir: s.Dir, Transport: gitrepo.Transport(where.kind), URL: where.url, Host: where.host, Port: where.port, CAFile: s.Egress.CAFile(), Known: v.KnownHosts}
	if where.kind == File {
		return r, nil
	}
	c, err := s.unseal(ctx, v, where)
	if err != nil {
		return gitrepo.Remote{}, err
	}
	r.Username, r.Password, r.Key = c.Username, redact.New(c.Password), redact.New(c.Key)
	list, err := s.Egress.Resolve(ctx, where.host, where.port)
	if err != nil {
		return gitrepo.Remote{}, err
	}
	i := max(slices.IndexFunc(list, func(a netip.AddrPort) bool { return a.Addr().Is4() }), 0) // the likelier to work
	r.Address = list[i]
	return r, nil
}

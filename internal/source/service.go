package source

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"fairlead/internal/access"
	"fairlead/internal/audit"
	"fairlead/internal/fault"
	"fairlead/internal/ident"
	"fairlead/internal/principal"
	"fairlead/internal/redact"
	"fairlead/internal/sqldb"
)

// Topic is woken when a source is to be looked at.
const Topic = "sources"

// Options is what the service stands on.
type Options struct {
	DB        *sqldb.DB
	Access    access.Authorizer
	Secrets   Secrets
	Egress    Egress
	Templates Templates
	Log       *slog.Logger

	Dir   string        // this server's own, for what is fetched; Tidy empties it. "" is the system's for such
	Lease time.Duration // of a look, which renews it while it goes on; a minute when 0
}

// Service keeps sources and looks at them. It is safe for concurrent use, and
// by several replicas on one database.
type Service struct {
	Options
	store store
}

// The bounds of sources.
const (
	maxSources   = 1000
	leastEvery   = 30 * time.Second
	mostEvery    = 30 * 24 * time.Hour
	usualEvery   = 5 * time.Minute
	maxKey       = 64 << 10
	maxPassword  = 4 << 10
	maxKnownHost = 16 << 10
)

// New makes the service.
func New(o Options) *Service {
	if o.Lease == 0 {
		o.Lease = time.Minute
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Service{Options: o, store: store{o.DB}}
}

// Tidy removes what a server that was killed in the middle of a look left on
// its disk, credentials too, and makes the folder for the looks to come.
func (s *Service) Tidy() error {
	if s.Dir == "" {
		return nil
	}
	if err := os.RemoveAll(s.Dir); err != nil {
		return fmt.Errorf("the folder for what sources have: %w", err)
	}
	if err := os.MkdirAll(s.Dir, 0o700); err != nil {
		return fmt.Errorf("the folder for what sources have: %w", err)
	}
	return nil
}

// NewSource is a source as somebody asks for it.
type NewSource struct {
	Name       string // the template's
	URL        string // of a repository; or Folder
	Folder     string // on the server
	Path       string
	Refs       string
	Release    string
	Every      *time.Duration // nil: the usual; 0: only when asked
	Username   string
	Password   redact.Secret
	PrivateKey redact.Secret
	KnownHosts string
	Hooked     bool // it shall take signed pushes

	kept bool // the credential that it has stays
}

// Add makes a source and looks at it soon. It needs template:push, and
// system:manage for one on the server itself. The secret that pushes are
// signed with is given this once, when one is wanted.
func (s *Service) Add(ctx context.Context, in NewSource) (Source, redact.Secret, error) {
	none := redact.Secret{}
	v := Source{Name: in.Name, Path: in.Path, Refs: in.Refs, Release: in.Release, KnownHosts: strings.TrimSpace(in.KnownHosts), Hooked: in.Hooked, Every: usualEvery, CreatedBy: principal.From(ctx).ID}
	d, err := s.Access.Check(ctx, access.TemplatePush, v.Target())
	if err != nil {
		return Source{}, none, err
	}
	where, err := s.check(ctx, &v, in)
	if err != nil {
		return Source{}, none, err
	}
	secret := none
	if in.Hooked {
		secret = newHook()
	}
	err = s.DB.Write(ctx, "source.add", func(tx *sqldb.Tx) error {
		v.ID, v.CreatedAt, v.UpdatedAt, v.DueAt, v.Version, v.Wanted = ident.New("src"), tx.Now(), tx.Now(), tx.Now(), 1, 1
		var n int64
		if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM template_sources`).Scan(&n); err != nil {
			return err
		}
		if n >= maxSources {
			return fault.New(fault.Conflict, "too_many_sources", "there are %d sources already", n).WithHint("remove one that is not used any more")
		}
		if err := s.store.insert(ctx, tx, v); err != nil {
			if sqldb.IsUnique(err) {
				return fault.New(fault.Conflict, "name_taken", "the template %s has a source already", v.Name).WithField("/name").
					WithHint("see it with fairlead template source show %s, and change it with fairlead template source update %s", v.Name, v.Name)
			}
			return err
		}
		if err := s.seal(ctx, tx, v, where, in, secret); err != nil {
			return err
		}
		tx.Notify(Topic, "")
		audit.Append(ctx, tx, audit.Entry{Action: "template:source-add", Target: v.Target(), Decision: d,
			Details: map[string]any{"source": v.ID, "kind": string(v.Kind), "url": v.URL, "path": v.Path, "refs": v.Refs, "credential": v.Credential}})
		return s.tell(ctx, tx, "template.source_added", v, nil)
	})
	return v, secret, err
}

// check holds for a new source, and asks for what one on the server needs.
func (s *Service) check(ctx context.Context, v *Source, in NewSource) (place, error) {
	if err := s.Templates.CheckName(in.Name); err != nil {
		return place{}, fault.From(err).WithField("/name")
	}
	if (in.URL == "") == (in.Folder == "") {
		return place{}, errOnePlace()
	}
	if err := checkInside(in.Path, in.Refs); err != nil {
		return place{}, err
	}
	var where place
	if in.Folder != "" {
		if !cleanFolder(in.Folder) {
			return place{}, invalid("/folder", "the folder's path is not absolute and clean").WithHint("as /srv/templates/bucket")
		}
		where = place{kind: Folder, url: in.Folder, origin: in.Folder}
	} else {
		var err error
		if where, err = parsePlace(in.URL, s.Egress); err != nil {
			return place{}, err
		}
	}
	v.Kind, v.URL = where.kind, where.url
	if v.Kind.local() {
		if err := s.mayLocal(ctx); err != nil {
			return place{}, err
		}
	}
	if in.Release != "" {
		if v.Kind != Folder {
			return place{}, invalid("/release", "the versions of a repository are its tags")
		}
		if _, err := s.Templates.Release(in.Release); err != nil {
			return place{}, fault.From(err).WithField("/release")
		}
	}
	if in.Every != nil {
		if v.Every = *in.Every; v.Every != 0 && (v.Every < leastEvery || v.Every > mostEvery) {
			return place{}, invalid("/everySeconds", "a source is looked at every 30 seconds to 30 days, or with 0 only when asked")
		}
	}
	return where, checkCredential(v, in)
}

// MayAdd tells whether the caller may add sources at all: nil when so.
func (s *Service) MayAdd(ctx context.Context) error {
	_, err := s.Access.Check(ctx, access.TemplatePush, access.Target{Kind: "template"})
	return err
}

// mayLocal holds for whoever may have the server read its own disk.
func (s *Service) mayLocal(ctx context.Context) error {
	_, err := s.Access.Check(ctx, access.SystemManage, access.Target{Kind: "system", Name: "sources"})
	return err
}

func errOnePlace() error {
	return invalid("/url", "give either the URL of a repository or a folder on the server")
}

func noSource() error {
	return fault.New(fault.NotFound, "source_not_found", "there is no such source").WithHint("list them with fairlead template source ls")
}

// find gives a source that the caller may manage; another is not there.
func (s *Service) find(ctx context.Context, ref string) (Source, access.Decision, error) {
	if principal.From(ctx).Kind == principal.Anonymous {
		d, err := s.Access.Check(ctx, access.TemplatePush, access.Target{Kind: "template"})
		return Source{}, d, err
	}
	if !ident.IsRef(ref) && s.Templates.CheckName(ref) != nil {
		return Source{}, access.Decision{}, noSource()
	}
	v, err := s.store.find(ctx, s.DB.Read(), ref, false)
	if errors.Is(err, sql.ErrNoRows) {
		return Source{}, access.Decision{}, noSource()
	}
	if err != nil {
		return Source{}, access.Decision{}, err
	}
	d, err := s.Access.Check(ctx, access.TemplatePush, v.Target())
	if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Denied) {
		return Source{}, d, noSource()
	}
	return v, d, err
}

// Get gives a source by id or by its template's name. It needs template:push
// there, as everything here does.
func (s *Service) Get(ctx context.Context, ref string) (Source, error) {
	v, _, err := s.find(ctx, ref)
	return v, err
}

// List gives the sources of templates that the caller may push.
func (s *Service) List(ctx context.Context, page sqldb.Page) ([]Source, string, error) {
	if principal.From(ctx).Kind == principal.Anonymous {
		_, err := s.Access.Check(ctx, access.TemplatePush, access.Target{Kind: "template"})
		return nil, "", err
	}
	out, after := []Source{}, page.After
	for {
		rows, next, err := sources.Page(ctx, s.DB.Read(), sqldb.Where{}, "", sqldb.Page{Limit: page.Size(), After: after})
		if err != nil {
			return nil, "", err
		}
		for _, v := range rows {
			switch _, err := s.Access.Check(ctx, access.TemplatePush, v.Target()); {
			case fault.Is(err, fault.NotFound) || fault.Is(err, fault.Denied):
				continue
			case err != nil:
				return nil, "", err
			}
			if len(out) == page.Size() {
				return out, sources.After("", out[len(out)-1]), nil
			}
			out = append(out, v)
		}
		if after = next; next == "" {
			return out, "", nil
		}
	}
}

// Tags gives what was seen in a source, by version, the newest first.
func (s *Service) Tags(ctx context.Context, ref string, page sqldb.Page) ([]Tag, string, error) {
	v, err := s.Get(ctx, ref)
	if err != nil {
		return nil, "", err
	}
	var w sqldb.Where
	w.And(`source = ? AND place = ?`, v.ID, v.place)
	return tags.Page(ctx, s.DB.Read(), w, "", page)
}

// Sync asks for a look now, also at what was broken. Its Wanted is how to know
// when it is done: then Looked is not smaller.
func (s *Service) Sync(ctx context.Context, ref string) (Source, error) {
	v, d, err := s.find(ctx, ref)
	if err != nil {
		return Source{}, err
	}
	err = s.DB.Write(ctx, "source.sync", func(tx *sqldb.Tx) error {
		n, err := s.store.want(ctx, tx, v.ID)
		if errors.Is(err, sql.ErrNoRows) {
			return noSource()
		}
		if err != nil {
			return err
		}
		v.Wanted, v.DueAt = n, tx.Now()
		audit.Append(ctx, tx, audit.Entry{Action: "template:source-sync", Target: v.Target(), Decision: d, Details: map[string]any{"source": v.ID}})
		return nil
	})
	return v, err
}

// Remove takes a source away with its credentials. The versions that came from
// it stay. ifVersion 0 is any.
func (s *Service) Remove(ctx context.Context, ref string, ifVersion int64) error {
	v, d, err := s.find(ctx, ref)
	if err != nil {
		return err
	}
	return s.DB.Write(ctx, "source.remove", func(tx *sqldb.Tx) error {
		now, err := s.store.find(ctx, tx, v.ID, true)
		if errors.Is(err, sql.ErrNoRows) {
			return noSource()
		}
		if err != nil {
			return err
		}
		if ifVersion != 0 && now.Version != ifVersion {
			return stale()
		}
		if err := s.store.remove(ctx, tx, v.ID); err != nil {
			return err
		}
		if err := s.Secrets.Delete(ctx, tx, v.ID); err != nil {
			return err
		}
		audit.Append(ctx, tx, audit.Entry{Action: "template:source-remove", Target: v.Target(), Decision: d, Details: map[string]any{"source": v.ID, "url": v.URL}})
		return s.tell(ctx, tx, "template.source_removed", v, nil)
	})
}

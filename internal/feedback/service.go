package feedback

import (
	"context"
	"strings"
	"time"

	"fairlead/internal/access"
	"fairlead/internal/audit"
	"fairlead/internal/fault"
	"fairlead/internal/ident"
	"fairlead/internal/principal"
	"fairlead/internal/sqldb"
)

// Options is what the service stands on. All are needed.
type Options struct {
	DB      *sqldb.DB
	Access  access.Authorizer
	Version string                 // of Fairlead
	Known   func(page string) bool // tells whether the portal has such a page
}

// Service keeps what people say. It is safe for concurrent use.
type Service struct {
	Options
	store store
}

// New makes the service.
func New(o Options) *Service { return &Service{Options: o, store: store{o.DB}} }

const (
	maxWords   = 1000
	maxPage    = 200
	perHour    = 30 // pages that one person judges
	maxChanges = 20 // of mind about one page
)

// Give keeps what the caller says of a page, in place of what they said of it
// before. It fails with Limited when they say a lot at once.
func (s *Service) Give(ctx context.Context, in Opinion) (Said, error) {
	p := principal.From(ctx)
	me := access.Target{Kind: "user", ID: p.ID, Name: p.Name, OwnerID: p.ID}
	if p.Kind == principal.Robot {
		return Said{}, fault.New(fault.Denied, "not_a_user", "pages are for people, and people judge them").WithHint("sign in as a person")
	}
	d, err := s.Access.Check(ctx, access.UserUpdate, me)
	if err != nil {
		return Said{}, err
	}
	in.Words = strings.Join(strings.Fields(in.Words), " ")
	if err := ident.CheckText("/words", in.Words, maxWords); err != nil {
		return Said{}, err
	}
	if len(in.Page) > maxPage || !s.Known(in.Page) {
		return Said{}, fault.New(fault.Invalid, "unknown_page", "the portal has no such page").WithField("/page").
			WithHint("name it as its address is written, with {} for what differs: /projects/{project}")
	}
	var out Said
	err = s.DB.Write(ctx, "feedback.give", func(tx *sqldb.Tx) error {
		n, err := s.store.recent(ctx, tx, p.ID, tx.Now().Add(-time.Hour))
		if err != nil {
			return err
		}
		was, changes, err := s.store.of(ctx, tx, in.Page, p.ID, s.Version)
		if err != nil {
			return err
		}
		if was.ID == "" && n >= perHour || changes >= maxChanges {
			return fault.New(fault.Limited, "too_much_feedback", "that is a lot at once").WithHint("come back in an hour").WithRetryAfter(3600)
		}
		out = Said{ID: was.ID, Page: in.Page, UserID: p.ID, User: p.Name, Version: s.Version, Helpful: in.Helpful, Words: in.Words, At: tx.Now()}
		if out.ID == "" {
			out.ID = ident.New("fbk")
		} else if out.Words == "" {
			out.Words = was.Words
		}
		if was.ID != "" && out.Helpful == was.Helpful && out.Words == was.Words {
			out = was // said twice
			return nil
		}
		if err := s.store.put(ctx, tx, out); err != nil {
			return err
		}
		audit.Append(ctx, tx, audit.Entry{Action: "feedback:give", Target: access.Target{Kind: "feedback", ID: out.ID, Name: out.Page}, Decision: d,
			Details: map[string]any{"helpful": out.Helpful, "words": out.Words != ""}})
		return nil
	})
	return out, err
}

// mayRead lets through who looks after the system.
func (s *Service) mayRead(ctx context.Context) error {
	_, err := s.Access.Check(ctx, access.SystemView, access.Target{Kind: "system", Name: "feedback"})
	return err
}

// List gives what was said, the newest first.
func (s *Service) List(ctx context.Context, f Filter, page sqldb.Page) ([]Said, string, error) {
	if err := s.mayRead(ctx); err != nil {
		return nil, "", err
	}
	var w sqldb.Where
	if f.Page != "" {
		w.And(`f.page = ?`, f.Page[:min(len(f.Page), maxPage)])
	}
	if f.Version != "" {
		w.And(`f.version = ?`, f.Version[:min(len(f.Version), 100)])
	}
	if f.Helpful != nil {
		w.And(`f.helpful = ?`, number(*f.Helpful))
	}
	if f.Words {
		w.And(`f.words <> ''`)
	}
	return said.Page(ctx, s.DB.Read(), w, f.Sort, page)
}

// Sums gives what all say of each page: by default what helps least first.
func (s *Service) Sums(ctx context.Context, f Filter, page sqldb.Page) ([]Sum, string, error) {
	if err := s.mayRead(ctx); err != nil {
		return nil, "", err
	}
	return sums.Page(ctx, s.DB.Read(), sqldb.Where{}, f.Sort, page)
}

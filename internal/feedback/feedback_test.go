package feedback_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"fairlead/internal/audit"
	"fairlead/internal/fault"
	"fairlead/internal/feedback"
	"fairlead/internal/identity"
	"fairlead/internal/identity/identitytest"
	"fairlead/internal/principal"
	"fairlead/internal/sqldb"
	"fairlead/internal/sqldb/sqldbtest"
)

type world struct {
	*identitytest.World
	svc  *feedback.Service
	dora context.Context
}

func each(t *testing.T, f func(t *testing.T, w *world)) {
	t.Helper()
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		w := &world{World: identitytest.New(t, db)}
		w.Team("red")
		w.dora = w.User("dora", "red", principal.Developer)
		w.svc = w.service("1.0.0")
		f(t, w)
	})
}

func (w *world) service(version string) *feedback.Service {
	return feedback.New(feedback.Options{DB: w.DB, Access: w.Access, Version: version, Known: func(p string) bool { return strings.HasPrefix(p, "/known") }})
}

func (w *world) give(t *testing.T, ctx context.Context, in feedback.Opinion) feedback.Said {
	t.Helper()
	s, err := w.svc.Give(ctx, in)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestTheLastWordCountsOnce(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		first := w.give(t, w.dora, feedback.Opinion{Page: "/known/{x}"})
		w.give(t, w.dora, feedback.Opinion{Page: "/known/{x}", Words: "where is\nthe button?"})
		w.give(t, w.dora, feedback.Opinion{Page: "/known/{x}", Helpful: true})
		w.give(t, w.dora, feedback.Opinion{Page: "/known/{x}", Helpful: true}) // sent twice
		w.give(t, w.Admin, feedback.Opinion{Page: "/known/{x}"})
		list, _, err := w.svc.List(w.Admin, feedback.Filter{Words: true}, sqldb.Page{})
		w.Must(err)
		if len(list) != 1 || list[0].ID != first.ID || !list[0].Helpful || list[0].Words != "where is the button?" || list[0].User != "dora" || list[0].Version != "1.0.0" {
			t.Errorf("kept is %+v", list)
		}
		sums, _, err := w.svc.Sums(w.Admin, feedback.Filter{}, sqldb.Page{})
		w.Must(err)
		if len(sums) != 1 || sums[0].Helpful != 1 || sums[0].Not != 1 || sums[0].Words != 1 || sums[0].Last.IsZero() {
			t.Errorf("summed is %+v", sums)
		}
		_, err = w.service("1.1.0").Give(w.dora, feedback.Opinion{Page: "/known/{x}"})
		w.Must(err)
		if list, _, err = w.svc.List(w.Admin, feedback.Filter{Page: "/known/{x}"}, sqldb.Page{}); err != nil || len(list) != 3 {
			t.Errorf("of another version it is another: %d, %v", len(list), err)
		}
		records, _, err := w.Log.Search(w.Admin, audit.Filter{Action: "feedback:give"}, sqldb.Page{})
		w.Must(err)
		if len(records) != 5 {
			t.Errorf("%d records, want 5", len(records))
		}
	})
}

func TestBothAtOnceAreOne(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		var all sync.WaitGroup
		for i := range 6 {
			all.Go(func() {
				if _, err := w.svc.Give(w.dora, feedback.Opinion{Page: "/known", Helpful: i%2 == 0}); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if list, _, err := w.svc.List(w.Admin, feedback.Filter{}, sqldb.Page{}); err != nil || len(list) != 1 {
			t.Errorf("%d are kept, %v", len(list), err)
		}
	})
}

func TestNobodySaysTooMuch(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		var err error
		n := 0
		for ; n < 100 && err == nil; n++ {
			_, err = w.svc.Give(w.dora, feedback.Opinion{Page: fmt.Sprintf("/known/%d", n)})
		}
		if !fault.Is(err, fault.Limited) || n != 31 {
			t.Errorf("after %d pages: %v", n, err)
		}
		_, err = w.svc.Give(w.dora, feedback.Opinion{Page: "/known/1", Words: "still"})
		w.Must(err) // to what was said something may be added
		err = nil
		for n = 0; n < 100 && err == nil; n++ {
			_, err = w.svc.Give(w.dora, feedback.Opinion{Page: "/known/2", Helpful: n%2 == 0})
		}
		if !fault.Is(err, fault.Limited) || n > 25 {
			t.Errorf("after %d changes of mind: %v", n, err)
		}
		w.give(t, w.Admin, feedback.Opinion{Page: "/known"}) // somebody else may
	})
}

func TestWhatIsNoPageIsRefused(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		for _, in := range []feedback.Opinion{{}, {Page: "/nothing"}, {Page: "/known" + strings.Repeat("x", 300)}} {
			if _, err := w.svc.Give(w.dora, in); fault.From(err).Code != "unknown_page" {
				t.Errorf("%.20q: %v", in.Page, err)
			}
		}
		for _, words := range []string{strings.Repeat("a", 2000), "a\x00b", "\xff", "\u202egnorw"} {
			if _, err := w.svc.Give(w.dora, feedback.Opinion{Page: "/known", Words: words}); fault.From(err).Code != "invalid_text" {
				t.Errorf("%.20q: %v", words, err)
			}
		}
	})
}

func TestThePlatformTeamReads(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		for i := range 25 {
			w.give(t, w.Admin, feedback.Opinion{Page: fmt.Sprintf("/known/%02d", i), Helpful: i%2 == 0})
		}
		seen := map[string]bool{}
		for after := ""; ; {
			list, next, err := w.svc.Sums(w.Admin, feedback.Filter{}, sqldb.Page{Limit: 7, After: after})
			w.Must(err)
			for _, s := range list {
				seen[s.Page] = true
			}
			if after = next; next == "" {
				break
			}
		}
		if len(seen) != 25 {
			t.Errorf("%d of 25 pages are in the list", len(seen))
		}
		yes := false
		if list, _, err := w.svc.List(w.Admin, feedback.Filter{Helpful: &yes}, sqldb.Page{Limit: 50}); err != nil || len(list) != 12 {
			t.Errorf("%d do not help, %v", len(list), err)
		}
		_, err := w.Identity.CreateRobot(w.Admin, identity.NewRobot{Team: "red", Name: "ci"})
		w.Must(err)
		for who, c := range map[string]struct {
			ctx  context.Context
			want fault.Kind
		}{"nobody": {t.Context(), fault.Unauthenticated}, "a developer": {w.dora, fault.Denied}, "a robot": {w.As("ci"), fault.Denied}} {
			_, _, list := w.svc.List(c.ctx, feedback.Filter{}, sqldb.Page{})
			_, _, sums := w.svc.Sums(c.ctx, feedback.Filter{}, sqldb.Page{})
			if !fault.Is(list, c.want) || !fault.Is(sums, c.want) {
				t.Errorf("%s: %v, %v", who, list, sums)
			}
			_, err := w.svc.Give(c.ctx, feedback.Opinion{Page: "/known"})
			if who != "a developer" && !fault.Is(err, c.want) {
				t.Errorf("%s: %v", who, err)
			}
		}
	})
}

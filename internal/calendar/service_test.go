package calendar_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"testing"
	"time"

	"fairlead/internal/access/accesstest"
	"fairlead/internal/audit/audittest"
	"fairlead/internal/calendar"
	"fairlead/internal/fault"
	"fairlead/internal/gate"
	"fairlead/internal/gate/gatetest"
	"fairlead/internal/identity"
	"fairlead/internal/identity/identitytest"
	"fairlead/internal/principal"
	"fairlead/internal/project"
	"fairlead/internal/resource"
	"fairlead/internal/resource/resourcetest"
	"fairlead/internal/sqldb"
	"fairlead/internal/sqldb/sqldbtest"
)

type places struct{ svc *project.Service }

func (p places) Resolve(ctx context.Context, pr, e string) (gate.Environment, error) {
	v, err := p.svc.Resolve(ctx, pr, e)
	return gate.Environment{ID: v.ID, Name: v.Name, Class: string(v.Class), ProjectID: v.ProjectID, Project: v.Project, TeamID: v.TeamID, Team: v.Team}, err
}

type woken struct{ svc *resource.Service }

func (w *woken) Wake(ctx context.Context, tx *sqldb.Tx, id string) error {
	return w.svc.Wake(ctx, tx, id)
}

func code(err error) string {
	var f *fault.Error
	if errors.As(err, &f) {
		return f.Code
	}
	return ""
}

func TestTheCalendarIsKeptByThoseWhoManageIt(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		w := identitytest.New(t, db)
		svc := calendar.New(calendar.Options{DB: db, Access: w.Access, Environments: places{w.Projects}, Wake: &woken{}, Log: slog.New(slog.DiscardHandler)})
		for team, owner := range map[string]string{"payments": "olga", "strangers": "sam"} {
			_, err := w.Identity.CreateTeam(w.Admin, identity.NewTeam{Name: team})
			w.Must(err)
			_, err = w.Identity.CreateUser(w.Admin, identity.NewUser{Name: owner})
			w.Must(err)
			w.Must(w.Identity.GrantRole(w.Admin, identity.Grant{Team: team, Member: owner, Role: principal.TeamOwner}))
		}
		_, err := w.Projects.Create(w.Admin, project.NewProject{Team: "payments", Name: "shop"})
		w.Must(err)
		_, err = w.Projects.CreateEnvironment(w.Admin, "shop", project.NewEnvironment{Name: "prod", Class: project.Production})
		w.Must(err)

		_, err = svc.AddFreeze(w.Admin, calendar.Freeze{Name: "sale", Place: calendar.Place{Project: "shop"}, Reason: "the sale", Until: time.Now().Add(time.Hour), ExceptNames: []string{"strangers"}})
		w.Must(err)
		_, err = svc.AddWindow(w.Admin, calendar.Window{Name: "office", Place: calendar.Place{Class: "production"}, Weekdays: []time.Weekday{1}, Opens: 540, Closes: 1020, Zone: "Europe/Berlin"})
		w.Must(err)
		st, err := svc.Status(w.As("olga"), "shop", "prod")
		w.Must(err)
		if !st.Now.Closed || st.Now.Name != "sale" || len(st.Windows) != 1 || len(st.Freezes) != 1 || !slices.Equal(st.Freezes[0].ExceptNames, []string{"strangers"}) {
			t.Errorf("got %+v", st)
		}
		for _, c := range []struct {
			who  string
			want int
		}{{"olga", 1}, {"sam", 0}, {identitytest.AdminName, 1}} {
			if list, _, err := svc.Freezes(w.As(c.who), calendar.Filter{}, sqldb.Page{}); err != nil || len(list) != c.want {
				t.Errorf("%s sees %d freezes: %v", c.who, len(list), err)
			}
			if list, _, err := svc.Windows(w.As(c.who), calendar.Filter{}, sqldb.Page{}); err != nil || len(list) != 1 { // the organisation's are everybody's
				t.Errorf("%s sees %d windows: %v", c.who, len(list), err)
			}
		}
		for what, c := range map[string]struct {
			code string
			err  error
		}{
			"a name twice":             {"name_taken", second(svc.AddFreeze(w.Admin, calendar.Freeze{Name: "sale", Until: time.Now().Add(time.Hour)}))},
			"a freeze that is over":    {"invalid_freeze", second(svc.AddFreeze(w.Admin, calendar.Freeze{Name: "x", From: time.Now().Add(-2 * time.Hour), Until: time.Now().Add(-time.Hour)}))},
			"a freeze of ten years":    {"invalid_freeze", second(svc.AddFreeze(w.Admin, calendar.Freeze{Name: "x", Until: time.Now().Add(10 * 366 * 24 * time.Hour)}))},
			"no such team":             {"not_found", second(svc.AddFreeze(w.Admin, calendar.Freeze{Name: "x", Place: calendar.Place{Team: "nope"}, Until: time.Now().Add(time.Hour)}))},
			"no such exception":        {"not_found", second(svc.AddFreeze(w.Admin, calendar.Freeze{Name: "x", ExceptNames: []string{"nope"}, Until: time.Now().Add(time.Hour)}))},
			"no such zone":             {"unknown_time_zone", second(svc.AddWindow(w.Admin, calendar.Window{Name: "x", Weekdays: []time.Weekday{1}, Opens: 1, Closes: 2, Zone: "Mars/Base"}))},
			"the machine's zone":       {"unknown_time_zone", second(svc.AddWindow(w.Admin, calendar.Window{Name: "x", Weekdays: []time.Weekday{1}, Opens: 1, Closes: 2, Zone: "Local"}))},
			"on no day":                {"invalid_window", second(svc.AddWindow(w.Admin, calendar.Window{Name: "x", Opens: 1, Closes: 2, Zone: "UTC"}))},
			"a team's owner":           {"access_denied", second(svc.AddFreeze(w.As("olga"), calendar.Freeze{Name: "x", Place: calendar.Place{Project: "shop"}, Until: time.Now().Add(time.Hour)}))},
			"a stranger":               {"not_found", second(svc.AddFreeze(w.As("sam"), calendar.Freeze{Name: "x", Place: calendar.Place{Project: "shop"}, Until: time.Now().Add(time.Hour)}))},
			"nobody":                   {"unauthenticated", second(svc.AddWindow(t.Context(), calendar.Window{}))},
			"nobody lists":             {"unauthenticated", third(svc.Freezes(t.Context(), calendar.Filter{}, sqldb.Page{}))},
			"nobody removes":           {"unauthenticated", svc.RemoveFreeze(t.Context(), "sale")},
			"nobody asks":              {"unauthenticated", second(svc.Status(t.Context(), "shop", "prod"))},
			"a stranger removes":       {"not_found", svc.RemoveFreeze(w.As("sam"), "sale")},
			"what is not there":        {"not_found", svc.RemoveWindow(w.Admin, "nope")},
			"a team's owner removes":   {"access_denied", svc.RemoveWindow(w.As("olga"), "office")},
			"a stranger's environment": {"not_found", second(svc.Status(w.As("sam"), "shop", "prod"))},
		} {
			if code(c.err) != c.code {
				t.Errorf("%s: %v", what, c.err)
			}
		}
		w.Must(svc.RemoveFreeze(w.Admin, "sale"))
		w.Must(svc.RemoveWindow(w.Admin, "office"))
		if st, err := svc.Status(w.As("olga"), "shop", "prod"); err != nil || st.Now.Closed {
			t.Errorf("after all is gone: %+v %v", st, err)
		}
		if n := len(audittest.Records(t, w.Log, "calendar:manage")); n < 4 {
			t.Errorf("%d records", n)
		}
	})
}

func third[A, B any](_ A, _ B, err error) error { return err }

func TestListsArePagedFilteredAndOnesOwn(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		w := identitytest.New(t, db)
		svc := calendar.New(calendar.Options{DB: db, Access: w.Access, Log: slog.New(slog.DiscardHandler)})
		for _, team := range []string{"payments", "strangers"} {
			w.Team(team)
			w.Environment(team, team+"-shop", "prod", project.Production)
		}
		w.User("olga", "payments", principal.TeamOwner)
		places := map[string]calendar.Place{"everywhere": {}, "classy": {Class: "production"}, "team": {Team: "payments"}, "project": {Project: "payments-shop"},
			"env": {Project: "payments-shop", Environment: "prod"}, "other-team": {Team: "strangers"}, "other-project": {Project: "strangers-shop"}, "other-env": {Project: "strangers-shop", Environment: "prod"}}
		for name, place := range places {
			week := calendar.Window{Name: name, Place: place, Weekdays: []time.Weekday{1}, Opens: 60, Closes: 120, Zone: "UTC"}
			_, err := svc.AddWindow(w.Admin, week)
			w.Must(err)
			_, err = svc.AddSchedule(w.Admin, week)
			w.Must(err)
			_, err = svc.AddFreeze(w.Admin, calendar.Freeze{Name: name, Place: place, Until: time.Now().Add(time.Hour)})
			w.Must(err)
		}
		// names reads all pages of two.
		names := func(ctx context.Context, list func(context.Context, sqldb.Page) ([]string, string, error)) (out []string) {
			t.Helper()
			for page := (sqldb.Page{Limit: 2}); ; {
				items, next, err := list(ctx, page)
				w.Must(err)
				if len(items) > 2 {
					t.Errorf("a page of %d", len(items))
				}
				if out = append(out, items...); next == "" {
					slices.Sort(out)
					return out
				}
				page.After = next
			}
		}
		for _, c := range []struct {
			who  string
			f    calendar.Filter
			want []string
		}{
			{"olga", calendar.Filter{}, []string{"everywhere", "classy", "env", "project", "team"}},
			{identitytest.AdminName, calendar.Filter{}, []string{"everywhere", "classy", "env", "other-env", "other-project", "other-team", "project", "team"}},
			{"olga", calendar.Filter{Team: "payments"}, []string{"env", "project", "team"}},
			{"olga", calendar.Filter{Team: "strangers"}, nil},
			{"olga", calendar.Filter{Project: "payments-shop"}, []string{"env", "project"}},
			{"olga", calendar.Filter{Project: "payments-shop", Environment: "prod", Sort: "-created"}, []string{"env"}},
			{"olga", calendar.Filter{Class: "production", Sort: "-name"}, []string{"classy"}},
			{"olga", calendar.Filter{Team: "'; --"}, nil},
		} {
			for what, list := range map[string]func(context.Context, sqldb.Page) ([]string, string, error){
				"windows": func(ctx context.Context, p sqldb.Page) ([]string, string, error) {
					items, next, err := svc.Windows(ctx, c.f, p)
					return named(items, func(w calendar.Window) string { return w.Name }), next, err
				},
				"freezes": func(ctx context.Context, p sqldb.Page) ([]string, string, error) {
					items, next, err := svc.Freezes(ctx, c.f, p)
					return named(items, func(f calendar.Freeze) string { return f.Name }), next, err
				},
				"schedules": func(ctx context.Context, p sqldb.Page) ([]string, string, error) {
					items, next, err := svc.Schedules(ctx, c.f, p)
					return named(items, func(v calendar.Schedule) string { return v.Name }), next, err
				},
			} {
				if got := names(w.As(c.who), list); !slices.Equal(got, slices.Sorted(slices.Values(c.want))) {
					t.Errorf("%s of %s by %+v: %v, want %v", what, c.who, c.f, got, c.want)
				}
			}
		}
	})
}

func named[T any](items []T, name func(T) string) (out []string) {
	for _, v := range items {
		out = append(out, name(v))
	}
	return out
}

func second[T any](_ T, err error) error { return err }

// What people ask for waits for the end of a freeze; healing does not, and
// removing the freeze lets it go on at once.
func TestAFreezeHoldsWhatPeopleAskFor(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		b := resourcetest.New(t, db)
		wake := &woken{}
		system := principal.With(t.Context(), principal.System)
		svc := calendar.New(calendar.Options{DB: db, Access: accesstest.AllowAll{}, Environments: places{}, Wake: wake, Log: slog.New(slog.DiscardHandler)})
		b.Gates.Use(gatetest.Real{Calendar: svc})
		b.Svc = b.Service(db, accesstest.Teams{})
		wake.svc = b.Svc
		b.Work()
		old := b.Ready("old", nil)
		if _, err := svc.AddFreeze(system, calendar.Freeze{Name: "stop", Until: time.Now().Add(time.Hour)}); err != nil {
			t.Fatal(err)
		}
		r := b.Create("db", nil)
		held := b.Until(r.ID, "held", func(r resource.Resource) bool { return r.Reason == "change_window" })
		if held.Phase == resource.Ready {
			t.Error("it was made")
		}
		if _, err := b.Svc.Destroy(b.Ctx, resourcetest.Where("old"), 0); err != nil {
			t.Fatal(err)
		}
		b.Until(old.ID, "held", func(r resource.Resource) bool { return r.Reason == "change_window" })
		if w, err := svc.Window(t.Context(), gate.Facts{Action: gate.Keep, Now: time.Now()}); err != nil || w.Closed {
			t.Errorf("healing is held: %+v %v", w, err)
		}
		if err := svc.RemoveFreeze(system, "stop"); err != nil {
			t.Fatal(err)
		}
		b.UntilPhase(r.ID, resource.Ready)
		b.Gone(old.ID)
	})
}

func TestReplicasLearnOfAFreeze(t *testing.T) {
	t.Parallel()
	url := sqldbtest.PostgresURL(t)
	system := principal.With(t.Context(), principal.System)
	var svc [2]*calendar.Service
	for i := range svc {
		db := sqldbtest.Open(t, sqldb.Options{URL: url})
		if i == 0 {
			audittest.New(t, db)
		}
		svc[i] = calendar.New(calendar.Options{DB: db, Access: accesstest.AllowAll{}, Environments: places{}, Wake: &woken{}, Log: slog.New(slog.DiscardHandler)})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- svc[i].Run(ctx) }()
		t.Cleanup(func() { cancel(); <-done })
	}
	f := gate.Facts{Action: gate.Create, Now: time.Now().Add(time.Minute)}
	if w, err := svc[1].Window(t.Context(), f); err != nil || w.Closed {
		t.Fatalf("got %+v %v", w, err)
	}
	if _, err := svc[0].AddFreeze(system, calendar.Freeze{Name: "stop", Until: time.Now().Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(20 * time.Second); ; {
		w, err := svc[1].Window(t.Context(), f)
		if err != nil {
			t.Fatal(err)
		}
		if w.Closed {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the other replica has not heard of it")
		}
	}
}

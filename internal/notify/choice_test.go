package notify_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"

	"fairlead/internal/audit"
	"fairlead/internal/event"
	"fairlead/internal/fault"
	"fairlead/internal/identity"
	"fairlead/internal/notify"
	"fairlead/internal/principal"
	"fairlead/internal/sqldb"
)

func (w *world) choose(ctx context.Context, in notify.ChoiceChange) notify.Choice {
	w.t.Helper()
	c, err := w.svc.Choose(ctx, in)
	w.Must(err)
	return c
}

func list(types ...string) *[]string { return &types }

func (w *world) mailsTo(id string) (types []string) {
	w.t.Helper()
	all, _, err := w.svc.Mails(w.Admin, notify.DeliveryFilter{To: id, Sort: "created"}, sqldb.Page{Limit: 100})
	w.Must(err)
	for _, d := range all {
		types = append(types, d.EventType)
	}
	return types
}

func TestTheBellRingsForWhatIsChosen(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		olga, rita := principal.From(w.owner).ID, principal.From(w.rival).ID
		tell := func() {
			for _, kind := range []string{"lease.ended", event.RequestDenied, event.RunFailed} {
				w.emit(event.Event{Type: kind, TeamID: w.red, Subject: "res_1", To: []string{olga}})
				w.emit(event.Event{Type: kind, TeamID: w.blue, Subject: "res_2", To: []string{rita}})
			}
			w.now()
		}
		c := w.choose(w.owner, notify.ChoiceChange{Quiet: list("lease.*", "run.*")})
		if !slices.Equal(c.Quiet, []string{"lease.*", "run.*"}) || len(c.Muted) != 0 {
			t.Errorf("chosen is %+v", c)
		}
		tell()
		got := map[string]bool{}
		for _, n := range w.feed(w.owner, notify.FeedFilter{}) {
			got[n.Type] = n.ReadAt.IsZero()
		}
		// What has failed rings whatever a pattern says; what is quiet is there all the same.
		if len(got) != 3 || got["lease.ended"] || !got[event.RequestDenied] || !got[event.RunFailed] {
			t.Errorf("unread are %v", got)
		}
		if n := w.unread(w.owner); n != 2 {
			t.Errorf("the bell counts %d, want 2", n)
		}
		if n := w.unread(w.rival); n != 3 {
			t.Errorf("another's counts %d, want 3", n)
		}
		w.choose(w.owner, notify.ChoiceChange{Quiet: list()})
		tell()
		if n := w.unread(w.owner); n != 5 {
			t.Errorf("as by default it counts %d, want 5: what was quiet stays so", n)
		}
	})
}

func TestMailGoesToWhoWantsIt(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		olga, rita := principal.From(w.owner).ID, principal.From(w.rival).ID
		w.choose(w.owner, notify.ChoiceChange{Mailed: list(event.RunFailed), Muted: list("lease.*", event.ApprovalRequested)})
		for _, kind := range []string{event.RunFailed, event.DriftDetected, event.ApprovalRequested, event.LeaseWarned, event.RequestDenied} {
			w.emit(event.Event{Type: kind, TeamID: w.red, Subject: "x_1", To: []string{olga, rita}})
		}
		w.now()
		if got := w.mailsTo(olga); !slices.Equal(got, []string{event.RunFailed, event.RequestDenied}) {
			t.Errorf("she gets %v", got)
		}
		if got := w.mailsTo("rita"); !slices.Equal(got, []string{event.ApprovalRequested, event.LeaseWarned, event.RequestDenied}) {
			t.Errorf("another gets %v, want what it was by default", got)
		}
		if n := w.unread(w.owner); n != 5 {
			t.Errorf("mail is one thing, the bell another: %d", n)
		}
		// A mail says how to be rid of it, also one that was asked for.
		w.choose(w.owner, notify.ChoiceChange{Muted: list(event.RunFailed)})
		w.emit(event.Event{Type: event.RunFailed, TeamID: w.red, To: []string{olga}})
		w.now()
		if got := w.mailsTo(olga); len(got) != 2 {
			t.Errorf("muted by its name she gets %v", got)
		}
	})
}

func TestAChoiceIsOnesOwnAndRecorded(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		_, err := w.Identity.CreateRobot(w.Admin, identity.NewRobot{Team: "red", Name: "ci"})
		w.Must(err)
		for who, c := range map[string]struct {
			ctx  context.Context
			want fault.Kind
		}{"nobody": {t.Context(), fault.Unauthenticated}, "a robot": {w.As("ci"), fault.Denied}} {
			_, read := w.svc.Choice(c.ctx)
			_, write := w.svc.Choose(c.ctx, notify.ChoiceChange{Quiet: list("lease.ended")})
			if !fault.Is(read, c.want) || !fault.Is(write, c.want) {
				t.Errorf("%s: %v, %v", who, read, write)
			}
		}
		for _, bad := range []struct {
			in   notify.ChoiceChange
			code string
		}{
			{notify.ChoiceChange{Quiet: list("nothing.such")}, "invalid_event_type"},
			{notify.ChoiceChange{Muted: list("")}, "invalid_event_type"},
			{notify.ChoiceChange{Quiet: list("lease.ended", event.ApprovalRequested)}, "always_rings"},
			{notify.ChoiceChange{Mailed: list("lease.ended")}, "invalid_event_type"},
			{notify.ChoiceChange{Mailed: list("run.*")}, "invalid_event_type"},
			{notify.ChoiceChange{Muted: ptr(make([]string, 60))}, "invalid_event_type"},
		} {
			_, err := w.svc.Choose(w.owner, bad.in)
			code(t, strings.Join(append(append([]string{}, deref(bad.in.Quiet)...), deref(bad.in.Muted)...), " "), err, bad.code)
		}
		// Parts are independent, also of who changes another at the same time.
		var all sync.WaitGroup
		for _, in := range []notify.ChoiceChange{{Quiet: list("pin.expired")}, {Muted: list("pin.*")}, {Mailed: list(event.DriftDetected)}} {
			all.Go(func() {
				for range 3 {
					if _, err := w.svc.Choose(w.owner, in); err != nil {
						t.Error(err)
					}
				}
			})
		}
		all.Wait()
		c, err := w.svc.Choice(w.owner)
		w.Must(err)
		if !slices.Equal(c.Quiet, []string{"pin.expired"}) || !slices.Equal(c.Muted, []string{"pin.*"}) || !slices.Equal(c.Mailed, []string{event.DriftDetected}) {
			t.Errorf("together they chose %+v", c)
		}
		records, _, err := w.Log.Search(w.Admin, audit.Filter{Action: "user:mute"}, sqldb.Page{})
		w.Must(err)
		if len(records) != 3 {
			t.Errorf("%d records, want 3: what changes nothing is none", len(records))
		}
	})
}

func deref(l *[]string) []string {
	if l == nil {
		return nil
	}
	return *l
}

// TestEveryTypeIsSomebodysOrNobodys has each type of event in the list of what
// people choose from, or here.
func TestEveryTypeIsSomebodysOrNobodys(t *testing.T) {
	t.Parallel()
	nobodys := []string{
		"calendar.changed", "compliance.cleared", "drift.held", "drift.released", "drift.resolved", "guardrail.activated", "prices.applied", "prices.changed",
		"quota.changed", "state.rolledback", "template.deprecated", "template.undeprecated", event.WebhookPing,
	}
	kinds := notify.Choice{}.Kinds()
	for _, e := range event.Catalogue() {
		has := slices.ContainsFunc(kinds, func(k notify.Kind) bool { return k.Type == e.Name })
		if has == slices.Contains(nobodys, e.Name) {
			t.Errorf("%s is in the list of what concerns people: %v", e.Name, has)
		}
	}
	for _, k := range kinds {
		if k.Title == "" || k.Always && !k.Bell || k.Bell != k.Rings || k.Mail == k.Opt {
			t.Errorf("by default %+v", k)
		}
	}
}

func TestTicksKeepPatternsThatSayTheSame(t *testing.T) {
	t.Parallel()
	was := notify.Choice{Quiet: []string{"approval.*"}, Muted: []string{"*", "lease.*", "pin.*"}, Mailed: []string{event.RunFailed}}
	tick := func(c notify.Choice) (bell, mail []string) {
		for _, k := range c.Kinds() {
			if k.Bell && !k.Always { // what is disabled is not sent
				bell = append(bell, k.Type)
			}
			if k.Mail {
				mail = append(mail, k.Type)
			}
		}
		return bell, mail
	}
	same := func(what string, in notify.ChoiceChange, quiet, muted, mailed []string) {
		t.Helper()
		if !slices.Equal(*in.Quiet, quiet) || !slices.Equal(*in.Muted, muted) || !slices.Equal(*in.Mailed, mailed) {
			t.Errorf("%s: %v, %v, %v", what, *in.Quiet, *in.Muted, *in.Mailed)
		}
	}
	bell, mail := tick(was)
	same("as it was", was.Ticked(bell, mail), []string{"approval.*"}, []string{"*"}, []string{event.RunFailed})
	muted := []string{"pin.*"}
	for _, k := range was.Kinds() {
		if !k.Opt && !strings.HasPrefix(k.Type, "pin.") && k.Type != "lease.set" {
			muted = append(muted, k.Type)
		}
	}
	slices.Sort(muted)
	same("one more mail", was.Ticked(bell, append(mail, "lease.set")), []string{"approval.*"}, muted, []string{event.RunFailed})
	none := notify.Choice{}
	bell, mail = tick(none)
	same("the default", none.Ticked(bell, mail), []string{}, []string{}, []string{})
	same("one less", none.Ticked(slices.DeleteFunc(bell, func(s string) bool { return s == "lease.ended" }), nil), []string{"lease.ended"}, *none.Ticked(nil, nil).Muted, []string{})
}

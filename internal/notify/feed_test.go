package notify_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"fairlead/internal/audit"
	"fairlead/internal/event"
	"fairlead/internal/fault"
	"fairlead/internal/identity"
	"fairlead/internal/notify"
	"fairlead/internal/principal"
	"fairlead/internal/sqldb"
	"fairlead/internal/sqldb/sqldbtest"
)

func (w *world) feed(ctx context.Context, f notify.FeedFilter) []notify.Notification {
	w.t.Helper()
	list, _, err := w.svc.Feed(ctx, f, sqldb.Page{Limit: 200})
	w.Must(err)
	return list
}

func (w *world) unread(ctx context.Context) int {
	w.t.Helper()
	n, err := w.svc.Unread(ctx)
	w.Must(err)
	return n
}

func TestTheBellRingsForWhomItConcerns(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		olga, rita := principal.From(w.owner).ID, principal.From(w.rival).ID
		data := map[string]any{"resource": "orders", "project": "shop", "environment": "dev", "message": "no\r\nroute", "secret": "hunter2"}
		w.emit(event.Event{Type: event.RunFailed, TeamID: w.red, Subject: "res_1", To: []string{olga, "bot_1", principal.System.ID}, Data: data})
		w.emit(event.Event{Type: "lease.begun", TeamID: w.red, Subject: "res_1", To: []string{olga}, Data: data}) // she did it herself
		w.emit(event.Event{Type: event.RunFailed, TeamID: w.blue, Subject: "res_2", To: []string{rita}})
		w.now()
		w.now() // nothing comes twice
		list := w.feed(w.owner, notify.FeedFilter{})
		if len(list) != 1 || list[0].About != "orders" || list[0].Place != "shop/dev" || list[0].Detail != "no  route" || list[0].Title == "" || !list[0].ReadAt.IsZero() || list[0].At.IsZero() {
			t.Fatalf("her feed is %+v", list)
		}
		if got := w.feed(w.rival, notify.FeedFilter{}); len(got) != 1 || got[0].Subject != "res_2" {
			t.Errorf("the other's is %+v", got)
		}
		if n := w.unread(w.owner); n != 1 {
			t.Errorf("%d are not read", n)
		}
		if len(w.mailer.mails) != 0 {
			t.Errorf("%d mails of what the bell alone rings for", len(w.mailer.mails))
		}
		var n int
		w.Must(w.DB.Read().QueryRowContext(t.Context(), `SELECT count(*) FROM notifications`).Scan(&n))
		if n != 2 {
			t.Errorf("%d are kept", n)
		}
	})
}

func TestWhatIsReadStaysRead(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		olga, rita := principal.From(w.owner).ID, principal.From(w.rival).ID
		for i := range 3 {
			w.emit(event.Event{Type: event.RunFailed, TeamID: w.red, Subject: fmt.Sprint("res_", i), To: []string{olga}})
		}
		w.emit(event.Event{Type: event.RunFailed, TeamID: w.blue, Subject: "res_x", To: []string{rita}})
		w.now()
		others := w.feed(w.rival, notify.FeedFilter{})[0].EventID
		list := w.feed(w.owner, notify.FeedFilter{})
		if len(list) != 3 || list[0].Subject != "res_2" {
			t.Fatalf("the newest is not first: %+v", list)
		}
		for range 2 {
			w.Must(w.svc.MarkRead(w.owner, []string{list[0].EventID, others, "' OR 1=1 --"}))
		}
		if n := w.unread(w.owner); n != 2 {
			t.Errorf("%d are not read, want 2", n)
		}
		if n := w.unread(w.rival); n != 1 {
			t.Errorf("she read another's: %d", n)
		}
		if got := w.feed(w.owner, notify.FeedFilter{Unread: true}); len(got) != 2 {
			t.Errorf("%d are in the list of what is not read", len(got))
		}
		for range 2 {
			w.Must(w.svc.MarkRead(w.owner, nil))
		}
		if n := w.unread(w.owner); n != 0 {
			t.Errorf("%d are not read, want none", n)
		}
		records, _, err := w.Log.Search(w.Admin, audit.Filter{Action: "user:read-notifications"}, sqldb.Page{})
		w.Must(err)
		if len(records) != 2 {
			t.Errorf("%d records, want 2: what changes nothing is none", len(records))
		}
		if _, err := w.svc.Find(w.owner, others); !fault.Is(err, fault.NotFound) {
			t.Errorf("another's is found: %v", err)
		}
		code(t, "too many at once", w.svc.MarkRead(w.owner, make([]string, 300)), "invalid_request")
	})
}

// asks lets some see some approvals.
type asks map[string]bool

func (a asks) Visible(ctx context.Context, id string) error {
	if a[principal.From(ctx).ID+" "+id] {
		return nil
	}
	return fault.New(fault.NotFound, "not_found", "no such approval")
}

func TestTheRightIsLookedAtWhenItIsRead(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		olga, rita := principal.From(w.owner).ID, principal.From(w.rival).ID
		w.svc.Approvals = asks{rita + " apr_1": true}
		w.emit(event.Event{Type: event.RunFailed, TeamID: w.red, Subject: "res_1", To: []string{olga, rita}})
		for _, id := range []string{"apr_1", "apr_2"} { // rita is asked for the first, not in its team
			w.emit(event.Event{Type: event.ApprovalRequested, TeamID: w.red, Subject: id, To: []string{rita, olga}})
		}
		w.emit(event.Event{Type: "rollout.finished", Subject: "rol_1", To: []string{rita}}) // hers, of no place
		w.now()
		if got := w.feed(w.owner, notify.FeedFilter{}); len(got) != 3 {
			t.Errorf("who sees the place sees %+v", got)
		}
		got := w.feed(w.rival, notify.FeedFilter{})
		if len(got) != 2 || got[0].Subject != "rol_1" || got[1].Subject != "apr_1" {
			t.Errorf("who does not sees %+v", got)
		}
		if n := w.unread(w.rival); n != 2 {
			t.Errorf("the bell counts %d, want what the list has", n)
		}
		for subject, there := range map[string]bool{"apr_1": true, "apr_2": false} { // nor is it opened
			var id string
			w.Must(w.DB.Read().QueryRowContext(t.Context(), `SELECT event_id FROM notifications WHERE user_id = $1 AND subject = $2`, rita, subject).Scan(&id))
			if _, err := w.svc.Find(w.rival, id); (err == nil) != there || !there && !fault.Is(err, fault.NotFound) {
				t.Errorf("%s is found: %v", subject, err)
			}
		}
		w.User("oscar", "red", principal.TeamOwner) // a team keeps an owner
		w.Must(w.Identity.RemoveMember(w.Admin, "red", "olga"))
		left := w.As("olga")
		if got := w.feed(left, notify.FeedFilter{}); len(got) != 0 {
			t.Errorf("who has left sees %+v", got)
		}
		_, err := w.svc.Find(left, w.feedOf(t, olga))
		if !fault.Is(err, fault.NotFound) {
			t.Errorf("and finds it: %v", err)
		}
	})
}

// feedOf is one of what is kept for somebody, whatever they may see of it.
func (w *world) feedOf(t *testing.T, userID string) (id string) {
	t.Helper()
	w.Must(w.DB.Read().QueryRowContext(t.Context(), `SELECT min(event_id) FROM notifications WHERE user_id = $1 AND type = 'run.failed'`, userID).Scan(&id))
	return id
}

func TestAFeedIsBounded(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		w := open(t, db, func(o *notify.Options) { o.Keep = time.Hour })
		olga := principal.From(w.owner).ID
		w.Must(db.Write(t.Context(), "test.emit", func(tx *sqldb.Tx) error {
			for i := range 620 {
				if err := event.Emit(t.Context(), tx, event.Event{Type: event.RunFailed, TeamID: w.red, Subject: fmt.Sprint("res_", i), To: []string{olga}}); err != nil {
					return err
				}
			}
			return nil
		}))
		w.Must(w.svc.Dispatch(t.Context()))
		count := func() (n int) {
			w.Must(db.Read().QueryRowContext(t.Context(), `SELECT count(*) FROM notifications`).Scan(&n))
			return n
		}
		if n := count(); n != 500 {
			t.Errorf("%d are kept, want 500", n)
		}
		if n := w.unread(w.owner); n != notify.MaxUnread {
			t.Errorf("%d are counted", n)
		}
		seen := map[string]bool{}
		for after := ""; ; {
			list, next, err := w.svc.Feed(w.owner, notify.FeedFilter{}, sqldb.Page{Limit: 90, After: after})
			w.Must(err)
			for _, n := range list {
				seen[n.Subject] = true
			}
			if after = next; next == "" {
				break
			}
		}
		if len(seen) != 500 || !seen["res_619"] || seen["res_0"] {
			t.Errorf("%d are on the pages", len(seen))
		}
		w.Must(db.Write(t.Context(), "test.age", func(tx *sqldb.Tx) error {
			_, err := tx.ExecContext(t.Context(), `UPDATE notifications SET at = 1 WHERE subject <> 'res_619'`)
			return err
		}))
		w.Must(w.svc.Prune(t.Context()))
		if n := count(); n != 1 {
			t.Errorf("%d are left of what is old", n)
		}
	})
}

func TestNobodyElseReadsAFeed(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		_, err := w.Identity.CreateRobot(w.Admin, identity.NewRobot{Team: "red", Name: "ci"})
		w.Must(err)
		for who, c := range map[string]struct {
			ctx  context.Context
			want fault.Kind
		}{"nobody": {t.Context(), fault.Unauthenticated}, "a robot": {w.As("ci"), fault.Denied}} {
			_, _, list := w.svc.Feed(c.ctx, notify.FeedFilter{}, sqldb.Page{})
			_, count := w.svc.Unread(c.ctx)
			_, find := w.svc.Find(c.ctx, "evt_1")
			for what, err := range map[string]error{"list": list, "count": count, "find": find, "read": w.svc.MarkRead(c.ctx, nil)} {
				if !fault.Is(err, c.want) {
					t.Errorf("%s: %s: %v", who, what, err)
				}
			}
		}
	})
}

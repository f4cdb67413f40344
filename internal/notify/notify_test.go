package notify_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"fairlead/internal/audit/audittest"
	"fairlead/internal/event"
	"fairlead/internal/fault"
	"fairlead/internal/notify"
	"fairlead/internal/principal"
	"fairlead/internal/redact"
	"fairlead/internal/sqldb"
	"fairlead/internal/sqldb/sqldbtest"
)

func TestAnEventReachesWhoMayKnowOfIt(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		r := receive(t)
		red, secret := w.hook(w.owner, "red", r.URL+"/red")
		w.hook(w.rival, "blue", r.URL+"/blue")
		w.hook(w.Admin, "", r.URL+"/all")
		w.hook(w.owner, "red", r.URL+"/narrow", "webhook.*")
		off, _ := w.hook(w.owner, "red", r.URL+"/off")
		_, err := w.svc.Update(w.owner, off.ID, notify.Change{Enabled: ptr(false)}, 0)
		w.Must(err)
		w.emit(event.Event{TeamID: w.red, Subject: "res_1", ProjectID: "prj_1", Data: map[string]any{"resource": "orders"}})
		w.emit(event.Event{Subject: "nobody's"})
		w.now()
		w.now() // and nothing twice
		var paths []string
		for _, c := range r.got() {
			paths = append(paths, c.path)
		}
		slices.Sort(paths)
		if strings.Join(paths, " ") != "/all /all /red" {
			t.Fatalf("called: %v", paths)
		}
		r.set(secret, nil)
		w.emit(event.Event{TeamID: w.red, Subject: "res_2", ProjectID: "prj_1", Data: map[string]any{"resource": "orders"}})
		w.now()
		for _, c := range r.got()[3:] {
			if c.path != "/red" {
				continue
			}
			var e map[string]any
			if c.err != nil || json.Unmarshal(c.body, &e) != nil {
				t.Fatalf("%v: %s", c.err, c.body)
			}
			if e["specversion"] != "1.0" || e["type"] != "dev.fairlead.request.denied" || e["source"] != "https://fairlead.example.org" || e["subject"] != "res_2" ||
				e["id"] != c.id || e["teamid"] != w.red || e["data"].(map[string]any)["resource"] != "orders" || e["datacontenttype"] != "application/json" {
				t.Errorf("the event is %s", c.body)
			}
			if _, err := time.Parse(time.RFC3339Nano, e["time"].(string)); err != nil {
				t.Error(err)
			}
		}
		if d := w.deliveries(red); len(d) != 2 || d[0].Status != notify.Delivered || d[0].LastCode != 200 || d[0].Attempts != 1 {
			t.Errorf("kept: %+v", d)
		}
	})
}

func TestAReceiverThatIsDownThenUp(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		down, up := receive(t), receive(t)
		down.set(redact.Secret{}, answers(http.StatusServiceUnavailable))
		sick, _ := w.hook(w.owner, "red", down.URL)
		w.hook(w.owner, "red", up.URL)
		for range 8 {
			w.emit(event.Event{TeamID: w.red})
		}
		w.now()
		if n := len(up.got()); n != 8 {
			t.Fatalf("the one that is up got %d of 8", n)
		}
		if n := len(down.got()); n > 8 {
			t.Errorf("the one that is down was asked %d times at once", n)
		}
		for range 4 { // now it is left alone for longer and longer
			w.due()
			w.now()
		}
		h, err := w.svc.Get(w.owner, sick.ID)
		w.Must(err)
		if h.Failures < 5 || h.FailingSince.IsZero() {
			t.Errorf("it is shown as %+v", h)
		}
		before := len(down.got())
		w.now()
		if after := len(down.got()); after != before {
			t.Errorf("a failing receiver was asked %d times more without a pause", after-before)
		}
		down.set(redact.Secret{}, nil)
		w.due()
		w.now()
		ids := map[string]bool{}
		for _, d := range w.deliveries(sick) {
			if d.Status != notify.Delivered {
				t.Errorf("still %s after %d attempts: %s", d.Status, d.Attempts, d.LastError)
			}
			ids[d.EventID] = true
		}
		for _, c := range down.got() {
			if !ids[c.id] {
				t.Errorf("it was sent %s, which is none of its events", c.id)
			}
		}
		if h, err = w.svc.Get(w.owner, sick.ID); err != nil || h.Failures != 0 {
			t.Errorf("then it is %+v: %v", h, err)
		}
	})
}

func TestReceiversThatAnswerBadly(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		inside := receive(t) // not allowed to be followed to
		for _, row := range []struct {
			why    string
			answer http.HandlerFunc
			code   int64
			status notify.Status
		}{
			{"hung", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, 0, notify.Pending},
			{"huge", func(rw http.ResponseWriter, _ *http.Request) {
				for i := 0; i < 1000; i++ {
					if _, err := rw.Write([]byte(strings.Repeat("<b>\x1b[31mx\u202e", 1000))); err != nil {
						return
					}
				}
			}, 200, notify.Delivered},
			{"a redirect to metadata", func(rw http.ResponseWriter, _ *http.Request) {
				rw.Header().Set("Location", "http://169.254.169.254/latest/meta-data/")
				rw.WriteHeader(http.StatusFound)
			}, 302, notify.Pending},
			{"a redirect inside", func(rw http.ResponseWriter, _ *http.Request) {
				rw.Header().Set("Location", inside.URL)
				rw.WriteHeader(http.StatusPermanentRedirect)
			}, 308, notify.Pending},
			{"refused", answers(http.StatusForbidden), 403, notify.Pending},
		} {
			r := receive(t)
			r.set(redact.Secret{}, row.answer)
			h, _ := w.hook(w.owner, "red", r.URL)
			w.emit(event.Event{TeamID: w.red})
			w.now()
			d := w.deliveries(h)[0]
			if d.LastCode != row.code || d.Status != row.status || len(d.LastBody) > 3<<10 || strings.ContainsAny(d.LastBody, "\x1b\u202e") || (row.status == notify.Pending) != (d.LastError != "") {
				t.Errorf("%s: %+v", row.why, d)
			}
			if d.Status == notify.Pending && !d.NextAt.After(d.CreatedAt) {
				t.Errorf("%s: again at %s", row.why, d.NextAt)
			}
			r.set(redact.Secret{}, nil)
			w.Must(w.svc.Delete(w.owner, h.ID, 0))
		}
		if len(inside.got()) != 0 {
			t.Error("a redirect was followed")
		}
	})
}

func TestGoneDisables(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		r := receive(t)
		r.set(redact.Secret{}, answers(http.StatusGone))
		h, _ := w.hook(w.owner, "red", r.URL)
		w.emit(event.Event{TeamID: w.red})
		w.now()
		h, err := w.svc.Get(w.owner, h.ID)
		if err != nil || h.Enabled || h.DisabledWhy == "" || w.deliveries(h)[0].Status != notify.Failed {
			t.Fatalf("%+v %v", h, err)
		}
		w.emit(event.Event{TeamID: w.red})
		w.now()
		if len(r.got()) != 1 {
			t.Errorf("it was called %d times", len(r.got()))
		}
		_, err = w.svc.Ping(w.owner, h.ID)
		code(t, "ping", err, "webhook_disabled")
		if n := len(audittest.Records(t, w.Log, "webhook:disable")); n != 1 {
			t.Errorf("%d records of it", n)
		}
		r.set(redact.Secret{}, nil)
		_, err = w.svc.Update(w.owner, h.ID, notify.Change{Enabled: ptr(true)}, 0)
		w.Must(err)
		_, err = w.svc.Redeliver(w.owner, w.deliveries(h)[0].ID)
		w.Must(err)
		w.now()
		if d := w.deliveries(h); d[0].Status != notify.Delivered || len(d) != 1 || r.got()[0].id != r.got()[1].id {
			t.Errorf("delivered again: %+v", d)
		}
	})
}

func TestSecretsRotateWithOverlapAndStayWithTheirOrigin(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		here, there := receive(t), receive(t)
		h, first := w.hook(w.owner, "red", here.URL+"/a")
		if !strings.HasPrefix(first.Reveal(), "whsec_") {
			t.Fatal("the secret has no prefix")
		}
		_, err := w.svc.Update(w.owner, h.ID, notify.Change{URL: ptr(there.URL)}, 0)
		code(t, "another origin", err, "webhook_origin")
		_, err = w.svc.Update(w.owner, h.ID, notify.Change{URL: ptr(here.URL + "/b")}, 0)
		code(t, "another path", err, "")
		_, second, err := w.svc.Rotate(w.owner, h.ID, notify.Rotation{Overlap: time.Hour}, 0)
		w.Must(err)
		for _, s := range []redact.Secret{first, second} {
			here.set(s, nil)
			w.emit(event.Event{TeamID: w.red})
			w.now()
			c := here.got()[len(here.got())-1]
			if c.err != nil || len(strings.Fields(c.signature)) != 2 || c.path != "/b" {
				t.Errorf("during the overlap: %+v", c)
			}
		}
		_, third, err := w.svc.Rotate(w.owner, h.ID, notify.Rotation{}, 0)
		w.Must(err)
		for want, s := range map[bool]redact.Secret{false: second, true: third} {
			here.set(s, nil)
			w.emit(event.Event{TeamID: w.red})
			w.now()
			if c := here.got()[len(here.got())-1]; (c.err == nil) != want || len(strings.Fields(c.signature)) != 1 {
				t.Errorf("without an overlap: %+v", c)
			}
		}
		_, fourth, err := w.svc.Rotate(w.owner, h.ID, notify.Rotation{URL: there.URL, Overlap: time.Hour}, 0)
		w.Must(err)
		there.set(fourth, nil)
		w.emit(event.Event{TeamID: w.red})
		w.now()
		if c := there.got(); len(c) != 1 || c[0].err != nil || len(strings.Fields(c[0].signature)) != 1 {
			t.Errorf("at another origin: %+v", c)
		}
		// Somebody who can write the row, and not the secret.
		w.Must(w.DB.Write(t.Context(), "test.repoint", func(tx *sqldb.Tx) error {
			_, err := tx.ExecContext(t.Context(), `UPDATE webhooks SET url = $1`, here.URL)
			return err
		}))
		before := len(here.got())
		w.emit(event.Event{TeamID: w.red})
		w.now()
		if len(here.got()) != before {
			t.Error("a repointed webhook was signed and sent")
		}
	})
}

func TestURLsThatAreNotForWebhooks(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		for url, want := range map[string]string{
			"http://169.254.169.254/": "egress_refused", "https://10.0.0.1/": "egress_refused", "ftp://x.example/": "egress_url",
			"https://user:pw@x.example/": "egress_url", "https://0x7f.1/": "egress_url",
		} {
			_, _, err := w.svc.Create(w.owner, notify.NewWebhook{Team: "red", URL: url})
			code(t, url, err, want)
		}
		for _, types := range [][]string{{"nothing.such"}, {"a b"}, {""}, {"*****"}, make([]string, 51)} {
			_, _, err := w.svc.Create(w.owner, notify.NewWebhook{Team: "red", URL: "https://x.example/", Types: types})
			code(t, fmt.Sprint(types), err, "invalid_event_type")
		}
		_, _, err := w.svc.Rotate(w.owner, "whk_none", notify.Rotation{}, 0)
		code(t, "none", err, "webhook_not_found")
	})
}

func TestStrangersSeeNothingOfWebhooks(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		r := receive(t)
		h, _ := w.hook(w.owner, "red", r.URL)
		w.hook(w.Admin, "", r.URL)
		d, err := w.svc.Ping(w.owner, h.ID)
		w.Must(err)
		w.emit(event.Event{TeamID: w.red})
		w.emit(event.Event{TeamID: ""})
		w.now()
		viewer := w.User("vera", "red", principal.Viewer)
		calls := map[string]func(context.Context) error{
			"get": func(c context.Context) error { _, err := w.svc.Get(c, h.ID); return err },
			"update": func(c context.Context) error {
				_, err := w.svc.Update(c, h.ID, notify.Change{Enabled: ptr(false)}, 0)
				return err
			},
			"delete":    func(c context.Context) error { return w.svc.Delete(c, h.ID, 0) },
			"rotate":    func(c context.Context) error { _, _, err := w.svc.Rotate(c, h.ID, notify.Rotation{}, 0); return err },
			"ping":      func(c context.Context) error { _, err := w.svc.Ping(c, h.ID); return err },
			"delivery":  func(c context.Context) error { _, err := w.svc.Delivery(c, d.ID); return err },
			"redeliver": func(c context.Context) error { _, err := w.svc.Redeliver(c, d.ID); return err },
			"deliveries": func(c context.Context) error {
				_, _, err := w.svc.Deliveries(c, h.ID, notify.DeliveryFilter{}, sqldb.Page{})
				return err
			},
			"create": func(c context.Context) error {
				_, _, err := w.svc.Create(c, notify.NewWebhook{Team: "red", URL: r.URL})
				return err
			},
		}
		for name, call := range calls {
			if err := call(t.Context()); !fault.Is(err, fault.Unauthenticated) {
				t.Errorf("%s by nobody: %v", name, err)
			}
			if err := call(w.rival); !fault.Is(err, fault.NotFound) {
				t.Errorf("%s by another team's owner: %v", name, err)
			}
			if err := call(viewer); !fault.Is(err, fault.NotFound) && !fault.Is(err, fault.Denied) {
				t.Errorf("%s by a viewer: %v", name, err)
			}
		}
		_, _, err = w.svc.Create(w.owner, notify.NewWebhook{URL: r.URL})
		if err == nil {
			t.Error("a team's owner made a webhook of the organisation")
		}
		_, _, err = w.svc.Mails(w.owner, notify.DeliveryFilter{}, sqldb.Page{})
		if err == nil {
			t.Error("a team's owner sees everybody's mail")
		}
		for _, row := range []struct {
			who            context.Context
			hooks, events  int
			why            string
			unauthenticate bool
		}{{w.Admin, 2, 2, "the administrator", false}, {w.owner, 1, 1, "the owner", false}, {w.rival, 0, 0, "another team's", false}, {viewer, 0, 1, "a viewer", false}, {t.Context(), 0, 0, "nobody", true}} {
			hooks, _, err := w.svc.List(row.who, notify.Filter{}, sqldb.Page{})
			if len(hooks) != row.hooks || fault.Is(err, fault.Unauthenticated) != row.unauthenticate || err != nil && !row.unauthenticate {
				t.Errorf("%s sees %d webhooks: %v", row.why, len(hooks), err)
			}
			events, _, err := w.svc.Events(row.who, notify.EventFilter{}, sqldb.Page{})
			if len(events) != row.events || fault.Is(err, fault.Unauthenticated) != row.unauthenticate || err != nil && !row.unauthenticate {
				t.Errorf("%s sees %d events: %v", row.why, len(events), err)
			}
		}
		for _, action := range []string{"webhook:create", "webhook:ping"} {
			if len(audittest.Records(t, w.Log, action)) == 0 {
				t.Errorf("%s is not in the audit log", action)
			}
		}
	})
}

func TestMail(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		e := event.Event{TeamID: w.red, Subject: "res_1", To: []string{"usr_mail", "usr_none"}, Data: map[string]any{
			"resource": "orders\r\nBcc: eve@example.org", "verdicts": []string{"too large\nNext: rm -rf", "no owner"}}}
		w.emit(e)
		w.now()
		if len(w.mailer.mails) != 1 {
			t.Fatalf("%d mails", len(w.mailer.mails))
		}
		m := w.mailer.mails[0]
		if m.Email != "mail@example.org" || strings.ContainsAny(m.Subject, "\r\n") || !strings.Contains(m.Text, "no owner") || strings.Contains(m.Text, "\nNext: rm") || !strings.HasPrefix(m.ID, "evt_") {
			t.Errorf("the mail is %+v", m)
		}
		w.emit(event.Event{Type: event.LeaseStuck, TeamID: w.red, To: []string{"usr_mail"}, Data: map[string]any{"kind": "resource", "name": "orders", "project": "shop", "environment": "dev"}})
		w.emit(event.Event{Type: event.LeaseStuck, TeamID: w.red, To: []string{"usr_mail"}, Data: map[string]any{"resource": "x; rm", "project": "shop", "environment": "dev"}})
		w.now()
		if n := len(w.mailer.mails); n != 3 || !strings.Contains(w.mailer.mails[1].Text+w.mailer.mails[2].Text, "\nNext: fairlead why orders -e shop/dev\n") ||
			!strings.Contains(w.mailer.mails[1].Text+w.mailer.mails[2].Text, "\nNext: fairlead why RESOURCE\n") {
			t.Errorf("what to do next cannot be pasted: %+v", w.mailer.mails)
		}
		w.mailer.mails = w.mailer.mails[:1]
		w.mailer.err = fault.New(fault.Unavailable, "mail_failed", "no")
		w.emit(e)
		w.now()
		w.mailer.err = nil
		w.due()
		w.now()
		if n := len(w.mailer.mails); n != 3 || w.mailer.mails[1].ID != w.mailer.mails[2].ID {
			t.Errorf("%d mails: tried again it is the same one", n)
		}
		w.mailer.err = fault.New(fault.Invalid, "mail_refused", "no such user")
		w.emit(e)
		w.now()
		list, _, err := w.svc.Mails(w.Admin, notify.DeliveryFilter{Status: notify.Failed, To: "usr_mail"}, sqldb.Page{})
		if err != nil || len(list) != 1 || list[0].Recipient != "usr_mail" {
			t.Errorf("refused: %+v %v", list, err)
		}
		// Muted.
		me := principal.From(w.owner).ID
		w.choose(w.owner, notify.ChoiceChange{Muted: &[]string{"request.*"}})
		before, _, err := w.svc.Mails(w.Admin, notify.DeliveryFilter{}, sqldb.Page{})
		w.Must(err)
		w.emit(event.Event{TeamID: w.red, To: []string{me}})
		w.now()
		after, _, err := w.svc.Mails(w.Admin, notify.DeliveryFilter{}, sqldb.Page{})
		if err != nil || len(after) != len(before) {
			t.Errorf("%d mails more: %v", len(after)-len(before), err)
		}
	})
}

func TestWhatCannotBeDeliveredIsGivenUpAndPruned(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		r := receive(t)
		r.set(redact.Secret{}, answers(http.StatusInternalServerError))
		h, _ := w.hook(w.owner, "red", r.URL)
		w.emit(event.Event{TeamID: w.red})
		w.now()
		w.Must(w.DB.Write(t.Context(), "test.old", func(tx *sqldb.Tx) error {
			_, err := tx.ExecContext(t.Context(), `UPDATE deliveries SET expires_at = 1`)
			return err
		}))
		w.Must(w.svc.Prune(t.Context()))
		if d := w.deliveries(h); d[0].Status != notify.Failed || d[0].LastError == "" {
			t.Errorf("%+v", d)
		}
		w.Must(w.DB.Write(t.Context(), "test.old", func(tx *sqldb.Tx) error {
			if _, err := tx.ExecContext(t.Context(), `UPDATE events SET at = 1`); err != nil {
				return err
			}
			_, err := tx.ExecContext(t.Context(), `UPDATE deliveries SET created_at = 1`)
			return err
		}))
		w.Must(w.svc.Prune(t.Context()))
		events, _, err := w.svc.Events(w.Admin, notify.EventFilter{}, sqldb.Page{})
		if err != nil || len(events) != 0 || len(w.deliveries(h)) != 0 {
			t.Errorf("%d events, %d deliveries are left: %v", len(events), len(w.deliveries(h)), err)
		}
	})
}

func TestTwoReplicasSendOnce(t *testing.T) {
	t.Parallel()
	url := sqldbtest.PostgresURL(t)
	a, b := sqldbtest.Open(t, sqldb.Options{URL: url}), sqldbtest.Open(t, sqldb.Options{URL: url})
	w := open(t, a)
	r := receive(t)
	w.hook(w.owner, "red", r.URL)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 4)
	for _, svc := range []*notify.Service{w.svc, w.replica(b)} {
		go func() { done <- svc.Run(ctx) }()
		go func() {
			for ctx.Err() == nil {
				if err := svc.Dispatch(ctx); err != nil && ctx.Err() == nil {
					t.Error(err)
				}
			}
			done <- nil
		}()
	}
	for range 60 {
		w.emit(event.Event{TeamID: w.red})
	}
	for deadline := time.Now().Add(time.Minute); len(r.got()) < 60 && time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
	}
	stop()
	for range 4 {
		<-done
	}
	seen := map[string]int{}
	for _, c := range r.got() {
		seen[c.id]++
	}
	if len(seen) != 60 || len(r.got()) != 60 {
		t.Errorf("%d events in %d calls", len(seen), len(r.got()))
	}
}

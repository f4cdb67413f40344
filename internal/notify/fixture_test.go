package notify_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"fairlead/internal/egress"
	"fairlead/internal/event"
	"fairlead/internal/fault"
	"fairlead/internal/identity/identitytest"
	"fairlead/internal/notify"
	"fairlead/internal/notify/notifytest"
	"fairlead/internal/principal"
	"fairlead/internal/redact"
	"fairlead/internal/secret/secrettest"
	"fairlead/internal/sqldb"
	"fairlead/internal/sqldb/sqldbtest"
)

type world struct {
	*identitytest.World
	t       *testing.T
	svc     *notify.Service
	secrets *secrettest.Memory
	red     string // ids of teams
	blue    string
	owner   context.Context // of red
	rival   context.Context // of blue
	mailer  *mailbox
}

type mailbox struct {
	mu    sync.Mutex
	mails []notify.Message
	err   error
}

func (m *mailbox) Send(_ context.Context, in notify.Message) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mails = append(m.mails, in)
	return m.err
}

type people map[string]string

func (p people) Address(_ context.Context, id string) (string, string, error) { return id, p[id], nil }

func open(t *testing.T, db *sqldb.DB, set ...func(*notify.Options)) *world {
	t.Helper()
	w := &world{World: identitytest.New(t, db), t: t, secrets: &secrettest.Memory{}, mailer: &mailbox{}}
	w.red, w.blue = w.Team("red").ID, w.Team("blue").ID
	w.owner, w.rival = w.User("olga", "red", principal.TeamOwner), w.User("rita", "blue", principal.TeamOwner)
	w.svc = w.replica(db, set...)
	return w
}

func (w *world) replica(db *sqldb.DB, set ...func(*notify.Options)) *notify.Service {
	out, err := egress.New(egress.Options{Config: egress.Config{Allow: []string{"127.0.0.1"}, Timeout: "500ms"}})
	w.Must(err)
	o := notify.Options{DB: db, Access: w.Access, Secrets: w.secrets, Egress: out, Source: "https://fairlead.example.org", Mailer: w.mailer,
		People: people{"usr_mail": "mail@example.org"}, Log: slog.New(slog.DiscardHandler), Poll: 20 * time.Millisecond}
	for _, f := range set {
		f(&o)
	}
	return notify.New(o)
}

func each(t *testing.T, f func(t *testing.T, w *world)) {
	t.Helper()
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) { f(t, open(t, db)) })
}

func (w *world) emit(e event.Event) {
	w.t.Helper()
	if e.Type == "" {
		e.Type = event.RequestDenied
	}
	w.Must(w.DB.Write(w.t.Context(), "test.emit", func(tx *sqldb.Tx) error { return event.Emit(w.t.Context(), tx, e) }))
}

// now dispatches and sends what is due.
func (w *world) now() {
	w.t.Helper()
	w.Must(w.svc.Dispatch(w.t.Context()))
	w.Must(w.svc.Step(w.t.Context()))
}

// due makes everything that waits due now.
func (w *world) due() {
	w.t.Helper()
	w.Must(w.DB.Write(w.t.Context(), "test.due", func(tx *sqldb.Tx) error {
		if _, err := tx.ExecContext(w.t.Context(), `UPDATE notify_targets SET resume_at = 0`); err != nil {
			return err
		}
		_, err := tx.ExecContext(w.t.Context(), `UPDATE deliveries SET next_at = 0 WHERE status = 'pending'`)
		return err
	}))
}

func (w *world) hook(ctx context.Context, team, url string, types ...string) (notify.Webhook, redact.Secret) {
	w.t.Helper()
	h, secret, err := w.svc.Create(ctx, notify.NewWebhook{Team: team, URL: url, Types: types})
	w.Must(err)
	return h, secret
}

func (w *world) deliveries(h notify.Webhook) []notify.Delivery {
	w.t.Helper()
	list, _, err := w.svc.Deliveries(w.Admin, h.ID, notify.DeliveryFilter{Sort: "created"}, sqldb.Page{Limit: 200})
	w.Must(err)
	return list
}

// call is a request that a receiver got.
type call struct {
	id, path, signature string
	body                []byte
	err                 error // of the verifier
}

// receiver is somebody's program.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	secret string
	calls  []call
	answer http.HandlerFunc
}

func receive(t *testing.T) *receiver {
	r := &receiver{}
	r.Server = httptest.NewServer(r)
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	r.mu.Lock()
	c := call{path: q.URL.Path, id: q.Header.Get("webhook-id"), signature: q.Header.Get("webhook-signature")}
	if r.secret != "" {
		_, c.body, c.err = notifytest.Verify(q, r.secret, time.Now())
	} else {
		c.body, _ = io.ReadAll(q.Body)
	}
	r.calls = append(r.calls, c)
	answer := r.answer
	r.mu.Unlock()
	if answer != nil {
		answer(w, q)
	}
}

func (r *receiver) set(secret redact.Secret, answer http.HandlerFunc) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = answer
	if !secret.Empty() {
		r.secret = secret.Reveal()
	}
}

func (r *receiver) got() []call {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]call{}, r.calls...)
}

func code(t *testing.T, what string, err error, want string) {
	t.Helper()
	got := ""
	if err != nil {
		got = fault.From(err).Code
	}
	if got != want {
		t.Errorf("%s: %v, want %q", what, err, want)
	}
}

func ptr[T any](v T) *T { return &v }

func answers(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }
}

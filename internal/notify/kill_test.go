package notify_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"fairlead/internal/access/accesstest"
	"fairlead/internal/egress"
	"fairlead/internal/event"
	"fairlead/internal/notify"
	"fairlead/internal/redact"
	"fairlead/internal/secret/embedded"
	"fairlead/internal/sqldb"
	"fairlead/internal/sqldb/sqldbtest"
)

// victim is what the process that is killed is told.
type victim struct{ URL, Keys string }

const victimVariable = "FAIRLEAD_TEST_NOTIFY_VICTIM"

// TestMain is also the process that is killed: it sends what is due.
func TestMain(m *testing.M) {
	if text := os.Getenv(victimVariable); text != "" {
		var v victim
		if err := json.Unmarshal([]byte(text), &v); err != nil {
			panic(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		db, err := sqldb.Open(ctx, sqldb.Options{URL: v.URL})
		if err != nil {
			panic(err)
		}
		svc, err := sender(ctx, db, v.Keys)
		if err != nil {
			panic(err)
		}
		if err := svc.Dispatch(ctx); err != nil {
			panic(err)
		}
		if err := svc.Step(ctx); err != nil {
			panic(err)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// sender is a service as a server has it, with the store's own secrets.
func sender(ctx context.Context, db *sqldb.DB, keys string) (*notify.Service, error) {
	log := slog.New(slog.DiscardHandler)
	secrets, err := embedded.New(ctx, embedded.Options{DB: db, KeyDir: keys, Log: log})
	if err != nil {
		return nil, err
	}
	out, err := egress.New(egress.Options{Config: egress.Config{Allow: []string{"127.0.0.1"}, Timeout: "2s"}})
	if err != nil {
		return nil, err
	}
	return notify.New(notify.Options{DB: db, Access: accesstest.AllowAll{}, Secrets: secrets, Egress: out, Source: "https://fairlead.example.org",
		Log: log, Lease: 3 * time.Second, Poll: 50 * time.Millisecond}), nil
}

func TestAKillBetweenSendAndRecordSendsTheSameAgain(t *testing.T) {
	t.Parallel()
	stores := map[string]func(*testing.T) string{
		"sqlite":   func(t *testing.T) string { return "sqlite:" + filepath.Join(t.TempDir(), "store.db") },
		"postgres": func(t *testing.T) string { return sqldbtest.PostgresURL(t) },
	}
	for store, url := range stores {
		for point, sent := range map[string]int{
			"notify.send.before": 0, "notify.send.after": 1, "write.notify.settle.before": 1, "write.notify.settle.after": 1,
			"write.notify.claim.after": 0, "write.event.consume.before": 0, "write.event.consume.after": 0,
		} {
			t.Run(store+"/"+point, func(t *testing.T) {
				t.Parallel()
				v := victim{URL: url(t), Keys: filepath.Join(t.TempDir(), "keys")}
				r := receive(t)
				func() {
					db, err := sqldb.Open(t.Context(), sqldb.Options{URL: v.URL})
					if err != nil {
						t.Fatal(err)
					}
					defer db.Close()
					w := open(t, db)
					svc, err := sender(t.Context(), db, v.Keys)
					w.Must(err)
					_, secret, err := svc.Create(w.owner, notify.NewWebhook{Team: "red", URL: r.URL})
					w.Must(err)
					r.set(secret, nil)
					w.emit(event.Event{TeamID: w.red, Subject: "res_1"})
				}()
				text, err := json.Marshal(v)
				if err != nil {
					t.Fatal(err)
				}
				cmd := exec.CommandContext(t.Context(), os.Args[0])
				cmd.Env = append(os.Environ(), victimVariable+"="+string(text), "FAIRLEAD_FAILPOINT="+point)
				out, err := cmd.CombinedOutput()
				if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); err == nil || !ok || status.Signal() != syscall.SIGKILL {
					t.Fatalf("it was not killed: %v\n%s", err, out)
				}
				if n := len(r.got()); n != sent {
					t.Fatalf("%d were sent before the kill, want %d", n, sent)
				}
				db := sqldbtest.Open(t, sqldb.Options{URL: v.URL})
				svc, err := sender(t.Context(), db, v.Keys)
				if err != nil {
					t.Fatal(err)
				}
				want := sent + 1
				if point == "write.notify.settle.after" {
					want = sent // it is written that it was sent
				}
				ctx, stop := context.WithCancel(t.Context())
				done := make(chan error, 1)
				go func() { done <- svc.Run(ctx) }()
				for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
					if err := svc.Dispatch(ctx); err != nil {
						t.Fatal(err)
					}
					var left int
					if err := db.Read().QueryRowContext(ctx, `SELECT (SELECT count(*) FROM deliveries WHERE status = 'pending') + (SELECT count(*) FROM events WHERE position IS NULL)`).Scan(&left); err != nil {
						t.Fatal(err)
					}
					if left == 0 {
						break
					}
					if time.Now().After(deadline) {
						t.Fatal("it was not sent again")
					}
				}
				stop()
				<-done
				calls := r.got()
				if len(calls) != want {
					t.Errorf("%d calls, want %d", len(calls), want)
				}
				for _, c := range calls {
					if c.err != nil || c.id != calls[0].id || string(c.body) != string(calls[0].body) {
						t.Errorf("not the same again, or not signed: %+v", c)
					}
				}
			})
		}
	}
}

// A planted secret is in no table, no view and no answer.
func TestTheSecretOfAWebhookIsInNoTable(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		w := open(t, db)
		svc, err := sender(t.Context(), db, filepath.Join(t.TempDir(), "keys"))
		w.Must(err)
		r := receive(t)
		h, secret, err := svc.Create(w.owner, notify.NewWebhook{Team: "red", URL: r.URL})
		w.Must(err)
		_, second, err := svc.Rotate(w.owner, h.ID, notify.Rotation{Overlap: time.Hour}, 0)
		w.Must(err)
		r.set(redact.Secret{}, func(rw http.ResponseWriter, q *http.Request) { rw.WriteHeader(http.StatusTeapot) })
		w.emit(event.Event{TeamID: w.red})
		w.Must(svc.Dispatch(t.Context()))
		w.Must(svc.Step(t.Context()))
		for _, table := range []string{"webhooks", "deliveries", "events", "audit_log", "secrets"} {
			rows, err := db.Read().QueryContext(t.Context(), `SELECT * FROM `+table)
			if err != nil {
				t.Fatal(err)
			}
			columns, err := rows.Columns()
			w.Must(err)
			for rows.Next() {
				values := make([]any, len(columns))
				into := make([]any, len(columns))
				for i := range values {
					into[i] = &values[i]
				}
				w.Must(rows.Scan(into...))
				for i, v := range values {
					text := ""
					switch v := v.(type) {
					case string:
						text = v
					case []byte:
						text = string(v)
					}
					for _, s := range []redact.Secret{secret, second} {
						if bare := s.Reveal()[len("whsec_"):]; text != "" && strings.Contains(text, bare) {
							t.Errorf("the secret is in %s.%s", table, columns[i])
						}
					}
				}
			}
			w.Must(rows.Err())
			rows.Close()
		}
	})
}

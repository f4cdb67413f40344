package rolloutapi_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"fairlead/internal/fault"
	"fairlead/internal/httpx"
	"fairlead/internal/principal"
	"fairlead/internal/redact"
	"fairlead/internal/resource/resourcetest"
	"fairlead/internal/rollout/rolloutapi"
	"fairlead/internal/rollout/rollouttest"
	"fairlead/internal/sqldb"
)

// ann is the only one there is.
type ann struct{}

func (ann) AuthenticateSession(context.Context, redact.Secret) (principal.Principal, error) {
	return principal.Principal{}, fault.New(fault.Unauthenticated, "invalid_session", "the session is not valid")
}

func (ann) AuthenticateToken(context.Context, redact.Secret) (principal.Principal, error) {
	return resourcetest.Ann, nil
}

func post(w *rollouttest.World, url, body, key string) (int, http.Header, string) {
	w.T.Helper()
	req, err := http.NewRequestWithContext(w.T.Context(), "POST", url, strings.NewReader(body))
	w.Must(err)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer ann")
	req.Header.Set("Idempotency-Key", key)
	resp, err := http.DefaultClient.Do(req)
	w.Must(err)
	defer resp.Body.Close()
	var r struct{ ID, Code string }
	w.Must(json.NewDecoder(resp.Body).Decode(&r))
	return resp.StatusCode, resp.Header, r.ID + r.Code
}

// A server that dies after its commit has kept no reply: the same key is
// answered with the rollout that was made, and no other is.
func TestALostRolloutIsFoundAgain(t *testing.T) {
	rollouttest.Each(t, func(w *rollouttest.World) {
		api, srv := httpx.New(httpx.Options{Auth: ann{}, DB: w.DB, Rate: httpx.Rate{PerSecond: -1}})
		rolloutapi.Register(api, w.Rollouts)
		ts := httptest.NewServer(srv)
		w.T.Cleanup(ts.Close)
		w.Work()
		w.Fleet("dev", "a")
		const body = `{"template":"store","to":"1.1.0","from":"<1.1","note":"mine"}`
		status, _, id := post(w, ts.URL+"/api/v1/rollouts", body, "once")
		if status != http.StatusCreated {
			w.T.Fatal(status, id)
		}
		if status, _, other := post(w, ts.URL+"/api/v1/rollouts", body, "another"); status != http.StatusCreated || other == id {
			w.T.Fatal(status, other)
		}
		w.Must(w.DB.Write(w.T.Context(), "test.forget", func(tx *sqldb.Tx) error {
			_, err := tx.ExecContext(w.T.Context(), `UPDATE idempotency_keys SET status = 0, body = '' WHERE key = 'once'`)
			return err
		}))
		status, header, again := post(w, ts.URL+"/api/v1/rollouts", body, "once")
		if status != http.StatusCreated || again != id || header.Get("Idempotency-Replayed") != "true" {
			w.T.Errorf("%d %v %s, was %s", status, header, again, id)
		}
		var n int
		w.Must(w.DB.Read().QueryRowContext(w.T.Context(), `SELECT count(*) FROM rollouts`).Scan(&n))
		if n != 2 {
			w.T.Errorf("there are %d rollouts", n)
		}
	})
}

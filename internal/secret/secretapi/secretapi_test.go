package secretapi_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"fairlead/internal/access/accesstest"
	"fairlead/internal/httpx"
	"fairlead/internal/principal"
	"fairlead/internal/redact"
	"fairlead/internal/secret"
	"fairlead/internal/secret/embedded"
	"fairlead/internal/secret/secretapi"
	"fairlead/internal/sqldb"
	"fairlead/internal/sqldb/sqldbtest"
)

// admin is whoever asks.
type admin struct{}

func (admin) AuthenticateSession(context.Context, redact.Secret) (principal.Principal, error) {
	return principal.Principal{Kind: principal.User, ID: "usr_admin", Name: "admin"}, nil
}

func (a admin) AuthenticateToken(ctx context.Context, v redact.Secret) (principal.Principal, error) {
	return a.AuthenticateSession(ctx, v)
}

// A rotation whose reply was lost is not done again, which would be refused or
// make another key: the repeat shows how far it is.
func TestARotationWhoseReplyWasLostIsShown(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		store, err := embedded.New(t.Context(), embedded.Options{DB: db, KeyDir: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		api, srv := httpx.New(httpx.Options{Auth: admin{}, DB: db})
		secretapi.Register(api, secret.NewService(secret.Options{Rotator: store, Authorizer: accesstest.AllowAll{}}))
		ts := httptest.NewServer(srv)
		defer ts.Close()
		rotate := func() (status int, replayed string, r secretapi.MasterKeyRotation) {
			t.Helper()
			req, err := http.NewRequestWithContext(t.Context(), "POST", ts.URL+"/api/v1/system/master-key/rotate", http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Authorization", "Bearer x")
			req.Header.Set("Idempotency-Key", "once")
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			if err == nil {
				err = json.Unmarshal(body, &r)
			}
			if err != nil {
				t.Fatalf("%d %s: %v", resp.StatusCode, body, err)
			}
			return resp.StatusCode, resp.Header.Get("Idempotency-Replayed"), r
		}
		status, _, first := rotate()
		if status != http.StatusAccepted || first.ActiveKey == "" {
			t.Fatalf("%d %v", status, first)
		}
		if err := db.Write(t.Context(), "test.lose", func(tx *sqldb.Tx) error {
			_, err := tx.ExecContext(t.Context(), `UPDATE idempotency_keys SET status = 0, body = ''`)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		status, replayed, again := rotate()
		if status != http.StatusAccepted || replayed != "true" || again.ActiveKey != first.ActiveKey || !again.Since.Equal(first.Since) {
			t.Errorf("%d %q: was %v, is %v", status, replayed, first, again)
		}
	})
}

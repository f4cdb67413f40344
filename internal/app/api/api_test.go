package api_test

import (
	"bytes"
	"context"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"fairlead/internal/apidoc"
	"fairlead/internal/app/api"
	"fairlead/internal/httpx"
	"fairlead/internal/httpx/httpxtest"
	"fairlead/internal/principal"
	"fairlead/internal/redact"
)

type anyone struct{}

func (anyone) AuthenticateToken(context.Context, redact.Secret) (principal.Principal, error) {
	return principal.Principal{Kind: principal.User, ID: "usr_ann", Name: "ann"}, nil
}

func (a anyone) AuthenticateSession(ctx context.Context, v redact.Secret) (principal.Principal, error) {
	return a.AuthenticateToken(ctx, v)
}

// Huma reads an operation when somebody asks for it: together, and in any
// order, each checks its input from the first request on, and the document
// stays the same.
func TestOperationsMayBeAskedForInAnyOrder(t *testing.T) {
	t.Parallel()
	want, err := apidoc.JSON(api.Describe("test"))
	if err != nil {
		t.Fatal(err)
	}
	some := httpx.Rate{PerSecond: 1e6, Burst: 1 << 20}
	made, web := httpx.New(httpx.Options{Version: "test", Auth: anyone{}, Rate: some, AnonymousRate: some})
	api.Register(made, api.Services{})
	routes := httpxtest.EveryRoute(api.Describe("test"), nil)
	rand.Shuffle(len(routes), func(i, j int) { routes[i], routes[j] = routes[j], routes[i] })
	var all sync.WaitGroup
	for _, r := range routes {
		for range 2 {
			all.Go(func() {
				target := r.Target + "?"
				if strings.Contains(r.Target, "?") {
					target = r.Target + "&"
				}
				req := httptest.NewRequest(r.Method, target+"no-such-parameter=1", bytes.NewReader(r.Body))
				req.Header.Set("Authorization", "Bearer x")
				if r.ContentType != "" {
					req.Header.Set("Content-Type", r.ContentType)
				}
				rec := httptest.NewRecorder()
				web.ServeHTTP(rec, req)
				if r.OperationID == "push-template-source" { // whoever pushes may add to the address
					return
				}
				if rec.Code != http.StatusUnprocessableEntity || !strings.Contains(rec.Body.String(), "query:no-such-parameter") {
					t.Errorf("%s %s: %d %s", r.Method, target, rec.Code, rec.Body)
				}
			})
		}
	}
	all.Wait()
	got, err := apidoc.JSON(made)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("the document depends on the order in which operations were asked for")
	}
}

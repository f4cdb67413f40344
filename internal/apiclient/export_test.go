package apiclient

import (
	"context"
	"net/http"
	"time"
)

// WithoutPauses makes retries follow at once.
func WithoutPauses(a *API) *API {
	a.doer.pause = func(ctx context.Context, _ time.Duration) error { return ctx.Err() }
	return a
}

// Do sends one request as the generated methods do.
func Do(a *API, req *http.Request) (*http.Response, error) { return a.doer.Do(req) }

package httpx

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
)

// Register adds an operation whose handler returns faults: each becomes
// problem+json by the table in problem.go. Operations need a signed-in
// principal unless op.Security is set to Public. op.MaxBodyBytes raises the
// limit of a body. An O of huma.StreamResponse (see Events) is a stream: it
// has no time limit and ends when the server shuts down.
func Register[I, O any](api huma.API, op huma.Operation, handler func(context.Context, *I) (*O, error)) {
	if op.Security == nil {
		op.Security = []map[string][]string{{"token": {}}, {"session": {}}}
	}
	if op.DefaultStatus == 0 && op.Method == http.MethodPost {
		op.DefaultStatus = http.StatusCreated
	}
	_, stream := any((*O)(nil)).(*huma.StreamResponse)
	op = with(op, func(t *traits) {
		t.maxBody, t.stream = op.MaxBodyBytes, stream
	})
	// The gate has read the body by then, within its own limits.
	op.MaxBodyBytes, op.BodyReadTimeout = -1, -1
	register := func(api huma.API, op huma.Operation) {
		describe(&op)
		huma.Register(api, op, func(ctx context.Context, in *I) (*O, error) {
			out, err := handler(ctx, in)
			if err != nil {
				return nil, Err(ctx, err)
			}
			return out, nil
		})
	}
	if d, ok := api.(*declared); ok {
		d.srv.declare(op, register)
	} else { // an API without a server of ours has no first request to wait for
		register(api, op)
	}
}

func serverOf(api huma.API) *Server {
	d, ok := api.(*declared)
	if !ok {
		panic("httpx: this API was not made by httpx.New")
	}
	return d.srv
}

// Public marks an operation that needs no credentials.
var Public = []map[string][]string{}

// Body is a response that is just a JSON body.
type Body[T any] struct{ Body T }

// Tagged is a response with the version of what it shows, for If-Match.
type Tagged[T any] struct {
	ETag string `header:"ETag"`
	Body T
}

// Page is a list's response: some items and where the next ones are.
type Page[T any] struct {
	Items []T    `json:"items" doc:"This page's items" nullable:"false"`
	Next  string `json:"next,omitempty" doc:"Cursor of the next page; absent on the last one"`
}

// PageInput is embedded in every list's input.
type PageInput struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"200" default:"50" doc:"How many items at most"`
	Cursor string `query:"cursor" maxLength:"512" doc:"Where to go on: the next of the page before"`
}

package httpx

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"fairlead/internal/audit"
	"fairlead/internal/fault"
	"fairlead/internal/principal"
)

// adapter hands what huma makes of an operation to the route that asked for it.
type adapter struct{ srv *Server }

// Handle implements huma.Adapter.
func (a *adapter) Handle(op *huma.Operation, handler func(huma.Context)) {
	a.srv.reads.full, a.srv.reads.handle = op, handler
}

// ServeHTTP implements huma.Adapter.
func (a *adapter) ServeHTTP(w http.ResponseWriter, r *http.Request) { a.srv.ServeHTTP(w, r) }

// route is one operation and the gate before it.
type route struct {
	srv      *Server
	op       huma.Operation // as declared
	name     string
	read     func()             // has huma read it, once
	full     *huma.Operation    // as huma completed it; see described
	handle   func(huma.Context) // after read
	public   bool
	mutation bool
	maxBody  int64
	timeout  time.Duration
	traits   traits
	seen     *observer
}

func newRoute(s *Server, op huma.Operation) *route {
	op.Method = strings.ToUpper(op.Method)
	rt := &route{srv: s, op: op, name: op.OperationID, maxBody: s.o.MaxBody, timeout: s.o.RequestTimeout}
	if rt.name == "" {
		rt.name = strings.ToLower(op.Method) + " " + op.Path
	}
	rt.public = op.Security != nil && len(op.Security) == 0
	rt.traits, _ = op.Metadata[traitsKey].(traits)
	if rt.traits.maxBody > 0 {
		rt.maxBody = rt.traits.maxBody
	}
	if rt.traits.timeout > 0 {
		rt.timeout = rt.traits.timeout
	}
	rt.mutation = op.Method != http.MethodGet && op.Method != http.MethodHead && op.Method != http.MethodOptions
	rt.seen = s.metrics.of(rt.name)
	return rt
}

// ServeHTTP is the way of every operation: who are you, not too much, how big,
// has this been done already; then huma, which checks the input and calls the
// handler.
func (rt *route) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := w.(*exchange)
	x.route = rt
	p := x.principal
	if !x.inner {
		var ok bool
		if p, ok = rt.admit(x, r); !ok {
			return
		}
	}
	var body []byte
	if rt.mutation {
		var err error
		if body, err = rt.readBody(x, r); err != nil {
			x.problem(err, statusOfBody(err))
			return
		}
		if rt.traits.location != "" {
			x.location = expand(rt.traits.location, r, body)
		}
	}
	ctx := audit.WithOrigin(r.Context(), audit.Origin{Address: x.addrText(), RequestID: x.id[0]})
	ctx = exchangeCtx{principal.With(ctx, p), x}
	if rt.traits.stream {
		who := caller{id: p.ID}
		if p.Kind == principal.Anonymous {
			who = caller{addr: bucketOf(x.addr)}
		}
		leave, ok := rt.srv.streams.enter(who)
		if !ok {
			x.problem(tooManyStreams(), 0)
			return
		}
		defer leave()
		var cancel context.CancelFunc
		ctx, cancel = context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(rt.srv.closing, cancel)()
		_ = http.NewResponseController(x).SetWriteDeadline(time.Time{})
	} else {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, rt.timeout)
		defer cancel()
	}
	r = r.WithContext(ctx)
	if rt.mutation && !x.inner {
		if keys := r.Header["Idempotency-Key"]; len(keys) > 0 {
			rt.srv.idem.serve(rt, x, r, body, keys, p)
			return
		}
	}
	rt.call(x, r)
}

func (rt *route) call(w http.ResponseWriter, r *http.Request) {
	op := rt.described()
	rt.handle(humago.NewContext(op, r, w))
}

// admit finds out who asks, counts the request against them and refuses
// strangers, all before a byte of the body is read.
func (rt *route) admit(x *exchange, r *http.Request) (principal.Principal, bool) {
	p, bearer, err := rt.srv.authenticate(r, rt.public)
	if err == nil && p.Kind == principal.Anonymous && !rt.public {
		err = errNoCredentials
	}
	x.who = p.ID
	key, limits := caller{id: p.ID}, rt.srv.signedIn
	if err != nil || p.Kind == principal.Anonymous {
		// Failed attempts count against the address too: guessing is slow.
		key, limits = caller{addr: bucketOf(x.addr)}, rt.srv.anonymous
	}
	if !rt.srv.admitted(x, key, limits) {
		return p, false
	}
	if err != nil {
		x.problem(err, 0)
		return p, false
	}
	// A browser adds cookies by itself, and sign-in makes them: only for what
	// carries no token another site could ask in the user's name.
	if rt.mutation && !bearer {
		if err := rt.srv.origins.Check(r); err != nil {
			x.problem(fault.New(fault.Denied, "cross_origin", "a page of another site may not ask this").
				WithHint("open Fairlead itself, or use an API token").WithCause(err), 0)
			return p, false
		}
	}
	return p, true
}

// admitted counts a request against its caller, and answers it when it is one
// too many.
func (s *Server) admitted(x *exchange, who caller, limits *limiter) bool {
	wait := limits.take(who, x.start, x.Header())
	if wait == 0 {
		return true
	}
	s.metrics.limited.Inc()
	x.problem(fault.New(fault.Limited, "rate_limited", "too many requests").
		WithHint("wait %d s, then go on more slowly", wait).WithRetryAfter(wait), 0)
	return false
}

// notFound answers for whatever no pattern matches: 405 when another method
// would, 404 when none would.
func (s *Server) notFound(w http.ResponseWriter, r *http.Request) {
	x := w.(*exchange)
	var allowed []string
	probe := *r
	for _, m := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"} {
		probe.Method = m
		if _, pattern := s.mux.Handler(&probe); pattern != "" && pattern != "/" {
			allowed = append(allowed, m)
		}
	}
	if len(allowed) == 0 || slices.Contains(allowed, r.Method) {
		if s.lost != nil && forPeople(r) {
			ctx := audit.WithOrigin(r.Context(), audit.Origin{Address: x.addrText(), RequestID: x.id[0]})
			s.lost(w, r.WithContext(exchangeCtx{principal.With(ctx, s.Recognise(r)), x}), errNoPage)
			return
		}
		x.problem(errNoRoute, 0)
		return
	}
	x.Header()["Allow"] = []string{strings.Join(allowed, ", ")}
	x.problem(fault.New(fault.Invalid, "method_not_allowed", "%s is not possible here", clip(r.Method)).
		WithHint("possible are %s", strings.Join(allowed, ", ")), http.StatusMethodNotAllowed)
}

// Route is one registered operation, for tests that must try them all.
type Route struct {
	Method      string
	Path        string // with {parameters}
	OperationID string
	Public      bool
	Stream      bool
	Sensitive   bool
	Hidden      bool // not in the OpenAPI document
}

// Routes lists every operation of an API made by New, hidden ones too, by path
// and method.
func Routes(api huma.API) []Route {
	s := serverOf(api)
	out := make([]Route, 0, len(s.routes))
	for _, rt := range s.routes {
		out = append(out, Route{
			Method: rt.op.Method, Path: rt.op.Path, OperationID: rt.op.OperationID, Public: rt.public,
			Stream: rt.traits.stream, Sensitive: rt.traits.sensitive, Hidden: rt.op.Hidden,
		})
	}
	slices.SortFunc(out, func(a, b Route) int {
		return strings.Compare(a.Path+" "+a.Method, b.Path+" "+b.Method)
	})
	return out
}

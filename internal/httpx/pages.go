package httpx

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"fairlead/internal/audit"
	"fairlead/internal/fault"
	"fairlead/internal/principal"
)

// PageOptions says how a page differs from most.
type PageOptions struct {
	Public bool // also for who has not signed in
	Stream bool // server-sent events: no time limit; ends when the server shuts down
	// Fail shows the error that keeps a request from the page.
	Fail func(w http.ResponseWriter, r *http.Request, err error)
}

// PageRoute is one page, for tests that must try them all.
type PageRoute struct {
	Method, Path   string // the path with {parameters}
	Public, Stream bool
}

// Page adds a page of the portal: a handler for people with a browser. Who
// asks is known by their session alone and is in the context; a token is for
// the API. It has the limits of an operation, and what changes something may
// only be asked by our own pages.
func (s *Server) Page(pattern string, o PageOptions, h http.Handler) {
	method, path, _ := strings.Cut(pattern, " ")
	rt := &route{srv: s, name: "page " + pattern, public: o.Public, mutation: method != http.MethodGet}
	rt.seen = s.metrics.of(rt.name)
	s.pages = append(s.pages, PageRoute{method, path, o.Public, o.Stream})
	s.mux.Handle(pattern, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x := w.(*exchange)
		x.route = rt
		p, err := rt.visitor(x, r)
		ctx := audit.WithOrigin(r.Context(), audit.Origin{Address: x.addrText(), RequestID: x.id[0]})
		r = r.WithContext(exchangeCtx{principal.With(ctx, p), x})
		if err != nil {
			o.Fail(w, r, err)
			return
		}
		if r.Body != nil && r.Body != http.NoBody {
			r.Body = http.MaxBytesReader(w, r.Body, s.o.MaxBody)
		}
		if !o.Stream {
			ctx, cancel := context.WithTimeout(r.Context(), s.o.RequestTimeout)
			defer cancel()
			h.ServeHTTP(w, r.WithContext(ctx))
			return
		}
		leave, ok := s.streams.enter(caller{id: p.ID})
		if !ok {
			o.Fail(w, r, tooManyStreams())
			return
		}
		defer leave()
		ctx, cancel := context.WithCancel(r.Context())
		defer cancel()
		defer context.AfterFunc(s.closing, cancel)()
		_ = http.NewResponseController(x).SetWriteDeadline(time.Time{})
		h.ServeHTTP(w, r.WithContext(ctx))
	}))
}

// visitor finds out whose session it is, counts the request and refuses what
// may not be asked, before a byte of the body is read.
func (rt *route) visitor(x *exchange, r *http.Request) (principal.Principal, error) {
	s := rt.srv
	p := s.Recognise(r)
	key, limits := caller{id: p.ID}, s.signedIn
	if p.Kind == principal.Anonymous {
		key, limits = caller{addr: bucketOf(x.addr)}, s.anonymous
	} else {
		x.who = p.ID
	}
	// Nobody's look at a public page costs nothing; a cookie that is no good may be a guess.
	if p.Kind != principal.Anonymous || rt.mutation || len(r.CookiesNamed(SessionCookie))+len(r.CookiesNamed(HostCookie)) > 0 {
		if wait := limits.take(key, x.start, x.Header()); wait > 0 {
			s.metrics.limited.Inc()
			return p, fault.New(fault.Limited, "rate_limited", "too many requests").WithHint("wait %d s, then go on more slowly", wait).WithRetryAfter(wait)
		}
	}
	if rt.mutation {
		if err := s.origins.Check(r); err != nil {
			return p, fault.New(fault.Denied, "cross_origin", "a page of another site may not ask this").
				WithHint("open Fairlead itself and do it there").WithCause(err)
		}
	}
	if p.Kind == principal.Anonymous && !rt.public {
		return p, errNoCredentials
	}
	return p, nil
}

// Pages lists every page, by path and method.
func (s *Server) Pages() []PageRoute {
	out := slices.Clone(s.pages)
	slices.SortFunc(out, func(a, b PageRoute) int { return strings.Compare(a.Path+" "+a.Method, b.Path+" "+b.Method) })
	return out
}

// Secure tells whether a request came by https, or all do.
func (s *Server) Secure(r *http.Request) bool {
	// A forged header only makes the forger's own cookie stricter.
	return s.o.Secure || r.TLS != nil || strings.EqualFold(r.Header.Get("X-Forwarded-Proto"), "https")
}

// EventStream begins a stream of server-sent events on a page of that kind. It
// beats until ctx ends; cancel is called when the client is gone.
func EventStream(ctx context.Context, w http.ResponseWriter, cancel func()) (out *Events, stop func()) {
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no")
	w.WriteHeader(http.StatusOK)
	out = &Events{w: w, rc: http.NewResponseController(w)}
	every := 15 * time.Second
	if x := exchangeFrom(ctx); x != nil {
		every = x.srv.o.Heartbeat
	}
	_ = out.comment("open") // the client sees at once that it is connected
	beating := make(chan struct{})
	go func() {
		defer close(beating)
		t := time.NewTicker(every)
		defer t.Stop()
		for {
			select {
			case <-t.C:
				if out.comment("still here") != nil {
					cancel()
					return
				}
			case <-ctx.Done():
				return
			}
		}
	}()
	return out, func() { cancel(); <-beating }
}

// NotFound has who looks for a page that is not there see a page about that;
// what asks the API gets its answer.
func (s *Server) NotFound(show func(w http.ResponseWriter, r *http.Request, err error)) {
	s.lost = show
}

// forPeople tells whether a request that nothing answers is a browser's.
func forPeople(r *http.Request) bool {
	return (r.Method == http.MethodGet || r.Method == http.MethodHead) && !strings.HasPrefix(r.URL.Path, "/api/") && strings.Contains(r.Header.Get("Accept"), "text/html")
}

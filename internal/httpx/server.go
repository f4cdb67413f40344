package httpx

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/prometheus/client_golang/prometheus"

	"fairlead/internal/audit"
	"fairlead/internal/fault"
	"fairlead/internal/ident"
	"fairlead/internal/sqldb"
)

// Options says what a Server needs. The zero value of each is a sound default.
type Options struct {
	Title       string // of the OpenAPI document; "Fairlead" by default
	Version     string // of the OpenAPI document
	Description string // of the OpenAPI document, Markdown

	Log  *slog.Logger
	Auth Authenticator // nil: nobody can sign in, only public operations answer
	DB   *sqldb.DB     // keeps idempotency keys; nil: Idempotency-Key is checked but does nothing

	// TrustedProxies may say for whom they ask (X-Forwarded-For) and how they
	// were asked (X-Forwarded-Proto). Of anyone else both are ignored.
	TrustedProxies []netip.Prefix
	// Secure says that people come by https alone: only the HostCookie counts.
	Secure bool
	// TrustedOrigins may send cookies across origins: "https://portal.example".
	TrustedOrigins []string

	Rate          Rate // of one principal; 100/s with bursts of 1200 by default
	AnonymousRate Rate // of one address without a principal; 5/s with bursts of 100 by default

	MaxBody        int64         // bytes of a request's body; 1 MiB by default
	HeaderTimeout  time.Duration // to send the headers; 10 s by default
	BodyTimeout    time.Duration // to send the body; 30 s by default
	RequestTimeout time.Duration // for everything else but streams; 60 s by default
	IdleTimeout    time.Duration // between requests; 120 s by default
	Heartbeat      time.Duration // between the comments that keep a stream open; 15 s by default

	Registry *prometheus.Registry // what /metrics shows; a new one by default
	Ready    []Check              // what /readyz asks
}

// Server is the one way in: it wraps every request in the chain of request id,
// security headers, recovery, access log and metrics, and each operation in
// authentication, rate limit, body limit and idempotency.
type Server struct {
	o         Options
	log       *slog.Logger
	mux       *http.ServeMux
	api       *declared
	reading   sync.Mutex // of operations by huma, one after the other
	reads     *route     // the one that is being read
	routes    []*route
	pages     []PageRoute
	lost      func(http.ResponseWriter, *http.Request, error)
	origins   *http.CrossOriginProtection
	signedIn  *limiter
	anonymous *limiter
	idem      *idempotency
	streams   streams
	metrics   *metrics
	other     *route // stands for what no operation serves, in logs and metrics

	closing  context.Context // ends when Shutdown begins, and with it the streams
	shutdown context.CancelFunc
	draining atomic.Bool
}

// New makes the API that faces register their operations on, and the server
// that answers them. It panics on an invalid TrustedOrigins, as on any other
// mistake in wiring.
func New(o Options) (huma.API, *Server) {
	o = o.withDefaults()
	s := &Server{
		o: o, log: o.Log, mux: http.NewServeMux(), origins: http.NewCrossOriginProtection(),
		signedIn: newLimiter(o.Rate), anonymous: newLimiter(o.AnonymousRate),
	}
	for _, origin := range o.TrustedOrigins {
		if err := s.origins.AddTrustedOrigin(origin); err != nil {
			panic("httpx: trusted origin: " + err.Error())
		}
	}
	s.streams.open = map[caller]int{}
	s.closing, s.shutdown = context.WithCancel(context.Background())
	s.metrics = newMetrics(o.Registry)
	s.idem = newIdempotency(s, o.DB)
	s.other = &route{srv: s, name: "other", public: true, seen: s.metrics.of("other")}
	useOurErrors()
	s.api = &declared{huma.NewAPI(config(o), &adapter{s}), s}
	s.mountOwn()
	return s.api, s
}

func (o Options) withDefaults() Options {
	if o.Title == "" {
		o.Title = "Fairlead"
	}
	if o.Version == "" {
		o.Version = "dev"
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Registry == nil {
		o.Registry = prometheus.NewRegistry()
	}
	if o.MaxBody == 0 {
		o.MaxBody = 1 << 20
	}
	o.Rate = o.Rate.or(Rate{PerSecond: 100, Burst: 1200})
	o.AnonymousRate = o.AnonymousRate.or(Rate{PerSecond: 5, Burst: 100})
	for _, d := range []struct {
		of  *time.Duration
		std time.Duration
	}{
		{&o.HeaderTimeout, 10 * time.Second}, {&o.BodyTimeout, 30 * time.Second},
		{&o.RequestTimeout, time.Minute}, {&o.IdleTimeout, 2 * time.Minute}, {&o.Heartbeat, 15 * time.Second},
	} {
		if *d.of == 0 {
			*d.of = d.std
		}
	}
	return o
}

// config is huma's: no documentation routes of its own (apidoc has them), no
// $schema links in bodies, and nothing accepted that is not declared.
func config(o Options) huma.Config {
	c := huma.DefaultConfig(o.Title, o.Version)
	c.CreateHooks = nil
	c.Formats = map[string]huma.Format{"application/json": {Marshal: marshal, Unmarshal: readJSON}}
	c.Formats["json"] = c.Formats["application/json"]
	c.OpenAPIPath, c.DocsPath, c.SchemasPath = "", "", ""
	c.RejectUnknownQueryParameters = true
	c.Info.Description = o.Description
	c.Servers = []*huma.Server{{URL: "/"}}
	c.Components.Schemas = &schemas{Registry: c.Components.Schemas}
	c.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"token":   {Type: "http", Scheme: "bearer", Description: "An API token, made with `fairlead token create`"},
		"session": {Type: "apiKey", In: "cookie", Name: SessionCookie, Description: "A session, made by signing in"},
	}
	return c
}

// Handle adds a handler that is no operation of the API: documentation, a
// portal. It is inside the chain of every request, without authentication,
// and may set its own Content-Security-Policy. What changes something counts
// against the address like any request of nobody's.
func (s *Server) Handle(pattern string, h http.Handler) {
	s.mux.Handle(pattern, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x := w.(*exchange)
		x.route = s.other
		if r.Method != http.MethodGet && r.Method != http.MethodHead && !s.admitted(x, caller{addr: bucketOf(x.addr)}, s.anonymous) {
			return
		}
		if r.Body != nil && r.Body != http.NoBody {
			r.Body = http.MaxBytesReader(w, r.Body, s.o.MaxBody)
		}
		ctx := audit.WithOrigin(r.Context(), audit.Origin{Address: x.addrText(), RequestID: x.id[0]})
		ctx, cancel := context.WithTimeout(ctx, s.o.RequestTimeout)
		defer cancel()
		h.ServeHTTP(w, r.WithContext(ctx))
	}))
}

// API gives the API of New.
func (s *Server) API() huma.API { return s.api }

// Registry is where further metrics are registered.
func (s *Server) Registry() *prometheus.Registry { return s.o.Registry }

// HTTP gives the server to listen with. Its limits: headers, idle connections
// and the size of headers here; the body's and the request's own times are set
// for each request, so that streams can go on.
func (s *Server) HTTP() *http.Server {
	srv := &http.Server{
		Handler:           s,
		ReadHeaderTimeout: s.o.HeaderTimeout,
		IdleTimeout:       s.o.IdleTimeout,
		WriteTimeout:      s.o.RequestTimeout + s.o.BodyTimeout,
		MaxHeaderBytes:    32 << 10,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	srv.RegisterOnShutdown(s.Drain)
	return srv
}

// Drain makes /readyz fail and ends streams, whose clients come again.
func (s *Server) Drain() {
	s.draining.Store(true)
	s.shutdown()
}

// Run does the server's own background work until ctx ends: it keeps replies
// for Idempotency-Key and forgets old ones.
func (s *Server) Run(ctx context.Context) { s.idem.run(ctx) }

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := &exchange{ResponseWriter: w, srv: s, route: s.other, start: time.Now(), id: [1]string{ident.New("req")}}
	x.addr, x.secure = s.client(r)
	h := w.Header()
	h["X-Request-Id"] = x.id[:]
	h["X-Content-Type-Options"] = nosniff
	h["Content-Security-Policy"] = strictCSP
	h["Referrer-Policy"] = noReferrer
	h["Cache-Control"] = noStore
	h["Cross-Origin-Resource-Policy"] = sameOrigin
	if x.secure {
		h["Strict-Transport-Security"] = hsts
	}
	if r.Body != nil && r.Body != http.NoBody {
		// A body that is sent for ever must not hold the connection for ever,
		// whether somebody reads it or the server discards it.
		_ = http.NewResponseController(w).SetReadDeadline(x.start.Add(s.o.BodyTimeout))
	}
	s.metrics.inFlight.Inc()
	defer s.finish(x, r)
	if !validTarget(r.URL) {
		x.problem(fault.New(fault.Invalid, "invalid_url", "the address is not valid UTF-8, or badly escaped").
			WithHint("percent-encode it as UTF-8, without control characters"), http.StatusBadRequest)
		return
	}
	s.mux.ServeHTTP(x, r)
}

// These slices are shared between responses; nobody changes them in place.
var (
	nosniff    = []string{"nosniff"}
	strictCSP  = []string{"default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"}
	noReferrer = []string{"no-referrer"}
	noStore    = []string{"no-store"}
	sameOrigin = []string{"same-origin"}
	hsts       = []string{"max-age=31536000; includeSubDomains"}
	jsonType   = []string{"application/json"}
	problemCT  = []string{"application/problem+json"}
)

// finish recovers, counts and writes the access log: never a query, a header
// or a body, which may hold secrets.
func (s *Server) finish(x *exchange, r *http.Request) {
	s.metrics.inFlight.Dec()
	aborted := false
	if v := recover(); v != nil {
		if v != http.ErrAbortHandler { //nolint:errorlint // the sentinel is panicked as it is
			s.metrics.panics.Inc()
			s.log.Error("panic in a handler", "panic", v, "request", x.id[0], "operation", x.route.name, "stack", string(debug.Stack()))
		}
		aborted = x.status != 0 || v == http.ErrAbortHandler //nolint:errorlint // as above
		if !aborted {
			x.problem(fault.New(fault.Internal, "internal", "internal error"), 0)
		}
	}
	if x.status == 0 {
		x.status = http.StatusOK
	}
	took := time.Since(x.start)
	x.route.seen.observe(x.status, took)
	s.log.LogAttrs(r.Context(), slog.LevelInfo, "request",
		slog.String("method", r.Method), slog.String("path", clip(r.URL.Path)), slog.String("operation", x.route.name),
		slog.Int("status", x.status), slog.Int64("bytes", x.bytes), slog.Duration("took", took),
		slog.String("principal", x.who), slog.String("address", x.addrText()), slog.String("request", x.id[0]))
	if aborted {
		// The reply is half-sent: only a broken connection tells the client.
		panic(http.ErrAbortHandler)
	}
}

func clip(s string) string {
	if len(s) > 256 {
		return s[:256] + "…"
	}
	return s
}

// Serve listens until ctx ends, then lets requests under way end within grace.
func (s *Server) Serve(ctx context.Context, l net.Listener, grace time.Duration) error {
	srv := s.HTTP()
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(l) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	s.Drain()
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	if err := srv.Shutdown(stop); err != nil {
		_ = srv.Close()
	}
	return nil
}

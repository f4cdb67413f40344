package httpx

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"fairlead/internal/fault"
	"fairlead/internal/principal"
)

// Check is one thing that must be well before the server takes requests.
type Check struct {
	Name string
	// Probe returns within its context (2 s). Its error is logged, not shown.
	Probe func(context.Context) error
}

// mountOwn adds what every server has, whatever its operations.
func (s *Server) mountOwn() {
	s.mux.HandleFunc("/", s.notFound)
	s.mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
	})
	s.mux.HandleFunc("GET /readyz", s.ready)
	show := promhttp.HandlerFor(s.o.Registry, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError})
	s.mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, r *http.Request) {
		if err := s.mayWatch(w.(*exchange), r); err != nil {
			w.(*exchange).problem(err, 0)
			return
		}
		show.ServeHTTP(w, r)
	})
}

// mayWatch lets this host's own monitoring in, and whoever may see everything.
func (s *Server) mayWatch(x *exchange, r *http.Request) error {
	if x.addr.IsLoopback() && plainHost(r.Host) && len(r.Header["X-Forwarded-For"]) == 0 && len(r.Header["Forwarded"]) == 0 {
		return nil
	}
	p, _, err := s.authenticate(r, false)
	switch {
	case err != nil:
		return err
	case p.Kind == principal.Anonymous:
		return errNoCredentials
	case !p.HasOrgRole(principal.PlatformAdmin) && !p.HasOrgRole(principal.Auditor):
		return fault.New(fault.Denied, "denied", "you may not see the server's metrics").
			WithHint("use a token of a platform administrator or an auditor")
	}
	return nil
}

// plainHost tells whether a request names this host by address or as
// localhost. Under any other name it may come from a page of somebody else's
// that a browser here has open (DNS rebinding).
func plainHost(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	_, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil || strings.EqualFold(host, "localhost")
}

func (s *Server) ready(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
	defer cancel()
	failed := make([]string, len(s.o.Ready))
	var wg sync.WaitGroup
	for i, c := range s.o.Ready {
		wg.Go(func() {
			if err := c.Probe(ctx); err != nil {
				failed[i] = c.Name
				s.log.Warn("not ready", "check", c.Name, "error", err)
			}
		})
	}
	wg.Wait()
	failed = slices.DeleteFunc(failed, func(n string) bool { return n == "" })
	if s.draining.Load() {
		failed = append(failed, "shutting_down")
	}
	if len(failed) > 0 {
		writeJSON(w, http.StatusServiceUnavailable, map[string]any{"status": "unavailable", "failed": failed})
		return
	}
	writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header()["Content-Type"] = jsonType
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

// metrics are the server's own. Operations are labelled by id, so that their
// number is known and no name of a resource becomes a label.
type metrics struct {
	mu       sync.Mutex
	all      []*observer
	took     *prometheus.HistogramVec
	inFlight prometheus.Gauge
	limited  prometheus.Counter
	panics   prometheus.Counter
	replayed prometheus.Counter
}

func newMetrics(reg *prometheus.Registry) *metrics {
	m := &metrics{
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "fairlead_http_request_duration_seconds", Help: "Time to answer, by operation and class of status.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10, 60},
		}, []string{"operation", "status"}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{Name: "fairlead_http_requests_in_flight", Help: "Requests being answered."}),
		limited:  prometheus.NewCounter(prometheus.CounterOpts{Name: "fairlead_http_rate_limited_total", Help: "Requests refused with 429."}),
		panics:   prometheus.NewCounter(prometheus.CounterOpts{Name: "fairlead_http_panics_total", Help: "Handlers that panicked."}),
		replayed: prometheus.NewCounter(prometheus.CounterOpts{Name: "fairlead_http_idempotent_replays_total", Help: "Replies given again for an Idempotency-Key."}),
	}
	reg.MustRegister(m, m.inFlight, m.limited, m.panics, m.replayed)
	return m
}

// Describe implements prometheus.Collector.
func (m *metrics) Describe(to chan<- *prometheus.Desc) { m.took.Describe(to) }

// Collect implements prometheus.Collector. What nobody has asked for yet is
// shown with zeros: a rate over a series that begins with its first request
// would miss that one.
func (m *metrics) Collect(to chan<- prometheus.Metric) {
	m.mu.Lock()
	all := m.all
	m.mu.Unlock()
	for _, o := range all {
		o.find()
	}
	m.took.Collect(to)
}

// observer is one operation's histograms by class of status, found once: when
// there is something to observe or somebody looks.
type observer struct {
	find  func()
	class [6]prometheus.Observer
}

func (m *metrics) of(operation string) *observer {
	o := &observer{}
	o.find = sync.OnceFunc(func() {
		for class, label := range []string{"", "1xx", "2xx", "3xx", "4xx", "5xx"} {
			if label != "" {
				o.class[class] = m.took.WithLabelValues(operation, label)
			}
		}
	})
	m.mu.Lock()
	m.all = append(m.all, o)
	m.mu.Unlock()
	return o
}

func (o *observer) observe(status int, took time.Duration) {
	if class := status / 100; class >= 1 && class <= 5 {
		o.find()
		o.class[class].Observe(took.Seconds())
	}
}

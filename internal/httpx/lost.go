package httpx

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"fairlead/internal/fault"
	"fairlead/internal/principal"
)

// Lost is a request that was done, and whose reply was lost.
type Lost struct {
	*http.Request
	// Body is what was sent, once more.
	Body []byte
	// At is the time of the transaction that did it: what it wrote with tx.Now()
	// has this very time.
	At time.Time
}

// Found is what a lost reply is answered with: what a GET of Path gives, or
// Body. Status goes over the operation's own when it is not 0. The zero Found
// is none.
type Found struct {
	Status int
	Path   string
	Body   any
}

// recover answers for a mutation that is done but whose reply was lost, by
// looking at what it made or changed.
func (i *idempotency) recover(rt *route, x *exchange, r *http.Request, body []byte, c *claim) {
	i.srv.metrics.replayed.Inc()
	if rt.traits.sensitive {
		x.problem(errNotKept(), 0)
		return
	}
	x.Header()["Idempotency-Replayed"] = []string{"true"}
	found := Found{Path: c.header.Get("Location")}
	switch {
	case rt.traits.recovered != nil:
		var err error
		if found, err = rt.traits.recovered(r.Context(), Lost{Request: r, Body: body, At: c.at}); err != nil && !fault.Is(err, fault.NotFound) {
			x.problem(err, 0)
			return
		}
	case r.Method == http.MethodDelete && rt.described().DefaultStatus == http.StatusNoContent:
		x.WriteHeader(http.StatusNoContent)
		return
	case found.Path == "" && (r.Method == http.MethodPatch || r.Method == http.MethodPut):
		found.Path = r.URL.Path
	}
	if rep := i.srv.show(found, x, r); rep != nil {
		if rep.status = found.Status; rep.status == 0 {
			rep.status = max(rt.described().DefaultStatus, http.StatusOK)
		}
		x.location = c.header.Get("Location")
		rep.write(x)
		return
	}
	x.problem(fault.New(fault.Conflict, "already_done", "this request was done before, but its reply is lost").
		WithHint("look at what is there; to do it once more, use a new Idempotency-Key"), 0)
}

// show is the reply that shows f; nil when there is nothing to be shown.
func (s *Server) show(f Found, x *exchange, r *http.Request) *reply {
	switch {
	case f.Body != nil:
		b, err := json.Marshal(f.Body)
		if err != nil {
			s.log.Error("a lost reply cannot be written anew", "operation", x.route.name, "error", err)
			return nil
		}
		return &reply{http.StatusOK, http.Header{"Content-Type": jsonType}, append(b, '\n')}
	case f.Path != "":
		if rep := s.ask(r, x, f.Path); rep.status == http.StatusOK {
			return rep
		}
	}
	return nil
}

// ask makes the server GET path for whoever sent r.
func (s *Server) ask(r *http.Request, x *exchange, path string) *reply {
	w := &recorder{header: http.Header{}}
	req, err := http.NewRequestWithContext(r.Context(), http.MethodGet, path, http.NoBody)
	if err != nil {
		return w.reply()
	}
	req.RemoteAddr, req.Host = r.RemoteAddr, r.Host
	inner := &exchange{
		ResponseWriter: w, srv: s, route: s.other, start: x.start, id: x.id, addr: x.addr, secure: x.secure,
		inner: true, principal: principal.From(r.Context()),
	}
	s.mux.ServeHTTP(inner, req)
	return w.reply()
}

// FindLost is what Recovered takes. It is called as whoever sent the request
// again and authorises what it looks at; a NotFound means that there is
// nothing to be shown any more.
type FindLost func(context.Context, Lost) (Found, error)

package httpx

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"fairlead/internal/fault"
	"fairlead/internal/principal"
)

// exchange is one request and its reply: the ResponseWriter that all handlers
// see, and what the chain knows of the request.
type exchange struct {
	http.ResponseWriter
	srv        *Server
	route      *route
	start      time.Time
	id         [1]string // an array, so that the header needs no slice of its own
	addr       netip.Addr
	addrString string
	secure     bool
	status     int
	bytes      int64
	who        string

	location string // set on a 201

	// inner exchanges are the server asking itself: who asks is known.
	inner     bool
	principal principal.Principal
}

// WriteHeader implements http.ResponseWriter.
func (x *exchange) WriteHeader(status int) {
	if status >= 200 { // 1xx are no replies
		if x.status != 0 {
			return
		}
		x.status = status
		if status == http.StatusCreated && x.location != "" && x.Header()["Location"] == nil {
			x.Header()["Location"] = []string{x.location}
		}
	}
	x.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (x *exchange) Write(b []byte) (int, error) {
	if x.status == 0 {
		x.WriteHeader(http.StatusOK)
	}
	n, err := x.ResponseWriter.Write(b) // its type says what it is, and nosniff that it is nothing else
	x.bytes += int64(n)
	return n, err
}

// Unwrap is for http.ResponseController.
func (x *exchange) Unwrap() http.ResponseWriter { return x.ResponseWriter }

// Flush implements http.Flusher.
func (x *exchange) Flush() { _ = http.NewResponseController(x.ResponseWriter).Flush() }

// addrText is asked for twice a request.
func (x *exchange) addrText() string {
	if x.addrString == "" && x.addr.IsValid() {
		x.addrString = x.addr.String()
	}
	return x.addrString
}

// problem answers with an error; a status other than 0 overrules the table.
func (x *exchange) problem(err error, status int) {
	p := problemOf(err, x.id[0])
	if status != 0 {
		p.Status, p.Title = status, http.StatusText(status)
	}
	if p.Code == "internal" {
		x.srv.log.Error("internal error", "error", err, "request", x.id[0], "operation", x.route.name)
	}
	writeProblem(x, p)
}

func writeProblem(w http.ResponseWriter, p *Problem) {
	h := w.Header()
	for k, v := range p.GetHeaders() {
		h[k] = v
	}
	h["Content-Type"] = problemCT
	w.WriteHeader(p.Status)
	b, err := json.Marshal(p)
	if err != nil {
		return // cannot be: all fields are strings and numbers
	}
	_, _ = w.Write(append(b, '\n'))
}

// exchangeCtx carries the exchange without a second allocation.
type exchangeCtx struct {
	context.Context
	x *exchange
}

type exchangeKey struct{}

func (c exchangeCtx) Value(key any) any {
	if _, ok := key.(exchangeKey); ok {
		return c.x
	}
	return c.Context.Value(key)
}

func exchangeFrom(ctx context.Context) *exchange {
	x, _ := ctx.Value(exchangeKey{}).(*exchange)
	return x
}

func logger(ctx context.Context) *slog.Logger {
	if x := exchangeFrom(ctx); x != nil {
		return x.srv.log
	}
	return slog.Default()
}

// validTarget tells whether path and query are text: what is not must not
// reach a database, which would refuse it later and less clearly.
func validTarget(u *url.URL) bool {
	if !text(u.Path) {
		return false
	}
	q := u.RawQuery
	if q == "" || !strings.ContainsAny(q, "%;") && text(q) {
		return true
	}
	for pair := range strings.SplitSeq(q, "&") {
		s, err := url.QueryUnescape(pair)
		if err != nil || strings.Contains(pair, ";") || !text(s) {
			return false
		}
	}
	return true
}

func text(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] == 0x7f {
			return false
		}
	}
	return utf8.ValidString(s)
}

var errNoRoute = fault.New(fault.NotFound, "no_such_route", "there is nothing at this address").
	WithHint("the addresses are in /openapi.json and, to read, at /docs/api; none ends with a slash")

var errNoPage = fault.New(fault.NotFound, "no_such_route", "there is no page at this address").
	WithHint("it may have been renamed or taken away: search for it, or begin at the home page")

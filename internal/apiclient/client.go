package apiclient

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"

	"fairlead/internal/redact"
)

// Options says which server to talk to, and as whom.
type Options struct {
	URL       string        // such as https://fairlead.example, without a path
	Token     redact.Secret // empty: as nobody
	UserAgent string        // "fairlead-client" by default
	// HTTP replaces the client underneath. Redirects are never followed: a
	// token belongs to one server.
	HTTP *http.Client
	// Retries is how often a request is sent again when that is safe; 4 by
	// default, negative for never.
	Retries int
}

// API is a client of one server. It is safe for concurrent use. Every method
// that ends in WithResponse gives an *Error for a reply that is none of
// success; what the server could not be asked is an *Error too.
type API struct {
	*ClientWithResponses
	doer *doer
	base *url.URL
}

// New makes a client. It does not connect yet.
func New(o Options) (*API, error) {
	base, err := url.Parse(strings.TrimRight(o.URL, "/"))
	if err != nil || base.Scheme != "http" && base.Scheme != "https" || base.Host == "" || base.User != nil || base.RawQuery != "" || base.Fragment != "" {
		return nil, &Error{Code: "invalid_server_url", Detail: "the server's URL cannot be used",
			Hint: "it looks like http://127.0.0.1:8080; set it with fairlead login or FAIRLEAD_URL"}
	}
	d := &doer{token: o.Token, agent: o.UserAgent, retries: o.Retries, origin: base.Scheme + "://" + base.Host, pause: sleep}
	if d.agent == "" {
		d.agent = "fairlead-client"
	}
	if d.retries == 0 {
		d.retries = 4
	}
	hc := o.HTTP
	if hc == nil {
		hc = &http.Client{Transport: transport()}
	}
	own := *hc
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	d.http = &own
	generated, err := NewClientWithResponses(base.String(), WithHTTPClient(d))
	if err != nil {
		return nil, err
	}
	return &API{ClientWithResponses: generated, doer: d, base: base}, nil
}

// transport bounds everything but the reply's own length: streams are long.
func transport() *http.Transport {
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout:   10 * time.Second,
		ResponseHeaderTimeout: 90 * time.Second,
		IdleConnTimeout:       90 * time.Second,
		MaxIdleConnsPerHost:   16,
		ForceAttemptHTTP2:     true,
	}
}

// URL is the server's.
func (a *API) URL() string { return a.base.String() }

// doer sends the generated requests.
type doer struct {
	http    *http.Client
	token   redact.Secret
	agent   string
	origin  string
	retries int
	pause   func(context.Context, time.Duration) error
}

// Do implements HttpRequestDoer. Its error is always an *Error or the
// context's.
func (d *doer) Do(req *http.Request) (*http.Response, error) {
	if req.URL.Scheme+"://"+req.URL.Host != d.origin {
		return nil, &Error{Code: "foreign_url", Detail: "the request leads to another server", Hint: "this is a defect; please report it"}
	}
	req.Header.Set("User-Agent", d.agent)
	if req.Header.Get("Accept") == "" {
		req.Header.Set("Accept", "application/json")
	}
	if !d.token.Empty() && req.Header.Get("Authorization") == "" {
		req.Header.Set("Authorization", "Bearer "+d.token.Reveal())
	}
	mutation := req.Method != http.MethodGet && req.Method != http.MethodHead
	if mutation && req.Header.Get("Idempotency-Key") == "" {
		req.Header.Set("Idempotency-Key", rand.Text())
	}
	// The server keeps keys of those it knows, so a mutation as nobody must
	// not be sent again once it may have arrived.
	again := !mutation || req.Header.Get("Authorization") != ""
	replayable := req.Body == nil || req.Body == http.NoBody || req.GetBody != nil
	for attempt := 0; ; attempt++ {
		res, err := d.once(req, attempt)
		if err == nil {
			return res, nil
		}
		if ctxErr := req.Context().Err(); ctxErr != nil {
			return nil, ctxErr
		}
		wait, retry := err.retry(again, attempt)
		if !retry || !replayable || attempt >= d.retries {
			return nil, err
		}
		if perr := d.pause(req.Context(), wait); perr != nil {
			return nil, perr
		}
	}
}

func (d *doer) once(req *http.Request, attempt int) (*http.Response, *Error) {
	if attempt > 0 && req.GetBody != nil {
		body, err := req.GetBody()
		if err != nil {
			return nil, &Error{Code: "request_broken", Detail: "the request cannot be sent again", cause: err}
		}
		req.Body = body
	}
	res, err := d.http.Do(req) //nolint:gosec // the address is the user's own choice
	if err != nil {
		return nil, unreachable(d.origin, err)
	}
	if res.StatusCode >= 200 && res.StatusCode < 300 || res.StatusCode == http.StatusNotModified {
		return res, nil
	}
	defer res.Body.Close()
	return nil, decode(res)
}

func unreachable(origin string, err error) *Error {
	e := &Error{Code: "server_unreachable", Detail: "the server at " + origin + " does not answer",
		Hint: "check that it runs (fairlead up) and that FAIRLEAD_URL is right", cause: err, lost: true}
	e.unsent = errors.Is(err, syscall.ECONNREFUSED)
	var dns *net.DNSError
	if errors.As(err, &dns) {
		e.Detail, e.final = "the server's name "+dns.Name+" is not known", dns.IsNotFound
	}
	return e
}

// retry tells whether to send again, and when. A request that the server
// refused for now (429, 503) or never got is sent again in any case; one whose
// fate is unknown only when again, that is when doing it twice is impossible.
func (e *Error) retry(again bool, attempt int) (time.Duration, bool) {
	switch {
	case e.final:
		return 0, false
	case e.Status == http.StatusTooManyRequests, e.unsent:
	case e.Status == http.StatusServiceUnavailable || e.Status == http.StatusBadGateway || e.Status == http.StatusGatewayTimeout || e.lost:
		if !again {
			return 0, false
		}
	default:
		return 0, false
	}
	return backoff(attempt, e.RetryAfter), true
}

// backoff grows from 100 ms to 5 s, with jitter so that many clients don't
// come back together. The server's own wish comes first, up to 15 s.
func backoff(attempt int, wish time.Duration) time.Duration {
	if wish > 0 {
		return min(wish, 15*time.Second) + mathrand.N(250*time.Millisecond)
	}
	d := min(100*time.Millisecond<<min(attempt, 6), 5*time.Second)
	return d/2 + mathrand.N(d/2+1)
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func retryAfter(h http.Header) time.Duration {
	n, err := strconv.Atoi(h.Get("Retry-After"))
	if err != nil || n < 0 || n > 3600 {
		return 0
	}
	return time.Duration(n) * time.Second
}

// maxReply bounds what is read of an error.
const maxReply = 1 << 20

func readAll(r io.Reader) []byte {
	b, _ := io.ReadAll(io.LimitReader(r, maxReply))
	return b
}

package egress

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"syscall"
	"time"

	"fairlead/internal/fault"
)

// Config is the operator's section of the configuration.
type Config struct {
	Allow   []string `yaml:"allow"`   // private places that may be reached, as 10.0.0.0/8 or 127.0.0.1/32:9000
	CAFile  string   `yaml:"caFile"`  // certificates (PEM) that are trusted besides the system's
	Timeout string   `yaml:"timeout"` // of one request, whole; 15s when empty
}

// Options is what a Client is made of.
type Options struct {
	Config
	Resolver *net.Resolver  // nil: the system's
	RootCAs  *x509.CertPool // nil: the system's
}

// Limits of everything that is asked.
const (
	defaultTimeout = 15 * time.Second
	dialTimeout    = 5 * time.Second
	maxHeader      = 64 << 10
	maxBody        = 1 << 20 // of an answer; callers ask for less
)

// Client asks others. It follows no redirect, keeps no cookie, goes by no
// proxy, decompresses nothing, and reads no more than it was told to. It is
// safe for concurrent use.
type Client struct {
	allow    []allowance
	resolver *net.Resolver
	timeout  time.Duration
	caFile   string
	secure   *http.Client
	plain    *http.Client
}

// New makes a Client; what is wrong with the configuration is Invalid, code
// "invalid_config".
func New(o Options) (*Client, error) {
	c := &Client{resolver: o.Resolver, timeout: defaultTimeout, caFile: o.CAFile}
	for _, s := range o.Allow {
		l, err := parseAllowance(s)
		if err != nil {
			return nil, err
		}
		c.allow = append(c.allow, l)
	}
	if o.Timeout != "" {
		d, err := time.ParseDuration(o.Timeout)
		if err != nil || d <= 0 || d > time.Minute {
			return nil, fault.New(fault.Invalid, "invalid_config", "egress.timeout: %q is no length of time up to 1m", o.Timeout).WithHint("as 15s")
		}
		c.timeout = d
	}
	roots := o.RootCAs
	if o.CAFile != "" {
		pem, err := os.ReadFile(o.CAFile)
		if err == nil && roots == nil {
			roots, err = x509.SystemCertPool()
		}
		if err != nil || !roots.AppendCertsFromPEM(pem) {
			return nil, fault.New(fault.Invalid, "invalid_config", "egress.caFile: no certificate can be read from %s", o.CAFile).WithCause(err)
		}
	}
	c.secure, c.plain = c.httpClient(false, roots), c.httpClient(true, roots)
	return c, nil
}

// Timeout bounds one request.
func (c *Client) Timeout() time.Duration { return c.timeout }

func (c *Client) httpClient(plain bool, roots *x509.CertPool) *http.Client {
	return &http.Client{
		Timeout:       c.timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			Proxy: nil, // never from the environment
			DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
				return c.dial(ctx, network, address, plain)
			},
			TLSClientConfig:     &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots},
			TLSHandshakeTimeout: dialTimeout, ResponseHeaderTimeout: c.timeout, ExpectContinueTimeout: time.Second,
			MaxResponseHeaderBytes: maxHeader, DisableCompression: true,
			// A connection kept is an address judged long ago.
			DisableKeepAlives: true,
		},
	}
}

// Dial is for what does not speak HTTP (mail): it connects to HOST:PORT over
// TCP with the same judgement of the address. Without TLS only allowed places
// are reached: plain says that the caller will speak without.
func (c *Client) Dial(ctx context.Context, address string, plain bool) (net.Conn, error) {
	return c.dial(ctx, "tcp", address, plain)
}

// dial connects; the address is judged after the name was resolved and before
// a packet is sent, for each address that is tried.
func (c *Client) dial(ctx context.Context, network, address string, plain bool) (net.Conn, error) {
	d := net.Dialer{Timeout: dialTimeout, Resolver: c.resolver, ControlContext: func(_ context.Context, _, dialled string, _ syscall.RawConn) error {
		ap, err := netip.ParseAddrPort(dialled)
		if err != nil {
			return refused("that address cannot be judged").WithCause(err)
		}
		return c.judge(ap, plain)
	}}
	conn, err := d.DialContext(ctx, network, address)
	if err != nil {
		if f, ok := errors.AsType[*fault.Error](err); ok {
			return nil, f
		}
	}
	return conn, err
}

// judge decides about an address. The message names no address: who gave a
// name must not learn what it means inside.
func (c *Client) judge(ap netip.AddrPort, plain bool) error {
	for _, l := range c.allow {
		if l.covers(ap.Addr(), ap.Port()) {
			return nil
		}
	}
	if what := kind(ap.Addr()); what != "" {
		return refused("it leads to an address that this server does not reach").
			WithCause(errors.New(ap.String() + " is " + what))
	}
	if plain {
		return refused("without TLS only places that the configuration allows are reached")
	}
	return nil
}

func refused(format string, args ...any) *fault.Error {
	return fault.New(fault.Invalid, "egress_refused", format, args...).WithField("/url").
		WithHint("use an https URL of the open Internet, or have the platform team add the address to egress.allow")
}

func (c *Client) plainSomewhere() bool { return len(c.allow) > 0 }

// Request is one thing to ask.
type Request struct {
	Method string
	URL    string // checked again with CheckURL
	Header http.Header
	Body   []byte
	Most   int64 // how much of the answer to read, in bytes; the rest is left
}

// Response is an answer as far as it was read.
type Response struct {
	Status int
	Header http.Header
	Body   []byte
}

// Do asks, within the Client's time limit and ctx. A redirect is an answer
// like any other. What is refused is a fault (see CheckURL and Dial); all else
// is Unavailable, code "egress_failed", whose message says what went wrong in
// the words of a sort of failure, not of the network inside.
func (c *Client) Do(ctx context.Context, r Request) (Response, error) {
	u, err := c.CheckURL(r.URL)
	if err != nil {
		return Response{}, err
	}
	req, err := http.NewRequestWithContext(ctx, r.Method, u.String(), bytes.NewReader(r.Body))
	if err != nil {
		return Response{}, urlFault("that is no request").WithCause(err)
	}
	for k, v := range r.Header {
		req.Header[k] = v
	}
	by := c.secure
	if u.Scheme == "http" {
		by = c.plain
	}
	res, err := by.Do(req)
	if err != nil {
		return Response{}, failure(err)
	}
	defer res.Body.Close()
	most := r.Most
	if most <= 0 || most > maxBody {
		most = maxBody
	}
	// The status is what counts: a body that breaks off is short, no failure.
	body, _ := io.ReadAll(io.LimitReader(res.Body, most))
	return Response{Status: res.StatusCode, Header: res.Header, Body: body}, nil
}

// failure says what sort of thing went wrong.
func failure(err error) error {
	if f, ok := errors.AsType[*fault.Error](err); ok {
		return f
	}
	what := "the connection failed"
	var dns *net.DNSError
	var unknown x509.UnknownAuthorityError
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	var timeout net.Error
	switch {
	case errors.As(err, &dns) && dns.IsNotFound:
		what = "there is no host of that name"
	case errors.As(err, &dns):
		what = "the host's name could not be looked up"
	case errors.As(err, &unknown), errors.As(err, &name), errors.As(err, &invalid):
		what = "the host's certificate is not one to trust"
	case errors.As(err, &timeout) && timeout.Timeout():
		what = "there was no answer in time"
	case errors.Is(err, syscall.ECONNREFUSED):
		what = "the connection was refused"
	}
	return fault.New(fault.Unavailable, "egress_failed", "%s", what).WithCause(err)
}

// Resolve looks a host up and gives the addresses of it that may be reached,
// for a program that dials by itself and is told where: it must be told one of
// these, and not look again. A host that has none is refused as Dial does.
func (c *Client) Resolve(ctx context.Context, host string, port uint16) ([]netip.AddrPort, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	var found []netip.Addr
	if a, err := netip.ParseAddr(host); err == nil {
		found = []netip.Addr{a}
	} else {
		by := c.resolver
		if by == nil {
			by = net.DefaultResolver
		}
		if found, err = by.LookupNetIP(ctx, "ip", host); err != nil {
			return nil, failure(err)
		}
	}
	var out []netip.AddrPort
	var no error
	for _, a := range found {
		ap := netip.AddrPortFrom(a.Unmap(), port)
		if err := c.judge(ap, false); err != nil {
			no = err
			continue
		}
		out = append(out, ap)
	}
	if len(out) == 0 && no == nil {
		no = fault.New(fault.Unavailable, "egress_failed", "there is no host of that name")
	}
	if len(out) > 0 {
		no = nil
	}
	return out, no
}

// CAFile is where the certificates are that are trusted besides the system's;
// "" for none.
func (c *Client) CAFile() string { return c.caFile }

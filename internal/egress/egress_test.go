package egress_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"fairlead/internal/egress"
	"fairlead/internal/egress/egresstest"
	"fairlead/internal/fault"
)

func client(t testing.TB, o egress.Options) *egress.Client {
	t.Helper()
	c, err := egress.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func codeOf(err error) string {
	if err == nil {
		return ""
	}
	return fault.From(err).Code
}

// serve listens on one of this host's loopback addresses and counts whom it
// was asked by.
func serve(t *testing.T, at string, h http.HandlerFunc) (host string, asked *atomic.Int64) {
	t.Helper()
	l, err := net.Listen("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	asked = &atomic.Int64{}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		h(w, r)
	}))
	s.Listener.Close()
	s.Listener = l
	s.Start()
	t.Cleanup(s.Close)
	return l.Addr().String(), asked
}

func ok(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }

func TestURLsThatAreRefused(t *testing.T) {
	t.Parallel()
	c := client(t, egress.Options{})
	for _, row := range []struct{ why, url, code string }{
		{"the plain case", "https://example.org/hook?x=1", ""},
		{"a port", "https://example.org:8443/", ""},
		{"a public address", "https://93.184.216.34/", ""},
		{"a public IPv6 address", "https://[2606:2800:220:1::1]/", ""},
		{"another script in its own form", "https://xn--bcher-kva.example/", ""},
		{"capital letters", "HTTPS://Example.ORG/", ""},

		{"nothing", "", "egress_url"},
		{"no scheme", "example.org", "egress_url"},
		{"another scheme", "ftp://example.org/", "egress_url"},
		{"a file", "file:///etc/passwd", "egress_url"},
		{"a scheme of shells", "gopher://127.0.0.1:6379/_FLUSHALL", "egress_url"},
		{"no host", "https:///x", "egress_url"},
		{"opaque", "https:example.org", "egress_url"},
		{"without TLS, nothing being allowed", "http://example.org/", "egress_url"},
		{"a password", "https://user:pass@example.org/", "egress_url"},
		{"a user alone, to hide the host behind", "https://example.org@evil.example/", "egress_url"},
		{"an empty user", "https://@example.org/", "egress_url"},
		{"a fragment", "https://example.org/#x", "egress_url"},
		{"a backslash, a slash to some readers", `https://example.org\@127.0.0.1/`, "egress_url"},
		{"a tab, which some leave out", "https://exam\tple.org/", "egress_url"},
		{"a line's end", "https://example.org/\r\nHost: x", "egress_url"},
		{"a blank", "https://example.org/ x", "egress_url"},
		{"wide digits, which some fold to 127.0.0.1", "https://１２７.0.0.1/", "egress_url"},
		{"an ideographic dot", "https://127。0。0。1/", "egress_url"},
		{"circled letters", "https://ⓔxample.org/", "egress_url"},
		{"escapes in the host", "https://%31%32%37.0.0.1/", "egress_url"},
		{"a dot at the end", "https://localhost./", "egress_url"},
		{"two dots", "https://example..org/", "egress_url"},
		{"decimal loopback", "https://2130706433/", "egress_url"},
		{"hexadecimal loopback", "https://0x7f000001/", "egress_url"},
		{"hexadecimal parts", "https://0x7f.0x0.0x0.0x1/", "egress_url"},
		{"octal parts", "https://0177.0.0.1/", "egress_url"},
		{"fewer parts", "https://127.1/", "egress_url"},
		{"an underscore", "https://a_b.example/", "egress_url"},
		{"a port of nought", "https://example.org:0/", "egress_url"},
		{"a port too high", "https://example.org:65536/", "egress_url"},
		{"a port with noughts before", "https://example.org:0443/", "egress_url"},
		{"a colon and no port", "https://example.org:/", "egress_url"},
		{"a zone", "https://[fe80::1%25eth0]/", "egress_url"},
		{"too long", "https://example.org/" + strings.Repeat("x", 3000), "egress_url"},
		{"a host too long", "https://" + strings.Repeat("abcdefgh.", 30) + "org/", "egress_url"},

		{"loopback", "https://127.0.0.1/", "egress_refused"},
		{"all of loopback", "https://127.99.0.1:9000/", "egress_refused"},
		{"loopback in IPv6", "https://[::1]/", "egress_refused"},
		{"no address, which is this host to a kernel", "https://0.0.0.0/", "egress_refused"},
		{"none in IPv6", "https://[::]/", "egress_refused"},
		{"metadata", "https://169.254.169.254/latest/meta-data/", "egress_refused"},
		{"metadata of containers", "https://169.254.170.2/", "egress_refused"},
		{"metadata in IPv6", "https://[fd00:ec2::254]/", "egress_refused"},
		{"metadata in shared space", "https://100.100.100.200/", "egress_refused"},
		{"metadata in protocol assignments", "https://192.0.0.192/", "egress_refused"},
		{"metadata at a public-looking address", "https://168.63.129.16/", "egress_refused"},
		{"private", "https://10.1.2.3/", "egress_refused"},
		{"private", "https://172.31.255.254/", "egress_refused"},
		{"private", "https://192.168.0.1/", "egress_refused"},
		{"multicast", "https://224.0.0.1/", "egress_refused"},
		{"broadcast", "https://255.255.255.255/", "egress_refused"},
		{"reserved", "https://240.0.0.1/", "egress_refused"},
		{"benchmarks", "https://198.19.0.1/", "egress_refused"},
		{"IPv4 in IPv6, dotted", "https://[::ffff:127.0.0.1]/", "egress_refused"},
		{"IPv4 in IPv6, hexadecimal", "https://[::ffff:7f00:1]/", "egress_refused"},
		{"the old form of it", "https://[::127.0.0.1]/", "egress_refused"},
		{"SIIT", "https://[::ffff:0:127.0.0.1]/", "egress_refused"},
		{"NAT64", "https://[64:ff9b::7f00:1]/", "egress_refused"},
		{"local NAT64", "https://[64:ff9b:1::7f00:1]/", "egress_refused"},
		{"6to4", "https://[2002:7f00:1::]/", "egress_refused"},
		{"Teredo", "https://[2001:0:7f00:1::]/", "egress_refused"},
		{"ISATAP on a private link", "https://[fe80::5efe:7f00:1]/", "egress_refused"},
		{"private IPv6", "https://[fc00::1]/", "egress_refused"},
		{"old site-local", "https://[fec0::1]/", "egress_refused"},
		{"multicast IPv6", "https://[ff02::1]/", "egress_refused"},
		{"documentation", "https://[2001:db8::1]/", "egress_refused"},
	} {
		if _, err := c.CheckURL(row.url); codeOf(err) != row.code {
			t.Errorf("%s: %q gives %v, want %q", row.why, row.url, err, row.code)
		}
	}
}

func TestWhatTheOperatorAllows(t *testing.T) {
	t.Parallel()
	c := client(t, egress.Options{Config: egress.Config{Allow: []string{"10.0.0.0/8", "127.0.0.1/32:9000", "[fd00::1]:443", "192.168.1.5", "fd11::/16:8443"}}})
	for _, row := range []struct{ why, url, code string }{
		{"in the range", "https://10.2.3.4/", ""},
		{"in the range, without TLS", "http://10.2.3.4:81/", ""},
		{"the port", "http://127.0.0.1:9000/", ""},
		{"the same, written in IPv6", "http://[::ffff:127.0.0.1]:9000/", ""},
		{"another port", "http://127.0.0.1:9001/", "egress_refused"},
		{"another address", "http://127.0.0.2:9000/", "egress_refused"},
		{"an IPv6 address with its port", "https://[fd00::1]/", ""},
		{"and with another", "https://[fd00::1]:444/", "egress_refused"},
		{"an address with any port", "https://192.168.1.5:1234/", ""},
		{"an IPv6 range with a port", "https://[fd11::9]:8443/", ""},
		{"what is public needs TLS still", "http://93.184.216.34/", "egress_refused"},
		{"a form that hides it is not allowed by it", "https://[64:ff9b::a02:304]/", "egress_refused"},
	} {
		if _, err := c.CheckURL(row.url); codeOf(err) != row.code {
			t.Errorf("%s: %s gives %v, want %q", row.why, row.url, err, row.code)
		}
	}
	for _, bad := range []string{"", "ten", "10.0.0.0/33", "10.0.0.0/8:0", "10.0.0.0/8:x", "localhost", "10.0.0.1:70000", "::ffff:10.0.0.0/104", "fe80::1%eth0"} {
		if _, err := egress.New(egress.Options{Config: egress.Config{Allow: []string{bad}}}); codeOf(err) != "invalid_config" {
			t.Errorf("%q is allowed: %v", bad, err)
		}
	}
}

// A name that was good when it was checked means something else when it is
// dialled.
func TestANameThatIsRebound(t *testing.T) {
	t.Parallel()
	good, goodAsked := serve(t, "127.0.0.2:0", ok)
	_, port, _ := net.SplitHostPort(good)
	bad, badAsked := serve(t, "127.0.0.1:"+port, ok)
	var now atomic.Pointer[[]netip.Addr]
	set := func(list ...string) {
		var a []netip.Addr
		for _, s := range list {
			a = append(a, netip.MustParseAddr(s))
		}
		now.Store(&a)
	}
	c := client(t, egress.Options{Config: egress.Config{Allow: []string{"127.0.0.2/32"}}, Resolver: egresstest.Names(t, func(string) []netip.Addr { return *now.Load() })})
	for _, row := range []struct {
		why   string
		means []string
		code  string
	}{
		{"at first", []string{"127.0.0.2"}, ""},
		{"rebound to loopback", []string{"127.0.0.1"}, "egress_refused"},
		{"rebound to loopback in IPv6", []string{"::1"}, "egress_refused"},
		{"rebound to a mapped address", []string{"::ffff:127.0.0.1"}, "egress_refused"},
		{"rebound to metadata", []string{"169.254.169.254"}, "egress_refused"},
		{"to several, none of them allowed", []string{"127.0.0.1", "10.0.0.1", "fd00::1"}, "egress_refused"},
		{"one of several is allowed, and only it is asked", []string{"127.0.0.1", "127.0.0.2"}, ""},
	} {
		set(row.means...)
		_, err := c.Do(t.Context(), egress.Request{Method: "GET", URL: "http://hooks.example.org:" + port + "/"})
		if codeOf(err) != row.code {
			t.Errorf("%s: %v, want %q", row.why, err, row.code)
		}
		if err != nil && strings.Contains(fault.From(err).Message, "127.0.0") {
			t.Errorf("%s: the message tells what the name means: %v", row.why, err)
		}
		_, err = c.Dial(t.Context(), "hooks.example.org:"+port, true)
		if codeOf(err) != row.code {
			t.Errorf("%s, dialled: %v, want %q", row.why, err, row.code)
		}
	}
	if badAsked.Load() != 0 || goodAsked.Load() != 2 {
		t.Errorf("%s was asked %d times, %s %d times", bad, badAsked.Load(), good, goodAsked.Load())
	}
}

func TestRedirectsAreAnswersAndNothingIsKept(t *testing.T) {
	t.Parallel()
	inside, asked := serve(t, "127.0.0.1:0", ok)
	var cookies atomic.Int64
	at, _ := serve(t, "127.0.0.2:0", func(w http.ResponseWriter, r *http.Request) {
		if len(r.Cookies()) > 0 {
			cookies.Add(1)
		}
		http.SetCookie(w, &http.Cookie{Name: "a", Value: "b"})
		to := r.URL.Query().Get("to")
		w.Header().Set("Location", to)
		w.WriteHeader(http.StatusTemporaryRedirect)
	})
	c := client(t, egress.Options{Config: egress.Config{Allow: []string{"127.0.0.2/32"}}})
	for _, to := range []string{"http://169.254.169.254/latest/meta-data/", "http://" + inside + "/", "http://" + at + "/again", "//" + inside, "file:///etc/passwd"} {
		res, err := c.Do(t.Context(), egress.Request{Method: "POST", URL: "http://" + at + "/?to=" + url.QueryEscape(to), Body: []byte("x")})
		if err != nil || res.Status != http.StatusTemporaryRedirect {
			t.Errorf("%s: %d %v", to, res.Status, err)
		}
	}
	if asked.Load() != 0 || cookies.Load() != 0 {
		t.Errorf("inside was asked %d times; %d cookies came back", asked.Load(), cookies.Load())
	}
}

func TestAnswersAreBounded(t *testing.T) {
	t.Parallel()
	release := make(chan bool)
	t.Cleanup(func() { close(release) })
	at, _ := serve(t, "127.0.0.1:0", func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/huge":
			chunk := bytes.Repeat([]byte("x"), 1<<16)
			for range 1 << 14 { // 1 GiB, were it read
				if _, err := w.Write(chunk); err != nil {
					return
				}
			}
		case "/headers":
			w.Header().Set("X", strings.Repeat("x", 1<<20))
		case "/hung":
			select {
			case <-release:
			case <-r.Context().Done():
			}
		case "/drip":
			w.WriteHeader(http.StatusOK)
			for r.Context().Err() == nil {
				_, _ = w.Write([]byte("x"))
				_ = http.NewResponseController(w).Flush()
				select {
				case <-time.After(50 * time.Millisecond):
				case <-r.Context().Done():
				}
			}
		}
	})
	c := client(t, egress.Options{Config: egress.Config{Allow: []string{"127.0.0.1"}, Timeout: "700ms"}})
	for _, row := range []struct {
		path, code string
		status     int
		size       int
	}{{"/huge", "", 200, 1024}, {"/headers", "egress_failed", 0, 0}, {"/hung", "egress_failed", 0, 0}, {"/drip", "", 200, -1}} {
		began := time.Now()
		res, err := c.Do(t.Context(), egress.Request{Method: "GET", URL: "http://" + at + row.path, Most: 1024})
		if codeOf(err) != row.code || res.Status != row.status || (row.size >= 0 && len(res.Body) != row.size) {
			t.Errorf("%s: %d, %d bytes, %v", row.path, res.Status, len(res.Body), err)
		}
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("%s took %s", row.path, took)
		}
	}
}

func TestFailuresAreToldBySort(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := l.Addr().String()
	l.Close()
	tls := httptest.NewTLSServer(http.HandlerFunc(ok))
	t.Cleanup(tls.Close)
	c := client(t, egress.Options{Config: egress.Config{Allow: []string{"127.0.0.1"}}, Resolver: egresstest.Names(t, func(string) []netip.Addr { return nil })})
	for _, row := range []struct{ why, url string }{
		{"nobody listens", "http://" + closed + "/"}, {"an unknown certificate", tls.URL}, {"no such name", "https://nothing.example.org/"},
	} {
		_, err := c.Do(t.Context(), egress.Request{Method: "GET", URL: row.url})
		if codeOf(err) != "egress_failed" || strings.Contains(fault.From(err).Message, "127.0.0.1") {
			t.Errorf("%s: %v", row.why, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Do(ctx, egress.Request{Method: "GET", URL: "http://" + closed + "/"}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// Not parallel: it sets the environment.
func TestProxiesOfTheEnvironmentAreIgnored(t *testing.T) {
	proxy, asked := serve(t, "127.0.0.1:0", ok)
	for _, name := range []string{"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"} {
		t.Setenv(name, "http://"+proxy)
	}
	t.Setenv("NO_PROXY", "")
	at, direct := serve(t, "127.0.0.2:0", ok)
	c := client(t, egress.Options{Config: egress.Config{Allow: []string{"127.0.0.0/8"}}})
	if _, err := c.Do(t.Context(), egress.Request{Method: "GET", URL: "http://" + at + "/"}); err != nil || direct.Load() != 1 || asked.Load() != 0 {
		t.Errorf("direct %d, by the proxy %d: %v", direct.Load(), asked.Load(), err)
	}
}

func TestOrigin(t *testing.T) {
	t.Parallel()
	for _, row := range [][2]string{
		{"https://Example.org/a", "https://example.org:443"}, {"https://example.org:443/b", "https://example.org:443"},
		{"http://example.org", "http://example.org:80"}, {"https://[2606::1]:8/x", "https://[2606::1]:8"},
	} {
		u, err := url.Parse(row[0])
		if err != nil {
			t.Fatal(err)
		}
		if got := egress.Origin(u); got != row[1] {
			t.Errorf("%s: %s", row[0], got)
		}
	}
}

// Whatever CheckURL lets through is a URL that means one host to everybody,
// and no literal address that is reserved.
func FuzzCheckURL(f *testing.F) {
	for _, s := range []string{"https://example.org/", "https://127.1/", "https://[::ffff:7f00:1]/", `https://a\@b/`, "https://xn--a.example:8/", "http://2130706433", "https://0x7f.1"} {
		f.Add(s)
	}
	c := client(f, egress.Options{})
	f.Fuzz(func(t *testing.T, s string) {
		u, err := c.CheckURL(s)
		if err != nil {
			return
		}
		again, err := url.Parse(u.String())
		if err != nil || again.Host != u.Host || u.User != nil || u.Scheme != "https" {
			t.Fatalf("%q is %q", s, u)
		}
		host := u.Hostname()
		if a, err := netip.ParseAddr(host); err == nil {
			a = a.Unmap()
			if a.IsLoopback() || a.IsPrivate() || a.IsLinkLocalUnicast() || a.IsMulticast() || a.IsUnspecified() {
				t.Fatalf("%q leads to %s", s, a)
			}
			return
		}
		if strings.Trim(host, "0123456789.") == "" || strings.HasSuffix(host, ".") || strings.Trim(host, "abcdefghijklmnopqrstuvwxyz0123456789-.") != "" {
			t.Fatalf("%q has the host %q", s, host)
		}
	})
}

package iac_test

import (
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"fairlead/internal/conf"
	"fairlead/internal/egress/egresstest"
	"fairlead/internal/engine"
	"fairlead/internal/engine/iac"
	"fairlead/internal/engine/iac/iactest"
	"fairlead/internal/fault"
	"fairlead/internal/sqldb/sqldbtest"
)

func TestWhatMayBeAllowed(t *testing.T) {
	t.Parallel()
	read := func(entry string) error {
		c, err := iac.ReadConfig(conf.Raw{}, t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		c.Allow = []string{entry}
		_, err = iac.New(iac.Options{Config: c})
		return err
	}
	for _, good := range []string{"127.0.0.1:5432", "10.1.2.3:443", "api.example.com:443", "10.0.0.0/8", "10.0.0.0/8:443", "[fd12::]/16:443"} {
		if err := read(good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range []string{
		"", "x", "10.1.2.3", "10.1.2.3:0", "10.1.2.3:99999", "localhost:80", "API.example.com:80", "a b.example.com:1", "api.example.com\n10.0.0.1 x:1",
		"169.254.169.254:80", "169.254.0.0/16", "0.0.0.0/0", "100.64.0.0/10", "::/0", "fe80::/10", "[fd00:ec2::254]:80", "[::1]:80", "0.0.0.0:80", "224.0.0.1:80",
	} {
		if err := read(bad); fault.From(err).Code != "invalid_config" {
			t.Errorf("%q is allowed: %v", bad, err)
		}
	}
}

// greet counts who comes, and greets.
func greet(t *testing.T) (port string, came *atomic.Int64) {
	t.Helper()
	l, err := net.Listen("tcp", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	came = &atomic.Int64{}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			came.Add(1)
			_, _ = c.Write([]byte("welcome\n"))
			_ = c.Close()
		}
	}()
	_, port, _ = net.SplitHostPort(l.Addr().String())
	return port, came
}

// A run reaches what is allowed by its address or its name, and nothing else;
// where a name leads is judged when it is dialled.
func TestARunReachesWhatIsAllowed(t *testing.T) {
	t.Parallel()
	b := open(t, sqldbtest.SQLite(t), iactest.One(t))
	port, came := greet(t)
	var leads atomic.Pointer[netip.Addr]
	to := func(a string) { addr := netip.MustParseAddr(a); leads.Store(&addr) }
	to("127.0.0.3")
	names := egresstest.Names(t, func(string) []netip.Addr { return []netip.Addr{*leads.Load()} })
	b.config.Allow = []string{"127.0.0.2:" + port, "api.example.test:" + port, "127.0.0.3/32"}
	e, err := iac.New(iac.Options{Config: b.config, States: b.states, Resolver: names})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	_, _, level, err := e.About(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !level.Closed() {
		t.Logf("isolation here is %q: the network is the machine's", level)
		return
	}
	n := 0
	says := func(host string) string {
		n++
		out := filepath.Join(b.world, "said")
		req := b.module("net-"+string(rune('a'+n)), executes("exec /bin/bash -c '(timeout 10 cat </dev/tcp/"+host+"/"+port+") > "+out+" 2>&1 || true; chmod 666 "+out+"'"))
		if _, err := e.Apply(t.Context(), req, engine.Plan{}, engine.Discard); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		_ = os.Remove(out)
		return string(text)
	}
	for _, host := range []string{"127.0.0.2", "api.example.test"} {
		if got := says(host); got != "welcome\n" {
			t.Errorf("%s: %q", host, got)
		}
	}
	if came.Load() != 2 {
		t.Fatalf("%d came", came.Load())
	}
	to("127.0.0.4") // rebound to what is not allowed
	for _, host := range []string{"api.example.test", "127.0.0.3", "127.0.0.1", "169.254.169.254"} {
		if got := says(host); strings.Contains(got, "welcome") {
			t.Errorf("%s: %q", host, got)
		}
	}
	if came.Load() != 2 {
		t.Errorf("%d came", came.Load())
	}
}

// Without a mirror `init` fetches what a module names: by https, and never
// from inside.
func TestInitFetchesFromOutsideAlone(t *testing.T) {
	t.Parallel()
	b := open(t, sqldbtest.SQLite(t), iactest.One(t))
	b.config.Mirror = ""
	port, came := greet(t)
	inside, err := outward()
	if err != nil {
		t.Logf("this machine has no address beyond loopback, so there is nothing to reach: %v", err)
		return
	}
	try := func(source string) {
		t.Helper()
		e := b.engine(t, nil)
		if _, _, level, err := e.About(t.Context()); err != nil || !level.Closed() {
			t.Logf("isolation here is %q: the network is the machine's (%v)", level, err)
			return
		}
		if _, err := e.Plan(t.Context(), b.module("init", "module \"x\" {\n  source = \""+source+"\"\n}\n")); err == nil {
			t.Errorf("%s was fetched", source)
		}
	}
	try("http://" + inside + ":" + port + "/m.zip")
	try("https://" + inside + ":" + port + "/m.zip")
	try("https://127.0.0.1:" + port + "/m.zip")
	if came.Load() != 0 {
		t.Fatalf("it came in %d times", came.Load())
	}
	b.config.Allow = []string{inside + "/32"}
	try("https://" + inside + ":" + port + "/m.zip") // which does not speak TLS
	if came.Load() == 0 {
		t.Fatal("the test proves nothing: what is allowed was not reached either")
	}
}

// outward is this machine's own address on its network.
func outward() (string, error) {
	c, err := net.Dial("udp", "192.0.2.1:9") // sends nothing
	if err != nil {
		return "", err
	}
	defer func() { _ = c.Close() }()
	host, _, err := net.SplitHostPort(c.LocalAddr().String())
	return host, err
}

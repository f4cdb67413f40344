package sandbox_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"fairlead/internal/engine/iac/sandbox"
)

// The test binary plays the program that is not trusted.
func TestMain(m *testing.M) {
	if part := os.Getenv("PART"); part != "" {
		play(part)
		return
	}
	os.Exit(m.Run())
}

func play(part string) {
	switch part {
	case "show":
		fmt.Println(os.Getuid(), os.Getgid(), strings.Join(os.Environ(), ","))
		dir, _ := os.Getwd()
		fmt.Println(dir)
	case "exit":
		os.Exit(7)
	case "nice":
		n, err := syscall.Getpriority(syscall.PRIO_PROCESS, 0)
		fmt.Println("nice", 20-n, err) // the system call answers with 20 less the value
	case "dial":
		for _, a := range os.Args[1:] {
			c, err := net.DialTimeout("tcp", a, time.Second)
			if err != nil {
				fmt.Println(a, "refused")
				continue
			}
			_, _ = fmt.Fprint(c, "GET / HTTP/1.0\r\n\r\n")
			b, _ := io.ReadAll(c)
			fmt.Println(a, string(b[max(0, len(b)-5):]))
		}
	case "stubborn":
		signal.Ignore(syscall.SIGINT, syscall.SIGTERM)
		child := exec.Command("/proc/self/exe")
		child.Env = []string{"PART=escape"}
		child.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		if err := child.Start(); err != nil {
			fmt.Println("no child:", err)
			os.Exit(1)
		}
		fmt.Println("ready")
		time.Sleep(time.Hour)
	case "escape":
		signal.Ignore(syscall.SIGINT, syscall.SIGTERM)
		f, _ := os.OpenFile("held", os.O_CREATE|os.O_RDWR, 0o600)
		_ = syscall.Flock(int(f.Fd()), syscall.LOCK_EX)
		time.Sleep(time.Hour)
	case "server":
		j := sandbox.Job{
			Path: os.Args[1], Dir: os.Args[2], Alive: os.Args[3], Env: []string{"PART=stubborn"}, Level: sandbox.Probe(context.Background()),
			Stdout: os.Stdout, Stderr: os.Stderr, Grace: time.Hour, Silence: 2 * time.Second, Serve: func(_ string, l net.Listener) { _ = l.Close() },
		}
		if os.Geteuid() == 0 {
			j.UID, j.GID = 64321, 64321
		}
		_, err := sandbox.Run(context.Background(), j)
		fmt.Println("alone:", errors.Is(err, sandbox.ErrAlone))
	case "gentle":
		c := make(chan os.Signal, 1)
		signal.Notify(c, syscall.SIGINT)
		fmt.Println("ready")
		<-c
		fmt.Println("saved")
	case "memory":
		b := make([]byte, 1<<30)
		for i := 0; i < len(b); i += 4096 {
			b[i] = 1
		}
		fmt.Println("had it all")
	case "file":
		f, err := os.Create("big")
		for err == nil {
			_, err = f.Write(make([]byte, 1<<20))
		}
		fmt.Println(err)
	case "privileges":
		fmt.Println(syscall.Setuid(0))
		_, err := os.ReadFile("/etc/shadow")
		fmt.Println(err)
	}
}

var probed = sync.OnceValue(func() sandbox.Level { return sandbox.Probe(context.Background()) })

type lines struct {
	text  bytes.Buffer
	ready chan struct{}
}

func (l *lines) String() string { return l.text.String() }

func (l *lines) Write(p []byte) (int, error) {
	if strings.Contains(string(p), "ready") {
		close(l.ready)
	}
	return l.text.Write(p)
}

// job gives a job of the test binary, in a directory that its account owns.
func job(t *testing.T, part string, args ...string) (sandbox.Job, *lines) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "sandbox-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	program := filepath.Join(dir, "program")
	if err := copyFile(self, program); err != nil {
		t.Fatal(err)
	}
	out := &lines{ready: make(chan struct{})}
	j := sandbox.Job{
		Path: program, Args: args, Dir: dir, Env: []string{"PART=" + part, "GOTRACEBACK=none"}, Level: probed(),
		Stdout: out, Stderr: io.Discard, Grace: time.Second, Serve: func(_ string, l net.Listener) { _ = l.Close() },
	}
	if os.Geteuid() == 0 {
		j.UID, j.GID = 64321, 64321
		if err := errors.Join(os.Chmod(dir, 0o755), os.Chown(dir, j.UID, j.GID)); err != nil {
			t.Fatal(err)
		}
	}
	return j, out
}

func copyFile(from, to string) error {
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, b, 0o755)
}

func run(t *testing.T, j sandbox.Job) int {
	t.Helper()
	code, err := sandbox.Run(t.Context(), j)
	if err != nil {
		t.Fatal(err)
	}
	return code
}

func TestWhatTheProgramSees(t *testing.T) {
	t.Parallel()
	t.Log("level:", probed())
	j, out := job(t, "show")
	j.Env = append(j.Env, "ONLY=this")
	if code := run(t, j); code != 0 {
		t.Fatal(code)
	}
	got := strings.Split(strings.TrimSpace(out.String()), "\n")
	uid := fmt.Sprint(j.UID, " ", j.GID, " ")
	if j.UID == 0 {
		uid = ""
	}
	if len(got) != 2 || !strings.HasPrefix(got[0], uid) || !strings.HasSuffix(got[0], "PART=show,GOTRACEBACK=none,ONLY=this") || got[1] != j.Dir {
		t.Fatalf("%q", got)
	}
	j, _ = job(t, "exit")
	if code := run(t, j); code != 7 {
		t.Fatalf("exit code %d", code)
	}
	j.Path = "/nowhere"
	if code := run(t, j); code == 0 {
		t.Fatal("a program that is not there ran")
	}
}

// The way to a metadata service, to the control plane's own ports and to
// anywhere else: there is none.
func TestTheNetworkHasOnlyWhatIsServed(t *testing.T) {
	t.Parallel()
	if !probed().Closed() {
		t.Logf("this machine has no namespaces to be had (%s), so the network is open and that is what the run's log says", probed())
		return
	}
	listen := func(text string) string {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		answer(l, text)
		t.Cleanup(func() { _ = l.Close() })
		return l.Addr().String()
	}
	host, served := listen("host!"), listen("outer")
	j, out := job(t, "dial", host, served, "169.254.169.254:80", "192.0.2.1:80", "[::1]:"+host[strings.LastIndex(host, ":")+1:])
	j.Listen = []string{served}
	var asked []string
	j.Serve = func(a string, l net.Listener) { asked = append(asked, a); answer(l, "inner") }
	if code := run(t, j); code != 0 {
		t.Fatal(code)
	}
	want := host + " refused\n" + served + " inner\n169.254.169.254:80 refused\n192.0.2.1:80 refused\n"
	if !strings.HasPrefix(out.String(), want) || strings.Count(out.String(), "refused") != 4 || !slices.Equal(asked, []string{served}) {
		t.Fatalf("%s\nasked %v", out, asked)
	}
}

// Another host that is allowed has its own address in the run's network, and
// its name.
func TestAllowedPlacesKeepTheirAddressesAndNames(t *testing.T) {
	t.Parallel()
	if !probed().Closed() {
		t.Logf("no network of its own here: %s", probed())
		return
	}
	j, out := job(t, "dial", "192.0.2.7:443", "192.0.2.8:5432", "registry.example.test:443", "192.0.2.9:443", "192.0.2.7:80", "unknown.example.test:443")
	j.Listen = []string{"192.0.2.7:443", "192.0.2.8:5432", "127.88.0.1:443"}
	j.Hosts = filepath.Join(j.Dir, "hosts")
	if err := os.WriteFile(j.Hosts, []byte("127.88.0.1 registry.example.test\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	j.Serve = func(a string, l net.Listener) { answer(l, a[len(a)-5:]) }
	if code := run(t, j); code != 0 {
		t.Fatal(code)
	}
	want := "192.0.2.7:443 7:443\n192.0.2.8:5432 :5432\nregistry.example.test:443 1:443\n192.0.2.9:443 refused\n192.0.2.7:80 refused\nunknown.example.test:443 refused\n"
	if out.String() != want {
		t.Fatalf("%s", out)
	}
}

func answer(l net.Listener, text string) {
	s := &http.Server{ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) })}
	go func() { _ = s.Serve(l) }()
}

func TestTheEndComesToAll(t *testing.T) {
	t.Parallel()
	j, out := job(t, "stubborn")
	j.Alive = filepath.Join(t.TempDir(), "alive")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		<-out.ready
		if dead, err := sandbox.Dead(j.Alive); dead || err != nil {
			t.Error("the job is said to be dead while it runs", err)
		}
		for { // its child, in a session of its own, is there
			if dead, _ := sandbox.Dead(filepath.Join(j.Dir, "held")); !dead {
				break
			}
			time.Sleep(5 * time.Millisecond)
		}
		cancel()
	}()
	began := time.Now()
	if _, err := sandbox.Run(ctx, j); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if took := time.Since(began); took > 20*time.Second {
		t.Fatalf("the end took %v", took)
	}
	if dead, err := sandbox.Dead(j.Alive); !dead || err != nil {
		t.Fatal("not dead", err)
	}
	if probed().Closed() { // without a process namespace a session of its own escapes
		deadline := time.Now().Add(10 * time.Second)
		for {
			if dead, err := sandbox.Dead(filepath.Join(j.Dir, "held")); dead && err == nil {
				break
			}
			if time.Now().After(deadline) {
				t.Fatal("its child lives on")
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
}

// TestNobodyLooksAfterIt stops the server, which does not die: its job ends
// all the same, with all that it started, before a peer takes over. As long as
// the server runs, it goes on.
func TestNobodyLooksAfterIt(t *testing.T) {
	t.Parallel()
	j, _ := job(t, "stubborn")
	alive := filepath.Join(t.TempDir(), "alive")
	server := exec.CommandContext(t.Context(), j.Path, j.Path, j.Dir, alive)
	server.Env = []string{"PART=server"}
	var said bytes.Buffer
	server.Stdout, server.Stderr = &said, &said
	server.WaitDelay = 10 * time.Second
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	until := func(what string, is func() bool) {
		t.Helper()
		for deadline := time.Now().Add(30 * time.Second); !is(); time.Sleep(5 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal(what)
			}
		}
	}
	held := filepath.Join(j.Dir, "held")
	until("it does not begin", func() bool { dead, _ := sandbox.Dead(held); return !dead })
	began := time.Now()
	until("the time does not pass", func() bool { return time.Since(began) > 5*time.Second })
	if dead, err := sandbox.Dead(alive); dead || err != nil {
		t.Fatal("it was ended while the server looked after it", err)
	}
	if err := server.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	until("it goes on with nobody there", func() bool { dead, err := sandbox.Dead(alive); return dead && err == nil })
	if probed().Closed() {
		until("its child lives on", func() bool { dead, err := sandbox.Dead(held); return dead && err == nil })
	}
	if err := errors.Join(server.Process.Signal(syscall.SIGCONT), server.Wait()); err != nil || !strings.Contains(said.String(), "alone: true") {
		t.Errorf("%v %s", err, &said)
	}
}

func TestItMaySaveFirst(t *testing.T) {
	t.Parallel()
	j, out := job(t, "gentle")
	j.Grace = 20 * time.Second
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() { <-out.ready; cancel() }()
	if code, err := sandbox.Run(ctx, j); !errors.Is(err, context.Canceled) || code != 0 || !strings.Contains(out.String(), "saved") {
		t.Fatalf("%d %v %s", code, err, out)
	}
}

func TestItLetsOthersGoFirst(t *testing.T) {
	t.Parallel()
	for _, nice := range []int{0, 10} {
		j, out := job(t, "nice")
		j.Nice = nice
		own, err := syscall.Getpriority(syscall.PRIO_PROCESS, 0)
		if err != nil {
			t.Fatal(err)
		}
		want := max(20-own, nice)
		if code, err := sandbox.Run(t.Context(), j); err != nil || code != 0 || !strings.Contains(out.String(), fmt.Sprint("nice ", want, " <nil>")) {
			t.Errorf("%d %v %s, want %d", code, err, out, want)
		}
	}
}

func TestLimitsHold(t *testing.T) {
	t.Parallel()
	j, out := job(t, "memory")
	j.Limits.Memory = 256 << 20
	if code := run(t, j); code == 0 || strings.Contains(out.String(), "all") {
		t.Fatalf("%d %s", code, out)
	}
	j, out = job(t, "file")
	j.Limits.FileSize = 8 << 20
	if run(t, j); !strings.Contains(out.String(), "file too large") {
		t.Fatal(out)
	}
	if j.UID != 0 {
		j, out = job(t, "privileges")
		if run(t, j); !strings.Contains(out.String(), "not permitted") || !strings.Contains(out.String(), "permission denied") {
			t.Fatal(out)
		}
	}
}

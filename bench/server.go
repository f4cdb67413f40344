package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"fairlead/internal/engine/postgres/pgserver"
)

// child is a server under measurement, a process of its own.
type child struct {
	base    string // http://127.0.0.1:PORT
	dir     string
	cmd     *exec.Cmd
	ended   chan struct{}
	started time.Time
	first   time.Duration // from exec to the first 200
}

// launch runs argv until probe answers 200.
func launch(ctx context.Context, dir, base, probe string, env []string, argv ...string) (*child, error) {
	if err := os.MkdirAll(dir, 0o711); err != nil {
		return nil, err
	}
	log, err := os.OpenFile(filepath.Join(dir, "server.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command(argv[0], argv[1:]...) //nolint:gosec // our own arguments
	cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.Env = dir, log, log, append(os.Environ(), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	c := &child{base: base, dir: dir, cmd: cmd, ended: make(chan struct{}), started: time.Now()}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() { _ = cmd.Wait(); close(c.ended) }()
	for {
		res, err := http.Get(base + probe) //nolint:noctx // answers at once or not at all
		if err == nil {
			res.Body.Close()
			if res.StatusCode == http.StatusOK {
				c.first = time.Since(c.started)
				return c, nil
			}
		}
		select {
		case <-c.ended:
			return nil, fmt.Errorf("%s ended; see %s", argv[0], log.Name())
		case <-ctx.Done():
			c.stop()
			return nil, ctx.Err()
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// stop ends it gracefully and waits.
func (c *child) stop() { c.signal(syscall.SIGTERM) }

// kill is kill -9.
func (c *child) kill() { c.signal(syscall.SIGKILL) }

func (c *child) signal(s syscall.Signal) {
	_ = c.cmd.Process.Signal(s)
	select {
	case <-c.ended:
	case <-time.After(30 * time.Second):
		_ = c.cmd.Process.Kill()
		<-c.ended
	}
}

// cpu gives the processor time used so far, its own and not its children's.
func (c *child) cpu() (time.Duration, error) { return c.times(2) }

// family is cpu with that of the programs it ran that have ended.
func (c *child) family() (time.Duration, error) { return c.times(4) }

func (c *child) times(n int) (time.Duration, error) { return times(c.cmd.Process.Pid, n) }

func times(pid, n int) (time.Duration, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 15 {
		return 0, fmt.Errorf("no processor time in %q", b)
	}
	var ticks int64 // of 10 ms
	for _, f := range fields[11 : 11+n] {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return 0, err
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond, nil
}

// rss gives the resident memory in bytes.
func (c *child) rss() (float64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		var kb float64
		if _, err := fmt.Sscanf(line, "VmRSS: %f kB", &kb); err == nil {
			return kb * 1024, nil
		}
	}
	return 0, fmt.Errorf("no VmRSS")
}

func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// fairlead is a server of ours and the first administrator's token.
type fairlead struct {
	*child
	token  string
	client *http.Client
}

// setup is how a server of ours is configured for a bench. Everything else is
// as shipped, but for the rate limit, which is there to stop benches.
type setup struct {
	dir      string
	store    string // sqlite when empty
	postgres string // administrator's URL of the server for databases
	pool     int
	null     int      // workers; as shipped when 0
	iac      string   // the section of that engine, as a flow mapping
	env      []string // more of the environment
}

func (r *run) fairlead(ctx context.Context, s setup) (*fairlead, error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(s.dir, 0o711); err != nil {
		return nil, err
	}
	iac := ""
	if s.iac != "" {
		iac = ", iac: " + s.iac
	}
	c := fmt.Sprintf("listen: %s\ndata: %s\nrate: {perSecond: 1000000, burst: 1000000}\nengines: {postgres: {pool: %d}%s}\n", addr, s.dir, s.pool, iac)
	if s.store != "" {
		c += "store: " + s.store + "\n"
	}
	file := filepath.Join(s.dir, "fairlead.yaml")
	if err := os.WriteFile(file, []byte(c), 0o600); err != nil {
		return nil, err
	}
	env := append([]string{"FAIRLEAD_POSTGRES_URL=" + s.postgres}, s.env...)
	bin := filepath.Join(r.root, "bin", "fairlead")
	if r.pprof != "" {
		bin = filepath.Join(r.root, ".cache", "fairlead-profiled")
		env = append(env, "FAIRLEAD_PROFILE="+filepath.Join(r.pprof, filepath.Base(s.dir)+".pprof"))
	}
	proc, err := launch(ctx, s.dir, "http://"+addr, "/readyz", env, bin, "up", "--config", file)
	if err != nil {
		return nil, err
	}
	f := &fairlead{child: proc, client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 128}}}
	return f, nil
}

// signIn uses the first sign-in link and makes the project web with the
// environment dev.
func (f *fairlead) signIn(ctx context.Context) error {
	b, err := os.ReadFile(filepath.Join(f.dir, "first-sign-in-link"))
	if err != nil {
		return err
	}
	u, err := url.Parse(strings.TrimSpace(string(b)))
	if err != nil {
		return err
	}
	var login struct{ Value, Token string }
	if err := f.do(ctx, "POST", "/login", map[string]any{"link": u.Query().Get("link"), "tokenName": "bench"}, &login); err != nil {
		return err
	}
	f.token = login.Value + login.Token
	for _, made := range []struct {
		path string
		body map[string]any
	}{
		{"/teams", map[string]any{"name": "shop"}},
		{"/projects", map[string]any{"name": "web", "team": "shop"}},
		{"/projects/web/environments", map[string]any{"name": "dev", "class": "development"}},
	} {
		if err := f.do(ctx, "POST", made.path, made.body, nil); err != nil {
			return err
		}
	}
	return nil
}

const inDev = "/projects/web/environments/dev/resources"

// do asks the API and decodes what it answers.
func (f *fairlead) do(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, f.base+"/api/v1"+path, body)
	if err != nil {
		return err
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if f.token != "" {
		req.Header.Set("Authorization", "Bearer "+f.token)
	}
	res, err := f.client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode >= 300 {
		return fmt.Errorf("%s %s: %s: %s", method, path, res.Status, b)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(b, out)
}

// postgres starts a PostgreSQL server as Fairlead itself does, with durable
// commits. Call the function it gives to end and remove it.
func (r *run) postgres(ctx context.Context, name string) (adminURL string, end func(), err error) {
	s, err := pgserver.Start(ctx, pgserver.Options{Dir: filepath.Join(r.dir, name)})
	if err != nil {
		return "", nil, err
	}
	return s.URL("postgres").Reveal(), func() {
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
		defer cancel()
		_ = s.Stop(stop)
		_ = pgserver.Remove(stop, filepath.Join(r.dir, name))
	}, nil
}

package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/rogpeppe/go-internal/testscript"

	"fairlead/internal/apiclient"
	"fairlead/internal/clikit"
	"fairlead/internal/conf"
	"fairlead/internal/engine/iac/iactest"
	"fairlead/internal/identity"
	"fairlead/internal/redact"
	"fairlead/internal/sqldb/sqldbtest"
)

var updateScripts = flag.Bool("update", false, "write what commands print into the scripts' golden files")

// TestMain lets scripts run fairlead: the test binary plays its part.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"fairlead": func() { os.Exit(Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) },
	})
}

// TestCommands runs testdata/script against one server with a real
// PostgreSQL server behind it. Each script has a team, a project and an
// environment of its own: $TEAM, $PROJECT and dev.
func TestCommands(t *testing.T) {
	t.Parallel()
	runScripts(t, testscript.Params{Dir: filepath.Join("testdata", "script")}, "")
}

// TestModules runs testdata/iac with each program that runs modules, $PROGRAM,
// against a server that has it, the test provider and a folder that modules
// may write to: $WORLD.
func TestModules(t *testing.T) {
	t.Parallel()
	iactest.Each(t, func(t *testing.T, p iactest.Program) {
		dir := passable(t)
		world := filepath.Join(dir, "world")
		if err := errors.Join(os.Mkdir(dir, 0o711), os.Mkdir(world, 0o777), os.Chmod(world, 0o777)); err != nil {
			t.Fatal(err)
		}
		mirror, _ := iactest.Mirror(t, dir)
		iactest.AddOwn(t, mirror)
		config := filepath.Join(dir, "hand.tfrc")
		text := fmt.Sprintf("disable_checkpoint = true\nprovider_installation {\n  filesystem_mirror {\n    path = %q\n    include = [\"*/*/*\"]\n  }\n}\n", mirror)
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		engine := fmt.Sprintf("binary: %q, mirror: %q, ", p.Path, mirror)
		env := []string{"PROGRAM=" + p.Name, "IAC=" + p.Path, "TF_CLI_CONFIG_FILE=" + config, "WORLD=" + world}
		runScripts(t, testscript.Params{Dir: filepath.Join("testdata", "iac")}, engine, env...)
		// With guardrails in force, which hold for everybody on a server.
		t.Run("governed", func(t *testing.T) {
			t.Parallel()
			runScripts(t, testscript.Params{Dir: filepath.Join("testdata", "governed")}, engine, env...)
		})
	})
}

// TestCommandsAlone runs each script of testdata/alone against a server of its
// own: the guardrails that it puts in force hold for everybody there, and each
// change of them voids what waits for an approval.
func TestCommandsAlone(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join("testdata", "alone", "*.txt"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			t.Parallel()
			program := ""
			if here := iactest.Known(); len(here) > 0 {
				program = fmt.Sprintf("binary: %q, ", here[0].Path)
			}
			runScripts(t, testscript.Params{Files: []string{file}}, program)
		})
	}
	// The walk through all that makes self-service safe, on the other store too.
	t.Run("govern-postgres", func(t *testing.T) {
		t.Parallel()
		db := sqldbtest.PostgresURL(t)
		runScriptsOn(t, db, testscript.Params{Files: []string{filepath.Join("testdata", "alone", "govern.txt")}}, "")
	})
}

// runScripts runs scripts against a server of their own. iac is more of its
// section engines.iac; env is more of the scripts' environment.
func runScripts(t *testing.T, p testscript.Params, iac string, env ...string) {
	t.Helper()
	runScriptsOn(t, "sqlite", p, iac, env...)
}

// runScriptsOn is runScripts on a store, sqlite or a database's URL.
func runScriptsOn(t *testing.T, store string, p testscript.Params, iac string, env ...string) {
	s := serveScripts(t, store, iac)
	p.Condition, p.UpdateScripts = condition, *updateScripts
	p.Setup = func(e *testscript.Env) error {
		for _, v := range env {
			name, value, _ := strings.Cut(v, "=")
			e.Setenv(name, value)
		}
		e.Values["ssh"] = &sshHost{t: t}
		return s.setup(e)
	}
	p.Cmds = map[string]func(*testscript.TestScript, bool, []string){
		"exits": exits, "until": until, "setenv": setenv, "json": jsonAt, "elsewhere": elsewhere, "edit": edit, "trim": trim, "race": race,
		"sshkey": sshkey, "sshd": sshd, "hides": hides,
	}
	testscript.Run(t, p)
}

// condition is what scripts ask for in brackets. iac: modules can be tried
// here, or must be.
func condition(name string) (bool, error) {
	if name != "iac" {
		return false, fmt.Errorf("there is no condition %q", name)
	}
	return iactest.Here(), nil
}

type scriptServer struct {
	url, postgres string
	admin         redact.Secret
	api           *apiclient.API
}

// passable is a folder that the accounts of modules' runs get through to.
func passable(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "fl-iac-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "iac")
}

func serveScripts(t *testing.T, store, iac string) *scriptServer {
	t.Helper()
	s := &scriptServer{postgres: sqldbtest.PostgresServer(t)}
	dir := t.TempDir()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.url = "http://" + l.Addr().String()
	file := filepath.Join(dir, "fairlead.yaml")
	database, err := url.Parse(s.postgres)
	if err != nil {
		t.Fatal(err)
	}
	admin := filepath.Join(dir, "postgres-admin-url")
	if err := os.WriteFile(admin, []byte(s.postgres+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("listen: %s\ndata: %s\nstore: %q\nrate: {perSecond: 10000, burst: 10000}\negress: {allow: [127.0.0.1]}\nengines: {postgres: {url: %q, pool: 0}, iac: {%sallow: [%q], dir: %q, given: {postgres-module: {server_url: {file: %q}}}}}\n",
		l.Addr(), filepath.Join(dir, "data"), store, s.postgres, iac, database.Host, passable(t), admin)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := conf.Load(file, func(string) string { return "" })
	if err == nil {
		err = c.Check()
	}
	if err != nil {
		t.Fatal(err)
	}
	unlock, err := lockData(c.Data)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	a, err := Build(ctx, c, slog.New(slog.NewTextHandler(io.Discard, nil)), func(err error) { panic(err) })
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() { a.Run(ctx) })
	all.Go(func() { _ = a.web.Serve(ctx, l, time.Second) })
	t.Cleanup(func() {
		stop()
		all.Wait()
		a.Close(context.Background())
		unlock()
	})
	link, err := a.identity.Bootstrap(ctx)
	if err != nil {
		t.Fatal(err)
	}
	token, err := a.identity.SignInForToken(ctx, identity.SignIn{Link: link.Value}, "scripts", 0)
	if err != nil {
		t.Fatal(err)
	}
	s.admin = token.Value
	if s.api, err = apiclient.New(apiclient.Options{URL: s.url, Token: s.admin}); err != nil {
		t.Fatal(err)
	}
	return s
}

// setup gives a script its home and its place. It acts as the administrator
// until it unsets FAIRLEAD_TOKEN.
func (s *scriptServer) setup(env *testscript.Env) error {
	script := filepath.Base(env.WorkDir)
	script = strings.TrimPrefix(script, "script-")
	team, project := "team-"+script, "web-"+script
	ctx := context.Background()
	if _, err := clikit.Read[apiclient.Team](s.api.CreateTeam(ctx, apiclient.CreateTeamJSONRequestBody{Name: team})); err != nil {
		return err
	}
	if _, err := clikit.Read[apiclient.Project](s.api.CreateProject(ctx, apiclient.CreateProjectJSONRequestBody{Name: project, Team: team})); err != nil {
		return err
	}
	if _, err := clikit.Read[apiclient.Environment](s.api.CreateEnvironment(ctx, project, apiclient.CreateEnvironmentJSONRequestBody{
		Name: "dev", Class: "development"})); err != nil {
		return err
	}
	key, err := age.GenerateX25519Identity()
	if err != nil {
		return err
	}
	other := &recorder{}
	srv := httptest.NewServer(other)
	env.Defer(srv.Close)
	env.Values["elsewhere"] = other
	policies, err := filepath.Abs(filepath.Join("..", "..", "policies"))
	if err != nil {
		return err
	}
	for name, v := range map[string]string{
		"POLICIES": policies, "HOME": filepath.Join(env.WorkDir, "home"), "URL": s.url, "ELSEWHERE": srv.URL, "ADMIN": s.admin.Reveal(), "S": script, "TEAM": team, "PROJECT": project,
		"FAIRLEAD_URL": s.url, "FAIRLEAD_TOKEN": s.admin.Reveal(), "FAIRLEAD_PROJECT": project, "FAIRLEAD_ENV": "dev",
		"FAIRLEAD_POSTGRES_URL": s.postgres, "TZ": "UTC", "AGE_KEY": key.String(), "AGE_RECIPIENT": key.Recipient().String(),
	} {
		env.Setenv(name, v)
	}
	return os.Mkdir(filepath.Join(env.WorkDir, "home"), 0o700)
}

// recorder is somebody else's server: it remembers what it was sent.
type recorder struct {
	mu   sync.Mutex
	seen []string
}

func (r *recorder) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	body, _ := io.ReadAll(q.Body)
	r.mu.Lock()
	r.seen = append(r.seen, fmt.Sprintf("%s %s\n%v\n%s", q.Method, q.URL, q.Header, body))
	r.mu.Unlock()
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(http.StatusUnauthorized)
	_, _ = io.WriteString(w, `{"status":401,"code":"unauthenticated","detail":"who are you?"}`)
}

// elsewhere PATTERN looks at all that $ELSEWHERE was sent.
func elsewhere(ts *testscript.TestScript, neg bool, args []string) {
	r := ts.Value("elsewhere").(*recorder)
	r.mu.Lock()
	defer r.mu.Unlock()
	if found := regexp.MustCompile(args[0]).MatchString(strings.Join(r.seen, "\n")); found == neg {
		ts.Fatalf("sent elsewhere: %q", r.seen)
	}
}

// exits CODE COMMAND... runs a command and looks at its exit code.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND...")
	}
	err := ts.Exec(args[1], args[2:]...)
	got := 0
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		got = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if strconv.Itoa(got) != args[0] {
		ts.Fatalf("exit %d, want %s", got, args[0])
	}
}

// race COMMAND... -- COMMAND... runs commands at once, of which one must
// succeed and the others fail with exit code 4: denied.
func race(ts *testscript.TestScript, _ bool, args []string) {
	var lists [][]string
	for _, a := range args {
		if a == "--" || lists == nil {
			lists = append(lists, nil)
		}
		if a != "--" {
			lists[len(lists)-1] = append(lists[len(lists)-1], a)
		}
	}
	codes := make([]int, len(lists))
	var all sync.WaitGroup
	for i, list := range lists {
		cmd := exec.Command(list[0], list[1:]...)
		for _, name := range []string{"PATH", "HOME", "FAIRLEAD_URL", "FAIRLEAD_TOKEN"} {
			cmd.Env = append(cmd.Env, name+"="+ts.Getenv(name))
		}
		if path, err := exec.LookPath(list[0]); err == nil {
			cmd.Path = path
		}
		all.Go(func() {
			_ = cmd.Run()
			codes[i] = cmd.ProcessState.ExitCode()
		})
	}
	all.Wait()
	slices.Sort(codes)
	if codes[0] != 0 || slices.ContainsFunc(codes[1:], func(c int) bool { return c != 4 }) {
		ts.Fatalf("exit codes %v", codes)
	}
}

// until PATTERN COMMAND... runs a command until its output matches.
func until(ts *testscript.TestScript, _ bool, args []string) {
	pattern := regexp.MustCompile(args[0])
	for deadline := time.Now().Add(20 * time.Second); ; {
		err := ts.Exec(args[1], args[2:]...)
		if err == nil && pattern.MatchString(ts.ReadFile("stdout")) {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("never matched: %v", err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// setenv NAME takes the last output as a variable's value.
func setenv(ts *testscript.TestScript, _ bool, args []string) {
	ts.Setenv(args[0], strings.TrimSpace(ts.ReadFile("stdout")))
}

// edit FILE OLD NEW replaces the first OLD that the file holds.
func edit(ts *testscript.TestScript, _ bool, args []string) {
	text := ts.ReadFile(args[0])
	if !strings.Contains(text, args[1]) {
		ts.Fatalf("%s holds no %q", args[0], args[1])
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(strings.Replace(text, args[1], args[2], 1)), 0o600))
}

// trim FILE writes the last output there, without blanks at the ends of lines.
func trim(ts *testscript.TestScript, _ bool, args []string) {
	var b strings.Builder
	for line := range strings.Lines(strings.TrimSpace(ts.ReadFile("stdout"))) {
		b.WriteString(strings.TrimRight(line, " \n") + "\n")
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(b.String()), 0o600))
}

// json FILE PATH [VALUE] takes the value at a dotted path of a JSON file
// ("stdout", "stderr"): text as it is, all else as JSON. With ! there must be
// no such value.
func jsonAt(ts *testscript.TestScript, neg bool, args []string) {
	dec := json.NewDecoder(strings.NewReader(ts.ReadFile(args[0])))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		ts.Fatalf("%s is no JSON: %v", args[0], err)
	}
	if rest, _ := io.ReadAll(io.MultiReader(dec.Buffered())); len(bytes.TrimSpace(rest)) > 0 {
		ts.Fatalf("%s holds more than one JSON value", args[0])
	}
	for name := range strings.SplitSeq(args[1], ".") {
		switch at := v.(type) {
		case map[string]any:
			v = at[name]
		case []any:
			i, err := strconv.Atoi(name)
			if v = nil; err == nil && i < len(at) {
				v = at[i]
			}
			if name == "len" {
				v = json.Number(strconv.Itoa(len(at)))
			}
		default:
			v = nil
		}
	}
	if len(args) == 2 {
		if (v == nil) != neg {
			ts.Fatalf("%s is %s", args[1], clikit.Value(v))
		}
		return
	}
	if (clikit.Value(v) == args[2]) == neg {
		ts.Fatalf("%s is %s", args[1], clikit.Value(v))
	}
}

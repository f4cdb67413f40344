package clikit

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"

	"fairlead/internal/apiclient"
	"fairlead/internal/fault"
	"fairlead/internal/redact"
)

// world is a command line with a home and an environment of its own.
type world struct {
	*CLI
	env      map[string]string
	out, err bytes.Buffer
	home     string
}

func newWorld(t *testing.T, env ...string) *world {
	t.Helper()
	w := &world{env: map[string]string{}, home: t.TempDir()}
	w.env["HOME"] = w.home
	for i := 0; i+1 < len(env); i += 2 {
		w.env[env[i]] = env[i+1]
	}
	w.reset("")
	return w
}

func (w *world) reset(in string) {
	w.out.Reset()
	w.err.Reset()
	w.CLI = New(Options{In: strings.NewReader(in), Out: &w.out, Err: &w.err, Getenv: func(k string) string { return w.env[k] }, Version: "test"})
}

// run executes a root that has one command "do".
func (w *world) run(t *testing.T, do func(*cobra.Command, []string) error, args ...string) int {
	t.Helper()
	root := w.Root()
	root.AddCommand(&cobra.Command{Use: "do [THING]", Short: "Do", Args: Args(0, 1), RunE: do})
	return w.Execute(t.Context(), root, args)
}

func TestExitCodes(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		why  string
		err  error
		want int
	}{
		{"nothing wrong", nil, ExitOK},
		{"an error of no kind is a failure", errors.New("x"), ExitFailed},
		{"a run that failed", Failure("run_failed", "x"), ExitFailed},
		{"a wrong command line", Usage("x"), ExitUsage},
		{"Ctrl-C", Interrupted("x"), ExitInterrupted},
		{"an invalid file of the user's", fault.New(fault.Invalid, "invalid_yaml", "x"), ExitInvalid},
		{"a program that was run tells itself", &PassedOn{Exit: 42}, 42},
		{"400", &apiclient.Error{Status: 400, Code: "c"}, ExitInvalid},
		{"401", &apiclient.Error{Status: 401, Code: "c"}, ExitUnauthenticated},
		{"403", &apiclient.Error{Status: 403, Code: "c"}, ExitDenied},
		{"404", &apiclient.Error{Status: 404, Code: "c"}, ExitNotFound},
		{"409", &apiclient.Error{Status: 409, Code: "c"}, ExitConflict},
		{"412", &apiclient.Error{Status: 412, Code: "stale_version"}, ExitConflict},
		{"413", &apiclient.Error{Status: 413, Code: "c"}, ExitInvalid},
		{"422", &apiclient.Error{Status: 422, Code: "c"}, ExitInvalid},
		{"429", &apiclient.Error{Status: 429, Code: "c"}, ExitUnavailable},
		{"500", &apiclient.Error{Status: 500, Code: "internal"}, ExitFailed},
		{"503", &apiclient.Error{Status: 503, Code: "c"}, ExitUnavailable},
		{"no answer at all", &apiclient.Error{Code: "server_unreachable"}, ExitUnavailable},
		{"a wait that ran out", fault.New(fault.Internal, "wait_timeout", "x"), ExitUnavailable},
	} {
		if got := ExitCode(row.err); got != row.want {
			t.Errorf("%s: exit %d, want %d", row.why, got, row.want)
		}
	}
}

func TestErrorsAreTold(t *testing.T) {
	t.Parallel()
	err := &apiclient.Error{Status: 422, Code: "invalid_inputs", Detail: "the inputs\x1b[2J are wrong", Hint: "see the template",
		RequestID: "req_1", Violations: []apiclient.Violation{{Field: "/inputs/size", Message: "must be a string"}}}
	w := newWorld(t)
	if code := w.run(t, func(*cobra.Command, []string) error { return err }, "do"); code != ExitInvalid {
		t.Fatalf("exit %d", code)
	}
	want := "error: the inputs?[2J are wrong\n  where:   /inputs/size: must be a string\n  hint:    see the template\n  request: req_1\n"
	if diff := cmp.Diff(want, w.err.String()); diff != "" {
		t.Error(diff)
	}
	if w.out.Len() > 0 {
		t.Errorf("an error reached standard output: %q", w.out.String())
	}
	w.reset("")
	w.run(t, func(*cobra.Command, []string) error { return err }, "do", "-o", "json")
	var p problem
	if jerr := json.Unmarshal(w.err.Bytes(), &p); jerr != nil {
		t.Fatalf("not JSON: %v in %q", jerr, w.err.String())
	}
	if p.Code != "invalid_inputs" || p.Exit != ExitInvalid || p.RequestID != "req_1" || len(p.Violations) != 1 || p.Status != 422 {
		t.Errorf("got %+v", p)
	}
}

func TestUsage(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		why, hint string
		args      []string
	}{
		{"an unknown flag", "fairlead do --help", []string{"do", "--nope"}},
		{"an unknown command", "fairlead --help", []string{"zzz"}},
		{"a near miss", "did you mean: do", []string{"doo"}},
		{"too many arguments", "it goes: fairlead do [THING]", []string{"do", "a", "b"}},
		{"an unknown format", "use table, json, yaml or name", []string{"do", "-o", "xml"}},
	} {
		w := newWorld(t)
		if code := w.run(t, func(*cobra.Command, []string) error { return nil }, row.args...); code != ExitUsage {
			t.Errorf("%s: exit %d", row.why, code)
		}
		if !strings.Contains(w.err.String(), row.hint) {
			t.Errorf("%s: no hint %q in %q", row.why, row.hint, w.err.String())
		}
	}
}

func TestHelpIsPlainWithoutATerminal(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if code := w.run(t, func(*cobra.Command, []string) error { return nil }, "--help"); code != ExitOK {
		t.Fatalf("exit %d: %s", code, w.err.String())
	}
	if s := w.out.String(); strings.Contains(s, "\x1b") || !strings.Contains(s, "exit-codes") {
		t.Errorf("got %q", s)
	}
}

func TestTokenGoesToItsOwnServerOnly(t *testing.T) {
	t.Parallel()
	seen := make(chan string, 4)
	handler := func(w http.ResponseWriter, r *http.Request) {
		seen <- r.Header.Get("Authorization")
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"items":[]}`))
	}
	own, other := httptest.NewServer(http.HandlerFunc(handler)), httptest.NewServer(http.HandlerFunc(handler))
	t.Cleanup(own.Close)
	t.Cleanup(other.Close)
	ask := func(c *CLI) error {
		s, err := c.Session()
		if err != nil {
			return err
		}
		return Done(s.ListAuditRecords(t.Context(), &apiclient.ListAuditRecordsParams{}))
	}
	w := newWorld(t)
	if err := w.Remember(Known{URL: own.URL, User: "ada"}, redact.New("fl_pat_canary")); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		why    string
		env    map[string]string
		server string
		code   string // of the refusal
		sent   string
	}{
		{"the stored server gets the stored token", nil, "", "", "Bearer fl_pat_canary"},
		{"FAIRLEAD_URL points elsewhere", map[string]string{"FAIRLEAD_URL": other.URL}, "", "", ""},
		{"--server points elsewhere", nil, other.URL, "", ""},
		{"both from the environment", map[string]string{"FAIRLEAD_URL": other.URL, "FAIRLEAD_TOKEN": "fl_pat_two"}, "", "", "Bearer fl_pat_two"},
		{"--server leads away from the environment's own", map[string]string{"FAIRLEAD_URL": other.URL, "FAIRLEAD_TOKEN": "fl_pat_two"}, own.URL, "token_elsewhere", ""},
		{"a token for no server", map[string]string{"FAIRLEAD_TOKEN": "fl_pat_two"}, "", "token_without_server", ""},
	} {
		w.reset("")
		w.env = map[string]string{"HOME": w.home}
		for k, v := range row.env {
			w.env[k] = v
		}
		w.flagServer = row.server
		err := ask(w.CLI)
		if row.code != "" {
			if !errors.Is(err, fault.New(fault.Invalid, row.code, "")) || len(seen) > 0 {
				t.Errorf("%s: got %v, %d requests", row.why, err, len(seen))
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", row.why, err)
			continue
		}
		if got := <-seen; got != row.sent {
			t.Errorf("%s: sent %q, want %q", row.why, got, row.sent)
		}
	}
}

func TestContextFile(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if err := w.Remember(Known{URL: "http://127.0.0.1:1", User: "ada"}, redact.New("tok")); err != nil {
		t.Fatal(err)
	}
	if err := w.Use("http://127.0.0.1:1", "shop", "dev"); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(w.home, ".config", "fairlead", "config.yaml")
	st, err := os.Stat(path)
	if err != nil || st.Mode().Perm() != 0o600 {
		t.Fatalf("%v %v", st, err)
	}
	if got, err := w.Where(); err != nil || got != (Where{"shop", "dev"}) {
		t.Errorf("got %v, %v", got, err)
	}
	// Signing in again as the same user keeps the place.
	if err := w.Remember(Known{URL: "http://127.0.0.1:1", User: "ada"}, redact.New("tok2")); err != nil {
		t.Fatal(err)
	}
	if got, err := w.Where(); err != nil || got != (Where{"shop", "dev"}) {
		t.Errorf("got %v, %v", got, err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Session(); !errors.Is(err, fault.New(fault.Invalid, "context_exposed", "")) {
		t.Errorf("an exposed file was read: %v", err)
	}
}

func TestPlace(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		why                   string
		project, env          string // flags
		envProject, envEnv    string
		wantProject, wantEnvt string
		usage                 bool
	}{
		{why: "the context file", wantProject: "shop", wantEnvt: "dev"},
		{why: "-e ENV stays in the project", env: "prod", wantProject: "shop", wantEnvt: "prod"},
		{why: "-e PROJECT/ENV", env: "blog/prod", wantProject: "blog", wantEnvt: "prod"},
		{why: "another project has no environment yet", project: "blog", wantProject: "blog", usage: true},
		{why: "flags that contradict each other", project: "shop", env: "blog/prod", usage: true},
		{why: "variables override the file", envProject: "wiki", envEnv: "ci", wantProject: "wiki", wantEnvt: "ci"},
		{why: "FAIRLEAD_ENV alone", envEnv: "ci", wantProject: "shop", wantEnvt: "ci"},
		{why: "FAIRLEAD_ENV with a project", envEnv: "wiki/ci", wantProject: "wiki", wantEnvt: "ci"},
		{why: "FAIRLEAD_PROJECT alone has no environment", envProject: "wiki", usage: true},
		{why: "flags override variables", envProject: "wiki", envEnv: "ci", env: "shop/dev", wantProject: "shop", wantEnvt: "dev"},
	} {
		w := newWorld(t, "FAIRLEAD_PROJECT", row.envProject, "FAIRLEAD_ENV", row.envEnv)
		if err := w.Use("http://127.0.0.1:1", "shop", "dev"); err != nil {
			t.Fatal(err)
		}
		w.flagProject, w.flagEnv = row.project, row.env
		got, err := w.Where()
		if row.usage {
			if ExitCode(err) != ExitUsage {
				t.Errorf("%s: %v", row.why, err)
			}
			continue
		}
		if err != nil || got != (Where{row.wantProject, row.wantEnvt}) {
			t.Errorf("%s: got %v, %v", row.why, got, err)
		}
	}
}

func TestParseServer(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"127.0.0.1:8080": "http://127.0.0.1:8080", "localhost:1": "http://localhost:1", "[::1]:8080": "http://[::1]:8080",
		"Fairlead.Example": "https://fairlead.example", "https://a.example:443/": "https://a.example", "http://a.example:80": "http://a.example",
	} {
		if got, err := ParseServer(in); err != nil || got != want {
			t.Errorf("%s: got %q, %v", in, got, err)
		}
	}
	for _, in := range []string{"", "ftp://x", "http://u:p@x", "http://x/?a=b", "http://", "http://x#f", "javascript://x"} {
		if got, err := ParseServer(in); err == nil {
			t.Errorf("%q was taken as %q", in, got)
		}
	}
}

type row struct {
	Name string `json:"name"`
	Note string `json:"note"`
}

func TestOutput(t *testing.T) {
	t.Parallel()
	items := []row{{"a", "yes"}, {"long-one", "1 <2>\nthree"}}
	name := func(r row) string { return r.Name }
	for args, want := range map[string]string{
		"":                "NAME       NOTE\na          yes\nlong-one   1 <2> three\n",
		"-o name":         "a\nlong-one\n",
		"-o yaml":         "items:\n  - name: a\n    note: \"yes\"\n  - name: long-one\n    note: |-\n      1 <2>\n      three\n",
		"--output=json":   "{\n  \"items\": [\n    {\n      \"name\": \"a\",\n      \"note\": \"yes\"\n    },\n    {\n      \"name\": \"long-one\",\n      \"note\": \"1 <2>\\nthree\"\n    }\n  ]\n}\n",
		"do-nothing-else": "",
	} {
		w := newWorld(t)
		if args == "do-nothing-else" {
			w.run(t, func(*cobra.Command, []string) error { return PrintList(w.CLI, []row{}, name, "none yet") }, "do")
			if w.out.Len() > 0 || w.err.String() != "none yet\n" {
				t.Errorf("an empty list: %q %q", w.out.String(), w.err.String())
			}
			continue
		}
		w.run(t, func(*cobra.Command, []string) error {
			return PrintList(w.CLI, items, name, "none", Column[row]{Title: "NAME", Cell: name}, Column[row]{Title: "NOTE", Cell: func(r row) string { return r.Note }})
		}, append([]string{"do"}, strings.Fields(args)...)...)
		if diff := cmp.Diff(want, w.out.String()); diff != "" {
			t.Errorf("%s: %s\n%s", args, diff, w.err.String())
		}
	}
}

func TestTableFitsTheTerminal(t *testing.T) {
	t.Parallel()
	out := layout(Style{}, 30, []string{"NAME", "WHY"}, [][]string{{"orders", strings.Repeat("word ", 20)}, {"日本語", "x"}}, make([]func(Style, string) string, 2))
	for line := range strings.Lines(out) {
		if n := len([]rune(strings.TrimRight(line, "\n"))); n > 30 {
			t.Errorf("%d columns: %q", n, line)
		}
	}
	if !strings.Contains(out, "orders") || !strings.Contains(out, "…") {
		t.Errorf("got %q", out)
	}
}

func TestColours(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		why  string
		env  map[string]string
		want bool
	}{
		{"no terminal", nil, false},
		{"forced", map[string]string{"CLICOLOR_FORCE": "1"}, true},
		{"NO_COLOR beats force", map[string]string{"CLICOLOR_FORCE": "1", "NO_COLOR": "1"}, false},
		{"an empty NO_COLOR says nothing", map[string]string{"CLICOLOR_FORCE": "1", "NO_COLOR": ""}, true},
	} {
		if got := colours(&bytes.Buffer{}, func(k string) string { return row.env[k] }); got != row.want {
			t.Errorf("%s: %v", row.why, got)
		}
	}
}

func TestProgressWithoutATerminal(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.Progress("orders")
	p.Phase("planning")
	p.Phase("planning")
	p.Log("info", "1 change\x1b]0;x\a")
	p.Phase("applying")
	p.Log("warn", "slow")
	p.End(true, "orders is ready")
	p.End(true, "once only")
	got := w.err.String()
	want := "orders: planning\norders: planning: 1 change?]0;x?\norders: applying\norders: applying: warn: slow\norders is ready (0.0s)\n"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestConfirmNeedsATerminal(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if err := w.Confirm("Destroying orders", "orders", "--yes"); ExitCode(err) != ExitUsage {
		t.Errorf("got %v", err)
	}
}

func TestCanceledIsInterrupted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	code := w.run(t, func(*cobra.Command, []string) error { return context.Canceled }, "do")
	if code != ExitInterrupted {
		t.Errorf("exit %d", code)
	}
}

func TestParseTime(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 5, 2, 12, 0, 0, 0, time.UTC)
	for in, want := range map[string]time.Time{
		"2026-01-31T12:00:00Z": time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC),
		"90m":                  now.Add(-90 * time.Minute),
		"7d":                   now.Add(-7 * 24 * time.Hour),
	} {
		if got, err := ParseTime(in, now); err != nil || !got.Equal(want) {
			t.Errorf("%s: %v %v", in, got, err)
		}
	}
	for _, in := range []string{"", "yesterday", "-5m", "99999999d"} {
		if _, err := ParseTime(in, now); err == nil {
			t.Errorf("%q was taken", in)
		}
	}
}

func TestCtrlCEndsAQuestion(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	pressed, never := make(chan struct{}), make(chan struct{})
	defer close(never)
	w.interrupted = pressed
	if text, err := w.typed(func() (string, error) { return "yes", nil }); text != "yes" || err != nil {
		t.Errorf("%q, %v", text, err)
	}
	close(pressed)
	if _, err := w.typed(func() (string, error) { <-never; return "", nil }); ExitCode(err) != ExitInterrupted {
		t.Errorf("got %v", err)
	}
}

func TestCompletionIsSilentAndShort(t *testing.T) {
	t.Parallel()
	stuck := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-stuck:
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(func() { close(stuck); srv.Close() })
	for why, url := range map[string]string{"nobody listens": "http://127.0.0.1:1", "the server hangs": srv.URL, "no server is known": ""} {
		w := newWorld(t, "FAIRLEAD_URL", url, "FAIRLEAD_TOKEN", "fl_pat_x", "FAIRLEAD_ENV", "shop/dev")
		cmd := &cobra.Command{Use: "do"}
		cmd.SetContext(t.Context())
		began := time.Now()
		got, _ := w.Complete(1, w.Resources)(cmd, nil, "")
		if len(got) > 0 || w.out.Len()+w.err.Len() > 0 || time.Since(began) > 10*completionTime {
			t.Errorf("%s: %v %q %q after %s", why, got, w.out.String(), w.err.String(), time.Since(began))
		}
	}
}

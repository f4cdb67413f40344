package app

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"fairlead/internal/conf"
	"fairlead/internal/httpx"
	"fairlead/internal/httpx/httpxtest"
	"fairlead/internal/template/templatetest"
)

// adminURL is a database server's that does not answer, so that its password
// has every chance to get into an error.
const adminURL = "postgres://boss:canary-engine-password@127.0.0.1:1/postgres?connect_timeout=1"

const leaky = `apiVersion: fairlead/v1
kind: Template
metadata: {name: leaky, title: Leaky, version: 1.0.0}
engine: "null"
inputs:
  properties:
    password: {type: string, format: password, minLength: 3}
    fail: {type: string, writeOnly: true}
    count: {type: integer, default: 1}
outputs:
  password: {type: string, sensitive: true}
  secret: {type: string, sensitive: true}
spec: {secrets: [secret]}
`

type logs struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// house is a whole server, without its own database server, and everything
// that it has ever said.
type house struct {
	*App
	t       *testing.T
	url     string
	token   string
	logs    *logs
	said    map[string]string // what was asked -> the whole reply
	secrets map[string]string // what it is -> the secret itself
}

func openHouse(t *testing.T, config string) *house {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "fairlead.yaml")
	section := "data: " + filepath.Join(dir, "data") + "\nengines: {postgres: {url: \"" + adminURL + "\"}}\n" + config
	if err := os.WriteFile(file, []byte(section), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := conf.Load(file, func(string) string { return "" })
	if err == nil {
		err = c.Check()
	}
	if err == nil {
		err = os.MkdirAll(c.Data, 0o700)
	}
	if err != nil {
		t.Fatal(err)
	}
	h := &house{t: t, logs: &logs{}, said: map[string]string{}, secrets: map[string]string{"the engine's password": "canary-engine-password"}}
	log := slog.New(slog.NewTextHandler(h.logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
	log.Info("up", "conf", c.String())
	if h.App, err = Build(t.Context(), c, log, func(err error) { t.Error(err) }); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan struct{})
	go func() { defer close(done); h.Run(ctx) }()
	s := httptest.NewServer(h.web)
	h.url = s.URL
	t.Cleanup(func() { h.web.Drain(); s.Close(); stop(); <-done; h.Close(ctx) })
	return h
}

// ask sends a request with the token there is and keeps what comes back,
// headers and all, unless it is meant to hold a secret.
func (h *house) ask(method, path string, body any, headers ...string) (int, http.Header, []byte) {
	h.t.Helper()
	var in []byte
	switch b := body.(type) {
	case nil:
	case []byte:
		in = b
	default:
		var err error
		if in, err = json.Marshal(body); err != nil {
			h.t.Fatal(err)
		}
	}
	// A log is a stream: it is read for as long as a request may take.
	ctx, cancel := context.WithTimeout(h.t.Context(), 20*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, h.url+path, bytes.NewReader(in))
	if err != nil {
		h.t.Fatal(err)
	}
	if len(in) > 0 {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("Authorization", "Bearer "+h.token)
	secret := false
	for i := 0; i < len(headers); i += 2 {
		switch headers[i] {
		case "secret":
			secret = true
		case "Authorization":
			req.Header.Del(headers[i])
			if headers[i+1] != "" {
				req.Header.Set(headers[i], headers[i+1])
			}
		default:
			req.Header.Set(headers[i], headers[i+1])
		}
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Do(req)
	if err != nil {
		h.t.Fatal(err)
	}
	defer res.Body.Close()
	out, err := io.ReadAll(res.Body)
	if err != nil && !strings.HasSuffix(path, "/log") {
		h.t.Fatalf("%s %s: %v", method, path, err)
	}
	if !secret {
		h.said[fmt.Sprintf("%s %s (%d)", method, path, len(h.said))] = fmt.Sprint(res.Status, res.Header, string(out))
	}
	return res.StatusCode, res.Header, out
}

// must is ask for what has to succeed, and reads a text field of the reply.
func (h *house) must(method, path string, body any, field string, headers ...string) string {
	h.t.Helper()
	status, _, out := h.ask(method, path, body, headers...)
	if status >= 300 {
		h.t.Fatalf("%s %s: %d %s", method, path, status, out)
	}
	var v map[string]any
	_ = json.Unmarshal(out, &v)
	s, _ := v[field].(string)
	if field != "" && s == "" {
		h.t.Fatalf("%s %s: no %s in %s", method, path, field, out)
	}
	return s
}

// until asks for a resource until its phase is want.
func (h *house) until(path, want string) map[string]any {
	h.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; {
		_, _, out := h.ask("GET", path+"?wait=5", nil)
		var v map[string]any
		if err := json.Unmarshal(out, &v); err != nil {
			h.t.Fatalf("%v: %s", err, out)
		}
		if v["phase"] == want {
			return v
		}
		if time.Now().After(deadline) {
			h.t.Fatalf("not %s: %s", want, out)
		}
	}
}

var linkIn = regexp.MustCompile(`fl_link_[0-9A-Za-z]+`)

// people signs in by every way there is and makes every kind of credential.
func (h *house) people() {
	var out bytes.Buffer
	if err := h.firstLink(h.t.Context(), &out); err != nil {
		h.t.Fatal(err)
	}
	link := linkIn.FindString(out.String())
	h.secrets["the first link"] = link
	h.ask("GET", "/sign-in?link="+link, nil, "Authorization", "", "secret", "the form holds it")
	h.token = h.must("POST", "/api/v1/login", map[string]any{"link": link}, "value", "Authorization", "", "secret", "")
	h.secrets["a token"] = h.token
	const password = "canary words for a password"
	h.secrets["a password"] = password
	h.must("PUT", "/api/v1/me/password", map[string]any{"password": password}, "")
	for _, wrong := range []string{"canary of a wrong password", password + "x"} {
		h.secrets["what was guessed: "+wrong] = wrong
		h.ask("POST", "/api/v1/session", map[string]any{"name": "administrator", "password": wrong}, "Authorization", "")
		h.ask("PUT", "/api/v1/me/password", map[string]any{"current": wrong, "password": wrong})
	}
	_, header, _ := h.ask("POST", "/api/v1/session", map[string]any{"name": "administrator", "password": password}, "Authorization", "", "secret", "")
	cookie, _, _ := strings.Cut(header.Get("Set-Cookie"), ";")
	_, h.secrets["a session"], _ = strings.Cut(cookie, "=")
	h.ask("GET", "/", nil, "Authorization", "", "Cookie", cookie)
	h.must("GET", "/api/v1/me", nil, "name", "Authorization", "", "Cookie", cookie)

	key := func(s string) []string { return []string{"Idempotency-Key", s, "secret", ""} }
	h.must("POST", "/api/v1/teams", map[string]any{"name": "red"}, "")
	h.must("POST", "/api/v1/users", map[string]any{"name": "bob"}, "")
	h.must("POST", "/api/v1/robots", map[string]any{"name": "ci", "team": "red", "roles": []string{"developer"}}, "")
	h.secrets["a robot's token"] = h.must("POST", "/api/v1/tokens", map[string]any{"name": "ci", "robot": "ci"}, "value", key("k1")...)
	h.ask("POST", "/api/v1/tokens", map[string]any{"name": "ci", "robot": "ci"}, "Idempotency-Key", "k1") // again: without the value
	h.secrets["bob's link"] = linkIn.FindString(string(fmt.Append(nil, func() string {
		_, _, b := h.ask("POST", "/api/v1/users/bob/links", nil, key("k2")...)
		return string(b)
	}())))
	h.ask("POST", "/api/v1/users/bob/links", nil, "Idempotency-Key", "k2")
	for _, name := range []string{"Authorization", "Cookie"} {
		forged := "fl_pat_canaryOfAForgedToken" + strings.Repeat("A", 31)
		h.secrets["what was forged"] = forged
		h.ask("GET", "/api/v1/me", nil, "Authorization", "", name, map[string]string{"Authorization": "Bearer " + forged, "Cookie": httpx.SessionCookie + "=" + forged}[name])
	}
}

// work takes a resource with secrets through all that can happen to it.
func (h *house) work() (runs []string) {
	const project, where = "/api/v1/projects/shop/environments", "/api/v1/projects/shop/environments/dev"
	h.must("POST", "/api/v1/projects", map[string]any{"name": "shop", "team": "red"}, "")
	h.must("POST", project, map[string]any{"name": "dev", "class": "development"}, "")
	archive, err := io.ReadAll(templatetest.Files{"template.yaml": leaky}.Tar(h.t))
	if err != nil {
		h.t.Fatal(err)
	}
	h.must("POST", "/api/v1/templates", archive, "", "Content-Type", "application/x-tar")
	input, failure, second := "canary-secret-input", "canary-in-a-failure", "canary-second-input"
	h.secrets["a secret input"], h.secrets["an engine's message"], h.secrets["another input"] = input, failure, second
	wanted := map[string]any{"name": "db", "template": "leaky", "inputs": map[string]any{"password": input, "fail": failure}}
	h.ask("POST", where+"/plan", map[string]any{"resources": []any{wanted}})
	h.must("POST", where+"/resources", wanted, "", "Idempotency-Key", "k3")
	h.ask("POST", where+"/resources", wanted, "Idempotency-Key", "k3")
	db := where + "/resources/db"
	failed := h.until(db, "failed")
	h.ask("POST", db+"/plan", map[string]any{"set": map[string]any{"password": second}})
	h.must("PATCH", db, map[string]any{"set": map[string]any{"password": second, "fail": nil}}, "")
	ready := h.until(db, "ready")
	h.secrets["a generated secret"] = h.reveal(db)["secret"]
	h.must("POST", db+"/rotate", nil, "")
	h.until(db, "ready")
	for _, bad := range []map[string]any{{"password": []any{input}}, {"password": input, "count": second}, {"password": input, "canary": second}, {"password": "${{ " + input + " }}"}} {
		h.ask("PATCH", db, map[string]any{"inputs": bad})
		h.ask("POST", where+"/apply", map[string]any{"resources": []any{map[string]any{"name": "x", "template": "leaky", "inputs": bad}}})
	}
	h.must("POST", "/api/v1/system/master-key/rotate", nil, "")
	for _, v := range []map[string]any{failed, ready} {
		id, _ := v["runId"].(string)
		runs = append(runs, id)
	}
	return runs
}

func (h *house) reveal(db string) map[string]string {
	h.t.Helper()
	_, _, out := h.ask("POST", db+"/credentials", nil, "secret", "")
	found := map[string]string{}
	for _, m := range regexp.MustCompile(`"(secret|password)":\s*(?:\{[^}]*?"value":\s*)?"([^"]+)"`).FindAllStringSubmatch(string(out), -1) {
		found[m[1]] = m[2]
	}
	if len(found["secret"]) < 8 {
		h.t.Fatalf("nothing was revealed: %s", out)
	}
	return found
}

// TestPlantedSecretsAreNowhere plants a secret wherever one can go in, lets
// everything succeed and fail once, reads every route, and then looks for the
// secrets in all that the server said, logged and stored.
func TestPlantedSecretsAreNowhere(t *testing.T) {
	t.Parallel()
	config, mailed := outside(t)
	h := openHouse(t, config)
	h.people()
	runs := h.work()
	governed := h.governed(mailed)
	read, secret := 0, "canary-in-a-body"
	h.secrets["a body of the wrong form"] = secret
	wrong, _ := json.Marshal(map[string]any{"password": []string{secret}, "current": secret, "link": secret, "value": secret, "inputs": map[string]any{"password": secret}})
	for _, run := range runs {
		params := map[string]string{"team": "red", "user": "administrator", "robot": "ci", "project": "shop", "environment": "dev", "resource": "db", "run": run,
			"name": "leaky", "template": "leaky", "version": "1.0.0"}
		maps.Copy(params, governed)
		for _, r := range httpxtest.EveryRoute(h.web.API(), params) {
			if r.Method != "GET" {
				if !strings.HasSuffix(r.Path, "/links") && !strings.HasSuffix(r.Path, "/credentials") && r.Method != "DELETE" && !strings.Contains(r.Path, "master-key") && !strings.HasSuffix(r.Path, "/backup") {
					h.ask(r.Method, r.Target, wrong)
				}
				continue
			}
			read++
			h.ask("GET", r.Target, nil)
		}
	}
	h.ask("GET", "/metrics", nil)
	h.ask("GET", "/openapi.json", nil)
	if read < 100 || len(h.logs.String()) < 2000 {
		t.Fatalf("only %d routes were read and %d bytes logged", read, len(h.logs.String()))
	}
	for what, s := range h.secrets {
		if len(s) < 8 {
			t.Fatalf("%s was not found out: %q", what, s)
		}
		for asked, reply := range h.said {
			if strings.Contains(reply, s) {
				t.Errorf("%s is in the reply to %s: %s", what, asked, reply)
			}
		}
		if i := strings.Index(h.logs.String(), s); i >= 0 {
			t.Errorf("%s is in the log: …%s", what, h.logs.String()[max(0, i-300):i+10])
		}
	}
	h.disk()
}

// disk looks through the data directory, apart from the keys and the first
// link, which are secrets themselves and readable by their owner alone.
func (h *house) disk() {
	h.t.Helper()
	looked := 0
	err := filepath.WalkDir(h.conf.Data, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		inKeys := strings.HasPrefix(path, h.keyDir())
		if (inKeys || filepath.Base(path) == linkFile) && !strings.HasSuffix(path, ".pub") && info.Mode().Perm() != 0o600 {
			h.t.Errorf("%s can be read by others: %v", path, info.Mode())
		}
		if inKeys || filepath.Base(path) == linkFile {
			return nil
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		looked += len(content)
		for what, s := range h.secrets {
			if bytes.Contains(content, []byte(s)) {
				h.t.Errorf("%s is in %s", what, path)
			}
		}
		return nil
	})
	if err != nil || looked < 100_000 {
		h.t.Errorf("%d bytes, %v", looked, err)
	}
}

// TestAStartThatFailsTellsNoPassword starts with stores and engines that
// cannot be reached or read.
func TestAStartThatFailsTellsNoPassword(t *testing.T) {
	t.Parallel()
	const canary = "canary-4f1c"
	for reason, store := range map[string]string{
		"nobody listens":       "postgres://fairlead:" + canary + "@127.0.0.1:1/fairlead?connect_timeout=1",
		"a bad escape":         "postgres://fairlead:" + canary + "%zz@127.0.0.1:1/fairlead",
		"a bad port":           "postgres://fairlead:" + canary + "@127.0.0.1:port/fairlead",
		"a password with a /":  "postgres://fairlead:" + canary + "/x@127.0.0.1/fairlead",
		"in the query":         "postgres://127.0.0.1:1/fairlead?password=" + canary + "&connect_timeout=1",
		"an unknown parameter": "postgres://fairlead:" + canary + "@127.0.0.1:1/fairlead?sslmode=none",
		"another database":     "mysql://fairlead:" + canary + "@127.0.0.1:1/fairlead",
		"key and value":        "host=127.0.0.1 password=" + canary,
	} {
		t.Run(reason, func(t *testing.T) {
			t.Parallel()
			c := conf.Default()
			c.Data, c.Store, c.Listen, c.LogLevel = t.TempDir(), store, "127.0.0.1:0", "debug"
			var out, errOut logs
			err := up(t.Context(), c, &out, &errOut)
			if err == nil {
				t.Fatal("it started")
			}
			if all := fmt.Sprintf("%v %+v %s %s %s", err, err, c.String(), out.String(), errOut.String()); strings.Contains(all, canary) {
				t.Errorf("the password was told: %s", all)
			}
		})
	}
}

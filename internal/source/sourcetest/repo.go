package sourcetest

import (
	"encoding/pem"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// Repo is a repository with a work tree.
type Repo struct {
	t   testing.TB
	Dir string
}

// New makes an empty one.
func New(t testing.TB) *Repo {
	t.Helper()
	dir, err := os.MkdirTemp("", "repo-") // t.TempDir has a test's name in it, with what no source's path may have
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	r := &Repo{t, filepath.Join(dir, "repo")}
	if err := os.MkdirAll(r.Dir, 0o755); err != nil {
		t.Fatal(err)
	}
	r.Git("init", "--quiet", "--initial-branch=main")
	return r
}

// URL is where it is, as a file.
func (r *Repo) URL() string { return "file://" + r.Dir }

// Git runs git in it and gives what it says.
func (r *Repo) Git(args ...string) string {
	r.t.Helper()
	cmd := exec.CommandContext(r.t.Context(), "git", args...)
	cmd.Dir = r.Dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1", "GIT_AUTHOR_NAME=t", "GIT_AUTHOR_EMAIL=t@example.org",
		"GIT_COMMITTER_NAME=t", "GIT_COMMITTER_EMAIL=t@example.org")
	out, err := cmd.CombinedOutput()
	if err != nil {
		r.t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// Write writes files, without committing them.
func (r *Repo) Write(files map[string]string) {
	r.t.Helper()
	for name, text := range files {
		at := filepath.Join(r.Dir, name)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			r.t.Fatal(err)
		}
		if err := os.WriteFile(at, []byte(text), 0o644); err != nil {
			r.t.Fatal(err)
		}
	}
}

// Commit writes files, commits all there is, and tags it; it gives the commit.
func (r *Repo) Commit(files map[string]string, tags ...string) string {
	r.t.Helper()
	r.Write(files)
	r.Git("add", "--all")
	r.Git("commit", "--quiet", "--allow-empty", "-m", "a commit")
	for _, tag := range tags {
		r.Git("tag", "--force", "-m", tag, tag)
	}
	return r.Git("rev-parse", "HEAD")
}

// Server serves repositories over https by git's own program.
type Server struct {
	*httptest.Server
	CAFile string
	Asked  atomic.Int32 // requests
	Auth   atomic.Value // of the last request: the header Authorization
}

// Serve serves r as /repo.git. With user, it wants that user and password.
// elsewhere, when not "", is where everything is redirected to.
func Serve(t testing.TB, r *Repo, user, password, elsewhere string) *Server {
	t.Helper()
	root := t.TempDir()
	if err := os.Symlink(filepath.Join(r.Dir, ".git"), filepath.Join(root, "repo.git")); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), "git", "--exec-path").Output()
	if err != nil {
		t.Fatal(err)
	}
	backend := &cgi.Handler{
		Path: filepath.Join(strings.TrimSpace(string(out)), "git-http-backend"),
		Env:  []string{"GIT_PROJECT_ROOT=" + root, "GIT_HTTP_EXPORT_ALL=1", "GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*"},
	}
	s := &Server{}
	s.Auth.Store("")
	s.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		s.Asked.Add(1)
		s.Auth.Store(req.Header.Get("Authorization"))
		if elsewhere != "" {
			http.Redirect(w, req, elsewhere+req.URL.RequestURI(), http.StatusFound)
			return
		}
		if user != "" {
			if u, p, ok := req.BasicAuth(); !ok || u != user || p != password {
				w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
				http.Error(w, "no", http.StatusUnauthorized)
				return
			}
		}
		backend.ServeHTTP(w, req)
	}))
	t.Cleanup(s.Close)
	s.CAFile = filepath.Join(t.TempDir(), "ca.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	if err := os.WriteFile(s.CAFile, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return s
}

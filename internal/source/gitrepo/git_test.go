package gitrepo_test

import (
	"encoding/json"
	"errors"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"fairlead/internal/fault"
	"fairlead/internal/redact"
	"fairlead/internal/source/gitrepo"
	"fairlead/internal/source/sourcetest"
)

// TestMain lets the test binary play ssh: it notes its arguments and runs what
// the other side would.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) != "ssh" {
		os.Exit(m.Run())
	}
	log, err := json.Marshal(map[string]any{"args": os.Args[1:], "env": os.Environ()})
	if err == nil {
		err = os.WriteFile(filepath.Join(filepath.Dir(os.Args[0]), "log"), log, 0o600)
	}
	git, e := exec.LookPath("git")
	if err := errors.Join(err, e); err != nil {
		panic(err)
	}
	_, path, _ := strings.Cut(os.Args[len(os.Args)-1], " ")
	panic(syscall.Exec(git, []string{"git", "upload-pack", strings.Trim(path, "'")}, os.Environ()))
}

func open(t *testing.T, r gitrepo.Remote) *gitrepo.Repository {
	t.Helper()
	repo, err := gitrepo.Open(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(repo.Close)
	return repo
}

func file(t *testing.T, r *sourcetest.Repo) *gitrepo.Repository {
	t.Helper()
	return open(t, gitrepo.Remote{Transport: gitrepo.File, URL: r.URL()})
}

func TestTagsAndFilesAreRead(t *testing.T) {
	t.Parallel()
	r := sourcetest.New(t)
	first := r.Commit(map[string]string{"a/main.tf": "# one", ".github/x": "hidden", "a/.terraform.lock.hcl": "# lock", "top.tf": ""}, "v1.0.0", "mono/v0.1.0")
	second := r.Commit(map[string]string{"a/main.tf": "# two"}, "v1.1.0")
	r.Git("tag", "light", first)
	repo := file(t, r)
	tags, err := repo.Tags(t.Context())
	want := []gitrepo.Tag{{Name: "light", Commit: first}, {Name: "mono/v0.1.0", Commit: first}, {Name: "v1.0.0", Commit: first}, {Name: "v1.1.0", Commit: second}}
	if err != nil || !slices.Equal(tags, want) {
		t.Fatal(tags, err)
	}
	if err := repo.Fetch(t.Context(), tags); err != nil {
		t.Fatal(err)
	}
	for commit, text := range map[string]string{first: "# one", second: "# two"} {
		b, err := repo.Bundle(t.Context(), commit, "a")
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := b.File("main.tf"); string(got) != text || !slices.Equal(b.Names(), []string{".terraform.lock.hcl", "main.tf"}) {
			t.Errorf("%q %v", got, b.Names())
		}
	}
	if b, err := repo.Bundle(t.Context(), second, ""); err != nil || b.Len() != 3 {
		t.Error(b, err)
	}
	if _, err := repo.Bundle(t.Context(), second, "nowhere"); fault.From(err).Code != "invalid_archive" {
		t.Error(err)
	}
}

func TestWhatDoesNotBelongIsRefusedByName(t *testing.T) {
	t.Parallel()
	other := sourcetest.New(t)
	other.Commit(map[string]string{"x": "y"})
	for name, c := range map[string]struct {
		make func(r *sourcetest.Repo) error
		want string
		code string
	}{
		"link": {func(r *sourcetest.Repo) error { return os.Symlink("/etc/passwd", filepath.Join(r.Dir, "passwd")) }, "passwd is a symbolic link", "invalid_archive"},
		"submodule": {func(r *sourcetest.Repo) error {
			r.Git("-c", "protocol.file.allow=always", "submodule", "add", "--quiet", other.URL(), "sub")
			return nil
		}, "sub is a submodule", "invalid_archive"},
		"huge": {func(r *sourcetest.Repo) error {
			r.Write(map[string]string{"huge.bin": strings.Repeat("x", 2<<20)})
			return nil
		}, "huge.bin is larger than", "template_too_large"},
		"many": {func(r *sourcetest.Repo) error {
			for i := range 600 {
				r.Write(map[string]string{"f" + strconv.Itoa(i): "x"})
			}
			return nil
		}, "there are 601 files", "template_too_large"},
		"case": {func(r *sourcetest.Repo) error { r.Write(map[string]string{"MAIN.tf": "x"}); return nil }, "in each other's way", "invalid_archive"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := sourcetest.New(t)
			r.Write(map[string]string{"main.tf": ""})
			if err := c.make(r); err != nil {
				t.Fatal(err)
			}
			commit := r.Commit(nil, "v1.0.0")
			repo := file(t, r)
			if err := repo.Fetch(t.Context(), []gitrepo.Tag{{Name: "v1.0.0", Commit: commit}}); err != nil {
				t.Fatal(err)
			}
			_, err := repo.Bundle(t.Context(), commit, "")
			if f := fault.From(err); f.Code != c.code || !strings.Contains(f.Message, c.want) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// TestAStrangersRepositoryRunsNothing plants what git would run or read: hooks,
// filters, a file system monitor, replaced objects.
func TestAStrangersRepositoryRunsNothing(t *testing.T) {
	t.Parallel()
	r := sourcetest.New(t)
	trap := filepath.Join(t.TempDir(), "ran")
	commit := r.Commit(map[string]string{"main.tf": "# good", ".gitattributes": "*.tf filter=evil\n"}, "v1.0.0")
	script := "#!/usr/bin/env -S touch " + trap + "\n"
	for _, hook := range []string{"post-checkout", "reference-transaction", "post-merge", "pre-receive"} {
		if err := os.WriteFile(filepath.Join(r.Dir, ".git", "hooks", hook), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	r.Git("config", "filter.evil.smudge", "touch "+trap)
	r.Git("config", "core.fsmonitor", "touch "+trap)
	r.Git("config", "uploadpack.packObjectsHook", "touch "+trap)
	r.Git("config", "core.sshCommand", "touch "+trap)
	repo := file(t, r)
	if err := repo.Fetch(t.Context(), []gitrepo.Tag{{Name: "v1.0.0", Commit: commit}}); err != nil {
		t.Fatal(err)
	}
	b, err := repo.Bundle(t.Context(), commit, "")
	if text, _ := b.File("main.tf"); err != nil || string(text) != "# good" {
		t.Error(string(text), err)
	}
	if _, err := os.Stat(trap); !errors.Is(err, os.ErrNotExist) {
		t.Error("something of the repository ran")
	}
	if err := repo.Fetch(t.Context(), []gitrepo.Tag{{Name: "--upload-pack=touch", Commit: commit}}); fault.From(err).Code != "invalid_source" {
		t.Errorf("a tag like an option: %v", err)
	}
	for _, bad := range []string{"-x", "a b", "a..b", "a:b", "x.lock", "~x", "^x", "a//b", "", "refs/../x", "x\n"} {
		if gitrepo.IsTagName(bad) {
			t.Errorf("%q is taken", bad)
		}
	}
}

func https(t *testing.T, s *sourcetest.Server) gitrepo.Remote {
	t.Helper()
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	at := netip.MustParseAddrPort(u.Host)
	// The name is one that certificate and server know; that it is dialled
	// where it was judged to be is what makes it work at all.
	return gitrepo.Remote{Transport: gitrepo.HTTPS, URL: "https://example.com:" + u.Port() + "/repo.git", Host: "example.com", Port: at.Port(), Address: at, CAFile: s.CAFile}
}

func TestOverHTTPSTheJudgedAddressIsDialled(t *testing.T) {
	t.Parallel()
	r := sourcetest.New(t)
	commit := r.Commit(map[string]string{"main.tf": "# over https"}, "v1.0.0")
	s := sourcetest.Serve(t, r, "robot", "hunter2", "")
	remote := https(t, s)
	if _, err := open(t, remote).Tags(t.Context()); fault.From(err).Code != "source_refused" {
		t.Errorf("without credentials: %v", err)
	}
	remote.Username, remote.Password = "robot", redact.New("hunter2")
	repo := open(t, remote)
	tags, err := repo.Tags(t.Context())
	if err != nil || len(tags) != 1 {
		t.Fatal(tags, err)
	}
	if err := repo.Fetch(t.Context(), tags); err != nil {
		t.Fatal(err)
	}
	if b, err := repo.Bundle(t.Context(), commit, ""); err != nil || b.Len() != 1 {
		t.Error(b, err)
	}
	// Elsewhere gets neither a question nor the credential.
	spy := sourcetest.Serve(t, r, "", "", "")
	away := https(t, sourcetest.Serve(t, r, "", "", spy.URL))
	away.Username, away.Password = "robot", redact.New("hunter2")
	if _, err := open(t, away).Tags(t.Context()); fault.From(err).Code != "source_refused" || spy.Asked.Load() != 0 {
		t.Errorf("a redirect: %v, %d questions", err, spy.Asked.Load())
	}
	plain := remote
	plain.CAFile = ""
	if _, err := open(t, plain).Tags(t.Context()); fault.From(err).Code != "source_unreachable" {
		t.Errorf("a certificate of nobody: %v", err)
	}
	gone := remote
	gone.URL = strings.Replace(remote.URL, "repo.git", "other.git", 1)
	if _, err := open(t, gone).Tags(t.Context()); fault.From(err).Code != "source_refused" {
		t.Errorf("no such repository: %v", err)
	}
}

func TestSSHGetsArgumentsOfOurs(t *testing.T) { // not parallel: PATH
	r := sourcetest.New(t)
	commit := r.Commit(map[string]string{"main.tf": "# over ssh"}, "v1.0.0")
	dir := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(self, filepath.Join(dir, "ssh")); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	repo := open(t, gitrepo.Remote{Transport: gitrepo.SSH, URL: "ssh://git@git.example.org:2222" + r.Dir, Host: "git.example.org", Port: 2222,
		Address: netip.MustParseAddrPort("192.0.2.7:2222"), Key: redact.New("a-private-key"), Known: "git.example.org ssh-ed25519 AAAA"})
	tags, err := repo.Tags(t.Context())
	if err != nil || len(tags) != 1 || tags[0].Commit != commit {
		t.Fatal(tags, err)
	}
	raw, err := os.ReadFile(filepath.Join(dir, "log"))
	var log struct{ Args, Env []string }
	if err := errors.Join(err, json.Unmarshal(raw, &log)); err != nil {
		t.Fatal(err)
	}
	line := strings.Join(log.Args, " ")
	for _, want := range []string{"-F none", "-o HostName=192.0.2.7", "-o HostKeyAlias=[git.example.org]:2222", "-o StrictHostKeyChecking=yes", "-o ProxyCommand=none", "-o IdentityAgent=none", "-p 2222 git@git.example.org git-upload-pack '" + r.Dir + "'"} {
		if !strings.Contains(line, want) {
			t.Errorf("lacks %q: %s", want, line)
		}
	}
	if strings.Contains(line+strings.Join(log.Env, " "), "a-private-key") || slices.ContainsFunc(log.Env, func(v string) bool { return strings.HasPrefix(v, "FAIRLEAD_") }) {
		t.Errorf("ssh learns too much: %s %v", line, log.Env)
	}
}

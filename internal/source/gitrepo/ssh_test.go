package gitrepo_test

import (
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"fairlead/internal/fault"
	"fairlead/internal/redact"
	"fairlead/internal/source/gitrepo"
	"fairlead/internal/source/sourcetest"
)

const named = "git.example.org" // which no resolver leads to the loopback

// over is a repository at a real sshd, by a name that the address was judged
// for.
func over(s *sourcetest.SSHD, r *sourcetest.Repo, key sourcetest.SSHKey, known string) gitrepo.Remote {
	return gitrepo.Remote{Transport: gitrepo.SSH, URL: s.URL(named, r), Host: named, Port: uint16(s.Addr.Port),
		Address: s.Addr.AddrPort(), Key: redact.New(key.Private), Known: known}
}

func TestOverSSHOfARealServer(t *testing.T) {
	t.Parallel()
	r, key := sourcetest.New(t), sourcetest.NewSSHKey(t)
	commit := r.Commit(map[string]string{"main.tf": "# over ssh"}, "v1.0.0")
	s := sourcetest.ServeSSH(t, key, "")
	repo := open(t, over(s, r, key, s.Known(named)))
	tags, err := repo.Tags(t.Context())
	if err != nil || len(tags) != 1 || tags[0].Commit != commit {
		t.Fatal(tags, err, s.Said())
	}
	if err := repo.Fetch(t.Context(), tags); err != nil {
		t.Fatal(err, s.Said())
	}
	if b, err := repo.Bundle(t.Context(), commit, ""); err != nil || b.Len() != 1 {
		t.Error(b, err)
	}
	gone := over(s, r, key, s.Known(named))
	gone.URL += "-gone"
	if _, err := open(t, gone).Tags(t.Context()); fault.From(err).Code != "source_refused" || !strings.Contains(fault.From(err).Message, "no such repository") {
		t.Errorf("no such repository: %v", err)
	}
	stranger := over(s, r, sourcetest.NewSSHKey(t), s.Known(named))
	if _, err := open(t, stranger).Tags(t.Context()); fault.From(err).Code != "source_refused" || !strings.Contains(fault.From(err).Message, "refuses the deploy key") {
		t.Errorf("another key: %v", err)
	}
}

// TestAHostWithAnotherKeyIsNotTalkedTo: what it would be told first is which
// key we have.
func TestAHostWithAnotherKeyIsNotTalkedTo(t *testing.T) {
	t.Parallel()
	r, key := sourcetest.New(t), sourcetest.NewSSHKey(t)
	r.Commit(map[string]string{"main.tf": ""}, "v1.0.0")
	s := sourcetest.ServeSSH(t, key, "")
	_, real, _ := strings.Cut(s.Known(named), " ")
	alias, _, _ := strings.Cut(s.Known(named), " ")
	for name, c := range map[string]struct{ known, says string }{
		"nothing is known":            {"", "not among its known hosts"},
		"another host is known":       {"other.example.org " + real, "not among its known hosts"},
		"the address alone is known":  {fmt.Sprintf("[127.0.0.1]:%d %s", s.Addr.Port, real), "not among its known hosts"},
		"the port is not of the line": {named + " " + real, "not among its known hosts"},
		"it was another":              {alias + " " + sourcetest.NewSSHKey(t).Public, "shows another key than its known hosts have: SHA256:"},
		"it is revoked":               {s.Known(named) + "\n@revoked " + alias + " " + real, ""},
	} {
		_, err := open(t, over(s, r, key, c.known)).Tags(t.Context())
		if f := fault.From(err); f.Code != "source_refused" || !strings.Contains(f.Message, c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if said := s.Said(); strings.Contains(said, "publickey") || s.Asked.Load() != 6 {
		t.Errorf("%d connections; the key was offered to a host that is not known: %s", s.Asked.Load(), said)
	}
}

// TestNobodySeesTheKey looks while git and ssh are at it: at every argument
// list and environment of the machine, and at what the other side is sent.
func TestNobodySeesTheKey(t *testing.T) {
	t.Parallel()
	r, key, dir := sourcetest.New(t), sourcetest.NewSSHKey(t), t.TempDir()
	r.Commit(map[string]string{"main.tf": ""}, "v1.0.0")
	for _, pipe := range []string{"here", "go"} {
		if err := syscall.Mkfifo(filepath.Join(dir, pipe), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := sourcetest.ServeSSH(t, key, fmt.Sprintf(`env > %[1]s/env; echo > %[1]s/here; cat %[1]s/go; exec git upload-pack %[2]s`, dir, r.Dir))
	remote := over(s, r, key, s.Known(named))
	remote.Dir = filepath.Join(dir, "own")
	if err := os.Mkdir(remote.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	repo := open(t, remote)
	done := make(chan error, 1)
	go func() { _, err := repo.Tags(t.Context()); done <- err }()
	if _, err := os.ReadFile(filepath.Join(dir, "here")); err != nil { // until it is there
		t.Fatal(err)
	}
	secret := strings.Split(key.Private, "\n")[2]
	saw := seen(t, remote.Dir, secret)
	if !saw["ssh"] || !saw["git"] {
		t.Errorf("looked at the wrong moment: %v", saw)
	}
	modes(t, remote.Dir)
	if err := os.WriteFile(filepath.Join(dir, "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err, s.Said())
	}
	sent, err := os.ReadFile(filepath.Join(dir, "env"))
	if err != nil || strings.Contains(string(sent), "FAIRLEAD") || strings.Contains(string(sent), remote.Dir) || strings.Contains(string(sent), secret) {
		t.Errorf("the other side is sent more than it needs: %s %v", sent, err)
	}
	repo.Close()
	if left, err := os.ReadDir(remote.Dir); err != nil || len(left) != 0 {
		t.Errorf("left on the disk: %v %v", left, err)
	}
}

// seen looks for a secret in what every process was started with, and gives
// the programs that were started with something of dir.
func seen(t *testing.T, dir, secret string) map[string]bool {
	t.Helper()
	saw := map[string]bool{}
	list, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range list {
		args, _ := os.ReadFile(p + "/cmdline") // of one that has ended meanwhile there is none
		env, _ := os.ReadFile(p + "/environ")
		if strings.Contains(string(args)+string(env), secret) {
			t.Errorf("the key is in what %.40q was started with", args)
		}
		program, _, _ := strings.Cut(string(args), "\x00")
		if strings.Contains(string(args)+string(env), dir) {
			saw[filepath.Base(program)] = true
		}
	}
	return saw
}

// modes holds all below a folder to be for its owner alone.
func modes(t *testing.T, dir string) {
	t.Helper()
	n := 0
	err := filepath.WalkDir(dir, func(at string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil && (d.Name() == "key" || d.Name() == "config") {
			if n++; info.Mode().Perm() != 0o600 {
				t.Errorf("%s is %v", at, info.Mode())
			}
		}
		return err
	})
	if err != nil || n != 2 {
		t.Errorf("%d files: %v", n, err)
	}
	top, err := filepath.Glob(dir + "/fairlead-git-*")
	if err != nil || len(top) != 1 {
		t.Fatal(top, err)
	}
	if info, err := os.Stat(top[0]); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v %v", info, err)
	}
}

// TestAHostThatSaysNothing: whatever it stops at, the look ends, with all of
// its programs.
func TestAHostThatSaysNothing(t *testing.T) {
	t.Parallel()
	r, key := sourcetest.New(t), sourcetest.NewSSHKey(t)
	r.Commit(map[string]string{"main.tf": ""}, "v1.0.0")
	mute := listener(t, "")
	early := listener(t, "SSH-2.0-Slow\r\n")
	s := sourcetest.ServeSSH(t, key, "exec sleep 600")
	for name, at := range map[string]netip.AddrPort{"not at all": mute, "after its name": early, "after the sign-in": s.Addr.AddrPort()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			remote := over(s, r, key, s.Known(named))
			remote.Address, remote.Timeout, remote.Dir = at, 2*time.Second, t.TempDir()
			remote.URL, remote.Port = strings.Replace(remote.URL, fmt.Sprint(":", s.Addr.Port), fmt.Sprint(":", at.Port()), 1), at.Port()
			remote.Known = strings.Replace(remote.Known, fmt.Sprint(":", s.Addr.Port), fmt.Sprint(":", at.Port()), 1)
			repo := open(t, remote)
			from := time.Now()
			if _, err := repo.Tags(t.Context()); fault.From(err).Code != "source_unreachable" {
				t.Error(err)
			}
			if took := time.Since(from); took > 20*time.Second {
				t.Errorf("it took %s", took)
			}
			for program := range seen(t, remote.Dir, "-nothing-of-the-kind-") {
				t.Errorf("%s lives on", program)
			}
		})
	}
}

// listener takes connections, says something, and then nothing.
func listener(t *testing.T, says string) netip.AddrPort {
	t.Helper()
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			defer c.Close()
			_, _ = c.Write([]byte(says))
		}
	}()
	t.Cleanup(func() { _ = l.Close(); <-done })
	at, err := netip.ParseAddrPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return at
}

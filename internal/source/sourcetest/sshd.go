package sourcetest

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"golang.org/x/crypto/ssh"
)

// SSHD is OpenSSH's own server on the loopback, for the account that runs the
// test, with a host key and a configuration of its own.
type SSHD struct {
	Addr  *net.TCPAddr
	User  string
	Asked atomic.Int32 // connections

	t       testing.TB
	conf    string
	options string // of whom it lets in
	key     string // the host's, as a line without a name
	mu      sync.Mutex
	said    bytes.Buffer
}

// SSHKey is a key pair.
type SSHKey struct{ Private, Public string }

// NewSSHKey makes a key pair, as ssh-keygen does.
func NewSSHKey(t testing.TB) SSHKey {
	t.Helper()
	pub, priv, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(priv, "a test")
	if err != nil {
		t.Fatal(err)
	}
	p, err := ssh.NewPublicKey(pub)
	if err != nil {
		t.Fatal(err)
	}
	return SSHKey{string(pem.EncodeToMemory(block)), strings.TrimSpace(string(ssh.MarshalAuthorizedKey(p)))}
}

// ServeSSH lets authorized in. With command, that is what each connection
// runs, whatever it asks for. Of each connection a server of its own is the
// child of this process, as inetd would start it: none outlives the test.
func ServeSSH(t testing.TB, authorized SSHKey, command string) *SSHD {
	t.Helper()
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	host, dir := NewSSHKey(t), t.TempDir()
	options := "restrict"
	if command != "" {
		options += fmt.Sprintf(",command=%q", command)
	}
	s := &SSHD{t: t, User: me.Username, conf: filepath.Join(dir, "sshd_config"), options: options, key: host.Public}
	s.Authorize(authorized)
	for name, text := range map[string]string{
		"host": host.Private,
		// AcceptEnv: the more is taken, the more is seen of what is sent.
		"sshd_config": fmt.Sprintf("HostKey %s/host\nAuthorizedKeysFile %s/authorized\nStrictModes no\nUsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n"+
			"PermitRootLogin prohibit-password\nPermitUserRC no\nPidFile none\nLogLevel VERBOSE\nAcceptEnv *\nPrintMotd no\n", dir, dir),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if os.Geteuid() == 0 { // where sshd shuts itself in, which Debian's unit makes at each boot
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
			t.Fatal(err)
		}
	}
	s.listen(sshdProgram(t))
	return s
}

// Authorize lets one key in from now on, and no other.
func (s *SSHD) Authorize(key SSHKey) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(filepath.Dir(s.conf), "authorized"), []byte(s.options+" "+key.Public+"\n"), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

func sshdProgram(t testing.TB) string {
	t.Helper()
	if p, err := exec.LookPath("sshd"); err == nil && filepath.IsAbs(p) {
		return p
	}
	const debian = "/usr/sbin/sshd"
	if _, err := os.Stat(debian); err != nil {
		t.Fatal("OpenSSH's server is missing: run scripts/need-sshd.sh")
	}
	return debian
}

func (s *SSHD) listen(program string) {
	s.t.Helper()
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		s.t.Fatal(err)
	}
	s.Addr, _ = l.Addr().(*net.TCPAddr)
	var all sync.WaitGroup
	var children sync.Map
	all.Go(func() {
		for {
			conn, err := l.AcceptTCP()
			if err != nil {
				return
			}
			s.Asked.Add(1)
			f, err := conn.File()
			_ = conn.Close()
			if err != nil {
				continue
			}
			cmd := exec.Command(program, "-i", "-e", "-f", s.conf)
			cmd.Stdin, cmd.Stdout, cmd.Stderr = f, f, s
			cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
			err = cmd.Start()
			_ = f.Close()
			if err != nil {
				s.t.Error(err)
				continue
			}
			children.Store(cmd.Process.Pid, true)
			all.Go(func() {
				_ = cmd.Wait() // how a connection ends is not what is tried
				children.Delete(cmd.Process.Pid)
			})
		}
	})
	s.t.Cleanup(func() {
		_ = l.Close()
		children.Range(func(pid, _ any) bool {
			if n, ok := pid.(int); ok {
				_ = syscall.Kill(-n, syscall.SIGKILL)
			}
			return true
		})
		all.Wait()
	})
}

// Write takes what sshd says.
func (s *SSHD) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.said.Write(p)
}

// Said is what sshd has said.
func (s *SSHD) Said() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.said.String()
}

// URL is where a repository is, by a name of the host.
func (s *SSHD) URL(host string, r *Repo) string {
	return fmt.Sprintf("ssh://%s@%s:%d%s", s.User, host, s.Addr.Port, r.Dir)
}

// Known is the host's line of known_hosts.
func (s *SSHD) Known(host string) string { return fmt.Sprintf("[%s]:%d %s", host, s.Addr.Port, s.key) }

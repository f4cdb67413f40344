package app

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"fairlead/internal/source/sourcetest"
)

// sshHost is a script's own OpenSSH server, once it asked for one.
type sshHost struct {
	t    testing.TB
	sshd *sourcetest.SSHD
	keys map[string]sourcetest.SSHKey
}

func ofSSH(ts *testscript.TestScript, neg bool, args []string, usage string) *sshHost {
	h, ok := ts.Value("ssh").(*sshHost)
	if neg || len(args) != 1 || !ok {
		ts.Fatalf("usage: %s", usage)
	}
	return h
}

// sshkey FILE makes a key, as ssh-keygen does, in FILE.
func sshkey(ts *testscript.TestScript, neg bool, args []string) {
	h := ofSSH(ts, neg, args, "sshkey FILE")
	if h.keys == nil {
		h.keys = map[string]sourcetest.SSHKey{}
	}
	key := sourcetest.NewSSHKey(h.t)
	h.keys[args[0]] = key
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(key.Private), 0o600))
}

// sshd KEY has OpenSSH's server let KEY in, and no other: at $SSHD, whose own
// key is in the file known_hosts. It is one server for the script.
func sshd(ts *testscript.TestScript, neg bool, args []string) {
	h := ofSSH(ts, neg, args, "sshd KEY")
	key, ok := h.keys[args[0]]
	if !ok {
		ts.Fatalf("%s was not made with sshkey", args[0])
	}
	if h.sshd != nil {
		h.sshd.Authorize(key)
		return
	}
	h.sshd = sourcetest.ServeSSH(h.t, key, "")
	ts.Setenv("SSHD", strings.TrimSuffix(h.sshd.URL("127.0.0.1", &sourcetest.Repo{}), "/"))
	ts.Check(os.WriteFile(ts.MkAbs("known_hosts"), []byte(h.sshd.Known("127.0.0.1")+"\n"), 0o600))
}

// hides KEY... holds when the last command printed nothing of what is secret in
// KEY.
func hides(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: hides KEY...")
	}
	said := ts.ReadFile("stdout") + ts.ReadFile("stderr")
	for _, name := range args {
		for line := range strings.Lines(ts.ReadFile(filepath.Clean(name))) {
			if line = strings.TrimSpace(line); line != "" && strings.Contains(said, line) {
				ts.Fatalf("it shows a line of %s: %s", name, line)
			}
		}
	}
}

package gitrepo

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"

	"fairlead/internal/fault"
	"fairlead/internal/redact"
)

// marker has what the ssh program is to be told, when this executable stands
// in for it. Git starts what GIT_SSH names without a shell, and with its own
// arguments alone; GIT_SSH_COMMAND would go through one.
const marker = "FAIRLEAD_GIT_SSH"

// Every executable with this package in it can stand in for ssh, tests too.
func init() {
	if told := os.Getenv(marker); told != "" {
		os.Exit(standIn(told, os.Args[1:]))
	}
}

// dial is what the marker holds.
type dial struct {
	Program string `json:"program"`
	Host    string `json:"host"`
	Port    uint16 `json:"port"`
	Address string `json:"address"`
	Key     string `json:"key"`
	Known   string `json:"known"`
}

func standIn(told string, args []string) int {
	var d dial
	if err := json.Unmarshal([]byte(told), &d); err != nil || d.Program == "" {
		fmt.Fprintln(os.Stderr, "ssh: what is to be dialled cannot be read")
		return 255
	}
	env := []string{"PATH=/usr/local/bin:/usr/bin:/bin", "LC_ALL=C", "GIT_PROTOCOL=" + os.Getenv("GIT_PROTOCOL")}
	err := syscall.Exec(d.Program, append([]string{d.Program}, d.arguments(args)...), env) //nolint:gosec // git starts it, with what this server told git
	fmt.Fprintln(os.Stderr, "ssh:", err)
	return 255
}

// arguments are ssh's. Of an option that is there twice the first counts, so
// ours come before git's.
func (d dial) arguments(git []string) []string {
	alias := d.Host
	if d.Port != 22 {
		alias = "[" + d.Host + "]:" + strconv.Itoa(int(d.Port))
	}
	out := []string{"-F", "none", "-T", "-x", "-a"}
	for _, o := range []string{
		"BatchMode=yes", "StrictHostKeyChecking=yes", "UserKnownHostsFile=" + d.Known, "GlobalKnownHostsFile=/dev/null", "HostKeyAlias=" + alias,
		"CheckHostIP=no", "UpdateHostKeys=no", "VerifyHostKeyDNS=no", "HostName=" + d.Address, "CanonicalizeHostname=no", "ProxyCommand=none", "ProxyJump=none",
		"IdentitiesOnly=yes", "IdentityFile=" + d.Key, "IdentityAgent=none", "PasswordAuthentication=no", "KbdInteractiveAuthentication=no",
		"GSSAPIAuthentication=no", "HostbasedAuthentication=no", "PermitLocalCommand=no", "ForwardAgent=no", "ForwardX11=no", "ClearAllForwardings=yes",
		"ControlMaster=no", "ControlPath=none", "RequestTTY=no", "EscapeChar=none", "ConnectTimeout=10", "ServerAliveInterval=15", "LogLevel=ERROR",
	} {
		out = append(out, "-o", o)
	}
	return append(out, git...)
}

func (r *Repository) prepareSSH() error {
	program, err := exec.LookPath("ssh")
	if err != nil {
		return fault.New(fault.Unavailable, "git_unavailable", "this server has no ssh").WithHint("install OpenSSH's client on the server").WithCause(err)
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("git over ssh: %w", err)
	}
	key := r.remote.Key.Reveal()
	if !strings.HasSuffix(key, "\n") {
		key += "\n"
	}
	for name, text := range map[string]string{"key": key, "known": r.remote.Known + "\n"} {
		if err := os.WriteFile(r.at(name), []byte(text), 0o600); err != nil {
			return fmt.Errorf("git over ssh: %w", err)
		}
	}
	told, err := json.Marshal(dial{Program: program, Host: r.remote.Host, Port: r.remote.Port,
		Address: r.remote.Address.Addr().Unmap().String(), Key: r.at("key"), Known: r.at("known")})
	if err != nil {
		return fmt.Errorf("git over ssh: %w", err)
	}
	r.env = append(r.env, "GIT_SSH="+self, "GIT_SSH_VARIANT=ssh", marker+"="+string(told))
	return nil
}

func basic(user string, password redact.Secret) string {
	return base64.StdEncoding.EncodeToString([]byte(user + ":" + password.Reveal()))
}

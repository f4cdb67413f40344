package gitrepo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"fairlead/internal/fault"
	"fairlead/internal/redact"
)

// Transport is how a repository is reached.
type Transport string

// The transports. No other is ever used, whatever a repository asks for.
const (
	HTTPS Transport = "https"
	SSH   Transport = "ssh"
	File  Transport = "file"
)

// Remote is a repository and how it is reached.
type Remote struct {
	Dir       string // where the folder that is thrown away is made; "" is the system's for such
	Transport Transport
	URL       string
	Host      string         // of https and ssh
	Port      uint16         // of https and ssh
	Address   netip.AddrPort // the one that is dialled, judged beforehand
	CAFile    string         // certificates that are trusted besides the system's; "" for none

	Username string        // https, with Password
	Password redact.Secret // https
	Key      redact.Secret // ssh: a private key
	Known    string        // ssh: lines of known_hosts

	Timeout time.Duration // of one program; two minutes when 0
}

// The bounds of what a repository may make this server do.
const (
	usualLimit = 2 * time.Minute // of one program
	maxListing = 8 << 20         // bytes of a list of tags or files
	maxOnDisk  = 300 << 20       // bytes of what is fetched
	maxSaid    = 4 << 10         // bytes of what the program says when it fails
	maxTags    = 5000
)

// Repository is one remote being read. Close it.
type Repository struct {
	remote  Remote
	program string
	dir     string // of its own: configuration, keys, objects
	env     []string
}

// Open prepares to read a remote. Nothing is asked of it yet.
func Open(r Remote) (*Repository, error) {
	program, err := exec.LookPath("git")
	if err != nil {
		return nil, fault.New(fault.Unavailable, "git_unavailable", "this server has no git").WithHint("install git 2.37 or newer on the server").WithCause(err)
	}
	if r.Timeout == 0 {
		r.Timeout = usualLimit
	}
	dir, err := os.MkdirTemp(r.Dir, "fairlead-git-")
	if err != nil {
		return nil, fmt.Errorf("a folder for git: %w", err)
	}
	repo := &Repository{remote: r, program: program, dir: dir}
	if err := repo.prepare(); err != nil {
		repo.Close()
		return nil, err
	}
	return repo, nil
}

// Close removes everything that was fetched or written.
func (r *Repository) Close() { _ = os.RemoveAll(r.dir) }

func (r *Repository) at(name string) string { return filepath.Join(r.dir, name) }

func (r *Repository) prepare() error {
	for _, d := range []string{"home", "repo", "empty"} {
		if err := os.Mkdir(r.at(d), 0o700); err != nil {
			return fmt.Errorf("a folder for git: %w", err)
		}
	}
	text, err := r.config()
	if err != nil {
		return err
	}
	if err := os.WriteFile(r.at("config"), []byte(text), 0o600); err != nil {
		return fmt.Errorf("git's configuration: %w", err)
	}
	r.env = []string{
		"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=" + r.at("home"), "LC_ALL=C", "TMPDIR=" + r.at("home"),
		"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=" + r.at("config"), "GIT_ATTR_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0", "GIT_OPTIONAL_LOCKS=0",
		"GIT_ALLOW_PROTOCOL=" + string(r.remote.Transport), "GIT_PROTOCOL_FROM_USER=0", "GIT_NO_REPLACE_OBJECTS=1", "GIT_NO_LAZY_FETCH=1",
		"GIT_CEILING_DIRECTORIES=" + r.dir, "GIT_ASKPASS=true", "SSH_ASKPASS=true",
	}
	if r.remote.Transport != SSH {
		r.env = append(r.env, "GIT_SSH=false")
		return nil
	}
	return r.prepareSSH()
}

// config is all that git is configured with.
func (r *Repository) config() (string, error) {
	var b strings.Builder
	section := func(name string, lines ...string) {
		b.WriteString("[" + name + "]\n")
		for _, l := range lines {
			b.WriteString("\t" + l + "\n")
		}
	}
	section("core", "hooksPath = /dev/null", "fsmonitor = false", "symlinks = false", "protectHFS = true", "protectNTFS = true", "askPass = true")
	section("protocol", "allow = never")
	section(`protocol "`+string(r.remote.Transport)+`"`, "allow = always")
	section("credential", "helper =")
	section("fetch", "fsckObjects = true", "recurseSubmodules = false")
	section("transfer", "fsckObjects = true", "bundleURI = false")
	// What old but harmless programs wrote; all else that is malformed is refused.
	section(`fetch "fsck"`, "zeroPaddedFilemode = ignore", "missingSpaceBeforeDate = ignore", "badTimezone = ignore")
	section("submodule", "recurse = false")
	section("gc", "auto = 0")
	section("maintenance", "auto = false")
	section("init", "defaultBranch = main")
	section("pack", "threads = 1")
	switch r.remote.Transport {
	case File:
		path := strings.TrimPrefix(r.remote.URL, "file://")
		if strings.ContainsAny(path, "\n\r\"\\\x00") {
			return "", fault.New(fault.Invalid, "invalid_source", "the path holds a character that is not allowed").WithField("/url")
		}
		section("safe", `directory = "`+path+`"`, `directory = "`+strings.TrimSuffix(path, "/")+`/.git"`)
	case HTTPS:
		lines := []string{"followRedirects = false", "proxy =", "sslVerify = true", "lowSpeedLimit = 1000", "lowSpeedTime = 30", "emptyAuth = false", "saveCookies = false"}
		if _, err := netip.ParseAddr(r.remote.Host); err != nil {
			lines = append(lines, fmt.Sprintf("curloptResolve = %s:%d:%s", r.remote.Host, r.remote.Port, bracketed(r.remote.Address.Addr())))
		}
		if r.remote.CAFile != "" {
			lines = append(lines, `sslCAInfo = "`+r.remote.CAFile+`"`, "sslCAPath = /etc/ssl/certs")
		}
		section("http", lines...)
		if !r.remote.Password.Empty() {
			section(fmt.Sprintf(`http "https://%s:%d/"`, r.remote.Host, r.remote.Port), `extraHeader = "Authorization: Basic `+basic(r.remote.Username, r.remote.Password)+`"`)
			if r.remote.Port == 443 {
				section(fmt.Sprintf(`http "https://%s/"`, r.remote.Host), `extraHeader =`, `extraHeader = "Authorization: Basic `+basic(r.remote.Username, r.remote.Password)+`"`)
			}
		}
	}
	return b.String(), nil
}

func bracketed(a netip.Addr) string {
	if a.Unmap().Is4() {
		return a.Unmap().String()
	}
	return "[" + a.String() + "]"
}

// run runs git to its end and gives what it said, at most so many bytes.
func (r *Repository) run(ctx context.Context, most int64, in []byte, args ...string) ([]byte, error) {
	var out bytes.Buffer
	err := r.stream(ctx, in, func(from io.Reader) error {
		n, err := io.Copy(&out, io.LimitReader(from, most+1))
		if err == nil && n > most {
			err = fault.New(fault.TooLarge, "source_too_large", "the repository has more to list than is read: over %d bytes", most)
		}
		return err
	}, args...)
	return out.Bytes(), err
}

// stream runs git and hands what it says to read, to its end.
func (r *Repository) stream(ctx context.Context, in []byte, read func(io.Reader) error, args ...string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, r.remote.Timeout, errSlow)
	defer cancel()
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	cmd := exec.CommandContext(ctx, r.program, args...)
	cmd.Dir, cmd.Env = r.at("repo"), r.env
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // with all that it starts
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second
	if in != nil {
		cmd.Stdin = bytes.NewReader(in)
	}
	said := &tail{max: maxSaid}
	cmd.Stderr = said
	out, err := cmd.StdoutPipe()
	if err != nil {
		return fmt.Errorf("git: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return fault.New(fault.Unavailable, "git_unavailable", "git could not be started").WithCause(err)
	}
	go r.watch(ctx, stop)
	readErr := read(out)
	if readErr != nil {
		stop(readErr)
	}
	err = cmd.Wait()
	switch cause := context.Cause(ctx); {
	case readErr != nil:
		return readErr
	case cause != nil && !errors.Is(cause, context.Canceled):
		return r.stopped(cause)
	case ctx.Err() != nil:
		return r.stopped(ctx.Err())
	case err != nil:
		return failure(err, said.String())
	}
	return nil
}

var errSlow = errors.New("git took too long")

func (r *Repository) stopped(cause error) error {
	if f, ok := errors.AsType[*fault.Error](cause); ok {
		return f
	}
	if errors.Is(cause, errSlow) {
		return fault.New(fault.Unavailable, "source_unreachable", "the repository did not answer within %s", r.remote.Timeout).WithHint("it is tried again by itself")
	}
	return fault.New(fault.Unavailable, "interrupted", "the work was cut off").WithCause(cause)
}

// watch ends what fills the disk.
func (r *Repository) watch(ctx context.Context, stop context.CancelCauseFunc) {
	every := time.NewTicker(200 * time.Millisecond)
	defer every.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-every.C:
			if size(r.dir) > maxOnDisk {
				stop(fault.New(fault.TooLarge, "source_too_large", "the repository is larger than the %d MiB that are fetched", maxOnDisk>>20).
					WithHint("move the templates to a repository of their own, or keep large files elsewhere"))
				return
			}
		}
	}
}

func size(dir string) (n int64) {
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			if info, err := d.Info(); err == nil {
				n += info.Size()
			}
		}
		return nil
	})
	return n
}

// tail keeps the end of what is written.
type tail struct {
	max  int
	text []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.text = append(t.text, p...)
	if over := len(t.text) - t.max; over > 0 {
		t.text = append([]byte(nil), t.text[over:]...)
	}
	return len(p), nil
}

func (t *tail) String() string { return strings.ToValidUTF8(string(t.text), "") }

package iac

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"fairlead/internal/engine/iac/iacstate"
	"fairlead/internal/engine/iac/sandbox"
	"fairlead/internal/fault"
)

const (
	overrideFile = "zz_fairlead_override.tf"
	lockFile     = ".terraform.lock.hcl"
	erroredFile  = "errored.tfstate"
	backend      = "terraform {\n  backend \"http\" {}\n}\n"
	grace        = 15 * time.Second // to write the state
	maxOutput    = 256 << 20
)

// run is one directory in which programs work, under one seat.
type run struct {
	e       *Engine
	m       *module // nil outside of any module
	name    string
	dir     string
	seat    seat
	nice    int  // of its programs
	trial   bool // of a template's tests: no resource is concerned
	env     []string
	session *iacstate.Session
	hidden  masker // what sensitive variables were given
	closers []func()
}

func (e *Engine) runs() string { return filepath.Join(e.dir, "r") }

// newRun makes a directory of its own for programs to work in, in whose
// working directory the module's files are links. Close it.
func (e *Engine) newRun(ctx context.Context, m *module, name string, w want, session *iacstate.Session) (r *run, err error) {
	s, up, err := e.sit(ctx)
	if err != nil {
		return nil, err
	}
	return e.newRunOn(s, up, m, name, w, session)
}

// newRunOn is newRun on a seat that was taken.
func (e *Engine) newRunOn(s seat, up func(), m *module, name string, w want, session *iacstate.Session) (r *run, err error) {
	r = &run{e: e, m: m, name: name, dir: filepath.Join(e.runs(), name), seat: s, session: session, closers: []func(){up, e.use(m)}}
	defer func() {
		if err != nil {
			r.close()
			r = nil
			if _, known := errors.AsType[*fault.Error](err); !known {
				err = fault.New(fault.Unavailable, "engine_unavailable", "the run's directory cannot be made").WithCause(err)
			}
		}
	}()
	if err := os.Mkdir(r.dir, 0o700); err != nil {
		return nil, err
	}
	r.closers = append(r.closers, r.remove)
	root, err := os.OpenRoot(r.dir)
	if err != nil {
		return nil, err
	}
	defer func() { _ = root.Close() }()
	if err := errors.Join(root.Mkdir("w", 0o700), root.Mkdir("t", 0o700)); err != nil {
		return nil, err
	}
	if w.vars != nil {
		if err := root.WriteFile("vars.json", w.vars, 0o600); err != nil {
			return nil, err
		}
	}
	if m != nil {
		r.hidden = m.hidden(w.vars, w.veil)
		if err := m.link(root); err != nil {
			return nil, err
		}
	}
	if err := r.give(root); err != nil {
		return nil, err
	}
	r.environment()
	return r, nil
}

// give makes the seat's account the owner of all in the directory.
func (r *run) give(root *os.Root) error {
	if r.seat.uid == 0 {
		return nil
	}
	return fs.WalkDir(root.FS(), ".", func(p string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return root.Lchown(p, r.seat.uid, r.seat.uid)
	})
}

func (r *run) environment() {
	tmp := filepath.Join(r.dir, "t")
	r.env = []string{
		"HOME=" + tmp, "TMPDIR=" + tmp, "LANG=C.UTF-8", "TF_CLI_CONFIG_FILE=" + r.e.cliConfig(),
		"TF_IN_AUTOMATION=1", "TF_INPUT=0", "CHECKPOINT_DISABLE=1",
		// Program and provider speak over a socket in the run's own directory,
		// which is of its account alone: certificates for each process would
		// be a third of what a small run costs.
		"TF_DISABLE_PLUGIN_TLS=1",
		// They live for a moment: less collecting, up to a share of the limit.
		"GOGC=400", "GOMEMLIMIT=" + strconv.Itoa(r.e.o.Config.MemoryMB*3/4) + "MiB",
	}
	if r.m != nil {
		r.env = append(r.env, "TF_DATA_DIR="+r.m.data)
	}
	if r.session != nil {
		token, end := r.e.server.Admit(r.session)
		r.closers = append(r.closers, end)
		url := "http://" + r.e.server.Address() + iacstate.Path(r.session.State)
		r.env = append(r.env, "TF_HTTP_ADDRESS="+url, "TF_HTTP_LOCK_ADDRESS="+url, "TF_HTTP_UNLOCK_ADDRESS="+url,
			"TF_HTTP_USERNAME="+iacstate.User, "TF_HTTP_PASSWORD="+token.Reveal(), "TF_HTTP_RETRY_MAX=2")
	}
}

// close ends the run's token, gives the seat back and removes the directory.
func (r *run) close() {
	for i := len(r.closers) - 1; i >= 0; i-- {
		r.closers[i]()
	}
}

func (r *run) alive() string { return r.dir + ".alive" }

// remove keeps what the next run has to recover.
func (r *run) remove() {
	if _, err := r.read("w/"+erroredFile, iacstate.MaxSize); r.session != nil && r.session.Epoch() > 0 && !errors.Is(err, fs.ErrNotExist) {
		return
	}
	discard(r.dir)
}

func discard(dir string) {
	_ = os.RemoveAll(dir)
	_ = os.Remove(dir + ".alive")
}

// hit is the engine's, but for trials.
func (r *run) hit(point string) {
	if !r.trial {
		r.e.hit(point)
	}
}

// read gives a file that a program made: regular, below the directory, bounded.
func (r *run) read(name string, limit int64) ([]byte, error) { return readBelow(r.dir, name, limit) }

func readBelow(dir, name string, limit int64) ([]byte, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer func() { _ = root.Close() }()
	f, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	if st, err := f.Stat(); err != nil || !st.Mode().IsRegular() || st.Size() > limit {
		return nil, errors.Join(err, errors.New("the file is not one that is read"))
	}
	return io.ReadAll(io.LimitReader(f, limit))
}

// silence is how long this process may be stopped before what it started is
// ended. A claim is renewed at a third of the lease, so a peer takes over after
// two thirds of it at the earliest; by then half of it is over, in which the
// program has ended. A busy machine gets five seconds, whatever the lease: with
// one of less than fifteen a program may still be ending then, and is refused
// by its epoch.
func silence(lease time.Duration) time.Duration {
	if lease <= 0 {
		return 0
	}
	return max(lease/3, 5*time.Second)
}

// exec runs the program to its end. What it writes to standard output goes to
// out; the error is a fault already.
func (r *run) exec(ctx context.Context, open bool, out io.Writer, args ...string) (code int, stderr string, err error) {
	e := r.e
	timed, stop := context.WithTimeout(ctx, e.timeout)
	defer stop()
	limited, cancel := context.WithCancelCause(timed)
	defer cancel(nil)
	env, listen := r.env, append([]string{e.server.Address()}, e.allow.listen()...)
	if open { // to fetch providers and modules; nothing of a module runs yet
		env = append(env[:len(env):len(env)], "PATH=/usr/local/bin:/usr/bin:/bin")
		if e.level.Closed() {
			listen = append(listen, proxyAddress)
			env = append(env, "HTTPS_PROXY=http://"+proxyAddress, "HTTP_PROXY=http://"+proxyAddress)
		}
	}
	end := &tail{max: 16 << 10}
	if _, log := out.(*stream); log {
		out = &meter{to: out, left: int64(e.o.Config.LogMB) << 20, over: func() { cancel(errTalks) }}
	}
	doors := newDoor()
	code, err = e.programs.Run(limited, sandbox.Job{
		Path: e.program, Args: args, Env: env, Dir: filepath.Join(r.dir, "w"), UID: r.seat.uid, GID: r.seat.uid,
		Limits: sandbox.Limits{
			Memory: uint64(e.o.Config.MemoryMB) << 20, Files: 4096, Processes: 1024, // checked to be positive
			// Of all its threads together: the time-out comes first and says what it was.
			CPU: uint64(e.timeout/time.Second+1) * uint64(runtime.NumCPU()), FileSize: 1 << 30,
		},
		Nice: r.nice, Level: e.level, Listen: listen, Hosts: e.hosts(), Serve: doors.open(e),
		Stdout: out, Stderr: end, Grace: grace, Silence: silence(e.o.Lease), Alive: r.alive(),
	})
	doors.close()
	switch {
	case ctx.Err() != nil:
		return code, "", interrupted(ctx)
	case errors.Is(context.Cause(limited), errTalks):
		return code, "", fault.New(fault.Invalid, "log_too_large", "the program wrote more than %d MiB of log and was stopped", e.o.Config.LogMB).
			WithHint("what it made until then is in the state; make the module's provisioners quieter, or raise engines.iac.logMB; then: fairlead retry")
	case limited.Err() != nil:
		return code, "", fault.New(fault.Unavailable, "engine_timeout", "the program did not end within %s and was stopped", e.timeout).
			WithHint("see the run's log for what it waited for; engines.iac.timeout is the limit")
	case errors.Is(err, sandbox.ErrAlone):
		return code, "", fault.New(fault.Unavailable, "interrupted", "the program was ended, because this server had not looked after it for %s: by then another may have begun", silence(e.o.Lease)).
			WithHint("it is tried again by itself; a server that is stopped or starved so long needs looking at").WithCause(err)
	case err != nil:
		return code, "", fault.New(fault.Unavailable, "engine_unavailable", "the program could not be started").WithCause(err)
	}
	return code, end.String(), nil
}

// ask runs the program outside of any module and gives what it says.
func (e *Engine) ask(ctx context.Context, args ...string) ([]byte, int, error) {
	r, err := e.newRun(ctx, nil, "v-"+rand.Text()[:8], want{}, nil)
	if err != nil {
		return nil, 0, err
	}
	defer r.close()
	out := &bounded{max: 1 << 20}
	code, _, err := r.exec(ctx, false, out, args...)
	return out.Bytes(), code, err
}

var errTalks = errors.New("the program writes too much")

// meter passes on so many bytes, says when there are more, and drops those.
type meter struct {
	to   io.Writer
	left int64
	over func()
}

func (m *meter) Write(p []byte) (int, error) {
	if m.left < int64(len(p)) {
		m.left = 0
		m.over()
		return len(p), nil
	}
	m.left -= int64(len(p))
	return m.to.Write(p)
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

// bounded keeps the beginning of what is written, and says when that is not
// all.
type bounded struct {
	bytes.Buffer
	max  int
	over bool
}

// ReadFrom hides the buffer's own, which has no bound.
func (b *bounded) ReadFrom(r io.Reader) (int64, error) { return io.Copy(struct{ io.Writer }{b}, r) }

func (b *bounded) Write(p []byte) (int, error) {
	if b.Len()+len(p) > b.max {
		b.over = true
		return len(p), nil
	}
	return b.Buffer.Write(p)
}

package pgserver

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"fairlead/internal/failpoint"
	"fairlead/internal/fault"
)

// process is a postmaster, our child or one that an earlier Fairlead left.
type process struct {
	pid  int
	data string
	done chan struct{} // closed when it is gone
}

func (p *process) gone() <-chan struct{} { return p.done }

// stop asks for PostgreSQL's fast shutdown and, when ctx ends first, for the
// immediate one, after which the next start recovers.
func (p *process) stop(ctx context.Context) error {
	_ = syscall.Kill(p.pid, syscall.SIGINT)
	select {
	case <-p.done:
		return nil
	case <-ctx.Done():
	}
	_ = syscall.Kill(p.pid, syscall.SIGQUIT)
	select {
	case <-p.done:
		return nil
	case <-time.After(5 * time.Second):
		return ctx.Err()
	}
}

// running gives the process of our server when it runs and lets us in.
func (s *Server) running(ctx context.Context) *process {
	p := postmasterOf(s.place.Data)
	if p == nil {
		return nil
	}
	if s.await(ctx, p) != nil {
		return nil
	}
	return p
}

// postmasterOf gives the live postmaster of a data directory. A pid that was reused
// by another program is not taken for it: a postmaster's working directory is
// its data directory.
func postmasterOf(data string) *process {
	pid, _ := readPIDFile(data)
	if pid <= 1 || !isPostmaster(pid, data) {
		return nil
	}
	p := &process{pid: pid, data: data, done: make(chan struct{})}
	go func() {
		defer close(p.done)
		for isPostmaster(pid, data) { // not our child, so there is nothing to wait on
			time.Sleep(200 * time.Millisecond)
		}
	}()
	return p
}

func isPostmaster(pid int, data string) bool {
	if err := syscall.Kill(pid, 0); err != nil && !errors.Is(err, syscall.EPERM) {
		return false
	}
	cwd, err := os.Readlink("/proc/" + strconv.Itoa(pid) + "/cwd")
	if err != nil {
		// A zombie has no cwd. Without /proc, trust that the pid file names a live process.
		_, noProc := os.Stat("/proc/self")
		return noProc != nil
	}
	real, err := filepath.EvalSymlinks(data)
	return err == nil && cwd == real
}

// readPIDFile gives pid and port of postmaster.pid; zeros when there is none.
func readPIDFile(data string) (pid, port int) {
	raw, err := os.ReadFile(filepath.Join(data, "postmaster.pid"))
	if err != nil {
		return 0, 0
	}
	lines := strings.Split(string(raw), "\n")
	pid, _ = strconv.Atoi(strings.TrimSpace(lines[0]))
	if len(lines) > 3 {
		port, _ = strconv.Atoi(strings.TrimSpace(lines[3]))
	}
	return pid, port
}

// launch starts the postmaster and waits until it lets us in. A port that
// another program took meanwhile is given up for a free one if mayMove: nobody
// was told of it yet.
func (s *Server) launch(ctx context.Context, mayMove bool) (*process, error) {
	var last string
	for range 3 {
		p, log, err := s.spawn()
		if err != nil {
			return nil, startFault(err.Error(), err)
		}
		if err = s.await(ctx, p); err == nil {
			return p, nil
		}
		raw, _ := os.ReadFile(log)
		last = lastLine(string(raw))
		select {
		case <-p.done:
		default:
			stopCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
			_ = p.stop(stopCtx)
			cancel()
			return nil, startFault("it does not accept log-ins: "+last, err)
		}
		if !strings.Contains(string(raw), "Address already in use") || s.opt.Port != 0 || !mayMove {
			return nil, startFault(last, err)
		}
		if s.place.Port, err = freePort(); err != nil {
			return nil, startFault(last, err)
		}
		if err := s.save(); err != nil {
			return nil, dirFault(s.opt.Dir, err)
		}
	}
	return nil, startFault(last, nil)
}

func startFault(why string, err error) error {
	return fault.New(fault.Unavailable, "postgres_start_failed", "the PostgreSQL server does not start: %s", why).
		WithHint("its log is in the folder log of its data directory; check space, shared memory and the port").WithCause(err)
}

func (s *Server) spawn() (*process, string, error) {
	log := filepath.Join(s.opt.Dir, "start.log")
	out, err := os.OpenFile(log, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, "", err
	}
	defer func() { _ = out.Close() }()
	cmd := exec.Command(filepath.Join(s.bin, "postgres"), "-D", s.place.Data, //nolint:noctx // it outlives the call; argv only
		"-c", "port="+strconv.Itoa(s.place.Port), "-c", "listen_addresses=127.0.0.1")
	// Not CommandContext and no Pdeathsig: the server outlives Fairlead's crash.
	cmd.Dir, cmd.Env, cmd.SysProcAttr = s.place.Data, s.environment(), s.place.Account.attributes()
	cmd.Stdout, cmd.Stderr = out, out
	failpoint.Hit("pgserver.start.before")
	err = cmd.Start()
	failpoint.Hit("pgserver.start.after")
	if err != nil {
		return nil, "", err
	}
	p := &process{pid: cmd.Process.Pid, data: s.place.Data, done: make(chan struct{})}
	go func() {
		_ = cmd.Wait()
		close(p.done)
	}()
	return p, log, nil
}

// await returns when the server lets us in and is ours, the process is gone,
// or ctx ends.
func (s *Server) await(ctx context.Context, p *process) error {
	pause := 5 * time.Millisecond
	for {
		err := s.probe(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-p.gone():
			return err
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-time.After(pause):
			pause = min(2*pause, 200*time.Millisecond)
		}
	}
}

func (s *Server) probe(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.URL("postgres").Reveal())
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	var data string
	if err := conn.QueryRow(ctx, "SELECT current_setting('data_directory')").Scan(&data); err != nil {
		return err
	}
	mine, err := filepath.EvalSymlinks(s.place.Data)
	if err != nil {
		return err
	}
	if theirs, err := filepath.EvalSymlinks(data); err != nil || theirs != mine {
		return errors.New("another PostgreSQL server answers on this port")
	}
	return nil
}

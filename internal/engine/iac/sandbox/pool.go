package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	spareFor  = 5 * time.Second      // an unused launcher waits for a job
	pipeSize  = 1 << 20              // what a program may be ahead of who reads it
	pipeRest  = 3 * time.Millisecond // between two reads of little
	pipeDelay = 2 * time.Second      // whatever holds the pipes then was not of the job's group any more
	pipeRead  = 64 << 10             // at once
)

// Pool runs jobs, each in a launcher of its own that is used once. While jobs
// come one after the other, the launcher of the next is started beside the one
// at work, so that a job finds its surroundings made. The zero Pool is ready.
// Close it.
type Pool struct {
	mu     sync.Mutex
	spare  *launcher
	ending *time.Timer // of the spare
	closed bool
	making bool
}

// launcher is one that waits for its job.
type launcher struct {
	level          Level
	cmd            *exec.Cmd
	ours           *net.UnixConn
	stdout, stderr *os.File
}

// Run runs a job to its end and gives its exit code. When ctx ends, the
// program is asked to end, and killed after the grace; the error is then
// ctx's. Any other error means that it did not start.
func Run(ctx context.Context, j Job) (code int, err error) {
	if err := ctx.Err(); err != nil {
		return -1, err
	}
	l, err := newLauncher(j.Level)
	if err != nil {
		return -1, err
	}
	return l.run(ctx, j, nil)
}

// Run is the package's Run, with a launcher that may be there already.
func (p *Pool) Run(ctx context.Context, j Job) (code int, err error) {
	if err := ctx.Err(); err != nil {
		return -1, err
	}
	begun := func() { go p.refill(j.Level) }
	if l := p.take(j.Level); l != nil {
		if code, err = l.run(ctx, j, begun); !errors.Is(err, errGone) {
			return code, err
		}
	}
	l, err := newLauncher(j.Level)
	if err != nil {
		return -1, err
	}
	return l.run(ctx, j, begun)
}

// Close ends the launcher that waits. Jobs that come later run all the same.
func (p *Pool) Close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.drop()
}

func (p *Pool) take(level Level) *launcher {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.spare
	if l == nil || l.level != level {
		return nil
	}
	p.spare = nil
	p.ending.Stop()
	return l
}

func (p *Pool) refill(level Level) {
	p.mu.Lock()
	no := p.closed || p.making || p.spare != nil
	p.making = p.making || !no
	p.mu.Unlock()
	if no {
		return
	}
	l, err := newLauncher(level)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.making = false
	switch {
	case err != nil: // the next job says it
	case p.closed:
		go l.end()
	default:
		p.spare, p.ending = l, time.AfterFunc(spareFor, p.drop)
	}
}

// drop ends the launcher that waits, if any.
func (p *Pool) drop() {
	p.mu.Lock()
	l := p.spare
	p.spare = nil
	p.mu.Unlock()
	if l != nil {
		l.end()
	}
}

// newLauncher starts a launcher in namespaces of its own. It ends when this
// process does, and when it is hung up on. Run or end it.
func newLauncher(level Level) (_ *launcher, err error) {
	ours, theirs, err := pair()
	if err != nil {
		return nil, err
	}
	l := &launcher{level: level, ours: ours}
	open := []io.Closer{theirs}
	defer func() {
		for _, c := range open {
			_ = c.Close()
		}
		if err != nil {
			l.hangUp()
		}
	}()
	l.cmd = exec.Command("/proc/self/exe") //nolint:noctx // this very executable; the launcher is ended below, gently
	l.cmd.Args = []string{os.Args[0]}
	l.cmd.Env = []string{marker + "=1"}
	l.cmd.ExtraFiles = []*os.File{theirs}
	l.cmd.SysProcAttr = attributes(level)
	for _, to := range []struct {
		ours **os.File
		its  *io.Writer
	}{{&l.stdout, &l.cmd.Stdout}, {&l.stderr, &l.cmd.Stderr}} {
		r, w, err := os.Pipe()
		if err != nil {
			return nil, err
		}
		_, _ = unix.FcntlInt(w.Fd(), unix.F_SETPIPE_SZ, pipeSize) // less will do where that is not allowed
		*to.ours, *to.its = r, w
		open = append(open, w)
	}
	if err := l.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the launcher: %w", err)
	}
	return l, nil
}

func (l *launcher) hangUp() {
	_ = l.ours.Close()
	for _, f := range []*os.File{l.stdout, l.stderr} {
		if f != nil {
			_ = f.Close()
		}
	}
}

// end ends a launcher that got no job.
func (l *launcher) end() {
	l.hangUp()
	_ = l.cmd.Wait()
}

// run gives the launcher its job and sees it to its end. begun is called when
// the program is about to start; it may be nil.
func (l *launcher) run(ctx context.Context, j Job, begun func()) (code int, err error) {
	defer l.hangUp()
	if j.Nice > 0 { // of all its threads, before it starts anything
		_ = syscall.Setpriority(syscall.PRIO_PGRP, l.cmd.Process.Pid, j.Nice)
	}
	var reading, watch sync.WaitGroup
	reading.Go(func() { pass(j.Stdout, l.stdout) })
	reading.Go(func() { pass(j.Stderr, l.stderr) })
	ended := make(chan struct{})
	watch.Go(func() { stopWhenAsked(ctx, l.ours, l.cmd.Process, j.Grace, ended) })
	startErr := instruct(l.ours, j)
	if startErr != nil {
		_ = l.ours.CloseWrite() // it has nothing to do
	} else {
		watch.Go(func() { tellAlive(l.ours, j.Silence, ended) })
		if begun != nil {
			begun()
		}
	}
	waitErr := l.cmd.Wait()
	late := time.AfterFunc(pipeDelay, func() { _, _ = l.stdout.Close(), l.stderr.Close() })
	reading.Wait()
	late.Stop()
	close(ended)
	watch.Wait()
	switch {
	case startErr != nil && ctx.Err() == nil:
		return -1, startErr
	case ctx.Err() != nil:
		return l.cmd.ProcessState.ExitCode(), ctx.Err()
	case waitErr != nil && l.cmd.ProcessState == nil:
		return -1, waitErr
	}
	if code := l.cmd.ProcessState.ExitCode(); code != codeAlone || j.Silence == 0 {
		return code, nil
	}
	return -1, ErrAlone
}

// pass hands on what a program writes. Programs write line by line; a rest
// after each read makes one read, and one waking, of what comes meanwhile.
func pass(to io.Writer, from *os.File) {
	if to == nil {
		to = io.Discard
	}
	text := make([]byte, pipeRead)
	for {
		n, err := from.Read(text)
		if n > 0 {
			if _, wErr := to.Write(text[:n]); wErr != nil {
				_ = from.Close() // who writes on is told
				return
			}
		}
		if err != nil {
			return
		}
		if n < len(text) {
			time.Sleep(pipeRest)
		}
	}
}

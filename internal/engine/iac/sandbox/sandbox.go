package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"
)

// Level is how well a job is kept apart.
type Level string

// The levels, the best first.
const (
	// Apart: own account, own network, own processes.
	Apart Level = "own account, own network, own processes"
	// UserNamespace: the server's account, but own network and processes.
	UserNamespace Level = "own network and processes; the server's account, because the server is not root"
	// Account: own account, and the machine's network.
	Account Level = "own account; the machine's network, because namespaces are not to be had"
	// Plain: limits and process groups alone.
	Plain Level = "limits alone; the server's account and network, because the server is not root and namespaces are not to be had"
)

// Closed tells whether the network is the job's own.
func (l Level) Closed() bool { return l == Apart || l == UserNamespace }

// Limits bounds each process of a job; 0 leaves the system's.
type Limits struct {
	Memory    uint64 // bytes of data a process
	Files     uint64 // open files a process
	Processes uint64 // processes and threads of the account
	CPU       uint64 // seconds a process
	FileSize  uint64 // bytes a file
}

// Job is one program to run.
type Job struct {
	Path     string
	Args     []string
	Env      []string // all of it; nothing is inherited
	Dir      string
	UID, GID int // whom to become; 0 stays as it is
	Limits   Limits
	Nice     int // how much it lets others go first, 0 to 19
	Level    Level
	// Listen are the IPv4 addresses there are in a closed network, on its
	// loopback interface whatever they are, and Serve is handed the listener of
	// each. It returns at once. With an open network both are unused.
	Listen []string
	// Hosts is a file that takes the place of /etc/hosts in a closed network.
	Hosts  string
	Serve  func(address string, l net.Listener)
	Stdout io.Writer
	Stderr io.Writer
	Grace  time.Duration // how long it may take to end when asked to
	// Silence is how long this process may be stopped, or starved, before the
	// launcher ends the job without it; half as long again is what the job
	// then has to end by itself. 0 is for ever.
	Silence time.Duration
	// Alive is a file that is locked for as long as anything of the job may
	// live: see Dead.
	Alive string
}

// Marker is the environment variable that makes this executable a launcher.
const marker = "FAIRLEAD_SANDBOX_LAUNCHER"

// order is what the launcher is told.
type order struct {
	Path     string
	Args     []string
	Env      []string
	Dir      string
	UID, GID int
	Limits   Limits
	Level    Level
	Listen   []string
	Hosts    string
	Grace    time.Duration
	Silence  time.Duration
	Alive    string
}

// ErrAlone is of a job that was ended because this process had not looked
// after it for longer than its Silence.
var ErrAlone = errors.New("the job was ended, as nobody looked after it")

// answer is what the launcher says before it starts the program.
type answer struct{ Error string }

// stopWhenAsked hangs up on the launcher when ctx ends, which makes it end the
// program, and kills it when that takes longer than it may.
func stopWhenAsked(ctx context.Context, ours *net.UnixConn, p *os.Process, grace time.Duration, ended <-chan struct{}) {
	select {
	case <-ended:
		return
	case <-ctx.Done():
	}
	_ = ours.CloseWrite()
	t := time.NewTimer(grace + 2*time.Second)
	defer t.Stop()
	select {
	case <-ended:
	case <-t.C:
		_ = p.Kill()
	}
}

// tellAlive has the launcher know that this process runs, until the job ends.
func tellAlive(ours *net.UnixConn, silence time.Duration, ended <-chan struct{}) {
	if silence <= 0 {
		return
	}
	tick := time.NewTicker(silence / 10)
	defer tick.Stop()
	for {
		select {
		case <-ended:
			return
		case <-tick.C:
			if _, err := ours.Write([]byte{'\n'}); err != nil {
				return
			}
		}
	}
}

// attributes puts the launcher into namespaces of its own.
func attributes(l Level) *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{Setsid: true}
	const apart = syscall.CLONE_NEWNET | syscall.CLONE_NEWPID | syscall.CLONE_NEWNS | syscall.CLONE_NEWIPC | syscall.CLONE_NEWUTS
	switch l {
	case Apart:
		a.Cloneflags = apart
	case UserNamespace:
		a.Cloneflags = apart | syscall.CLONE_NEWUSER
		a.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		a.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	return a
}

// errGone is of a launcher that ended before it started anything: it answers
// first.
var errGone = errors.New("the launcher ended before it answered")

// instruct tells the launcher what to do, and takes the listeners that it made.
func instruct(ours *net.UnixConn, j Job) error {
	o := order{j.Path, j.Args, j.Env, j.Dir, j.UID, j.GID, j.Limits, j.Level, j.Listen, j.Hosts, j.Grace, j.Silence, j.Alive}
	if !j.Level.Closed() {
		o.Listen = nil
	}
	if err := json.NewEncoder(ours).Encode(o); err != nil {
		return errors.Join(errGone, fmt.Errorf("instruct the launcher: %w", err))
	}
	text, oob := make([]byte, 4096), make([]byte, syscall.CmsgSpace(4*maxListen))
	n, oobn, _, _, err := ours.ReadMsgUnix(text, oob)
	if err != nil {
		return errors.Join(errGone, fmt.Errorf("the launcher did not answer: %w", err))
	}
	if n == 0 {
		return errGone
	}
	files, err := rights(oob[:oobn])
	if err != nil {
		return err
	}
	var a answer
	if err := json.Unmarshal(text[:n], &a); err != nil || a.Error != "" {
		for _, f := range files {
			_ = f.Close()
		}
		return errors.Join(err, fmt.Errorf("the launcher: %s", a.Error))
	}
	if len(files) != len(o.Listen) {
		return fmt.Errorf("%d listeners for %d addresses", len(files), len(o.Listen))
	}
	for i, f := range files {
		l, err := net.FileListener(f)
		_ = f.Close()
		if err != nil {
			return err
		}
		j.Serve(o.Listen[i], l)
	}
	return nil
}

// Probe finds the best level that this system allows.
func Probe(ctx context.Context) Level {
	levels := []Level{Apart, Account}
	if os.Geteuid() != 0 {
		levels = []Level{UserNamespace, Plain}
	}
	job := Job{Level: levels[0], Listen: []string{"127.0.0.1:1024"}, Serve: func(_ string, l net.Listener) { _ = l.Close() }}
	if code, err := Run(ctx, job); err == nil && code == 0 {
		return levels[0]
	}
	return levels[1]
}

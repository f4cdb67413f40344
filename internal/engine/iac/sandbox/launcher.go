package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	control   = 3 // the launcher's end of the pair
	maxListen = 64
	codeLost  = 125 // exit code of a launcher that could not start the program
	codeAlone = 124 // exit code of one that ended the program because the server said nothing
)

// Every executable with this package in it can be its own launcher, tests too.
func init() {
	if os.Getenv(marker) != "" {
		runtime.LockOSThread() // what is set for this thread is what the program gets
		os.Exit(launch())
	}
}

func pair() (*net.UnixConn, *os.File, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	ours := os.NewFile(uintptr(fds[0]), "launcher")
	theirs := os.NewFile(uintptr(fds[1]), "server")
	c, err := net.FileConn(ours)
	_ = ours.Close()
	if err != nil {
		_ = theirs.Close()
		return nil, nil, err
	}
	return c.(*net.UnixConn), theirs, nil //nolint:forcetypeassert // it is a socket pair
}

func rights(oob []byte) ([]*os.File, error) {
	list, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil, err
	}
	var files []*os.File
	for _, m := range list {
		fds, err := unix.ParseUnixRights(&m)
		if err != nil {
			return nil, err
		}
		for _, fd := range fds {
			unix.CloseOnExec(fd)
			files = append(files, os.NewFile(uintptr(fd), "listener"))
		}
	}
	return files, nil
}

// launch is the launcher's whole life.
func launch() int {
	unix.CloseOnExec(control)
	f := os.NewFile(control, "server")
	c, err := net.FileConn(f)
	if err != nil {
		return codeLost
	}
	_ = f.Close()
	server, ok := c.(*net.UnixConn)
	if !ok {
		return codeLost
	}
	var o order
	in := json.NewDecoder(server)
	if err := in.Decode(&o); err != nil {
		return codeLost
	}
	listeners, err := prepare(o)
	var a answer
	if err != nil {
		a.Error = err.Error()
	}
	if err := reply(server, a, listeners); err != nil || a.Error != "" {
		return codeLost
	}
	if o.Path == "" { // a probe
		return 0
	}
	return watch(server, o)
}

func reply(server *net.UnixConn, a answer, listeners []*os.File) error {
	text, err := json.Marshal(a)
	if err != nil {
		return err
	}
	var oob []byte
	if len(listeners) > 0 {
		var fds []int
		for _, l := range listeners {
			fds = append(fds, int(l.Fd()))
		}
		oob = unix.UnixRights(fds...)
	}
	_, _, err = server.WriteMsgUnix(text, oob, nil)
	for _, l := range listeners {
		_ = l.Close()
	}
	return err
}

// prepare makes the surroundings of the program.
func prepare(o order) ([]*os.File, error) {
	if o.Alive != "" {
		fd, err := unix.Open(o.Alive, unix.O_RDWR|unix.O_CREAT|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0o600)
		if err != nil {
			return nil, fmt.Errorf("open %s: %w", o.Alive, err)
		}
		if err := unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB); err != nil { // held until this process ends
			return nil, fmt.Errorf("lock %s: %w", o.Alive, err)
		}
	}
	var listeners []*os.File
	if o.Level.Closed() {
		var err error
		if listeners, err = network(o.Listen); err != nil {
			return nil, err
		}
		if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
			return nil, fmt.Errorf("private mounts: %w", err)
		}
		// The program sees its own processes and no others. Some containers
		// forbid it; then it sees names of processes that it cannot touch.
		_ = unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "")
		if o.Hosts != "" {
			if err := unix.Mount(o.Hosts, "/etc/hosts", "", unix.MS_BIND, ""); err != nil && !errors.Is(err, unix.ENOENT) {
				return nil, fmt.Errorf("names: %w", err)
			}
		}
	}
	if o.Path == "" {
		return listeners, nil
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return nil, fmt.Errorf("no new privileges: %w", err)
	}
	return listeners, limit(o.Limits)
}

// network brings up the loopback of an empty network and listens there.
func network(addresses []string) ([]*os.File, error) {
	if len(addresses) > maxListen {
		return nil, fmt.Errorf("more than %d addresses", maxListen)
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = unix.Close(fd) }()
	ifr, err := unix.NewIfreq("lo")
	if err != nil {
		return nil, err
	}
	ifr.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, ifr); err != nil {
		return nil, fmt.Errorf("bring up loopback: %w", err)
	}
	var out []*os.File
	have := map[netip.Addr]bool{}
	for _, a := range addresses {
		at, err := netip.ParseAddrPort(a)
		if err != nil {
			return nil, err
		}
		if ip := at.Addr(); !ip.IsLoopback() && !have[ip] {
			have[ip] = true
			if err := take(fd, len(have), ip); err != nil {
				return nil, fmt.Errorf("the address %s: %w", ip, err)
			}
		}
		l, err := net.Listen("tcp", a) //nolint:noctx // in an empty network
		if err != nil {
			return nil, fmt.Errorf("listen on %s: %w", a, err)
		}
		tcp, ok := l.(*net.TCPListener)
		if !ok {
			return nil, errors.New("no TCP listener")
		}
		f, err := tcp.File()
		if err != nil {
			return nil, err
		}
		_ = l.Close()
		out = append(out, f)
	}
	return out, nil
}

// take gives the loopback interface one more address, and that one alone.
func take(fd, n int, a netip.Addr) error {
	for _, step := range []struct {
		request uint
		bytes   []byte
	}{{unix.SIOCSIFADDR, a.AsSlice()}, {unix.SIOCSIFNETMASK, []byte{255, 255, 255, 255}}} {
		ifr, err := unix.NewIfreq(fmt.Sprintf("lo:%d", n))
		if err != nil {
			return err
		}
		if err := ifr.SetInet4Addr(step.bytes); err != nil {
			return err
		}
		if err := unix.IoctlIfreq(fd, step.request, ifr); err != nil {
			return err
		}
	}
	return nil
}

func limit(l Limits) error {
	for _, r := range []struct {
		what string
		id   int
		max  uint64
	}{
		{"memory", unix.RLIMIT_DATA, l.Memory},
		{"open files", unix.RLIMIT_NOFILE, l.Files},
		{"processes", unix.RLIMIT_NPROC, l.Processes},
		{"CPU time", unix.RLIMIT_CPU, l.CPU},
		{"file size", unix.RLIMIT_FSIZE, l.FileSize},
	} {
		if r.max == 0 {
			continue
		}
		var have syscall.Rlimit
		if err := syscall.Getrlimit(r.id, &have); err != nil {
			return fmt.Errorf("limit of %s: %w", r.what, err)
		}
		want := min(r.max, have.Max)
		if err := syscall.Setrlimit(r.id, &syscall.Rlimit{Cur: want, Max: want}); err != nil {
			return fmt.Errorf("limit of %s: %w", r.what, err)
		}
	}
	return syscall.Setrlimit(unix.RLIMIT_CORE, &syscall.Rlimit{}) // a core file would hold secrets
}

// watch starts the program and sees it to its end.
func watch(server *net.UnixConn, o order) int {
	cmd := exec.Command(o.Path, o.Args...) //nolint:noctx // the operator's program; ended below
	cmd.Env, cmd.Dir, cmd.Stdout, cmd.Stderr = o.Env, o.Dir, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if o.UID != 0 {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(o.UID), Gid: uint32(o.GID)}
	}
	if err := cmd.Start(); err != nil {
		fmt.Fprintln(os.Stderr, "cannot start the program:", err)
		return codeLost
	}
	hungUp := make(chan struct{})
	var alone atomic.Bool
	go func() {
		defer close(hungUp)
		alone.Store(listen(server, o.Silence))
	}()
	ended := make(chan struct{})
	go func() {
		select {
		case <-ended:
			return
		case <-hungUp:
		}
		grace := o.Grace
		if alone.Load() { // nobody takes what it would save, and a peer may soon begin
			grace = min(grace, o.Silence/2)
		}
		_ = cmd.Process.Signal(syscall.SIGINT)
		select {
		case <-ended:
		case <-time.After(grace):
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		}
	}()
	err := cmd.Wait()
	close(ended)
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // what it left behind
	if alone.Load() {
		return codeAlone
	}
	if err != nil && cmd.ProcessState == nil {
		return codeLost
	}
	if st, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && st.Signaled() {
		return 128 + int(st.Signal())
	}
	return cmd.ProcessState.ExitCode()
}

// listen comes back when the program is to end: the server says so, or has
// died, or (then it is true) has been silent for longer than it may.
func listen(server *net.UnixConn, silence time.Duration) (alone bool) {
	for {
		if silence > 0 {
			if err := server.SetReadDeadline(time.Now().Add(silence)); err != nil {
				return false
			}
		}
		n, err := server.Read(make([]byte, 16))
		if err == nil && n > 0 && silence > 0 {
			continue
		}
		return errors.Is(err, os.ErrDeadlineExceeded)
	}
}

// Dead tells whether nothing of the job with this file can be alive any more.
// A file that is not there is one of a job that never began.
func Dead(alive string) (bool, error) {
	fd, err := unix.Open(alive, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0)
	if errors.Is(err, unix.ENOENT) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	defer func() { _ = unix.Close(fd) }()
	switch err := unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB); {
	case errors.Is(err, unix.EWOULDBLOCK):
		return false, nil
	case err != nil:
		return false, err
	}
	return true, nil
}

package e2e

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

var (
	torture = flag.Bool("torture", false, "run the long suites (-short leaves out the random kills)")
	seed    = flag.Int64("seed", 0, "repeat the random choices of an earlier run; 0 takes new ones")
	built   = flag.String("binary", "", "try this binary instead of building one")
	only    = flag.String("point", "", "kill at this failpoint alone, as STORE/POOL/NAME#N, STORE-governance/POOL/NAME#N or STORE-sources/POOL/NAME#N")
	lanes   = flag.Int("lanes", 1, "how many scenarios of each store to try side by side, each on a PostgreSQL of its own")
	resume  = flag.String("resume", "", "a file of the scenarios that held: those in it are left out, and each that holds is added; one file for one commit")
)

// binary is the fairlead that all tests run; root is where they put things.
var binary, root string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	flag.Parse()
	if *seed == 0 {
		*seed = time.Now().UnixNano() % 1_000_000
	}
	sweep()
	dir, err := os.MkdirTemp("", fmt.Sprintf("fairlead-e2e-%d-", os.Getpid()))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	root = dir
	_ = os.Chmod(dir, 0o711)
	defer func() {
		stopBoxes()
		_ = os.RemoveAll(dir)
	}()
	binary = filepath.Join(dir, "fairlead")
	if *built != "" {
		binary = *built
		return m.Run()
	}
	// With the flags of `go test`, so that what it has compiled is used again.
	build := exec.Command("go", "build", "-o", binary, "./cmd/fairlead")
	build.Dir = ".."
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// sweep removes what earlier runs left that were killed.
func sweep() {
	left, _ := filepath.Glob(filepath.Join(os.TempDir(), "fairlead-e2e-*"))
	for _, dir := range left {
		pid, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(dir), "fairlead-e2e-"), "-")
		if n, err := strconv.Atoi(pid); err == nil && syscall.Kill(n, 0) == syscall.ESRCH {
			for _, m := range []string{"full", "tables"} {
				_ = syscall.Unmount(filepath.Join(dir, m), syscall.MNT_DETACH)
			}
			_ = os.RemoveAll(dir)
		}
	}
}

var spawner = sync.OnceValue(func() chan func() {
	calls := make(chan func())
	go func() {
		// The parent-death signal follows the thread that forked, so one
		// thread that never ends forks them all.
		runtime.LockOSThread()
		for f := range calls {
			f()
		}
	}()
	return calls
})

// spawn starts a process in a group of its own that dies with this binary.
func spawn(cmd *exec.Cmd) error {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true
	if cmd.SysProcAttr.Pdeathsig == 0 {
		cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	}
	result := make(chan error)
	spawner() <- func() { result <- cmd.Start() }
	return <-result
}

// long leaves a test to `make torture`.
func long(t *testing.T) bool {
	if !*torture {
		t.Log("left to make torture")
	}
	return *torture
}

// eventually polls until f gives "" or the time is over; f says what is wrong.
func eventually(t testing.TB, limit time.Duration, f func() string) {
	t.Helper()
	deadline := time.Now().Add(limit)
	for {
		wrong := f()
		if wrong == "" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("after %s: %s", limit, wrong)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

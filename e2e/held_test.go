package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"fairlead/internal/engine/iac/iactest"
)

// holders are the processes, besides the server, that have its lock or its
// port open.
func holders(t *testing.T, s *server) (list []string) {
	t.Helper()
	pid := fmt.Sprint(s.cmd.Process.Pid)
	held := map[string]bool{filepath.Join(s.dir, "lock"): true}
	table, err := os.ReadFile("/proc/" + pid + "/net/tcp")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := strings.Cut(s.addr, ":")
	n := 0
	_, _ = fmt.Sscan(port, &n)
	for _, line := range strings.Split(string(table), "\n") {
		f := strings.Fields(line)
		if len(f) > 9 && f[3] == "0A" && strings.HasSuffix(f[1], fmt.Sprintf(":%04X", n)) {
			held["socket:["+f[9]+"]"] = true
		}
	}
	if len(held) != 2 {
		t.Fatalf("the port is not listened on: %v", held)
	}
	own := 0
	fds, _ := filepath.Glob("/proc/[0-9]*/fd/*")
	for _, fd := range fds {
		to, err := os.Readlink(fd)
		if err != nil || !held[to] {
			continue
		}
		of := strings.Split(fd, "/")[2]
		if of == pid {
			own++
			continue
		}
		cmdline, _ := os.ReadFile("/proc/" + of + "/cmdline")
		list = append(list, of+" "+strings.ReplaceAll(string(cmdline), "\x00", " ")+": "+to)
	}
	if own != 2 {
		t.Fatalf("the server has %d of its lock and its port: the test is not what it says", own)
	}
	return list
}

// A program that the server starts has the lock and the port until it is that
// program, and no longer: launchers, what they launch and PostgreSQL live on
// without, so that the next start waits for none of them.
func TestNothingThatIsStartedKeepsTheLockOrThePort(t *testing.T) {
	t.Parallel()
	nobody := func(t *testing.T, s *server) {
		t.Helper()
		eventually(t, 5*time.Second, func() string {
			if list := holders(t, s); len(list) > 0 {
				return "the server's lock or port is held by " + strings.Join(list, "; ")
			}
			return ""
		})
	}
	again := func(s *server) {
		s.signal(syscall.SIGKILL)
		<-s.gone()
		s.start()
	}
	t.Run("modules", func(t *testing.T) {
		t.Parallel()
		h := newShop(t, iactest.Programs(t)[0])
		h.slow("1h")
		m := h.machine(15*time.Second, "")
		h.wants(m)
		h.awaits("b")
		if len(m.programs()) == 0 {
			t.Fatal("nothing is at work: the test is not what it says")
		}
		nobody(t, m.server)
		again(m.server)
		nobody(t, m.server)
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		s := ownServer(t)
		s.start()
		if len(postgresOf(s)) == 0 {
			t.Fatal("PostgreSQL does not run: the test is not what it says")
		}
		nobody(t, s)
		again(s)
		s.stop()
		noPostgres(t, s, "after a graceful stop")
	})
}

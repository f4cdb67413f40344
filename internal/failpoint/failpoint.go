package failpoint

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
)

type state struct {
	mu     sync.Mutex
	name   string
	nth    int
	sig    syscall.Signal
	passed int
	trace  *os.File
}

var armed atomic.Pointer[state]

func init() {
	spec, trace := os.Getenv("FAIRLEAD_FAILPOINT"), os.Getenv("FAIRLEAD_FAILPOINT_TRACE")
	if spec == "" && trace == "" {
		return
	}
	s, err := parse(spec)
	if err == nil && trace != "" {
		s.trace, err = os.OpenFile(trace, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600) //nolint:gosec // named by whoever starts the server
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "FAIRLEAD_FAILPOINT:", err)
		os.Exit(2)
	}
	armed.Store(s)
}

func parse(spec string) (*state, error) {
	s := &state{nth: 1, sig: syscall.SIGKILL}
	name, action, _ := strings.Cut(spec, "=")
	switch action {
	case "", "kill":
	case "stop":
		s.sig = syscall.SIGSTOP
	default:
		return nil, fmt.Errorf("unknown action %q (want kill or stop)", action)
	}
	name, nth, counted := strings.Cut(name, "#")
	if counted {
		n, err := strconv.Atoi(nth)
		if err != nil || n < 1 {
			return nil, fmt.Errorf("%q is not a count", nth)
		}
		s.nth = n
	}
	s.name = name
	return s, nil
}

// Hit passes the point called name. It costs one atomic load when nothing is
// armed. When this is the armed passing, it does not return (kill), or returns
// when someone sends SIGCONT (stop).
func Hit(name string) {
	s := armed.Load()
	if s == nil {
		return
	}
	s.hit(name)
}

func (s *state) hit(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.trace != nil {
		_, _ = s.trace.WriteString(name + "\n")
	}
	if name != s.name {
		return
	}
	if s.passed++; s.passed != s.nth {
		return
	}
	_ = syscall.Kill(os.Getpid(), s.sig)
	if s.sig == syscall.SIGKILL {
		select {} // the signal is on its way; nothing after this point may run
	}
}

package sandbox

import (
	"syscall"
	"time"
)

// Spare waits for the launcher that waits, and gives its process.
func (p *Pool) Spare() int {
	for range 2000 {
		p.mu.Lock()
		l := p.spare
		p.mu.Unlock()
		if l != nil {
			return l.cmd.Process.Pid
		}
		time.Sleep(5 * time.Millisecond)
	}
	return 0
}

// Kill kills a process, of this package's own children.
func Kill(pid int) error { return syscall.Kill(pid, syscall.SIGKILL) }

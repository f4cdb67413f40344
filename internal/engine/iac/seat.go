package iac

import (
	"context"
	"os"
	"os/user"
	"strconv"
)

// firstAccount begins a range of user ids that neither Linux distributions nor
// systemd give to anybody. Each program at work has one of its own, so that
// runs cannot touch each other either.
const firstAccount = 60800

// seat is the place of one program at work.
type seat struct{ uid int } // 0: the server's own account

func seats(n int) chan seat {
	all := make(chan seat, n)
	uid := 0
	if os.Geteuid() == 0 {
		uid = firstAccount
	}
	for len(all) < n {
		if uid != 0 {
			for taken(uid) {
				uid++
			}
		}
		all <- seat{uid}
		if uid != 0 {
			uid++
		}
	}
	return all
}

func taken(uid int) bool {
	_, err := user.LookupId(strconv.Itoa(uid))
	return err == nil
}

// sit waits for a seat.
func (e *Engine) sit(ctx context.Context) (s seat, up func(), err error) {
	select {
	case s = <-e.seats:
		return s, func() { e.seats <- s }, nil
	case <-ctx.Done():
		return s, nil, interrupted(ctx)
	}
}

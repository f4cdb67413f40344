package iac

import (
	"context"
	"os"
	"os/user"
	"strconv"
	"time"
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

// sitIfFree takes a seat that nobody is waiting for, if there is one.
func (e *Engine) sitIfFree() (s seat, up func(), ok bool) {
	select {
	case s = <-e.seats:
		return s, func() { e.seats <- s }, true
	default:
		return s, nil, false
	}
}

// backgroundNice lets the programs that somebody waits for go first.
const backgroundNice = 10

// stand waits for a place among those that nobody waits for: they have half of
// the seats at most, so that whoever comes with something to do finds one.
func (e *Engine) stand(ctx context.Context) (leave func(), err error) {
	select {
	case e.background <- struct{}{}:
		return func() { <-e.background }, nil
	case <-ctx.Done():
		return nil, interrupted(ctx)
	}
}

// ObserveAtOnce implements engine.Looker.
func (e *Engine) ObserveAtOnce() int { return max(8, 4*cap(e.background)) }

// ObserveEvery implements engine.Looker.
func (e *Engine) ObserveEvery() time.Duration { return e.every }

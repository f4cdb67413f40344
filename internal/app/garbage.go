package app

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"

	"fairlead/internal/app/early"
)

// calm is for when a start is over, which makes its garbage without stopping to
// collect it (see early). It waits until the first rush is over too, hands the
// memory that nobody needs any more back to the system, and then lets the
// collector be as generous as the load asks for.
func calm(ctx context.Context) {
	select {
	case <-ctx.Done():
		return
	case <-time.After(time.Second):
		debug.FreeOSMemory()
		debug.SetGCPercent(early.Usual)
	}
	if os.Getenv("GOGC") == "" { // else somebody has decided
		adapt(ctx, early.Usual)
		debug.SetGCPercent(early.Usual)
	}
}

const (
	garbage    = 64 << 20 // bytes of it, at most, beyond the usual
	often      = 3        // collections a second: busy
	quietAfter = 30       // seconds with less than one each
)

// thrift decides once a second how much garbage there may be. What lives in
// this program is small, so that under load Go collects many times a second, a
// sixth of all its work; the same load with some tens of megabytes more is
// that much cheaper. A server that nobody asks gives them back.
type thrift struct {
	usual    int // per cent
	generous bool
	quiet    int // seconds
}

// next takes the collections of the last second and what lives, in bytes. Of
// percent 0 nothing changes; release is to give memory back to the system.
func (t *thrift) next(collections, live uint64) (percent int, release bool) {
	if collections > 0 {
		t.quiet = 0
	} else {
		t.quiet++
	}
	switch {
	case collections >= often:
		t.generous = true
		return max(t.usual, min(early.MostGarbage, int(garbage*100/max(live, 1)))), false
	case t.generous && t.quiet >= quietAfter:
		t.generous = false
		return t.usual, true
	}
	return 0, false
}

// adapt applies thrift until ctx ends. A limit of memory (GOMEMLIMIT) holds
// whatever it says.
func adapt(ctx context.Context, usual int) {
	seen := []metrics.Sample{{Name: "/gc/cycles/total:gc-cycles"}, {Name: "/gc/heap/live:bytes"}}
	metrics.Read(seen)
	before := seen[0].Value.Uint64()
	t, set := thrift{usual: usual}, usual
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		metrics.Read(seen)
		now := seen[0].Value.Uint64()
		percent, release := t.next(now-before, seen[1].Value.Uint64())
		before = now
		if percent != 0 && percent != set {
			debug.SetGCPercent(percent)
			set = percent
		}
		if release {
			debug.FreeOSMemory()
		}
	}
}

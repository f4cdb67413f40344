package httpx

import (
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"fairlead/internal/fault"
)

// Rate is how much one caller may ask: PerSecond in the long run, Burst at
// once. A negative PerSecond is no limit.
type Rate struct {
	PerSecond float64
	Burst     int
}

func (r Rate) or(std Rate) Rate {
	if r.PerSecond == 0 {
		return std
	}
	if r.Burst <= 0 {
		r.Burst = max(1, int(r.PerSecond))
	}
	return r
}

// caller is whom a bucket belongs to: a principal, or an address.
type caller struct {
	id   string
	addr netip.Addr
}

// bucketOf gives the address that is counted: of IPv6 the /64, which is what
// one customer gets, so that nobody has 2^64 buckets.
func bucketOf(a netip.Addr) netip.Addr {
	if a.Is6() {
		if p, err := a.WithZone("").Prefix(64); err == nil {
			return p.Addr()
		}
	}
	return a
}

// maxCallers bounds the memory: about 100 bytes each.
const maxCallers = 20_000

// limiter is a token bucket for each caller, kept as the one time at which the
// bucket is full again (GCRA). The least recently seen are forgotten first: by
// then their buckets are full anyway, unless there are more callers at once
// than maxCallers.
type limiter struct {
	off      bool
	step     time.Duration // one request's worth
	depth    time.Duration // the whole bucket's
	limit    []string      // RateLimit-Limit, the same for all
	policy   []string
	mu       sync.Mutex
	callers  map[caller]*bucket
	newest   bucket // the ring's anchor: next is the newest, prev the oldest
	capacity int
}

type bucket struct {
	who        caller
	full       time.Time
	prev, next *bucket
}

func newLimiter(r Rate) *limiter {
	l := &limiter{off: r.PerSecond < 0, callers: map[caller]*bucket{}, capacity: maxCallers}
	l.newest.prev, l.newest.next = &l.newest, &l.newest
	if l.off {
		return l
	}
	l.step = time.Duration(float64(time.Second) / r.PerSecond)
	l.depth = l.step * time.Duration(r.Burst)
	window := max(1, int((l.depth+time.Second-1)/time.Second))
	l.limit = []string{strconv.Itoa(r.Burst)}
	l.policy = []string{`"default";q=` + strconv.Itoa(r.Burst) + `;w=` + strconv.Itoa(window)}
	return l
}

// take counts one request at now and writes the standard headers, both the
// three old ones and the draft's two. It gives 0, or the seconds to wait.
func (l *limiter) take(who caller, now time.Time, h http.Header) (wait int) {
	if l.off {
		return 0
	}
	l.mu.Lock()
	b := l.callers[who]
	if b == nil {
		b = l.add(who)
	} else {
		b.prev.next, b.next.prev = b.next, b.prev
	}
	b.prev, b.next = &l.newest, l.newest.next
	b.prev.next, b.next.prev = b, b
	if b.full.Before(now) {
		b.full = now
	}
	used := b.full.Sub(now)
	if used+l.step <= l.depth {
		used += l.step
		b.full = now.Add(used)
	} else {
		wait = max(1, int((used+l.step-l.depth+time.Second-1)/time.Second))
	}
	l.mu.Unlock()

	// One string holds all three values and one slice their places: this is
	// done for every request.
	var buf [64]byte
	text := strconv.AppendInt(buf[:0], int64((l.depth-used)/l.step), 10)
	r := len(text)
	text = strconv.AppendInt(text, int64((used+time.Second-1)/time.Second), 10)
	t := len(text)
	text = append(append(text, `"default";r=`...), text[:r]...)
	text = append(append(text, `;t=`...), text[r:t]...)
	all := string(text)
	values := []string{all[:r], all[r:t], all[t:]}
	h["Ratelimit-Limit"] = l.limit
	h["Ratelimit-Policy"] = l.policy
	h["Ratelimit-Remaining"] = values[0:1:1]
	h["Ratelimit-Reset"] = values[1:2:2]
	h["Ratelimit"] = values[2:3:3]
	return wait
}

func (l *limiter) add(who caller) *bucket {
	var b *bucket
	if len(l.callers) >= l.capacity {
		b = l.newest.prev
		b.prev.next, b.next.prev = b.next, b.prev
		delete(l.callers, b.who)
		*b = bucket{who: who}
	} else {
		b = &bucket{who: who}
	}
	l.callers[who] = b
	return b
}

// maxStreams is how many streams one caller may have open: each holds a
// connection and a goroutine for as long as the caller likes.
const maxStreams = 64

// streams counts the open streams of each caller.
type streams struct {
	mu   sync.Mutex
	open map[caller]int
}

// enter counts one more, or says no. What it gives ends it.
func (s *streams) enter(who caller) (leave func(), ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open[who] >= maxStreams {
		return nil, false
	}
	s.open[who]++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.open[who]--; s.open[who] == 0 {
			delete(s.open, who)
		}
	}, true
}

func tooManyStreams() error {
	return fault.New(fault.Limited, "too_many_streams", "%d streams are open already", maxStreams).
		WithHint("close one first").WithRetryAfter(5)
}

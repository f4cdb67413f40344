package webui

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"fairlead/internal/fault"
	"fairlead/internal/httpx"
	"fairlead/internal/principal"
)

const (
	liveEvery  = 5 * time.Second        // wake-ups get lost, and some changes have no topic
	liveAtMost = 250 * time.Millisecond // between two looks: a busy run does not make a busy page
)

// stampTag makes a stamp fit for an event's id.
func stampTag(stamp string) string {
	sum := sha256.Sum256([]byte(stamp))
	return hex.EncodeToString(sum[:9])
}

// live tells a page when it is out of date: one stream a tab, for the page
// that it shows and for the bell. The stamp that the page was made with, or
// that the last event had, says where it goes on: what changed while nobody
// listened is told at once. The page then asks for itself again, so that what
// it shows is made, and authorised, in one place alone.
func (p *Portal) live(w http.ResponseWriter, r *http.Request) {
	live, of, err := p.liveOf(r)
	if err != nil {
		w.WriteHeader(httpx.Status(fault.KindOf(err)))
		return
	}
	seen := r.Header.Get("Last-Event-ID")
	if seen == "" {
		seen = r.URL.Query().Get("seen")
	}
	stamp, topics, err := live.look(of)
	if err != nil {
		w.WriteHeader(httpx.Status(fault.KindOf(err)))
		return
	}
	if live.still() { // its page changes by its reader's hand alone
		seen = stampTag(stamp)
	}
	wake, stopWaking := p.wakeUp(topics)
	defer func() { stopWaking() }()
	bell := p.listen(r)
	defer bell.stop()
	ctx, cancel := context.WithCancel(r.Context())
	out, stop := httpx.EventStream(ctx, w, cancel)
	defer stop()
	for {
		if tag := stampTag(stamp); tag != seen {
			if out.Send(tag, "changed", struct{}{}) != nil {
				return
			}
			seen = tag
		}
		if n, news := bell.rings(of.Context()); news && out.Send("", "bell", map[string]int{"unread": n}) != nil {
			return
		}
		if !pause(ctx, wake, bell.wake, liveEvery+rand.N(time.Second)) {
			return
		}
		// The right to look is asked for again each time, by the same page.
		var next []string
		stamp, next, err = live.look(of)
		switch {
		case fault.Is(err, fault.Unavailable):
		case err != nil:
			_ = out.Send("", "gone", struct{}{})
			return
		case !same(topics, next):
			stopWaking()
			topics = next
			wake, stopWaking = p.wakeUp(topics)
		}
	}
}

// listener is a stream's ear for the bell. It counts when it was woken, and now
// and then, because wake-ups get lost; not each time the page is looked at.
type listener struct {
	bell  *Bell
	wake  <-chan struct{}
	stop  func()
	heard <-chan struct{} // what wake was put through
	shown int             // by the page; -1: it does not say
	next  time.Time
}

const bellEvery = 30 * time.Second

func (p *Portal) listen(r *http.Request) *listener {
	who := principal.From(r.Context())
	if p.o.Bell == nil || who.Kind != principal.User {
		return &listener{stop: func() {}}
	}
	l := &listener{bell: p.o.Bell, shown: -1}
	if n, err := strconv.Atoi(r.URL.Query().Get("bell")); err == nil {
		l.shown = n
	}
	heard := make(chan struct{}, 1)
	from, stop := p.wakeUp([]string{p.o.Bell.Topic(who)})
	out, done := make(chan struct{}, 1), make(chan struct{})
	go func() {
		for {
			select {
			case <-done:
				return
			case <-from:
				for _, ch := range []chan struct{}{heard, out} {
					select {
					case ch <- struct{}{}:
					default:
					}
				}
			}
		}
	}()
	l.wake, l.heard = out, heard
	l.stop = func() { close(done); stop() }
	return l
}

// rings counts if there is a reason to, and tells whether the count is news.
func (l *listener) rings(ctx context.Context) (int, bool) {
	if l.bell == nil {
		return 0, false
	}
	select {
	case <-l.heard:
	default:
		if time.Now().Before(l.next) {
			return 0, false
		}
	}
	l.next = time.Now().Add(bellEvery)
	n, err := l.bell.Count(ctx)
	if err != nil || n == l.shown {
		return 0, false
	}
	l.shown = n
	return n, true
}

func same(a, b []string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// pause waits for a change that somebody told of, or for every; false when the
// client is gone.
func pause(ctx context.Context, wake, bell <-chan struct{}, every time.Duration) bool {
	t := time.NewTimer(every)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	case <-wake:
	case <-bell:
	}
	select { // what comes in a burst is looked at once
	case <-ctx.Done():
		return false
	case <-time.After(liveAtMost):
		return true
	}
}

const maxTopics = 64

func (p *Portal) wakeUp(topics []string) (<-chan struct{}, func()) {
	wake := make(chan struct{}, 1)
	if p.o.Subscribe == nil {
		return wake, func() {}
	}
	done := make(chan struct{})
	var stops []func()
	for _, topic := range topics[:min(len(topics), maxTopics)] {
		from, stop := p.o.Subscribe(topic)
		stops = append(stops, stop)
		go func() {
			for {
				select {
				case <-done:
					return
				case <-from:
					select {
					case wake <- struct{}{}:
					default:
					}
				}
			}
		}()
	}
	return wake, func() {
		close(done)
		for _, stop := range stops {
			stop()
		}
	}
}

// watched is a page that somebody looks at: one that updates by itself, or one
// where only the bell does.
type watched struct{ live Live }

func (w watched) still() bool { return w.live == nil }

func (w watched) look(r *Request) (string, []string, error) {
	if w.live == nil {
		return "", nil, nil
	}
	return w.live(r)
}

// liveOf finds the page that a stream is for.
func (p *Portal) liveOf(r *http.Request) (watched, *Request, error) {
	none := fault.New(fault.NotFound, "not_live", "there is no live page at this address").WithHint("open the page, which asks by itself")
	u, err := url.Parse(Local(r.URL.Query().Get("page")))
	if err != nil {
		return watched{}, nil, none
	}
	of := r.Clone(r.Context())
	of.URL, of.Method, of.RequestURI = u, http.MethodGet, u.RequestURI()
	h, pattern := p.pages.Handler(of)
	pg, ok := h.(pageHandler)
	switch {
	case p.o.Bell == nil && (!ok || pg.live == nil):
		return watched{}, nil, none
	case !ok: // what a form answered, or an error: the bell rings there, too
		return watched{}, &Request{of}, nil
	}
	setPathValues(of, pattern)
	return watched{pg.live}, &Request{of}, nil
}

package webui

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"math/rand/v2"
	"net/http"
	"net/url"
	"time"

	"fairlead/internal/fault"
	"fairlead/internal/httpx"
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
// that it shows. The stamp that the page was made with, or that the last event
// had, says where it goes on: what changed while nobody listened is told at
// once. The page then asks for itself again, so that what it shows is made,
// and authorised, in one place alone.
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
	stamp, topics, err := live(of)
	if err != nil {
		w.WriteHeader(httpx.Status(fault.KindOf(err)))
		return
	}
	wake, stopWaking := p.wakeUp(topics)
	defer func() { stopWaking() }()
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
		if !pause(ctx, wake, liveEvery+rand.N(time.Second)) {
			return
		}
		// The right to look is asked for again each time, by the same page.
		var next []string
		stamp, next, err = live(of)
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
func pause(ctx context.Context, wake <-chan struct{}, every time.Duration) bool {
	t := time.NewTimer(every)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	case <-wake:
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

// liveOf finds the page that a stream is for.
func (p *Portal) liveOf(r *http.Request) (Live, *Request, error) {
	none := fault.New(fault.NotFound, "not_live", "there is no live page at this address").WithHint("open the page, which asks by itself")
	u, err := url.Parse(Local(r.URL.Query().Get("page")))
	if err != nil {
		return nil, nil, none
	}
	of := r.Clone(r.Context())
	of.URL, of.Method, of.RequestURI = u, http.MethodGet, u.RequestURI()
	h, pattern := p.pages.Handler(of)
	pg, ok := h.(pageHandler)
	if !ok || pg.live == nil {
		return nil, nil, none
	}
	setPathValues(of, pattern)
	return pg.live, &Request{of}, nil
}

package sqldb

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
)

const pgChannel = "fairlead"

// hub hands wake-ups to the subscribers of this process.
type hub struct {
	mu   sync.Mutex
	subs map[string]map[chan string]struct{}
}

// Subscribe gives a channel of the payloads notified on topic, here or by
// another replica, and a function that ends it. The channel holds one wake-up:
// while it is full further ones are dropped, so a reader looks at the state,
// not at the payload alone, and polls slowly besides.
func (db *DB) Subscribe(topic string) (<-chan string, func()) {
	ch := make(chan string, 1)
	h := &db.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.subs == nil {
		h.subs = map[string]map[chan string]struct{}{}
	}
	if h.subs[topic] == nil {
		h.subs[topic] = map[chan string]struct{}{}
	}
	h.subs[topic][ch] = struct{}{}
	return ch, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.subs[topic], ch)
		if len(h.subs[topic]) == 0 {
			delete(h.subs, topic)
		}
	}
}

func (h *hub) publish(topic, payload string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for ch := range h.subs[topic] {
		select {
		case ch <- payload:
		default:
		}
	}
}

// wakeAll is for after a gap in listening: nobody knows what was missed.
func (h *hub) wakeAll() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, chans := range h.subs {
		for ch := range chans {
			select {
			case ch <- "":
			default:
			}
		}
	}
}

// listenLoop keeps one connection listening, and says so when it could not.
func (db *DB) listenLoop(ctx context.Context) {
	defer db.done.Done()
	for wait := 100 * time.Millisecond; ctx.Err() == nil; wait = min(2*wait, 5*time.Second) {
		err := db.listen(ctx, func() { wait = 100 * time.Millisecond })
		if ctx.Err() != nil {
			return
		}
		db.log.Warn("listening for wake-ups was interrupted; polling goes on", "error", err)
		select {
		case <-time.After(wait):
		case <-ctx.Done():
		}
	}
}

func (db *DB) listen(ctx context.Context, up func()) error {
	conn, err := pgx.Connect(ctx, db.pgURL)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	if _, err := conn.Exec(ctx, `LISTEN `+pgChannel); err != nil {
		return err
	}
	up()
	db.hub.wakeAll()
	for {
		n, err := conn.WaitForNotification(ctx)
		if err != nil {
			return err
		}
		topic, payload, _ := strings.Cut(n.Payload, "\x1f")
		db.hub.publish(topic, payload)
	}
}

type stats struct{ groups, writes, retried atomic.Int64 }

// Stats counts commits, the writes that shared them, and groups run again
// after a deadlock, since the start.
func (db *DB) Stats() (groups, writes, retried int64) {
	return db.stats.groups.Load(), db.stats.writes.Load(), db.stats.retried.Load()
}

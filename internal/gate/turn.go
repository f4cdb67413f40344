package gate

import (
	"context"
	"sync"
)

// atOnce is how many requests of one principal are judged at the same time;
// the others wait. Rules may take long over large inputs, and one who asks for
// a lot must not keep the rest from being answered.
const atOnce = 4

// turns hands them out.
type turns struct {
	mu   sync.Mutex
	busy map[string]*turn
}

type turn struct {
	slots chan struct{}
	users int // that hold or wait for a slot
}

// take waits for a turn of key and gives what ends it.
func (t *turns) take(ctx context.Context, key string) (end func(), err error) {
	t.mu.Lock()
	if t.busy == nil {
		t.busy = map[string]*turn{}
	}
	one := t.busy[key]
	if one == nil {
		one = &turn{slots: make(chan struct{}, atOnce)}
		t.busy[key] = one
	}
	one.users++
	t.mu.Unlock()
	leave := func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if one.users--; one.users == 0 {
			delete(t.busy, key)
		}
	}
	select {
	case one.slots <- struct{}{}:
		return func() { <-one.slots; leave() }, nil
	case <-ctx.Done():
		leave()
		return nil, ctx.Err()
	}
}

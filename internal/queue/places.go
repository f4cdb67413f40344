package queue

import (
	"context"
	"sync"
	"time"
)

// places are how many claims of one lane a runner may have at once, and who
// has them. A place is taken for a claim before there is one: by the lane's
// loop, which then looks for what is due, or by a transaction that asks for
// work, for just that.
type places struct {
	lane string
	all  int
	kick chan struct{} // the loop has a reason to look at the places again

	mu      sync.Mutex
	base    context.Context // of the handlers; nil while the runner does not run
	free    int
	look    bool // something may be due that was not looked for since
	backlog bool // the last look filled every place: more may be waiting
	taken   sync.WaitGroup
}

func newPlaces(lane string, all int) *places {
	return &places{lane: lane, all: all, kick: make(chan struct{}, 1)}
}

// open lets places be taken; handlers run under base. There is a look to be
// had: nobody knows what was left.
func (p *places) open(base context.Context) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.base, p.free, p.look = base, p.all, true
}

// shut lets no more places be taken, and waits until all are given back: what
// is being committed is handed over, and told to stop.
func (p *places) shut() {
	p.mu.Lock()
	p.base = nil
	p.mu.Unlock()
	p.taken.Wait()
}

// reserve takes a place for work that is being asked for. There is none while
// the loop has reason to look for what is due: that comes first. Nor with half
// of the places taken: what is asked for by many is claimed with fewer
// statements together than each by itself.
func (p *places) reserve() (base context.Context, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.base == nil || p.look || 2*p.free <= p.all {
		return nil, false
	}
	p.free--
	p.taken.Add(1)
	return p.base, true
}

// vacate gives one place back. again says that something may be due now.
func (p *places) vacate(again bool) {
	p.mu.Lock()
	p.free++
	p.look = p.look || again
	wanted := p.look
	p.mu.Unlock()
	p.taken.Done()
	if wanted {
		p.nudge()
	}
}

// stale says that something may be due.
func (p *places) stale() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.look = true
}

// takeFree takes all free places when there is reason to look for what is due.
func (p *places) takeFree() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.look || p.free == 0 {
		return 0
	}
	n := p.free
	p.free, p.look = 0, false
	p.taken.Add(n)
	return n
}

// looked gives back the places for which a look found nothing; with none left
// over, more may be due.
func (p *places) looked(unused int, backlog bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.free += unused
	p.backlog = backlog
	p.look = p.look || backlog
	p.taken.Add(-unused)
}

func (p *places) nudge() {
	select {
	case p.kick <- struct{}{}:
	default:
	}
}

// gather waits, behind a backlog, a moment until a quarter of the places has
// fallen free: what ends together is filled together, and a look for each
// place would cost more than the moment does.
func (p *places) gather() {
	var over *time.Timer
	for p.few() {
		if over == nil {
			over = time.NewTimer(gatherFor)
			defer over.Stop()
		}
		select {
		case <-p.kick:
		case <-over.C:
			return
		}
	}
}

const gatherFor = 2 * time.Millisecond

// few tells whether it is worth waiting for more places.
func (p *places) few() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.backlog && p.free > 0 && p.free < (p.all+3)/4
}

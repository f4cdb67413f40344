package resource

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	"fairlead/internal/failpoint"
	"fairlead/internal/sqldb"
)

const (
	logFlush   = 250 * time.Millisecond // how far a live log may be behind
	logMaxLine = 2000                   // bytes
	logMaxBuf  = 1000                   // lines between two flushes; more are counted, not kept
)

// runLog collects a run's lines and writes them along with the run's own
// writes, or by itself while an engine is at work. It is an engine.Progress.
type runLog struct {
	w       *work
	mu      sync.Mutex
	phase   string
	lines   []LogLine
	last    int64 // number of the last line that there is, or was to be: whoever has the claim is the only one who writes
	dropped int
}

func newRunLog(w *work) *runLog { return &runLog{w: w, phase: "queued"} }

// Step implements engine.Progress.
func (l *runLog) Step(format string, args ...any) { l.add("info", fmt.Sprintf(format, args...)) }

// step notes a line of a phase, and stays in it.
func (l *runLog) step(phase, format string, args ...any) {
	l.mu.Lock()
	l.phase = phase
	l.mu.Unlock()
	l.Step(format, args...)
}

func (l *runLog) add(level, message string) {
	message = l.w.text(message) // before it is cut: half a secret would not be found
	if len(message) > logMaxLine {
		message = clean(message[:logMaxLine]) + "…"
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.lines) >= logMaxBuf {
		l.dropped++
		return
	}
	l.lines = append(l.lines, LogLine{At: failpoint.Now().UTC(), Phase: l.phase, Level: level, Message: message})
}

func (l *runLog) take() []LogLine {
	l.mu.Lock()
	defer l.mu.Unlock()
	lines := l.lines
	if l.dropped > 0 {
		lines = append(lines, LogLine{At: failpoint.Now().UTC(), Phase: l.phase, Level: "warn", Message: itoa(l.dropped) + " lines were too many and are not kept"})
	}
	for i := range lines {
		l.last++
		lines[i].Seq = l.last
	}
	l.lines, l.dropped = nil, 0
	return lines
}

// next gives the number of a line that is written beside those that take gives.
func (l *runLog) next() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last++
	return l.last
}

// putBack keeps lines whose write has failed, or may have: the next take gives
// them new numbers, for those that they had may be taken after all.
func (l *runLog) putBack(lines []LogLine) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(lines, l.lines...)
}

// stream writes lines as they come while an engine is at work, until the
// returned function is called.
func (l *runLog) stream(ctx context.Context, phase string) (stop func()) {
	l.mu.Lock()
	l.phase = phase
	l.mu.Unlock()
	done := make(chan struct{})
	var flushing sync.WaitGroup
	flushing.Go(func() {
		tick := time.NewTicker(logFlush)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			l.mu.Lock()
			some := len(l.lines) > 0
			l.mu.Unlock()
			if some { // a failure keeps the lines for the next write
				_ = l.w.write(ctx, "run.log", func(*sqldb.Tx) error { return nil })
			}
		}
	})
	return func() { close(done); flushing.Wait() }
}

func itoa(n int) string { return strconv.Itoa(n) }

package clikit

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/mattn/go-runewidth"
)

// Progress shows something that goes on: on a terminal one live line below
// the steps that are done, elsewhere a plain line for each change. It writes
// to standard error and is safe for concurrent use.
type Progress struct {
	mu      sync.Mutex
	w       io.Writer
	style   Style
	live    bool
	off     bool
	label   string
	phase   string
	last    string
	started time.Time
	phased  time.Time
	frame   int
	drawn   bool
	stop    chan struct{}
	ended   sync.WaitGroup
}

var frames = []string{"⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"}

// Progress starts showing; End must be called.
func (c *CLI) Progress(label string) *Progress {
	p := &Progress{w: c.err, style: c.errStyle, off: c.flagQuiet, label: clean(label), started: time.Now(), phased: time.Now(), stop: make(chan struct{})}
	p.live = !p.off && isTerminal(c.err) && c.getenv("TERM") != "dumb"
	if p.live {
		p.ended.Go(p.animate)
	}
	return p
}

func (p *Progress) animate() {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-p.stop:
			return
		case <-tick.C:
			p.mu.Lock()
			p.frame++
			p.draw()
			p.mu.Unlock()
		}
	}
}

// Shown tells whether anybody sees what goes on: with --quiet nobody does.
func (p *Progress) Shown() bool { return !p.off }

// Phase says what is being done now. The phase before becomes a line of its own.
func (p *Progress) Phase(phase string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if phase == "" || phase == p.phase {
		return
	}
	p.settle("✓", p.style.Green)
	p.phase, p.phased, p.last = clean(phase), time.Now(), ""
	if !p.live {
		p.plain(p.phase, "")
		return
	}
	p.draw()
}

// Log is one line of the log. Info is shown live; warnings and errors stay.
func (p *Progress) Log(level, message string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	message = clean(message)
	if !p.live {
		prefix := ""
		if level == "warn" || level == "error" {
			prefix = level + ": "
		}
		p.plain(p.phase, prefix+message)
		return
	}
	switch level {
	case "warn", "error":
		p.erase()
		paint := p.style.Yellow
		if level == "error" {
			paint = p.style.Red
		}
		_, _ = fmt.Fprintf(p.w, "  %s %s\n", paint("!"), message)
	default:
		p.last = message
	}
	p.draw()
}

// End takes the live line away and says how it ended; with an empty format,
// that it did not end while somebody looked.
func (p *Progress) End(ok bool, format string, args ...any) {
	p.mu.Lock()
	select {
	case <-p.stop:
		p.mu.Unlock()
		return
	default:
	}
	close(p.stop)
	p.mu.Unlock()
	p.ended.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	mark, paint := "✓", p.style.Green
	switch {
	case format == "":
		mark, paint = "…", p.style.Yellow
	case !ok:
		mark, paint = "✗", p.style.Red
	}
	p.settle(mark, paint)
	p.erase()
	if p.off || format == "" {
		return
	}
	text := clean(fmt.Sprintf(format, args...))
	if p.live {
		_, _ = fmt.Fprintf(p.w, "%s %s %s\n", paint(mark), text, p.style.Dim(Short(time.Since(p.started))))
	} else {
		_, _ = fmt.Fprintf(p.w, "%s (%s)\n", text, Short(time.Since(p.started)))
	}
}

// settle leaves the phase that ends as a line, on a terminal.
func (p *Progress) settle(mark string, paint func(string) string) {
	if !p.live || p.phase == "" {
		return
	}
	p.erase()
	text := p.phase
	if p.last != "" {
		text += p.style.Dim("  " + p.last)
	}
	_, _ = fmt.Fprintf(p.w, "  %s %s %s\n", paint(mark), text, p.style.Dim(Short(time.Since(p.phased))))
	p.phase = ""
}

func (p *Progress) plain(phase, message string) {
	if p.off {
		return
	}
	parts := []string{p.label}
	if phase != "" {
		parts = append(parts, phase)
	}
	if message != "" {
		parts = append(parts, message)
	}
	_, _ = fmt.Fprintln(p.w, strings.Join(parts, ": "))
}

func (p *Progress) draw() {
	if !p.live {
		return
	}
	width := widthOf(p.w)
	if width <= 0 {
		width = 80
	}
	head := p.label
	if p.phase != "" {
		head += "  " + p.phase
	}
	head += "  " + Short(time.Since(p.started))
	line := runewidth.Truncate(head+"  "+p.last, max(width-4, 10), "…")
	_, _ = fmt.Fprintf(p.w, "\r\x1b[2K%s %s", p.style.Cyan(frames[p.frame%len(frames)]), line)
	p.drawn = true
}

func (p *Progress) erase() {
	if p.drawn {
		_, _ = io.WriteString(p.w, "\r\x1b[2K")
		p.drawn = false
	}
}

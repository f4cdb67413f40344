package calendar

import (
	"time"

	"fairlead/internal/gate"
)

// set is all that holds, as it was read.
type set struct {
	windows   []Window
	schedules []Schedule
	freezes   []Freeze
	read      time.Time // by this process's clock
}

// of gives the windows that decide for e: the narrowest.
func (s *set) of(e gate.Environment) []Window {
	best := -1
	var out []Window
	for _, w := range s.windows {
		if !w.holds(e) {
			continue
		}
		switch rank := w.rank(); {
		case rank > best:
			best, out = rank, []Window{w}
		case rank == best:
			out = append(out, w)
		}
	}
	return out
}

// at tells how it stands for e at t; Until is when what closes it ends, which
// need not open it.
func (s *set) at(e gate.Environment, t time.Time) gate.Window {
	for _, f := range s.freezes {
		if f.covers(e, t) {
			return gate.Window{Closed: true, Name: f.Name, Reason: f.Reason, Until: f.Until}
		}
	}
	var next gate.Window
	for _, w := range s.of(e) {
		if _, open := w.open(t); open {
			return gate.Window{}
		}
		if opens := w.next(t); !next.Closed || !opens.IsZero() && (next.Until.IsZero() || opens.Before(next.Until)) {
			next = gate.Window{Closed: true, Name: w.Name, Reason: "outside the change window", Until: opens}
		}
	}
	return next
}

// window is at, with Until the moment when changes may happen again.
func (s *set) window(e gate.Environment, t time.Time) gate.Window {
	now := s.at(e, t)
	if !now.Closed {
		return now
	}
	for range 1000 { // freezes and windows follow each other
		if now.Until.IsZero() {
			return now
		}
		then := s.at(e, now.Until)
		if !then.Closed {
			return now
		}
		if !then.Until.IsZero() && !then.Until.After(now.Until) {
			break
		}
		now.Until = then.Until
	}
	now.Until = time.Time{}
	return now
}

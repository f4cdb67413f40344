package calendar

import (
	"slices"
	"time"

	_ "time/tzdata" // a machine may have none
)

// moment is when a clock on the wall of loc shows minute of a day. A time that
// clocks jump over is the moment of the jump. Of a time that they show twice it
// is the first, or with last the second: what lasts until then lasts through both.
func moment(year int, month time.Month, dayOf, minute int, loc *time.Location, last bool) time.Time {
	naive := time.Date(year, month, dayOf, minute/60, minute%60, 0, 0, time.UTC)
	var found []time.Time
	for _, near := range []time.Duration{-24 * time.Hour, 24 * time.Hour} {
		_, offset := naive.Add(near).In(loc).Zone()
		t := naive.Add(-time.Duration(offset) * time.Second)
		l := t.In(loc)
		if l.Hour() == naive.Hour() && l.Minute() == naive.Minute() && l.Day() == naive.Day() {
			found = append(found, t)
		}
	}
	if len(found) == 0 { // jumped over
		_, before := naive.Add(-24 * time.Hour).In(loc).Zone()
		start, _ := naive.Add(-time.Duration(before) * time.Second).In(loc).ZoneBounds()
		return start.UTC()
	}
	slices.SortFunc(found, time.Time.Compare)
	if last {
		return found[len(found)-1]
	}
	return found[0]
}

// span is when the window is open that begins on the day that lies days after
// t's; ok is false when none does.
func (w Window) span(t time.Time, days int) (opens, closes time.Time, ok bool) {
	l := t.In(w.location)
	d := time.Date(l.Year(), l.Month(), l.Day()+days, 12, 0, 0, 0, time.UTC)
	if !slices.Contains(w.Weekdays, d.Weekday()) {
		return opens, closes, false
	}
	opens = moment(d.Year(), d.Month(), d.Day(), w.Opens, w.location, false)
	next, closing := 0, w.Closes
	if closing == day || closing <= w.Opens {
		next, closing = 1, closing%day
	}
	closes = moment(d.Year(), d.Month(), d.Day()+next, closing, w.location, true)
	return opens, closes, opens.Before(closes)
}

// open tells whether the window is open at t, and until when.
func (w Window) open(t time.Time) (until time.Time, ok bool) {
	for days := -1; days <= 0; days++ {
		if opens, closes, there := w.span(t, days); there && !t.Before(opens) && t.Before(closes) {
			return closes, true
		}
	}
	return time.Time{}, false
}

// next is when it opens after t.
func (w Window) next(t time.Time) time.Time {
	for days := -1; days <= 14; days++ {
		if opens, _, there := w.span(t, days); there && opens.After(t) {
			return opens
		}
	}
	return time.Time{} // on no day of two weeks: never
}

// Span is a time from one moment to another.
type Span struct{ From, Until time.Time }

// Spans are the times between two moments at which the window is open, at most
// two months of them.
func (w Window) Spans(from, until time.Time) []Span {
	var out []Span
	for days := -1; days <= 62; days++ {
		opens, closes, there := w.span(from, days)
		if there && opens.Before(until) && closes.After(from) {
			out = append(out, Span{opens, closes})
		}
	}
	return out
}

// OpenAt tells whether the window is open at a moment, and when that changes;
// zero when it never does.
func (w Window) OpenAt(t time.Time) (open bool, until time.Time) {
	if until, open = w.open(t); open {
		return true, until
	}
	return false, w.next(t)
}

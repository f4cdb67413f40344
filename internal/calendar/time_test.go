package calendar

import (
	"strings"
	"testing"
	"time"

	"fairlead/internal/gate"
)

// Berlin's clocks go from 02:00 to 03:00 on 2026-03-29, and from 03:00 back to
// 02:00 on 2026-10-25. Both are Sundays.
func TestWindowsOnTheNightsWhenClocksChange(t *testing.T) {
	t.Parallel()
	berlin, err := zone("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		why           string
		opens, closes string
		days          []time.Weekday
		at            string // UTC
		open          bool
		next          string // when it opens, when it is closed
	}{
		{"an ordinary day in winter", "09:00", "17:00", []time.Weekday{time.Monday}, "2026-01-12T08:00:00Z", true, ""},
		{"a minute before", "09:00", "17:00", []time.Weekday{time.Monday}, "2026-01-12T07:59:00Z", false, "2026-01-12T08:00:00Z"},
		{"its end is not in it", "09:00", "17:00", []time.Weekday{time.Monday}, "2026-01-12T16:00:00Z", false, "2026-01-19T08:00:00Z"},
		{"in summer it is an hour sooner", "09:00", "17:00", []time.Weekday{time.Monday}, "2026-07-13T07:00:00Z", true, ""},
		{"the week in which summer begins", "09:00", "17:00", []time.Weekday{time.Monday}, "2026-03-23T20:00:00Z", false, "2026-03-30T07:00:00Z"},
		{"02:30 is jumped over: it opens at the jump", "02:30", "04:00", []time.Weekday{time.Sunday}, "2026-03-29T00:59:59Z", false, "2026-03-29T01:00:00Z"},
		{"and is open then", "02:30", "04:00", []time.Weekday{time.Sunday}, "2026-03-29T01:00:00Z", true, ""},
		{"until 04:00 in summer time", "02:30", "04:00", []time.Weekday{time.Sunday}, "2026-03-29T02:00:00Z", false, "2026-04-05T00:30:00Z"},
		{"one that lies wholly in the jump is not open that day", "02:10", "02:50", []time.Weekday{time.Sunday}, "2026-03-29T00:30:00Z", false, "2026-04-05T00:10:00Z"},
		{"02:30 comes twice: it opens the first time", "02:30", "04:00", []time.Weekday{time.Sunday}, "2026-10-25T00:30:00Z", true, ""},
		{"and is open the second time too", "02:30", "04:00", []time.Weekday{time.Sunday}, "2026-10-25T01:30:00Z", true, ""},
		{"what closes at 02:30 closes the second time", "01:00", "02:30", []time.Weekday{time.Sunday}, "2026-10-25T01:29:00Z", true, ""},
		{"and is closed then", "01:00", "02:30", []time.Weekday{time.Sunday}, "2026-10-25T01:30:00Z", false, "2026-11-01T00:00:00Z"},
		{"over midnight", "22:00", "02:00", []time.Weekday{time.Saturday}, "2026-01-11T00:30:00Z", true, ""},
		{"over the night of the jump it is an hour shorter", "22:00", "04:00", []time.Weekday{time.Saturday}, "2026-03-29T01:59:00Z", true, ""},
		{"and over then", "22:00", "04:00", []time.Weekday{time.Saturday}, "2026-03-29T02:00:00Z", false, "2026-04-04T20:00:00Z"},
		{"over the night of the return it is an hour longer", "22:00", "04:00", []time.Weekday{time.Saturday}, "2026-10-25T02:59:00Z", true, ""},
		{"a whole day", "00:00", "24:00", []time.Weekday{time.Sunday}, "2026-10-25T22:59:00Z", true, ""},
		{"and not the next", "00:00", "24:00", []time.Weekday{time.Sunday}, "2026-10-25T23:00:00Z", false, "2026-10-31T23:00:00Z"},
	} {
		w := Window{Weekdays: c.days, location: berlin}
		var err1, err2 error
		w.Opens, err1 = ParseClock(c.opens)
		w.Closes, err2 = ParseClock(c.closes)
		at, err3 := time.Parse(time.RFC3339, c.at)
		if err1 != nil || err2 != nil || err3 != nil {
			t.Fatal(err1, err2, err3)
		}
		if _, open := w.open(at); open != c.open {
			t.Errorf("%s: open is %v", c.why, open)
		}
		if c.open {
			continue
		}
		if got := w.next(at).UTC().Format(time.RFC3339); got != c.next {
			t.Errorf("%s: it opens at %s", c.why, got)
		}
	}
}

func TestWhatHoldsWhere(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 12, 12, 0, 0, 0, time.UTC) // a Monday
	prod := gate.Environment{ID: "env_p", ProjectID: "prj_a", TeamID: "team_a", Class: "production"}
	dev := gate.Environment{ID: "env_d", ProjectID: "prj_a", TeamID: "team_a", Class: "development"}
	always := func(p Place) Window {
		return Window{Name: "always", Place: p, Weekdays: []time.Weekday{0, 1, 2, 3, 4, 5, 6}, Closes: day, location: time.UTC}
	}
	morning := func(p Place) Window {
		return Window{Name: "morning", Place: p, Weekdays: []time.Weekday{1, 2, 3, 4, 5}, Opens: 8 * 60, Closes: 10 * 60, location: time.UTC}
	}
	freeze := func(p Place, from, until time.Duration, except ...string) Freeze {
		return Freeze{Name: "freeze", Place: p, From: at.Add(from), Until: at.Add(until), Except: except}
	}
	org := Place{Scope: Organisation}
	for _, c := range []struct {
		why    string
		set    set
		env    gate.Environment
		closed string // name of what closes it
		until  time.Duration
	}{
		{"nothing is set", set{}, dev, "", 0},
		{"a window that is closed", set{windows: []Window{morning(org)}}, dev, "morning", 20 * time.Hour},
		{"one of two is open", set{windows: []Window{morning(org), always(org)}}, dev, "", 0},
		{"a class's is not for others", set{windows: []Window{morning(Place{Scope: Organisation, Class: "production"})}}, dev, "", 0},
		{"the narrowest decides", set{windows: []Window{always(org), morning(Place{Scope: Organisation, Class: "production"})}}, prod, "morning", 20 * time.Hour},
		{"also to open", set{windows: []Window{morning(org), always(Place{Scope: Environment, EnvironmentID: "env_p"})}}, prod, "", 0},
		{"a freeze", set{freezes: []Freeze{freeze(org, -time.Hour, time.Hour)}}, dev, "freeze", time.Hour},
		{"of another project", set{freezes: []Freeze{freeze(Place{Scope: Project, ProjectID: "prj_b"}, -time.Hour, time.Hour)}}, dev, "", 0},
		{"that excepts the team", set{freezes: []Freeze{freeze(org, -time.Hour, time.Hour, "team_a")}}, dev, "", 0},
		{"that is over", set{freezes: []Freeze{freeze(org, -time.Hour, 0)}}, dev, "", 0},
		{"that is to come", set{freezes: []Freeze{freeze(org, time.Second, time.Hour)}}, dev, "", 0},
		{"two that follow each other", set{freezes: []Freeze{freeze(org, -time.Hour, time.Hour), freeze(org, time.Hour, 5*time.Hour)}}, dev, "freeze", 5 * time.Hour},
		{"one that ends outside the window", set{freezes: []Freeze{freeze(org, -time.Hour, time.Hour)}, windows: []Window{morning(org)}}, dev, "freeze", 20 * time.Hour},
	} {
		got := c.set.window(c.env, at)
		if got.Closed != (c.closed != "") || got.Name != c.closed {
			t.Errorf("%s: got %+v", c.why, got)
		}
		if got.Closed && !got.Until.Equal(at.Add(c.until)) {
			t.Errorf("%s: until %s", c.why, got.Until)
		}
	}
}

func TestTheTimesAtWhichAWindowIsOpen(t *testing.T) {
	t.Parallel()
	berlin, err := zone("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	w := Window{Weekdays: []time.Weekday{time.Friday, time.Saturday}, Opens: 22 * 60, Closes: 2 * 60, location: berlin}
	from := time.Date(2026, 3, 28, 0, 0, 0, 0, time.UTC) // a Saturday; Friday's is open still
	var got []string
	for _, s := range w.Spans(from, from.AddDate(0, 0, 7)) {
		got = append(got, s.From.UTC().Format("02T15:04")+" to "+s.Until.UTC().Format("02T15:04"))
	}
	// On the night of the 29th there is no 02:00: the clocks go from 02:00 to 03:00.
	if want := "27T21:00 to 28T01:00, 28T21:00 to 29T01:00, 03T20:00 to 04T00:00"; strings.Join(got, ", ") != want {
		t.Errorf("%v, want %s", got, want)
	}
	if open, until := w.OpenAt(from.Add(time.Hour / 2)); !open || !until.Equal(from.Add(time.Hour)) {
		t.Errorf("half past: %t until %v", open, until)
	}
	if open, until := w.OpenAt(from.Add(2 * time.Hour)); open || !until.Equal(from.Add(21*time.Hour)) {
		t.Errorf("at two: %t until %v", open, until)
	}
	if len(w.Spans(from.Add(3*time.Hour), from.Add(4*time.Hour))) != 0 {
		t.Error("open when it is not")
	}
}

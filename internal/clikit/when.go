package clikit

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Age gives how long ago t was, as short as people say it; "" for never.
func Age(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return Short(time.Since(t))
}

// AgeOf is Age for a time that may be missing.
func AgeOf(t *time.Time) string {
	if t == nil {
		return ""
	}
	return Age(*t)
}

// Short gives a duration in its one or two greatest units.
func Short(d time.Duration) string {
	switch d = max(d, 0); {
	case d < 10*time.Second:
		return strconv.FormatFloat(d.Seconds(), 'f', 1, 64) + "s"
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 24*time.Hour:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%dd", int(d.Hours()/24))
}

// Moment gives a time in full, in the reader's zone; "" for never.
func Moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format("2006-01-02 15:04:05 MST")
}

// MomentOf is Moment for a time that may be missing.
func MomentOf(t *time.Time) string {
	if t == nil {
		return ""
	}
	return Moment(*t)
}

// ParseTime reads a moment as people give it: RFC 3339, a day, or how long
// ago ("90m", "36h", "7d").
func ParseTime(s string, now time.Time) (time.Time, error) {
	if t, ok := onCalendar(s); ok {
		return t, nil
	}
	if d, err := ParseDuration(s); err == nil {
		return now.Add(-d), nil
	}
	return time.Time{}, Usage("%q is no time", clean(s)).WithHint(`use 2026-01-31, 2026-01-31T12:00:00Z, or how long ago: 90m, 36h, 7d`)
}

// ParseLater is ParseTime with lengths that count from now on.
func ParseLater(s string, now time.Time) (time.Time, error) {
	if t, ok := onCalendar(s); ok {
		return t, nil
	}
	if d, err := ParseDuration(s); err == nil {
		return now.Add(d).UTC(), nil
	}
	return time.Time{}, Usage("%q is no time and no length", clean(s)).WithHint("such as 8h, 7d, 2027-01-31 or 2027-01-31T18:00:00Z")
}

func onCalendar(s string) (time.Time, bool) {
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t, true
	}
	for _, layout := range []string{time.DateOnly, "2006-01-02 15:04"} {
		if t, err := time.ParseInLocation(layout, s, time.Local); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

// ParseDuration is time.ParseDuration with days ("7d"), never negative.
func ParseDuration(s string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(s, "d"); ok {
		if n, err := strconv.Atoi(days); err == nil && n >= 0 && n < 100_000 {
			return time.Duration(n) * 24 * time.Hour, nil
		}
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		return 0, Usage("%q is no duration", clean(s)).WithHint("use for instance 90s, 15m, 36h or 7d")
	}
	return d, nil
}

// Value gives any JSON value in one line: strings as they are.
func Value(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	}
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(b)
}

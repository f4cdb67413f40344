package calendar

import (
	"strconv"
	"strings"
	"time"

	"fairlead/internal/fault"
)

var dayNames = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

// ParseDays reads days of the week: "mon", or a span "mon-fri".
func ParseDays(list []string) ([]time.Weekday, error) {
	bad := fault.New(fault.Invalid, "invalid_weekday", "this is no day of the week").WithField("/weekdays").WithHint("as mon, tue, or mon-fri")
	one := func(s string) (int, bool) {
		for i, n := range dayNames {
			if n == s {
				return i, true
			}
		}
		return 0, false
	}
	var out []time.Weekday
	for _, text := range list {
		from, to, span := strings.Cut(strings.ToLower(strings.TrimSpace(text)), "-")
		a, ok := one(from)
		b := a
		if span {
			var also bool
			b, also = one(to)
			ok = ok && also
		}
		if !ok {
			return nil, bad
		}
		for i := a; ; i = (i + 1) % 7 {
			out = append(out, time.Weekday(i))
			if i == b {
				break
			}
		}
	}
	return out, nil
}

// DayNames are the short names of days.
func DayNames(list []time.Weekday) []string {
	out := make([]string, len(list))
	for i, d := range list {
		out[i] = dayNames[d]
	}
	return out
}

// ParseClock reads a time of the day, 00:00 to 24:00, as minutes. The fault's
// field is left to the caller.
func ParseClock(s string) (int, error) {
	h, m, ok := strings.Cut(s, ":")
	hour, err1 := strconv.ParseUint(h, 10, 8)
	minute, err2 := strconv.ParseUint(m, 10, 8)
	if !ok || err1 != nil || err2 != nil || len(h) > 2 || len(m) != 2 || minute > 59 || hour*60+minute > day {
		return 0, fault.New(fault.Invalid, "invalid_time_of_day", "this is no time of the day").WithHint("as 09:30, at most 24:00")
	}
	return int(hour*60 + minute), nil
}

// Clock shows a minute of the day: 09:30.
func Clock(minute int) string {
	if minute == day {
		return "24:00"
	}
	return time.Date(2000, 1, 1, 0, minute, 0, 0, time.UTC).Format("15:04")
}

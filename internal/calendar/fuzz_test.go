package calendar

import (
	"strings"
	"testing"
)

func FuzzWords(f *testing.F) {
	f.Add("mon-fri", "09:30")
	f.Add("sat, sun-sat", "24:00")
	f.Add("-", ":")
	f.Fuzz(func(t *testing.T, days, clock string) {
		if list, err := ParseDays(strings.Split(days, ",")); err == nil {
			if len(list) == 0 || len(list) > 7*(1+strings.Count(days, ",")) {
				t.Errorf("%q: %v", days, list)
			}
			if again, err := ParseDays(DayNames(list)); err != nil || len(again) != len(list) {
				t.Errorf("%q: %v, then %v, %v", days, list, again, err)
			}
		}
		if minute, err := ParseClock(clock); err == nil {
			if again, err := ParseClock(Clock(minute)); err != nil || again != minute || minute < 0 || minute > day {
				t.Errorf("%q: %d, then %d, %v", clock, minute, again, err)
			}
		}
	})
}

package gate

import (
	"strconv"
	"strings"
	"time"

	"fairlead/internal/fault"
)

// ParseLength reads how long something may live: "90m", "8h", "7d". "" is 0.
// The fault's field is left to the caller.
func ParseLength(s string) (time.Duration, error) {
	if s == "" {
		return 0, nil
	}
	bad := fault.New(fault.Invalid, "invalid_length", "this is no length of time").WithHint("as 90m, 8h or 7d, at most 3650d")
	var d time.Duration
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		if err != nil {
			return 0, bad
		}
		d = time.Duration(n) * 24 * time.Hour
	} else {
		var err error
		if d, err = time.ParseDuration(s); err != nil {
			return 0, bad
		}
	}
	if d <= 0 || d > 3650*24*time.Hour {
		return 0, bad
	}
	return d, nil
}

package failpoint

import (
	"fmt"
	"os"
	"strings"
	"time"
)

// clock is a wrong clock for this process: by a fixed amount, or by what is
// written in file just now. Nil in production.
type clock struct {
	by   time.Duration
	file string
}

var wrong = wrongClock(os.Getenv("FAIRLEAD_FAILPOINT_CLOCK"))

func wrongClock(spec string) *clock {
	if spec == "" {
		return nil
	}
	c := &clock{}
	var err error
	if file, ok := strings.CutPrefix(spec, "@"); ok {
		c.file = file
		_, err = c.offset()
	} else {
		c.by, err = time.ParseDuration(spec)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "FAIRLEAD_FAILPOINT_CLOCK:", err)
		os.Exit(2)
	}
	return c
}

// offset reads how wrong the clock is. A new file
// must be renamed into place: half a number is another one.
func (c *clock) offset() (time.Duration, error) {
	if c.file == "" {
		return c.by, nil
	}
	text, err := os.ReadFile(c.file)
	if err != nil {
		return 0, err
	}
	return time.ParseDuration(strings.TrimSpace(string(text)))
}

// Now is the machine's wall clock, for whatever is written down or compared
// with what was: FAIRLEAD_FAILPOINT_CLOCK sets it wrong for a test. Durations
// are measured with time.Now, which no jump of the wall clock touches.
func Now() time.Time {
	if wrong == nil {
		return time.Now()
	}
	by, err := wrong.offset()
	if err != nil {
		panic("FAIRLEAD_FAILPOINT_CLOCK: " + err.Error())
	}
	return time.Now().Round(0).Add(by) // without the monotonic reading, which does not jump
}

package conf

import (
	"time"

	"fairlead/internal/fault"
)

// Health says from where on a look at the system warns, and from where on it is
// bad: worth waking somebody.
type Health struct {
	Read      Range    `yaml:"read"`      // a read of the store
	Commit    Range    `yaml:"commit"`    // a durable commit
	Queue     Range    `yaml:"queue"`     // work that is due and waits
	Clock     Range    `yaml:"clock"`     // a machine's clock from the store's
	Observing Duration `yaml:"observing"` // resources that wait to be looked at; warns, and never below five times observeEvery
	Backup    Duration `yaml:"backup"`    // age of the last whole backup; warns
	Unsigned  Duration `yaml:"unsigned"`  // audit records without a checkpoint; warns
	Disk      Disk     `yaml:"disk"`      // room on a server's disk
}

// Range is where it warns, and where it is bad.
type Range struct {
	Warn Duration `yaml:"warn"`
	Bad  Duration `yaml:"bad"`
}

// Disk is how much room there should be. EnoughGB are enough whatever the share
// is (a tenth of them keeps it from being bad); below LeastMB it is bad.
type Disk struct {
	Warn     float64 `yaml:"warn"` // share that is free
	Bad      float64 `yaml:"bad"`
	EnoughGB int     `yaml:"enoughGB"`
	LeastMB  int     `yaml:"leastMB"`
}

// DefaultHealth are the limits of a bare machine.
func DefaultHealth() Health {
	span := func(warn, bad time.Duration) Range { return Range{Duration(warn), Duration(bad)} }
	return Health{
		Read: span(100*time.Millisecond, time.Second), Commit: span(250*time.Millisecond, 2*time.Second),
		Queue: span(time.Minute, 10*time.Minute), Clock: span(2*time.Second, 30*time.Second),
		Observing: Duration(10 * time.Minute), Backup: Duration(7 * 24 * time.Hour), Unsigned: Duration(5 * time.Minute),
		Disk: Disk{Warn: 0.1, Bad: 0.05, EnoughGB: 20, LeastMB: 512},
	}
}

func (h Health) check() error {
	for _, r := range []struct {
		name string
		Range
	}{{"read", h.Read}, {"commit", h.Commit}, {"queue", h.Queue}, {"clock", h.Clock}} {
		if r.Warn <= 0 || r.Bad < r.Warn {
			return fault.New(fault.Invalid, "invalid_config", "health.%s: warn and bad are lengths of time, and bad is not the shorter one", r.name).WithHint("as {warn: 1m, bad: 10m}")
		}
	}
	for name, d := range map[string]Duration{"observing": h.Observing, "backup": h.Backup, "unsigned": h.Unsigned} {
		if d <= 0 {
			return fault.New(fault.Invalid, "invalid_config", "health.%s: it is a length of time", name).WithHint("as 10m")
		}
	}
	if d := h.Disk; !(d.Bad >= 0 && d.Bad <= d.Warn && d.Warn <= 1) || d.EnoughGB < 0 || d.EnoughGB > 1e6 || d.LeastMB < 0 || d.LeastMB > 1e9 {
		return fault.New(fault.Invalid, "invalid_config", "health.disk: warn and bad are shares between 0 and 1, bad is not the larger one; enoughGB and leastMB are not negative").
			WithHint("as {warn: 0.1, bad: 0.05, enoughGB: 20, leastMB: 512}")
	}
	return nil
}

package conf_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"fairlead/internal/conf"
	"fairlead/internal/fault"
)

func TestHealth(t *testing.T) {
	t.Parallel()
	read := func(text string) (conf.Server, error) {
		file := filepath.Join(t.TempDir(), "fairlead.yaml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := conf.Load(file, func(string) string { return "" })
		if err == nil {
			err = c.Check()
		}
		return c, err
	}
	c, err := read("health: {queue: {warn: 5m}, disk: {enoughGB: 7}}")
	want := conf.DefaultHealth()
	want.Queue.Warn, want.Disk.EnoughGB = conf.Duration(5*time.Minute), 7
	if err != nil || c.Health != want {
		t.Errorf("what is not said is as by default: %+v, %v", c.Health, err)
	}
	for _, bad := range []string{
		"queue: {warn: 5m, bad: 1m}", "read: {warn: 2s}", "clock: {bad: 1s}", "commit: {warn: 0s}", "backup: -1h", "observing: 0s", "unsigned: soon",
		"disk: {warn: 1.5}", "disk: {warn: 0.01}", "disk: {bad: -0.1}", "disk: {enoughGB: -1}", "disk: {leastMB: -1}", "disk: {warn: .nan}", "qeue: {warn: 1m}",
	} {
		if _, err := read("health: {" + bad + "}"); fault.From(err).Code != "invalid_config" {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

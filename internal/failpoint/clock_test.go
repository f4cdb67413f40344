package failpoint

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestAClockIsWrongByWhatItIsTold(t *testing.T) {
	if wrongClock("") != nil {
		t.Error("the clock of a server that is told nothing is not the machine's")
	}
	file := filepath.Join(t.TempDir(), "offset")
	for _, c := range []struct {
		why, spec, content string
		want               time.Duration
	}{
		{"fixed", "-1h", "", -time.Hour},
		{"from a file", "@" + file, "+1h\n", time.Hour},
		{"from the file as it is now", "@" + file, "-90s", -90 * time.Second},
	} {
		if err := os.WriteFile(file, []byte(c.content), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := wrongClock(c.spec).offset(); err != nil || got != c.want {
			t.Errorf("%s: %v %v", c.why, got, err)
		}
	}
}

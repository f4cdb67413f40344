package rollout

import "testing"

func FuzzSelection(f *testing.F) {
	f.Add("10%,50%,100%", "^1.2 || 3.x", "90m", "1.4.0")
	f.Add("team:web,production", "<2", "7d", "2.0.0-rc.1")
	f.Add("", "~>", "0.1ns", "v1")
	f.Fuzz(func(t *testing.T, waves, from, length, version string) {
		if list, err := parseWaves(waves); err == nil && len(list) > maxWaves {
			t.Errorf("%q: %d waves", waves, len(list))
		}
		if is, err := parseFrom(from); err == nil {
			_ = is(version)
		}
		if d, err := ParseLength(length, "/soak"); err == nil && (d < 0 || length != "" && d == 0) {
			t.Errorf("%q: %v", length, d)
		}
	})
}

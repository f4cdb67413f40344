package app

import "testing"

// TestThrift is a day of the collector: idle, a load, more that lives, quiet.
func TestThrift(t *testing.T) {
	const mb = 1 << 20
	g := thrift{usual: 100}
	expect := func(what string, collections, live uint64, percent int, release bool) {
		t.Helper()
		if p, r := g.next(collections, live); p != percent || r != release {
			t.Errorf("%s: %d %% and %v, not %d %% and %v", what, p, r, percent, release)
		}
	}
	for range 100 {
		expect("idle", 0, 10*mb, 0, false)
	}
	expect("one collection", 1, 10*mb, 0, false)
	expect("a load", 20, 10*mb, 400, false)
	expect("less often, thanks to that", 2, 10*mb, 0, false)
	expect("much lives", 20, 32*mb, 200, false)
	expect("very much lives", 20, 6400*mb, 100, false)
	expect("nothing is known of what lives", 20, 0, 400, false)
	for range quietAfter - 1 {
		expect("quiet", 0, 10*mb, 0, false)
	}
	expect("one collection more", 1, 10*mb, 0, false)
	for range quietAfter - 1 {
		expect("quiet again", 0, 10*mb, 0, false)
	}
	expect("quiet for long", 0, 10*mb, 100, true)
	for range 100 {
		expect("idle again", 0, 10*mb, 0, false)
	}
}

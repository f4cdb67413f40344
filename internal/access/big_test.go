package access

import (
	"testing"
	"time"
)

// TestALargeSetIsWorkable is no benchmark; it logs what a set of 5,000 costs
// and fails only when something is quadratic.
func TestALargeSetIsWorkable(t *testing.T) {
	t.Parallel()
	start := time.Now()
	s := mustParse(t, rulesFor(5_000))
	parsed := time.Since(start)
	if err := s.Check(nil); err != nil {
		t.Fatal(err)
	}
	checked := time.Since(start) - parsed
	p, _ := benchQuestion()
	_ = escalation(p, mustParse(t, rulesFor(10)), s)
	t.Log("parse", parsed, "check", checked, "escalation", time.Since(start)-parsed-checked)
}

package access

import (
	"fairlead/internal/fault"
	"testing"
)

func TestSmoke(t *testing.T) {
	s, err := ParseChecked(defaultSource)
	if err != nil {
		for _, v := range fault.From(err).Violations {
			t.Log(v.Message)
		}
		t.Fatal(err)
	}
	t.Log(len(s.rules), s.text(s.rules[3]))
}

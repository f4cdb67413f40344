package ident_test

import (
	"strings"
	"testing"

	"fairlead/internal/fault"
	"fairlead/internal/ident"
)

func TestCheckName(t *testing.T) {
	for _, c := range []struct {
		name, why string
		ok        bool
	}{
		{"orders", "a plain word", true},
		{"a", "one letter", true},
		{"preview-42", "digits and a hyphen", true},
		{strings.Repeat("a", 40), "as long as allowed", true},
		{"", "empty", false},
		{strings.Repeat("a", 41), "too long", false},
		{"Orders", "upper case folds differently in SQL and on disk", false},
		{"1st", "a digit first", false},
		{"-x", "reads as a flag", false},
		{"x-", "hyphen last", false},
		{"../etc", "a path", false},
		{"a;drop", "SQL", false},
		{"$(id)", "a shell", false},
		{"ö", "not ASCII", false},
		{"a\x00", "a NUL", false},
		{"public", "reserved", false},
	} {
		err := ident.CheckName(c.name)
		if (err == nil) != c.ok {
			t.Errorf("%q (%s): %v", c.name, c.why, err)
		}
		if err != nil && !fault.Is(err, fault.Invalid) {
			t.Errorf("%q: kind %v", c.name, fault.KindOf(err))
		}
	}
}

func TestNewSortsAndCarriesItsType(t *testing.T) {
	last := ""
	for range 10000 {
		id := ident.New("res")
		if !strings.HasPrefix(id, "res_") || id <= last {
			t.Fatalf("%q after %q", id, last)
		}
		last = id
	}
}

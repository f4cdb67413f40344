package notify

import (
	"slices"
	"strings"

	"fairlead/internal/event"
	"fairlead/internal/fault"
)

const (
	maxTypes   = 50
	maxPattern = 64
)

// checkTypes refuses patterns that no event has ever matched or will.
func checkTypes(types []string) ([]string, error) {
	if len(types) == 0 {
		return []string{"*"}, nil
	}
	if len(types) > maxTypes {
		return nil, fault.New(fault.Invalid, "invalid_event_type", "there are more than %d patterns of event types", maxTypes).WithField("/types")
	}
	out := slices.Clone(types)
	slices.Sort(out)
	out = slices.Compact(out)
	for _, p := range out {
		if p == "" || len(p) > maxPattern || strings.Trim(p, "abcdefghijklmnopqrstuvwxyz0123456789.-*") != "" || strings.Count(p, "*") > 4 ||
			!slices.ContainsFunc(event.Catalogue(), func(t event.Type) bool { return matches(p, t.Name) }) {
			return nil, fault.New(fault.Invalid, "invalid_event_type", "there is no event of the type %q", clean(p, maxPattern)).WithField("/types").
				WithHint("docs/events.md lists them; * stands for any part, as in approval.*")
		}
	}
	return out, nil
}

// matches tells whether * standing for any text makes pattern into name.
func matches(pattern, name string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == name
	}
	rest, ok := strings.CutPrefix(name, parts[0])
	if !ok {
		return false
	}
	for _, p := range parts[1 : len(parts)-1] {
		_, after, found := strings.Cut(rest, p)
		if !found {
			return false
		}
		rest = after
	}
	return strings.HasSuffix(rest, parts[len(parts)-1])
}

func matchesAny(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return matches(p, name) })
}

// clean makes somebody else's text fit to be kept and shown: printable, one
// line, bounded.
func clean(s string, most int) string {
	if len(s) > most {
		s = s[:most]
	}
	s = strings.ToValidUTF8(s, "�")
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t' || r == '\r':
			return ' '
		case r < ' ' || r >= 0x7f && r < 0xa0 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 || r == 0x200e || r == 0x200f || r == 0xfeff:
			return -1
		}
		return r
	}, s))
}

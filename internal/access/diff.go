package access

import (
	"bytes"
	"slices"
	"strings"
)

// Change is one policy that differs between two versions. Order and comments
// make no difference.
type Change struct {
	ID     string
	Kind   string // added, removed, changed
	Before string // its text; "" when added
	After  string // its text; "" when removed
}

func diff(before, after *Set) []Change {
	var out []Change
	for _, r := range before.rules {
		now := after.byID[r.id]
		switch {
		case now == nil:
			out = append(out, Change{ID: string(r.id), Kind: "removed", Before: before.text(r)})
		case !sameRule(r, now):
			out = append(out, Change{ID: string(r.id), Kind: "changed", Before: before.text(r), After: after.text(now)})
		}
	}
	for _, r := range after.rules {
		if before.byID[r.id] == nil {
			out = append(out, Change{ID: string(r.id), Kind: "added", After: after.text(r)})
		}
	}
	slices.SortFunc(out, func(a, b Change) int { return strings.Compare(a.ID, b.ID) })
	return out
}

func sameRule(a, b *rule) bool {
	return bytes.Equal(a.policy.MarshalCedar(), b.policy.MarshalCedar())
}

// summary is a diff for the audit log: ids only, and not without end.
func summary(changes []Change) map[string][]string {
	const most = 100
	out := map[string][]string{}
	for _, c := range changes {
		if len(out[c.Kind]) < most {
			out[c.Kind] = append(out[c.Kind], c.ID)
		}
	}
	return out
}

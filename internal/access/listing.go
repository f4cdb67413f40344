package access

import (
	"cmp"
	"context"
	"slices"

	"github.com/cedar-policy/cedar-go"

	"fairlead/internal/principal"
)

// Listed is one policy of a version, as people read it.
type Listed struct {
	ID      string
	Effect  string         // permit, forbid
	Role    principal.Role // whom it is for, when that is a role; "" else
	Actions []Action       // that it is about; none is all
	When    bool           // it has conditions besides
	Text    string
}

// Listing gives a version with its policies, in the order of the text; 0 is
// the newest. It needs access:view.
func (s *Service) Listing(ctx context.Context, version int64) (Version, []Listed, error) {
	v, err := s.ByVersion(ctx, version)
	if err != nil {
		return Version{}, nil, err
	}
	set := s.current.Load()
	if set.version != v.Version {
		if set, err = Parse(v.Source); err != nil {
			return v, nil, err
		}
	}
	out := make([]Listed, 0, len(set.rules))
	for _, r := range set.rules {
		l := Listed{ID: string(r.id), Effect: "forbid", When: !r.bare, Text: set.text(r)}
		if r.effect == cedar.Permit {
			l.Effect = "permit"
		}
		if r.pentity.Type == typeRole {
			l.Role = principal.Role(r.pentity.ID)
		}
		if r.actions != allActions {
			for a, info := range actionTable {
				if r.actions&(1<<info.bit) != 0 {
					l.Actions = append(l.Actions, a)
				}
			}
			slices.SortFunc(l.Actions, func(a, b Action) int { return cmp.Compare(a, b) })
		}
		out = append(out, l)
	}
	return v, out, nil
}

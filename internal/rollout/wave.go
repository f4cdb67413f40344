package rollout

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"

	"fairlead/internal/fault"
	"fairlead/internal/ident"
)

// classes in the order in which a new version meets them.
var classes = []string{"development", "staging", "production"}

const maxWaves = 50

// stage is one item of how waves were asked for.
type stage struct {
	percent int    // of all members, those of earlier waves included; 0: not by share
	class   string // the rest of this class
	team    string // the rest of this team
}

func (s stage) name() string {
	switch {
	case s.percent > 0:
		return strconv.Itoa(s.percent) + "%"
	case s.team != "":
		return "team:" + s.team
	}
	return s.class
}

// takes tells whether the stage is for a member.
func (s stage) takes(m Member) bool {
	return s.percent > 0 || s.class != "" && m.Class == s.class || s.team != "" && m.Team == s.team
}

// parseWaves reads how waves were asked for. nil is by the team of each.
func parseWaves(text string) ([]stage, error) {
	bad := func(item string) error {
		return fault.New(fault.Invalid, "invalid_waves", "the waves cannot be read at %q", clip(item)).WithField("/waves").
			WithHint("class, team, or a list such as 10%%,50%%,100%% or development,staging,production or team:web,team:shop")
	}
	switch text {
	case "team":
		return nil, nil
	case "", "class":
		text = strings.Join(classes, ",")
	}
	var out []stage
	share := 0
	for item := range strings.SplitSeq(text, ",") {
		item = strings.TrimSpace(item)
		switch {
		case strings.HasSuffix(item, "%"):
			n, err := strconv.Atoi(strings.TrimSuffix(item, "%"))
			if err != nil || n <= share || n > 100 {
				return nil, bad(item)
			}
			share = n
			out = append(out, stage{percent: n})
		case strings.HasPrefix(item, "team:") && ident.CheckName(strings.TrimPrefix(item, "team:")) == nil:
			out = append(out, stage{team: strings.TrimPrefix(item, "team:")})
		case slices.Contains(classes, item):
			out = append(out, stage{class: item})
		default:
			return nil, bad(item)
		}
		if len(out) > maxWaves {
			return nil, fault.New(fault.Invalid, "invalid_waves", "there are more than %d waves", maxWaves).WithField("/waves").
				WithHint("by larger shares, or by class")
		}
	}
	return out, nil
}

// inWaves says which wave each member belongs to: the names of the waves that
// have any, and each member's number, from 1 on. Members that no item speaks of
// come last. The order is the same whoever works it out.
func inWaves(text string, members []Member) (names []string, of map[string]int64, err error) {
	stages, err := parseWaves(text)
	if err != nil {
		return nil, nil, err
	}
	rest := slices.Clone(members)
	slices.SortFunc(rest, func(a, b Member) int {
		return cmp.Or(cmp.Compare(slices.Index(classes, a.Class), slices.Index(classes, b.Class)), cmp.Compare(a.ResourceID, b.ResourceID))
	})
	if stages == nil {
		teams := map[string]bool{}
		for _, m := range rest {
			teams[m.Team] = true
		}
		for _, name := range slices.Sorted(maps.Keys(teams)) {
			stages = append(stages, stage{team: name})
		}
	}
	of = map[string]int64{}
	take := func(name string, which []Member) {
		if len(which) == 0 {
			return
		}
		names = append(names, name)
		for _, m := range which {
			of[m.ID] = int64(len(names))
		}
	}
	for _, s := range stages {
		var taken, left []Member
		upTo := (len(members)*s.percent + 99) / 100
		for _, m := range rest {
			if s.takes(m) && (s.percent == 0 || len(of)+len(taken) < upTo) {
				taken = append(taken, m)
				continue
			}
			left = append(left, m)
		}
		take(s.name(), taken)
		rest = left
	}
	take("rest", rest)
	return names, of, nil
}

func clip(s string) string {
	if len(s) > 60 {
		return s[:60] + "…"
	}
	return s
}

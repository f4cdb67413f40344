package gateweb

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"fairlead/internal/engine"
	"fairlead/internal/gate"
	"fairlead/internal/webui"
)

// maxShown bounds the lines of a plan on a page; all of it is in the API.
const maxShown = 400

// Changes makes a plan fit to be shown as a diff.
func Changes(p engine.Plan) []webui.Change {
	var out []webui.Change
	for _, c := range p.Changes {
		if c.Action == engine.Read {
			continue
		}
		title := string(c.Action) + " " + c.Address
		if c.Reason != "" {
			title += " (" + c.Reason + ")"
		}
		out = append(out, webui.Change{Op: "head", Path: title})
		out = append(out, Values(c.Before, c.After)...)
		if len(out) > maxShown {
			return append(out[:maxShown], webui.Change{Op: "head", Path: strconv.Itoa(len(p.Changes)) + " objects in all: the rest is in the API's answer"})
		}
	}
	return out
}

// Values compares two sets of values, by name.
func Values(before, after map[string]any) []webui.Change {
	names := map[string]bool{}
	for k := range before {
		names[k] = true
	}
	for k := range after {
		names[k] = true
	}
	var out []webui.Change
	for _, k := range slices.Sorted(maps.Keys(names)) {
		old, had := before[k]
		now, has := after[k]
		c := webui.Change{Path: k, Old: webui.Text(old), New: webui.Text(now)}
		switch {
		case !had:
			c.Op = "add"
		case !has:
			c.Op = "del"
		case c.Old != c.New:
			c.Op = "mod"
		default:
			c.Op = "same"
		}
		out = append(out, c)
	}
	return out
}

func tone(s gate.Strength) webui.Tone {
	switch s {
	case gate.Deny:
		return webui.Bad
	case gate.Advise:
		return webui.Busy
	}
	return webui.Warn
}

func icon(s gate.Strength) string {
	switch s {
	case gate.Deny:
		return "ban"
	case gate.Advise:
		return "circle-help"
	}
	return "shield-alert"
}

// WhoMust says who must agree.
func WhoMust(n *gate.Need) string {
	if n == nil {
		return ""
	}
	who := "an approver of the team"
	switch {
	case len(n.People) > 0:
		who = webui.Text(anys(n.People))
	case n.Role != "" && n.Team != "":
		who = article(n.Role) + " of " + n.Team
	case n.Role != "":
		who = article(n.Role)
	}
	if n.Count > 1 {
		who = strconv.Itoa(n.Count) + " of: " + who
	}
	return who
}

func article(noun string) string {
	if strings.ContainsAny(noun[:1], "aeiou") {
		return "an " + noun
	}
	return "a " + noun
}

func anys(list []string) []any {
	out := make([]any, len(list))
	for i, s := range list {
		out[i] = s
	}
	return out
}

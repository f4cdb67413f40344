package rollout

import (
	"cmp"
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"fairlead/internal/engine"
	"fairlead/internal/gate"
	"fairlead/internal/redact"
	"fairlead/internal/regex"
	"fairlead/internal/resource"
)

// ObjectDiff is what a plan does to one object, in words that are the same for
// every resource to which the same is done.
type ObjectDiff struct {
	Address    string          `json:"address"`
	Kind       string          `json:"kind"`
	Action     engine.Action   `json:"action"`
	Attributes []AttributeDiff `json:"attributes,omitempty"`
}

// AttributeDiff is one attribute that comes (+), goes (-) or changes (~).
type AttributeDiff struct {
	Path   string `json:"path"`
	Op     string `json:"op"`
	Before any    `json:"before,omitempty"`
	After  any    `json:"after,omitempty"`
}

// normaliser takes out of a plan what only one resource has: its names and ids.
type normaliser struct{ words []word }

type word struct{ text, stands string }

// random are ids that are made up anew each time.
var random = regex.Late(`\b(?:[a-z]{2,5}_[0-9a-hjkmnp-tv-z]{26}|[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12})\b`)

// normaliserOf knows what r and its objects are called.
func normaliserOf(r resource.Resource) normaliser {
	var n normaliser
	for _, o := range r.Objects {
		n.know(o.Name, "${object}")
	}
	n.know(r.ID, "${id}")
	n.know(r.Name, "${name}")
	n.know(r.Environment, "${environment}")
	n.know(r.Project, "${project}")
	n.know(r.Team, "${team}")
	// The longest first: a name may be part of another.
	slices.SortStableFunc(n.words, func(a, b word) int { return cmp.Compare(len(b.text), len(a.text)) })
	return n
}

func (n *normaliser) know(text, stands string) {
	if text == "" {
		return
	}
	n.words = append(n.words, word{text, stands})
	if plain := strings.ReplaceAll(text, "-", "_"); plain != text {
		n.words = append(n.words, word{plain, stands})
	}
}

// text puts what a name stands for in its place, where it is a word of its own.
func (n normaliser) text(s string) string {
	for _, w := range n.words {
		s = replaceWord(s, w.text, w.stands)
	}
	return random().ReplaceAllString(s, "${random}")
}

func replaceWord(s, text, stands string) string {
	var b strings.Builder
	for from := 0; ; {
		i := strings.Index(s[from:], text)
		if i < 0 {
			return b.String() + s[from:]
		}
		i += from
		end := i + len(text)
		if i > 0 && letter(s[i-1]) || end < len(s) && letter(s[end]) {
			b.WriteString(s[from : i+1])
			from = i + 1
			continue
		}
		b.WriteString(s[from:i] + stands)
		from = end
	}
}

func letter(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

func (n normaliser) value(v any) any {
	switch t := v.(type) {
	case string:
		return n.text(t)
	case map[string]any:
		out := make(map[string]any, len(t))
		for k, x := range t {
			out[n.text(k)] = n.value(x)
		}
		return out
	case []any:
		out := make([]any, len(t))
		for i, x := range t {
			out[i] = n.value(x)
		}
		return out
	}
	return v
}

// diff gives what p does to r, in words that other resources have in common.
func (n normaliser) diff(p engine.Plan) []ObjectDiff {
	out := []ObjectDiff{}
	for _, c := range p.Changes {
		if c.Action == engine.NoOp || c.Action == engine.Read {
			continue
		}
		o := ObjectDiff{Address: n.text(c.Address), Kind: c.Kind, Action: c.Action}
		before, _ := n.value(plainJSON(c.Before)).(map[string]any)
		after, _ := n.value(plainJSON(c.After)).(map[string]any)
		if c.Action != engine.Delete {
			o.Attributes = attributes(nil, "", before, after)
		}
		out = append(out, o)
	}
	slices.SortStableFunc(out, func(a, b ObjectDiff) int {
		return cmp.Or(cmp.Compare(a.Address, b.Address), cmp.Compare(a.Kind, b.Kind), cmp.Compare(string(a.Action), string(b.Action)))
	})
	return out
}

// plainJSON is v as JSON has it: a plan that was stored and one that was just
// made then compare.
func plainJSON(v map[string]any) any {
	b, err := json.Marshal(v)
	if err != nil {
		return nil
	}
	var out any
	if json.Unmarshal(b, &out) != nil {
		return nil
	}
	return out
}

// attributes lists the leaves in which two objects differ.
func attributes(out []AttributeDiff, at string, before, after map[string]any) []AttributeDiff {
	keys := map[string]bool{}
	for k := range before {
		keys[k] = true
	}
	for k := range after {
		keys[k] = true
	}
	for _, k := range slices.Sorted(maps.Keys(keys)) {
		path := strings.TrimPrefix(at+"."+k, ".")
		was, had := before[k]
		now, has := after[k]
		switch {
		case had && has && reflect.DeepEqual(was, now):
		case !had || was == nil && now != nil:
			out = append(out, AttributeDiff{Path: path, Op: "+", After: now})
		case !has || now == nil && was != nil:
			out = append(out, AttributeDiff{Path: path, Op: "-", Before: was})
		default:
			a, aMap := was.(map[string]any)
			b, bMap := now.(map[string]any)
			if aMap && bMap {
				out = attributes(out, path, a, b)
				continue
			}
			out = append(out, AttributeDiff{Path: path, Op: "~", Before: was, After: now})
		}
	}
	return out
}

// shapeOf is the digest by which members are grouped.
func shapeOf(diff []ObjectDiff) (string, error) { return gate.Bind(diff) }

func severityOf(diff []ObjectDiff) Severity {
	s := None
	for _, o := range diff {
		if o.Action == engine.Delete || o.Action == engine.Replace {
			return Destructive
		}
		s = Modifying
	}
	return s
}

// titleOf says a diff in a line: "+1 attribute", "replace 1 database — destructive".
func titleOf(diff []ObjectDiff) string {
	objects, ops := map[engine.Action]map[string]int{}, map[string]int{}
	for _, o := range diff {
		if o.Action == engine.Update {
			for _, a := range o.Attributes {
				ops[a.Op]++
			}
			if len(o.Attributes) > 0 {
				continue
			}
		}
		if objects[o.Action] == nil {
			objects[o.Action] = map[string]int{}
		}
		objects[o.Action][o.Kind]++
	}
	var parts []string
	for _, a := range []engine.Action{engine.Delete, engine.Replace, engine.Create, engine.Update} {
		for _, kind := range slices.Sorted(maps.Keys(objects[a])) {
			parts = append(parts, string(a)+" "+strconv.Itoa(objects[a][kind])+" "+kind)
		}
	}
	for _, op := range []string{"+", "-", "~"} {
		switch n := ops[op]; n {
		case 0:
		case 1:
			parts = append(parts, op+"1 attribute")
		default:
			parts = append(parts, op+strconv.Itoa(n)+" attributes")
		}
	}
	title := strings.Join(parts, ", ")
	if title == "" {
		title = "nothing but the version"
	}
	if severityOf(diff) == Destructive {
		title += " — destructive"
	}
	return title
}

// open stands where a plan could not know yet, or must not say.
func open(v any) bool {
	s, ok := v.(string)
	return ok && (s == redact.Shown || s == "(known after apply)")
}

// keeps tells whether now is what was planned: the same done to the same
// objects. Where the plan did not know a value, any is as planned.
func keeps(planned, now []ObjectDiff) bool {
	if len(planned) != len(now) {
		return false
	}
	for i, p := range planned {
		if n := now[i]; p.Address != n.Address || p.Kind != n.Kind || p.Action != n.Action || !sameAttributes(p.Attributes, n.Attributes) {
			return false
		}
	}
	return true
}

func sameAttributes(planned, now []AttributeDiff) bool {
	kept := map[string]bool{}
	for _, n := range now {
		i := slices.IndexFunc(planned, func(p AttributeDiff) bool {
			return p.Path == n.Path || open(p.After) && strings.HasPrefix(n.Path, p.Path+".")
		})
		if i < 0 {
			return false
		}
		p := planned[i]
		kept[p.Path] = true
		if open(p.After) {
			continue
		}
		if p.Op != n.Op || !open(p.Before) && !open(n.Before) && !reflect.DeepEqual(p.Before, n.Before) || !reflect.DeepEqual(p.After, n.After) {
			return false
		}
	}
	// What is not known may turn out to be what it was.
	return !slices.ContainsFunc(planned, func(p AttributeDiff) bool { return !kept[p.Path] && !open(p.After) })
}

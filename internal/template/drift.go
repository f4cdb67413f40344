package template

import (
	"slices"
	"strconv"
	"strings"

	"fairlead/internal/engine"
	"fairlead/internal/yamlx"
)

// Drift is what a template says of what is not as wanted: for a cause what is
// done about it ("ignore", "alert", "heal", "ask"), and which differences count
// for nothing, or count although they are of order alone.
type Drift struct {
	Answers         map[engine.Cause]string
	Ignore, Ordered []Fields
}

// Fields names fields of objects; a * stands for any text.
type Fields struct{ Address, Field string }

const maxDriftRules = 100

var driftAnswers = []string{"ignore", "alert", "heal", "ask"}

func (p *manifestParser) drift(n *yamlx.Node) {
	if n == nil || n.Kind == yamlx.Null {
		return
	}
	d := p.r.Object(n, "noise", "person", "deleted", "desired", "ignore", "ordered")
	for _, cause := range engine.Causes() {
		at := d.Node(string(cause))
		if at == nil {
			continue
		}
		answer := d.String(string(cause))
		if !slices.Contains(driftAnswers, answer) {
			p.r.Fail(at, "must be one of %s", strings.Join(driftAnswers, ", "))
			continue
		}
		if p.v.Drift.Answers == nil {
			p.v.Drift.Answers = map[engine.Cause]string{}
		}
		p.v.Drift.Answers[cause] = answer
	}
	p.v.Drift.Ignore = p.fields(d.Node("ignore"))
	p.v.Drift.Ordered = p.fields(d.Node("ordered"))
}

func (p *manifestParser) fields(n *yamlx.Node) (out []Fields) {
	if n == nil || n.Kind == yamlx.Null {
		return nil
	}
	if n.Kind != yamlx.List || len(n.Items) > maxDriftRules {
		p.r.Fail(n, "must be a list of at most %d of {address, field}", maxDriftRules)
		return nil
	}
	for i, item := range n.Items {
		f := p.r.Object(item, "address", "field")
		if item.Kind != yamlx.Object {
			continue
		}
		v := Fields{f.String("address"), f.String("field")}
		if f.Need("address") == nil || f.Need("field") == nil {
			continue
		}
		for name, text := range map[string]string{"address": v.Address, "field": v.Field} {
			if text == "" || len(text) > 300 || strings.Count(text, "*") > 10 {
				p.r.FailAt(item.Line, n.Pointer+"/"+strconv.Itoa(i)+"/"+name, "must be a text of 1 to 300 bytes with at most 10 *")
			}
		}
		out = append(out, v)
	}
	return out
}

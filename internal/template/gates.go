package template

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"fairlead/internal/engine"
	"fairlead/internal/fault"
	"fairlead/internal/regex"
	"fairlead/internal/yamlx"
)

// Approval is who must agree before a resource is made from the template or
// changed: Count different people of those that Role, Team or People names.
type Approval struct {
	Role, Team string
	People     []string // names of users
	Count      int      // at least 1
	Within     time.Duration
}

// Lease is how long resources of the template live unless somebody says
// otherwise, and how long at most; 0 is nothing said.
type Lease struct{ Default, Max time.Duration }

// Gate is what quotas, budgets and approvals need to know of a version.
type Gate struct {
	Units    map[string]float64 // of these inputs; negative where one is not known yet
	Approval *Approval
	CostFile string
	CostRule []byte // nil: none
	Lease    Lease
}

// Pricer knows cost rules. It is another's: a template only carries one.
type Pricer interface {
	// Check compiles a rule that may look at these inputs; its fault names
	// file and line.
	Check(file string, rule []byte, inputs []string) error
	// Monthly is what a rule comes to by some prices, each for a month.
	Monthly(ctx context.Context, file string, rule []byte, inputs map[string]any, class string, prices map[string]float64) (float64, error)
}

const maxUnits = 20

var unitForm = regex.Late(`^[a-z][a-z0-9_]{0,31}$`)

// unit is one of the manifest's units.
type unit struct {
	name  string
	value expr
}

func (p *manifestParser) units(n *yamlx.Node) {
	if n == nil || n.Kind == yamlx.Null {
		return
	}
	if n.Kind != yamlx.Object || len(n.Fields) > maxUnits {
		p.r.Fail(n, `must be an object of at most %d units, each a number or "${{ inputs.NAME }}"`, maxUnits)
		return
	}
	for _, f := range n.Fields {
		if !unitForm().MatchString(f.Name) || f.Name == "count" || f.Name == "monthly_cost" {
			p.r.FailAt(f.Line, f.Value.Pointer, "%s is no name for a unit: use a-z, 0-9 and _; count and monthly_cost are counted by themselves", yamlx.Quote(f.Name))
			continue
		}
		e, why := parseExpr(f.Value.Value(), p.v.schema)
		if why == "" && e.parts == nil {
			if x, ok := numberOf(e.literal); !ok || x < 0 {
				why = `must be a number that is not negative, or "${{ inputs.NAME }}" of a number`
			}
		} else if t := e.declared(p.v.schema); why == "" && t != "integer" && t != "number" {
			why = `must be a number, or "${{ inputs.NAME }}" of an integer or number input and nothing else`
		}
		if why != "" {
			p.r.Fail(f.Value, "%s", why)
			continue
		}
		p.v.units = append(p.v.units, unit{f.Name, e})
	}
}

func (p *manifestParser) cost(n *yamlx.Node, name string) {
	if name == "" {
		return
	}
	if !fs.ValidPath(name) || !strings.HasSuffix(name, ".rego") {
		p.r.Fail(n, "must be the path of a Rego file (.rego) in the template's folder")
		return
	}
	if _, ok := p.v.files.File(name); !ok {
		near := ""
		if x := yamlx.Nearest(name, p.v.files.Names()); x != "" {
			near = fmt.Sprintf(", did you mean %q?", x)
		}
		p.r.Fail(n, "there is no file %s%s", yamlx.Quote(name), near)
	}
	p.v.CostFile = name
}

var approvers = []string{"platform-admin", "auditor", "team-owner", "developer", "viewer", "approver"}

func (p *manifestParser) approval(n *yamlx.Node) {
	if n == nil || n.Kind == yamlx.Null {
		return
	}
	a := p.r.Object(n, "role", "team", "people", "count", "within")
	if n.Kind != yamlx.Object {
		return
	}
	out := &Approval{Role: a.String("role"), Team: a.String("team"), People: a.Strings("people"), Count: 1, Within: a.Duration("within", time.Minute, 90*24*time.Hour)}
	if at := a.Node("role"); at != nil && !slices.Contains(approvers, out.Role) {
		p.r.Fail(at, "must be one of %s", strings.Join(approvers, ", "))
	}
	if len(out.People) > 50 {
		p.r.Fail(a.Node("people"), "names more than 50 people")
	}
	if at := a.Node("count"); at != nil {
		x, ok := at.Value().(int64)
		if !ok || x < 1 || x > 20 {
			p.r.Fail(at, "must be a whole number from 1 to 20")
		}
		out.Count = int(x)
		if len(out.People) > 0 && out.Count > len(out.People) {
			p.r.Fail(at, "asks for more people than are named")
		}
	}
	p.v.Approval = out
}

func (p *manifestParser) lease(n *yamlx.Node) {
	if n == nil || n.Kind == yamlx.Null {
		return
	}
	const most = 10 * 365 * 24 * time.Hour
	l := p.r.Object(n, "default", "max")
	p.v.Lease = Lease{Default: l.Duration("default", time.Minute, most), Max: l.Duration("max", time.Minute, most)}
	if p.v.Lease.Max > 0 && p.v.Lease.Default > p.v.Lease.Max {
		p.r.Fail(l.Node("default"), "is longer than max")
	}
}

// Gate gives what the gates know of the version with these inputs.
func (v *Version) Gate(inputs map[string]any) Gate {
	g := Gate{Units: map[string]float64{}, Approval: v.Approval, CostFile: v.CostFile, Lease: v.Lease}
	r := newRenderer(inputs, engine.Ref{}, "")
	r.drop = true
	for _, u := range v.units {
		x, ok, err := r.expr(u.value)
		n, number := numberOf(x)
		switch {
		case err == nil && (!ok || x == nil):
			n = 0 // an input that is left out
		case err != nil || !number:
			n = -1 // a reference: whatever it comes to is not known yet
		}
		g.Units[u.name] = n
	}
	if v.CostFile != "" {
		g.CostRule, _ = v.files.File(v.CostFile)
	}
	return g
}

func numberOf(v any) (float64, bool) {
	switch x := v.(type) {
	case int64:
		return float64(x), true
	case float64:
		return x, true
	case json.Number:
		f, err := x.Float64()
		return f, err == nil
	}
	return 0, false
}

// checkCost has the cost rule compiled.
func (v *Version) checkCost(p Pricer) error {
	if v.CostFile == "" || p == nil {
		return nil
	}
	rule, _ := v.files.File(v.CostFile)
	return p.Check(v.CostFile, rule, v.schema.known(schemaURL+"#"))
}

// expectedCost is what a test case expects of the cost rule.
type expectedCost struct {
	monthly float64
	prices  map[string]float64
}

func parseCost(r *yamlx.Reader, n, prices *yamlx.Node, v *Version) *expectedCost {
	x, ok := numberOf(n.Value())
	if !ok || x < 0 {
		r.Fail(n, "must be what it costs a month, a number")
	}
	if v.CostFile == "" {
		r.Fail(n, "the template has no cost rule")
	}
	out := &expectedCost{monthly: x, prices: map[string]float64{}}
	if prices == nil || prices.Kind == yamlx.Null {
		return out
	}
	if prices.Kind != yamlx.Object {
		r.Fail(prices, "must be an object from item to what one costs a month, is %s", prices.Kind)
		return out
	}
	for _, f := range prices.Fields {
		x, ok := numberOf(f.Value.Value())
		if !ok || x < 0 {
			r.Fail(f.Value, "must be a number that is not negative")
		}
		out.prices[f.Name] = x
	}
	return out
}

func (e expectedCost) compare(ctx context.Context, c testCase, v *Version, p Pricer) []string {
	inputs, err := v.Check(c.inputs)
	if err != nil {
		return nil // said already
	}
	if p == nil {
		return []string{"expected a cost, but nothing here can price it"}
	}
	rule, _ := v.files.File(v.CostFile)
	got, err := p.Monthly(ctx, v.CostFile, rule, inputs, c.class, e.prices)
	if err != nil {
		return []string{"expected a cost, got the error " + fault.From(err).Code + ": " + fault.From(err).Message}
	}
	if diff := got - e.monthly; diff > 0.00005 || diff < -0.00005 {
		return []string{fmt.Sprintf("expected it to cost %v a month, it costs %v", e.monthly, got)}
	}
	return nil
}

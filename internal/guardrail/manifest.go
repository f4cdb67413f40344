package guardrail

import (
	"bytes"
	"slices"
	"strings"
	"time"

	"fairlead/internal/fault"
	"fairlead/internal/gate"
	"fairlead/internal/ident"
	"fairlead/internal/regex"
	"fairlead/internal/yamlx"
)

// ManifestFile makes a folder a bundle of Fairlead's. A folder without it is
// one of Conftest's.
const ManifestFile = "policy.yaml"

// What a guardrail is given as input.
const (
	Facts   = "facts" // the document that "fairlead policy schema" describes
	RawPlan = "plan"  // the engine's own plan, in the form of Terraform's plan JSON
)

// Guard is one package of a bundle, with when and whom it is asked about.
type Guard struct {
	Package   string
	Stage     gate.Stage
	Input     string        // Facts or RawPlan
	Strength  gate.Strength // the most that its deny and violation rules can do
	Need      gate.Need     // who must agree where its verdicts do not say
	Scope     Scope
	Docs      string
	Protected bool     // taking it away or weakening it is refused
	Rules     []string // those that give verdicts, sorted
}

// Scope says whom a guardrail is about, by names, in which * stands for
// anything. An empty list lets everything through.
type Scope struct {
	Teams, Projects, Environments, Classes, Templates []string
}

// Manifest is what policy.yaml says.
type Manifest struct {
	Name, Version, Title, Description string
	Guards                            []Guard
}

var (
	versionForm = regex.Late(`^(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})(-[0-9A-Za-z]([0-9A-Za-z.-]{0,30}[0-9A-Za-z])?)?$`)
	patternForm = regex.Late(`^[a-z0-9*-]{1,80}$`)
	verdictRule = regex.Late(`^(deny|violation|warn|approve)(_[A-Za-z0-9_]*)?$`)
	stages      = []string{string(gate.Request), string(gate.Plan), string(gate.Release), string(gate.Activation)}
	strengths   = []string{string(gate.Advise), string(gate.Approve), string(gate.Deny)}
	reserved    = []string{"schema", "history", "test", "evaluate", "active", "backtest"} // they are words of the API's paths
)

func checkName(name, field string) error {
	err := ident.CheckName(name)
	if err == nil && slices.Contains(reserved, name) {
		err = fault.New(fault.Invalid, "invalid_name", "%q is not a valid name: the word is reserved", name).WithHint("take another name")
	}
	if err != nil {
		return fault.From(err).WithField(field)
	}
	return nil
}

func checkVersion(version, field string) error {
	if versionForm().MatchString(version) {
		return nil
	}
	return fault.New(fault.Invalid, "invalid_version", "%s is not a semantic version", yamlx.Quote(version)).
		WithHint("use MAJOR.MINOR.PATCH, such as 1.4.0, or 1.4.0-rc.1 for a pre-release").WithField(field)
}

// parseManifest reads policy.yaml, or says all that is wrong with it.
func parseManifest(src []byte) (Manifest, error) {
	doc, err := yamlx.DecodeOne(bytes.NewReader(src), yamlx.Limits{File: ManifestFile})
	if err != nil {
		return Manifest{}, err
	}
	p := manifestParser{r: yamlx.NewReader(ManifestFile)}
	top := p.r.Object(doc.Root, "apiVersion", "kind", "metadata", "guardrails")
	if doc.Root.Kind == yamlx.Object {
		p.literal(top, "apiVersion", "fairlead/v1")
		p.literal(top, "kind", "PolicyBundle")
		p.metadata(top.Need("metadata"))
		p.guards(top.Need("guardrails"))
	}
	return p.m, p.r.Err("invalid_bundle", "the bundle is not valid")
}

type manifestParser struct {
	r *yamlx.Reader
	m Manifest
}

func (p *manifestParser) literal(top yamlx.Fields, name, want string) {
	if n := top.Need(name); n != nil {
		if got := top.String(name); got != want && n.Kind == yamlx.String {
			p.r.Fail(n, "must be %q, is %s", want, yamlx.Quote(got))
		}
	}
}

func (p *manifestParser) metadata(n *yamlx.Node) {
	if n == nil {
		return
	}
	m := p.r.Object(n, "name", "version", "title", "description")
	if n := m.Need("name"); n != nil {
		p.m.Name = m.String("name")
		if err := checkName(p.m.Name, ""); err != nil && n.Kind == yamlx.String {
			p.r.Fail(n, "%s", fault.From(err).Message)
		}
	}
	if n := m.Need("version"); n != nil {
		p.m.Version = m.String("version")
		if err := checkVersion(p.m.Version, ""); err != nil && n.Kind == yamlx.String {
			p.r.Fail(n, "%s", fault.From(err).Message)
		}
	}
	p.m.Title, p.m.Description = short(m.String("title"), 200), short(m.String("description"), 2000)
}

func (p *manifestParser) guards(n *yamlx.Node) {
	if n == nil {
		return
	}
	if n.Kind != yamlx.List || len(n.Items) == 0 || len(n.Items) > 200 {
		p.r.Fail(n, "must be a list of 1 to 200 guardrails")
		return
	}
	for _, item := range n.Items {
		p.m.Guards = append(p.m.Guards, p.guard(item))
	}
}

func (p *manifestParser) guard(n *yamlx.Node) Guard {
	f := p.r.Object(n, "package", "stage", "input", "strength", "approval", "scope", "docs", "protected")
	g := Guard{Protected: f.Bool("protected"), Strength: gate.Deny, Stage: gate.Request}
	if f.Need("package") != nil {
		g.Package = strings.TrimPrefix(f.String("package"), "data.")
	}
	if f.Need("stage") != nil {
		g.Stage = gate.Stage(p.oneOf(f, "stage", string(gate.Request), stages))
	}
	g.Input = p.oneOf(f, "input", Facts, []string{Facts, RawPlan})
	if g.Input == RawPlan && g.Stage != gate.Plan {
		p.r.Fail(f.Node("input"), "there is a plan at the stage plan alone")
	}
	g.Strength = gate.Strength(p.oneOf(f, "strength", string(gate.Deny), strengths))
	g.Need = p.approval(f.Node("approval"))
	g.Scope = p.scope(f.Node("scope"))
	if g.Docs = f.String("docs"); g.Docs != "" && link(g.Docs) == "" {
		p.r.Fail(f.Node("docs"), "must be a link that starts with https:// or http://, or a path that starts with /")
	}
	return g
}

func (p *manifestParser) oneOf(f yamlx.Fields, name, fallback string, known []string) string {
	n := f.Node(name)
	if n == nil {
		return fallback
	}
	v := f.String(name)
	if n.Kind == yamlx.String && !slices.Contains(known, v) {
		p.r.Fail(n, "must be one of %s, is %s", strings.Join(known, ", "), yamlx.Quote(v))
		return fallback
	}
	return v
}

func (p *manifestParser) approval(n *yamlx.Node) gate.Need {
	f := p.r.Object(n, "role", "team", "people", "count", "within")
	need := gate.Need{Role: f.String("role"), Team: f.String("team"), People: f.Strings("people"), Count: 1,
		Within: f.Duration("within", time.Minute, 365*24*time.Hour)}
	if c := f.Node("count"); c != nil {
		v, ok := c.Value().(int64)
		if !ok || v < 1 || v > maxPeople {
			p.r.Fail(c, "must be a whole number from 1 to %d", maxPeople)
			v = 1
		}
		need.Count = int(v)
	}
	return need
}

func (p *manifestParser) scope(n *yamlx.Node) Scope {
	f := p.r.Object(n, "teams", "projects", "environments", "classes", "templates")
	list := func(name string) []string {
		out := f.Strings(name)
		for i, v := range out {
			if !patternForm().MatchString(v) {
				p.r.Fail(f.Node(name).Items[i], "%s is no name and no pattern such as \"web-*\"", yamlx.Quote(v))
			}
		}
		if n := f.Node(name); n != nil && n.Kind == yamlx.List && len(n.Items) == 0 {
			p.r.Fail(n, "an empty list would mean everything: leave it out")
		}
		return out
	}
	return Scope{list("teams"), list("projects"), list("environments"), list("classes"), list("templates")}
}

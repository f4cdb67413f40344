package resource

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strconv"

	"fairlead/internal/access"
	"fairlead/internal/engine"
	"fairlead/internal/fault"
	"fairlead/internal/sqldb"
	"fairlead/internal/yamlx"
)

// Comparison says how one name stands in two environments.
type Comparison string

// How a name can stand. The first that fits counts: what differs in its
// version may differ in its inputs too.
const (
	OnlyFrom     Comparison = "only-from"
	OnlyTo       Comparison = "only-to"
	OtherVersion Comparison = "version" // made from another template, or another version of it
	OtherInputs  Comparison = "inputs"
	Alike        Comparison = "same"
	Different    Comparison = "different" // a filter: all but Alike
)

// Side is a resource in one of two environments.
type Side struct {
	ID, Template, TemplateVersion string
	Phase                         Phase
	Drifted                       bool

	inputs, sealed string
}

// Compared is one name in two environments.
type Compared struct {
	Name     string
	State    Comparison
	From, To *Side // nil where there is none
	Inputs   []InputDifference
	// Secrets are the inputs that are secret on both sides, as JSON pointers.
	// They are not compared: whoever may write one side could find out the
	// other by trying.
	Secrets []string
}

// InputDifference is an input that differs. Of a secret there are no values.
type InputDifference struct {
	Input    string // JSON pointer
	From, To any    // nil where it is not set
	Secret   bool
}

// Contrast is how two environments of a project stand to each other, a page at
// a time.
type Contrast struct {
	From, To Environment
	Items    []Compared
	Counts   map[Comparison]int64 // of all names, whatever the filter
}

// CompareFilter narrows a comparison; the zero value is all.
type CompareFilter struct {
	State  Comparison
	Search string // part of the name
}

// Compare sets two environments of a project side by side, name by name. The
// caller must be allowed to see the resources of both.
func (s *Service) Compare(ctx context.Context, project, from, to string, f CompareFilter, p sqldb.Page) (c Contrast, next string, err error) {
	if err := signedIn(ctx); err != nil {
		return c, "", err
	}
	for _, side := range []struct {
		ref  string
		into *Environment
	}{{from, &c.From}, {to, &c.To}} {
		if *side.into, err = s.Environments.Resolve(ctx, project, side.ref); err != nil {
			return c, "", err
		}
		if _, err := s.Access.Check(ctx, access.ResourceView, side.into.target("resource", "", "", "")); err != nil {
			return c, "", err
		}
	}
	switch f.State {
	case "", OnlyFrom, OnlyTo, OtherVersion, OtherInputs, Alike, Different:
	default:
		return c, "", fault.New(fault.Invalid, "unknown_state", "environments cannot be compared by that").WithField("query:state").
			WithHint("choose different, only-from, only-to, version, inputs or same")
	}
	scope, err := s.Access.Scope(ctx, access.ResourceView)
	if err != nil {
		return c, "", err
	}
	if c.Counts, err = s.db.contrast(ctx, &c, scope); err != nil {
		return c, "", err
	}
	if c.Items, next, err = s.db.compare(ctx, c, f, scope, p); err != nil {
		return c, "", err
	}
	for i := range c.Items {
		if err := c.Items[i].compareInputs(); err != nil {
			return c, "", err
		}
	}
	return c, next, nil
}

func (c *Compared) compareInputs() error {
	if c.From == nil || c.To == nil {
		return nil
	}
	var sealed [2]map[string]bool
	var inputs [2]map[string]any
	for i, side := range []*Side{c.From, c.To} {
		var pointers []string
		if err := json.Unmarshal([]byte(side.sealed), &pointers); err != nil {
			return err
		}
		sealed[i] = map[string]bool{}
		for _, p := range pointers {
			sealed[i][p] = true
		}
		var err error
		if inputs[i], err = readInputs(side.inputs); err != nil {
			return err
		}
	}
	c.differ("", inputs[0], inputs[1], sealed)
	return nil
}

// differ notes where two values differ, as deep as objects go. An array is
// taken apart only where a secret is in it.
func (c *Compared) differ(at string, from, to any, sealed [2]map[string]bool) {
	switch hidden := [2]bool{sealed[0][at], sealed[1][at]}; {
	case hidden[0] && hidden[1]:
		c.Secrets = append(c.Secrets, at)
		return
	case hidden[0] || hidden[1]:
		c.Inputs = append(c.Inputs, InputDifference{Input: at, Secret: true})
		return
	}
	a, aok := parts(at, from, sealed)
	b, bok := parts(at, to, sealed)
	switch {
	case aok && bok, aok && to == nil, bok && from == nil:
		for _, k := range slices.Sorted(maps.Keys(union(a, b))) {
			c.differ(at+"/"+yamlx.Escape(k), a[k], b[k], sealed)
		}
	case !engine.Same(from, to):
		c.Inputs = append(c.Inputs, InputDifference{Input: at, From: from, To: to, Secret: secretBelow(at, sealed)})
	}
}

// parts takes a value apart by its keys, when it has any.
func parts(at string, v any, sealed [2]map[string]bool) (map[string]any, bool) {
	switch v := v.(type) {
	case map[string]any:
		return v, len(v) > 0
	case []any:
		if !secretBelow(at, sealed) {
			return nil, false
		}
		out := make(map[string]any, len(v))
		for i, e := range v {
			out[strconv.Itoa(i)] = e
		}
		return out, true
	}
	return nil, false
}

// secretBelow tells whether a secret of either side lies within a value.
func secretBelow(at string, sealed [2]map[string]bool) bool {
	for _, side := range sealed {
		for p := range side {
			if len(p) > len(at) && p[:len(at)] == at && p[len(at)] == '/' {
				return true
			}
		}
	}
	return false
}

func union(a, b map[string]any) map[string]any {
	out := maps.Clone(a)
	if out == nil {
		out = map[string]any{}
	}
	maps.Copy(out, b)
	return out
}

// compared is a comparison's order; compare gives it what to select.
var compared = sqldb.List[Compared]{
	Scan: func(r sqldb.Row) (c Compared, err error) {
		var from, to Side
		var drifted [2]int64
		err = r.Scan(&c.Name, &c.State, &from.ID, &from.Template, &from.TemplateVersion, &from.Phase, &drifted[0], &from.inputs, &from.sealed,
			&to.ID, &to.Template, &to.TemplateVersion, &to.Phase, &drifted[1], &to.inputs, &to.sealed)
		from.Drifted, to.Drifted = drifted[0] == 1, drifted[1] == 1
		if from.ID != "" {
			c.From = &from
		}
		if to.ID != "" {
			c.To = &to
		}
		return c, err
	},
	Default: "name",
	Orders:  map[string]sqldb.Order[Compared]{"name": {Columns: []string{"x.name"}, Key: func(c Compared) []any { return []any{c.Name} }}},
}

// sideBySide is the SELECT that pairs the resources of two environments by
// name, and the values that it takes, first in the statement.
func (s store) sideBySide(c *Contrast, scope access.Scope, columns string) (string, []any) {
	var names, other sqldb.Where
	at := access.Columns{Team: "r.team_id", Project: "r.project_id", Environment: "r.environment_id"}
	names.And(`r.environment_id = ?`, c.From.ID) // $1
	names.And(`1 = 1`, c.To.ID)                  // $2
	names.And(`r.destroyed_at IS NULL`)
	scope.Narrow(&names, s.db, at)
	from, args := names.SQL()
	other.And(`r.environment_id = $2`, args...)
	other.And(`r.destroyed_at IS NULL`)
	scope.Narrow(&other, s.db, at)
	to, args := other.SQL()
	return `(SELECT n.name AS name, CASE WHEN b.id IS NULL THEN 'only-from' WHEN a.id IS NULL THEN 'only-to'
			WHEN va.template <> vb.template OR va.template_version <> vb.template_version THEN 'version'
			WHEN va.inputs <> vb.inputs THEN 'inputs' ELSE 'same' END AS state` + columns + `
		FROM (SELECT r.name FROM resources r` + from + ` UNION SELECT r.name FROM resources r` + to + `) n
		LEFT JOIN resources a ON a.environment_id = $1 AND a.name = n.name AND a.destroyed_at IS NULL
		LEFT JOIN revisions va ON va.resource_id = a.id AND va.number = a.revision
		LEFT JOIN resources b ON b.environment_id = $2 AND b.name = n.name AND b.destroyed_at IS NULL
		LEFT JOIN revisions vb ON vb.resource_id = b.id AND vb.number = b.revision) x`, args
}

func (s store) contrast(ctx context.Context, c *Contrast, scope access.Scope) (map[Comparison]int64, error) {
	from, args := s.sideBySide(c, scope, "")
	type count struct {
		state Comparison
		n     int64
	}
	list, err := sqldb.Collect(ctx, s.db.Read(), func(r sqldb.Row) (v count, err error) {
		return v, r.Scan(&v.state, &v.n)
	}, `SELECT x.state, count(*) FROM `+from+` GROUP BY x.state`, args...)
	out := map[Comparison]int64{}
	for _, v := range list {
		out[v.state] = v.n
	}
	return out, err
}

func (s store) compare(ctx context.Context, c Contrast, f CompareFilter, scope access.Scope, p sqldb.Page) ([]Compared, string, error) {
	columns := ""
	for _, side := range []string{"a", "b"} {
		for _, col := range []string{"id", "template", "template_version", "phase", "drifted", "inputs", "sealed"} {
			value := side + "." + col
			switch col {
			case "template", "template_version", "inputs", "sealed":
				value = "v" + value
			case "drifted":
				columns += `, CASE WHEN coalesce(` + side + `.drift, 'null') IN ('[]', 'null') THEN 0 ELSE 1 END AS ` + side + `_drifted`
				continue
			}
			columns += `, coalesce(` + value + `, '') AS ` + side + `_` + col
		}
	}
	from, args := s.sideBySide(&c, scope, columns)
	var w sqldb.Where
	w.And(`1 = 1`, args...)
	switch f.State {
	case "":
	case Different:
		w.And(`x.state <> 'same'`)
	default:
		w.And(`x.state = ?`, string(f.State))
	}
	if f.Search != "" {
		w.And(`x.name LIKE ? ESCAPE '\'`, sqldb.Contains(f.Search))
	}
	list := compared
	list.Select = `SELECT x.* FROM ` + from
	return list.Page(ctx, s.db.Read(), w, "", p)
}

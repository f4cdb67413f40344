package resourcecli

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"fairlead/internal/apiclient"
	"fairlead/internal/clikit"
	"fairlead/internal/yamlx"
)

// manifest is one resource described in a file.
type manifest struct {
	file        string
	node        *yamlx.Node // of the document
	name        string
	project     string // "" for the one in use
	environment string
	request     apiclient.ResourceRequest
}

// parse reads every document of a file; all that is wrong is said at once,
// with file, line and field.
func parse(file string, data []byte) ([]manifest, error) {
	docs, err := yamlx.Decode(bytes.NewReader(data), yamlx.Limits{File: file})
	if err != nil {
		return nil, err
	}
	if len(docs) == 0 {
		return nil, clikit.Usage("there is no resource in %s", file)
	}
	r := yamlx.NewReader(file)
	var out []manifest
	for _, doc := range docs {
		out = append(out, parseOne(r, file, doc.Root))
	}
	return out, r.Err("invalid_manifest", "the description is not valid")
}

func parseOne(r *yamlx.Reader, file string, root *yamlx.Node) manifest {
	m := manifest{file: file, node: root}
	top := r.Object(root, "apiVersion", "kind", "metadata", "spec")
	if root.Kind != yamlx.Object {
		return m
	}
	literal(r, top, "apiVersion", "fairlead/v1")
	literal(r, top, "kind", "Resource")
	if n := top.Need("metadata"); n != nil {
		meta := r.Object(n, "name", "project", "environment")
		if n.Kind == yamlx.Object {
			meta.Need("name")
		}
		m.name, m.project, m.environment = meta.String("name"), meta.String("project"), meta.String("environment")
	}
	n := top.Need("spec")
	if n == nil {
		return m
	}
	spec := r.Object(n, "template", "version", "inputs", "note", "lease")
	if n.Kind == yamlx.Object {
		spec.Need("template")
	}
	inputs := map[string]any{}
	if in := spec.Node("inputs"); in != nil && in.Kind != yamlx.Null {
		var ok bool
		if inputs, ok = in.Value().(map[string]any); !ok {
			r.Fail(in, "must be an object, is %s", in.Kind)
		}
	}
	m.request = apiclient.ResourceRequest{Name: m.name, Template: spec.String("template"), Version: clikit.Some(spec.String("version")),
		Inputs: &inputs, Note: clikit.Some(spec.String("note")), Lease: clikit.Some(spec.String("lease"))}
	return m
}

func literal(r *yamlx.Reader, top yamlx.Fields, name, want string) {
	if n := top.Need(name); n != nil {
		if got := top.String(name); n.Kind == yamlx.String && got != want {
			r.Fail(n, "must be %q, is %s", want, yamlx.Quote(got))
		}
	}
}

// group is the resources of one environment: what is applied as one.
type group struct {
	clikit.Where
	items []manifest
}

// groups sorts manifests by environment, in the order of their first mention.
func groups(all []manifest, fallback func() (clikit.Where, error)) ([]*group, error) {
	var out []*group
	seen := map[clikit.Where]*group{}
	for _, m := range all {
		w := clikit.Where{Project: m.project, Environment: m.environment}
		if project, env, both := strings.Cut(w.Environment, "/"); both && w.Project == "" {
			w = clikit.Where{Project: project, Environment: env}
		}
		if w.Project == "" || w.Environment == "" {
			here, err := fallback()
			if err != nil {
				return nil, err
			}
			if w.Environment == "" {
				if w.Project != "" && w.Project != here.Project {
					return nil, clikit.Usage("%s line %d: %s names a project but no environment", m.file, m.node.Line, clikit.Clean(m.name)).
						WithHint("add metadata.environment")
				}
				w = here
			}
			if w.Project == "" {
				w.Project = here.Project
			}
		}
		g := seen[w]
		if g == nil {
			g = &group{Where: w}
			seen[w] = g
			out = append(out, g)
		}
		for _, other := range g.items {
			if other.name == m.name {
				return nil, clikit.Usage("%s line %d: %s of %s is described twice, first in %s line %d",
					m.file, m.node.Line, clikit.Clean(m.name), w, other.file, other.node.Line).WithHint("keep one of the two")
			}
		}
		g.items = append(g.items, m)
	}
	return out, nil
}

// located adds file and line to what the server says about a set.
func (g *group) located(err error) error {
	api, ok := errors.AsType[*apiclient.Error](err)
	if !ok {
		return err
	}
	e := *api
	if at := g.place(e.Field); at != "" {
		e.Detail = at + ": " + e.Detail
	}
	e.Violations = append([]apiclient.Violation{}, e.Violations...)
	for i, v := range e.Violations {
		if at := g.place(v.Field); at != "" {
			e.Violations[i].Message = v.Message + " (" + at + ")"
		}
	}
	return &e
}

// place turns /resources/N/inputs/size into file and line; of a group of one
// /inputs/size too.
func (g *group) place(pointer string) string {
	rest, ok := strings.CutPrefix(pointer, "/resources/")
	if !ok && len(g.items) == 1 && pointer != "" {
		rest, ok = "0"+pointer, true
	}
	if !ok {
		return ""
	}
	index, rest, _ := strings.Cut(rest, "/")
	n, err := strconv.Atoi(index)
	if err != nil || n < 0 || n >= len(g.items) {
		return ""
	}
	m := g.items[n]
	below := "/spec"
	if rest == "name" {
		below = "/metadata"
	}
	if rest != "" {
		below += "/" + rest
	}
	return fmt.Sprintf("%s line %d", m.file, m.node.Find(below).Line)
}

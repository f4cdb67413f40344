package projectweb

import (
	"cmp"
	"encoding/json"
	"net/url"
	"slices"

	"fairlead/internal/project"
	"fairlead/internal/resource"
	"fairlead/internal/sqldb"
	"fairlead/internal/webui"
)

// choices is how many environments can be chosen from.
const choices = 100

// compareView is what a comparison of two environments shows.
type compareView struct {
	project.Project
	environments []project.Environment
	a, b         string // names or ids, as the address has them
	state        resource.Comparison
	resource.Contrast
	next string
}

func (w *web) compare(r *webui.Request) (webui.View, error) {
	ctx := r.Context()
	v := compareView{a: r.Query("a"), b: r.Query("b"), state: resource.Comparison(r.Query("state"))}
	var err error
	if v.environments, _, err = w.Projects.Environments(ctx, project.EnvironmentFilter{Project: r.Path("project")}, sqldb.Page{Limit: choices}); allowed(err) != nil {
		return webui.View{}, err
	}
	if v.Project, err = w.Projects.Get(ctx, r.Path("project")); err != nil {
		return webui.View{}, err
	}
	v.choose()
	view := webui.View{Title: "Compare " + v.Name, Project: v.Name, Crumbs: []webui.Crumb{home, {Title: v.Name, Href: webui.To("projects", v.Name)}, {Title: "Compare"}}, Docs: "/docs/portal"}
	if v.a == "" || v.b == "" {
		view.Body = compareNothing(v)
		return view, nil
	}
	page, err := r.PageOf(30)
	if err != nil {
		return webui.View{}, err
	}
	f := resource.CompareFilter{State: v.state, Search: r.Query("q")}
	switch v.state {
	case "":
		f.State = resource.Different
	case "all":
		f.State = ""
	}
	if v.Contrast, v.next, err = w.Resources.Compare(ctx, v.Project.ID, v.a, v.b, f, page); err != nil {
		return webui.View{}, err
	}
	view.Title = v.From.Name + " and " + v.To.Name
	view.Body = comparePage(r, v)
	view.API = "GET /api/v1/projects/" + v.Name + "/compare?from=" + url.QueryEscape(v.From.Name) + "&to=" + url.QueryEscape(v.To.Name)
	view.CLI = "fairlead env compare " + v.From.Name + " " + v.To.Name + " --project " + v.Name
	return view, nil
}

// choose takes the environments that are most likely meant where the address
// names none: what comes first on the way to production, and what comes next.
func (v *compareView) choose() {
	rank := map[project.Class]int{project.Development: 0, project.Staging: 1, project.Production: 2}
	slices.SortStableFunc(v.environments, func(a, b project.Environment) int { return cmp.Compare(rank[a.Class], rank[b.Class]) })
	at := slices.IndexFunc(v.environments, func(e project.Environment) bool { return e.Name == v.a || e.ID == v.a })
	if v.a == "" && len(v.environments) > 0 {
		at, v.a = 0, v.environments[0].Name
	}
	if v.b == "" && v.a != "" && len(v.environments) > 1 {
		next := at + 1
		if next >= len(v.environments) {
			next = max(at-1, 0)
		}
		v.b = v.environments[next].Name
	}
}

// states are the ways to narrow a comparison, with how many there are.
func (v compareView) states(r *webui.Request) []webui.Tab {
	var all int64
	for _, n := range v.Counts {
		all += n
	}
	tab := func(title string, state resource.Comparison, n int64) webui.Tab {
		return webui.Tab{Title: title, Href: r.With("state", string(state)), Current: v.state == state, Count: int(n)}
	}
	return []webui.Tab{
		tab("Different", "", all-v.Counts[resource.Alike]), tab("Only in "+v.From.Name, resource.OnlyFrom, v.Counts[resource.OnlyFrom]),
		tab("Only in "+v.To.Name, resource.OnlyTo, v.Counts[resource.OnlyTo]), tab("Version", resource.OtherVersion, v.Counts[resource.OtherVersion]),
		tab("Inputs", resource.OtherInputs, v.Counts[resource.OtherInputs]), tab("Same", resource.Alike, v.Counts[resource.Alike]), tab("All", "all", all),
	}
}

// differences is what differs, as a Diff shows it.
func differences(c resource.Compared) []webui.Change {
	var out []webui.Change
	if c.From == nil || c.To == nil {
		return nil
	}
	if c.From.Template != c.To.Template || c.From.TemplateVersion != c.To.TemplateVersion {
		out = append(out, webui.Change{Op: "mod", Path: "template", Old: c.From.Template + " " + c.From.TemplateVersion, New: c.To.Template + " " + c.To.TemplateVersion})
	}
	for _, in := range c.Inputs {
		path := in.Input[min(1, len(in.Input)):]
		switch {
		case in.Secret:
			out = append(out, webui.Change{Op: "secret", Path: path})
		case in.From == nil:
			out = append(out, webui.Change{Op: "add", Path: path, New: plain(in.To)})
		case in.To == nil:
			out = append(out, webui.Change{Op: "del", Path: path, Old: plain(in.From)})
		default:
			out = append(out, webui.Change{Op: "mod", Path: path, Old: plain(in.From), New: plain(in.To)})
		}
	}
	if len(out) > 0 {
		for _, s := range c.Secrets {
			out = append(out, webui.Change{Op: "same", Path: s[min(1, len(s)):], New: "secret in both, not compared"})
		}
	}
	return out
}

func plain(v any) string {
	if s, ok := v.(string); ok {
		return clip(s, 300)
	}
	b, err := json.Marshal(v)
	if err != nil {
		return "?"
	}
	return clip(string(b), 300)
}

// copyTo is where a form for the same in another environment is.
func copyTo(s *resource.Side, into resource.Environment) string {
	q := url.Values{"in": {into.Project + "/" + into.Name}, "version": {s.TemplateVersion}, "like": {s.ID}}
	return webui.To("create", s.Template) + "?" + q.Encode()
}

type environment = project.Environment

func has(list []environment, name string) bool {
	return slices.ContainsFunc(list, func(e environment) bool { return e.Name == name })
}

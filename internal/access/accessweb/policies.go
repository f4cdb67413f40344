package accessweb

import (
	"slices"
	"strconv"

	"fairlead/internal/access"
	"fairlead/internal/sqldb"
	"fairlead/internal/webui"
)

// tabs are the two pages about access.
func tabs(at string) []webui.Tab {
	return []webui.Tab{{Title: "Ask", Href: "/access", Current: at == "ask"}, {Title: "Policies", Href: "/access/policies", Current: at == "policies"}}
}

type policiesView struct {
	version  access.Version
	newest   int64
	list     []access.Listed
	versions []access.Version
	next     string
	changes  []access.Change // from the version before
}

// roles are those that policies are for, and how many each.
func (v policiesView) roles() []webui.Option {
	var out []webui.Option
	for _, l := range v.list {
		if l.Role != "" && !slices.ContainsFunc(out, func(o webui.Option) bool { return o.Value == string(l.Role) }) {
			out = append(out, webui.Option{Value: string(l.Role), Title: webui.Words(string(l.Role))})
		}
	}
	return append(out, webui.Option{Value: "-", Title: "No role: everybody, or by conditions"})
}

func (w *web) policies(r *webui.Request) (webui.View, error) {
	page, err := r.PageOf(20)
	if err != nil {
		return webui.View{}, err
	}
	n, _ := strconv.ParseInt(r.Query("version"), 10, 64)
	var v policiesView
	if v.version, v.list, err = w.svc.Listing(r.Context(), n); err != nil {
		return webui.View{}, err
	}
	if v.versions, v.next, err = w.svc.Versions(r.Context(), page); err != nil {
		return webui.View{}, err
	}
	current, _, err := w.svc.Versions(r.Context(), sqldb.Page{Limit: 1})
	if err != nil {
		return webui.View{}, err
	}
	if len(current) > 0 {
		v.newest = current[0].Version
	}
	if v.version.Version > 1 {
		if v.changes, err = w.svc.Diff(r.Context(), v.version.Version-1, v.version.Version); err != nil {
			return webui.View{}, err
		}
	}
	cli := "fairlead access policies show"
	return webui.View{Title: "Policies", Body: policiesPage(r, v), API: "GET /api/v1/access/policies", CLI: cli, Docs: "/docs/architecture",
		Crumbs: []webui.Crumb{{Title: "Home", Href: "/"}, {Title: "Access", Href: "/access"}, {Title: "Policies"}}}, nil
}

// shown are the policies that the filter lets through.
func (v policiesView) shown(r *webui.Request) []access.Listed {
	role, effect := r.Query("role"), r.Query("effect")
	return slices.DeleteFunc(slices.Clone(v.list), func(l access.Listed) bool {
		return effect != "" && effect != l.Effect || role == "-" && l.Role != "" || role != "" && role != "-" && role != string(l.Role)
	})
}

func about(l access.Listed) string {
	what := "every action"
	if n := len(l.Actions); n > 0 {
		what = webui.Count(n, "action")
	}
	if l.When {
		what += ", on a condition"
	}
	return what
}

func noteOf(v access.Version) string {
	if v.Note == "" {
		return ""
	}
	return " · " + v.Note
}

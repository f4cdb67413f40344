package webui

import (
	"slices"
	"strings"

	"fairlead/internal/fault"
)

// search is the palette's page: what there is to go to, and to start. Without
// a script it is a page like any other.
func (p *Portal) search(r *Request) (View, error) {
	text, kind := r.Query("q"), r.Query("kind")
	var groups []hitGroup
	if kind == "" {
		var pages []Hit
		for _, n := range p.o.Nav {
			if (n.Show == nil || n.Show(r.Who())) && contains(n.Title, text) {
				pages = append(pages, Hit{Kind: "page", Title: n.Title, Detail: n.Group, Href: n.Href, Icon: n.Icon})
			}
		}
		groups = append(groups, hitGroup{"Go to", pages})
	}
	kinds := make([]string, 0, len(p.o.Finders))
	for k := range p.o.Finders {
		kinds = append(kinds, k)
	}
	slices.Sort(kinds)
	for _, k := range kinds {
		if kind != "" && kind != k {
			continue
		}
		hits, err := p.o.Finders[k](r.Context(), text)
		if fault.Is(err, fault.Denied) || fault.Is(err, fault.NotFound) {
			continue
		}
		if err != nil {
			return View{}, err
		}
		groups = append(groups, hitGroup{finderTitles[k], hits})
	}
	groups = slices.DeleteFunc(groups, func(g hitGroup) bool { return len(g.Hits) == 0 })
	// What matches best stands first: what was found before what leads somewhere anyway.
	if text != "" && len(groups) > 1 && groups[0].Title == "Go to" && !strings.HasPrefix(strings.ToLower(groups[0].Hits[0].Title), strings.ToLower(text)) {
		groups = append(groups[1:], groups[0])
	}
	return View{Title: "Search", Body: searchPage(text, kind, groups)}, nil
}

type hitGroup struct {
	Title string
	Hits  []Hit
}

var finderTitles = map[string]string{
	"environment": "Environments", "project": "Projects", "resource": "Resources", "start": "Start something",
}

func contains(in, text string) bool {
	return strings.Contains(strings.ToLower(in), strings.ToLower(text))
}

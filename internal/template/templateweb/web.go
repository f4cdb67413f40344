package templateweb

import (
	"fmt"
	"strings"
	"time"

	"fairlead/internal/access"
	"fairlead/internal/fault"
	"fairlead/internal/httpx"
	"fairlead/internal/resource"
	"fairlead/internal/rollout"
	"fairlead/internal/source"
	"fairlead/internal/sqldb"
	"fairlead/internal/template"
	"fairlead/internal/webui"
)

// Services is what the pages show.
type Services struct {
	Templates *template.Service
	Sources   *source.Service
	Resources *resource.Service
	Rollouts  *rollout.Service
}

type web struct{ Services }

// Mount adds the pages.
func Mount(p *webui.Portal, s Services) {
	w := &web{s}
	p.Page("GET /templates", w.list)
	p.Page("GET /templates/{template}", w.template)
	p.Page("GET /templates/{template}/versions", w.versions)
	p.Page("GET /templates/{template}/use", w.use)
	p.Page("GET /templates/{template}/pins", w.pins)
	p.Action("POST /templates/{template}/deprecate", w.deprecate)
	w.mountSources(p)
}

// allowed turns "you may not see that" into nothing to show.
func allowed(err error) error {
	if fault.Is(err, fault.Denied) || fault.Is(err, fault.NotFound) {
		return nil
	}
	return err
}

type listView struct {
	list    []*template.Version
	next    string
	sources map[string]source.Source // of those that the caller may push
}

func (w *web) list(r *webui.Request) (webui.View, error) {
	page, err := r.PageOf(30)
	if err != nil {
		return webui.View{}, err
	}
	list, err := w.Templates.List(r.Context(), template.Filter{Search: r.Query("q"), Sort: r.Query("sort")}, page)
	if err != nil {
		return webui.View{}, err
	}
	v := listView{list: list.Items, next: list.Next, sources: map[string]source.Source{}}
	from, _, err := w.Sources.List(access.Wondering(r.Context()), sqldb.Page{Limit: 200})
	if allowed(err) != nil {
		return webui.View{}, err
	}
	for _, s := range from {
		v.sources[s.Name] = s
	}
	return webui.View{Title: "Templates", Body: listPage(r, v), API: "GET /api/v1/templates", CLI: "fairlead template ls", Docs: "/docs/templates"}, nil
}

// part is what every page about one template shows above its own.
type part struct {
	*template.Version
	tab string
}

func (v part) tabs() []webui.Tab {
	var out []webui.Tab
	for _, t := range []struct{ title, name string }{{"Overview", ""}, {"Versions", "versions"}, {"Use", "use"}, {"Pins", "pins"}} {
		href := webui.To("templates", v.Name)
		if t.name != "" {
			href += "/" + t.name
		}
		out = append(out, webui.Tab{Title: t.title, Href: href, Current: v.tab == t.name})
	}
	return out
}

func (w *web) view(v part, title string) webui.View {
	list := []webui.Crumb{{Title: "Home", Href: "/"}, {Title: "Templates", Href: "/templates"}}
	if title == "" {
		list, title = append(list, webui.Crumb{Title: v.Name}), v.Name
	} else {
		list, title = append(list, webui.Crumb{Title: v.Name, Href: webui.To("templates", v.Name)}, webui.Crumb{Title: title}), v.Name+" "+strings.ToLower(title)
	}
	return webui.View{Title: title, Crumbs: list, Docs: "/docs/templates", API: "GET /api/v1/templates/" + v.Name, CLI: "fairlead template show " + v.Name}
}

func (w *web) template(r *webui.Request) (webui.View, error) {
	t, err := w.Templates.Get(r.Context(), r.Path("template"), r.Query("version"))
	if err != nil {
		return webui.View{}, err
	}
	v := part{t, ""}
	page := w.view(v, "")
	page.Body = overviewPage(v)
	return page, nil
}

// versionsView is the versions, and what of the source did not become one.
type versionsView struct {
	part
	list    []template.Summary
	next    string
	source  source.Source
	sourced bool
	mayPush bool // only what is shown hangs on it
	broken  []source.Tag
	sent    string // the version of the form that was sent
	form    template.Deprecation
	ends    string
	err     error
}

func (w *web) versions(r *webui.Request) (webui.View, error) {
	return w.showVersions(r, versionsView{})
}

func (w *web) showVersions(r *webui.Request, v versionsView) (webui.View, error) {
	ctx := r.Context()
	t, err := w.Templates.Get(ctx, r.Path("template"), "")
	if err != nil {
		return webui.View{}, err
	}
	v.part = part{t, "versions"}
	page, err := r.PageOf(20)
	if err != nil {
		return webui.View{}, err
	}
	list, err := w.Templates.Versions(ctx, t.Name, page)
	if err != nil {
		return webui.View{}, err
	}
	v.list, v.next, v.mayPush = list.Items, list.Next, w.Templates.MayPush(ctx, t)
	if v.source, err = w.Sources.Get(access.Wondering(ctx), t.Name); err == nil {
		v.sourced = true
		tags, _, err := w.Sources.Tags(ctx, t.Name, sqldb.Page{Limit: 100})
		if err != nil {
			return webui.View{}, err
		}
		for _, tag := range tags {
			if tag.Status != source.Imported {
				v.broken = append(v.broken, tag)
			}
		}
	} else if allowed(err) != nil {
		return webui.View{}, err
	}
	view := w.view(v.part, "Versions")
	view.Body = versionsPage(r, v)
	view.API, view.CLI = "GET /api/v1/templates/"+t.Name+"/versions", "fairlead template show "+t.Name
	if v.err != nil {
		view.Status = httpx.Status(fault.KindOf(v.err))
	}
	return view, nil
}

// deprecate says that a version should not be used any more, or takes that back.
func (w *web) deprecate(r *webui.Request) (webui.Answer, error) {
	ctx, name, version := r.Context(), r.Path("template"), r.Field("version")
	d := template.Deprecation{Reason: r.Field("reason"), Successor: r.Field("successor")}
	ends := r.Field("ends")
	said := fmt.Sprintf("%s %s is deprecated.", name, version)
	var err error
	if r.Field("undo") != "" {
		_, err = w.Templates.Undeprecate(ctx, name, version)
		said = fmt.Sprintf("%s %s is not deprecated any more.", name, version)
	} else {
		if ends != "" {
			if d.EndOfLife, err = time.Parse(time.DateOnly, ends); err != nil {
				err = fault.New(fault.Invalid, "invalid_time", "the end of life is no day").WithField("/endOfLife").WithHint("as 2027-01-31")
			}
		}
		if err == nil {
			_, err = w.Templates.Deprecate(ctx, name, version, d)
		}
	}
	if err == nil {
		return webui.Answer{To: webui.To("templates", name, "versions"), Flash: said}, nil
	}
	switch fault.KindOf(err) {
	case fault.Invalid, fault.Conflict, fault.Denied:
		v, verr := w.showVersions(r, versionsView{sent: version, form: d, ends: ends, err: err})
		return webui.Answer{View: &v}, verr
	}
	return webui.Answer{}, err
}

// use is what was made of the template and still is there.
func (w *web) use(r *webui.Request) (webui.View, error) {
	ctx := r.Context()
	t, err := w.Templates.Get(ctx, r.Path("template"), "")
	if err != nil {
		return webui.View{}, err
	}
	page, err := r.PageOf(40)
	if err != nil {
		return webui.View{}, err
	}
	list, next, err := w.Resources.List(ctx, resource.Filter{Template: t.Name, Search: r.Query("q"), Sort: r.Query("sort")}, page)
	if err != nil {
		return webui.View{}, err
	}
	v := part{t, "use"}
	view := w.view(v, "Use")
	view.Body = usePage(r, v, list, next)
	view.API, view.CLI = "GET /api/v1/resources?template="+t.Name, "fairlead template users "+t.Name
	return view, nil
}

// pins is what keeps resources of the template at their versions.
func (w *web) pins(r *webui.Request) (webui.View, error) {
	ctx := r.Context()
	t, err := w.Templates.Get(ctx, r.Path("template"), "")
	if err != nil {
		return webui.View{}, err
	}
	page, err := r.PageOf(40)
	if err != nil {
		return webui.View{}, err
	}
	list, next, err := w.Rollouts.Pins(ctx, rollout.PinFilter{Template: t.Name, Search: r.Query("q")}, page)
	if err != nil {
		return webui.View{}, err
	}
	v := part{t, "pins"}
	view := w.view(v, "Pins")
	view.Body = pinsPage(r, v, list, next)
	view.API, view.CLI, view.Docs = "GET /api/v1/pins?template="+t.Name, "fairlead pins --template "+t.Name, "/docs/rollouts"
	return view, nil
}

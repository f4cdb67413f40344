package templateweb

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"fairlead/internal/access"
	"fairlead/internal/fault"
	"fairlead/internal/httpx"
	"fairlead/internal/redact"
	"fairlead/internal/source"
	"fairlead/internal/sqldb"
	"fairlead/internal/webui"
)

func (w *web) mountSources(p *webui.Portal) {
	p.LivePage("GET /sources", w.sources, w.sourcesLive)
	p.Page("GET /add-source", w.newSource)
	p.Action("POST /sources", w.addSource)
	p.Action("POST /sources/sync", w.sync)
	p.Page("GET /sources/{source}", w.source)
	p.Action("POST /sources/{source}", w.changeSource)
	p.Action("POST /sources/{source}/remove", w.removeSource)
}

func (w *web) lookSources(r *webui.Request) ([]source.Source, string, string, error) {
	page, err := r.PageOf(30)
	if err != nil {
		return nil, "", "", err
	}
	list, next, err := w.Sources.List(access.Wondering(r.Context()), page)
	var stamp strings.Builder
	for _, s := range list {
		fmt.Fprint(&stamp, s.ID, s.Looked, s.Wanted, s.Failures, s.SyncedAt, s.Problem.Code)
	}
	return list, next, stamp.String(), err
}

func (w *web) sources(r *webui.Request) (webui.View, error) {
	list, next, stamp, err := w.lookSources(r)
	return webui.View{Title: "Sources", Body: sourcesPage(r, list, next, w.Sources.MayAdd(access.Wondering(r.Context())) == nil), Stamp: stamp, API: "GET /api/v1/template-sources", CLI: "fairlead template source ls", Docs: "/docs/templates"}, err
}

func (w *web) sourcesLive(r *webui.Request) (string, []string, error) {
	_, _, stamp, err := w.lookSources(r)
	return stamp, nil, err
}

func (w *web) sync(r *webui.Request) (webui.Answer, error) {
	s, err := w.Sources.Sync(r.Context(), r.Field("source"))
	return webui.Answer{To: "/sources", Flash: "The source of " + s.Name + " is being looked at."}, err
}

// pace is how often a source is looked at, as a form offers it.
var pace = []webui.Option{{Value: "0s", Title: "Only when asked"}, {Value: "1m0s", Title: "Every minute"}, {Value: "5m0s", Title: "Every 5 minutes"}, {Value: "15m0s", Title: "Every 15 minutes"},
	{Value: "1h0m0s", Title: "Every hour"}, {Value: "6h0m0s", Title: "Every 6 hours"}, {Value: "24h0m0s", Title: "Every day"}}

// paces are those and the one that is set, when it is another.
func paces(now string) []webui.Option {
	if now == "" || slices.ContainsFunc(pace, func(o webui.Option) bool { return o.Value == now }) {
		return pace
	}
	return append(slices.Clone(pace), webui.Option{Value: now, Title: "Every " + now})
}

// sourceForm is a source as somebody wrote it down. Credentials are not among
// it: they are never shown again.
type sourceForm struct{ name, from, path, refs, release, every, hooked, username, knownHosts string }

func readSourceForm(r *webui.Request) sourceForm {
	return sourceForm{name: r.Field("name"), from: r.Field("from"), path: r.Field("path"), refs: r.Field("refs"), release: r.Field("release"),
		every: r.Field("every"), hooked: r.Field("webhook"), username: r.Field("username"), knownHosts: lines(r.Field("knownHosts"))}
}

// lines are a text's without what a browser puts at their ends.
func lines(s string) string { return strings.ReplaceAll(s, "\r\n", "\n") }

func formOfSource(v source.Source) sourceForm {
	f := sourceForm{name: v.Name, from: v.URL, path: v.Path, refs: v.Refs, release: v.Release, every: v.Every.String(), hooked: "no", knownHosts: v.KnownHosts}
	if v.Hooked {
		f.hooked = "yes"
	}
	return f
}

// place tells a folder of the server from a repository.
func (f sourceForm) place() (url, folder string) {
	if strings.HasPrefix(f.from, "/") {
		return "", f.from
	}
	return f.from, ""
}

// pace gives how often, nil when the form does not say.
func (f sourceForm) pace() *time.Duration {
	d, err := time.ParseDuration(f.every)
	if err != nil {
		return nil
	}
	return &d
}

type sourceView struct {
	source.Source // zero for one that is to be added
	form          sourceForm
	tags          []source.Tag
	more          bool
	secret        redact.Secret // shown this once
	push          string        // where pushes go
	err           error
}

// failed tells a form that was filled in wrong, or may not be sent, from what
// its page cannot be shown after.
func failed(err error) bool {
	switch fault.KindOf(err) {
	case fault.Invalid, fault.Conflict, fault.Stale, fault.Denied, fault.Unavailable:
		return true
	}
	return false
}

func status(err error) int {
	if err == nil {
		return 0
	}
	return httpx.Status(fault.KindOf(err))
}

func (w *web) newSource(r *webui.Request) (webui.View, error) {
	return w.showNewSource(r, sourceView{form: sourceForm{every: "5m0s"}})
}

func (w *web) showNewSource(r *webui.Request, v sourceView) (webui.View, error) {
	if err := w.Sources.MayAdd(r.Context()); err != nil {
		return webui.View{}, err
	}
	return webui.View{Title: "Add a source", Body: newSourcePage(v), Status: status(v.err), API: "POST /api/v1/template-sources", CLI: "fairlead template add NAME --git URL", Docs: "/docs/templates",
		Crumbs: []webui.Crumb{{Title: "Home", Href: "/"}, {Title: "Sources", Href: "/sources"}, {Title: "Add"}}}, nil
}

func (w *web) addSource(r *webui.Request) (webui.Answer, error) {
	f := readSourceForm(r)
	in := source.NewSource{Name: f.name, Path: f.path, Refs: f.refs, Release: f.release, Every: f.pace(), Username: f.username, KnownHosts: f.knownHosts,
		Password: redact.New(r.Field("password")), PrivateKey: redact.New(lines(r.Field("privateKey"))), Hooked: f.hooked == "yes"}
	in.URL, in.Folder = f.place()
	s, secret, err := w.Sources.Add(r.Context(), in)
	switch {
	case err == nil && !secret.Empty():
		return w.shown(r, s, secret)
	case err == nil:
		return webui.Answer{To: webui.To("sources", s.Name), Flash: "The source is added, and looked at now."}, nil
	case failed(err):
		v, verr := w.showNewSource(r, sourceView{form: f, err: err})
		return webui.Answer{View: &v}, verr
	}
	return webui.Answer{}, err
}

// shown answers with the page itself: the secret is nowhere else, and is not
// kept for a page that could be asked for again.
func (w *web) shown(r *webui.Request, s source.Source, secret redact.Secret) (webui.Answer, error) {
	v, err := w.showSource(r, s, sourceView{form: formOfSource(s), secret: secret})
	return webui.Answer{View: &v}, err
}

func (w *web) source(r *webui.Request) (webui.View, error) {
	s, err := w.Sources.Get(r.Context(), r.Path("source"))
	if err != nil {
		return webui.View{}, err
	}
	return w.showSource(r, s, sourceView{form: formOfSource(s)})
}

func (w *web) showSource(r *webui.Request, s source.Source, v sourceView) (webui.View, error) {
	list, next, err := w.Sources.Tags(r.Context(), s.ID, sqldb.Page{Limit: 50})
	if err != nil {
		return webui.View{}, err
	}
	v.Source, v.tags, v.more, v.push = s, list, next != "", "/api/v1/template-sources/"+s.ID+"/push"
	return webui.View{Title: "Source of " + s.Name, Body: sourcePage(v), Status: status(v.err), API: "GET /api/v1/template-sources/" + s.Name, CLI: "fairlead template source show " + s.Name, Docs: "/docs/templates",
		Crumbs: []webui.Crumb{{Title: "Home", Href: "/"}, {Title: "Sources", Href: "/sources"}, {Title: s.Name}}}, nil
}

func (w *web) changeSource(r *webui.Request) (webui.Answer, error) {
	ctx, f := r.Context(), readSourceForm(r)
	was, err := w.Sources.Get(ctx, r.Path("source"))
	if err != nil {
		return webui.Answer{}, err
	}
	version, err := strconv.ParseInt(r.Field("version"), 10, 64)
	if err != nil || version < 1 {
		return webui.Answer{}, fault.New(fault.Invalid, "invalid_form", "the form does not say what it changes").WithHint("load the page again")
	}
	on := f.hooked == "yes"
	c := source.Change{Path: &f.path, Refs: &f.refs, Every: f.pace(), Hooked: &on, Username: f.username}
	if f.from != was.URL {
		url, folder := f.place()
		c.URL, c.Folder = &url, &folder
	}
	if f.release != was.Release {
		c.Release = &f.release
	}
	if f.knownHosts != lines(was.KnownHosts) {
		c.KnownHosts = &f.knownHosts
	}
	if password := redact.New(r.Field("password")); !password.Empty() || r.Field("away") == "yes" {
		c.Password = &password
	}
	if key := redact.New(lines(r.Field("privateKey"))); !key.Empty() {
		c.PrivateKey = &key
	}
	s, secret, err := w.Sources.Update(ctx, was.ID, c, version)
	switch {
	case err == nil && !secret.Empty():
		return w.shown(r, s, secret)
	case err == nil:
		return webui.Answer{To: webui.To("sources", s.Name), Flash: "The source is changed, and looked at now."}, nil
	case failed(err):
		v, verr := w.showSource(r, was, sourceView{form: f, err: err})
		return webui.Answer{View: &v}, verr
	}
	return webui.Answer{}, err
}

func (w *web) removeSource(r *webui.Request) (webui.Answer, error) {
	ctx := r.Context()
	s, err := w.Sources.Get(ctx, r.Path("source"))
	if err != nil {
		return webui.Answer{}, err
	}
	if r.Field("confirm") != s.Name {
		err = fault.New(fault.Invalid, "not_confirmed", "the name that was typed is not that of the template").WithHint("type %s to confirm", s.Name)
	} else {
		err = w.Sources.Remove(ctx, s.ID, 0)
	}
	switch {
	case err == nil:
		return webui.Answer{To: "/sources", Flash: "The source of " + s.Name + " is removed. Its versions stay."}, nil
	case failed(err):
		v, verr := w.showSource(r, s, sourceView{form: formOfSource(s), err: err})
		return webui.Answer{View: &v}, verr
	}
	return webui.Answer{}, err
}

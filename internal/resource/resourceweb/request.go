package resourceweb

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"fairlead/internal/fault"
	"fairlead/internal/gate"
	"fairlead/internal/httpx"
	"fairlead/internal/project"
	"fairlead/internal/redact"
	"fairlead/internal/resource"
	"fairlead/internal/sqldb"
	"fairlead/internal/template"
	"fairlead/internal/webui"
	"fairlead/internal/yamlx"
)

func (w *web) mountRequests() {
	w.p.Page("GET /create", w.gallery)
	w.p.Page("GET /create/{template}", w.newRequest)
	w.p.Action("POST /create/{template}", w.create)
	w.p.Action("POST /create/{template}/check", w.checkNew)
	w.p.Action("POST /create/{template}/form", w.reshapeNew)
	w.p.Page("GET "+one+"/change", w.newChange)
	w.p.Action("POST "+one+"/change", w.change)
	w.p.Action("POST "+one+"/change/check", w.checkChange)
	w.p.Action("POST "+one+"/change/form", w.reshapeChange)
	w.p.Action("POST "+one+"/change/merge", w.mergeChange)
	w.p.Part("GET /references", w.references)
}

// Starts finds the templates that something can be made from, for the palette.
func (s Services) Starts(ctx context.Context, text string) ([]webui.Hit, error) {
	text = strings.TrimSpace(strings.TrimPrefix(strings.ToLower(text), "create"))
	list, err := s.Templates.List(ctx, template.Filter{Search: text}, sqldb.Page{Limit: 6})
	var hits []webui.Hit
	for _, t := range list.Items {
		hits = append(hits, webui.Hit{Kind: "start", Title: "Create " + titleOf(t), Detail: t.Name, Href: webui.To("create", t.Name), Icon: "plus"})
	}
	return hits, err
}

func (w *web) gallery(r *webui.Request) (webui.View, error) {
	page, err := r.PageOf(24)
	if err != nil {
		return webui.View{}, err
	}
	list, err := w.Templates.List(r.Context(), template.Filter{Search: r.Query("q"), Tag: r.Query("tag")}, page)
	if err != nil {
		return webui.View{}, err
	}
	return webui.View{Title: "Create", Body: galleryPage(r, list.Items, tagsOf(list.Items), list.Next), API: "GET /api/v1/templates", CLI: "fairlead template ls"}, nil
}

func tagsOf(list []*template.Version) []string {
	seen := map[string]bool{}
	for _, v := range list {
		for _, t := range v.Tags {
			seen[t] = true
		}
	}
	return slices.Sorted(maps.Keys(seen))
}

// form is a request for a resource, or for a change of one, on its way.
type form struct {
	t            *template.Version
	old          *resource.Resource // of a change
	environments []project.Environment
	in           string // project/environment
	name, note   string
	lease        string
	inputs       map[string]any
	match, base  int64         // of a change: the version and the revision that it was opened with
	filled       *webui.Filled // what was sent; nil when nothing was
	offers       []resource.Offer
	merge        *merging           // when somebody else was quicker
	fresh        bool               // nothing was sent yet
	like         *resource.Resource // whose inputs a new one begins with
	wrong        []fault.Violation
	err          error // what kept it from being accepted
	preview      *preview
}

// preview is what the request would do.
type preview struct {
	resource.Preview
	err error // why there is none
}

func (f form) path() string {
	if f.old != nil {
		return href(*f.old, "change")
	}
	return webui.To("create", f.t.Name)
}

// draft is what the browser keeps the form under: a copy is no draft of
// anything else.
func (f form) draft() string {
	d := strings.TrimPrefix(f.path(), "/")
	if f.like != nil {
		d += " like " + f.like.ID + " in " + f.in
	}
	return d
}

func (f form) fields() *webui.Node {
	in := f.filled
	if in == nil {
		in = &webui.Filled{Values: f.inputs}
	}
	wrong := make([]fault.Violation, 0, len(f.wrong))
	for _, v := range f.wrong {
		if rest, ok := strings.CutPrefix(v.Field, "/inputs"); ok {
			v.Field = rest
		}
		wrong = append(wrong, v)
	}
	return in.Fields(f.t.Inputs, wrong).In(f.path()+"/form", "/references")
}

// take reads the inputs that were sent.
func (f *form) take(r *webui.Request) {
	f.filled = webui.ReadSchemaForm(f.t.Inputs, r.PostForm)
	f.inputs = f.filled.Values
	for _, v := range f.filled.Wrong {
		f.wrong = append(f.wrong, fault.Violation{Field: "/inputs" + v.Field, Message: v.Message})
	}
}

// wrongAt gives what is wrong with one of the form's own fields.
func (f form) wrongAt(pointer string) string {
	for _, v := range f.wrong {
		if v.Field == pointer {
			return v.Message
		}
	}
	return ""
}

func (f form) wanted() (resource.Wanted, error) {
	length, err := gate.ParseLength(f.lease)
	if err != nil {
		return resource.Wanted{}, fault.From(err).WithField("/lease")
	}
	return resource.Wanted{Name: f.name, Template: f.t.Name, Version: f.t.Version, Inputs: f.inputs, Note: f.note, Lease: length}, nil
}

func (f form) place() (projectName, environment string) {
	projectName, environment, _ = strings.Cut(f.in, "/")
	return projectName, environment
}

// failed keeps what an error says about fields beside them.
func (f *form) failed(err error) {
	e := fault.From(err)
	if e.Field == "/name" && f.name == "" {
		e = fault.New(e.Kind, e.Code, "is needed").WithField("/name")
	}
	f.wrong = append(f.wrong, e.Violations...)
	if e.Field != "" && len(e.Violations) == 0 {
		f.wrong = append(f.wrong, fault.Violation{Field: e.Field, Message: e.Message})
	}
}

func (w *web) load(ctx context.Context, name, version string) (form, error) {
	t, err := w.Templates.Get(ctx, name, version)
	if err != nil {
		return form{}, err
	}
	list, _, err := w.Projects.Environments(ctx, project.EnvironmentFilter{Sort: "-updated"}, sqldb.Page{Limit: 200})
	return form{t: t, environments: list}, err
}

func (w *web) newRequest(r *webui.Request) (webui.View, error) {
	f, err := w.load(r.Context(), r.Path("template"), r.Query("version"))
	if err != nil {
		return webui.View{}, err
	}
	f.in, f.fresh = r.Query("in"), true
	if id := r.Query("like"); id != "" {
		if err := w.begin(r.Context(), &f, id); err != nil {
			return webui.View{}, err
		}
	}
	if f.in == "" && len(f.environments) > 0 {
		f.in = f.environments[0].Project + "/" + f.environments[0].Name
	}
	return w.formView(r.Context(), f, http.StatusOK), nil
}

// begin fills in the form with another resource's name and inputs. Secrets are
// not among them: nobody has their values.
func (w *web) begin(ctx context.Context, f *form, id string) error {
	res, err := w.Resources.ByID(ctx, id)
	if err != nil {
		return err
	}
	if res.Template != f.t.Name {
		return nil
	}
	f.like, f.name, f.inputs = &res, res.Name, res.Inputs
	for _, pointer := range f.t.SecretInputs(res.Inputs) {
		f.inputs = unfilled(f.inputs, strings.Split(pointer, "/")[1:])
	}
	return nil
}

// unfilled gives inputs without the secret that a pointer's parts lead to; what
// is within a list takes the list along. A reference stays: it is none.
func unfilled(inputs map[string]any, parts []string) map[string]any {
	if len(parts) == 0 {
		return nil
	}
	out, key := maps.Clone(inputs), yamlx.Unescape(parts[0])
	if inner, ok := out[key].(map[string]any); ok && len(parts) > 1 {
		out[key] = unfilled(inner, parts[1:])
		return out
	}
	if text, ok := out[key].(string); ok && text != redact.Shown {
		return inputs
	}
	delete(out, key)
	return out
}

func (w *web) formView(ctx context.Context, f form, status int) webui.View {
	if p, e := f.place(); e != "" {
		if list, _, err := w.Resources.Offers(ctx, p, e, resource.OfferFilter{Secret: true, Except: f.name}, ""); err == nil { // without them the form is as good
			f.offers = list
		}
	}
	v := webui.View{Title: "Create " + titleOf(f.t), Status: status, Body: requestPage(f),
		Crumbs: []webui.Crumb{{Title: "Home", Href: "/"}, {Title: "Create", Href: "/create"}, {Title: titleOf(f.t)}}}
	if f.old != nil {
		v.Title, v.Crumbs = "Change "+f.old.Name, crumbs(*f.old, webui.Crumb{Title: "Change"})
		v.Project, v.Env = f.old.Project, f.old.Environment
	} else if p, e := f.place(); e != "" {
		v.Project, v.Env = p, e
	}
	return v
}

// read reads the form that was sent for a new resource.
func (w *web) read(r *webui.Request) (form, error) {
	f, err := w.load(r.Context(), r.Path("template"), r.Field("version"))
	if err != nil {
		return f, err
	}
	f.in, f.name, f.note, f.lease = r.Field("where"), r.Field("name"), r.Field("note"), r.Field("lease")
	f.take(r)
	return f, nil
}

func (w *web) checkNew(r *webui.Request) (webui.Answer, error) {
	f, err := w.read(r)
	if err != nil {
		return webui.Answer{}, err
	}
	p := &preview{}
	f.preview = p
	wanted, err := f.wanted()
	if err == nil {
		inProject, in := f.place()
		p.Preview, err = w.Resources.Plan(r.Context(), inProject, in, wanted)
	}
	return w.checked(r, f, p, err)
}

// reshapeNew shows the form anew: what it asks for may depend on what was
// chosen in it.
func (w *web) reshapeNew(r *webui.Request) (webui.Answer, error) {
	f, err := w.read(r)
	if err != nil {
		return webui.Answer{}, err
	}
	return w.reshaped(r, f)
}

func (w *web) reshaped(r *webui.Request, f form) (webui.Answer, error) {
	if r.Partial() {
		return webui.Answer{Part: schemaPart(f)}, nil
	}
	v := w.formView(r.Context(), f, http.StatusOK)
	return webui.Answer{View: &v}, nil
}

func (w *web) checked(r *webui.Request, f form, p *preview, err error) (webui.Answer, error) {
	if fault.Is(err, fault.Internal) || fault.Is(err, fault.Unauthenticated) {
		return webui.Answer{}, err
	}
	if p.err = err; err != nil {
		f.failed(err)
	}
	if r.Partial() {
		return webui.Answer{Part: panel(f)}, nil
	}
	v := w.formView(r.Context(), f, http.StatusOK)
	return webui.Answer{View: &v}, nil
}

func (w *web) create(r *webui.Request) (webui.Answer, error) {
	f, err := w.read(r)
	if err != nil {
		return webui.Answer{}, err
	}
	inProject, in := f.place()
	wanted, err := f.wanted()
	var made resource.Resource
	if err == nil && len(f.wrong) == 0 {
		made, err = w.Resources.Create(r.Context(), inProject, in, wanted)
	}
	if fault.Is(err, fault.Conflict) {
		// Sent twice, or sent again by "back": it is the one that was made.
		there, gerr := w.Resources.Get(r.Context(), resource.Where{Project: inProject, Environment: in, Name: f.name})
		if gerr == nil && there.CreatedBy == r.Who().ID && there.Template == f.t.Name && time.Since(there.CreatedAt) < 2*time.Minute {
			return webui.Answer{To: href(there)}, nil
		}
	}
	if err != nil || len(f.wrong) > 0 {
		return w.refused(r, f, err)
	}
	return webui.Answer{To: href(made), Flash: made.Name + " is asked for: watch it come to be."}, nil
}

// refused shows the form again with what is wrong, and all that was in it.
func (w *web) refused(r *webui.Request, f form, err error) (webui.Answer, error) {
	if err == nil {
		err = fault.New(fault.Invalid, "invalid_inputs", "some fields need another look")
	}
	if fault.Is(err, fault.Internal) || fault.Is(err, fault.Unauthenticated) {
		return webui.Answer{}, err
	}
	f.err = err
	f.failed(err)
	v := w.formView(r.Context(), f, httpx.Status(fault.KindOf(err)))
	return webui.Answer{View: &v}, nil
}

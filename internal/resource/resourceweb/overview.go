package resourceweb

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"

	"fairlead/internal/approval"
	"fairlead/internal/fault"
	"fairlead/internal/lease"
	"fairlead/internal/resource"
	"fairlead/internal/sqldb"
	"fairlead/internal/webui"
	"fairlead/internal/why"
)

// part is what every page about one resource shows above its own.
type part struct {
	resource.Resource
	tab string
}

func (v part) tabs() []webui.Tab {
	tab := func(title, name string) webui.Tab {
		t := webui.Tab{Title: title, Href: href(v.Resource, name), Current: v.tab == name}
		if name == "" {
			t.Href = href(v.Resource)
		}
		return t
	}
	return []webui.Tab{tab("Overview", ""), tab("Runs", "runs"), tab("Revisions", "revisions"), tab("Version", "version"), tab("Drift", "drift"), tab("Activity", "activity"), tab("Settings", "settings")}
}

// overviewView is what a resource's own page shows.
type overviewView struct {
	part
	why      why.Explanation
	to, from []resource.Reference
	near     resource.Graph // what it depends on and what depends on it; empty when nothing does
	lease    lease.Lease
	leased   bool
	can      string
	cost     float64
	currency string
	run      resource.Run
	waits    approval.Approval
	asked    bool
	secrets  map[string]string // shown once, when asked for
}

// outputs gives the names of the outputs, sorted.
func (v overviewView) outputs() []string { return slices.Sorted(maps.Keys(v.Outputs)) }

func (v overviewView) sensitive() bool {
	for _, o := range v.Outputs {
		if o.Sensitive {
			return true
		}
	}
	return false
}

func (w *web) overview(r *webui.Request) (webui.View, error) {
	res, err := w.Resources.Get(r.Context(), where(r))
	if err != nil {
		return webui.View{}, err
	}
	return w.showOverview(r, res, nil)
}

func (w *web) showOverview(r *webui.Request, res resource.Resource, secrets map[string]string) (webui.View, error) {
	ctx := r.Context()
	v := overviewView{part: part{Resource: res}, secrets: secrets}
	var err error
	if v.why, err = w.Why.Explain(ctx, resource.Where{Project: res.ProjectID, Environment: res.EnvironmentID, Name: res.ID}); err != nil {
		return webui.View{}, err
	}
	if err := w.lookAround(ctx, &v); err != nil {
		return webui.View{}, err
	}
	if v.lease, v.leased, err = w.Leases.First(ctx, res.ID, res.EnvironmentID); err != nil {
		return webui.View{}, err
	}
	if v.leased {
		if v.can, err = w.Leases.Can(ctx, v.lease); err != nil {
			return webui.View{}, err
		}
	}
	if v.cost, v.currency, err = w.Costs.CostSoFar(ctx, res.ID); allowed(err) != nil {
		return webui.View{}, err
	}
	if res.RunID != "" {
		if v.run, err = w.Resources.Run(ctx, res.RunID); allowed(err) != nil {
			return webui.View{}, err
		}
	}
	if v.waits, v.asked, err = w.Approvals.Open(ctx, res.ID); allowed(err) != nil {
		return webui.View{}, err
	}
	return webui.View{Title: res.Name, Project: res.Project, Env: res.Environment, Crumbs: crumbs(res), Body: overviewPage(v), Stamp: v.stamp(),
		API: "GET " + api(res, ""), CLI: "fairlead describe " + at(res), Docs: "/docs/getting-started"}, nil
}

// Bounds of the graph on a resource's page.
const (
	stepsAround = 1
	nodesAround = 24
)

// lookAround reads how a resource stands among others.
func (w *web) lookAround(ctx context.Context, v *overviewView) (err error) {
	if v.to, v.from, err = w.Resources.EdgesByID(ctx, v.ID); err != nil || len(v.to)+len(v.from) == 0 || !v.DestroyedAt.IsZero() {
		return err
	}
	v.near, _, err = w.Resources.Graph(ctx, v.ProjectID, v.EnvironmentID, resource.GraphFilter{Around: v.ID, Depth: stepsAround}, sqldb.Page{Limit: nodesAround})
	return allowed(err)
}

func (v overviewView) stamp() string {
	var b strings.Builder
	b.WriteString(stamp(v.Resource))
	for _, n := range v.near.Nodes {
		b.WriteString(n.ID + string(n.Phase))
	}
	return b.String()
}

// overviewLive looks at the neighbours too: they are in the graph.
func (w *web) overviewLive(r *webui.Request) (string, []string, error) {
	res, err := w.lookLive(r)
	if err != nil {
		return "", nil, err
	}
	v := overviewView{part: part{Resource: res}}
	err = w.lookAround(r.Context(), &v)
	topics := []string{resource.Topic(res.ID)}
	for _, n := range v.near.Nodes {
		topics = append(topics, resource.Topic(n.ID))
	}
	return v.stamp(), topics, err
}

// drawn is the neighbourhood as it is shown.
func (v overviewView) drawn() webui.GraphView {
	g := webui.GraphView{ID: "around", Label: "What " + v.Name + " depends on, and what depends on it", Small: true}
	for _, n := range v.near.Nodes {
		node := webui.Thing(n.ID, n.Name, n.Template, n.TemplateVersion, string(n.Phase), n.Drifted, n.Paused, webui.To("projects", v.Project, v.Environment, n.Name))
		node.Current = n.ID == v.ID
		g.Nodes = append(g.Nodes, node)
	}
	for _, e := range v.near.Edges {
		g.Edges = append(g.Edges, webui.GraphEdge{From: e.From, To: e.To, Label: webui.EdgeLabel(e.Output, e.Outputs)})
	}
	return g
}

func stamp(r resource.Resource) string {
	return r.ID + " " + strconv.FormatInt(r.Version, 10) + string(r.Phase) + r.RunID
}

func (w *web) live(r *webui.Request) (string, []string, error) {
	res, err := w.lookLive(r)
	return stamp(res), []string{resource.Topic(res.ID)}, err
}

func (w *web) lookLive(r *webui.Request) (resource.Resource, error) {
	res, err := w.Resources.Get(r.Context(), where(r))
	if fault.Is(err, fault.NotFound) && r.Query("id") != "" { // destroyed meanwhile: its name is free
		res, err = w.Resources.ByID(r.Context(), r.Query("id"))
	}
	return res, err
}

// reveal shows the secret outputs once; they hide themselves.
func (w *web) reveal(r *webui.Request) (webui.Answer, error) {
	res, values, err := w.Resources.Reveal(r.Context(), where(r))
	if err != nil {
		return webui.Answer{}, err
	}
	secrets := map[string]string{}
	for name, v := range values {
		secrets[name] = v.Reveal()
	}
	if r.Partial() {
		return webui.Answer{Part: outputsCard(overviewView{part: part{Resource: res}, secrets: secrets})}, nil
	}
	v, err := w.showOverview(r, res, secrets)
	return webui.Answer{View: &v}, err
}

func (w *web) extendLease(r *webui.Request) (webui.Answer, error) {
	ctx := r.Context()
	res, err := w.Resources.Get(ctx, where(r))
	if err != nil {
		return webui.Answer{}, err
	}
	l, ok, err := w.Leases.First(ctx, res.ID, res.EnvironmentID)
	if err != nil {
		return webui.Answer{}, err
	}
	if ok {
		if _, err := w.Leases.Extend(ctx, l.ID, 0, 0); err != nil {
			return webui.Answer{}, err
		}
	}
	return webui.Answer{To: href(res), Flash: "The lease is extended."}, nil
}

// verbs are what can be done with a resource by a button.
func (w *web) verbs() map[string]func(*webui.Request) (webui.Answer, error) {
	do := func(f func(*webui.Request) (resource.Resource, error), flash string) func(*webui.Request) (webui.Answer, error) {
		return func(r *webui.Request) (webui.Answer, error) {
			res, err := f(r)
			return webui.Answer{To: href(res), Flash: flash}, err
		}
	}
	return map[string]func(*webui.Request) (webui.Answer, error){
		"retry": do(func(r *webui.Request) (resource.Resource, error) { return w.Resources.Retry(r.Context(), where(r)) }, "It is tried again."),
		"rotate": do(func(r *webui.Request) (resource.Resource, error) { return w.Resources.Rotate(r.Context(), where(r), 0) },
			"The credentials are being rotated; those before stay good for a while."),
		"stop":  do(func(r *webui.Request) (resource.Resource, error) { return w.Resources.Stop(r.Context(), where(r), 0) }, "It is being stopped."),
		"start": do(func(r *webui.Request) (resource.Resource, error) { return w.Resources.Start(r.Context(), where(r), 0) }, "It is being started."),
		"destroy": func(r *webui.Request) (webui.Answer, error) {
			res, err := w.Resources.Get(r.Context(), where(r))
			if err != nil {
				return webui.Answer{}, err
			}
			if r.Field("confirm") != res.Name {
				return webui.Answer{}, fault.New(fault.Invalid, "not_confirmed", "the name that was typed is not %s", res.Name).WithHint("type the resource's name to destroy it")
			}
			res, err = w.Resources.Destroy(r.Context(), resource.Where{Project: res.ProjectID, Environment: res.EnvironmentID, Name: res.ID}, 0)
			return webui.Answer{To: webui.To("projects", res.Project, res.Environment, res.ID), Flash: res.Name + " is being destroyed. It is gone when this page says so."}, err
		},
	}
}

func (w *web) settings(r *webui.Request) (webui.View, error) {
	ctx := r.Context()
	res, err := w.Resources.Get(ctx, where(r))
	if err != nil {
		return webui.View{}, err
	}
	_, from, err := w.Resources.EdgesByID(ctx, res.ID)
	if err != nil {
		return webui.View{}, err
	}
	return webui.View{Title: res.Name + " settings", Project: res.Project, Env: res.Environment, Crumbs: crumbs(res, webui.Crumb{Title: "Settings"}),
		Body: settingsPage(part{res, "settings"}, from), API: "DELETE " + api(res, ""), CLI: "fairlead destroy " + at(res)}, nil
}

// list is the resources of all environments that somebody may see.
func (w *web) list(r *webui.Request) (webui.View, error) {
	list, next, err := w.lookList(r)
	if err != nil {
		return webui.View{}, err
	}
	return webui.View{Title: "Resources", Body: listPage(r, list, next), Stamp: stamps(list), API: "GET /api/v1/resources", CLI: "fairlead get resources --all"}, nil
}

func (w *web) lookList(r *webui.Request) ([]resource.Resource, string, error) {
	page, err := r.PageOf(40)
	if err != nil {
		return nil, "", err
	}
	f := resource.Filter{Search: r.Query("q"), Sort: r.Query("sort"), Template: r.Query("template"), Destroyed: r.Query("phase") == "destroyed"}
	switch phase := r.Query("phase"); phase {
	case "":
	case "attention":
		f.Attention = true
	default:
		f.Phase = resource.Phase(phase)
	}
	return w.Resources.List(r.Context(), f, page)
}

func stamps(list []resource.Resource) string {
	var b strings.Builder
	for _, r := range list {
		b.WriteString(stamp(r))
	}
	return b.String()
}

func (w *web) listLive(r *webui.Request) (string, []string, error) {
	list, _, err := w.lookList(r)
	topics := make([]string, len(list))
	for i, res := range list {
		topics[i] = resource.Topic(res.ID)
	}
	return stamps(list), topics, err
}

// pageOfRuns is how many runs or revisions a page shows.
const pageOfRuns = 20

func (w *web) runs(r *webui.Request) (webui.View, error) {
	ctx := r.Context()
	res, err := w.Resources.Get(ctx, where(r))
	if err != nil {
		return webui.View{}, err
	}
	page, err := r.PageOf(pageOfRuns)
	if err != nil {
		return webui.View{}, err
	}
	list, next, err := w.Resources.Runs(ctx, where(r), page)
	if err != nil {
		return webui.View{}, err
	}
	return webui.View{Title: res.Name + " runs", Project: res.Project, Env: res.Environment, Crumbs: crumbs(res, webui.Crumb{Title: "Runs"}),
		Body: runsPage(r, part{res, "runs"}, list, next), Stamp: stamp(res), API: "GET " + api(res, "/runs"), CLI: "fairlead describe " + at(res)}, nil
}

func (w *web) revisions(r *webui.Request) (webui.View, error) {
	ctx := r.Context()
	res, err := w.Resources.Get(ctx, where(r))
	if err != nil {
		return webui.View{}, err
	}
	page, err := r.PageOf(pageOfRuns + 1)
	if err != nil {
		return webui.View{}, err
	}
	list, next, err := w.Resources.Revisions(ctx, where(r), page)
	if err != nil {
		return webui.View{}, err
	}
	return webui.View{Title: res.Name + " revisions", Project: res.Project, Env: res.Environment, Crumbs: crumbs(res, webui.Crumb{Title: "Revisions"}),
		Body: revisionsPage(r, part{res, "revisions"}, list, next), Stamp: stamp(res), API: "GET " + api(res, "/revisions"), CLI: "fairlead describe " + at(res)}, nil
}

func (w *web) rollback(r *webui.Request) (webui.Answer, error) {
	to, err := strconv.ParseInt(r.Field("revision"), 10, 64)
	if err != nil {
		return webui.Answer{}, fault.New(fault.Invalid, "no_such_revision", "there is no such revision").WithHint("choose one from the list")
	}
	match, err := strconv.ParseInt(r.Field("version"), 10, 64)
	if err != nil {
		match = 0
	}
	res, err := w.Resources.Rollback(r.Context(), where(r), to, r.Field("note"), match)
	return webui.Answer{To: href(res), Flash: "Revision " + strconv.FormatInt(res.Revision, 10) + " repeats revision " + strconv.FormatInt(to, 10) + "."}, err
}

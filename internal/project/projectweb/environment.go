package projectweb

import (
	"maps"
	"slices"
	"strings"
	"time"

	"fairlead/internal/audit"
	"fairlead/internal/cost"
	"fairlead/internal/fault"
	"fairlead/internal/gate"
	"fairlead/internal/lease"
	"fairlead/internal/project"
	"fairlead/internal/quota"
	"fairlead/internal/resource"
	"fairlead/internal/sqldb"
	"fairlead/internal/webui"
)

// environmentView is what an environment's page shows.
type environmentView struct {
	project.Environment
	tally     resource.Tally
	resources []resource.Resource
	graph     resource.Graph // instead of resources, when the page shows that
	graphed   bool
	missing   string // what the graph should have been around, and is not there
	next      string
	leases    []lease.Lease
	can       string // whether and how far the lease can be extended
	monthly   float64
	spent     float64
	currency  string
	biggest   []cost.Spent // its resources that cost most a month
	quotas    []quota.Limit
	activity  []webui.Activity
}

func (w *web) environment(r *webui.Request) (webui.View, error) {
	v, err := w.lookEnvironment(r)
	if err != nil {
		return webui.View{}, err
	}
	ctx := r.Context()
	if v.leases, _, err = w.Leases.List(ctx, lease.Filter{Project: v.ProjectID, Environment: v.ID, Kind: lease.Environment, State: lease.Active}, sqldb.Page{Limit: 1}); allowed(err) != nil {
		return webui.View{}, err
	}
	for _, l := range v.leases {
		if v.can, err = w.Leases.Can(ctx, l); allowed(err) != nil {
			return webui.View{}, err
		}
	}
	spent, _, err := w.Costs.Report(ctx, cost.Filter{Project: v.ProjectID, Environment: v.ID, By: "environment", From: monthBegan()}, sqldb.Page{Limit: 5})
	if allowed(err) != nil {
		return webui.View{}, err
	}
	for _, s := range spent {
		v.monthly, v.spent, v.currency = v.monthly+s.Monthly, v.spent+s.Spent, s.Currency
	}
	if v.monthly > 0 {
		if v.biggest, _, err = w.Costs.Report(ctx, cost.Filter{Project: v.ProjectID, Environment: v.ID, By: "resource", From: monthBegan(), Sort: "-monthly"}, sqldb.Page{Limit: 4}); allowed(err) != nil {
			return webui.View{}, err
		}
	}
	limits, _, err := w.Quotas.List(ctx, quota.Filter{Project: v.ProjectID, Sort: "-share"}, sqldb.Page{Limit: 50})
	if allowed(err) != nil {
		return webui.View{}, err
	}
	for _, l := range limits {
		if (l.EnvironmentID == "" || l.EnvironmentID == v.ID) && (l.Class == "" || l.Class == string(v.Class)) && len(v.quotas) < 6 {
			v.quotas = append(v.quotas, l)
		}
	}
	// By its team too, which is what the log has an index for: what happened
	// before the project came to this team is in the audit log alone.
	records, _, err := w.Audit.Search(ctx, audit.Filter{Team: v.TeamID, Environment: v.ID}, sqldb.Page{Limit: 8})
	if allowed(err) != nil {
		return webui.View{}, err
	}
	v.activity = webui.ActivitiesOf(records)
	where := v.Project + "/" + v.Name
	view := webui.View{Title: where, Project: v.Project, Env: v.Name, Stamp: v.stamp(), Body: environmentPage(r, v),
		Crumbs: []webui.Crumb{home, {Title: v.Project, Href: webui.To("projects", v.Project)}, {Title: v.Name}},
		API:    "GET /api/v1/projects/" + v.Project + "/environments/" + v.Name + "/resources", CLI: "fairlead get resources -e " + where}
	if v.graphed {
		view.API, view.CLI = "GET /api/v1/projects/"+v.Project+"/environments/"+v.Name+"/graph", "fairlead graph -e "+where
	}
	return view, nil
}

// lookEnvironment reads what makes the page change.
func (w *web) lookEnvironment(r *webui.Request) (v environmentView, err error) {
	ctx := r.Context()
	if v.Environment, err = w.Projects.Resolve(ctx, r.Path("project"), r.Path("environment")); err != nil {
		return v, err
	}
	if v.graphed = r.Query("view") == "graph"; v.graphed {
		if err := w.lookGraph(r, &v); err != nil {
			return v, err
		}
		tallies, err := w.Resources.Tallies(ctx, []string{v.ID})
		v.tally = tallies[v.ID]
		return v, err
	}
	page, err := r.PageOf(30)
	if err != nil {
		return v, err
	}
	f := resource.Filter{Project: v.ProjectID, Environment: v.ID, Search: r.Query("q"), Sort: r.Query("sort"), Destroyed: r.Query("phase") == "destroyed"}
	switch phase := r.Query("phase"); phase {
	case "":
	case "attention":
		f.Attention = true
	default:
		f.Phase = resource.Phase(phase)
	}
	if v.resources, v.next, err = w.Resources.List(ctx, f, page); err != nil {
		return v, err
	}
	tallies, err := w.Resources.Tallies(ctx, []string{v.ID})
	v.tally = tallies[v.ID]
	return v, err
}

// lookGraph reads a page of the graph, or the neighbourhood that is asked for.
func (w *web) lookGraph(r *webui.Request, v *environmentView) error {
	page, err := r.PageOf(nodesShown)
	if err != nil {
		return err
	}
	f := resource.GraphFilter{Around: r.Query("around")}
	if v.graph, v.next, err = w.Resources.Graph(r.Context(), v.ProjectID, v.ID, f, page); fault.Is(err, fault.NotFound) && f.Around != "" {
		v.missing, f.Around = f.Around, ""
		v.graph, v.next, err = w.Resources.Graph(r.Context(), v.ProjectID, v.ID, f, page)
	}
	return err
}

// nodesShown is how many resources a graph shows at once.
const nodesShown = 200

// prices is what costs most, as bars.
func (v environmentView) prices() webui.ChartView {
	c := webui.ChartView{Label: "What costs most a month", Values: "A month"}
	for _, s := range v.biggest {
		if s.Monthly > 0 {
			c.Bars = append(c.Bars, webui.Bar{Title: s.Name, Href: webui.To("projects", v.Project, v.Name, s.ID), Value: s.Monthly, Text: webui.Money(s.Monthly, s.Currency)})
		}
	}
	return c
}

func (v environmentView) stamp() string {
	var b strings.Builder
	b.WriteString(v.tally.Changed.String() + healthText(v.tally))
	for _, n := range v.graph.Nodes {
		b.WriteString(n.ID + string(n.Phase) + n.UpdatedAt.String())
	}
	for _, r := range v.resources {
		b.WriteString(r.ID + string(r.Phase) + r.UpdatedAt.String())
	}
	return b.String()
}

func (w *web) environmentLive(r *webui.Request) (string, []string, error) {
	v, err := w.lookEnvironment(r)
	var topics []string
	for _, res := range v.resources {
		topics = append(topics, resource.Topic(res.ID))
	}
	for _, n := range v.graph.Nodes {
		topics = append(topics, resource.Topic(n.ID))
	}
	return v.stamp(), topics, err
}

// extendLease lets the environment live longer, by what the rules give.
func (w *web) extendLease(r *webui.Request) (webui.Answer, error) {
	ctx := r.Context()
	e, err := w.Projects.Resolve(ctx, r.Path("project"), r.Path("environment"))
	if err != nil {
		return webui.Answer{}, err
	}
	var by time.Duration
	if text := r.Field("by"); text != "" {
		if by, err = gate.ParseLength(text); err != nil {
			return webui.Answer{}, err
		}
	}
	list, _, err := w.Leases.List(ctx, lease.Filter{Project: e.ProjectID, Environment: e.ID, Kind: lease.Environment, State: lease.Active}, sqldb.Page{Limit: 1})
	if err != nil {
		return webui.Answer{}, err
	}
	to := webui.Answer{To: webui.To("projects", e.Project, e.Name)}
	for _, l := range list {
		if _, err := w.Leases.Extend(ctx, l.ID, by, 0); err != nil {
			return webui.Answer{}, err
		}
		to.Flash = "The lease is extended."
	}
	return to, nil
}

func sorted(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }

package projectweb

import (
	"slices"
	"strings"
	"time"

	"fairlead/internal/approval"
	"fairlead/internal/audit"
	"fairlead/internal/compliance"
	"fairlead/internal/drift"
	"fairlead/internal/lease"
	"fairlead/internal/project"
	"fairlead/internal/resource"
	"fairlead/internal/setup"
	"fairlead/internal/sqldb"
	"fairlead/internal/template"
	"fairlead/internal/webui"
)

// unremarkable are what people do for themselves alone: in the audit log, and no
// news to anybody.
var unremarkable = []string{"session:create", "session:revoke", "user:read-notifications", "user:dismiss-first-steps", "feedback:give"}

// homeView is what the home page shows: a handful of each.
type homeView struct {
	environments []project.Environment
	more         bool
	tallies      map[string]resource.Tally
	approvals    []approval.Approval
	leases       []lease.Lease
	attention    []resource.Resource
	drifts       []drift.Episode
	violations   []compliance.Violation
	activity     []webui.Activity
	templates    []*template.Version
	steps        setup.List
}

func (v homeView) waiting() int {
	return len(v.approvals) + len(v.leases) + len(v.attention) + len(v.drifts) + len(v.violations)
}

func (w *web) home(r *webui.Request) (webui.View, error) {
	v, err := w.lookHome(r)
	if err != nil {
		return webui.View{}, err
	}
	ctx := r.Context()
	list, err := w.Templates.List(ctx, template.Filter{}, sqldb.Page{Limit: 4})
	if err = allowed(err); err != nil {
		return webui.View{}, err
	}
	v.templates = list.Items
	records, _, err := w.Audit.Search(ctx, audit.Filter{}, sqldb.Page{Limit: 24})
	if err = allowed(err); err != nil {
		return webui.View{}, err
	}
	records = slices.DeleteFunc(records, func(r audit.Record) bool { return slices.Contains(unremarkable, r.Action) })
	v.activity = webui.ActivitiesOf(records[:min(len(records), 8)])
	if v.steps, err = w.Setup.List(ctx); allowed(err) != nil {
		return webui.View{}, err
	}
	return webui.View{Title: "Home", Body: homePage(v), Stamp: v.stamp(), API: "GET /api/v1/environments", CLI: "fairlead get environments", Docs: "/docs/portal"}, nil
}

// lookHome reads what makes the page change.
func (w *web) lookHome(r *webui.Request) (v homeView, err error) {
	ctx := r.Context()
	var next string
	if v.environments, next, err = w.Projects.Environments(ctx, project.EnvironmentFilter{Sort: "-updated"}, sqldb.Page{Limit: 9}); err != nil {
		return v, err
	}
	v.more = next != ""
	ids := make([]string, len(v.environments))
	for i, e := range v.environments {
		ids[i] = e.ID
	}
	if v.tallies, err = w.Resources.Tallies(ctx, ids); allowed(err) != nil {
		return v, err
	}
	if v.approvals, _, err = w.Approvals.List(ctx, approval.Filter{Mine: true, Status: approval.Pending}, sqldb.Page{Limit: 5}); allowed(err) != nil {
		return v, err
	}
	if v.attention, _, err = w.Resources.List(ctx, resource.Filter{Attention: true, Sort: "-updated"}, sqldb.Page{Limit: 6}); allowed(err) != nil {
		return v, err
	}
	leases, _, err := w.Leases.List(ctx, lease.Filter{Mine: true, State: lease.Active, Sort: "ends"}, sqldb.Page{Limit: 5})
	for _, l := range leases {
		if time.Until(l.EndsAt) < soon {
			v.leases = append(v.leases, l)
		}
	}
	if allowed(err) != nil {
		return v, err
	}
	open, _, err := w.Drifts.List(ctx, drift.Filter{Open: true}, sqldb.Page{Limit: 8})
	for _, d := range open {
		if d.Answer != drift.Heal && len(v.drifts) < 4 { // what heals by itself waits for nobody
			v.drifts = append(v.drifts, d)
		}
	}
	if allowed(err) != nil {
		return v, err
	}
	v.violations, _, err = w.Compliance.List(ctx, compliance.Filter{Sort: "-since"}, sqldb.Page{Limit: 4})
	return v, allowed(err)
}

func (v homeView) stamp() string {
	var b strings.Builder
	for _, e := range v.environments {
		t := v.tallies[e.ID]
		b.WriteString(e.ID + t.Changed.String() + healthText(t))
	}
	for _, a := range v.approvals {
		b.WriteString(a.ID)
	}
	for _, l := range v.leases {
		b.WriteString(l.ID + l.EndsAt.String())
	}
	for _, r := range v.attention {
		b.WriteString(r.ID + string(r.Phase) + r.Message)
	}
	for _, d := range v.drifts {
		b.WriteString(d.ID + string(d.Answer))
	}
	for _, x := range v.violations {
		b.WriteString(x.ID)
	}
	return b.String()
}

func (w *web) homeLive(r *webui.Request) (string, []string, error) {
	v, err := w.lookHome(r)
	topics := []string{lease.Topic, approval.Topic}
	for _, res := range v.attention {
		topics = append(topics, resource.Topic(res.ID))
	}
	return v.stamp(), topics, err
}

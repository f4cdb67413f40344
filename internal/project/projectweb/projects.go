package projectweb

import (
	"context"
	"net/http"
	"time"

	"fairlead/internal/audit"
	"fairlead/internal/cost"
	"fairlead/internal/fault"
	"fairlead/internal/httpx"
	"fairlead/internal/identity"
	"fairlead/internal/project"
	"fairlead/internal/resource"
	"fairlead/internal/sqldb"
	"fairlead/internal/webui"
)

var home = webui.Crumb{Title: "Home", Href: "/"}
var all = webui.Crumb{Title: "Projects", Href: "/projects"}

func (w *web) projects(r *webui.Request) (webui.View, error) {
	page, err := r.PageOf(30)
	if err != nil {
		return webui.View{}, err
	}
	list, next, err := w.Projects.List(r.Context(), project.Filter{Search: r.Query("q"), Sort: r.Query("sort")}, page)
	if err != nil {
		return webui.View{}, err
	}
	return webui.View{Title: "Projects", Body: projectsPage(r, list, next), API: "GET /api/v1/projects", CLI: "fairlead get projects"}, nil
}

// projectView is what a project's page shows.
type projectView struct {
	project.Project
	environments []project.Environment
	first, next  string
	tallies      map[string]resource.Tally
	costs        map[string]cost.Spent // by environment
	monthly      float64
	currency     string
	activity     []webui.Activity
	form         environmentForm
}

type environmentForm struct {
	Name, Class, Lease string
	Err                error
}

func (w *web) project(r *webui.Request) (webui.View, error) {
	return w.showProject(r, environmentForm{Class: string(project.Development)})
}

func (w *web) showProject(r *webui.Request, form environmentForm) (webui.View, error) {
	ctx := r.Context()
	p, err := w.Projects.Get(ctx, r.Path("project"))
	if err != nil {
		return webui.View{}, err
	}
	page, err := r.PageOf(24)
	if err != nil {
		return webui.View{}, err
	}
	v := projectView{Project: p, form: form, first: r.First(), costs: map[string]cost.Spent{}}
	if v.environments, v.next, err = w.Projects.Environments(ctx, project.EnvironmentFilter{Project: p.ID}, page); allowed(err) != nil {
		return webui.View{}, err
	}
	v.next = r.Next(v.next)
	ids := make([]string, len(v.environments))
	for i, e := range v.environments {
		ids[i] = e.ID
	}
	if v.tallies, err = w.Resources.Tallies(ctx, ids); allowed(err) != nil {
		return webui.View{}, err
	}
	spent, _, err := w.Costs.Report(ctx, cost.Filter{Project: p.ID, By: "environment", From: monthBegan()}, sqldb.Page{Limit: 100})
	if allowed(err) != nil {
		return webui.View{}, err
	}
	for _, s := range spent {
		v.costs[s.ID] = s
		v.monthly += s.Monthly
		v.currency = s.Currency
	}
	// By its team too, which is what the log has an index for: what happened
	// before the project came to this team is in the audit log alone.
	records, _, err := w.Audit.Search(ctx, audit.Filter{Team: p.TeamID, Project: p.ID}, sqldb.Page{Limit: 8})
	if allowed(err) != nil {
		return webui.View{}, err
	}
	v.activity = webui.ActivitiesOf(records)
	view := webui.View{Title: p.Name, Crumbs: []webui.Crumb{home, all, {Title: p.Name}}, Project: p.Name, Body: projectPage(v),
		API: "GET /api/v1/projects/" + p.Name, CLI: "fairlead project show " + p.Name}
	if form.Err != nil {
		view.Status = httpx.Status(fault.KindOf(form.Err))
	}
	return view, nil
}

func monthBegan() time.Time {
	now := time.Now().UTC()
	return time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, time.UTC)
}

func (w *web) createEnvironment(r *webui.Request) (webui.Answer, error) {
	form := environmentForm{Name: r.Field("name"), Class: r.Field("class")}
	e, err := w.Projects.CreateEnvironment(r.Context(), r.Path("project"), project.NewEnvironment{Name: form.Name, Class: project.Class(form.Class)})
	if err != nil {
		form.Err = err
		v, verr := w.showProject(r, form)
		return webui.Answer{View: &v}, verr
	}
	return webui.Answer{To: webui.To("projects", e.Project, e.Name), Flash: "The environment " + e.Name + " is there."}, nil
}

// projectForm asks for a project with its first environment.
type projectForm struct {
	Name, Team, Environment, Class string
	Teams                          []identity.Team
	Err                            error
}

func (w *web) newProject(r *webui.Request) (webui.View, error) {
	return w.showNewProject(r.Context(), projectForm{Environment: "dev", Class: string(project.Development), Team: r.Query("team")}, http.StatusOK)
}

func (w *web) showNewProject(ctx context.Context, form projectForm, status int) (webui.View, error) {
	var err error
	if form.Teams, _, err = w.Identity.Teams(ctx, identity.TeamFilter{}, sqldb.Page{Limit: 100}); allowed(err) != nil {
		return webui.View{}, err
	}
	return webui.View{Title: "New project", Status: status, Crumbs: []webui.Crumb{home, all, {Title: "New"}}, Body: newProjectPage(form),
		API: "POST /api/v1/projects", CLI: "fairlead project create NAME --team TEAM"}, nil
}

// createProject makes the team when it is a new one, the project and its first
// environment. What was made before a step failed stays, and is taken as it is
// when the form is sent again.
func (w *web) createProject(r *webui.Request) (webui.Answer, error) {
	ctx := r.Context()
	form := projectForm{Name: r.Field("name"), Team: r.Field("team"), Environment: r.Field("environment"), Class: r.Field("class")}
	again := func(err error) (webui.Answer, error) {
		form.Err = err
		v, verr := w.showNewProject(ctx, form, httpx.Status(fault.KindOf(err)))
		return webui.Answer{View: &v}, verr
	}
	if name := r.Field("newteam"); name != "" {
		if _, err := w.Identity.CreateTeam(ctx, identity.NewTeam{Name: name}); err != nil && !fault.Is(err, fault.Conflict) {
			return again(err)
		}
		form.Team = name
	}
	p, err := w.Projects.Create(ctx, project.NewProject{Team: form.Team, Name: form.Name})
	if fault.Is(err, fault.Conflict) {
		if there, gerr := w.Projects.Get(ctx, form.Name); gerr == nil && (there.Team == form.Team || there.TeamID == form.Team) {
			p, err = there, nil
		}
	}
	if err != nil {
		return again(err)
	}
	if form.Environment == "" {
		return webui.Answer{To: webui.To("projects", p.Name), Flash: "The project " + p.Name + " is there."}, nil
	}
	_, err = w.Projects.CreateEnvironment(ctx, p.ID, project.NewEnvironment{Name: form.Environment, Class: project.Class(form.Class)})
	if err != nil && !fault.Is(err, fault.Conflict) {
		return again(err)
	}
	return webui.Answer{To: webui.To("projects", p.Name, form.Environment), Flash: "The project " + p.Name + " is there. Ask for the first thing in it."}, nil
}

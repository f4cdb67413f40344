package resourceweb

import (
	"fairlead/internal/approval"
	"fairlead/internal/audit"
	"fairlead/internal/cost"
	"fairlead/internal/drift"
	"fairlead/internal/fault"
	"fairlead/internal/lease"
	"fairlead/internal/project"
	"fairlead/internal/resource"
	"fairlead/internal/rollout"
	"fairlead/internal/template"
	"fairlead/internal/webui"
	"fairlead/internal/why"
)

// Services is what the pages show.
type Services struct {
	Resources *resource.Service
	Templates *template.Service
	Projects  *project.Service
	Approvals *approval.Service
	Audit     *audit.Log
	Leases    *lease.Service
	Costs     *cost.Service
	Drifts    *drift.Service
	Rollouts  *rollout.Service
	Why       *why.Service
}

type web struct {
	Services
	p *webui.Portal
}

const one = "/projects/{project}/{environment}/{resource}"

// Mount adds the pages.
func Mount(p *webui.Portal, s Services) {
	w := &web{s, p}
	p.LivePage("GET /resources", w.list, w.listLive)
	p.LivePage("GET "+one, w.overview, w.overviewLive)
	p.LivePage("GET "+one+"/runs", w.runs, w.live)
	p.LivePage("GET "+one+"/revisions", w.revisions, w.live)
	p.LivePage("GET "+one+"/drift", w.drift, w.driftLive)
	p.Action("POST "+one+"/drift/check", w.checkDrift)
	p.Action("POST "+one+"/drift/heal", w.healDrift)
	p.Action("POST "+one+"/drift/accept", w.acceptDrift)
	p.LivePage("GET "+one+"/activity", w.activity, w.live)
	p.Page("GET "+one+"/settings", w.settings)
	p.Action("POST "+one+"/reveal", w.reveal)
	p.Action("POST "+one+"/rollback", w.rollback)
	p.Action("POST "+one+"/lease", w.extendLease)
	for verb, do := range w.verbs() {
		p.Action("POST "+one+"/"+verb, do)
	}
	p.LivePage("GET /runs/{run}", w.run, w.runLive)
	p.Part("GET /runs/{run}/log", w.runLog)
	p.Stream("GET /runs/{run}/log.txt", logFile{w})
	p.Action("POST /runs/{run}/cancel", w.cancel)
	w.mountVersions()
	w.mountRequests()
}

func where(r *webui.Request) resource.Where {
	return resource.Where{Project: r.Path("project"), Environment: r.Path("environment"), Name: r.Path("resource")}
}

// href is a resource's address: by name, and by id once its name is free.
func href(r resource.Resource, more ...string) string {
	name := r.Name
	if !r.DestroyedAt.IsZero() {
		name = r.ID
	}
	return webui.To(append([]string{"projects", r.Project, r.Environment, name}, more...)...)
}

func crumbs(r resource.Resource, more ...webui.Crumb) []webui.Crumb {
	list := []webui.Crumb{{Title: "Home", Href: "/"}, {Title: r.Project, Href: webui.To("projects", r.Project)}, {Title: r.Environment, Href: webui.To("projects", r.Project, r.Environment)}}
	if len(more) == 0 {
		return append(list, webui.Crumb{Title: r.Name})
	}
	return append(append(list, webui.Crumb{Title: r.Name, Href: href(r)}), more...)
}

func at(r resource.Resource) string { return r.Name + " -e " + r.Project + "/" + r.Environment }

func api(r resource.Resource, more string) string {
	return "/api/v1/projects/" + r.Project + "/environments/" + r.Environment + "/resources/" + r.Name + more
}

// allowed turns "you may not see that" into nothing to show.
func allowed(err error) error {
	if fault.Is(err, fault.Denied) || fault.Is(err, fault.NotFound) {
		return nil
	}
	return err
}

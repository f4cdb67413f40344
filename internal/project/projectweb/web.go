package projectweb

import (
	"context"
	"time"

	"fairlead/internal/approval"
	"fairlead/internal/audit"
	"fairlead/internal/compliance"
	"fairlead/internal/cost"
	"fairlead/internal/drift"
	"fairlead/internal/fault"
	"fairlead/internal/identity"
	"fairlead/internal/lease"
	"fairlead/internal/project"
	"fairlead/internal/quota"
	"fairlead/internal/resource"
	"fairlead/internal/setup"
	"fairlead/internal/sqldb"
	"fairlead/internal/template"
	"fairlead/internal/webui"
)

// Services is what the pages show.
type Services struct {
	Projects  *project.Service
	Resources *resource.Service
	Approvals *approval.Service
	Leases    *lease.Service
	Audit     *audit.Log
	Templates *template.Service
	Identity  *identity.Service
	Costs     *cost.Service
	Quotas    *quota.Service
	Setup     *setup.Service

	Drifts     *drift.Service
	Compliance *compliance.Service
}

type web struct {
	Services
	p *webui.Portal
}

// Mount adds the pages.
func Mount(p *webui.Portal, s Services) {
	w := &web{s, p}
	p.LivePage("GET /{$}", w.home, w.homeLive)
	p.Page("GET /projects", w.projects)
	p.Page("GET /projects/new", w.newProject)
	p.Action("POST /projects/new", w.createProject)
	p.Page("GET /projects/{project}", w.project)
	p.Action("POST /projects/{project}/environments", w.createEnvironment)
	p.Page("GET /projects/{project}/compare", w.compare) // no environment is called so
	p.LivePage("GET /projects/{project}/{environment}", w.environment, w.environmentLive)
	p.Action("POST /projects/{project}/{environment}/lease", w.extendLease)
}

// Finders are what the palette finds.
func (s Services) Finders() map[string]webui.Finder {
	return map[string]webui.Finder{"environment": s.findEnvironments, "project": s.findProjects, "resource": s.findResources}
}

const found = 7 // at most, of a kind

func (s Services) findEnvironments(ctx context.Context, text string) ([]webui.Hit, error) {
	list, _, err := s.Projects.Environments(ctx, project.EnvironmentFilter{Search: text, Sort: "-updated"}, sqldb.Page{Limit: 12})
	var hits []webui.Hit
	for _, e := range list {
		hits = append(hits, webui.Hit{Kind: "environment", Title: e.Project + " / " + e.Name, Detail: string(e.Class), Href: webui.To("projects", e.Project, e.Name), Icon: "layers"})
	}
	return hits, err
}

func (s Services) findProjects(ctx context.Context, text string) ([]webui.Hit, error) {
	if text == "" {
		return nil, nil
	}
	list, _, err := s.Projects.List(ctx, project.Filter{Search: text}, sqldb.Page{Limit: found})
	var hits []webui.Hit
	for _, p := range list {
		hits = append(hits, webui.Hit{Kind: "project", Title: p.Name, Detail: p.Title, Href: webui.To("projects", p.Name), Icon: "folder"})
	}
	return hits, err
}

func (s Services) findResources(ctx context.Context, text string) ([]webui.Hit, error) {
	if text == "" {
		return nil, nil
	}
	list, _, err := s.Resources.List(ctx, resource.Filter{Search: text}, sqldb.Page{Limit: found})
	var hits []webui.Hit
	for _, r := range list {
		hits = append(hits, webui.Hit{Kind: "resource", Title: r.Name, Detail: r.Project + " / " + r.Environment + " · " + string(r.Phase), Href: resourceHref(r), Icon: "boxes"})
	}
	return hits, err
}

func resourceHref(r resource.Resource) string {
	return webui.To("projects", r.Project, r.Environment, r.Name)
}

// allowed turns "you may not see that" into nothing to show.
func allowed(err error) error {
	if fault.Is(err, fault.Denied) || fault.Is(err, fault.NotFound) {
		return nil
	}
	return err
}

// health is the tones of an environment's resources, worst first.
func health(t resource.Tally) []webui.Tone {
	var out []webui.Tone
	for _, tone := range []webui.Tone{webui.Bad, webui.Warn, webui.Busy, webui.OK, webui.Idle} {
		for phase, n := range t.Phases {
			if webui.ToneOf(string(phase)) != tone {
				continue
			}
			for range n {
				if len(out) < 24 {
					out = append(out, tone)
				}
			}
		}
	}
	return out
}

// healthText says it in words.
func healthText(t resource.Tally) string {
	if t.Total == 0 {
		return "nothing in it yet"
	}
	counts := map[webui.Tone]int{}
	for phase, n := range t.Phases {
		counts[webui.ToneOf(string(phase))] += n
	}
	switch {
	case counts[webui.Bad] > 0:
		return webui.Number(int64(counts[webui.Bad])) + " of " + webui.Number(int64(t.Total)) + " failed"
	case counts[webui.Warn] > 0:
		return webui.Number(int64(counts[webui.Warn])) + " of " + webui.Number(int64(t.Total)) + " waiting"
	case counts[webui.Busy] > 0:
		return webui.Number(int64(counts[webui.Busy])) + " of " + webui.Number(int64(t.Total)) + " under way"
	}
	return "all " + webui.Number(int64(t.Total)) + " ready"
}

func worst(t resource.Tally) webui.Tone {
	if h := health(t); len(h) > 0 {
		return h[0]
	}
	return webui.Idle
}

const soon = 7 * 24 * time.Hour

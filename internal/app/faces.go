package app

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"fairlead/internal/apidoc"
	"fairlead/internal/app/api"
	"fairlead/internal/app/pages"
	"fairlead/internal/engines"
	"fairlead/internal/feedback"
	"fairlead/internal/httpx"
	"fairlead/internal/setup"
	"fairlead/internal/webui"
)

// buildFaces mounts every API and page on one server.
func (a *App) buildFaces(context.Context) error {
	proxies, err := a.trustedProxies()
	if err != nil {
		return err
	}
	secure := strings.HasPrefix(a.conf.PublicURL, "https:")
	operations, web := httpx.New(httpx.Options{
		Version: Version, Log: a.log, Auth: a.identity, DB: a.db, TrustedProxies: proxies, Secure: secure,
		Rate:  httpx.Rate{PerSecond: a.conf.Rate.PerSecond, Burst: a.conf.Rate.Burst},
		Ready: []httpx.Check{{Name: "store", Probe: a.askStore}},
	})
	a.web = web
	known := engines.New(engines.Options{Access: a.access, Engines: a.engines})
	steps := setup.New(setup.Options{DB: a.db, Access: a.access})
	said := feedback.New(feedback.Options{DB: a.db, Access: a.access, Version: Version, Known: func(page string) bool {
		return apidoc.IsPage(page) || slices.ContainsFunc(web.Pages(), func(r httpx.PageRoute) bool { return r.Method == http.MethodGet && webui.Route(r.Path) == page })
	}})
	api.Register(operations, api.Services{
		Setup: steps, Feedback: said,
		Access: a.access, Audit: a.audit, Calendar: a.calendar, Leases: a.leases, Backup: a.backups, Identity: a.identity, MasterKey: a.masterKey, Notify: a.notify,
		Drifts:   a.drifts,
		Projects: a.projects, Resources: a.resources, Rollouts: a.rollouts, Templates: a.templates, Sources: a.sources, States: a.states, System: a.system, Engines: known, Approvals: a.approvals, Quotas: a.quotas, Costs: a.costs, Gates: a.gates, Guardrails: a.guardrails, Backtests: a.backtests, Compliance: a.compliance, Why: a.why, Secure: secure,
	})
	a.registerMetrics(web.Registry())
	apidoc.Mount(web, pages.Helpful)
	pages.Mount(web, pages.Services{
		Engines: known, Setup: steps, Feedback: said,
		Access: a.access, Backtests: a.backtests, Calendar: a.calendar, Compliance: a.compliance, Guardrails: a.guardrails,
		Approvals: a.approvals, Audit: a.audit, Costs: a.costs, Drifts: a.drifts, Identity: a.identity, Leases: a.leases, Notify: a.notify, Projects: a.projects, Quotas: a.quotas,
		Resources: a.resources, Rollouts: a.rollouts, Sources: a.sources, System: a.system, Backups: a.backups, Templates: a.templates, Why: a.why, Log: a.log, Subscribe: a.db.Subscribe, Gallery: a.conf.Gallery, PublicURL: a.conf.PublicURL,
	})
	a.run(func(ctx context.Context) error { web.Run(ctx); return nil })
	return nil
}

func (a *App) askStore(ctx context.Context) error {
	_, err := a.db.Now(ctx)
	return err
}

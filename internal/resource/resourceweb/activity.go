package resourceweb

import (
	"fairlead/internal/audit"
	"fairlead/internal/webui"
)

// activity is the audit log of one resource, as far as the caller may see it.
func (w *web) activity(r *webui.Request) (webui.View, error) {
	ctx := r.Context()
	res, err := w.Resources.Get(ctx, where(r))
	if err != nil {
		return webui.View{}, err
	}
	page, err := r.PageOf(30)
	if err != nil {
		return webui.View{}, err
	}
	records, next, err := w.Audit.Search(ctx, audit.Filter{Target: res.ID}, page)
	if err := allowed(err); err != nil {
		return webui.View{}, err
	}
	return webui.View{Title: res.Name + " activity", Project: res.Project, Env: res.Environment, Crumbs: crumbs(res, webui.Crumb{Title: "Activity"}),
		Body: activityPage(r, part{res, "activity"}, records, next), Stamp: stamp(res),
		API: "GET /api/v1/audit?target=" + res.ID, CLI: "fairlead audit --target " + res.ID, Docs: "/docs/portal"}, nil
}

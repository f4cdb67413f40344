package resourceweb

import (
	"fairlead/internal/drift"
	"fairlead/internal/engine"
	"fairlead/internal/fault"
	"fairlead/internal/httpx"
	"fairlead/internal/resource"
	"fairlead/internal/webui"
)

// driftView is what differs on a resource now, and what did before.
type driftView struct {
	part
	open, past []drift.Episode
	next       string
	check      drift.Check // that was asked for; zero: none
	checked    bool
	reason     string
	err        error
}

// actable tells whether a person can do something about it now.
func (v driftView) actable() bool {
	for _, e := range v.open {
		if e.Answer != drift.Ignore && e.Answer != drift.Lost {
			return v.Phase == resource.Ready && v.DestroyWantedAt.IsZero()
		}
	}
	return false
}

func (v driftView) checkable() bool {
	return (v.Phase == resource.Ready || v.Phase == resource.Lost) && v.DestroyWantedAt.IsZero() && (!v.checked || !v.check.EndedAt.IsZero())
}

func (w *web) drift(r *webui.Request) (webui.View, error) { return w.showDrift(r, nil) }

func (w *web) showDrift(r *webui.Request, failed error) (webui.View, error) {
	ctx := r.Context()
	res, err := w.Resources.Get(ctx, where(r))
	if err != nil {
		return webui.View{}, err
	}
	page, err := r.PageOf(pageOfRuns)
	if err != nil {
		return webui.View{}, err
	}
	v := driftView{part: part{res, "drift"}, err: failed}
	if failed != nil {
		v.reason = r.Field("reason")
	}
	list, next, err := w.Drifts.List(ctx, drift.Filter{Project: res.ProjectID, Environment: res.EnvironmentID, Resource: res.ID, Noise: true}, page)
	if err != nil {
		return webui.View{}, err
	}
	v.next = next
	for _, e := range list {
		if e.Open() {
			v.open = append(v.open, e)
		} else {
			v.past = append(v.past, e)
		}
	}
	if v.check, v.checked, err = w.asked(r, res); err != nil {
		return webui.View{}, err
	}
	view := webui.View{Title: res.Name + " drift", Project: res.Project, Env: res.Environment, Crumbs: crumbs(res, webui.Crumb{Title: "Drift"}),
		Body: driftPage(r, v), Stamp: driftStamp(res, v.check), API: "GET /api/v1/drifts?resource=" + res.ID, CLI: "fairlead drift show " + at(res), Docs: "/docs/drift"}
	if failed != nil {
		view.Status = httpx.Status(fault.KindOf(failed))
	}
	return view, nil
}

// asked gives the look that the address names, when it is one at this resource.
func (w *web) asked(r *webui.Request, res resource.Resource) (drift.Check, bool, error) {
	id := r.Query("check")
	if id == "" {
		return drift.Check{}, false, nil
	}
	c, err := w.Resources.Check(r.Context(), id, false, 0)
	if err != nil || c.ResourceID != res.ID {
		return drift.Check{}, false, allowed(err)
	}
	return c, true, nil
}

func driftStamp(res resource.Resource, c drift.Check) string {
	return stamp(res) + res.ObservedAt.String() + c.ID + c.BeganAt.String() + c.Outcome
}

func (w *web) driftLive(r *webui.Request) (string, []string, error) {
	res, err := w.Resources.Get(r.Context(), where(r))
	if err != nil {
		return "", nil, err
	}
	c, _, err := w.asked(r, res)
	return driftStamp(res, c), []string{resource.Topic(res.ID)}, err
}

func (w *web) checkDrift(r *webui.Request) (webui.Answer, error) {
	c, err := w.Resources.CheckDrift(r.Context(), where(r))
	if err != nil {
		return w.driftAgain(r, err)
	}
	return webui.Answer{To: driftAddress(r) + "?check=" + c.ID}, nil
}

func (w *web) healDrift(r *webui.Request) (webui.Answer, error) {
	if _, err := w.Resources.HealDrift(r.Context(), where(r)); err != nil {
		return w.driftAgain(r, err)
	}
	return webui.Answer{To: driftAddress(r), Flash: "A run puts it right."}, nil
}

func (w *web) acceptDrift(r *webui.Request) (webui.Answer, error) {
	if _, err := w.Resources.AcceptDrift(r.Context(), where(r), r.Field("reason")); err != nil {
		return w.driftAgain(r, err)
	}
	return webui.Answer{To: driftAddress(r), Flash: "It is fine until it changes again."}, nil
}

// driftAgain shows the page again with what was wrong, and what was written.
func (w *web) driftAgain(r *webui.Request, err error) (webui.Answer, error) {
	switch fault.KindOf(err) {
	case fault.Invalid, fault.Conflict, fault.Stale, fault.Denied:
		v, verr := w.showDrift(r, err)
		return webui.Answer{View: &v}, verr
	}
	return webui.Answer{}, err
}

func driftAddress(r *webui.Request) string {
	return webui.To("projects", r.Path("project"), r.Path("environment"), r.Path("resource"), "drift")
}

func episodeChanges(e drift.Episode) []webui.Change {
	list := e.Differences[:min(len(e.Differences), maxDifferences)]
	var out []webui.Change
	address := ""
	for _, d := range list {
		if d.Address != address || len(out) == 0 {
			address = d.Address
			out = append(out, webui.Change{Op: "head", Path: address})
		}
		if d.Cause == engine.CauseDeleted && d.Field == "" {
			out = append(out, webui.Change{Op: "del", Path: "is not there", Old: webui.Text(d.Want)})
			continue
		}
		out = append(out, webui.Change{Op: "mod", Path: d.Field, Old: webui.Text(d.Want) + " (wanted)", New: webui.Text(d.Got) + " (found)"})
	}
	return out
}

// maxDifferences is how many of one episode a page shows.
const maxDifferences = 50

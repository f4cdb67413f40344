package leaseweb

import (
	"strconv"
	"time"

	"fairlead/internal/fault"
	"fairlead/internal/gate"
	"fairlead/internal/httpx"
	"fairlead/internal/lease"
	"fairlead/internal/webui"
)

type web struct{ svc *lease.Service }

// Mount adds the page.
func Mount(p *webui.Portal, svc *lease.Service) {
	w := &web{svc}
	p.Page("GET /leases", w.list)
	p.Action("POST /leases/{lease}/extend", w.extend)
}

type view struct {
	list []lease.Lease
	next string
	err  error
}

var kinds = []webui.Option{{Value: string(lease.Resource), Title: "Resources"}, {Value: string(lease.Environment), Title: "Environments"}}

func (w *web) list(r *webui.Request) (webui.View, error) { return w.show(r, nil) }

func (w *web) show(r *webui.Request, failed error) (webui.View, error) {
	page, err := r.PageOf(30)
	if err != nil {
		return webui.View{}, err
	}
	f := lease.Filter{Mine: r.Query("whose") == "mine", Kind: lease.Kind(r.Query("kind")), Project: r.Query("project"), Over: r.Query("over") == "also", Sort: r.Query("sort")}
	if f.Sort == "" {
		f.Sort = "ends"
	}
	v := view{err: failed}
	if v.list, v.next, err = w.svc.List(r.Context(), f, page); err != nil {
		return webui.View{}, err
	}
	out := webui.View{Title: "Leases", Body: listPage(r, v), API: "GET /api/v1/leases?sort=ends", CLI: "fairlead lease ls", Docs: "/docs/leases"}
	if failed != nil {
		out.Status = httpx.Status(fault.KindOf(failed))
	}
	return out, nil
}

func (w *web) extend(r *webui.Request) (webui.Answer, error) {
	var by time.Duration
	var err error
	if text := r.Field("by"); text != "" {
		by, err = gate.ParseLength(text)
	}
	version, verr := strconv.ParseInt(r.Field("version"), 10, 64)
	if verr != nil {
		version = 0
	}
	var l lease.Lease
	if err == nil { // once, when two extend what both saw; the list then shows the new end
		l, err = w.svc.Extend(r.Context(), r.Path("lease"), by, version)
	}
	switch {
	case err == nil:
		return webui.Answer{To: "/leases", Flash: l.Subject + " now ends " + webui.Ago(l.EndsAt) + "."}, nil
	case fault.Is(err, fault.Invalid), fault.Is(err, fault.Conflict), fault.Is(err, fault.Stale), fault.Is(err, fault.Denied):
		v, verr := w.show(r, err)
		return webui.Answer{View: &v}, verr
	}
	return webui.Answer{}, err
}

// tone says how near the end is.
func tone(l lease.Lease) webui.Tone {
	switch left := time.Until(l.EndsAt); {
	case l.State == lease.Ended:
		return webui.Idle
	case l.State == lease.Ending, left < time.Hour:
		return webui.Bad
	case left < 48*time.Hour:
		return webui.Warn
	}
	return webui.OK
}

func word(l lease.Lease) string {
	if l.State != lease.Active {
		return string(l.State)
	}
	if tone(l) == webui.OK {
		return "active"
	}
	return "ends soon"
}

func href(l lease.Lease) string {
	if l.Kind == lease.Environment {
		return webui.To("projects", l.Project, l.Environment)
	}
	return webui.To("projects", l.Project, l.Environment, l.Subject)
}

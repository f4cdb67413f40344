package driftweb

import (
	"strings"

	"fairlead/internal/access"
	"fairlead/internal/drift"
	"fairlead/internal/engine"
	"fairlead/internal/fault"
	"fairlead/internal/httpx"
	"fairlead/internal/webui"
)

type web struct{ drifts *drift.Service }

// Mount adds the pages.
func Mount(p *webui.Portal, drifts *drift.Service) {
	w := &web{drifts}
	p.LivePage("GET /drift", w.list, w.live)
	p.Action("POST /drift/release", w.release)
}

type view struct {
	list       []drift.Episode
	next       string
	brakes     []drift.HeldScope // of who may view the system
	mayRelease bool              // only what is shown hangs on it
	scope      string            // of the form that was sent
	reason     string
	err        error
}

func (v view) stamp() string {
	var b strings.Builder
	for _, e := range v.list {
		b.WriteString(e.ID + e.State() + e.ChangedAt.String())
	}
	for _, h := range v.brakes {
		b.WriteString(h.Scope + h.HeldAt.String() + h.FreeUntil.String())
	}
	return b.String()
}

var causes = func() []webui.Option {
	var out []webui.Option
	for _, c := range engine.Causes() {
		out = append(out, webui.Option{Value: string(c), Title: drift.CauseText(c)})
	}
	return out
}()

var states = []webui.Option{
	{Value: "heal", Title: "Being put right"}, {Value: "alert", Title: "Told"}, {Value: "ask", Title: "Waits for a person"}, {Value: "held", Title: "Held by the brake"},
	{Value: "lost", Title: "Lost"}, {Value: "ignored", Title: "Also what is ignored"}, {Value: "all", Title: "Also what is over"},
}

func (w *web) look(r *webui.Request) (view, error) {
	var v view
	page, err := r.PageOf(30)
	if err != nil {
		return v, err
	}
	f := drift.Filter{Search: r.Query("q"), Project: r.Query("project"), Template: r.Query("template"), Cause: engine.Cause(r.Query("cause")), Open: true}
	switch state := r.Query("state"); state {
	case "all":
		f.Open = false
	case "ignored":
		f.Noise = true
	default:
		f.Answer = drift.Answer(state)
	}
	if v.list, v.next, err = w.drifts.List(r.Context(), f, page); err != nil {
		return v, err
	}
	v.mayRelease = w.drifts.MayRelease(r.Context())
	v.brakes, err = w.drifts.Brakes(access.Wondering(r.Context()))
	if fault.Is(err, fault.Denied) || fault.Is(err, fault.NotFound) {
		err = nil
	}
	return v, err
}

func (w *web) list(r *webui.Request) (webui.View, error) { return w.show(r, "", "", nil) }

func (w *web) show(r *webui.Request, scope, reason string, failed error) (webui.View, error) {
	v, err := w.look(r)
	if err != nil {
		return webui.View{}, err
	}
	v.scope, v.reason, v.err = scope, reason, failed
	page := webui.View{Title: "Drift", Body: listPage(r, v), Stamp: v.stamp(), API: "GET /api/v1/drifts?open=true", CLI: "fairlead drift ls --open", Docs: "/docs/drift"}
	if failed != nil {
		page.Status = httpx.Status(fault.KindOf(failed))
	}
	return page, nil
}

func (w *web) live(r *webui.Request) (string, []string, error) {
	v, err := w.look(r)
	return v.stamp(), nil, err
}

// release lets the repairs of a scope go on.
func (w *web) release(r *webui.Request) (webui.Answer, error) {
	scope, reason := r.Field("scope"), r.Field("reason")
	h, err := w.drifts.Release(r.Context(), scope, reason)
	switch {
	case err == nil:
		return webui.Answer{To: "/drift", Flash: "Repairs of " + h.Scope + " go on."}, nil
	case fault.Is(err, fault.Invalid), fault.Is(err, fault.Conflict), fault.Is(err, fault.NotFound): // it may be over by now
		v, verr := w.show(r, scope, reason, err)
		return webui.Answer{View: &v}, verr
	}
	return webui.Answer{}, err
}

// href is where to do something about it. The name of a resource may be
// another's once it is destroyed; what is over is found by id.
func href(e drift.Episode) string {
	name := e.Resource
	if !e.Open() {
		name = e.ResourceID
	}
	return webui.To("projects", e.Project, e.Environment, name, "drift")
}

// first says the first difference in a line.
func first(e drift.Episode) string {
	if len(e.Differences) == 0 {
		return ""
	}
	d := e.Differences[0]
	s := d.Address
	if d.Field != "" {
		s += " " + d.Field
	}
	if e.Cause != engine.CauseDeleted {
		s += ": " + webui.Text(d.Got) + " instead of " + webui.Text(d.Want)
	}
	if r := []rune(s); len(r) > 120 {
		s = string(r[:119]) + "…"
	}
	if n := len(e.Differences) - 1; n > 0 {
		s += ", and " + webui.Number(int64(n)) + " more"
	}
	return s
}

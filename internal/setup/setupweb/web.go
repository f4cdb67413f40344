package setupweb

import (
	"context"
	"slices"
	"time"

	"fairlead/internal/engines"
	"fairlead/internal/fault"
	"fairlead/internal/httpx"
	"fairlead/internal/identity"
	"fairlead/internal/project"
	"fairlead/internal/resource"
	"fairlead/internal/setup"
	"fairlead/internal/sqldb"
	"fairlead/internal/template"
	"fairlead/internal/webui"
)

// Services is what the pages work with.
type Services struct {
	Setup     *setup.Service
	Identity  *identity.Service
	Projects  *project.Service
	Resources *resource.Service
	Templates *template.Service
	Engines   *engines.Service
	PublicURL string // what sign-in links begin with
}

type web struct{ Services }

// Path is where the first run is.
const Path = "/start"

// Mount adds the pages.
func Mount(p *webui.Portal, s Services) {
	w := &web{s}
	p.LivePage("GET "+Path, w.start, w.live)
	p.Action("POST "+Path+"/password", w.setPassword)
	p.Action("POST "+Path+"/place", w.makePlace)
	p.Action("POST "+Path+"/request", w.request)
	p.Action("POST "+Path+"/colleague", w.invite)
	p.Action("POST "+Path+"/list", w.showList)
}

// Begins tells whether somebody who has just signed in is to begin with the
// first run: they look after an installation that has nothing in it yet.
func (s Services) Begins(ctx context.Context) bool {
	l, err := s.Setup.List(ctx)
	return err == nil && len(l.Steps) > 0 && l.Fresh()
}

// The stages of the first run, in their order. Each has one form.
const (
	stagePassword  = "password"
	stagePlace     = "place"
	stageRequest   = "request"
	stageWatch     = "watch" // it comes to be
	stageColleague = "colleague"
)

var stages = []struct{ name, title string }{
	{stagePassword, "Password"}, {stagePlace, "Place"}, {stageRequest, "Resource"}, {stageColleague, "People"},
}

// view is what the page shows. What was sent and is wrong is shown again.
type view struct {
	list  setup.List
	stage string
	err   error

	name        string // the caller's, for password managers
	needCurrent bool

	team, project, environment, class string
	teams                             []identity.Team

	in        *project.Environment // where the first request goes
	offers    []offer
	missing   int // templates that cannot be used here
	wanted    string
	wantsName string

	watched *resource.Resource

	colleague, role string
	link            string
	linkEnds        time.Time
}

// offer is a template that can be asked for at once, or after a look at its
// form.
type offer struct {
	*template.Version
	name  string // suggested
	ready bool   // it needs no input
}

// done tells whether a stage lies behind.
func (v view) done(stage string) bool {
	switch stage {
	case stagePassword:
		return v.list.Has(setup.Password)
	case stagePlace:
		return v.list.Has(setup.Environment)
	case stageRequest:
		return v.list.Has(setup.Resource)
	}
	return v.list.Has(setup.Colleague)
}

// stage is where to go on: what the address asks for, or what is not done.
func (w *web) stage(r *webui.Request, l setup.List) string {
	asked := r.Query("step")
	if asked == stageWatch || slices.ContainsFunc(stages, func(s struct{ name, title string }) bool { return s.name == asked }) {
		return asked
	}
	v := view{list: l}
	for _, s := range stages {
		if !v.done(s.name) {
			return s.name
		}
	}
	return stageColleague
}

func (w *web) start(r *webui.Request) (webui.View, error) {
	l, err := w.Setup.Whole(r.Context())
	if err != nil {
		return webui.View{}, err
	}
	if l.Kind != setup.Platform {
		return webui.View{Title: "First steps", Body: developerPage(l), Stamp: " ", API: "GET /api/v1/me/first-steps", CLI: "fairlead first-steps", Docs: "/docs/getting-started"}, nil
	}
	return w.show(r, view{list: l, stage: w.stage(r, l)})
}

// show fills in what a stage needs and is not there yet.
func (w *web) show(r *webui.Request, v view) (webui.View, error) {
	ctx := r.Context()
	var err error
	v.name = r.Who().Name
	switch v.stage {
	case stagePlace:
		err = w.suggestPlace(ctx, &v)
	case stageRequest:
		err = w.suggestRequests(ctx, &v)
	case stageWatch:
		err = w.watch(r, &v)
	case stageColleague:
		v.teams, _, err = w.Identity.Teams(ctx, identity.TeamFilter{}, sqldb.Page{Limit: 20})
	}
	if err != nil {
		return webui.View{}, err
	}
	out := webui.View{Title: "First run", Body: page(v), Stamp: v.stamp(), API: "GET /api/v1/me/first-steps", CLI: "fairlead first-steps", Docs: "/docs/getting-started"}
	if v.err != nil {
		out.Status = httpx.Status(fault.KindOf(v.err))
	}
	return out, nil
}

func (v view) stamp() string {
	s := v.stage + " "
	if v.watched != nil {
		s += string(v.watched.Phase) + v.watched.Message
	}
	return s
}

// live follows what was asked for; the rest of the page changes by the
// caller's own hand.
func (w *web) live(r *webui.Request) (string, []string, error) {
	l, err := w.Setup.Whole(r.Context())
	if err != nil {
		return "", nil, err
	}
	if l.Kind != setup.Platform {
		return " ", nil, nil
	}
	v := view{list: l, stage: w.stage(r, l)}
	if v.stage != stageWatch {
		return v.stamp(), nil, nil
	}
	if err := w.watch(r, &v); err != nil {
		return "", nil, err
	}
	return v.stamp(), []string{resource.Topic(v.watched.ID)}, nil
}

// watch finds what the address says is to be watched.
func (w *web) watch(r *webui.Request, v *view) error {
	res, err := w.Resources.Get(r.Context(), resource.Where{Project: r.Query("project"), Environment: r.Query("environment"), Name: r.Query("name")})
	v.watched = &res
	return err
}

// setPassword takes the password of who came by a link.
func (w *web) setPassword(r *webui.Request) (webui.Answer, error) {
	next := r.PostForm.Get("next")
	var err error
	if next != r.PostForm.Get("again") {
		err = fault.New(fault.Invalid, "passwords_differ", "the two passwords are not the same").WithHint("type the new one twice")
	} else {
		err = w.Identity.SetPassword(r.Context(), secretOf(r, "current"), secretOf(r, "next"))
	}
	if err == nil {
		return webui.Answer{To: Path + "?step=" + stagePlace, Flash: "Your password is set."}, nil
	}
	return w.again(r, view{stage: stagePassword, needCurrent: fault.From(err).Field == "/current"}, err)
}

// again shows a stage with what went wrong.
func (w *web) again(r *webui.Request, v view, failed error) (webui.Answer, error) {
	switch fault.KindOf(failed) {
	case fault.Internal, fault.Unauthenticated:
		return webui.Answer{}, failed
	}
	l, err := w.Setup.Whole(r.Context())
	if err != nil {
		return webui.Answer{}, err
	}
	if l.Kind != setup.Platform { // their own pages say it better
		return webui.Answer{}, failed
	}
	v.list, v.err = l, failed
	out, err := w.show(r, v)
	return webui.Answer{View: &out}, err
}

// showList takes the list of first steps away from the caller's home page, or
// brings it back.
func (w *web) showList(r *webui.Request) (webui.Answer, error) {
	dismiss := r.Field("dismissed") == "true"
	if err := w.Setup.Dismiss(r.Context(), dismiss); err != nil {
		return webui.Answer{}, err
	}
	if dismiss {
		return webui.Answer{To: "/", Flash: "The list is put away. It stays at " + Path + "."}, nil
	}
	return webui.Answer{To: "/", Flash: "The list is at your home page again."}, nil
}

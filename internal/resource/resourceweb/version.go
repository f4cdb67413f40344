package resourceweb

import (
	"strconv"
	"time"

	"github.com/Masterminds/semver/v3"

	"fairlead/internal/fault"
	"fairlead/internal/gate"
	"fairlead/internal/httpx"
	"fairlead/internal/resource"
	"fairlead/internal/rollout"
	"fairlead/internal/sqldb"
	"fairlead/internal/template"
	"fairlead/internal/webui"
)

func (w *web) mountVersions() {
	w.p.LivePage("GET "+one+"/version", w.version, w.versionLive)
	w.p.Page("GET "+one+"/upgrade", w.upgradePage)
	w.p.Action("POST "+one+"/upgrade", w.upgrade)
	w.p.Action("POST "+one+"/pin", w.pin)
	w.p.Action("POST "+one+"/unpin", w.unpin)
	w.p.Action("POST "+one+"/exempt", w.exempt)
	w.p.Action("POST "+one+"/unexempt", w.unexempt)
}

// pinned tells whether somebody keeps the resource at its version, as the
// explanation has it.
func (v overviewView) pinned() bool {
	for _, l := range v.why.Chain {
		if l.Kind == "pin" && l.Until.After(time.Now()) {
			return true
		}
	}
	return false
}

// versionView is the version that a resource is made from, and what keeps it
// there or takes it further.
type versionView struct {
	part
	hold   rollout.Hold
	ahead  []rollout.Rollout  // that are about it, and not over
	newer  []template.Summary // versions that it can be upgraded to, the newest first
	ended  template.Deprecation
	mayPin bool // only what is shown hangs on it

	sent          string // which form was: pin, or exempt- and the rollout
	reason, until string
	err           error
}

// exemption gives what keeps the resource from a rollout.
func (v versionView) exemption(rolloutID string) *rollout.Pin {
	for _, p := range v.hold.Exempted {
		if p.RolloutID == rolloutID {
			return &p
		}
	}
	return nil
}

// member gives the resource's place in a rollout that has a claim on it.
func (v versionView) member(rolloutID string) *rollout.Member {
	if m := v.hold.Member; m != nil && m.RolloutID == rolloutID {
		return m
	}
	return nil
}

func (w *web) version(r *webui.Request) (webui.View, error) { return w.showVersion(r, versionView{}) }

func (w *web) showVersion(r *webui.Request, v versionView) (webui.View, error) {
	ctx := r.Context()
	res, err := w.Resources.Get(ctx, where(r))
	if err != nil {
		return webui.View{}, err
	}
	v.part = part{res, "version"}
	if v.hold, err = w.Rollouts.Holds(ctx, res); err != nil {
		return webui.View{}, err
	}
	if v.ahead, err = w.Rollouts.Ahead(ctx, res); err != nil {
		return webui.View{}, err
	}
	v.mayPin = res.DestroyWantedAt.IsZero() && w.Rollouts.MayPin(ctx, res)
	list, err := w.Templates.Versions(ctx, res.Template, sqldb.Page{Limit: 100})
	if allowed(err) != nil { // who may see the resource need not see the template
		return webui.View{}, err
	}
	for _, s := range list.Items {
		switch {
		case s.Version == res.TemplateVersion:
			v.ended = s.Deprecation
		case after(s.Version, res.TemplateVersion) && !s.Deprecation.Ended(time.Now()):
			v.newer = append(v.newer, s)
		}
	}
	view := webui.View{Title: res.Name + " version", Project: res.Project, Env: res.Environment, Crumbs: crumbs(res, webui.Crumb{Title: "Version"}),
		Body: versionPage(v), Stamp: v.stamp(), API: "GET " + api(res, "/standing"), CLI: "fairlead describe " + at(res), Docs: "/docs/rollouts"}
	if v.err != nil {
		view.Status = httpx.Status(fault.KindOf(v.err))
	}
	return view, nil
}

func after(a, b string) bool {
	x, err1 := semver.NewVersion(a)
	y, err2 := semver.NewVersion(b)
	return err1 == nil && err2 == nil && x.GreaterThan(y)
}

func (v versionView) stamp() string {
	s := stamp(v.Resource)
	if v.hold.Pin != nil {
		s += v.hold.Pin.ID + webui.Number(v.hold.Pin.Version)
	}
	for _, p := range v.hold.Exempted {
		s += p.ID + webui.Number(p.Version)
	}
	if m := v.hold.Member; m != nil {
		s += string(m.State) + m.Message
	}
	for _, o := range v.ahead {
		s += o.ID + string(o.State)
	}
	return s
}

func (w *web) versionLive(r *webui.Request) (string, []string, error) {
	res, err := w.Resources.Get(r.Context(), where(r))
	if err != nil {
		return "", nil, err
	}
	v := versionView{part: part{Resource: res}}
	topics := []string{resource.Topic(res.ID)}
	if v.hold, err = w.Rollouts.Holds(r.Context(), res); err != nil {
		return "", nil, err
	}
	v.ahead, err = w.Rollouts.Ahead(r.Context(), res)
	for _, o := range v.ahead {
		topics = append(topics, rollout.Topic(o.ID))
	}
	return v.stamp(), topics, err
}

// later reads an end as people write it: a length from now, or a day, at whose
// end it is.
func later(text string) (time.Time, error) {
	if day, err := time.Parse(time.DateOnly, text); err == nil {
		return day.Add(24*time.Hour - time.Second), nil
	}
	d, err := gate.ParseLength(text)
	if err != nil || d <= 0 {
		return time.Time{}, fault.New(fault.Invalid, "invalid_end", "the end is neither a length of time nor a day").WithField("/until").WithHint("as 7d, 12h or 2027-01-31")
	}
	return time.Now().Add(d), nil
}

// holds carries a pin or an exemption out.
func (w *web) holds(r *webui.Request, form string, do func(reason string, until time.Time) error, flash string) (webui.Answer, error) {
	v := versionView{sent: form, reason: r.Field("reason"), until: r.Field("until")}
	until, err := later(v.until)
	if err == nil {
		err = do(v.reason, until)
	}
	return w.versionAnswer(r, v, err, flash)
}

func (w *web) versionAnswer(r *webui.Request, v versionView, err error, flash string) (webui.Answer, error) {
	if err == nil {
		return webui.Answer{To: webui.To("projects", r.Path("project"), r.Path("environment"), r.Path("resource"), "version"), Flash: flash}, nil
	}
	switch fault.KindOf(err) {
	case fault.Invalid, fault.Conflict, fault.Stale, fault.Denied:
		v.err = err
		page, verr := w.showVersion(r, v)
		return webui.Answer{View: &page}, verr
	}
	return webui.Answer{}, err
}

func (w *web) pin(r *webui.Request) (webui.Answer, error) {
	return w.holds(r, "pin", func(reason string, until time.Time) error {
		_, err := w.Rollouts.Pin(r.Context(), where(r), reason, until)
		return err
	}, "It stays at its version.")
}

func (w *web) unpin(r *webui.Request) (webui.Answer, error) {
	return w.versionAnswer(r, versionView{}, w.Rollouts.Unpin(r.Context(), where(r)), "Rollouts may change it again.")
}

func (w *web) exempt(r *webui.Request) (webui.Answer, error) {
	return w.holds(r, "exempt-"+r.Field("rollout"), func(reason string, until time.Time) error {
		if _, err := w.Resources.Get(r.Context(), where(r)); err != nil {
			return err
		}
		_, err := w.Rollouts.Exempt(r.Context(), where(r), r.Field("rollout"), reason, until)
		return err
	}, "The rollout leaves it as it is.")
}

func (w *web) unexempt(r *webui.Request) (webui.Answer, error) {
	_, err := w.Resources.Get(r.Context(), where(r))
	if err == nil {
		err = w.Rollouts.Unexempt(r.Context(), where(r), r.Field("rollout"))
	}
	return w.versionAnswer(r, versionView{}, err, "The rollout takes it up when it is retried.")
}

// upgradeView is what an upgrade of one resource would do.
type upgradeView struct {
	part
	to      string
	preview *preview
	note    string
	err     error
}

func (w *web) upgradePage(r *webui.Request) (webui.View, error) {
	return w.showUpgrade(r, upgradeView{to: r.Query("to")})
}

func (w *web) showUpgrade(r *webui.Request, v upgradeView) (webui.View, error) {
	ctx := r.Context()
	res, err := w.Resources.Get(ctx, where(r))
	if err != nil {
		return webui.View{}, err
	}
	v.part = part{Resource: res, tab: "version"}
	t, err := w.Templates.Get(ctx, res.Template, v.to)
	if err != nil {
		return webui.View{}, err
	}
	v.to, v.preview = t.Version, &preview{}
	v.preview.Preview, v.preview.err = w.Resources.PlanChange(ctx, byID(res), resource.Change{Version: t.Version})
	if err := v.preview.err; fault.Is(err, fault.Internal) || fault.Is(err, fault.Unauthenticated) {
		return webui.View{}, err
	}
	title := "Upgrade to " + t.Version
	view := webui.View{Title: res.Name + ": " + title, Project: res.Project, Env: res.Environment,
		Crumbs: crumbs(res, webui.Crumb{Title: "Version", Href: href(res, "version")}, webui.Crumb{Title: title}), Body: upgradePage(v),
		API: "PUT " + api(res, "/version"), CLI: "fairlead upgrade " + at(res) + " --to " + t.Version, Docs: "/docs/rollouts"}
	if v.err != nil {
		view.Status = httpx.Status(fault.KindOf(v.err))
	}
	return view, nil
}

// upgrade brings a resource to a version, unless it is pinned.
func (w *web) upgrade(r *webui.Request) (webui.Answer, error) {
	note := r.Field("note")
	match, err := strconv.ParseInt(r.Field("match"), 10, 64)
	if err != nil {
		match = 0
	}
	res, err := w.Rollouts.Upgrade(r.Context(), where(r), r.Field("to"), nil, note, match)
	if err == nil {
		return webui.Answer{To: href(res), Flash: res.Name + " is being upgraded to " + res.TemplateVersion + "."}, nil
	}
	switch fault.KindOf(err) {
	case fault.Invalid, fault.Conflict, fault.Stale, fault.Denied:
		page, verr := w.showUpgrade(r, upgradeView{to: r.Field("to"), note: note, err: err})
		return webui.Answer{View: &page}, verr
	}
	return webui.Answer{}, err
}

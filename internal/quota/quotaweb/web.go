package quotaweb

import (
	"strconv"
	"strings"

	"fairlead/internal/fault"
	"fairlead/internal/httpx"
	"fairlead/internal/principal"
	"fairlead/internal/quota"
	"fairlead/internal/webui"
)

type web struct{ svc *quota.Service }

// Mount adds the pages.
func Mount(p *webui.Portal, svc *quota.Service) {
	w := &web{svc}
	p.Page("GET /quotas", w.list)
	p.Action("POST /quotas", w.set)
	p.Page("GET /quotas/{quota}", w.one)
	p.Action("POST /quotas/{quota}", w.change)
	p.Action("POST /quotas/{quota}/remove", w.remove)
}

var (
	metrics = []webui.Option{{Value: quota.MonthlyCost, Title: "Budgets"}, {Value: quota.Count, Title: "Counts of resources"}}
	classes = []webui.Option{{Value: "", Title: "Any"}, {Value: "development", Title: "Development"}, {Value: "staging", Title: "Staging"}, {Value: "production", Title: "Production"}}
	effects = []webui.Option{{Value: "enforce", Title: "Refuse what would pass it"}, {Value: "warn", Title: "Only warn"}}
)

// form is what somebody wrote of a limit.
type form struct {
	quota.Setting
	most, warn string // as they wrote them; warn in percent
}

// read takes a form; what is no number is one of the errors to show with it.
func read(r *webui.Request) (f form, err error) {
	f = form{most: r.Field("max"), warn: r.Field("warn")}
	f.Setting = quota.Setting{Team: r.Field("team"), Project: r.Field("project"), Environment: r.Field("environment"), Class: r.Field("class"),
		Template: r.Field("template"), Metric: r.Field("metric"), Enforce: r.Field("effect") != "warn"}
	if f.Max, err = strconv.ParseFloat(f.most, 64); err != nil {
		return f, fault.New(fault.Invalid, "invalid_quota", "the maximum is not a number").WithField("/max").WithHint("such as 20 or 499.90")
	}
	if f.warn != "" {
		percent, err := strconv.ParseFloat(strings.TrimSuffix(f.warn, "%"), 64)
		if err != nil {
			return f, fault.New(fault.Invalid, "invalid_quota", "the share to warn at is not a number").WithField("/warnAt").WithHint("in percent, such as 80")
		}
		f.WarnAt = percent / 100
	}
	return f, nil
}

// manages tells whom the forms are of use to; the service decides.
func manages(r *webui.Request) bool { return r.Who().HasOrgRole(principal.PlatformAdmin) }

// wrong tells what the form is shown again for.
func wrong(err error) bool {
	switch fault.KindOf(err) {
	case fault.Invalid, fault.Conflict, fault.Stale, fault.Denied:
		return true
	}
	return false
}

type listView struct {
	list []quota.Limit
	next string
	may  bool
	form form
	err  error
}

func (w *web) list(r *webui.Request) (webui.View, error) {
	return w.show(r, listView{form: form{Setting: quota.Setting{Metric: quota.Count, Enforce: true}, warn: "80"}})
}

func (w *web) show(r *webui.Request, v listView) (webui.View, error) {
	page, err := r.PageOf(30)
	if err != nil {
		return webui.View{}, err
	}
	v.may = manages(r)
	f := quota.Filter{Team: r.Query("team"), Project: r.Query("project"), Metric: r.Query("metric"), Sort: r.Query("sort")}
	if f.Sort == "" {
		f.Sort = "-share"
	}
	if v.list, v.next, err = w.svc.List(r.Context(), f, page); err != nil {
		return webui.View{}, err
	}
	view := webui.View{Title: "Quotas and budgets", Body: listPage(r, v), API: "GET /api/v1/quotas", CLI: "fairlead quota ls", Docs: "/docs/quotas"}
	if v.err != nil {
		view.Status = httpx.Status(fault.KindOf(v.err))
	}
	return view, nil
}

func (w *web) set(r *webui.Request) (webui.Answer, error) {
	f, err := read(r)
	var l quota.Limit
	if err == nil {
		l, err = w.svc.Set(r.Context(), f.Setting, 0)
	}
	switch {
	case err == nil:
		return webui.Answer{To: webui.To("quotas", l.ID), Flash: "It holds from now on."}, nil
	case wrong(err) || fault.Is(err, fault.NotFound): // a place that is not there
		v, verr := w.show(r, listView{form: f, err: err})
		return webui.Answer{View: &v}, verr
	}
	return webui.Answer{}, err
}

type oneView struct {
	quota.Limit
	holdings    []quota.Holding
	first, next string
	may         bool
	form        form
	err         error
}

func (w *web) one(r *webui.Request) (webui.View, error) { return w.showOne(r, nil, nil) }

func (w *web) showOne(r *webui.Request, f *form, failed error) (webui.View, error) {
	l, err := w.svc.Get(r.Context(), r.Path("quota"))
	if err != nil {
		return webui.View{}, err
	}
	page, err := r.PageOf(30)
	if err != nil {
		return webui.View{}, err
	}
	v := oneView{Limit: l, first: r.First(), may: manages(r), err: failed}
	v.form = form{Setting: quota.Setting{Enforce: l.Enforce}, most: l.Max.String()}
	if l.WarnAt > 0 {
		v.form.warn = strconv.FormatFloat(l.WarnAt*100, 'f', -1, 64)
	}
	if f != nil {
		v.form = *f
	}
	if v.holdings, v.next, err = w.svc.Holdings(r.Context(), l.ID, page); err != nil {
		return webui.View{}, err
	}
	v.next = r.Next(v.next)
	view := webui.View{Title: what(l) + " of " + l.Place(), Body: onePage(v), API: "GET /api/v1/quotas/" + l.ID, CLI: "fairlead quota usage " + l.ID, Docs: "/docs/quotas",
		Crumbs: []webui.Crumb{{Title: "Home", Href: "/"}, {Title: "Quotas", Href: "/quotas"}, {Title: what(l) + ", " + l.Place()}}}
	if failed != nil {
		view.Status = httpx.Status(fault.KindOf(failed))
	}
	return view, nil
}

func (w *web) change(r *webui.Request) (webui.Answer, error) {
	f, err := read(r)
	version, verr := strconv.ParseInt(r.Field("version"), 10, 64)
	if verr != nil {
		version = 0
	}
	if err == nil {
		_, err = w.svc.Update(r.Context(), r.Path("quota"), quota.Change{Max: &f.Max, WarnAt: &f.WarnAt, Enforce: &f.Enforce}, version)
	}
	switch {
	case err == nil:
		return webui.Answer{To: webui.To("quotas", r.Path("quota")), Flash: "It holds from now on."}, nil
	case wrong(err):
		v, verr := w.showOne(r, &f, err)
		return webui.Answer{View: &v}, verr
	}
	return webui.Answer{}, err
}

func (w *web) remove(r *webui.Request) (webui.Answer, error) {
	switch err := w.svc.Remove(r.Context(), r.Path("quota"), 0); {
	case err == nil:
		return webui.Answer{To: "/quotas", Flash: "The limit is gone."}, nil
	case wrong(err):
		v, verr := w.showOne(r, nil, err)
		return webui.Answer{View: &v}, verr
	default:
		return webui.Answer{}, err
	}
}

// what names what a limit is of.
func what(l quota.Limit) string {
	switch l.Metric {
	case quota.MonthlyCost:
		return "Budget"
	case quota.Count:
		return "Resources"
	}
	return webui.Title(webui.Words(l.Metric))
}

func tone(l quota.Limit) webui.Tone {
	share := float64(l.Share) / 1e6
	switch {
	case share >= 1:
		return webui.Bad
	case l.WarnAt > 0 && share >= l.WarnAt, share > 0.9:
		return webui.Warn
	}
	return webui.OK
}

// used says how far a limit is used.
func used(l quota.Limit) string {
	s := l.Used.String() + " of " + l.Max.String()
	if l.Metric == quota.MonthlyCost {
		s += " a month"
	}
	return s
}

func percent(l quota.Limit) string { return strconv.FormatInt(l.Share/10000, 10) + " %" }

// now says what somebody else made of a limit.
func now(l quota.Limit) string {
	s := "at most " + l.Max.String()
	if l.WarnAt > 0 {
		s += ", warns at " + strconv.FormatFloat(l.WarnAt*100, 'f', -1, 64) + " %"
	}
	if l.Enforce {
		return s + ", and refuses what would pass it"
	}
	return s + ", and only warns"
}

package costweb

import (
	"net/url"
	"strconv"
	"strings"
	"time"

	"fairlead/internal/cost"
	"fairlead/internal/fault"
	"fairlead/internal/httpx"
	"fairlead/internal/principal"
	"fairlead/internal/project"
	"fairlead/internal/quota"
	"fairlead/internal/sqldb"
	"fairlead/internal/webui"
)

// Services is what the page shows.
type Services struct {
	Costs    *cost.Service
	Quotas   *quota.Service
	Projects *project.Service
}

type web struct{ Services }

// Mount adds the page.
func Mount(p *webui.Portal, s Services) {
	w := &web{s}
	p.Page("GET /costs", w.costs)
	p.Action("POST /costs/budgets", w.setBudget)
}

// How much of lists the page shows.
const (
	linesShown   = 30
	barsShown    = 8
	budgetsShown = 8
)

var (
	groups  = []struct{ by, title string }{{"team", "Teams"}, {"project", "Projects"}, {"environment", "Environments"}, {"template", "Templates"}, {"resource", "Resources"}}
	periods = []webui.Option{{Value: "last", Title: "Last month"}, {Value: "90d", Title: "The last 90 days"}, {Value: "all", Title: "As far as it goes"}}
	effects = []webui.Option{{Value: "enforce", Title: "Refuse what would pass it"}, {Value: "warn", Title: "Only warn"}}
)

type view struct {
	cost.Filter
	period      string // of the address
	environment project.Environment
	list        []cost.Spent
	next        string
	totals      []cost.Spent // by currency
	budgets     []quota.Limit
	more        bool // there are more budgets
	may         bool // whom the forms are of use to; the service decides
	form        form
	err         error
}

// form is a budget as somebody wrote it.
type form struct {
	quota.Setting
	most, warn string // as they wrote them; warn in percent
	id         string // of the budget that they change; "" is a new one
	version    int64  // that they saw of it
}

func (w *web) costs(r *webui.Request) (webui.View, error) {
	return w.show(r, view{form: form{Setting: quota.Setting{Team: r.Query("team"), Project: r.Query("project"), Enforce: true}, warn: "80"}})
}

// period gives the time that a report is about.
func period(name string, now time.Time) (from, to time.Time) {
	month := time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, time.UTC)
	switch name {
	case "last":
		return month.AddDate(0, -1, 0), month
	case "90d":
		return now.AddDate(0, 0, -90), now
	case "all":
		return time.Time{}, now
	}
	return month, now
}

func (w *web) show(r *webui.Request, v view) (webui.View, error) {
	ctx := r.Context()
	page, err := r.PageOf(linesShown)
	if err != nil {
		return webui.View{}, err
	}
	v.period = r.Query("since")
	v.Filter = cost.Filter{Team: r.Query("team"), Project: r.Query("project"), Environment: r.Query("environment"), By: r.Query("by"), Sort: r.Query("sort")}
	v.From, v.To = period(v.period, time.Now().UTC())
	if v.By == "" {
		v.By = v.finer()
	}
	if v.Sort == "" {
		v.Sort = "-monthly"
	}
	if v.Environment != "" {
		if v.environment, err = w.Projects.Environment(ctx, v.Environment); err != nil {
			return webui.View{}, err
		}
	}
	if v.list, v.next, err = w.Costs.Report(ctx, v.Filter, page); err != nil {
		return webui.View{}, err
	}
	switch {
	case v.next == "" && page.After == "":
		v.totals = sum(v.list)
	case len(v.list) > 0 && v.list[0].All != nil && v.list[0].All.Only:
		all := v.list[0].All
		v.totals = []cost.Spent{{Currency: v.list[0].Currency, Spent: all.Spent, Monthly: all.Monthly, Resources: all.Resources}}
	default:
		all := v.Filter
		all.By, all.Sort = "currency", ""
		if v.totals, _, err = w.Costs.Report(ctx, all, sqldb.Page{Limit: 5}); err != nil {
			return webui.View{}, err
		}
	}
	var next string
	if v.budgets, next, err = w.Quotas.List(ctx, quota.Filter{Team: v.Team, Project: v.Project, Environment: v.Environment, Metric: quota.MonthlyCost, Sort: "-share"}, sqldb.Page{Limit: budgetsShown}); err != nil {
		return webui.View{}, err
	}
	v.more, v.may = next != "", r.Who().HasOrgRole(principal.PlatformAdmin)
	out := webui.View{Title: "Costs", Body: costsPage(r, v), API: "GET /api/v1/costs?by=" + v.By, CLI: "fairlead cost --by " + v.By, Docs: "/docs/cost"}
	if v.err != nil {
		out.Status = httpx.Status(fault.KindOf(v.err))
	}
	return out, nil
}

// finer is what costs are summed by where the address does not say: one step
// below what it is about.
func (v view) finer() string {
	switch {
	case v.Environment != "":
		return "resource"
	case v.Project != "":
		return "environment"
	case v.Team != "":
		return "project"
	}
	return "team"
}

// sum adds up lines that are all there are.
func sum(list []cost.Spent) []cost.Spent {
	var out []cost.Spent
next:
	for _, s := range list {
		for i := range out {
			if out[i].Currency == s.Currency {
				out[i].Spent, out[i].Monthly, out[i].Resources = out[i].Spent+s.Spent, out[i].Monthly+s.Monthly, out[i].Resources+s.Resources
				continue next
			}
		}
		out = append(out, cost.Spent{Currency: s.Currency, Spent: s.Spent, Monthly: s.Monthly, Resources: s.Resources})
	}
	return out
}

// forecast is what will have been spent by the end of the month, if all stays
// as it is.
func forecast(s cost.Spent, now time.Time) float64 {
	end := time.Date(now.Year(), now.Month()+1, 1, 0, 0, 0, 0, time.UTC)
	return s.Spent + s.Monthly*end.Sub(now).Hours()/730
}

// setBudget sets a budget, or changes the one of the same place.
func (w *web) setBudget(r *webui.Request) (webui.Answer, error) {
	f, err := read(r)
	if err == nil {
		_, err = w.Quotas.Set(r.Context(), f.Setting, f.version)
	}
	if fault.Is(err, fault.Stale) && f.id != "" {
		if _, gone := w.Quotas.Get(r.Context(), f.id); gone != nil {
			return webui.Answer{}, gone
		}
		return webui.Answer{To: webui.To("quotas", f.id), Flash: "Somebody else changed this budget meanwhile, and yours (" + f.most + ") was not saved. It is shown as it is now."}, nil
	}
	switch fault.KindOf(err) {
	case fault.Invalid, fault.Conflict, fault.Stale, fault.Denied, fault.NotFound:
		if err != nil {
			v, verr := w.show(r, view{form: f, err: err})
			return webui.Answer{View: &v}, verr
		}
	}
	return webui.Answer{To: "/costs", Flash: "The budget holds from now on."}, err
}

func read(r *webui.Request) (f form, err error) {
	f = form{most: r.Field("max"), warn: r.Field("warn"), id: r.Field("id")}
	if f.id != "" {
		if f.version, err = strconv.ParseInt(r.Field("version"), 10, 64); err != nil {
			return f, fault.New(fault.Invalid, "invalid_quota", "the form does not say which budget it changes").WithHint("load the page again")
		}
	}
	f.Setting = quota.Setting{Team: r.Field("team"), Project: r.Field("project"), Environment: r.Field("environment"), Class: r.Field("class"),
		Template: r.Field("template"), Metric: quota.MonthlyCost, Enforce: r.Field("effect") != "warn"}
	if f.Max, err = strconv.ParseFloat(f.most, 64); err != nil {
		return f, fault.New(fault.Invalid, "invalid_quota", "the budget is not a number").WithField("/max").WithHint("such as 500 or 499.90")
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

// formOf is a budget as a form to change it.
func formOf(l quota.Limit) form {
	f := form{Setting: quota.Setting{Team: l.Team, Project: l.Project, Environment: l.EnvironmentID, Class: l.Class, Template: l.Template, Enforce: l.Enforce}, most: l.Max.String(), id: l.ID, version: l.Version}
	if l.WarnAt > 0 {
		f.warn = strconv.FormatFloat(l.WarnAt*100, 'f', -1, 64)
	}
	return f
}

// href leads from a line one step further down.
func (v view) href(s cost.Spent) string {
	at := func(by, key, value string) string {
		q := url.Values{"by": {by}, key: {value}}
		if v.period != "" {
			q.Set("since", v.period)
		}
		return "/costs?" + q.Encode()
	}
	switch v.By {
	case "team":
		return at("project", "team", s.Name)
	case "project":
		return at("environment", "project", s.Name)
	case "environment":
		return at("resource", "environment", s.ID)
	case "template":
		return webui.To("templates", s.Name)
	}
	if v.environment.ID != "" {
		return webui.To("projects", v.environment.Project, v.environment.Name, s.ID)
	}
	return "/resources?q=" + url.QueryEscape(s.Name)
}

// chart is the largest lines as bars, each with its budget where one is set
// for just that.
func (v view) chart() webui.ChartView {
	c := webui.ChartView{Label: "What costs most a month", Values: "A month"}
	for _, s := range v.list[:min(len(v.list), barsShown)] {
		b := webui.Bar{Title: name(s), Href: v.href(s), Value: s.Monthly, Text: webui.Money(s.Monthly, s.Currency)}
		for _, l := range v.budgets {
			if l.Class == "" && l.Template == "" && (l.Scope == v.By) && (s.ID == l.TeamID && l.Scope == quota.Team || s.ID == l.ProjectID && l.Scope == quota.Project || s.ID == l.EnvironmentID && l.Scope == quota.Environment) {
				b.Of, b.Detail = l.Max.Float(), "of "+webui.Money(l.Max.Float(), s.Currency)
				if t := tone(l); t != webui.OK {
					b.Tone = t
				}
			}
		}
		c.Bars = append(c.Bars, b)
	}
	return c
}

func name(s cost.Spent) string {
	if s.Name == "" {
		return "what is gone"
	}
	return strings.ReplaceAll(s.Name, "/", " / ")
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

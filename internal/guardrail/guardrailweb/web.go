package guardrailweb

import (
	"context"
	"strconv"
	"strings"

	"fairlead/internal/compliance"
	"fairlead/internal/fault"
	"fairlead/internal/gate"
	"fairlead/internal/guardrail"
	"fairlead/internal/httpx"
	"fairlead/internal/principal"
	"fairlead/internal/replay"
	"fairlead/internal/sqldb"
	"fairlead/internal/webui"
)

// Services is what the pages show.
type Services struct {
	Guardrails *guardrail.Service
	Compliance *compliance.Service
	Backtests  *replay.Service
}

type web struct{ Services }

// Mount adds the pages.
func Mount(p *webui.Portal, s Services) {
	w := &web{s}
	p.Page("GET /guardrails", w.list)
	p.Action("POST /guardrails", w.begin)
	p.Page("GET /guardrails/{guardrail}", w.bundle)
	p.Page("GET /guardrails/{guardrail}/edit", w.edit)
	p.Action("POST /guardrails/{guardrail}/edit", w.save)
	p.Action("POST /guardrails/{guardrail}/edit/check", w.check)
	p.Action("POST /guardrails/{guardrail}/edit/form", w.reshape)
	p.Action("POST /guardrails/{guardrail}/activate", w.activate)
	p.Action("POST /guardrails/{guardrail}/rollback", w.rollback)
	p.Action("POST /guardrails/{guardrail}/deactivate", w.deactivate)
	p.Page("GET /compliance", w.violations)
	w.mountBacktests(p)
}

func (w *web) list(r *webui.Request) (webui.View, error) {
	page, err := r.PageOf(30)
	if err != nil {
		return webui.View{}, err
	}
	list, err := w.Guardrails.List(r.Context(), r.Query("sort"), page)
	if err != nil {
		return webui.View{}, err
	}
	history, err := w.Guardrails.History(r.Context(), "", sqldb.Page{Limit: 10})
	return webui.View{Title: "Guardrails", Body: listPage(r, list, history.Items, r.Who().HasOrgRole(principal.PlatformAdmin)), API: "GET /api/v1/guardrails", CLI: "fairlead policy ls", Docs: "/docs/guardrails"}, err
}

type bundleView struct {
	guardrail.Summary
	guards      []guardrail.Guard
	versions    []guardrail.Summary
	first, next string
	history     []guardrail.Change
	diff        *guardrail.Diff // to what is in force, of a version that is not
	backtests   []replay.Backtest
	mayTry      bool
	may         bool // the buttons are of use; the service decides
	err         error
}

// inForce tells whether the version that is looked at is the one.
func (v bundleView) inForce() bool { return v.Active == v.Version }

func (w *web) bundle(r *webui.Request) (webui.View, error) { return w.show(r, r.Query("version"), nil) }

func (w *web) show(r *webui.Request, version string, failed error) (webui.View, error) {
	ctx, name := r.Context(), r.Path("guardrail")
	s, b, err := w.Guardrails.Content(ctx, name, version)
	if err != nil {
		return webui.View{}, err
	}
	v := bundleView{Summary: s, guards: b.Guards, first: r.First(), may: r.Who().HasOrgRole(principal.PlatformAdmin), err: failed}
	page, err := r.PageOf(20)
	if err != nil {
		return webui.View{}, err
	}
	versions, err := w.Guardrails.Versions(ctx, s.Name, page)
	if err != nil {
		return webui.View{}, err
	}
	v.versions, v.next = versions.Items, r.Next(versions.Next)
	history, err := w.Guardrails.History(ctx, s.Name, sqldb.Page{Limit: 10})
	if err != nil {
		return webui.View{}, err
	}
	v.history = history.Items
	if v.backtests, v.mayTry, err = w.backtests(r, s.Name); err != nil {
		return webui.View{}, err
	}
	if s.Active != "" && !v.inForce() {
		d, err := w.Guardrails.Diff(ctx, s.Name, s.Active, s.Version)
		if err != nil {
			return webui.View{}, err
		}
		v.diff = &d
	}
	view := webui.View{Title: s.Name + "@" + s.Version, Body: bundlePage(v), API: "GET /api/v1/guardrails/" + s.Name, CLI: "fairlead policy show " + s.Name + "@" + s.Version, Docs: "/docs/guardrails",
		Crumbs: []webui.Crumb{{Title: "Home", Href: "/"}, {Title: "Guardrails", Href: "/guardrails"}, {Title: s.Name}}}
	if failed != nil {
		view.Status = httpx.Status(fault.KindOf(failed))
	}
	return view, nil
}

func (w *web) activate(r *webui.Request) (webui.Answer, error) {
	version := r.Field("version")
	if version == "" {
		err := fault.New(fault.Invalid, "invalid_version", "the form names no version").WithHint("use one of the page's buttons")
		return webui.Answer{}, err
	}
	return w.change(r, version, func(ctx context.Context, name string) (guardrail.Activated, error) {
		return w.Guardrails.Activate(ctx, name, version)
	})
}

func (w *web) rollback(r *webui.Request) (webui.Answer, error) {
	return w.change(r, "", w.Guardrails.Rollback)
}

func (w *web) deactivate(r *webui.Request) (webui.Answer, error) {
	return w.change(r, "", w.Guardrails.Deactivate)
}

// change does one of the three and says what came of it.
func (w *web) change(r *webui.Request, shown string, do func(context.Context, string) (guardrail.Activated, error)) (webui.Answer, error) {
	name := r.Path("guardrail")
	out, err := do(r.Context(), name)
	if err == nil {
		return webui.Answer{To: webui.To("guardrails", name), Flash: outcome(name, out)}, nil
	}
	switch fault.KindOf(err) {
	case fault.Invalid, fault.Conflict, fault.Stale, fault.Denied:
	default:
		if !fault.Is(err, fault.NotFound) || shown != "" {
			return webui.Answer{}, err
		}
	}
	v, verr := w.show(r, shown, err)
	return webui.Answer{View: &v}, verr
}

func outcome(name string, a guardrail.Activated) string {
	s := name + " is out of force."
	switch {
	case a.Unchanged:
		s = "Nothing changed: it was so already."
	case a.Version != "":
		s = name + "@" + a.Version + " is in force."
	}
	if len(a.Verdicts) > 0 {
		s += " Advice: " + webui.Sentence(a.Verdicts[0].Message)
	}
	return s
}

type complianceView struct {
	list  []compliance.Violation
	next  string
	teams []compliance.Team
	last  compliance.Run
}

var (
	strengths = []webui.Option{{Value: string(gate.Deny), Title: "Would be refused today"}, {Value: string(gate.Advise), Title: "Advice"}}
	orders    = []webui.Option{{Value: "since", Title: "Oldest first"}, {Value: "-since", Title: "Newest first"}}
)

func (w *web) violations(r *webui.Request) (webui.View, error) {
	page, err := r.PageOf(30)
	if err != nil {
		return webui.View{}, err
	}
	var v complianceView
	f := compliance.Filter{Team: r.Query("team"), Rule: r.Query("rule"), Strength: gate.Strength(r.Query("strength")), Cleared: r.Query("cleared") == "yes", Sort: r.Query("sort")}
	if v.list, v.next, err = w.Compliance.List(r.Context(), f, page); err != nil {
		return webui.View{}, err
	}
	if v.teams, v.last, err = w.Compliance.Teams(r.Context()); err != nil {
		return webui.View{}, err
	}
	return webui.View{Title: "Compliance", Body: compliancePage(r, v), API: "GET /api/v1/compliance/violations", CLI: "fairlead policy compliance", Docs: "/docs/guardrails#compliance-what-stands-there"}, nil
}

// shownTeams bounds how many teams the page names; the filter finds the others.
const shownTeams = 50

func (v complianceView) options() []webui.Option {
	var out []webui.Option
	for _, t := range v.teams[:min(len(v.teams), shownTeams)] {
		out = append(out, webui.Option{Value: t.Team, Title: t.Team + ": " + webui.Number(t.Violations)})
	}
	return out
}

func (v complianceView) sum() (all, denied int64) {
	for _, t := range v.teams {
		all, denied = all+t.Violations, denied+t.Denied
	}
	return all, denied
}

// tests says how a version's tests went, in a few words.
func tests(t guardrail.TestReport) (webui.Tone, string) {
	switch {
	case t.Failed() > 0:
		return webui.Bad, strconv.Itoa(t.Failed()) + " fail"
	case t.Trouble != "":
		return webui.Bad, "cut short"
	case len(t.Cases) == 0:
		return webui.Warn, "none"
	}
	return webui.OK, strconv.Itoa(len(t.Cases)) + " pass"
}

// who says whom a guardrail is about.
func who(s guardrail.Scope) string {
	var parts []string
	for _, p := range []struct {
		what string
		list []string
	}{{"teams", s.Teams}, {"projects", s.Projects}, {"environments", s.Environments}, {"classes", s.Classes}, {"templates", s.Templates}} {
		if len(p.list) > 0 {
			parts = append(parts, p.what+" "+strings.Join(p.list, ", "))
		}
	}
	if len(parts) == 0 {
		return "everything"
	}
	return strings.Join(parts, "; ")
}

// local is a documentation's address if it is on this server; others are shown
// as text.
func local(docs string) string {
	if to := webui.Local(docs); to != "/" {
		return to
	}
	return ""
}

func changed(c guardrail.Change) string {
	switch {
	case c.Version == "":
		return c.Name + "@" + c.Previous + " went out of force"
	case c.Previous == "":
		return c.Name + "@" + c.Version + " came into force"
	}
	return c.Name + "@" + c.Version + " took the place of " + c.Previous
}

package guardrailweb

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"fairlead/internal/fault"
	"fairlead/internal/gate"
	"fairlead/internal/replay"
	"fairlead/internal/sqldb"
	"fairlead/internal/webui"
)

func (w *web) mountBacktests(p *webui.Portal) {
	p.Action("POST /guardrails/{guardrail}/backtests", w.startBacktest)
	p.LivePage("GET /backtests/{backtest}", w.backtest, w.backtestLive)
	p.Action("POST /backtests/{backtest}/cancel", w.cancelBacktest)
}

func (w *web) startBacktest(r *webui.Request) (webui.Answer, error) {
	days, err := strconv.ParseInt(r.Field("days"), 10, 64)
	if err != nil {
		days = 30
	}
	j, err := w.Backtests.Start(r.Context(), r.Path("guardrail"), r.Field("version"), days)
	if err == nil {
		return webui.Answer{To: webui.To("backtests", j.ID)}, nil
	}
	if !shownAgain(err) && !fault.Is(err, fault.Unavailable) {
		return webui.Answer{}, err
	}
	v, verr := w.show(r, r.Field("version"), err)
	return webui.Answer{View: &v}, verr
}

type backtestView struct {
	replay.Backtest
	changes     []replay.Change
	first, next string
}

func (w *web) backtest(r *webui.Request) (webui.View, error) {
	j, err := w.Backtests.Get(r.Context(), r.Path("backtest"))
	if err != nil {
		return webui.View{}, err
	}
	page, err := r.PageOf(30)
	if err != nil {
		return webui.View{}, err
	}
	v := backtestView{Backtest: j, first: r.First()}
	if j.Status == replay.Done {
		v.changes, v.next, err = w.Backtests.Changes(r.Context(), j.ID, replay.Filter{Kind: replay.Kind(r.Query("kind")), Now: r.Query("now")}, page)
		v.next = r.Next(v.next)
	}
	label := j.Name + "@" + j.Version
	return webui.View{Title: "Backtest of " + label, Body: backtestPage(r, v), Stamp: backtestStamp(j), Docs: "/docs/guardrails#backtest-before-it-is-in-force",
		API: "POST /api/v1/guardrails/backtest?name=" + j.Name + "&version=" + j.Version, CLI: "fairlead policy backtest " + label + " --since " + strconv.FormatInt(j.Days, 10) + "d",
		Crumbs: []webui.Crumb{{Title: "Home", Href: "/"}, {Title: "Guardrails", Href: "/guardrails"}, {Title: j.Name, Href: webui.To("guardrails", j.Name) + "?version=" + j.Version}, {Title: "Backtest"}}}, err
}

func backtestStamp(j replay.Backtest) string {
	return fmt.Sprint(j.ID, j.Status, j.Stopping, j.Progress)
}

func (w *web) backtestLive(r *webui.Request) (string, []string, error) {
	j, err := w.Backtests.Get(r.Context(), r.Path("backtest"))
	return backtestStamp(j), []string{replay.Topic(j.ID)}, err
}

func (w *web) cancelBacktest(r *webui.Request) (webui.Answer, error) {
	j, err := w.Backtests.Cancel(r.Context(), r.Path("backtest"))
	return webui.Answer{To: webui.To("backtests", j.ID), Flash: "It ends within a second or so."}, err
}

// backtests gives the newest of the caller's own; who may not have any has
// none.
func (w *web) backtests(r *webui.Request, name string) ([]replay.Backtest, bool, error) {
	list, _, err := w.Backtests.List(r.Context(), name, sqldb.Page{Limit: 5})
	if fault.Is(err, fault.Denied) || fault.Is(err, fault.NotFound) {
		return nil, false, nil
	}
	return list, err == nil, err
}

var (
	spans = []webui.Option{{Value: "7", Title: "The last week"}, {Value: "30", Title: "The last 30 days"}, {Value: "90", Title: "The last 90 days"}}
	kinds = []webui.Option{{Value: "request", Title: "Requests"}, {Value: "resource", Title: "What stands there"}}
	ends  = []webui.Option{{Value: "denied", Title: "Would be refused"}, {Value: "approval", Title: "Would need approval"}, {Value: "allowed", Title: "Would be let through"}}
)

// share is how far a backtest is, as far as that can be told.
func (v backtestView) share() float64 {
	if v.Progress.OfDecisions == 0 {
		return 0
	}
	return float64(v.Progress.Decisions) / float64(v.Progress.OfDecisions)
}

func (v backtestView) tone() webui.Tone {
	switch v.Status {
	case replay.Running:
		return webui.Busy
	case replay.Failed:
		return webui.Bad
	case replay.Canceled:
		return webui.Idle
	}
	return webui.OK
}

// count is one kind of change, and how many.
type count struct {
	text string
	n    int
}

func (v backtestView) counts() []count {
	var out []count
	for kind, n := range v.Summary.Kinds {
		what, how, _ := strings.Cut(kind, " ")
		out = append(out, count{webui.Title(what) + "s " + how, n})
	}
	slices.SortFunc(out, func(a, b count) int { return b.n - a.n })
	return out
}

// verdictTone is how a verdict looks.
func verdictTone(outcome string) webui.Tone {
	switch outcome {
	case "denied":
		return webui.Bad
	case "approval":
		return webui.Warn
	}
	return webui.OK
}

// where is what a change is about; what was refused before it was made has no
// page.
func where(c replay.Change) string {
	if c.ResourceID == "" {
		return ""
	}
	return webui.To("projects", c.Project, c.Environment, c.ResourceID)
}

func said(list []gate.Verdict) []gate.Verdict { return list[:min(len(list), 3)] }

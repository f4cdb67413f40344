package approvalweb

import (
	"strings"

	"fairlead/internal/approval"
	"fairlead/internal/engine"
	"fairlead/internal/fault"
	"fairlead/internal/httpx"
	"fairlead/internal/resource"
	"fairlead/internal/webui"
)

// Services is what the pages show.
type Services struct {
	Approvals *approval.Service
	Resources *resource.Service
}

type web struct{ Services }

// Mount adds the pages.
func Mount(p *webui.Portal, s Services) {
	w := &web{s}
	p.LivePage("GET /approvals", w.inbox, w.inboxLive)
	p.LivePage("GET /approvals/{approval}", w.approval, w.approvalLive)
	p.Action("POST /approvals/{approval}", w.decide)
}

// shelves are the lists that the inbox has.
var shelves = []struct {
	name, title string
	filter      approval.Filter
}{
	{"", "For you", approval.Filter{Mine: true, Status: approval.Pending, Sort: "expires"}},
	{"requested", "You asked", approval.Filter{Requested: true}},
	{"all", "All open", approval.Filter{Status: approval.Pending, Sort: "expires"}},
	{"done", "All", approval.Filter{}},
	{"review", "To review", approval.Filter{NeedsReview: true}},
}

type inboxView struct {
	shelf string
	list  []approval.Approval
	next  string
}

func (v inboxView) tabs() []webui.Tab {
	out := make([]webui.Tab, len(shelves))
	for i, s := range shelves {
		out[i] = webui.Tab{Title: s.title, Href: "/approvals", Current: s.name == v.shelf}
		if s.name != "" {
			out[i].Href += "?show=" + s.name
		}
	}
	return out
}

func (v inboxView) stamp() string {
	var b strings.Builder
	for _, a := range v.list {
		b.WriteString(a.ID + string(a.Status))
	}
	return b.String()
}

func (w *web) look(r *webui.Request) (inboxView, error) {
	v := inboxView{shelf: r.Query("show")}
	filter := shelves[0].filter
	for _, s := range shelves {
		if s.name == v.shelf {
			filter = s.filter
		}
	}
	page, err := r.PageOf(25)
	if err != nil {
		return v, err
	}
	v.list, v.next, err = w.Approvals.List(r.Context(), filter, page)
	return v, err
}

func (w *web) inbox(r *webui.Request) (webui.View, error) {
	v, err := w.look(r)
	return webui.View{Title: "Approvals", Body: inboxPage(r, v), Stamp: v.stamp(), API: "GET /api/v1/approvals?mine=true", CLI: "fairlead approvals --mine", Docs: "/docs/approvals"}, err
}

func (w *web) inboxLive(r *webui.Request) (string, []string, error) {
	v, err := w.look(r)
	return v.stamp(), []string{approval.Topic}, err
}

// approvalView is all that it takes to decide.
type approvalView struct {
	approval.Approval
	plan    *engine.Plan
	who     []approval.Who
	mine    bool // it is the caller's to decide
	comment string
	err     error
}

func (w *web) approval(r *webui.Request) (webui.View, error) { return w.show(r, "", nil) }

func (w *web) show(r *webui.Request, comment string, failed error) (webui.View, error) {
	ctx := r.Context()
	a, err := w.Approvals.Get(ctx, r.Path("approval"))
	if err != nil {
		return webui.View{}, err
	}
	v := approvalView{Approval: a, comment: comment, err: failed}
	if a.Kind == approval.KindResource && a.RunID != "" {
		run, err := w.Resources.Run(ctx, a.RunID)
		if err != nil && !fault.Is(err, fault.NotFound) && !fault.Is(err, fault.Denied) {
			return webui.View{}, err
		}
		v.plan = run.Plan
	}
	if a.Status == approval.Pending {
		if v.who, err = w.Approvals.WhoCould(ctx, a.ID); err != nil && !fault.Is(err, fault.NotFound) && !fault.Is(err, fault.Denied) {
			return webui.View{}, err
		}
	}
	for _, p := range v.who {
		v.mine = v.mine || p.Name == r.Who().Name && p.Can && p.Voted == ""
	}
	view := webui.View{Title: "Approve " + a.Title, Project: a.Project, Env: a.Environment, Body: approvalPage(v), Stamp: stamp(a),
		Crumbs: []webui.Crumb{{Title: "Home", Href: "/"}, {Title: "Approvals", Href: "/approvals"}, {Title: a.Title}},
		API:    "GET /api/v1/approvals/" + a.ID, CLI: "fairlead approve " + a.ID, Docs: "/docs/approvals"}
	if failed != nil {
		view.Status = httpx.Status(fault.KindOf(failed))
	}
	return view, nil
}

func stamp(a approval.Approval) string {
	var b strings.Builder
	b.WriteString(a.ID + string(a.Status) + a.Digest)
	for _, v := range a.Votes {
		b.WriteString(v.VoterID)
	}
	return b.String()
}

func (w *web) approvalLive(r *webui.Request) (string, []string, error) {
	a, err := w.Approvals.Get(r.Context(), r.Path("approval"))
	topics := []string{approval.Topic}
	if a.Kind == approval.KindResource {
		topics = append(topics, resource.Topic(a.SubjectID))
	}
	return stamp(a), topics, err
}

func (w *web) decide(r *webui.Request) (webui.Answer, error) {
	b := approval.Ballot{Decision: approval.Decision(r.Field("decision")), Comment: r.Field("comment"), Digest: r.Field("digest")}
	if b.Decision != approval.Approve && b.Decision != approval.Reject {
		return webui.Answer{}, fault.New(fault.Invalid, "no_decision", "the form says neither yes nor no").WithHint("use one of its buttons")
	}
	a, err := w.Approvals.Decide(r.Context(), r.Path("approval"), b)
	if err == nil {
		return webui.Answer{To: "/approvals", Flash: said(a, b.Decision)}, nil
	}
	switch fault.KindOf(err) {
	case fault.Invalid, fault.Conflict, fault.Stale, fault.Denied:
		v, verr := w.show(r, b.Comment, err)
		return webui.Answer{View: &v}, verr
	}
	return webui.Answer{}, err
}

func said(a approval.Approval, d approval.Decision) string {
	switch {
	case d == approval.Reject:
		return "You rejected " + a.Title + "; " + a.Requester + " is told."
	case a.Status == approval.Approved:
		return a.Title + " is approved and goes ahead."
	}
	return "You agreed to " + a.Title + ". " + webui.Sentence(a.Who) + "."
}

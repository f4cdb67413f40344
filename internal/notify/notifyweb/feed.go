package notifyweb

import (
	"strings"

	"fairlead/internal/event"
	"fairlead/internal/notify"
	"fairlead/internal/webui"
)

// FeedPath is the page of what happened that concerns the reader.
const FeedPath = "/notifications"

func (w *web) mountFeed(p *webui.Portal) {
	p.LivePage("GET "+FeedPath, w.feed, w.feedLive)
	p.Action("POST "+FeedPath+"/read", w.readAll)
	p.Action("POST "+FeedPath+"/{notification}/open", w.open)
	p.Page("GET "+ChoicePath, w.choice)
	p.Action("POST "+ChoicePath, w.choose)
}

type feedView struct {
	list   []notify.Notification
	next   string
	unread int
	only   bool // what is not read
}

func (v feedView) stamp() string {
	var b strings.Builder
	for _, n := range v.list {
		b.WriteString(n.EventID)
		if n.ReadAt.IsZero() {
			b.WriteString("*")
		}
	}
	return b.String()
}

func (v feedView) tabs() []webui.Tab {
	return []webui.Tab{{Title: "All", Href: FeedPath, Current: !v.only}, {Title: "Not read", Href: FeedPath + "?show=unread", Current: v.only}}
}

func (w *web) lookFeed(r *webui.Request) (feedView, error) {
	v := feedView{only: r.Query("show") == "unread"}
	page, err := r.PageOf(30)
	if err != nil {
		return v, err
	}
	v.list, v.next, err = w.svc.Feed(r.Context(), notify.FeedFilter{Unread: v.only}, page)
	return v, err
}

func (w *web) feed(r *webui.Request) (webui.View, error) {
	v, err := w.lookFeed(r)
	if err != nil {
		return webui.View{}, err
	}
	if v.unread, err = w.svc.Unread(r.Context()); err != nil {
		return webui.View{}, err
	}
	return webui.View{Title: "Notifications", Body: feedPage(r, v), Stamp: v.stamp(), API: "GET /api/v1/notifications", CLI: "fairlead notifications", Docs: "/docs/portal"}, nil
}

func (w *web) feedLive(r *webui.Request) (string, []string, error) {
	v, err := w.lookFeed(r)
	return v.stamp(), []string{notify.FeedTopic(r.Who().ID)}, err
}

func (w *web) readAll(r *webui.Request) (webui.Answer, error) {
	return webui.Answer{To: FeedPath, Flash: "All is read."}, w.svc.MarkRead(r.Context(), nil)
}

// open leads to what a notification is about, and marks it as read.
func (w *web) open(r *webui.Request) (webui.Answer, error) {
	n, err := w.svc.Find(r.Context(), r.Path("notification"))
	if err != nil {
		return webui.Answer{}, err
	}
	if err := w.svc.MarkRead(r.Context(), []string{n.EventID}); err != nil {
		return webui.Answer{}, err
	}
	return webui.Answer{To: newsHref(n)}, nil
}

// newsHref is the page of what a notification is about.
func newsHref(n notify.Notification) string {
	kind, _, _ := strings.Cut(n.Type, ".")
	resource := FeedPath
	switch {
	case n.ProjectID != "" && n.EnvironmentID != "" && n.Subject == n.EnvironmentID:
		resource = webui.To("projects", n.ProjectID, n.EnvironmentID)
	case n.ProjectID != "" && n.EnvironmentID != "" && strings.HasPrefix(n.Subject, "res_"):
		resource = webui.To("projects", n.ProjectID, n.EnvironmentID, n.Subject)
	case n.ProjectID != "" && n.EnvironmentID != "":
		resource = webui.To("projects", n.ProjectID, n.EnvironmentID)
	}
	switch kind {
	case "approval":
		if n.Type == "approval.delegated" {
			return "/approvals"
		}
		return webui.To("approvals", n.Subject)
	case "quota", "budget":
		return webui.To("quotas", n.Subject)
	case "compliance":
		return "/compliance"
	case "rollout":
		return webui.To("rollouts", n.Subject)
	case "template":
		return "/sources"
	case "drift":
		if strings.HasPrefix(n.Subject, "res_") {
			return resource + "/drift"
		}
	}
	return resource
}

var newsTones = map[string]webui.Tone{
	event.ApprovalRequested: webui.Warn, event.ApprovalApproved: webui.OK, event.ApprovalRejected: webui.Bad, event.RunFailed: webui.Bad, event.RequestDenied: webui.Bad,
	event.LeaseWarned: webui.Warn, event.LeaseStuck: webui.Bad, event.DriftDetected: webui.Warn, event.ComplianceViolated: webui.Warn, event.BudgetWarned: webui.Warn,
	event.QuotaWarned: webui.Warn, "rollout.waiting": webui.Warn, "rollout.halted": webui.Bad, "rollout.finished": webui.OK, "template.version_broken": webui.Bad, "template.version_refused": webui.Bad,
}

var newsIcons = map[string]string{
	"approval": "inbox", "run": "x", "request": "ban", "lease": "timer", "drift": "git-compare", "compliance": "shield-alert", "budget": "coins", "quota": "gauge", "rollout": "ship", "template": "package",
}

func newsIcon(n notify.Notification) string {
	kind, _, _ := strings.Cut(n.Type, ".")
	switch n.Type {
	case event.ApprovalApproved:
		return "check"
	case event.ApprovalRejected:
		return "x"
	}
	if icon := newsIcons[kind]; icon != "" {
		return icon
	}
	return "bell"
}

func newsTitle(n notify.Notification) string {
	if n.About == "" {
		return n.Title
	}
	return n.Title + ": " + n.About
}

package pages

import (
	"log/slog"
	"maps"

	"fairlead/internal/access"
	"fairlead/internal/access/accessweb"
	"fairlead/internal/approval"
	"fairlead/internal/approval/approvalweb"
	"fairlead/internal/audit"
	"fairlead/internal/audit/auditweb"
	"fairlead/internal/backup"
	"fairlead/internal/calendar"
	"fairlead/internal/calendar/calendarweb"
	"fairlead/internal/compliance"
	"fairlead/internal/cost"
	"fairlead/internal/cost/costweb"
	"fairlead/internal/drift"
	"fairlead/internal/drift/driftweb"
	"fairlead/internal/engines"
	"fairlead/internal/feedback"
	"fairlead/internal/feedback/feedbackweb"
	"fairlead/internal/guardrail"
	"fairlead/internal/guardrail/guardrailweb"
	"fairlead/internal/httpx"
	"fairlead/internal/identity"
	"fairlead/internal/identity/identityweb"
	"fairlead/internal/lease"
	"fairlead/internal/lease/leaseweb"
	"fairlead/internal/notify"
	"fairlead/internal/notify/notifyweb"
	"fairlead/internal/principal"
	"fairlead/internal/project"
	"fairlead/internal/project/projectweb"
	"fairlead/internal/quota"
	"fairlead/internal/quota/quotaweb"
	"fairlead/internal/replay"
	"fairlead/internal/resource"
	"fairlead/internal/resource/resourceweb"
	"fairlead/internal/rollout"
	"fairlead/internal/rollout/rolloutweb"
	"fairlead/internal/setup"
	"fairlead/internal/setup/setupweb"
	"fairlead/internal/source"
	"fairlead/internal/system"
	"fairlead/internal/system/systemweb"
	"fairlead/internal/template"
	"fairlead/internal/template/templateweb"
	"fairlead/internal/webui"
	"fairlead/internal/why"
)

// Services is what the pages show.
type Services struct {
	Access     *access.Service
	Approvals  *approval.Service
	Calendar   *calendar.Service
	Compliance *compliance.Service
	Guardrails *guardrail.Service
	Audit      *audit.Log
	Backtests  *replay.Service
	Costs      *cost.Service
	Drifts     *drift.Service
	Engines    *engines.Service
	Feedback   *feedback.Service
	Identity   *identity.Service
	Leases     *lease.Service
	Notify     *notify.Service
	Projects   *project.Service
	Quotas     *quota.Service
	Resources  *resource.Service
	Rollouts   *rollout.Service
	Setup      *setup.Service
	Sources    *source.Service
	System     *system.Service
	Backups    *backup.Service
	Templates  *template.Service
	Why        *why.Service

	PublicURL string
	Log       *slog.Logger
	Subscribe func(topic string) (wake <-chan string, stop func())
	Gallery   bool
}

// navigation is the portal's, in the order that it is shown in. Keys are for
// after g, and each is one page's alone.
var navigation = []webui.Nav{
	{Title: "Home", Href: "/", Icon: "house", Key: "h"},
	{Title: "Create", Href: "/create", Icon: "plus", Key: "c"},
	{Title: "Projects", Href: "/projects", Icon: "folder", Key: "p"},
	{Title: "Resources", Href: "/resources", Icon: "boxes", Key: "r"},
	{Title: "Approvals", Href: "/approvals", Icon: "inbox", Key: "a"},
	{Title: "Drift", Href: "/drift", Icon: "git-compare", Key: "d"},
	{Group: "Governance", Title: "Guardrails", Href: "/guardrails", Icon: "shield-check", Key: "u"},
	{Group: "Governance", Title: "Compliance", Href: "/compliance", Icon: "shield-alert", Key: "v"},
	{Group: "Governance", Title: "Quotas", Href: "/quotas", Icon: "gauge", Key: "q"},
	{Group: "Governance", Title: "Costs", Href: "/costs", Icon: "coins", Key: "x"},
	{Group: "Governance", Title: "Leases", Href: "/leases", Icon: "hourglass", Key: "i"},
	{Group: "Governance", Title: "Calendar", Href: "/calendar", Icon: "calendar", Key: "j"},
	{Group: "Governance", Title: "Audit log", Href: "/audit", Icon: "scroll-text", Key: "l"},
	{Group: "Platform", Title: "Users", Href: "/users", Icon: "user", Key: "n", Show: watches},
	{Group: "Platform", Title: "Teams", Href: "/teams", Icon: "users", Key: "t"},
	{Group: "Platform", Title: "Tokens", Href: "/tokens", Icon: "key-round", Key: "k"},
	{Group: "Platform", Title: "Templates", Href: "/templates", Icon: "layout-template", Key: "m"},
	{Group: "Platform", Title: "Rollouts", Href: "/rollouts", Icon: "ship", Key: "o"},
	{Group: "Platform", Title: "Sources", Href: "/sources", Icon: "layers", Key: "s", Show: platform},
	{Group: "Platform", Title: "Webhooks", Href: "/webhooks", Icon: "bell", Key: "b"},
	{Group: "Platform", Title: "Mail", Href: notifyweb.MailPath, Icon: "mail", Key: "z", Show: platform},
	{Group: "Platform", Title: "Access", Href: "/access", Icon: "circle-help", Key: "w"},
	{Group: "Platform", Title: "Feedback", Href: "/feedback", Icon: "message-square", Key: "f", Show: watches},
	{Group: "Platform", Title: "System", Href: "/system", Icon: "activity", Key: "y", Show: watches},
}

// platform tells who looks after the platform: what others have no use for is
// not shown to them.
func platform(p principal.Principal) bool { return p.HasOrgRole(principal.PlatformAdmin) }

// watches tells who looks after the platform, or over it.
func watches(p principal.Principal) bool { return platform(p) || p.HasOrgRole(principal.Auditor) }

// Helpful is where the answer to "is this page helpful?" goes.
const Helpful = feedbackweb.Path

// Mount mounts the portal: each feature's pages in turn.
func Mount(server *httpx.Server, s Services) {
	places := projectweb.Services{
		Projects: s.Projects, Resources: s.Resources, Approvals: s.Approvals, Leases: s.Leases, Audit: s.Audit,
		Templates: s.Templates, Identity: s.Identity, Costs: s.Costs, Quotas: s.Quotas, Setup: s.Setup, Drifts: s.Drifts, Compliance: s.Compliance,
	}
	first := setupweb.Services{Setup: s.Setup, Identity: s.Identity, Projects: s.Projects, Resources: s.Resources, Templates: s.Templates, Engines: s.Engines, PublicURL: s.PublicURL}
	things := resourceweb.Services{
		Resources: s.Resources, Templates: s.Templates, Projects: s.Projects, Approvals: s.Approvals, Audit: s.Audit, Leases: s.Leases, Costs: s.Costs, Drifts: s.Drifts, Rollouts: s.Rollouts, Why: s.Why,
	}
	finders := map[string]webui.Finder{"start": things.Starts}
	maps.Copy(finders, places.Finders())
	portal := webui.New(webui.Options{Server: server, Log: s.Log, Nav: navigation, Finders: finders, Subscribe: s.Subscribe, Gallery: s.Gallery, Helpful: Helpful,
		Bell: &webui.Bell{Href: notifyweb.FeedPath, Count: s.Notify.Unread, Topic: func(p principal.Principal) string { return notify.FeedTopic(p.ID) }}})
	identityweb.Mount(portal, identityweb.Services{Identity: s.Identity, Audit: s.Audit, PublicURL: s.PublicURL,
		Landing: identityweb.Landing{To: setupweb.Path, When: first.Begins}})
	setupweb.Mount(portal, first)
	feedbackweb.Mount(portal, s.Feedback)
	projectweb.Mount(portal, places)
	resourceweb.Mount(portal, things)
	approvalweb.Mount(portal, approvalweb.Services{Approvals: s.Approvals, Resources: s.Resources})
	driftweb.Mount(portal, s.Drifts)
	rolloutweb.Mount(portal, s.Rollouts)
	templateweb.Mount(portal, templateweb.Services{Templates: s.Templates, Sources: s.Sources, Resources: s.Resources, Rollouts: s.Rollouts})
	auditweb.Mount(portal, s.Audit)
	quotaweb.Mount(portal, s.Quotas)
	leaseweb.Mount(portal, s.Leases)
	costweb.Mount(portal, costweb.Services{Costs: s.Costs, Quotas: s.Quotas, Projects: s.Projects})
	calendarweb.Mount(portal, s.Calendar)
	guardrailweb.Mount(portal, guardrailweb.Services{Guardrails: s.Guardrails, Compliance: s.Compliance, Backtests: s.Backtests})
	notifyweb.Mount(portal, s.Notify)
	systemweb.Mount(portal, systemweb.Services{System: s.System, Resources: s.Resources, Backups: s.Backups})
	accessweb.Mount(portal, s.Access)
}

// Describe lists every page there is, without a server that could show it.
func Describe() []httpx.PageRoute {
	_, server := httpx.New(httpx.Options{})
	Mount(server, Services{})
	return server.Pages()
}

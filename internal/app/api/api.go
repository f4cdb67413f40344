package api

import (
	"github.com/danielgtaylor/huma/v2"

	"fairlead/internal/access"
	"fairlead/internal/access/accessapi"
	"fairlead/internal/approval"
	"fairlead/internal/approval/approvalapi"
	"fairlead/internal/audit"
	"fairlead/internal/audit/auditapi"
	"fairlead/internal/backup"
	"fairlead/internal/backup/backupapi"
	"fairlead/internal/calendar"
	"fairlead/internal/calendar/calendarapi"
	"fairlead/internal/compliance"
	"fairlead/internal/compliance/complianceapi"
	"fairlead/internal/cost"
	"fairlead/internal/cost/costapi"
	"fairlead/internal/drift"
	"fairlead/internal/drift/driftapi"
	"fairlead/internal/engines"
	"fairlead/internal/engines/enginesapi"
	"fairlead/internal/feedback"
	"fairlead/internal/feedback/feedbackapi"
	"fairlead/internal/gate"
	"fairlead/internal/gate/gateapi"
	"fairlead/internal/guardrail"
	"fairlead/internal/guardrail/guardrailapi"
	"fairlead/internal/httpx"
	"fairlead/internal/identity"
	"fairlead/internal/identity/identityapi"
	"fairlead/internal/lease"
	"fairlead/internal/lease/leaseapi"
	"fairlead/internal/notify"
	"fairlead/internal/notify/notifyapi"
	"fairlead/internal/project"
	"fairlead/internal/project/projectapi"
	"fairlead/internal/quota"
	"fairlead/internal/quota/quotaapi"
	"fairlead/internal/replay"
	"fairlead/internal/replay/replayapi"
	"fairlead/internal/resource"
	"fairlead/internal/resource/resourceapi"
	"fairlead/internal/rollout"
	"fairlead/internal/rollout/rolloutapi"
	"fairlead/internal/secret"
	"fairlead/internal/secret/secretapi"
	"fairlead/internal/setup"
	"fairlead/internal/setup/setupapi"
	"fairlead/internal/source"
	"fairlead/internal/source/sourceapi"
	"fairlead/internal/state"
	"fairlead/internal/state/stateapi"
	"fairlead/internal/system"
	"fairlead/internal/system/systemapi"
	"fairlead/internal/template"
	"fairlead/internal/template/templateapi"
	"fairlead/internal/why"
	"fairlead/internal/why/whyapi"
)

// Services is what stands behind the operations.
type Services struct {
	Access     *access.Service
	Approvals  *approval.Service
	Audit      *audit.Log
	Calendar   *calendar.Service
	Backup     *backup.Service
	Costs      *cost.Service
	Engines    *engines.Service
	Drifts     *drift.Service
	Feedback   *feedback.Service
	Identity   *identity.Service
	Leases     *lease.Service
	MasterKey  *secret.Service
	Notify     *notify.Service
	Projects   *project.Service
	Quotas     *quota.Service
	Resources  *resource.Service
	Setup      *setup.Service
	Rollouts   *rollout.Service
	Gates      *gate.Service
	Guardrails *guardrail.Service
	Backtests  *replay.Service
	Compliance *compliance.Service
	Why        *why.Service
	States     *state.Service
	System     *system.Service
	Templates  *template.Service
	Sources    *source.Service
	Secure     bool // people come by https alone
}

// Register adds every operation there is.
func Register(api huma.API, s Services) {
	identityapi.Register(api, s.Identity, identityapi.Options{Secure: s.Secure})
	projectapi.Register(api, s.Projects)
	accessapi.Register(api, s.Access)
	auditapi.Register(api, s.Audit)
	templateapi.Register(api, s.Templates)
	enginesapi.Register(api, s.Engines)
	sourceapi.Register(api, s.Sources)
	resourceapi.Register(api, s.Resources)
	stateapi.Register(api, s.States)
	driftapi.Register(api, s.Drifts)
	rolloutapi.Register(api, s.Rollouts)
	gateapi.Register(api, s.Gates)
	guardrailapi.Register(api, s.Guardrails)
	replayapi.Register(api, s.Backtests)
	complianceapi.Register(api, s.Compliance)
	approvalapi.Register(api, s.Approvals)
	quotaapi.Register(api, s.Quotas)
	costapi.Register(api, s.Costs)
	leaseapi.Register(api, s.Leases)
	calendarapi.Register(api, s.Calendar)
	whyapi.Register(api, s.Why)
	notifyapi.Register(api, s.Notify)
	setupapi.Register(api, s.Setup)
	feedbackapi.Register(api, s.Feedback)
	secretapi.Register(api, s.MasterKey)
	backupapi.Register(api, s.Backup)
	systemapi.Register(api, s.System)
}

// Describe gives the API with every operation and nothing behind it.
func Describe(version string) huma.API {
	api, _ := httpx.New(httpx.Options{Version: version})
	Register(api, Services{})
	return api
}

package access

// Action is what somebody wants to do: "kind:verb". Each is an action of the
// Cedar schema under the same name.
type Action string

// The actions. "view" of a kind is what makes a thing known to exist: without
// it every answer about the thing is "not found".
const (
	TeamView   Action = "team:view"
	TeamCreate Action = "team:create"
	TeamUpdate Action = "team:update"
	TeamDelete Action = "team:delete"
	TeamGrant  Action = "team:grant" // give or take a role in the team

	UserView    Action = "user:view"
	UserCreate  Action = "user:create"
	UserUpdate  Action = "user:update" // also disable, reset password, issue a sign-in link
	RobotView   Action = "robot:view"
	RobotManage Action = "robot:manage"
	OrgGrant    Action = "organisation:grant" // give or take an organisation-wide role

	TokenView     Action = "token:view" // of others; everyone sees their own
	TokenCreate   Action = "token:create"
	TokenRevoke   Action = "token:revoke"
	SessionRevoke Action = "session:revoke"

	ProjectView   Action = "project:view"
	ProjectCreate Action = "project:create"
	ProjectUpdate Action = "project:update"
	ProjectDelete Action = "project:delete"

	EnvironmentView   Action = "environment:view"
	EnvironmentCreate Action = "environment:create"
	EnvironmentUpdate Action = "environment:update"
	EnvironmentDelete Action = "environment:delete"

	TemplateView Action = "template:view"
	TemplatePush Action = "template:push"
	TemplateUse  Action = "template:use" // request a resource from it; the target names template and environment

	ResourceView    Action = "resource:view"
	ResourceCreate  Action = "resource:create"
	ResourceUpdate  Action = "resource:update" // also roll back, retry, cancel
	ResourceDestroy Action = "resource:destroy"
	ResourceReveal  Action = "resource:reveal" // read secret outputs
	ResourceRotate  Action = "resource:rotate"
	ResourceEject   Action = "resource:eject"   // take along what it takes to go on without Fairlead
	ResourceRelease Action = "resource:release" // let go of a resource, with all that it made left as it is
	ResourceAdopt   Action = "resource:adopt"   // make what exists already a resource's
	ResourcePin     Action = "resource:pin"     // keep it at its version, from rollouts
	RolloutManage   Action = "rollout:manage"   // change many at once; asked about each member
	RolloutApprove  Action = "rollout:approve"  // agree to what a rollout would destroy; asked about each member

	StateView       Action = "state:view"       // versions and lock of a module's state, not its content
	StatePull       Action = "state:pull"       // its content, which holds every secret that the module knows
	StateRollback   Action = "state:rollback"   // make an older version the current one
	DriftAccept     Action = "drift:accept"     // say that what somebody changed by hand is fine
	DriftRelease    Action = "drift:release"    // let repairs go on that the mass-drift brake holds
	LeaseExtend     Action = "lease:extend"     // let an environment or a resource live longer, as far as its rules go
	ApprovalDecide  Action = "approval:decide"  // approve or reject what others asked for; who is needed is said by the approval
	ApprovalBypass  Action = "approval:bypass"  // break glass: go ahead without, to be reviewed afterwards
	ApprovalReview  Action = "approval:review"  // look at what went ahead without
	QuotaView       Action = "quota:view"       // quotas, budgets, what is used, what it costs
	QuotaManage     Action = "quota:manage"     // also the price table
	CalendarManage  Action = "calendar:manage"  // lease rules, change windows, freezes, schedules
	GuardrailView   Action = "guardrail:view"   // bundles, compliance, backtests
	GuardrailPush   Action = "guardrail:push"   // a new version; it is not in force by that
	GuardrailEnable Action = "guardrail:enable" // put a version in force, or out of it
	WebhookManage   Action = "webhook:manage"   // who is told what, and what was delivered

	AccessView   Action = "access:view"   // read policies; ask "why" about others
	AccessUpdate Action = "access:update" // write policies
	AuditView    Action = "audit:view"
	AuditExport  Action = "audit:export"

	SystemView   Action = "system:view"   // queue, workers, metrics, suspects
	SystemManage Action = "system:manage" // master key, backup, restore
)

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

	AccessView   Action = "access:view"   // read policies; ask "why" about others
	AccessUpdate Action = "access:update" // write policies
	AuditView    Action = "audit:view"
	AuditExport  Action = "audit:export"

	SystemView   Action = "system:view"   // queue, workers, metrics, suspects
	SystemManage Action = "system:manage" // master key, backup, restore
)

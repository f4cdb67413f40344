package access

import (
	"strings"

	"github.com/cedar-policy/cedar-go"

	"fairlead/internal/principal"
)

// actions in the order of their bits in a rule's action set. A test compares
// it with the constants and with the schema.
var actions = []Action{
	TeamView, TeamCreate, TeamUpdate, TeamDelete, TeamGrant,
	UserView, UserCreate, UserUpdate, RobotView, RobotManage, OrgGrant,
	TokenView, TokenCreate, TokenRevoke, SessionRevoke,
	ProjectView, ProjectCreate, ProjectUpdate, ProjectDelete,
	EnvironmentView, EnvironmentCreate, EnvironmentUpdate, EnvironmentDelete,
	TemplateView, TemplatePush, TemplateUse,
	ResourceView, ResourceCreate, ResourceUpdate, ResourceDestroy, ResourceReveal, ResourceRotate, ResourceEject, ResourceRelease, ResourceAdopt,
	ResourcePin, RolloutManage, RolloutApprove,
	StateView, StatePull, StateRollback,
	DriftAccept, DriftRelease,
	LeaseExtend, ApprovalDecide, ApprovalBypass, ApprovalReview, QuotaView, QuotaManage, CalendarManage,
	GuardrailView, GuardrailPush, GuardrailEnable, WebhookManage,
	AccessView, AccessUpdate, AuditView, AuditExport, SystemView, SystemManage,
}

// Actions lists every action.
func Actions() []Action { return append([]Action(nil), actions...) }

// actionType is Cedar's type of actions.
const actionType cedar.EntityType = "Action"

type actionInfo struct {
	bit  int
	uid  cedar.EntityUID
	kind string
	verb string
}

var actionTable = func() map[Action]actionInfo {
	m := make(map[Action]actionInfo, len(actions))
	for i, a := range actions {
		kind, verb, _ := strings.Cut(string(a), ":")
		m[a] = actionInfo{bit: i, uid: cedar.NewEntityUID(actionType, cedar.String(a)), kind: kind, verb: verb}
	}
	return m
}()

// Entity types of the schema.
const (
	typeRole         cedar.EntityType = "Role"
	typeUser         cedar.EntityType = "User"
	typeRobot        cedar.EntityType = "Robot"
	typeOrganisation cedar.EntityType = "Organisation"
	typeTeam         cedar.EntityType = "Team"
	typeProject      cedar.EntityType = "Project"
	typeEnvironment  cedar.EntityType = "Environment"
)

// kindInfo says how a kind of target is seen by policies and by callers.
type kindInfo struct {
	bit  int
	typ  cedar.EntityType
	view Action // what makes one known to exist; "" when everyone signed in knows
	noun string
}

var kinds = map[string]kindInfo{
	"organisation": {0, typeOrganisation, "", "organisation"},
	"team":         {1, typeTeam, TeamView, "team"},
	"project":      {2, typeProject, ProjectView, "project"},
	"environment":  {3, typeEnvironment, EnvironmentView, "environment"},
	"template":     {4, "Template", TemplateView, "template"},
	"resource":     {5, "Resource", ResourceView, "resource"},
	"run":          {6, "Run", ResourceView, "run"},
	"user":         {7, typeUser, UserView, "user"},
	"robot":        {8, typeRobot, RobotView, "robot"},
	"token":        {9, "Token", TokenView, "token"},
	"session":      {10, "Session", UserView, "session"},
	"access":       {11, "Access", "", "access policies"},
	"audit":        {12, "Audit", "", "audit log"},
	"system":       {13, "System", "", "system"},
	"guardrail":    {14, "Guardrail", GuardrailView, "guardrail bundle"},
	"quota":        {15, "Quota", QuotaView, "quota"},
	"webhook":      {16, "Webhook", WebhookManage, "webhook"},
	"approval":     {17, "Approval", ResourceView, "approval"},
}

var typeBits = func() map[cedar.EntityType]int {
	m := map[cedar.EntityType]int{}
	for _, k := range kinds {
		m[k.typ] = k.bit
	}
	return m
}()

// classes of environment that policies know.
var classes = []string{"development", "staging", "production"}

// orgRoles count everywhere; the others count in their team alone, and a
// membership never makes a platform-admin.
var (
	orgRoles  = []principal.Role{principal.PlatformAdmin, principal.Auditor}
	teamRoles = []principal.Role{principal.TeamOwner, principal.Developer, principal.Approver, principal.Viewer, principal.Auditor}
)

// noEntity is the absence of one.
var noEntity cedar.EntityUID

func uidOf(t cedar.EntityType, id string) cedar.EntityUID {
	return cedar.NewEntityUID(t, cedar.String(id))
}

var organisationUID = cedar.NewEntityUID(typeOrganisation, "organisation")

var roleUIDs = func() map[principal.Role]cedar.EntityUID {
	m := map[principal.Role]cedar.EntityUID{}
	for _, r := range append(append([]principal.Role{}, orgRoles...), teamRoles...) {
		m[r] = cedar.NewEntityUID(typeRole, cedar.String(r))
	}
	return m
}()

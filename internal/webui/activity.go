package webui

import (
	"strings"
	"time"

	"fairlead/internal/audit"
)

// Activity is one thing that somebody did.
type Activity struct {
	Actor  string
	Robot  bool
	Action string // as the audit log has it: resource:create
	Kind   string
	Target string
	Href   string // "" when there is no page
	Denied bool
	At     time.Time
}

var verbs = map[string]string{
	"create": "created", "update": "changed", "delete": "deleted", "destroy": "destroys", "reveal": "looked at the credentials of", "rotate": "rotates the credentials of", "expire": "let expire", "void": "voided", "begin": "began", "manage": "changed the settings of", "set": "set", "remove": "removed", "accept": "accepted", "heal": "heals",
	"retry": "tries again", "cancel": "stopped", "stop": "stopped", "start": "started", "grant": "gave a role in", "revoke": "took away", "extend": "extended the lease of",
	"decide": "decided on", "push": "pushed", "enable": "put in force", "view": "looked at", "sign-in": "signed in", "rollback": "rolled back", "use": "used",
	"apply": "applied", "bypass": "went ahead without approval of", "review": "reviewed", "disable": "disabled", "issue": "issued",
}

// doings are the actions that the verb alone says badly.
var doings = map[string]string{
	"session:create": "signed in", "session:revoke": "signed out", "run:succeed": "made ready", "run:fail": "could not make ready", "gate:deny": "was refused", "resource:gone": "saw to be gone",
	"approval:request": "asks for approval of", "approval:approve": "approved", "approval:reject": "rejected", "resource:destroyed": "saw to be gone", "run:cancel": "stopped a run of",
	"user:read-notifications": "read the notifications of", "feedback:give": "said what they think of the page", "user:dismiss-first-steps": "put away the first steps of", "token:create": "made a token", "lease:begin": "began the lease of", "calendar:manage": "changed the calendar of", "lease:proof": "proved the end of", "link:create": "made a sign-in link for", "team:grant": "gave a role in",
}

// verb says an action as a word.
func (a Activity) verb() string {
	if v, ok := doings[a.Action]; ok && !a.Denied {
		return v
	}
	_, word, _ := strings.Cut(a.Action, ":")
	if v, ok := verbs[word]; ok {
		word = v
	} else {
		word = strings.ReplaceAll(word, "-", " ")
	}
	if a.Denied {
		return "was refused: " + strings.ReplaceAll(a.Action, ":", " ")
	}
	return word
}

// ActivitiesOf makes what the audit log says fit to be shown.
func ActivitiesOf(list []audit.Record) []Activity {
	out := make([]Activity, len(list))
	for i, r := range list {
		out[i] = Activity{Actor: r.ActorName, Robot: r.ActorKind == "robot", Action: r.Action, Kind: r.TargetKind, Target: r.TargetName,
			Denied: r.Decision == audit.Denied, At: r.At}
		if out[i].Actor == "" {
			out[i].Actor = r.ActorID
		}
		switch {
		case r.TargetKind == "resource" && r.TargetID != "" && r.EnvironmentID != "":
			out[i].Href = To("projects", r.ProjectID, r.EnvironmentID, r.TargetID)
		case r.TargetKind == "environment" && r.TargetID != "":
			out[i].Href = To("projects", r.ProjectID, r.TargetID)
		case r.TargetKind == "approval" && r.TargetID != "":
			out[i].Href = To("approvals", r.TargetID)
		case r.TargetKind == "run" && r.TargetID != "":
			out[i].Href = To("runs", r.TargetID)
		case r.TargetKind == "user" && r.TargetID != "":
			out[i].Href = To("users", r.TargetID)
		case r.TargetKind == "project" && r.TargetID != "":
			out[i].Href = To("projects", r.TargetID)
		}
	}
	return out
}

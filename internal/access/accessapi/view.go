package accessapi

import (
	"time"

	"fairlead/internal/access"
)

// AccessPolicies is one version of the policies with its text.
type AccessPolicies struct {
	AccessPolicyVersion
	Source string `json:"source" doc:"The Cedar text"`
}

// AccessPolicyVersion is one version of the policies.
type AccessPolicyVersion struct {
	Version   int64     `json:"version" doc:"The highest is in force"`
	Digest    string    `json:"digest" doc:"SHA-256 of the text"`
	Note      string    `json:"note,omitempty" doc:"Why, in the author's words"`
	CreatedAt time.Time `json:"createdAt"`
	CreatedBy string    `json:"createdBy" doc:"The author's id"`
}

func versionView(v access.Version) AccessPolicyVersion {
	return AccessPolicyVersion{Version: v.Version, Digest: v.Digest, Note: v.Note, CreatedAt: v.CreatedAt, CreatedBy: v.CreatedBy}
}

func policiesView(v access.Version) AccessPolicies {
	return AccessPolicies{AccessPolicyVersion: versionView(v), Source: v.Source}
}

// AccessPolicyChange is one policy that differs between two versions.
type AccessPolicyChange struct {
	ID     string `json:"id" doc:"The policy's @id"`
	Kind   string `json:"kind" enum:"added,removed,changed"`
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`
}

func changeViews(changes []access.Change) []AccessPolicyChange {
	out := make([]AccessPolicyChange, 0, len(changes))
	for _, c := range changes {
		out = append(out, AccessPolicyChange(c))
	}
	return out
}

// AccessPolicyDiff is what differs between two versions.
type AccessPolicyDiff struct {
	From    int64                `json:"from"`
	To      int64                `json:"to"`
	Changes []AccessPolicyChange `json:"changes" nullable:"false"`
}

// AccessPolicyCheck is what is to be said about a text that is fit to store.
type AccessPolicyCheck struct {
	Policies int                   `json:"policies" doc:"How many there are"`
	Digest   string                `json:"digest"`
	Changes  []AccessPolicyChange  `json:"changes" nullable:"false" doc:"Against the version in force"`
	Warnings []AccessPolicyWarning `json:"warnings" nullable:"false"`
}

// AccessPolicyWarning points at a policy that does what its author may not expect.
type AccessPolicyWarning struct {
	Policy  string `json:"policy"`
	Message string `json:"message"`
}

func checkView(v access.Verification) AccessPolicyCheck {
	out := AccessPolicyCheck{Policies: v.Policies, Digest: v.Digest, Changes: changeViews(v.Changes), Warnings: []AccessPolicyWarning{}}
	for _, w := range v.Warnings {
		out.Warnings = append(out.Warnings, AccessPolicyWarning(w))
	}
	return out
}

// AccessSchema is the vocabulary of policies.
type AccessSchema struct {
	Source  string   `json:"source" doc:"The Cedar schema"`
	Actions []string `json:"actions" doc:"Every action" nullable:"false"`
}

// AccessTarget is what an action is on.
type AccessTarget struct {
	Kind        string            `json:"kind,omitempty" maxLength:"32" doc:"Such as resource; by default what the action is named after" example:"resource"`
	ID          string            `json:"id,omitempty" maxLength:"100"`
	Name        string            `json:"name,omitempty" maxLength:"100"`
	Team        string            `json:"team,omitempty" maxLength:"100" doc:"Name or id"`
	Project     string            `json:"project,omitempty" maxLength:"100" doc:"Name or id"`
	Environment string            `json:"environment,omitempty" maxLength:"100" doc:"Name or id"`
	Class       string            `json:"class,omitempty" maxLength:"32" doc:"Of the environment; by default that of the one named"`
	Template    string            `json:"template,omitempty" maxLength:"100"`
	Owner       string            `json:"owner,omitempty" maxLength:"100" doc:"Id of the principal that it belongs to"`
	Attributes  map[string]string `json:"attributes,omitempty" maxProperties:"50"`
}

func (t AccessTarget) target() access.Target {
	return access.Target{
		Kind: t.Kind, ID: t.ID, Name: t.Name, TeamID: t.Team, ProjectID: t.Project, EnvironmentID: t.Environment,
		EnvironmentClass: t.Class, Template: t.Template, OwnerID: t.Owner, Attributes: t.Attributes,
	}
}

func targetView(t access.Target) AccessTarget {
	return AccessTarget{
		Kind: t.Kind, ID: t.ID, Name: t.Name, Team: t.TeamID, Project: t.ProjectID, Environment: t.EnvironmentID,
		Class: t.EnvironmentClass, Template: t.Template, Owner: t.OwnerID, Attributes: t.Attributes,
	}
}

// AccessExplanation says how a decision comes about.
type AccessExplanation struct {
	Allowed   bool               `json:"allowed"`
	Summary   string             `json:"summary" doc:"The answer in one sentence"`
	Principal AccessPrincipal    `json:"principal"`
	Action    string             `json:"action"`
	Target    AccessTarget       `json:"target"`
	Version   int64              `json:"version" doc:"Of the policies"`
	Roles     []string           `json:"roles" nullable:"false" doc:"The principal's roles that counted for this target"`
	Deciding  []AccessPolicyText `json:"deciding" nullable:"false" doc:"The policies that decided; none when nothing allows it"`
	NearMiss  []AccessNearMiss   `json:"nearMiss" nullable:"false" doc:"Permits that would have allowed it, but for what is missing"`
	WouldDo   []string           `json:"wouldDo" nullable:"false" doc:"Roles that would allow it"`
	Errors    []string           `json:"errors,omitempty" doc:"Policies that could not be evaluated"`
}

// AccessPrincipal is who was asked about.
type AccessPrincipal struct {
	Kind       string            `json:"kind"`
	ID         string            `json:"id"`
	Name       string            `json:"name"`
	Attributes map[string]string `json:"attributes,omitempty"`
}

// AccessPolicyText is a policy as its author wrote it.
type AccessPolicyText struct {
	ID     string `json:"id"`
	Effect string `json:"effect" enum:"permit,forbid"`
	Text   string `json:"text"`
}

// AccessNearMiss is a permit and what was missing.
type AccessNearMiss struct {
	AccessPolicyText
	Missing []string `json:"missing" nullable:"false"`
}

func explanationView(e access.Explanation) AccessExplanation {
	out := AccessExplanation{
		Allowed: e.Allowed, Summary: e.Summary, Action: string(e.Action), Target: targetView(e.Target), Version: e.Version,
		Principal: AccessPrincipal{Kind: string(e.Principal.Kind), ID: e.Principal.ID, Name: e.Principal.Name, Attributes: e.Principal.Attributes},
		Roles:     list(e.Roles), WouldDo: list(e.WouldDo), Errors: e.Errors,
		Deciding: []AccessPolicyText{}, NearMiss: []AccessNearMiss{},
	}
	for _, p := range e.Deciding {
		out.Deciding = append(out.Deciding, AccessPolicyText(p))
	}
	for _, n := range e.NearMiss {
		out.NearMiss = append(out.NearMiss, AccessNearMiss{AccessPolicyText: AccessPolicyText(n.PolicyText), Missing: n.Missing})
	}
	return out
}

func list(s []string) []string { return append(make([]string, 0, len(s)), s...) }

func actionNames() []string {
	var out []string
	for _, a := range access.Actions() {
		out = append(out, string(a))
	}
	return out
}

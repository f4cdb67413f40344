package approvalapi

import (
	"time"

	"fairlead/internal/approval"
	"fairlead/internal/httpx"
)

// Approval is something that people are asked to agree to.
type Approval struct {
	ID              string            `json:"id" example:"apr_01jd2v8n5k3q7x9w4m6p8r0t2y"`
	Kind            string            `json:"kind" doc:"What it is about: resource, guardrail, …"`
	SubjectID       string            `json:"subjectId"`
	Title           string            `json:"title" doc:"The subject's name"`
	Summary         string            `json:"summary" doc:"In a line, what is to be agreed to"`
	RunID           string            `json:"runId,omitempty"`
	Action          string            `json:"action,omitempty"`
	Revision        int64             `json:"revision,omitempty"`
	Template        string            `json:"template,omitempty"`
	TemplateVersion string            `json:"templateVersion,omitempty"`
	Team            string            `json:"team,omitempty"`
	Project         string            `json:"project,omitempty"`
	Environment     string            `json:"environment,omitempty"`
	EnvironmentID   string            `json:"environmentId,omitempty"`
	Class           string            `json:"class,omitempty"`
	Digest          string            `json:"digest" doc:"What it is bound to; send it along with a decision"`
	Parts           map[string]string `json:"parts" doc:"The digest of each part"`
	Status          string            `json:"status" enum:"pending,approved,rejected,expired,void,bypassed"`
	Reason          string            `json:"reason,omitempty" doc:"Why it is void, or why it was bypassed"`
	Changed         []ApprovalChange  `json:"changed" nullable:"false" doc:"What made it void"`
	Needs           []ApprovalNeed    `json:"needs" nullable:"false" doc:"All of them must be met"`
	RequestedBy     string            `json:"requestedBy" doc:"Name of who asked"`
	CreatedAt       time.Time         `json:"createdAt"`
	ExpiresAt       time.Time         `json:"expiresAt"`
	DecidedAt       *time.Time        `json:"decidedAt,omitempty"`
	DecidedBy       string            `json:"decidedBy,omitempty" doc:"Name of who gave the last vote, rejected, or bypassed"`
	ReviewedAt      *time.Time        `json:"reviewedAt,omitempty" doc:"Of a bypass"`
	ReviewedBy      string            `json:"reviewedBy,omitempty"`
	Review          string            `json:"review,omitempty"`

	Who      string            `json:"who,omitempty" doc:"Who is needed; not in lists"`
	Next     string            `json:"next,omitempty" doc:"The approval that took the place of a void one; not in lists"`
	Votes    []ApprovalVote    `json:"votes,omitempty" doc:"Not in lists"`
	Verdicts []ApprovalVerdict `json:"verdicts,omitempty" doc:"What asks for the approval; not in lists"`
	Facts    map[string]any    `json:"facts,omitempty" doc:"What is to be agreed to: inputs before and after, plan, cost, usage; docs/guardrails.md describes it; not in lists"`
}

// ApprovalChange is a part that differs from what people were shown.
type ApprovalChange struct {
	Part string `json:"part"`
	Old  string `json:"old" doc:"Digest"`
	New  string `json:"new" doc:"Digest"`
}

// ApprovalNeed is one group of people of whom some must agree.
type ApprovalNeed struct {
	Role   string   `json:"role,omitempty"`
	Team   string   `json:"team,omitempty"`
	People []string `json:"people,omitempty" doc:"Any of them"`
	Count  int      `json:"count" doc:"How many"`
	Have   int      `json:"have" doc:"How many did; 0 in lists"`
}

// ApprovalVote is what one person said.
type ApprovalVote struct {
	Voter      string    `json:"voter"`
	OnBehalfOf string    `json:"onBehalfOf,omitempty" doc:"Who delegated it to the voter"`
	Decision   string    `json:"decision" enum:"approve,reject"`
	Comment    string    `json:"comment,omitempty"`
	At         time.Time `json:"at"`
}

// ApprovalVerdict is one rule that asks for it.
type ApprovalVerdict struct {
	Source  string `json:"source"`
	Rule    string `json:"rule"`
	Bundle  string `json:"bundle,omitempty"`
	Message string `json:"message"`
	Remedy  string `json:"remedy,omitempty"`
	Docs    string `json:"docs,omitempty"`
}

// ApprovalPerson is somebody with regard to an approval.
type ApprovalPerson struct {
	Name       string   `json:"name"`
	Can        bool     `json:"can" doc:"May decide on it"`
	Why        string   `json:"why" doc:"By what they can, or why they cannot"`
	OnBehalfOf []string `json:"onBehalfOf,omitempty"`
	Voted      string   `json:"voted,omitempty" enum:"approve,reject"`
}

// Delegation is that somebody stands in for somebody else for a while.
type Delegation struct {
	ID        string     `json:"id" example:"dlg_01jd2v8n5k3q7x9w4m6p8r0t2y"`
	From      string     `json:"from" doc:"Whose right it is"`
	To        string     `json:"to" doc:"Who stands in"`
	Begins    time.Time  `json:"begins"`
	Until     time.Time  `json:"until"`
	Reason    string     `json:"reason,omitempty"`
	CreatedAt time.Time  `json:"createdAt"`
	CreatedBy string     `json:"createdBy"`
	EndedAt   *time.Time `json:"endedAt,omitempty" doc:"When it was ended before its time"`
}

func view(a approval.Approval) Approval {
	out := Approval{
		ID: a.ID, Kind: a.Kind, SubjectID: a.SubjectID, Title: a.Title, Summary: a.Summary(), RunID: a.RunID, Action: a.Action, Revision: a.Revision,
		Template: a.Template, TemplateVersion: a.TemplateVersion, Team: a.Team, Project: a.Project, Environment: a.Environment, EnvironmentID: a.EnvironmentID,
		Class: a.Class, Digest: a.Digest, Parts: a.Parts, Status: string(a.Status), Reason: a.Reason, Changed: []ApprovalChange{}, Needs: []ApprovalNeed{},
		RequestedBy: a.Requester, CreatedAt: a.CreatedAt, ExpiresAt: a.ExpiresAt, DecidedAt: httpx.Optional(a.DecidedAt), DecidedBy: a.Decider,
		ReviewedAt: httpx.Optional(a.ReviewedAt), ReviewedBy: a.Reviewer, Review: a.Review, Who: a.Who, Next: a.Next, Facts: a.Document,
	}
	if out.Parts == nil {
		out.Parts = map[string]string{}
	}
	for _, c := range a.Changed {
		out.Changed = append(out.Changed, ApprovalChange(c))
	}
	for _, n := range a.Needs {
		need := ApprovalNeed{Role: n.Role, Team: n.Team, Count: n.Count, Have: n.Have}
		for _, p := range n.People {
			need.People = append(need.People, p.Name)
		}
		out.Needs = append(out.Needs, need)
	}
	for _, v := range a.Votes {
		out.Votes = append(out.Votes, ApprovalVote{Voter: v.Voter, OnBehalfOf: v.OnBehalfOf, Decision: string(v.Decision), Comment: v.Comment, At: v.At})
	}
	for _, v := range a.Verdicts {
		out.Verdicts = append(out.Verdicts, ApprovalVerdict{Source: v.Source, Rule: v.Rule, Bundle: v.Bundle, Message: v.Message, Remedy: v.Remedy, Docs: v.Docs})
	}
	return out
}

func viewDelegation(d approval.Delegation) Delegation {
	return Delegation{ID: d.ID, From: d.From, To: d.To, Begins: d.Begins, Until: d.Until, Reason: d.Reason, CreatedAt: d.CreatedAt,
		CreatedBy: d.CreatedBy, EndedAt: httpx.Optional(d.EndedAt)}
}

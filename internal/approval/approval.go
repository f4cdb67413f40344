package approval

import (
	"time"

	"fairlead/internal/access"
	"fairlead/internal/gate"
)

// Status is how it stands with an approval.
type Status string

// The statuses. All but Pending are final, with one exception: an Approved one
// is Pending again when its voters could no longer give their votes.
const (
	Pending  Status = "pending"
	Approved Status = "approved"
	Rejected Status = "rejected"
	Expired  Status = "expired"
	Void     Status = "void"     // what it was bound to changed, or is gone
	Bypassed Status = "bypassed" // somebody went ahead without
)

// KindResource is the kind of subject that a run of a resource is.
const KindResource = "resource"

// Approval is something that people are asked to agree to.
type Approval struct {
	ID        string
	Kind      string // of the subject
	SubjectID string
	Title     string // the subject's name
	RunID     string
	Action    string
	Revision  int64

	Template, TemplateVersion  string
	TeamID, Team               string
	ProjectID, Project         string
	EnvironmentID, Environment string
	Class                      string
	attributes                 map[string]string // of the environment

	Digest   string
	Parts    gate.Binding
	Document map[string]any // the facts, as rules saw them; empty in lists
	Verdicts []gate.Verdict
	Needs    []Need
	Barred   []Barred

	Status      Status
	Reason      string   // why it is void, or why it was bypassed
	Changed     []Change // what made it void
	RequestedBy string   // id
	Requester   string   // name
	CreatedAt   time.Time
	ExpiresAt   time.Time
	DecidedAt   time.Time
	DecidedBy   string // id: gave the last vote, rejected, or bypassed
	Decider     string // name
	PassedAt    time.Time
	ReviewedAt  time.Time
	ReviewedBy  string
	Reviewer    string
	Review      string

	Votes []Vote // empty in lists
	Who   string // a sentence: who is needed, of a pending one; "" in lists
	Next  string // the approval that took the place of a void one; "" in lists
}

// Target is what access decides on.
func (a Approval) Target() access.Target {
	return access.Target{Kind: "approval", ID: a.ID, Name: a.Title, TeamID: a.TeamID, ProjectID: a.ProjectID, EnvironmentID: a.EnvironmentID,
		EnvironmentClass: a.Class, Template: a.Template, Attributes: a.attributes}
}

// Need is one group of people of whom Count must agree.
type Need struct {
	Role   string   `json:"role,omitempty"`
	TeamID string   `json:"teamId,omitempty"` // of Role; "" for a role of the organisation
	Team   string   `json:"team,omitempty"`
	People []Person `json:"people,omitempty"`
	Count  int      `json:"count"`

	Have int `json:"-"` // how many of them did; not in lists
}

// Person is a user by name; ID is "" when there is none of that name.
type Person struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// Barred is somebody who has no say in it, and why.
type Barred struct {
	ID  string `json:"id"`
	Why string `json:"why"`
}

// Change is a part that differs from what people were shown.
type Change struct {
	Part string `json:"part"`
	Old  string `json:"old"` // digests
	New  string `json:"new"`
}

// Vote is what one person said.
type Vote struct {
	VoterID    string
	Voter      string // name
	OnBehalfOf string // name of who delegated it; "" by the voter's own right
	holderID   string // whose right it is
	Decision   Decision
	Comment    string
	At         time.Time
}

// Decision is what a vote says.
type Decision string

// The decisions.
const (
	Approve Decision = "approve"
	Reject  Decision = "reject"
)

// Subject is what an approval is about, when it is no run of a resource.
type Subject struct {
	Kind  string // guardrail, …
	ID    string
	Title string
	// Run tells attempts apart: an approval counts for the attempt that it was
	// asked for. "" is one attempt for ever: what was approved once stays so.
	Run      string
	Action   string
	Author   string // id of who made what it is about, and has no say in it; "" for nobody but the requester
	TeamID   string // "" when it belongs to the organisation
	Team     string
	Document map[string]any // what people decide on; no secrets
	Verdicts []gate.Verdict
}

const defaultWithin = 72 * time.Hour

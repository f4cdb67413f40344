package rolloutapi

import (
	"time"

	"fairlead/internal/httpx"
	"fairlead/internal/lease"
	"fairlead/internal/rollout"
)

// RolloutRequest asks for a rollout.
type RolloutRequest struct {
	Template    string `json:"template" minLength:"1" maxLength:"64" example:"postgres"`
	To          string `json:"to,omitempty" maxLength:"64" doc:"The version, or a constraint; the newest stable when absent" example:"2.0.0"`
	From        string `json:"from,omitempty" maxLength:"64" doc:"Only resources made from such versions" example:"<2"`
	Project     string `json:"project,omitempty" maxLength:"64" doc:"Name or id"`
	Environment string `json:"environment,omitempty" maxLength:"64" doc:"Name or id"`
	Class       string `json:"class,omitempty" enum:"development,staging,production"`
	Team        string `json:"team,omitempty" maxLength:"64" doc:"Name or id"`
	Waves       string `json:"waves,omitempty" maxLength:"1000" example:"10%,staging,production" doc:"class (the default), team, or a list of shares, classes and team:NAME"`
	Parallel    int64  `json:"parallel,omitempty" minimum:"1" maximum:"100" doc:"Members that change at a time; 5 when absent"`
	MaxFailures int64  `json:"maxFailures,omitempty" minimum:"0" maximum:"10000" doc:"More than so many halt it"`
	Percent     bool   `json:"percent,omitempty" doc:"maxFailures is a share of the members, in percent"`
	Rollback    string `json:"rollback,omitempty" enum:"none,wave,all" doc:"What a halt because of failures takes back; wave when absent"`
	Bake        string `json:"bake,omitempty" maxLength:"20" example:"10m" doc:"How long a wave must stay healthy before the next one"`
	Patience    string `json:"patience,omitempty" maxLength:"20" example:"30m" doc:"How long one member may take; 30m when absent"`
	Note        string `json:"note,omitempty" maxLength:"500" doc:"Why"`
	Start       bool   `json:"start,omitempty" doc:"Go on once everything is planned; without it nothing is changed until it is started"`
}

func (r RolloutRequest) wanted() (rollout.Wanted, error) {
	w := rollout.Wanted{Template: r.Template, To: r.To, Note: r.Note, Start: r.Start,
		Selection: rollout.Selection{From: r.From, Project: r.Project, Environment: r.Environment, Class: r.Class, Team: r.Team},
		Settings:  rollout.Settings{Waves: r.Waves, Parallel: r.Parallel, MaxFailures: r.MaxFailures, Percent: r.Percent, Rollback: r.Rollback}}
	var err error
	if w.Settings.Bake, err = rollout.ParseLength(r.Bake, "/bake"); err != nil {
		return w, err
	}
	w.Settings.Patience, err = rollout.ParseLength(r.Patience, "/patience")
	return w, err
}

// Rollout brings a version of a template to many resources.
type Rollout struct {
	ID          string           `json:"id" example:"rol_01jd2v8n5k3q7x9w4m6p8r0t2y"`
	Template    string           `json:"template"`
	To          string           `json:"to" doc:"The version"`
	Digest      string           `json:"digest" doc:"Of the version"`
	From        string           `json:"from,omitempty"`
	Project     string           `json:"project,omitempty"`
	Environment string           `json:"environment,omitempty"`
	Class       string           `json:"class,omitempty"`
	Team        string           `json:"team,omitempty"`
	WavesAsked  string           `json:"wavesAsked"`
	Parallel    int64            `json:"parallel"`
	MaxFailures int64            `json:"maxFailures"`
	Percent     bool             `json:"percent,omitempty"`
	Rollback    string           `json:"rollback" enum:"none,wave,all"`
	Bake        string           `json:"bake,omitempty"`
	Patience    string           `json:"patience"`
	Note        string           `json:"note,omitempty"`
	State       string           `json:"state" enum:"planning,planned,running,paused,halted,reverting,succeeded,reverted,canceled"`
	Starts      bool             `json:"starts" doc:"It goes on once it is planned"`
	Over        bool             `json:"over" doc:"Nothing will happen any more"`
	Reason      string           `json:"reason,omitempty" doc:"Stable code of why it is so"`
	Message     string           `json:"message,omitempty"`
	Hint        string           `json:"hint,omitempty" doc:"What to do next"`
	Members     map[string]int64 `json:"members" doc:"How many are in which state, of those that the caller may see; not in lists"`
	Waves       []RolloutWave    `json:"waves" nullable:"false" doc:"Not in lists"`
	Groups      []RolloutGroup   `json:"groups" nullable:"false" doc:"Members with equal diffs; not in lists"`
	CreatedBy   string           `json:"createdBy"`
	CreatedAt   time.Time        `json:"createdAt"`
	StartedAt   *time.Time       `json:"startedAt,omitempty"`
	FinishedAt  *time.Time       `json:"finishedAt,omitempty"`
	UpdatedAt   time.Time        `json:"updatedAt"`
	Version     int64            `json:"version"`
}

// RolloutWave is one part of a rollout.
type RolloutWave struct {
	Number     int64            `json:"number"`
	Name       string           `json:"name"`
	State      string           `json:"state" enum:"waiting,running,baking,done"`
	Members    map[string]int64 `json:"members"`
	StartedAt  *time.Time       `json:"startedAt,omitempty"`
	HealthyAt  *time.Time       `json:"healthyAt,omitempty"`
	FinishedAt *time.Time       `json:"finishedAt,omitempty"`
}

// RolloutGroup is members to which the same is done.
type RolloutGroup struct {
	Number    int64            `json:"number"`
	Severity  string           `json:"severity" enum:"none,change,destructive"`
	Title     string           `json:"title" example:"replace 1 database — destructive"`
	Waits     bool             `json:"waits" doc:"Somebody must agree first"`
	Digest    string           `json:"digest" doc:"What an approval is bound to"`
	Decision  string           `json:"decision,omitempty" enum:"approved,rejected"`
	DecidedBy string           `json:"decidedBy,omitempty"`
	DecidedAt *time.Time       `json:"decidedAt,omitempty"`
	Comment   string           `json:"comment,omitempty"`
	Members   map[string]int64 `json:"members"`
	Diff      []RolloutObject  `json:"diff" nullable:"false" doc:"What is done, with names and ids left open"`
}

// RolloutObject is what is done to one object.
type RolloutObject struct {
	Address    string             `json:"address"`
	Kind       string             `json:"kind"`
	Action     string             `json:"action" enum:"create,update,replace,delete"`
	Attributes []RolloutAttribute `json:"attributes" nullable:"false"`
}

// RolloutAttribute is one attribute that comes, goes or changes.
type RolloutAttribute struct {
	Path   string `json:"path"`
	Op     string `json:"op" enum:"+,-,~"`
	Before any    `json:"before,omitempty"`
	After  any    `json:"after,omitempty"`
}

func view(r rollout.Rollout) Rollout {
	out := Rollout{ID: r.ID, Template: r.Template, To: r.To, Digest: r.Digest, From: r.Selection.From, Project: r.Selection.Project, Environment: r.Selection.Environment,
		Class: r.Selection.Class, Team: r.Selection.Team, WavesAsked: r.Settings.Waves, Parallel: r.Settings.Parallel, MaxFailures: r.Settings.MaxFailures, Percent: r.Settings.Percent,
		Rollback: r.Settings.Rollback, Patience: lease.Text(r.Settings.Patience), Note: r.Note, State: string(r.State), Starts: r.Starts, Over: r.State.Over(),
		Reason: r.Reason, Message: r.Message, Hint: r.Hint, Members: counts(r.Counts), Waves: []RolloutWave{}, Groups: []RolloutGroup{},
		CreatedBy: r.CreatedByName, CreatedAt: r.CreatedAt, StartedAt: httpx.Optional(r.StartedAt), FinishedAt: httpx.Optional(r.FinishedAt), UpdatedAt: r.UpdatedAt, Version: r.Version}
	if r.Settings.Bake > 0 {
		out.Bake = lease.Text(r.Settings.Bake)
	}
	for _, w := range r.Waves {
		out.Waves = append(out.Waves, RolloutWave{Number: w.Number, Name: w.Name, State: w.State, Members: counts(w.Counts),
			StartedAt: httpx.Optional(w.StartedAt), HealthyAt: httpx.Optional(w.HealthyAt), FinishedAt: httpx.Optional(w.FinishedAt)})
	}
	for _, g := range r.Groups {
		v := RolloutGroup{Number: g.Number, Severity: string(g.Severity), Title: g.Title, Waits: g.Waits(), Digest: g.Digest, Decision: g.Decision, DecidedBy: g.DecidedBy,
			DecidedAt: httpx.Optional(g.DecidedAt), Comment: g.Comment, Members: counts(g.Counts), Diff: []RolloutObject{}}
		for _, o := range g.Diff {
			object := RolloutObject{Address: o.Address, Kind: o.Kind, Action: string(o.Action), Attributes: []RolloutAttribute{}}
			for _, a := range o.Attributes {
				object.Attributes = append(object.Attributes, RolloutAttribute(a))
			}
			v.Diff = append(v.Diff, object)
		}
		out.Groups = append(out.Groups, v)
	}
	return out
}

func counts(m map[rollout.MemberState]int64) map[string]int64 {
	out := map[string]int64{}
	for k, v := range m {
		out[string(k)] = v
	}
	return out
}

// RolloutMember is one resource of a rollout.
type RolloutMember struct {
	ResourceID   string     `json:"resourceId"`
	Resource     string     `json:"resource"`
	Project      string     `json:"project"`
	Environment  string     `json:"environment"`
	Class        string     `json:"class"`
	Team         string     `json:"team"`
	State        string     `json:"state" enum:"unplanned,excluded,pending,applying,upgraded,done,failed,aside,reverting,reverted,stuck"`
	Wave         int64      `json:"wave,omitempty"`
	Group        int64      `json:"group,omitempty"`
	From         string     `json:"from" doc:"The version before"`
	Severity     string     `json:"severity,omitempty" enum:"none,change,destructive"`
	Title        string     `json:"title,omitempty" doc:"What is done, in a line"`
	Reason       string     `json:"reason,omitempty" doc:"Stable code of why it is left out, was set aside or has failed"`
	Message      string     `json:"message,omitempty"`
	Remedy       string     `json:"remedy,omitempty"`
	FromRevision int64      `json:"fromRevision,omitempty"`
	ToRevision   int64      `json:"toRevision,omitempty" doc:"That the rollout made"`
	BackRevision int64      `json:"backRevision,omitempty" doc:"That took it back"`
	PlannedAt    *time.Time `json:"plannedAt,omitempty"`
	StartedAt    *time.Time `json:"startedAt,omitempty"`
	AppliedAt    *time.Time `json:"appliedAt,omitempty"`
	FinishedAt   *time.Time `json:"finishedAt,omitempty"`
}

func viewMember(m rollout.Member) RolloutMember {
	return RolloutMember{ResourceID: m.ResourceID, Resource: m.Resource, Project: m.Project, Environment: m.Environment, Class: m.Class, Team: m.Team, State: string(m.State),
		Wave: m.Wave, Group: m.Group, From: m.From, Severity: string(m.Severity), Title: m.Title, Reason: m.Reason, Message: m.Message, Remedy: m.Remedy,
		FromRevision: m.FromRevision, ToRevision: m.ToRevision, BackRevision: m.BackRevision,
		PlannedAt: httpx.Optional(m.PlannedAt), StartedAt: httpx.Optional(m.StartedAt), AppliedAt: httpx.Optional(m.AppliedAt), FinishedAt: httpx.Optional(m.Ended)}
}

// Pin keeps a resource at its version.
type Pin struct {
	ID              string     `json:"id"`
	ResourceID      string     `json:"resourceId"`
	Resource        string     `json:"resource"`
	Project         string     `json:"project"`
	Environment     string     `json:"environment"`
	Team            string     `json:"team"`
	Template        string     `json:"template"`
	TemplateVersion string     `json:"templateVersion" doc:"That it is at"`
	Rollout         string     `json:"rollout,omitempty" doc:"The one that it is exempted from; every one when absent"`
	Reason          string     `json:"reason"`
	Until           time.Time  `json:"until"`
	By              string     `json:"by"`
	Since           time.Time  `json:"since"`
	EndedAt         *time.Time `json:"endedAt,omitempty"`
	Expired         bool       `json:"expired" doc:"It ended because its time was over"`
	Version         int64      `json:"version"`
}

func viewPin(p rollout.Pin) Pin {
	return Pin{ID: p.ID, ResourceID: p.ResourceID, Resource: p.Resource, Project: p.Project, Environment: p.Environment, Team: p.Team, Template: p.Template, TemplateVersion: p.TemplateVersion,
		Rollout: p.RolloutID, Reason: p.Reason, Until: p.Until, By: p.CreatedByName, Since: p.CreatedAt, EndedAt: httpx.Optional(p.EndedAt), Expired: p.Expired, Version: p.Version}
}

// ResourceStanding is how rollouts and pins bear on a resource.
type ResourceStanding struct {
	Pin        *Pin           `json:"pin,omitempty" doc:"That holds now"`
	ExpiredPin *Pin           `json:"expiredPin,omitempty" doc:"The last one, when it ran out and none holds"`
	Exemptions []Pin          `json:"exemptions" nullable:"false"`
	Rollout    string         `json:"rollout,omitempty" doc:"The one that is under way and is about it"`
	State      string         `json:"state,omitempty" doc:"Of that rollout"`
	To         string         `json:"to,omitempty" doc:"The version that it brings"`
	Member     *RolloutMember `json:"member,omitempty"`
}

func viewStanding(h rollout.Hold) ResourceStanding {
	out := ResourceStanding{Exemptions: []Pin{}}
	if h.Pin != nil {
		p := viewPin(*h.Pin)
		out.Pin = &p
	}
	if h.Expired != nil {
		p := viewPin(*h.Expired)
		out.ExpiredPin = &p
	}
	for _, p := range h.Exempted {
		out.Exemptions = append(out.Exemptions, viewPin(p))
	}
	if h.Member != nil {
		m := viewMember(*h.Member)
		out.Member, out.Rollout, out.To, out.State = &m, h.Rollout.ID, h.Rollout.To, string(h.Rollout.State)
	}
	return out
}

// UpgradedResource is a resource at the version that was asked for.
type UpgradedResource struct {
	ID              string `json:"id"`
	Name            string `json:"name"`
	Template        string `json:"template"`
	TemplateVersion string `json:"templateVersion"`
	Revision        int64  `json:"revision"`
	RunID           string `json:"runId,omitempty"`
	Phase           string `json:"phase"`
	Version         int64  `json:"version"`
}

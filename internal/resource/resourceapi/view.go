package resourceapi

import (
	"encoding/json"
	"slices"
	"time"

	"fairlead/internal/engine"
	"fairlead/internal/gate/gateapi"
	"fairlead/internal/httpx"
	"fairlead/internal/redact"
	"fairlead/internal/resource"
)

// Resource is one instance of a template version in an environment.
type Resource struct {
	ID                  string           `json:"id" example:"res_01jd2v8n5k3q7x9w4m6p8r0t2y"`
	Name                string           `json:"name" example:"orders"`
	Project             string           `json:"project" doc:"Name of the project"`
	Environment         string           `json:"environment" doc:"Name of the environment"`
	Team                string           `json:"team" doc:"Name of the team that owns the project"`
	Template            string           `json:"template" example:"postgres"`
	TemplateVersion     string           `json:"templateVersion" doc:"Of the wanted revision" example:"1.2.0"`
	Phase               string           `json:"phase" enum:"pending,waiting,planning,applying,retrying,ready,failed,canceled,lost,destroying,destroyed,releasing,released"`
	Settled             bool             `json:"settled" doc:"Nothing changes any more by itself"`
	Reason              string           `json:"reason,omitempty" doc:"Stable code of why the phase is what it is"`
	Message             string           `json:"message,omitempty" doc:"The reason in words"`
	Hint                string           `json:"hint,omitempty" doc:"What to do next"`
	Revision            int64            `json:"revision" doc:"The revision that is wanted"`
	AppliedRevision     int64            `json:"appliedRevision" doc:"The revision last made real; 0 before the first"`
	Inputs              map[string]any   `json:"inputs" doc:"As wanted; secrets are shown as [redacted], references unresolved"`
	Outputs             map[string]any   `json:"outputs" doc:"What it gives; secrets are shown as [redacted]"`
	SecretOutputs       []string         `json:"secretOutputs" nullable:"false" doc:"Names of the outputs that are secret"`
	Objects             []ResourceObject `json:"objects" nullable:"false" doc:"The external objects that belong to it"`
	Drift               []ResourceDrift  `json:"drift" nullable:"false" doc:"How what is there differs from what is wanted"`
	ObservedAt          *time.Time       `json:"observedAt,omitempty" doc:"When it was last looked at"`
	RunID               string           `json:"runId,omitempty" doc:"The newest run"`
	Paused              bool             `json:"paused,omitempty" doc:"Stopped, or being stopped: it keeps all that it holds, and nobody can use it"`
	CredentialsRetireAt *time.Time       `json:"credentialsRetireAt,omitempty" doc:"When the credentials from before the last rotation end"`
	CreatedAt           time.Time        `json:"createdAt"`
	CreatedBy           string           `json:"createdBy" doc:"Name of who requested it"`
	UpdatedAt           time.Time        `json:"updatedAt"`
	DestroyedAt         *time.Time       `json:"destroyedAt,omitempty" doc:"When it was looked for and not found"`
	Version             int64            `json:"version" doc:"Changes with every write; the ETag"`

	Verdicts []gateapi.Verdict `json:"verdicts,omitempty" doc:"What the gates had to say of the request that this answers"`
}

// AppendJSON implements httpx.Appender.
func (v Resource) AppendJSON(b []byte) ([]byte, error) {
	o := httpx.NewObject(b)
	o.Text("id", v.ID)
	o.Text("name", v.Name)
	o.Text("project", v.Project)
	o.Text("environment", v.Environment)
	o.Text("team", v.Team)
	o.Text("template", v.Template)
	o.Text("templateVersion", v.TemplateVersion)
	o.Text("phase", v.Phase)
	o.Bool("settled", v.Settled)
	o.TextUnlessEmpty("reason", v.Reason)
	o.TextUnlessEmpty("message", v.Message)
	o.TextUnlessEmpty("hint", v.Hint)
	o.Int("revision", v.Revision)
	o.Int("appliedRevision", v.AppliedRevision)
	o.Any("inputs", v.Inputs)
	o.Any("outputs", v.Outputs)
	o.Any("secretOutputs", v.SecretOutputs)
	httpx.Items(&o, "objects", v.Objects)
	httpx.Items(&o, "drift", v.Drift)
	o.TimeUnlessNil("observedAt", v.ObservedAt)
	o.TextUnlessEmpty("runId", v.RunID)
	if v.Paused {
		o.Bool("paused", true)
	}
	o.TimeUnlessNil("credentialsRetireAt", v.CredentialsRetireAt)
	o.Time("createdAt", v.CreatedAt)
	o.Text("createdBy", v.CreatedBy)
	o.Time("updatedAt", v.UpdatedAt)
	o.TimeUnlessNil("destroyedAt", v.DestroyedAt)
	o.Int("version", v.Version)
	if len(v.Verdicts) > 0 {
		o.Any("verdicts", v.Verdicts)
	}
	return o.End()
}

// AppendJSON implements httpx.Appender.
func (v ResourceObject) AppendJSON(b []byte) ([]byte, error) {
	o := httpx.NewObject(b)
	o.Text("kind", v.Kind)
	o.Text("name", v.Name)
	o.TextUnlessEmpty("host", v.Host)
	return o.End()
}

// ResourceObject is one external object of a resource.
type ResourceObject struct {
	Kind string `json:"kind" example:"database"`
	Name string `json:"name"`
	Host string `json:"host,omitempty"`
}

// ResourceDrift is one difference between what is wanted and what is there.
type ResourceDrift struct {
	Address  string `json:"address"`
	Field    string `json:"field"`
	Want     any    `json:"want"`
	Got      any    `json:"got"`
	Severity string `json:"severity" enum:"heal,alert,ignore" doc:"heal: repaired by itself; alert: needs a person; ignore: somebody said that it is fine"`
	Cause    string `json:"cause,omitempty" enum:"noise,person,deleted,desired" doc:"person: somebody changed it; deleted: somebody deleted it; desired: something else is wanted than what was made"`
}

func resourceView(r resource.Resource) Resource {
	v := Resource{
		ID: r.ID, Name: r.Name, Project: r.Project, Environment: r.Environment, Team: r.Team, Template: r.Template, TemplateVersion: r.TemplateVersion,
		Phase: string(r.Phase), Settled: r.Phase.Settled(), Reason: r.Reason, Message: r.Message, Hint: r.Hint,
		Revision: r.Revision, AppliedRevision: r.AppliedRevision, Inputs: notNil(r.Inputs), Outputs: map[string]any{}, SecretOutputs: []string{},
		Objects: []ResourceObject{}, Drift: []ResourceDrift{}, ObservedAt: httpx.Optional(r.ObservedAt), RunID: r.RunID, Paused: r.Paused, CredentialsRetireAt: httpx.Optional(r.RetireAt),
		CreatedAt: r.CreatedAt, CreatedBy: r.CreatedByName, UpdatedAt: r.UpdatedAt, DestroyedAt: httpx.Optional(r.DestroyedAt), Version: r.Version,
	}
	if len(r.Verdicts) > 0 {
		v.Verdicts = gateapi.Verdicts(r.Verdicts)
	}
	for name, o := range r.Outputs {
		v.Outputs[name] = o.Value
		if o.Sensitive {
			v.Outputs[name] = redact.Shown
			v.SecretOutputs = append(v.SecretOutputs, name)
		}
	}
	slices.Sort(v.SecretOutputs)
	for _, o := range r.Objects {
		v.Objects = append(v.Objects, ResourceObject(o))
	}
	for _, d := range r.Drift {
		v.Drift = append(v.Drift, ResourceDrift{d.Address, d.Field, d.Want, d.Got, string(d.Severity), string(d.Cause)})
	}
	return v
}

func notNil(m map[string]any) map[string]any {
	if m == nil {
		return map[string]any{}
	}
	return m
}

// AppliedResource is one resource of a set, and what became of it.
type AppliedResource struct {
	Outcome  string   `json:"outcome" enum:"created,changed,unchanged"`
	Resource Resource `json:"resource"`
}

// AppliedSet is what became of a set of resources, in the order asked for.
type AppliedSet struct {
	Resources []AppliedResource `json:"resources" nullable:"false"`
}

func appliedView(a resource.Applied) AppliedResource {
	return AppliedResource{string(a.Outcome), resourceView(a.Resource)}
}

// ResourcePlan is what would change.
type ResourcePlan struct {
	Changes     []PlannedChange `json:"changes" nullable:"false"`
	Summary     string          `json:"summary" example:"2 to create"`
	Digest      string          `json:"digest" doc:"SHA-256 of the plan: the same plan has the same digest"`
	Destructive bool            `json:"destructive" doc:"It deletes or replaces something"`
	Empty       bool            `json:"empty" doc:"It changes nothing"`

	Outcome  string            `json:"outcome" enum:"allowed,approval,denied" doc:"What the gates would say of it now"`
	Verdicts []gateapi.Verdict `json:"verdicts" nullable:"false" doc:"All that the gates have to say"`
	Cost     PlannedCost       `json:"cost"`
	Limits   []PlannedUse      `json:"limits" nullable:"false" doc:"The quotas and budgets that it falls under"`
	Lease    string            `json:"lease,omitempty" doc:"How long it would live" example:"72h0m0s"`
}

// PlannedCost is what something would cost.
type PlannedCost struct {
	Currency string            `json:"currency,omitempty"`
	Monthly  float64           `json:"monthly"`
	Before   float64           `json:"before" doc:"What it costs a month now"`
	Items    []PlannedCostItem `json:"items" nullable:"false"`
	Unpriced bool              `json:"unpriced" doc:"The template has no prices"`
}

// PlannedCostItem is one line of a cost.
type PlannedCostItem struct {
	Item     string  `json:"item"`
	Quantity float64 `json:"quantity"`
	Monthly  float64 `json:"monthly"`
}

// PlannedUse is one limit, and what is left of it.
type PlannedUse struct {
	Scope  string  `json:"scope" example:"team"`
	Name   string  `json:"name" example:"shop"`
	Metric string  `json:"metric" example:"count"`
	Max    float64 `json:"max"`
	Used   float64 `json:"used" doc:"By others"`
	Wanted float64 `json:"wanted" doc:"By this resource then"`
}

// PlannedChange is one object of a plan.
type PlannedChange struct {
	Address string         `json:"address" example:"database.orders_x7"`
	Kind    string         `json:"kind" example:"database"`
	Action  string         `json:"action" enum:"no-op,read,create,update,replace,delete"`
	Reason  string         `json:"reason,omitempty"`
	Before  map[string]any `json:"before,omitempty"`
	After   map[string]any `json:"after,omitempty"`
}

func previewView(p resource.Preview) ResourcePlan {
	v, f := planView(p.Plan), p.Judgement.Facts
	v.Outcome, v.Verdicts = p.Judgement.Outcome(), gateapi.Verdicts(p.Judgement.Verdicts)
	v.Cost = PlannedCost{Currency: f.Cost.Currency, Monthly: f.Cost.Monthly, Before: f.Cost.Before, Items: []PlannedCostItem{}, Unpriced: f.Cost.Unpriced}
	for _, i := range f.Cost.Items {
		v.Cost.Items = append(v.Cost.Items, PlannedCostItem(i))
	}
	for _, u := range f.Usage {
		v.Limits = append(v.Limits, PlannedUse{u.Scope, u.Name, u.Metric, u.Max, u.Used, u.Wanted})
	}
	if f.Lease > 0 {
		v.Lease = f.Lease.String()
	}
	return v
}

func planView(p engine.Plan) ResourcePlan {
	v := ResourcePlan{Changes: []PlannedChange{}, Verdicts: []gateapi.Verdict{}, Limits: []PlannedUse{}, Outcome: "allowed", Summary: resource.PlanSummary(p), Digest: resource.PlanDigest(p), Destructive: p.Destructive(), Empty: p.Empty()}
	for _, c := range p.Changes {
		v.Changes = append(v.Changes, PlannedChange{c.Address, c.Kind, string(c.Action), c.Reason, c.Before, c.After})
	}
	return v
}

// ResourceRevision is one state that was wanted.
type ResourceRevision struct {
	Number          int64          `json:"number"`
	Template        string         `json:"template"`
	TemplateVersion string         `json:"templateVersion"`
	TemplateDigest  string         `json:"templateDigest"`
	Inputs          map[string]any `json:"inputs" doc:"Secrets are shown as [redacted]"`
	Note            string         `json:"note,omitempty" doc:"Why"`
	RolledBackTo    int64          `json:"rolledBackTo,omitempty" doc:"The revision whose content this one repeats"`
	CreatedAt       time.Time      `json:"createdAt"`
	CreatedBy       string         `json:"createdBy" doc:"Name of who wanted it"`
}

func revisionView(r resource.Revision) ResourceRevision {
	return ResourceRevision{
		Number: r.Number, Template: r.Template, TemplateVersion: r.TemplateVersion, TemplateDigest: r.TemplateDigest, Inputs: notNil(r.Inputs),
		Note: r.Note, RolledBackTo: r.RolledBackTo, CreatedAt: r.CreatedAt, CreatedBy: r.CreatedByName,
	}
}

// ResourceReferences are both directions of a resource's references.
type ResourceReferences struct {
	RefersTo   []ResourceReference `json:"refersTo" nullable:"false" doc:"What its inputs take outputs from"`
	ReferredBy []ResourceReference `json:"referredBy" nullable:"false" doc:"What takes outputs from it, in that resource's input"`
}

// ResourceReference is an input that takes an output.
type ResourceReference struct {
	Resource   string `json:"resource" doc:"Name of the other resource"`
	ResourceID string `json:"resourceId"`
	Input      string `json:"input" doc:"JSON pointer of the input"`
	Output     string `json:"output"`
}

func referenceViews(list []resource.Reference) []ResourceReference {
	out := make([]ResourceReference, 0, len(list))
	for _, r := range list {
		out = append(out, ResourceReference{r.Resource, r.TargetID, r.Input, r.Output})
	}
	return out
}

// ResourceCredentials are a resource's outputs with the secret ones in the clear.
type ResourceCredentials struct {
	ID      string         `json:"id"`
	Name    string         `json:"name"`
	Outputs map[string]any `json:"outputs" doc:"All outputs, secrets in the clear"`
	Secrets []string       `json:"secrets" nullable:"false" doc:"Names of the outputs that are secret"`
}

func credentialsView(r resource.Resource, secrets map[string]redact.Secret) ResourceCredentials {
	v := ResourceCredentials{ID: r.ID, Name: r.Name, Outputs: map[string]any{}, Secrets: []string{}}
	for name, o := range r.Outputs {
		if !o.Sensitive {
			v.Outputs[name] = o.Value
		}
	}
	for name, secret := range secrets {
		v.Outputs[name] = secret.Reveal()
		v.Secrets = append(v.Secrets, name)
	}
	slices.Sort(v.Secrets)
	return v
}

// Run is one attempt to bring a resource from what is there to what is wanted.
type Run struct {
	ID              string        `json:"id" example:"run_01jd2v8n5k3q7x9w4m6p8r0t2y"`
	Number          int64         `json:"number" doc:"1, 2, … of the resource"`
	ResourceID      string        `json:"resourceId"`
	Resource        string        `json:"resource" doc:"Name of the resource"`
	Kind            string        `json:"kind" enum:"apply,heal,rotate,destroy"`
	Revision        int64         `json:"revision"`
	Phase           string        `json:"phase" doc:"queued, applying, destroying, done"`
	Status          string        `json:"status" enum:"running,succeeded,failed,canceled,superseded"`
	Plan            *ResourcePlan `json:"plan,omitempty"`
	ErrorCode       string        `json:"errorCode,omitempty"`
	ErrorMessage    string        `json:"errorMessage,omitempty"`
	ErrorHint       string        `json:"errorHint,omitempty"`
	Attempts        int64         `json:"attempts"`
	CancelRequested bool          `json:"cancelRequested"`
	RequestedBy     string        `json:"requestedBy" doc:"Name of who asked for it"`
	RequestID       string        `json:"requestId,omitempty"`
	CreatedAt       time.Time     `json:"createdAt"`
	StartedAt       *time.Time    `json:"startedAt,omitempty"`
	FinishedAt      *time.Time    `json:"finishedAt,omitempty"`
}

func runView(r resource.Run) Run {
	v := Run{
		ID: r.ID, Number: r.Number, ResourceID: r.ResourceID, Resource: r.Resource, Kind: string(r.Kind), Revision: r.Revision, Phase: r.Phase,
		Status: string(r.Status), ErrorCode: r.ErrorCode, ErrorMessage: r.ErrorMessage, ErrorHint: r.ErrorHint, Attempts: r.Attempts,
		CancelRequested: r.CancelAsked, RequestedBy: r.RequestedByName, RequestID: r.RequestID,
		CreatedAt: r.CreatedAt, StartedAt: httpx.Optional(r.StartedAt), FinishedAt: httpx.Optional(r.FinishedAt),
	}
	if r.Plan != nil {
		p := planView(*r.Plan)
		p.Digest = r.PlanDigest
		v.Plan = &p
	}
	return v
}

// RunLine is one line of a run's log.
type RunLine struct {
	Seq     int64     `json:"seq"`
	At      time.Time `json:"at"`
	Phase   string    `json:"phase"`
	Level   string    `json:"level" enum:"info,warn,error"`
	Message string    `json:"message"`
}

// RunLines is a part of a run's log.
type RunLines struct {
	Items []RunLine `json:"items" nullable:"false"`
	Over  bool      `json:"over" doc:"The run is over and these are its last lines"`
}

func lineView(l resource.LogLine) RunLine { return RunLine(l) }

// Suspect is an external object that no record explains.
type Suspect struct {
	ID         string    `json:"id"`
	Engine     string    `json:"engine"`
	Kind       string    `json:"kind"`
	Name       string    `json:"name"`
	Host       string    `json:"host,omitempty"`
	ResourceID string    `json:"resourceId,omitempty" doc:"The resource that its marker names"`
	Reason     string    `json:"reason"`
	FoundAt    time.Time `json:"foundAt"`

	ReleasedAt    *time.Time `json:"releasedAt,omitempty" doc:"When a person said that it is known and stays as it is"`
	ReleasedBy    string     `json:"releasedBy,omitempty"`
	ReleaseReason string     `json:"releaseReason,omitempty"`
}

func suspectView(s resource.Suspect) Suspect {
	return Suspect{ID: s.ID, Engine: s.Engine, Kind: s.Kind, Name: s.Name, Host: s.Host, ResourceID: s.ResourceID, Reason: s.Reason, FoundAt: s.FoundAt,
		ReleasedAt: httpx.Optional(s.ReleasedAt), ReleasedBy: s.ReleasedBy, ReleaseReason: s.ReleaseReason}
}

var _ json.Marshaler = redact.Secret{} // a secret that slipped into a view would show as [redacted]

package templateapi

import (
	"time"

	"fairlead/internal/httpx"
	"fairlead/internal/template"
)

// TemplateSummary is a template's latest version in a list.
type TemplateSummary struct {
	Name        string    `json:"name" example:"postgres"`
	Title       string    `json:"title"`
	Description string    `json:"description"`
	Version     string    `json:"version" example:"1.4.0"`
	Digest      string    `json:"digest" doc:"SHA-256 of the canonical archive, hexadecimal"`
	Engine      string    `json:"engine" example:"postgres"`
	Tags        []string  `json:"tags" nullable:"false"`
	Owner       string    `json:"owner,omitempty"`
	CreatedAt   time.Time `json:"createdAt"`
	CreatedBy   string    `json:"createdBy" doc:"Id of who pushed it"`

	Deprecation *TemplateDeprecation `json:"deprecation,omitempty"`
}

// TemplateDeprecation says that a version should not be used any more.
type TemplateDeprecation struct {
	At        time.Time  `json:"at"`
	By        string     `json:"by" doc:"Id of who said so"`
	Reason    string     `json:"reason"`
	EndOfLife *time.Time `json:"endOfLife,omitempty" doc:"No new requests from then on; what lives stays"`
	Successor string     `json:"successor,omitempty" doc:"What to use instead: a version, a template, or NAME@VERSION"`
}

// TemplateVersion is all of one immutable version.
type TemplateVersion struct {
	TemplateSummary
	Inputs     map[string]any            `json:"inputs" doc:"JSON Schema 2020-12 of the inputs, as it is applied"`
	Outputs    map[string]TemplateOutput `json:"outputs" doc:"What a resource gives, by name"`
	LifeCycle  TemplateLifeCycle         `json:"lifecycle"`
	Attributes map[string]string         `json:"attributes" doc:"For access policies"`
	Docs       string                    `json:"docs,omitempty" doc:"Path of its docs page; the text is at …/docs"`
	Needs      []TemplateNeed            `json:"needs,omitempty" doc:"What it is built on, as its files say"`
}

// TemplateNeed is something of others that a template is built on.
type TemplateNeed struct {
	Kind    string `json:"kind" example:"provider" doc:"program, provider or module"`
	Name    string `json:"name,omitempty" example:"aws"`
	Source  string `json:"source,omitempty" example:"hashicorp/aws"`
	Version string `json:"version,omitempty" example:"~> 5.0" doc:"A range; absent: any"`
}

// TemplateOutput is one output that a template declares.
type TemplateOutput struct {
	Type        string `json:"type" enum:"string,integer,number,boolean,array,object,any"`
	Description string `json:"description,omitempty"`
	Sensitive   bool   `json:"sensitive" doc:"A secret: kept encrypted, and shown only by a reveal that is audited"`
}

// TemplateLifeCycle is what a template says about its resources' lives.
type TemplateLifeCycle struct {
	Stateful        bool   `json:"stateful" doc:"Holds data: never recreated silently"`
	RotationOverlap string `json:"rotationOverlap,omitempty" doc:"How long old credentials work after a rotation" example:"24h0m0s"`
	ObserveEvery    string `json:"observeEvery,omitempty" doc:"How often it is looked at, when not as often as the platform's default"`
}

// TemplateVersionSummary is one version in a template's list.
type TemplateVersionSummary struct {
	Version    string    `json:"version"`
	Digest     string    `json:"digest"`
	Engine     string    `json:"engine"`
	Prerelease bool      `json:"prerelease" doc:"Never the latest while there is a release"`
	CreatedAt  time.Time `json:"createdAt"`
	CreatedBy  string    `json:"createdBy"`

	Deprecation *TemplateDeprecation `json:"deprecation,omitempty"`
}

// TemplateTestReport is the outcome of a template's own test cases.
type TemplateTestReport struct {
	Name    string             `json:"name"`
	Version string             `json:"version"`
	Digest  string             `json:"digest"`
	Passed  bool               `json:"passed" doc:"Every case passed, and there is at least one"`
	Cases   []TemplateTestCase `json:"cases" nullable:"false"`
}

// TemplateTestCase is one case's outcome.
type TemplateTestCase struct {
	File     string   `json:"file" example:"tests/plan.yaml"`
	Name     string   `json:"name"`
	Passed   bool     `json:"passed"`
	Failures []string `json:"failures" nullable:"false" doc:"What was expected and what came instead"`
}

func summaryOf(v *template.Version) TemplateSummary {
	return TemplateSummary{
		Name: v.Name, Title: v.Title, Description: v.Description, Version: v.Version, Digest: v.Digest, Engine: v.Engine,
		Tags: append([]string{}, v.Tags...), Owner: v.Owner, CreatedAt: v.CreatedAt, CreatedBy: v.CreatedBy, Deprecation: deprecationOf(v.Deprecation),
	}
}

func deprecationOf(d template.Deprecation) *TemplateDeprecation {
	if !d.Deprecated() {
		return nil
	}
	return &TemplateDeprecation{At: d.At, By: d.By, Reason: d.Reason, EndOfLife: httpx.Optional(d.EndOfLife), Successor: d.Successor}
}

func lineOf(v template.Summary) TemplateVersionSummary {
	return TemplateVersionSummary{
		Version: v.Version, Digest: v.Digest, Engine: v.Engine, Prerelease: v.Prerelease, CreatedAt: v.CreatedAt, CreatedBy: v.CreatedBy, Deprecation: deprecationOf(v.Deprecation),
	}
}

func versionOf(v *template.Version) TemplateVersion {
	out := TemplateVersion{
		TemplateSummary: summaryOf(v), Inputs: v.Inputs, Outputs: map[string]TemplateOutput{},
		LifeCycle: TemplateLifeCycle{Stateful: v.Stateful}, Attributes: v.Access, Docs: v.Docs,
	}
	for _, n := range v.Needs {
		out.Needs = append(out.Needs, TemplateNeed(n))
	}
	for name, o := range v.Outputs {
		out.Outputs[name] = TemplateOutput(o)
	}
	if v.RotationOverlap > 0 {
		out.LifeCycle.RotationOverlap = v.RotationOverlap.String()
	}
	if v.ObserveEvery > 0 {
		out.LifeCycle.ObserveEvery = v.ObserveEvery.String()
	}
	return out
}

func reportOf(r template.Report) TemplateTestReport {
	out := TemplateTestReport{Name: r.Name, Version: r.Version, Digest: r.Digest, Passed: r.Passed(), Cases: []TemplateTestCase{}}
	for _, c := range r.Cases {
		out.Cases = append(out.Cases, TemplateTestCase{File: c.File, Name: c.Name, Passed: c.Passed, Failures: append([]string{}, c.Failures...)})
	}
	return out
}

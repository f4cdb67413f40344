package guardrailapi

import (
	"time"

	"fairlead/internal/gate"
	"fairlead/internal/guardrail"
)

// GuardrailBundle is one version of a bundle in a list.
type GuardrailBundle struct {
	Name        string    `json:"name" example:"sizes"`
	Version     string    `json:"version" example:"1.4.0"`
	Digest      string    `json:"digest" doc:"SHA-256 of the canonical archive, hexadecimal"`
	Title       string    `json:"title,omitempty"`
	Description string    `json:"description,omitempty"`
	Active      string    `json:"active,omitempty" doc:"The version of this name that is in force"`
	Conftest    bool      `json:"conftest" doc:"It has no policy.yaml: its packages are asked about plans"`
	Guardrails  int       `json:"guardrails" doc:"How many"`
	Tests       int       `json:"tests" doc:"How many there were at the push"`
	TestsFailed int       `json:"testsFailed"`
	CreatedAt   time.Time `json:"createdAt"`
	CreatedBy   string    `json:"createdBy" doc:"Id of who pushed it"`
	CreatorName string    `json:"creatorName,omitempty"`
}

// GuardrailVersion is all of one version.
type GuardrailVersion struct {
	GuardrailBundle
	Rules      []GuardrailRule     `json:"rules" nullable:"false"`
	Files      []GuardrailFile     `json:"files" nullable:"false"`
	TestReport GuardrailTestReport `json:"testReport"`
}

// GuardrailRule is one guardrail of a bundle.
type GuardrailRule struct {
	Package   string          `json:"package"`
	Stage     string          `json:"stage" enum:"request,plan,release,activation"`
	Input     string          `json:"input" enum:"facts,plan"`
	Strength  string          `json:"strength" enum:"advise,approve,deny" doc:"The most that its deny and violation rules can do"`
	Rules     []string        `json:"rules" nullable:"false"`
	Scope     *GuardrailScope `json:"scope,omitempty" doc:"Absent: everything"`
	Needs     *GuardrailNeed  `json:"needs,omitempty"`
	Docs      string          `json:"docs,omitempty"`
	Protected bool            `json:"protected"`
}

// GuardrailScope says what a guardrail is about, by names with *.
type GuardrailScope struct {
	Teams        []string `json:"teams,omitempty"`
	Projects     []string `json:"projects,omitempty"`
	Environments []string `json:"environments,omitempty"`
	Classes      []string `json:"classes,omitempty"`
	Templates    []string `json:"templates,omitempty"`
}

// GuardrailNeed is who must agree.
type GuardrailNeed struct {
	Role   string   `json:"role,omitempty"`
	Team   string   `json:"team,omitempty"`
	People []string `json:"people,omitempty"`
	Count  int      `json:"count"`
	Within string   `json:"within,omitempty"`
}

// GuardrailFile is one file of a bundle.
type GuardrailFile struct {
	Path string `json:"path"`
	Size int    `json:"size"`
}

// GuardrailTestReport is how a bundle's own tests went.
type GuardrailTestReport struct {
	Name    string              `json:"name"`
	Version string              `json:"version"`
	Passed  bool                `json:"passed" doc:"Nothing failed"`
	Trouble string              `json:"trouble,omitempty" doc:"Why not all could be run"`
	Cases   []GuardrailTestCase `json:"cases" nullable:"false"`
}

// GuardrailTestCase is one test rule.
type GuardrailTestCase struct {
	Package  string `json:"package"`
	Name     string `json:"name"`
	File     string `json:"file"`
	Line     int    `json:"line"`
	Passed   bool   `json:"passed"`
	Skipped  bool   `json:"skipped,omitempty"`
	Failure  string `json:"failure,omitempty"`
	Output   string `json:"output,omitempty" doc:"What it printed"`
	Duration string `json:"duration" example:"1.2ms"`
}

// GuardrailChange is a change of what is in force.
type GuardrailChange struct {
	ID        string             `json:"id"`
	At        time.Time          `json:"at"`
	Action    string             `json:"action" enum:"activate,deactivate,rollback"`
	Name      string             `json:"name"`
	Version   string             `json:"version,omitempty" doc:"In force from then on; absent: none"`
	Previous  string             `json:"previous,omitempty" doc:"In force until then"`
	Policy    string             `json:"policy" doc:"Digest of all that is in force from then on"`
	By        string             `json:"by" doc:"Name of who did it"`
	Unchanged bool               `json:"unchanged,omitempty" doc:"It was in force already"`
	Verdicts  []GuardrailVerdict `json:"verdicts,omitempty" doc:"What the guardrails of guardrails advise"`
}

// GuardrailVerdict is what one rule has to say.
type GuardrailVerdict struct {
	Rule     string         `json:"rule"`
	Bundle   string         `json:"bundle,omitempty"`
	Strength string         `json:"strength" enum:"advise,approve,deny"`
	Message  string         `json:"message"`
	Remedy   string         `json:"remedy,omitempty"`
	Docs     string         `json:"docs,omitempty"`
	Field    string         `json:"field,omitempty"`
	Needs    *GuardrailNeed `json:"needs,omitempty"`
}

// GuardrailAnswer is what the guardrails in force say about a document.
type GuardrailAnswer struct {
	Policy   string             `json:"policy" doc:"Digest of the guardrails in force"`
	Outcome  string             `json:"outcome" enum:"allowed,approval,denied"`
	Verdicts []GuardrailVerdict `json:"verdicts" nullable:"false"`
}

// GuardrailDiff is what is different between two versions.
type GuardrailDiff struct {
	From       string                `json:"from,omitempty" doc:"Absent: nothing of the name is in force"`
	To         string                `json:"to"`
	Files      []GuardrailDifference `json:"files" nullable:"false"`
	Guardrails []GuardrailDifference `json:"guardrails" nullable:"false"`
}

// GuardrailDifference is one thing that differs.
type GuardrailDifference struct {
	What   string `json:"what"`
	How    string `json:"how" enum:"added,removed,changed"`
	Detail string `json:"detail,omitempty"`
}

func bundleOf(s guardrail.Summary) GuardrailBundle {
	return GuardrailBundle{
		Name: s.Name, Version: s.Version, Digest: s.Digest, Title: s.Title, Description: s.Description, Active: s.Active, Conftest: s.Conftest,
		Guardrails: s.Guardrails, Tests: len(s.Tests.Cases), TestsFailed: s.Tests.Failed(), CreatedAt: s.CreatedAt, CreatedBy: s.CreatedBy, CreatorName: s.CreatorName,
	}
}

func versionOf(s guardrail.Summary, b *guardrail.Bundle) GuardrailVersion {
	out := GuardrailVersion{GuardrailBundle: bundleOf(s), Rules: []GuardrailRule{}, Files: []GuardrailFile{}, TestReport: reportOf(b, s.Tests)}
	for _, g := range b.Guards {
		r := GuardrailRule{Package: g.Package, Stage: string(g.Stage), Input: g.Input, Strength: string(g.Strength), Rules: append([]string{}, g.Rules...), Docs: g.Docs, Protected: g.Protected}
		if !g.Scope.Empty() {
			scope := GuardrailScope(g.Scope)
			r.Scope = &scope
		}
		if g.Need.Role != "" || g.Need.Team != "" || len(g.Need.People) > 0 || g.Need.Count > 1 || g.Need.Within > 0 {
			r.Needs = needOf(&g.Need)
		}
		out.Rules = append(out.Rules, r)
	}
	for _, name := range b.Files() {
		src, _ := b.File(name)
		out.Files = append(out.Files, GuardrailFile{name, len(src)})
	}
	return out
}

func needOf(n *gate.Need) *GuardrailNeed {
	if n == nil {
		return nil
	}
	out := &GuardrailNeed{Role: n.Role, Team: n.Team, People: n.People, Count: max(n.Count, 1)}
	if n.Within > 0 {
		out.Within = n.Within.String()
	}
	return out
}

func reportOf(b *guardrail.Bundle, r guardrail.TestReport) GuardrailTestReport {
	out := GuardrailTestReport{Name: b.Name, Version: b.Version, Passed: r.Passed(), Trouble: r.Trouble, Cases: []GuardrailTestCase{}}
	for _, c := range r.Cases {
		out.Cases = append(out.Cases, GuardrailTestCase{Package: c.Package, Name: c.Name, File: c.File, Line: c.Line, Passed: c.Passed,
			Skipped: c.Skipped, Failure: c.Failure, Output: c.Output, Duration: c.Duration.String()})
	}
	return out
}

func verdictsOf(list []gate.Verdict) []GuardrailVerdict {
	out := []GuardrailVerdict{}
	for _, v := range list {
		out = append(out, GuardrailVerdict{Rule: v.Rule, Bundle: v.Bundle, Strength: string(v.Strength), Message: v.Message, Remedy: v.Remedy, Docs: v.Docs, Field: v.Field, Needs: needOf(v.Need)})
	}
	return out
}

func changeOf(c guardrail.Change) GuardrailChange {
	return GuardrailChange{ID: c.ID, At: c.At, Action: c.Action, Name: c.Name, Version: c.Version, Previous: c.Previous, Policy: c.Policy, By: c.ByName}
}

func activatedOf(a guardrail.Activated) GuardrailChange {
	out := changeOf(a.Change)
	out.Unchanged, out.Verdicts = a.Unchanged, verdictsOf(a.Verdicts)
	return out
}

func differencesOf(list []guardrail.Difference) []GuardrailDifference {
	out := []GuardrailDifference{}
	for _, d := range list {
		out = append(out, GuardrailDifference(d))
	}
	return out
}

package access

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cedar-policy/cedar-go"
	"pgregory.net/rapid"

	"fairlead/internal/principal"
)

// all is every rule of a set, for Cedar to go through one by one.
func (s *Set) all() slice { return slice(s.rules) }

var drawID = rapid.SampledFrom([]string{"1", "2", `q"uote`, "", "Ω"})

func drawScope(t *rapid.T) string {
	id := func() string { return string(cedar.String(drawID.Draw(t, "id")).MarshalCedar()) }
	principals := []string{
		"principal", "principal is User", "principal is Robot", "principal == User::" + id(), "principal in Team::" + id(),
		`principal in Role::"developer"`, `principal in Role::"auditor"`, `principal in Role::"viewer@1"`, "principal is User in Team::" + id(),
		"principal == Team::" + id(), "principal in User::" + id(),
	}
	acts := []string{
		"action", `action == Action::"resource:view"`, `action in [Action::"resource:view", Action::"resource:reveal"]`, `action == Action::"team:view"`,
		`action == Action::"environment:view"`,
	}
	resources := []string{
		"resource", "resource is Resource", "resource == Resource::" + id(), "resource in Environment::" + id(), "resource in Project::" + id(),
		"resource in Team::" + id(), `resource in Organisation::"organisation"`, "resource is Resource in Team::" + id(),
		"resource == Team::" + id(), "resource is Organisation", "resource is Environment in Project::" + id(), `resource in Organisation::"other"`,
	}
	return rapid.SampledFrom(principals).Draw(t, "principal") + ", " + rapid.SampledFrom(acts).Draw(t, "action") + ", " + rapid.SampledFrom(resources).Draw(t, "resource")
}

var drawCondition = rapid.SampledFrom([]string{
	"", `when { resource has class && resource.class == "production" }`, `unless { principal in Role::"developer" }`,
	`when { resource has template && resource.template == "1" }`, `when { resource has team && principal in resource.team }`,
	`when { 9223372036854775807 + 1 == 0 }`, `when { resource.hasTag("1") && resource.getTag("1") == "2" }`, `when { context.token }`,
	`unless { resource has environment && resource.environment in Project::"1" || principal.id == "1" }`,
	`when { resource in Team::"1" }`, `when { principal has name && resource.id == principal.id }`, `unless { resource has owner && resource.owner == principal.id }`,
	`when { principal is User in Team::"1" }`,
})

func drawPolicy(t *rapid.T, effect string, n int) string {
	return fmt.Sprintf("@id(\"p%d\") %s (%s) %s;\n", n, effect, drawScope(t), drawCondition.Draw(t, "condition"))
}

func drawSet(t *rapid.T) string {
	var b strings.Builder
	for i := range rapid.IntRange(0, 12).Draw(t, "policies") {
		b.WriteString(drawPolicy(t, rapid.SampledFrom([]string{"permit", "permit", "forbid"}).Draw(t, "effect"), i))
	}
	return b.String()
}

func drawPrincipal(t *rapid.T) principal.Principal {
	p := principal.Principal{Kind: rapid.SampledFrom([]principal.Kind{principal.User, principal.Robot}).Draw(t, "kind"), ID: "1"}
	if rapid.Bool().Draw(t, "token") {
		p.TokenID = "tok"
	}
	for range rapid.IntRange(0, 3).Draw(t, "memberships") {
		p.Memberships = append(p.Memberships, principal.Membership{TeamID: drawID.Draw(t, "team"), Role: rapid.SampledFrom(teamRoles).Draw(t, "role")})
	}
	if rapid.Bool().Draw(t, "auditor") {
		p.OrgRoles = []principal.Role{principal.Auditor}
	}
	return p
}

func drawTarget(t *rapid.T) Target {
	return Target{
		Kind: rapid.SampledFrom([]string{"resource", "environment", "team", "organisation"}).Draw(t, "kind"),
		ID:   drawID.Draw(t, "id"), TeamID: drawID.Draw(t, "team"), ProjectID: drawID.Draw(t, "project"), EnvironmentID: drawID.Draw(t, "environment"),
		EnvironmentClass: rapid.SampledFrom([]string{"", "development", "production"}).Draw(t, "class"), Template: drawID.Draw(t, "template"),
		Attributes: map[string]string{"1": drawID.Draw(t, "tag")},
	}
}

func mustParse(t interface{ Fatal(...any) }, source string) *Set {
	s, err := Parse(source)
	if err != nil {
		t.Fatal(err, source)
	}
	return s
}

// TestSlicingDecidesAsCedarDoes compares with Cedar over the whole set: the
// slice leaves out nothing that matters, but for a forbid that errs, which
// Cedar passes over and which denies here.
func TestSlicingDecidesAsCedarDoes(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := mustParse(t, drawSet(t))
		p, target := drawPrincipal(t), drawTarget(t)
		a := rapid.SampledFrom([]Action{ResourceView, ResourceReveal, TeamView, EnvironmentView}).Draw(t, "asked")
		r := newRequest(p, actionTable[a], kinds[target.Kind], target, true)
		want, diag := cedar.Authorize(s.all(), r, r.query())
		for _, e := range diag.Errors {
			if s.byID[e.PolicyID].effect == cedar.Forbid {
				want = cedar.Deny
			}
		}
		got := s.decide(&s.index, newRequest(p, actionTable[a], kinds[target.Kind], target, s.scopedRoles))
		if got.Allowed != bool(want) || len(got.errors) != len(diag.Errors) {
			t.Fatalf("%s: sliced %v, whole %v, errors %v", s.source, got, want, diag.Errors)
		}
		if want == cedar.Allow && fmt.Sprint(got.Policies) != fmt.Sprint(idsOf(diag.Reasons, nil)) {
			t.Fatalf("%v, %v", got.Policies, idsOf(diag.Reasons, nil))
		}
	})
}

// TestAForbidNeverWidens: whatever is added as a forbid, nobody may more.
func TestAForbidNeverWidens(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		source := drawSet(t)
		before, after := mustParse(t, source), mustParse(t, source+drawPolicy(t, "forbid", 99))
		p, target := drawPrincipal(t), drawTarget(t)
		for _, a := range []Action{ResourceView, ResourceReveal, TeamView, EnvironmentView} {
			if after.allows(p, a, target) && !before.allows(p, a, target) {
				t.Fatalf("%s on %+v was gained by a forbid", a, target)
			}
		}
	})
}

// TestListsNeverShowWhatCheckHides: any resource in a listed environment may
// be viewed, whatever else it is.
func TestListsNeverShowWhatCheckHides(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := mustParse(t, drawSet(t))
		p, thing := drawPrincipal(t), drawTarget(t)
		a := rapid.SampledFrom([]Action{ResourceView, EnvironmentView, TeamView}).Draw(t, "asked")
		thing.Kind = actionTable[a].kind
		if thing.ID == "" || thing.EnvironmentID == "" || thing.ProjectID == "" || thing.TeamID == "" {
			return
		}
		switch a {
		case EnvironmentView:
			thing.ID = thing.EnvironmentID
		case TeamView:
			thing = Target{Kind: "team", ID: thing.TeamID, TeamID: thing.TeamID, Attributes: thing.Attributes}
		}
		place := func(kind, id string) Target {
			x := Target{Kind: kind, ID: id, TeamID: thing.TeamID, ProjectID: thing.ProjectID, EnvironmentID: thing.EnvironmentID, EnvironmentClass: thing.EnvironmentClass}
			if kind == thing.Kind {
				x = thing
			}
			return x
		}
		pl := &places{teams: []Target{{Kind: "team", ID: "elsewhere"}, place("team", thing.TeamID)}}
		if a != TeamView {
			pl.projects = []Target{{Kind: "project", ID: "p", TeamID: thing.TeamID, ProjectID: thing.ProjectID}}
			pl.projects[0].ID = thing.ProjectID
			pl.environments = []Target{place("environment", thing.EnvironmentID)}
		}
		listed := s.viewsAll(p, actionTable[a])
		sc := s.scope(p, actionTable[a], pl)
		listed = listed || contain(sc.TeamIDs, thing.TeamID) || contain(sc.ProjectIDs, thing.ProjectID) || contain(sc.EnvironmentIDs, thing.EnvironmentID)
		if listed && !s.allows(p, a, thing) {
			t.Fatalf("%+v is listed (%+v) but may not be viewed under\n%s", thing, sc, s.source)
		}
	})
}

// TestARoleOfATeamIsNoneEverywhere: what forbids the developers of a team
// something, or allows it to all but them, is not known before the team is.
func TestARoleOfATeamIsNoneEverywhere(t *testing.T) {
	t.Parallel()
	p := principal.Principal{Kind: principal.User, ID: "u", Memberships: []principal.Membership{{TeamID: "t", Role: principal.Developer}}}
	for why, source := range map[string]string{
		"a condition":     `@id("p") permit (principal, action, resource) unless { principal in Role::"developer" };`,
		"a set of roles":  `@id("p") permit (principal, action, resource) unless { principal in [Role::"viewer", Role::"developer"] };`,
		"is and in":       `@id("p") permit (principal, action, resource) unless { principal is User in Role::"developer" };`,
		"a forbid":        `@id("p") permit (principal, action, resource); @id("f") forbid (principal in Role::"developer", action, resource);`,
		"a forbid for is": `@id("p") permit (principal, action, resource); @id("f") forbid (principal is User in Role::"developer", action, resource);`,
	} {
		s := mustParse(t, source)
		if s.allows(p, ResourceView, Target{Kind: "resource", ID: "r", TeamID: "t"}) {
			t.Errorf("%s: the developer sees it", why)
		}
		if s.viewsAll(p, actionTable[ResourceView]) {
			t.Errorf("%s: the developer is shown everything in lists", why)
		}
	}
}

func contain(ids []string, id string) bool {
	for _, x := range ids {
		if x == id && id != "" {
			return true
		}
	}
	return false
}

func TestAForbidThatErrsDenies(t *testing.T) {
	t.Parallel()
	permit := `@id("p") permit (principal, action, resource);`
	overflow := `when { 9223372036854775807 + 1 == 0 };`
	p := principal.Principal{Kind: principal.User, ID: "u"}
	if !mustParse(t, permit).allows(p, ResourceView, Target{Kind: "resource"}) {
		t.Fatal("the permit permits")
	}
	s := mustParse(t, permit+`@id("f") forbid (principal, action, resource) `+overflow)
	v, _ := s.ask(p, ResourceView, Target{Kind: "resource"})
	if v.Allowed || len(v.Policies) != 1 || v.Policies[0] != "f:error" {
		t.Errorf("%+v", v)
	}
	if mustParse(t, `@id("p") permit (principal, action, resource) `+overflow).allows(p, ResourceView, Target{Kind: "resource"}) {
		t.Error("a permit that errs permits")
	}
}

func FuzzParse(f *testing.F) {
	f.Add(defaultSource)
	f.Add(`@id("a") permit (principal, action, resource) when { "\u{0}" like "*" };`)
	f.Add("permit (")
	f.Add(`@id("a") forbid(principal,action,resource)unless{-9223372036854775808==1};// ;`)
	p := principal.Principal{Kind: principal.User, ID: "u", OrgRoles: []principal.Role{principal.PlatformAdmin}}
	f.Fuzz(func(t *testing.T, source string) {
		s, err := Parse(source)
		if err != nil {
			return
		}
		checked := s.Check(nil) == nil
		for _, r := range s.rules {
			if s.text(r) == "" {
				t.Fatal("a policy without a text")
			}
		}
		v, err := s.ask(p, ResourceView, Target{Kind: "resource", ID: "r"})
		if err != nil {
			t.Fatal(err)
		}
		if checked {
			for _, e := range v.errors {
				if !strings.Contains(e.Message, "overflow") {
					t.Fatalf("type-checked, and yet: %v", e)
				}
			}
		}
		_ = s.viewsAll(p, actionTable[ResourceView])
		_ = escalation(p, s, mustParse(t, defaultSource))
	})
}

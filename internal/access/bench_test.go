package access

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cedar-policy/cedar-go"

	"fairlead/internal/principal"
)

// rulesFor writes n rules as an organisation would: the ten of which most
// requests meet a few, then teams' and projects' own.
func rulesFor(n int) string {
	var b strings.Builder
	roles := []string{"viewer", "approver", "developer", "team-owner", "auditor"}
	for i := range min(n, 10) {
		switch {
		case i < 5:
			fmt.Fprintf(&b, "@id(\"r%d\") permit (principal in Role::%q, action in [Action::\"resource:view\", Action::\"resource:update\"], resource);\n", i, roles[i])
		case i < 8:
			fmt.Fprintf(&b, "@id(\"r%d\") permit (principal in Role::%q, action == Action::\"resource:reveal\", resource) when { resource has class && resource.class == \"development\" };\n", i, roles[i-4])
		default:
			fmt.Fprintf(&b, "@id(\"r%d\") forbid (principal, action == Action::\"resource:destroy\", resource) when { resource has class && resource.class == \"production\" };\n", i)
		}
	}
	for i := 10; i < n; i++ {
		switch i % 3 {
		case 0:
			fmt.Fprintf(&b, "@id(\"r%d\") permit (principal == User::\"usr_%d\", action == Action::\"resource:view\", resource);\n", i, i)
		case 1:
			fmt.Fprintf(&b, "@id(\"r%d\") permit (principal in Team::\"team_%d\", action, resource in Project::\"prj_%d\") when { resource has class && resource.class == \"development\" };\n", i, i, i)
		default:
			fmt.Fprintf(&b, "@id(\"r%d\") forbid (principal, action == Action::\"resource:destroy\", resource in Environment::\"env_%d\");\n", i, i)
		}
	}
	return b.String()
}

func benchQuestion() (principal.Principal, Target) {
	p := principal.Principal{Kind: principal.User, ID: "usr_1", Name: "ada", Memberships: []principal.Membership{
		{TeamID: "team_1", Team: "one", Role: principal.Developer},
	}}
	return p, Target{
		Kind: "resource", ID: "res_1", Name: "orders", TeamID: "team_1", ProjectID: "prj_1", EnvironmentID: "env_1",
		EnvironmentClass: "development", Template: "postgres",
	}
}

// BenchmarkDecision compares with Cedar's own query over all ten rules, with
// entities and request made beforehand, which no real request has.
func BenchmarkDecision(b *testing.B) {
	p, target := benchQuestion()
	for _, a := range []Action{ResourceView, ResourceReveal} {
		s := mustParse(b, rulesFor(10))
		r := newRequest(p, actionTable[a], kinds[target.Kind], target, false)
		entities := cedar.EntityMap{}
		for _, u := range append([]cedar.EntityUID{r.puid, r.ruid}, r.over...) {
			e, _ := r.Get(u)
			entities[u] = e
		}
		q := r.query()
		prepared := cedar.PolicyMap{}
		for _, r := range s.rules {
			prepared[r.id] = r.policy
		}
		b.Run("raw/10/"+string(a), func(b *testing.B) {
			b.ReportAllocs()
			for range b.N {
				if d, _ := cedar.Authorize(prepared, entities, q); d != cedar.Allow {
					b.Fatal(d)
				}
			}
		})
		sliced := s.index.find(r, nil)
		b.Run("raw-slice/10/"+string(a), func(b *testing.B) {
			b.ReportAllocs()
			for range b.N {
				if d, _ := cedar.Authorize(sliced, entities, q); d != cedar.Allow {
					b.Fatal(d)
				}
			}
		})
		for _, n := range []int{10, 100_000} {
			s := mustParse(b, rulesFor(n))
			b.Run(fmt.Sprintf("fairlead/%d/%s", n, a), func(b *testing.B) {
				b.ReportAllocs()
				for range b.N {
					if v, _ := s.ask(p, a, target); !v.Allowed {
						b.Fatal(v)
					}
				}
			})
		}
	}
}

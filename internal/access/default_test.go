package access_test

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"fairlead/internal/access"
	"fairlead/internal/principal"
)

var update = flag.Bool("update", false, "write the golden files")

// TestWhoMayDoWhat holds the whole of the default policies still: for each
// role and action the classes in which it is allowed, and by which policy. A
// change of this file is a change of who may do what.
func TestWhoMayDoWhat(t *testing.T) {
	t.Parallel()
	s := sqliteService(t)
	people := []struct {
		name string
		p    principal.Principal
	}{
		{"nobody", principal.Nobody},
		{"stranger", principal.Principal{Kind: principal.User, ID: "usr_x"}},
		{"other-team-owner", member("usr_x", "team_b", principal.TeamOwner)},
		{"viewer", member("usr_x", "team_a", principal.Viewer)},
		{"approver", member("usr_x", "team_a", principal.Approver)},
		{"developer", member("usr_x", "team_a", principal.Developer)},
		{"team-owner", member("usr_x", "team_a", principal.TeamOwner)},
		{"team-auditor", member("usr_x", "team_a", principal.Auditor)},
		{"auditor", orgWide("usr_x", principal.Auditor)},
		{"platform-admin", orgWide("usr_x", principal.PlatformAdmin)},
		{"robot-team-owner", principal.Principal{Kind: principal.Robot, ID: "rbt_x", Memberships: member("", "team_a", principal.TeamOwner).Memberships}},
		{"robot-admin", principal.Principal{Kind: principal.Robot, ID: "rbt_x", OrgRoles: []principal.Role{principal.PlatformAdmin}}},
	}
	var b strings.Builder
	for _, who := range people {
		for _, a := range access.Actions() {
			kind, _, _ := strings.Cut(string(a), ":")
			switch kind { // actions that have no kind of thing of their own
			case "lease":
				kind = "environment"
			case "calendar":
				kind = "team"
			case "rollout":
				kind = "resource"
			}
			target := access.Target{Kind: kind, ID: "x_1", Name: "x", TeamID: "team_a", OwnerID: "usr_other"}
			var classes []string
			switch kind {
			case "resource", "environment":
				classes = []string{"", "development", "staging", "production"}
			case "team":
				target.ID = target.TeamID
				classes = []string{""}
			case "user":
				target.TeamID = ""
				classes = []string{""}
			default:
				classes = []string{""}
			}
			var where, why []string
			for _, c := range classes {
				target.EnvironmentClass = c
				d, _ := s.Check(as(t, who.p), a, target)
				if !d.Allowed {
					continue
				}
				if c == "" {
					c = "unknown class"
				}
				where = append(where, c)
				for _, p := range d.Policies {
					if !slices.Contains(why, p) {
						why = append(why, p)
					}
				}
			}
			switch {
			case len(where) == 0:
				continue
			case len(where) == len(classes):
				where = []string{"everywhere"}
			}
			fmt.Fprintf(&b, "%-17s %-19s %-22s %s\n", who.name, a, strings.Join(where, ","), strings.Join(why, ","))
		}
		b.WriteString("\n")
	}
	golden := filepath.Join("testdata", "roles.golden")
	if *update {
		if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), b.String()); d != "" {
		t.Fatalf("who may do what has changed (-want +got); when it should: go test ./internal/access -update\n%s", d)
	}
}

func TestRolesAndClasses(t *testing.T) {
	t.Parallel()
	s := sqliteService(t)
	dev, owner := member("usr_d", "team_a", principal.Developer), member("usr_o", "team_a", principal.TeamOwner)
	for _, row := range []struct {
		reason string
		who    principal.Principal
		action access.Action
		on     access.Target
		want   bool
	}{
		{"developers ask for what they like, also in production", dev, access.ResourceCreate, database("production"), true},
		{"but what runs there stays", dev, access.ResourceDestroy, database("production"), false},
		{"and its secrets are the owner's", dev, access.ResourceReveal, database("production"), false},
		{"elsewhere they look after themselves", dev, access.ResourceReveal, database("staging"), true},
		{"an unknown class is no class: absence never grants", dev, access.ResourceReveal, database(""), false},
		{"a class that nobody declared grants nothing", dev, access.ResourceDestroy, database("test"), false},
		{"the owner may in production", owner, access.ResourceReveal, database("production"), true},
		{"an owner of another team is a stranger", member("usr_o", "team_b", principal.TeamOwner), access.ResourceView, database("development"), false},
		{"auditors see all", orgWide("usr_a", principal.Auditor), access.ResourceView, database("production"), true},
		{"and reveal nothing", orgWide("usr_a", principal.Auditor), access.ResourceReveal, database("development"), false},
		{"a team's auditor audits that team", member("usr_a", "team_a", principal.Auditor), access.AuditView, access.Target{Kind: "audit", TeamID: "team_a"}, true},
		{"and no other", member("usr_a", "team_a", principal.Auditor), access.AuditView, access.Target{Kind: "audit"}, false},
		{"a membership never makes a platform-admin", member("usr_e", "team_a", principal.PlatformAdmin), access.AccessUpdate, access.Target{Kind: "access", TeamID: "team_a"}, false},
		{"nor does an organisation-wide team-owner exist", orgWide("usr_e", principal.TeamOwner), access.ResourceReveal, database("development"), false},
		{"an empty team is no team", member("usr_e", "", principal.TeamOwner), access.ResourceReveal, access.Target{Kind: "resource", ID: "r"}, false},
		{"an empty role is no role", member("usr_e", "team_a", ""), access.ResourceView, database("development"), false},
		{"a role that nobody knows is none", member("usr_e", "team_a", "root"), access.ResourceView, database("development"), false},
		{"a name is not a role", principal.Principal{Kind: principal.User, ID: `u" in Role::"platform-admin`, Name: "platform-admin"}, access.ResourceView, database("development"), false},
		{"nor is an id a role", principal.Principal{Kind: principal.User, ID: "platform-admin"}, access.AccessUpdate, access.Target{Kind: "access"}, false},
		{"an attribute is not a role", principal.Principal{Kind: principal.User, ID: "u", Attributes: map[string]string{"role": "platform-admin", `Role::"platform-admin"`: "true"}}, access.ResourceView, database("development"), false},
		{"a principal without an id is nobody", principal.Principal{Kind: principal.User, OrgRoles: []principal.Role{principal.PlatformAdmin}}, access.ResourceView, database("development"), false},
		{"a kind that nobody knows is nobody", principal.Principal{Kind: "god", ID: "u", OrgRoles: []principal.Role{principal.PlatformAdmin}}, access.ResourceView, database("development"), false},
		{"own tokens", dev, access.TokenRevoke, access.Target{Kind: "token", ID: "tok_1", OwnerID: "usr_d"}, true},
		{"others' tokens", dev, access.TokenRevoke, access.Target{Kind: "token", ID: "tok_1", OwnerID: "usr_o"}, false},
		{"a token of nobody is not one's own", principal.Principal{Kind: principal.User, ID: "x"}, access.TokenView, access.Target{Kind: "token", ID: "tok_1"}, false},
		{"oneself", dev, access.UserUpdate, access.Target{Kind: "user", ID: "usr_d"}, true},
		{"a user is in no team by claiming so", dev, access.UserUpdate, access.Target{Kind: "user", ID: "usr_o", TeamID: "team_a"}, false},
		{"templates for an audience", dev, access.TemplateUse, access.Target{Kind: "template", ID: "t", TeamID: "team_a", Attributes: map[string]string{"audience": "payments"}}, false},
		{"and those of the audience", with(dev, "audience", "payments"), access.TemplateUse, access.Target{Kind: "template", ID: "t", TeamID: "team_a", Attributes: map[string]string{"audience": "payments"}}, true},
		{"which is compared, not just present", with(dev, "audience", "x"), access.TemplateUse, access.Target{Kind: "template", ID: "t", TeamID: "team_a", Attributes: map[string]string{"audience": "payments"}}, false},
		{"Fairlead itself", principal.System, access.ResourceDestroy, database("production"), true},
	} {
		if got := allowed(t, s, row.who, row.action, row.on); got != row.want {
			t.Errorf("%s: %s by %s on %s: allowed %t", row.reason, row.action, row.who.ID, row.on.Kind, got)
		}
	}
}

func with(p principal.Principal, key, value string) principal.Principal {
	p.Attributes = map[string]string{key: value}
	return p
}

// TestActionsAreListed keeps the constants, the list and (through New, which
// panics else) the schema in step.
func TestActionsAreListed(t *testing.T) {
	t.Parallel()
	f, err := parser.ParseFile(token.NewFileSet(), "action.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var declared []string
	ast.Inspect(f, func(n ast.Node) bool {
		v, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		for _, x := range v.Values {
			if lit, ok := x.(*ast.BasicLit); ok {
				s, _ := strconv.Unquote(lit.Value)
				declared = append(declared, s)
			}
		}
		return true
	})
	var listed, quoted []string
	for _, a := range access.Actions() {
		listed = append(listed, string(a))
	}
	for _, line := range strings.Split(access.Schema(), "\n") {
		for i, part := range strings.Split(line, `"`) {
			if i%2 == 1 && strings.Contains(part, ":") {
				quoted = append(quoted, part)
			}
		}
	}
	for _, l := range [][]string{declared, listed, quoted} {
		slices.Sort(l)
	}
	if d := cmp.Diff(declared, listed); d != "" {
		t.Errorf("action.go and the list differ: %s", d)
	}
	if d := cmp.Diff(declared, quoted); d != "" {
		t.Errorf("action.go and the schema differ: %s", d)
	}
	if len(listed) > 64 {
		t.Error("more actions than bits")
	}
}

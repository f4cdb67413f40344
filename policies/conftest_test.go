package policies_test

import (
	"cmp"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"fairlead/internal/engine"
	"fairlead/internal/gate"
	"fairlead/internal/guardrail"
	"fairlead/internal/template/bundle"
)

// conftest is the example's folder as "fairlead policy push --name" takes it.
func conftest(t *testing.T) *guardrail.Bundle {
	t.Helper()
	files, err := bundle.FromDir(filepath.Join("examples", "conftest", "policy"))
	if err != nil {
		t.Fatal(err)
	}
	b, err := guardrail.NewBundle(files, "terraform", "")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// said lists what the policies say of a plan: strength, package and message.
func said(t *testing.T, p engine.Plan) []string {
	t.Helper()
	var out []string
	for _, v := range guardrail.NewSet(conftest(t)).Evaluate(t.Context(), gate.Facts{Stage: gate.Plan, Action: gate.Create, Plan: &p}) {
		out = append(out, string(v.Strength)+" "+v.Rule[:strings.LastIndex(v.Rule, ".")]+" "+v.Message)
	}
	slices.SortFunc(out, cmp.Compare[string])
	return out
}

func TestConftestPoliciesRunUnchanged(t *testing.T) {
	t.Parallel()
	plan, err := os.ReadFile(filepath.Join("examples", "conftest", "plan.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		why  string
		plan engine.Plan
		want []string
	}{
		{"Terraform's own plan", engine.Plan{Engine: json.RawMessage(plan)}, []string{
			`advise main aws_s3_bucket.site: versioning is off`,
			`deny main aws_s3_bucket.site is missing tags: cost-center`,
			`deny main aws_s3_bucket.site: ACL "public-read" makes the bucket public`,
			`deny main aws_security_group.bastion: port 22 is open to the world`,
			`deny terraform.protect aws_db_instance.orders: the plan destroys data`,
			`deny terraform.protect aws_iam_access_key.ci: resources of type aws_iam_access_key are not allowed`,
		}},
		{"the PostgreSQL engine's, which would delete a database", engine.Plan{Changes: []engine.Change{
			{Address: "database.orders_x7", Kind: "database", Action: engine.Delete},
			{Address: "role.orders_x7", Kind: "role", Action: engine.Delete},
		}, Engine: json.RawMessage(`{"server":"main","database":"orders_x7","connectionLimit":20}`)}, []string{`deny terraform.protect database.orders_x7: the plan destroys data`}},
		{"and which would make one again", engine.Plan{Changes: []engine.Change{
			{Address: "database.orders_x7", Kind: "database", Action: engine.Replace, After: map[string]any{"owner": "a"}},
		}}, []string{`deny terraform.protect database.orders_x7: the plan destroys data`}},
		{"the null engine's, of which they say nothing", engine.Plan{Changes: []engine.Change{
			{Address: "null.a", Kind: "null", Action: engine.Create, After: map[string]any{"value": "x"}},
		}}, nil},
		{"one in which buckets are made without an engine's own form", engine.Plan{Changes: []engine.Change{
			{Address: "aws_s3_bucket.a", Kind: "aws_s3_bucket", Action: engine.Create, After: map[string]any{"acl": "website", "tags": map[string]any{"owner": "a", "cost-center": "b"}}},
		}}, []string{`advise main aws_s3_bucket.a: versioning is off`, `deny main aws_s3_bucket.a: ACL "website" makes the bucket public`}},
		{"an empty one", engine.Plan{}, nil},
	} {
		if d := gocmp.Diff(row.want, said(t, row.plan)); d != "" {
			t.Errorf("%s:\n%s", row.why, d)
		}
	}
}

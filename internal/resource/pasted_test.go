package resource_test

import (
	"testing"

	"fairlead/internal/resource"
)

func TestCommandsOfHintsCanBePasted(t *testing.T) {
	t.Parallel()
	r := resource.Resource{ID: "res_1", Name: "orders"}
	r.Project, r.Environment = "shop", "dev"
	for hint, want := range map[string]string{
		"":                                "",
		"look at the server":              "look at the server",
		"make room; then: fairlead retry": "make room; then: fairlead retry orders -e shop/dev",
		"go on with: fairlead retry orders, or take it away with: fairlead destroy orders": "go on with: fairlead retry orders -e shop/dev, or take it away with: fairlead destroy orders -e shop/dev",
		"see: fairlead why RESOURCE.":            "see: fairlead why orders -e shop/dev.",
		"fairlead drift heal orders -e shop/dev": "fairlead drift heal orders -e shop/dev",
		"fairlead destroy orders --wait":         "fairlead destroy orders -e shop/dev --wait",
		"fairlead describe res_1":                "fairlead describe orders -e shop/dev",
		"fairlead retry when it is up":           "fairlead retry when it is up",
		"fairlead retry customers":               "fairlead retry customers",
		"fairlead why ordersx":                   "fairlead why ordersx",
		"fairlead approvals approve apr_1":       "fairlead approvals approve apr_1",
		"fairlead getting started":               "fairlead getting started",
		"(fairlead logs)":                        "(fairlead logs orders -e shop/dev)",
		"see what it would do: fairlead plan --change orders; fairlead get resources -e a/b": "see what it would do: fairlead plan --change orders -e shop/dev; fairlead get resources -e a/b",
	} {
		got := r.Pasted(hint)
		if got != want {
			t.Errorf("%q becomes %q, want %q", hint, got, want)
		}
		if again := r.Pasted(got); again != got {
			t.Errorf("%q becomes %q the second time", got, again)
		}
	}
}

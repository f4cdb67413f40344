//go:build browser

package e2e

import (
	"strings"
	"testing"
)

const priced = `apiVersion: fairlead/v1
kind: Template
metadata: {name: NAME, title: NAME, description: For pictures., version: VERSION, owner: platform}
engine: "null"
cost: cost.rego
inputs:
  type: object
  additionalProperties: false
  properties:
    value: {type: string, default: ""}
    size: {type: string, enum: [small, large], default: small}
    uses: {type: array, items: {type: string}, default: []}
outputs:
  value: {type: string, description: What came in.}
spec:
  outputs: {value: "${{ inputs.value }}"}
lifecycle: {stateful: false}
`

// TestBrowserTheManualsPicturesOfGraphs shows what docs/portal.md shows of
// graphs, comparisons and costs.
func TestBrowserTheManualsPicturesOfGraphs(t *testing.T) {
	s := newServer(t, withConfig(loopback))
	s.start()
	j := newJob(t, s)
	c := j.c
	c.signIn(t, j.link)
	e := &estate{s: s, c: c, params: map[string]string{}}
	must := func(method, path string, body any) reply {
		t.Helper()
		return c.must(t, method, path, body, "", 200, 201, 204)
	}
	must("PUT", "/api/v1/cost/prices", map[string]any{"document": "currency: EUR\nitems: {unit: {monthly: 1}}\n"})
	for name, price := range map[string]string{"network 0.9.1": "9", "postgres-db 16.3.0": "61.2", "redis 7.2.0": "24.5", "service 1.4.0": "38"} {
		name, version, _ := strings.Cut(name, " ")
		must("POST", "/api/v1/templates", folder(t, map[string]string{"template.yaml": strings.NewReplacer("NAME", name, "VERSION", version).Replace(priced), "README.md": "# It\n",
			"cost.rego": "package cost\n\nmonthly := " + price + " if input.inputs.size == \"small\"\n\nmonthly := 4 * " + price + " if input.inputs.size == \"large\"\n"}))
	}
	for project, team := range map[string]string{"shop": "payments", "finder": "search"} {
		must("POST", "/api/v1/teams", map[string]any{"name": team})
		must("POST", "/api/v1/projects", map[string]any{"name": project, "team": team})
		for env, class := range map[string]string{"dev": "development", "staging": "staging"} {
			must("POST", "/api/v1/projects/"+project+"/environments", map[string]any{"name": env, "class": class})
		}
	}
	ask := func(at, name, template, size string, uses ...string) {
		project, env, _ := strings.Cut(at, "/")
		refs := []string{}
		for _, u := range uses {
			refs = append(refs, "${{ resources."+u+".outputs.value }}")
		}
		must("POST", "/api/v1/projects/"+project+"/environments/"+env+"/resources", map[string]any{"name": name, "template": template, "inputs": map[string]any{"value": name, "size": size, "uses": refs}})
	}
	for _, at := range []string{"shop/dev", "shop/staging", "finder/dev"} {
		ask(at, "network", "network", "small")
		ask(at, "orders-db", "postgres-db", map[bool]string{true: "small", false: "large"}[strings.HasSuffix(at, "dev")], "network")
		ask(at, "customers-db", "postgres-db", "small", "network")
		ask(at, "cache", "redis", "small", "network")
		ask(at, "queue", "redis", "small")
		ask(at, "checkout", "service", "small", "orders-db", "customers-db", "cache")
		ask(at, "worker", "service", "small", "queue", "orders-db")
		ask(at, "web", "service", "small", "checkout")
		ask(at, "admin-console", "service", "small", "checkout", "network")
		ask(at, "mailer", "service", "small", "queue")
	}
	ask("shop/dev", "sandbox", "redis", "small")
	ask("shop/staging", "metrics", "service", "small")
	must("POST", "/api/v1/projects/shop/environments/dev/resources", map[string]any{"name": "search", "template": "null", "inputs": map[string]any{"fail": "the index could not be reached"}})
	must("PUT", "/api/v1/quotas", map[string]any{"metric": "monthly_cost", "max": 1500, "team": "payments", "warnAt": 0.8})
	must("PUT", "/api/v1/quotas", map[string]any{"metric": "monthly_cost", "max": 2500})
	must("PUT", "/api/v1/quotas", map[string]any{"metric": "monthly_cost", "max": 520, "team": "search", "warnAt": 0.8})

	tb := e.browse(t, "administrator")
	tb.on(screens[0])
	tb.open("/projects/shop/dev?view=graph")
	tb.until("drawn, and ready but for one", `document.querySelectorAll(".gnode.ok").length === 11 && document.querySelectorAll(".gnode.bad").length === 1`)
	tb.until("laid out", `document.querySelectorAll(".gedges path").length === 12`)
	tb.picture("graph")
	tb.open("/projects/shop/compare")
	tb.says("only in staging")
	tb.picture("compare")
	tb.open("/costs")
	tb.until("the bars", `document.querySelectorAll(".chart tbody tr").length === 2`)
	tb.picture("costs")
	tb.clean()
}

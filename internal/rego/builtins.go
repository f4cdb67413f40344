package rego

import (
	"slices"
	"strings"
	"sync"

	"github.com/open-policy-agent/opa/v1/ast"
)

// forbidden are the built-in functions that policies do not have; a name that
// ends with a dot is all below it. The rest computes on what it is given.
var forbidden = map[string]string{
	"http.send":                 "policies have no network",
	"net.lookup_ip_addr":        "policies have no network",
	"providers.":                "policies have no credentials",
	"opa.runtime":               "policies do not see the server's environment",
	"time.now_ns":               "policies have no clock; use input.time",
	"rand.intn":                 "policies have no randomness",
	"uuid.rfc4122":              "policies have no randomness",
	"io.jwt.":                   "policies verify no tokens: that depends on the clock",
	"crypto.x509.":              "policies verify no certificates: that depends on the clock",
	"crypto.parse_private_keys": "policies hold no keys",
	"rego.parse_module":         "policies do not parse policies",
	"trace":                     "use print in tests",
	"json.match_schema":         "schemas may name other schemas on the network",
	"json.verify_schema":        "schemas may name other schemas on the network",
	"graphql.":                  "policies parse no GraphQL",
	"strings.render_template":   "templates are programs without a time limit",
	"net.cidr_expand":           "a short text gives millions of addresses; use net.cidr_contains",
	"bits.lsh":                  "a small number gives one that fills the memory",
	"graph.reachable_paths":     "a small graph has more paths than there is time; use graph.reachable",
}

// whyForbidden gives the reason why policies lack a built-in function; "" when
// they do not.
func whyForbidden(name string) string {
	if why, ok := forbidden[name]; ok {
		return why
	}
	for prefix, why := range forbidden {
		if strings.HasSuffix(prefix, ".") && strings.HasPrefix(name, prefix) {
			return why
		}
	}
	return ""
}

// capabilities is what policies may use. The nondeterministic built-ins are
// left out also when a new one comes with OPA and nobody thought of it here.
var capabilities = sync.OnceValue(func() *ast.Capabilities {
	c := ast.CapabilitiesForThisVersion()
	c.AllowNet = []string{}
	c.Builtins = slices.DeleteFunc(slices.Clone(c.Builtins), func(b *ast.Builtin) bool {
		return b.Nondeterministic || whyForbidden(b.Name) != ""
	})
	return c
})

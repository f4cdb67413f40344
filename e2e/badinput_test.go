package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// badInput is what must be refused with a status, a code and a hint, and leave
// nothing behind.
var badInput = []struct {
	name         string // why it is here
	method, path string
	body         any
	status       int
	codes        string // any of these
}{
	{"a template that is not there", "POST", inDev + "/resources", resourceOf("x", "nonesuch", nil), 404, "unknown_template"},
	{"a version that is not there", "POST", inDev + "/resources", map[string]any{"name": "x", "template": "null", "version": "9.9.9"}, 404, "unknown_template_version"},
	{"a version that is none", "POST", inDev + "/resources", map[string]any{"name": "x", "template": "null", "version": "'; --"}, 422, "invalid_version"},
	{"a wrong type", "POST", inDev + "/resources", resourceOf("x", "postgres", map[string]any{"connection_limit": "many"}), 422, "invalid_inputs"},
	{"out of range", "POST", inDev + "/resources", resourceOf("x", "postgres", map[string]any{"connection_limit": 100000}), 422, "invalid_inputs"},
	{"an input too many", "POST", inDev + "/resources", resourceOf("x", "postgres", map[string]any{"colour": "red"}), 422, "invalid_inputs"},
	{"a field too many", "POST", inDev + "/resources", map[string]any{"name": "x", "template": "null", "nmae": "y"}, 422, "invalid_request"},
	{"a field too few", "POST", inDev + "/resources", map[string]any{"name": "x"}, 422, "invalid_request"},
	{"a key twice", "POST", inDev + "/resources", raw{"application/json", []byte(`{"name":"x","name":"y","template":"null"}`)}, 400, "duplicate_key"},
	{"no JSON", "POST", inDev + "/resources", raw{"application/json", []byte(`{"name":`)}, 400, "invalid_json"},
	{"no UTF-8", "POST", inDev + "/resources", raw{"application/json", []byte("{\"name\":\"x\xff\",\"template\":\"null\"}")}, 400, "invalid_utf8"},
	{"ten megabytes", "POST", inDev + "/resources", raw{"application/json", []byte(`{"name":"x","template":"null","note":"` + strings.Repeat("a", 10<<20) + `"}`)}, 413, "body_too_large"},
	{"deep nesting", "POST", inDev + "/resources", raw{"application/json", []byte(`{"name":"x","template":"null","inputs":{"value":` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + `}}`)}, 0, ""},
	{"another media type", "POST", inDev + "/resources", raw{"application/x-www-form-urlencoded", []byte(`name=x`)}, 415, ""},
	{"an environment that is not there", "POST", "/api/v1/projects/web/environments/nonesuch/resources", resourceOf("x", "null", nil), 404, "not_found"},
	{"a project that is not there", "POST", "/api/v1/projects/nonesuch/environments/dev/resources", resourceOf("x", "null", nil), 404, "not_found"},
	{"a reference to nothing", "POST", inDev + "/resources", resourceOf("x", "null", map[string]any{"value": "${{ resources.ghost.outputs.value }}"}), 0, ""},
	{"a broken reference", "POST", inDev + "/resources", resourceOf("x", "null", map[string]any{"value": "${{ env.HOME }}"}), 422, "invalid_reference"},
	{"a reference to itself", "POST", inDev + "/resources", resourceOf("x", "null", map[string]any{"value": "${{ resources.x.outputs.value }}"}), 0, ""},
	{"a name of SQL", "POST", inDev + "/resources", resourceOf(`x"; DROP TABLE resources; --`, "null", nil), 422, "invalid_name"},
	{"a name of a path", "POST", inDev + "/resources", resourceOf("../../etc/passwd", "null", nil), 422, "invalid_name"},
	{"a name of shell", "POST", inDev + "/resources", resourceOf("$(reboot)", "null", nil), 422, "invalid_name"},
	{"a name of nothing", "POST", inDev + "/resources", resourceOf("", "null", nil), 422, "invalid_request invalid_name"},
	{"a name with a zero", "POST", inDev + "/resources", resourceOf("a\x00b", "null", nil), 400, "invalid_text"},
	{"a name of look-alikes", "POST", inDev + "/resources", resourceOf("оrders", "null", nil), 422, "invalid_name"},
	{"a name too long", "POST", inDev + "/resources", resourceOf(strings.Repeat("a", 60), "null", nil), 422, "invalid_name"},
	{"a reserved word", "POST", "/api/v1/projects", map[string]any{"name": "new", "team": "shop"}, 422, "invalid_name reserved_name"},
	{"a team of shell", "POST", "/api/v1/teams", map[string]any{"name": "a;rm -rf /"}, 422, "invalid_name"},
	{"a class that is none", "POST", "/api/v1/projects/web/environments", map[string]any{"name": "x", "class": "prod"}, 422, "invalid_request"},
	{"a name twice in a set", "POST", inDev + "/apply", map[string]any{"resources": []any{resourceOf("x", "null", nil), resourceOf("x", "null", nil)}}, 422, "duplicate_name"},
	{"one bad one in a set", "POST", inDev + "/apply", map[string]any{"resources": []any{resourceOf("x", "null", nil), resourceOf("y", "nonesuch", nil)}}, 404, "unknown_template"},
	{"no tar", "POST", "/api/v1/templates", raw{"application/x-tar", []byte("hello")}, 422, "invalid_archive"},
	{"a cursor that is none", "GET", "/api/v1/resources?cursor=%27%20OR%201=1", nil, 0, "invalid_cursor"},
	{"a limit that is none", "GET", "/api/v1/resources?limit=100000", nil, 422, "invalid_request"},
	{"a path outside", "GET", "/api/v1/templates/..%2f..%2fetc", nil, 404, ""},
	{"guardrails that are no tar", "POST", "/api/v1/guardrails", raw{"application/x-tar", []byte("hello")}, 422, "invalid_archive"},
	{"ten megabytes of guardrails", "POST", "/api/v1/guardrails", raw{"application/x-tar", make([]byte, 10<<20)}, 0, ""},
	{"guardrails nobody has", "POST", "/api/v1/guardrails/nonesuch/versions/1.0.0/activate", nil, 404, "unknown_guardrails"},
	{"a document without a stage", "POST", "/api/v1/guardrails/evaluate", map[string]any{"document": map[string]any{"stage": "'; --"}}, 422, ""},
	{"a backtest of nothing", "POST", "/api/v1/guardrails/backtest", nil, 0, ""},
	{"a backtest of ever", "POST", "/api/v1/guardrails/backtest?name=baseline&since=9999d", nil, 0, ""},
	{"a backtest since never", "POST", "/api/v1/guardrails/backtest?name=baseline&since=banana", nil, 0, ""},
	{"a source at the metadata", "POST", "/api/v1/template-sources", map[string]any{"name": "x", "url": "https://169.254.169.254/x.git"}, 422, "egress_refused"},
	{"a source of a program", "POST", "/api/v1/template-sources", map[string]any{"name": "x", "url": "ext::sh -c id"}, 422, "invalid_source"},
	{"a source like an option", "POST", "/api/v1/template-sources", map[string]any{"name": "x", "url": "--upload-pack=id"}, 422, "invalid_source"},
	{"a source outside of itself", "POST", "/api/v1/template-sources", map[string]any{"name": "x", "url": "https://git.example.org/x.git", "path": "../.."}, 422, "invalid_source"},
	{"a source that reads the server", "POST", "/api/v1/template-sources", map[string]any{"name": "x", "url": "file:///etc/../root"}, 422, "invalid_source"},
	{"a push that nobody signed", "POST", "/api/v1/template-sources/src_00000000000000000000000000/push", map[string]any{"ref": "refs/tags/v1.0.0"}, 401, "push_refused"},
	{"an end of nothing", "PUT", "/api/v1/templates/null/versions/9.9.9/deprecation", map[string]any{"reason": "x"}, 404, "unknown_template_version"},
	{"a webhook to the metadata", "POST", "/api/v1/webhooks", map[string]any{"url": "http://169.254.169.254/latest/meta-data/"}, 422, "egress_refused"},
	{"a webhook to the server itself", "POST", "/api/v1/webhooks", map[string]any{"url": "http://127.0.0.1:1/"}, 422, "egress_refused"},
	{"a webhook to it in another spelling", "POST", "/api/v1/webhooks", map[string]any{"url": "https://0x7f.1/"}, 422, "egress_url egress_refused"},
	{"a webhook to it by IPv6", "POST", "/api/v1/webhooks", map[string]any{"url": "https://[::ffff:127.0.0.1]/"}, 422, "egress_refused"},
	{"a webhook to a file", "POST", "/api/v1/webhooks", map[string]any{"url": "file:///etc/passwd"}, 422, "egress_url"},
	{"a webhook with a password", "POST", "/api/v1/webhooks", map[string]any{"url": "https://a:b@example.org/"}, 422, "egress_url"},
	{"a webhook about nothing", "POST", "/api/v1/webhooks", map[string]any{"url": "https://example.org/", "types": []string{"nothing.at.all\n"}}, 422, ""},
	{"a webhook of nobody", "POST", "/api/v1/webhooks", map[string]any{"url": "https://example.org/", "team": "nonesuch"}, 404, "not_found"},
	{"a quota below nothing", "PUT", "/api/v1/quotas", map[string]any{"metric": "count", "max": -1}, 422, "invalid_request"},
	{"a quota of everything", "PUT", "/api/v1/quotas", map[string]any{"metric": "count", "max": 1e300}, 422, ""},
	{"a quota of SQL", "PUT", "/api/v1/quotas", map[string]any{"metric": "count'; --", "max": 1}, 422, ""},
	{"a quota of nobody", "PUT", "/api/v1/quotas", map[string]any{"metric": "count", "max": 1, "team": "nonesuch"}, 404, ""},
	{"prices that are no YAML", "PUT", "/api/v1/cost/prices", map[string]any{"document": "a: [b"}, 422, ""},
	{"prices below nothing", "PUT", "/api/v1/cost/prices", map[string]any{"document": "currency: EUR\nitems: {cpu: {monthly: -1}}\n"}, 422, ""},
	{"prices that grow", "PUT", "/api/v1/cost/prices", map[string]any{"document": "currency: EUR\na: &a [x, x]\nb: &b [*a, *a]\nitems: {cpu: {monthly: *b}}\n"}, 422, ""},
	{"a lease without a unit", "POST", inDev + "/resources", map[string]any{"name": "x", "template": "null", "lease": "5"}, 422, "invalid_length"},
	{"a lease that is over", "POST", inDev + "/resources", map[string]any{"name": "x", "template": "null", "lease": "-5h"}, 422, "invalid_length"},
	{"a lease for ever", "POST", inDev + "/resources", map[string]any{"name": "x", "template": "null", "lease": "99999d"}, 422, "invalid_length"},
	{"a rule for leases that contradicts itself", "PUT", "/api/v1/lease-rules", map[string]any{"class": "development", "default": "8d", "max": "7d"}, 422, "invalid_lease_rule"},
	{"drift of nothing", "POST", inDev + "/resources/nonesuch/drift/heal", nil, 404, "resource_not_found"},
	{"drift that is accepted without a reason", "POST", inDev + "/resources/nonesuch/drift/accept", map[string]any{"reason": ""}, 422, "invalid_request"},
	{"a look that nobody asked for", "GET", "/api/v1/drift-checks/nonesuch", nil, 404, "check_not_found"},
	{"a look with a NUL in its name", "GET", "/api/v1/drift-checks/a%00b", nil, 0, ""},
	{"drift by a cause that is none", "GET", "/api/v1/drifts?cause=weather", nil, 422, "invalid_request"},
	{"a brake that is not held", "POST", "/api/v1/drift-brakes/release", map[string]any{"scope": "server/nonesuch", "reason": "x"}, 404, "brake_not_found"},
	{"a rollout of nothing", "POST", "/api/v1/rollouts", map[string]any{"template": "nonesuch"}, 404, "unknown_template"},
	{"a rollout to where all is", "POST", "/api/v1/rollouts", map[string]any{"template": "null", "to": "1.0.0"}, 404, "nothing_to_upgrade"},
	{"a rollout to a version that is none", "POST", "/api/v1/rollouts", map[string]any{"template": "null", "to": "'; --"}, 422, "invalid_version"},
	{"a rollout from a version that is none", "POST", "/api/v1/rollouts", map[string]any{"template": "null", "from": "'; --"}, 422, "invalid_version"},
	{"a rollout in waves that shrink", "POST", "/api/v1/rollouts", map[string]any{"template": "null", "waves": "50%,10%"}, 422, "invalid_waves"},
	{"a rollout in a thousand waves", "POST", "/api/v1/rollouts", map[string]any{"template": "null", "waves": strings.Repeat("staging,", 100)}, 422, "invalid_waves"},
	{"a rollout of SQL", "POST", "/api/v1/rollouts", map[string]any{"template": "null", "team": "'; --"}, 422, "invalid_rollout"},
	{"a rollout that bakes for ever", "POST", "/api/v1/rollouts", map[string]any{"template": "null", "bake": "3000d"}, 422, "invalid_rollout"},
	{"a rollout that is not there", "POST", "/api/v1/rollouts/rol_x/start", nil, 404, "not_found"},
	{"a pin of nothing", "PUT", inDev + "/resources/nonesuch/pin", map[string]any{"reason": "x", "until": time.Now().Add(time.Hour)}, 404, "resource_not_found"},
	{"a lease of nothing", "POST", "/api/v1/leases/nonesuch/extend", map[string]any{"by": "1h"}, 404, "not_found"},
	{"a freeze of the past", "POST", "/api/v1/calendar/freezes", map[string]any{"name": "past", "until": "2001-01-01T00:00:00Z"}, 422, ""},
	{"a freeze that ends before it begins", "POST", "/api/v1/calendar/freezes", map[string]any{"name": "odd", "from": "2101-01-01T00:00:00Z", "until": "2100-01-01T00:00:00Z"}, 422, ""},
	{"a window on Mars", "POST", "/api/v1/calendar/windows", map[string]any{"name": "mars", "weekdays": []string{"mon"}, "opens": "09:00", "closes": "17:00", "zone": "Mars/Phobos"}, 422, ""},
	{"a window in a file", "POST", "/api/v1/calendar/windows", map[string]any{"name": "file", "weekdays": []string{"mon"}, "opens": "09:00", "closes": "17:00", "zone": "../../etc/passwd"}, 422, ""},
	{"a window at no time", "POST", "/api/v1/calendar/windows", map[string]any{"name": "never", "weekdays": []string{"someday"}, "opens": "25:00", "closes": "17:00", "zone": "UTC"}, 422, ""},
	{"an approval of nothing", "POST", "/api/v1/approvals/apr_00000000000000000000000000/approve", map[string]any{"digest": "x"}, 404, ""},
	{"a delegation to nobody", "POST", "/api/v1/delegations", map[string]any{"to": "nonesuch", "until": "2100-01-01T00:00:00Z"}, 0, ""},
	{"a delegation to oneself", "POST", "/api/v1/delegations", map[string]any{"to": "administrator", "until": "2100-01-01T00:00:00Z"}, 0, ""},
	{"a mute of everything else", "PUT", "/api/v1/me/notifications", map[string]any{"muted": []string{strings.Repeat("a", 500)}}, 422, ""},
	{"a policy that is none", "PUT", "/api/v1/access/policies", map[string]any{"source": "permit(everything);"}, 0, ""},
}

func resourceOf(name, template string, inputs map[string]any) map[string]any {
	m := map[string]any{"name": name, "template": template}
	if inputs != nil {
		m["inputs"] = inputs
	}
	return m
}

// bomb is a template whose YAML would be gigabytes.
func bomb(t *testing.T) raw {
	var b strings.Builder
	b.WriteString("apiVersion: fairlead/v1\nkind: Template\na0: &a0 [x, x, x, x, x, x, x, x, x, x]\n")
	for i := 1; i < 12; i++ {
		fmt.Fprintf(&b, "a%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i-1), 10), ", "))
	}
	return folder(t, map[string]string{"template.yaml": b.String()})
}

// badRules are guardrails that no push takes.
var badRules = map[string]string{
	"a syntax error":   "deny contains {",
	"an unknown word":  "deny contains {\"msg\": nothing_of_that_name}",
	"recursion":        "a if b\n\nb if a\n\ndeny contains {\"msg\": \"x\"} if a",
	"the network":      "deny contains {\"msg\": http.send({\"method\": \"get\", \"url\": \"http://169.254.169.254/\"}).raw_body}",
	"the environment":  "deny contains {\"msg\": opa.runtime().env.HOME}",
	"the clock":        "deny contains {\"msg\": \"late\"} if time.now_ns() > 0",
	"a type that errs": "deny contains {\"msg\": \"x\"} if count(5) > 1",
}

// loops counts to what no request can wait for.
const loops = "deny contains {\"msg\": \"x\"} if {\n\tinput.resource.name == \"slow\"\n\tsome a in numbers.range(1, 30000)\n\tsome b in numbers.range(1, 30000)\n\ta * b == -1\n}"

// ruled is a bundle of one rule, with a test that passes.
func ruled(t testing.TB, name, text string) raw {
	return folder(t, map[string]string{
		"policy.yaml":     "apiVersion: fairlead/v1\nkind: PolicyBundle\nmetadata: {name: " + name + ", version: 1.0.0, title: Bad}\nguardrails:\n  - {package: bad, stage: request}\n",
		"rules.rego":      "package bad\n\n" + text + "\n",
		"rules_test.rego": "package bad_test\n\nimport data.bad\n\ntest_one if count(bad.deny) == 0 with input as {\"resource\": {\"name\": \"other\"}}\n",
	})
}

// TestBadInput sends it over HTTP to a real server and counts afterwards.
func TestBadInput(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.start()
	j := environment(t, s)
	db := s.db(t)
	counts := func() string {
		return strings.Join(column(t, db, `SELECT (SELECT count(*) FROM resources) || '/' || (SELECT count(*) FROM revisions) || '/' || (SELECT count(*) FROM runs)
			|| '/' || (SELECT count(*) FROM queue) || '/' || (SELECT count(*) FROM projects) || '/' || (SELECT count(*) FROM environments) || '/' || (SELECT count(*) FROM teams)
			|| '/' || (SELECT count(*) FROM template_versions) || '/' || (SELECT count(*) FROM secrets) || '/' || (SELECT count(*) FROM access_policies)
			|| '/' || (SELECT count(*) FROM guardrail_bundles) || '/' || (SELECT count(*) FROM guardrail_history) || '/' || (SELECT count(*) FROM webhooks)
			|| '/' || (SELECT count(*) FROM quota_limits) || '/' || (SELECT count(*) FROM price_tables) || '/' || (SELECT count(*) FROM lease_rules)
			|| '/' || (SELECT count(*) FROM leases) || '/' || (SELECT count(*) FROM calendar_windows) || '/' || (SELECT count(*) FROM calendar_freezes)
			|| '/' || (SELECT count(*) FROM approval_delegations) || '/' || (SELECT count(*) FROM notify_mutes) || '/' || (SELECT count(*) FROM events)
			|| '/' || (SELECT count(*) FROM idempotency_keys WHERE key LIKE 'bad-%')`), "")
	}
	before := counts()
	check := func(name string, r reply, status int, codes string) {
		t.Helper()
		if r.status < 400 || r.status >= 500 || status != 0 && r.status != status {
			t.Errorf("%s: want %d, got %v", name, status, r)
			return
		}
		if r.str("code") == "" || r.str("hint") == "" || codes != "" && !strings.Contains(" "+codes+" ", " "+r.str("code")+" ") {
			t.Errorf("%s: want a hint and the code %q, got %v", name, codes, r)
		}
		if now := counts(); now != before {
			t.Errorf("%s left something behind: %s, then %s", name, before, now)
			before = now
		}
	}
	for i, b := range badInput {
		check(b.name, j.c.once(t, b.method, b.path, b.body, "Idempotency-Key", fmt.Sprintf("bad-%d", i)), b.status, b.codes)
	}
	check("a YAML bomb", j.c.once(t, "POST", "/api/v1/templates", bomb(t), "Idempotency-Key", "bad-bomb"), 422, "")
	check("other content under the same version", j.c.once(t, "POST", "/api/v1/templates",
		folder(t, map[string]string{"template.yaml": pgTiny + "# changed\n", "README.md": "x\n"}), "Idempotency-Key", "bad-same"), 409, "")
	check("a file outside of the folder", j.c.once(t, "POST", "/api/v1/templates",
		folder(t, map[string]string{"template.yaml": pgTiny, "../README.md": "x\n"}), "Idempotency-Key", "bad-slip"), 422, "invalid_archive")
	for name, text := range badRules {
		r := j.c.once(t, "POST", "/api/v1/guardrails", ruled(t, "bad", text), "Idempotency-Key", "bad-rules-"+strings.ReplaceAll(name, " ", "-"))
		check("guardrails: "+name, r, 422, "")
		if !strings.Contains(string(r.body), "rules.rego:") {
			t.Errorf("guardrails: %s: neither file nor line: %v", name, r)
		}
	}
	// What can only be found out by asking is denied, and says so.
	j.c.must(t, "POST", "/api/v1/guardrails", ruled(t, "slow", loops), "", 201)
	j.c.must(t, "POST", "/api/v1/guardrails/slow/versions/1.0.0/activate", nil, "", 200)
	before = counts()
	began := time.Now()
	r := j.c.once(t, "POST", inDev+"/resources", map[string]any{"name": "slow", "template": "null"}, "Idempotency-Key", "bad-slow")
	if r.status != 403 || r.str("code") != "guardrail_denied" || time.Since(began) > 10*time.Second {
		t.Errorf("guardrails that loop: %s: %v", time.Since(began), r)
	}
	j.c.must(t, "POST", "/api/v1/guardrails/slow/deactivate", nil, "", 200)
	id := j.create("fine", "null", nil)
	j.c.settle(t, id, patience, applied(1))
}

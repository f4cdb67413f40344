package e2e

import (
	"fmt"
	"strings"
	"testing"
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
	id := j.create("fine", "null", nil)
	j.c.settle(t, id, patience, applied(1))
}

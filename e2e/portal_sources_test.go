package e2e

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"fairlead/internal/source/sourcetest"
)

// TestSourcesAreKeptOnTheirPages: added, changed and removed by forms, as a
// person in a browser would; what is shown once is nowhere afterwards.
func TestSourcesAreKeptOnTheirPages(t *testing.T) {
	t.Parallel()
	e := newEstate(t)
	e.user(t, "olga", "others", "team-owner")
	admin, olga := e.visit(t, "administrator"), e.visit(t, "olga")
	r := sourcetest.New(t)
	r.Commit(map[string]string{"a/template.yaml": nullTemplate, "b/template.yaml": strings.Replace(nullTemplate, "A source", "Another", 1)}, "v1.0.0")

	for path, want := range map[string]int{"/add-source": http.StatusForbidden, "/sources/" + mark + "-source": http.StatusNotFound} {
		if status, _, body := olga.ask(t, "GET", path, nil); status != want || strings.Contains(body, "deploy key") {
			t.Errorf("%s for another: %d", path, status)
		}
	}
	form := url.Values{"name": {"kept"}, "from": {"file:///../etc"}, "path": {"a"}, "every": {"0s"}, "webhook": {"yes"}}
	if status, _, body := admin.ask(t, "POST", "/sources", form); status != http.StatusUnprocessableEntity || !strings.Contains(body, "not absolute and clean") || !strings.Contains(body, `value="kept"`) {
		t.Errorf("a form filled in wrong: %d %.500s", status, body)
	}
	form.Set("from", r.URL())
	if status, _, _ := olga.ask(t, "POST", "/sources", form); status != http.StatusForbidden {
		t.Errorf("anybody adds a source: %d", status)
	}
	status, h, body := admin.ask(t, "POST", "/sources", form)
	secret := regexp.MustCompile(`whsec_[0-9A-Za-z+/=]{40,}`).FindString(body)
	if status != http.StatusOK || secret == "" || h.Get("Cache-Control") != "no-store" {
		t.Fatalf("%d %v: %.500s", status, h, body)
	}
	e.looked(t, "kept")
	_, _, body = admin.ask(t, "GET", "/sources/kept", nil)
	if strings.Contains(body, secret) || !strings.Contains(body, "taken in") {
		t.Errorf("the page shows the secret again, or not what came: %.2000s", body)
	}
	form.Set("version", regexp.MustCompile(`name="version" value="(\d+)"`).FindStringSubmatch(body)[1])
	form.Set("path", "b")
	form.Set("every", "1h0m0s")
	if status, h, body := admin.ask(t, "POST", "/sources/kept", form); status != http.StatusSeeOther || h.Get("Location") != "/sources/kept" {
		t.Fatalf("%d %v %.1000s", status, h, body)
	}
	if status, _, body := admin.ask(t, "POST", "/sources/kept", form); status != http.StatusPreconditionFailed && status != http.StatusConflict || !strings.Contains(body, "changed since") {
		t.Errorf("an old form: %d", status)
	}
	e.looked(t, "kept")
	if _, _, body := admin.ask(t, "GET", "/sources/kept", nil); !strings.Contains(body, "exists with other content") || !strings.Contains(body, "Every hour") {
		t.Errorf("other content under the same number: %.3000s", body)
	}
	if status, _, body := admin.ask(t, "POST", "/sources/kept/remove", url.Values{"confirm": {"kep"}}); status != http.StatusUnprocessableEntity || !strings.Contains(body, "type kept") && !strings.Contains(body, "Type kept") {
		t.Errorf("removed by a name that is not its: %d", status)
	}
	if status, h, _ := admin.ask(t, "POST", "/sources/kept/remove", url.Values{"confirm": {"kept"}}); status != http.StatusSeeOther || h.Get("Location") != "/sources" {
		t.Errorf("%d %v", status, h)
	}
	e.c.must(t, "GET", "/api/v1/template-sources/kept", nil, "", 404)
	e.c.must(t, "GET", "/api/v1/templates/kept", nil, "", 200)
}

// looked waits until a source has been looked at as often as was asked for.
func (e *estate) looked(t *testing.T, name string) {
	t.Helper()
	eventually(t, patience, func() string {
		v := e.c.must(t, "GET", "/api/v1/template-sources/"+name, nil, "", 200)
		if v.num("looked") < v.num("wanted") {
			return "the source was not looked at"
		}
		return ""
	})
}

const nullTemplate = `apiVersion: fairlead/v1
kind: Template
metadata: {name: kept, title: A source}
engine: "null"
inputs:
  properties:
    size: {type: integer, default: 1}
outputs:
  value: {type: integer}
spec:
  outputs: {value: "${{ inputs.size }}"}
`

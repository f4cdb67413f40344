package apidoc_test

import (
	"io/fs"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"fairlead/docs"
	"fairlead/policies"
)

var (
	inPolicies = regexp.MustCompile(`/docs/[a-z-]+(#[a-z0-9-]+)?`)
	inPages    = regexp.MustCompile(`href="([^"]+)"`)
)

// What a guardrail links to, and what the pages link to, is a page that there
// is, with that heading.
func TestLinksLeadSomewhere(t *testing.T) {
	t.Parallel()
	s := server(t)
	links := map[string]bool{}
	err := fs.WalkDir(policies.FS, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := fs.ReadFile(policies.FS, path)
		for _, link := range inPolicies.FindAllString(string(text), -1) {
			links[link] = true
		}
		return err
	})
	if err != nil || len(links) < 5 {
		t.Fatalf("%d links, %v", len(links), err)
	}
	pages, err := fs.Glob(docs.Pages, "*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range pages {
		own := "/docs/" + strings.TrimSuffix(name, ".md")
		for _, m := range inPages.FindAllStringSubmatch(get(s, own).Body.String(), -1) {
			switch to := m[1]; {
			case strings.HasPrefix(to, "/docs/"):
				links[to] = true
			case strings.HasPrefix(to, "#"):
				links[own+to] = true
			case !strings.Contains(to, ":"):
				t.Errorf("%s links to %s, which is nowhere on the server", name, to)
			}
		}
	}
	for link := range links {
		path, heading, _ := strings.Cut(link, "#")
		w := get(s, path)
		if w.Code != http.StatusOK || heading != "" && !strings.Contains(w.Body.String(), `id="`+heading+`"`) {
			t.Errorf("%s: %d, or no such heading", link, w.Code)
		}
	}
	for _, path := range []string{"/docs/nothing", "/docs/..%2fREADME", "/docs/errors.md", "/docs/docs.go"} {
		if w := get(s, path); w.Code != http.StatusNotFound {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
}

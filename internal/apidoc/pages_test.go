package apidoc_test

import (
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"fairlead/internal/apidoc"
	"fairlead/internal/httpx"
	"fairlead/policies"
)

// What a guardrail links to is a page that there is, with that heading.
func TestLinksOfShippedGuardrailsLeadSomewhere(t *testing.T) {
	t.Parallel()
	_, srv := httpx.New(httpx.Options{})
	apidoc.Mount(srv)
	ts := httptest.NewServer(srv)
	t.Cleanup(ts.Close)
	links := map[string]bool{}
	err := fs.WalkDir(policies.FS, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := fs.ReadFile(policies.FS, path)
		for _, m := range regexp.MustCompile(`/docs/[a-z-]+(#[a-z0-9-]+)?`).FindAllString(string(text), -1) {
			links[m] = true
		}
		return err
	})
	if err != nil || len(links) < 5 {
		t.Fatalf("%d links, %v", len(links), err)
	}
	for link := range links {
		path, heading, _ := strings.Cut(link, "#")
		res, err := http.Get(ts.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if res.StatusCode != http.StatusOK || heading != "" && !strings.Contains(string(body), `id="`+heading+`"`) {
			t.Errorf("%s: %d, or no such heading", link, res.StatusCode)
		}
	}
	for _, path := range []string{"/docs/nothing", "/docs/..%2fREADME", "/docs/errors.md"} {
		res, err := http.Get(ts.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %d", path, res.StatusCode)
		}
	}
}

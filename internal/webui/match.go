package webui

import (
	"net/http"
	"net/url"
	"strings"
)

// setPathValues fills in the {parameters} of the pattern that a request
// matches, as a mux does when it serves.
func setPathValues(r *http.Request, pattern string) {
	_, path, _ := strings.Cut(pattern, " ")
	want, have := strings.Split(path, "/"), strings.Split(r.URL.EscapedPath(), "/")
	for i, part := range want {
		name, ok := strings.CutPrefix(part, "{")
		if !ok || i >= len(have) {
			continue
		}
		name = strings.TrimSuffix(name, "}")
		if v, err := url.PathUnescape(have[i]); err == nil && name != "$" {
			r.SetPathValue(name, v)
		}
	}
}

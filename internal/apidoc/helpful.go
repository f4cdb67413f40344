package apidoc

import (
	"io/fs"
	"net/http"
	"strings"

	"fairlead/docs"
	"fairlead/internal/httpx"
	"fairlead/internal/principal"
)

// manual shows the pages.
type manual struct {
	server  *httpx.Server
	helpful string
}

// question is what is asked at a page's foot.
type question struct{ To, Page, Back string }

// asks gives the question for who is signed in; nobody else is asked, since
// there is nobody whose answer it would be.
func (m *manual) asks(w http.ResponseWriter, r *http.Request, page string) *question {
	if m.helpful == "" {
		return nil
	}
	w.Header().Set("Vary", "Cookie")
	w.Header().Set("Cache-Control", "private, no-cache")
	if m.server.Recognise(r).Kind != principal.User {
		return nil
	}
	return &question{m.helpful, page, r.URL.Path}
}

// csp is what a page may do: send its form here, when it has one.
func (q *question) csp() string {
	if q == nil {
		return docsCSP
	}
	return strings.Replace(docsCSP, "form-action 'none'", "form-action 'self'", 1)
}

// IsPage tells whether the manual has a page that its readers are asked about,
// by its address, or its pattern where one page is many.
func IsPage(page string) bool {
	name, ok := strings.CutPrefix(page, "/docs/")
	if !ok {
		return false
	}
	if name == "errors" || name == "errors/{code}" {
		return true
	}
	if !fs.ValidPath(name) || strings.Contains(name, "/") {
		return false
	}
	_, err := fs.Stat(docs.Pages, name+".md")
	return err == nil
}

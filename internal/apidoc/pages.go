package apidoc

import (
	"bytes"
	"html/template"
	"io/fs"
	"net/http"
	"strings"
	"sync"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"

	"fairlead/docs"
)

// markdown renders our own pages: raw HTML in them stays text.
var markdown = sync.OnceValue(func() goldmark.Markdown {
	return goldmark.New(goldmark.WithExtensions(extension.Table), goldmark.WithParserOptions(parser.WithAutoHeadingID()))
})

var pageShell = template.Must(template.Must(errorPages.Clone()).Parse(`{{define "page"}}{{template "head" .Title}}
{{.Body}}
</main></body></html>
{{end}}`))

// page shows one page of the manual, as /docs/guardrails. Verdicts and the
// guardrails that are shipped link to its headings.
func page(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("page")
	source, err := fs.ReadFile(docs.Pages, name+".md")
	if err != nil || !fs.ValidPath(name) || strings.Contains(name, "/") {
		show(w, http.StatusNotFound, "none", nil)
		return
	}
	var body bytes.Buffer
	if err := markdown().Convert(source, &body); err != nil {
		http.Error(w, "the page cannot be shown", http.StatusInternalServerError)
		return
	}
	title, _, _ := strings.Cut(strings.TrimPrefix(string(source), "# "), "\n")
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", docsCSP)
	err = pageShell.ExecuteTemplate(w, "page", struct {
		Title string
		Body  template.HTML
	}{title, template.HTML(body.String())}) //nolint:gosec // rendered from what is in the binary, with raw HTML escaped
	if err != nil {
		panic(http.ErrAbortHandler) // the client is gone
	}
}

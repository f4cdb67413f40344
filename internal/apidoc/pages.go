package apidoc

import (
	"bytes"
	"html/template"
	"io/fs"
	"net/http"
	"strings"
	"sync"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"

	"fairlead/docs"
)

// markdown renders our own pages; raw HTML in them is left out.
var markdown = sync.OnceValue(func() goldmark.Markdown {
	return goldmark.New(goldmark.WithExtensions(extension.Table), goldmark.WithParserOptions(parser.WithAutoHeadingID(), parser.WithASTTransformers(util.Prioritized(links{}, 0))))
})

var pageShell = template.Must(template.Must(errorPages.Clone()).Parse(`{{define "page"}}{{template "head" .Title}}
{{.Body}}
{{template "foot" .}}{{end}}`))

// links makes links between pages of the manual lead where the server has
// them; what it does not have (the repository's other files) stays as text.
type links struct{}

func (links) Transform(doc *ast.Document, _ text.Reader, _ parser.Context) {
	var gone []*ast.Link
	_ = ast.Walk(doc, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if image, ok := n.(*ast.Image); ok && entering && strings.HasPrefix(string(image.Destination), "pictures/") {
			image.Destination = []byte("/docs/" + string(image.Destination))
		}
		link, ok := n.(*ast.Link)
		if !ok || !entering {
			return ast.WalkContinue, nil
		}
		to := string(link.Destination)
		if strings.Contains(to, "://") || strings.HasPrefix(to, "#") || strings.HasPrefix(to, "/") {
			return ast.WalkContinue, nil
		}
		path, heading, _ := strings.Cut(to, "#")
		name, isPage := strings.CutSuffix(path, ".md")
		if _, err := fs.Stat(docs.Pages, path); !isPage || err != nil {
			gone = append(gone, link)
			return ast.WalkContinue, nil
		}
		if heading != "" {
			heading = "#" + heading
		}
		link.Destination = []byte("/docs/" + name + heading)
		return ast.WalkContinue, nil
	})
	for _, link := range gone {
		parent := link.Parent()
		for child := link.FirstChild(); child != nil; child = link.FirstChild() {
			parent.InsertBefore(parent, link, child)
		}
		parent.RemoveChild(parent, link)
	}
}

// picture gives one picture of the pages.
func (m *manual) picture(w http.ResponseWriter, r *http.Request) {
	b, err := fs.ReadFile(docs.Pictures, "pictures/"+r.PathValue("name"))
	if err != nil {
		show(w, http.StatusNotFound, "none", shown{})
		return
	}
	(&file{contentType: "image/webp", etag: tag(b), plain: b}).serve(w, r)
}

// page shows one page of the manual, as /docs/guardrails. Verdicts and the
// guardrails that are shipped link to its headings.
func (m *manual) page(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("page")
	source, err := fs.ReadFile(docs.Pages, name+".md")
	if err != nil || !fs.ValidPath(name) || strings.Contains(name, "/") {
		show(w, http.StatusNotFound, "none", shown{})
		return
	}
	var body bytes.Buffer
	if err := markdown().Convert(source, &body); err != nil {
		http.Error(w, "the page cannot be shown", http.StatusInternalServerError)
		return
	}
	title, _, _ := strings.Cut(strings.TrimPrefix(string(source), "# "), "\n")
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	asks := m.asks(w, r, "/docs/"+name)
	w.Header().Set("Content-Security-Policy", asks.csp())
	err = pageShell.ExecuteTemplate(w, "page", struct {
		Title string
		Body  template.HTML
		Asks  *question
	}{title, template.HTML(body.String()), asks}) //nolint:gosec // rendered from what is in the binary, without raw HTML
	if err != nil {
		panic(http.ErrAbortHandler) // the client is gone
	}
}

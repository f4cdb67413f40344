package webui

import (
	"bytes"
	"context"
	"io"
	"net/url"
	"strings"
	"sync"

	"github.com/a-h/templ"
	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"
)

// others renders what somebody else wrote: raw HTML is left out, images too
// (they would be asked of another origin), links lead by http, https or within.
var others = sync.OnceValue(func() goldmark.Markdown {
	return goldmark.New(goldmark.WithExtensions(extension.Table, extension.Strikethrough),
		goldmark.WithParserOptions(parser.WithASTTransformers(util.Prioritized(tame{}, 0))))
})

type tame struct{}

func (tame) Transform(doc *ast.Document, _ text.Reader, _ parser.Context) {
	var images []*ast.Image
	_ = ast.Walk(doc, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			return ast.WalkContinue, nil
		}
		switch n := n.(type) {
		case *ast.Image:
			images = append(images, n)
		case *ast.Link:
			n.Destination = safeLink(n.Destination)
		case *ast.AutoLink:
			if n.AutoLinkType == ast.AutoLinkEmail {
				return ast.WalkContinue, nil
			}
		case *ast.Heading: // the page has the first two levels itself
			n.Level = min(n.Level+2, 6)
		}
		return ast.WalkContinue, nil
	})
	for _, image := range images {
		for child := image.FirstChild(); child != nil; child = image.FirstChild() {
			image.Parent().InsertBefore(image.Parent(), image, child)
		}
		image.Parent().RemoveChild(image.Parent(), image)
	}
}

func safeLink(to []byte) []byte {
	u, err := url.Parse(string(to))
	if err != nil || u.Scheme != "" && u.Scheme != "https" && u.Scheme != "http" && u.Scheme != "mailto" {
		return []byte("#")
	}
	if u.Scheme == "" && u.Host == "" && strings.HasPrefix(string(to), "#") {
		return to
	}
	if u.Scheme == "" && Local(string(to)) != string(to) {
		return []byte("#")
	}
	return to
}

const maxMarkdown = 256 << 10

// Markdown shows a text that a template's author, say, wrote.
func Markdown(source string) templ.Component {
	return templ.ComponentFunc(func(_ context.Context, w io.Writer) error {
		var b bytes.Buffer
		if err := others().Convert([]byte(source[:min(len(source), maxMarkdown)]), &b); err != nil {
			return err
		}
		// What scrolls must be reachable by keyboard. Whatever the author wrote is
		// escaped by now: this tag is goldmark's own.
		_, err := w.Write(bytes.ReplaceAll(b.Bytes(), []byte("<pre>"), []byte(`<pre tabindex="0">`)))
		return err
	})
}

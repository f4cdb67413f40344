package webui

import (
	"context"
	"io"
	"strings"

	"github.com/a-h/templ"
)

// Prose shows what a message, a hint or a remedy says: a sentence, in which
// what stands between backticks is code.
func Prose(s string) templ.Component { return Coded(Sentence(s)) }

// Coded shows a text as it is, but for what stands between backticks, which is
// code. All of it may be others' words, and is escaped.
func Coded(s string) templ.Component {
	return templ.ComponentFunc(func(_ context.Context, w io.Writer) error {
		_, err := io.WriteString(w, coded(s))
		return err
	})
}

// coded is the HTML of a text with code in it. A backtick without its other one
// is what it is, and so are two with nothing or a line's end between them.
func coded(s string) string {
	var b strings.Builder
	for {
		before, rest, open := strings.Cut(s, "`")
		code, after, closed := strings.Cut(rest, "`")
		if !open || !closed {
			b.WriteString(templ.EscapeString(s))
			return b.String()
		}
		b.WriteString(templ.EscapeString(before))
		if code == "" || strings.ContainsAny(code, "\r\n") {
			b.WriteString("`")
			s = rest
			continue
		}
		b.WriteString("<code>" + templ.EscapeString(code) + "</code>")
		s = after
	}
}

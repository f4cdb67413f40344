package apidoc

import (
	"html/template"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"

	"fairlead/docs"
)

// ErrorCode is one row of docs/errors.md.
type ErrorCode struct {
	Code, Meaning, Todo string
}

// Errors gives the documented error codes, by code.
var Errors = sync.OnceValue(func() map[string]ErrorCode {
	out := map[string]ErrorCode{}
	for line := range strings.Lines(docs.Errors) {
		cells := strings.Split(strings.TrimSpace(line), "|")
		if len(cells) != 5 || !strings.HasPrefix(strings.TrimSpace(cells[1]), "`") {
			continue
		}
		code := strings.Trim(strings.TrimSpace(cells[1]), "`")
		out[code] = ErrorCode{code, strings.TrimSpace(cells[2]), strings.TrimSpace(cells[3])}
	}
	return out
})

const docsCSP = "default-src 'none'; style-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

var errorPages = template.Must(template.New("errors").Parse(`{{define "head"}}<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{.}} – Fairlead</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/docs/assets/docs.css">
</head>
<body><main>{{end}}
{{define "foot"}}</main>{{with .Asks}}
<footer><form method="post" action="{{.To}}">
<input type="hidden" name="page" value="{{.Page}}">
<input type="hidden" name="back" value="{{.Back}}">
<span id="helpful-asks">Is this page helpful?</span>
<span role="group" aria-labelledby="helpful-asks"><button name="helpful" value="yes">Yes</button> <button name="helpful" value="no">No</button></span>
</form></footer>{{end}}
</body></html>
{{end}}
{{define "one"}}{{template "head" .Of.Code}}
<h1><code>{{.Of.Code}}</code></h1>
<p>{{.Of.Meaning}}</p>
<h2>What to do</h2>
<p>{{.Of.Todo}}</p>
<p><a href="/docs/errors">All errors</a></p>
{{template "foot" .}}{{end}}
{{define "none"}}{{template "head" "Unknown error"}}
<h1>No such error code</h1>
<p>This version of Fairlead has no error of that code. <a href="/docs/errors">All errors</a></p>
{{template "foot" .}}{{end}}
{{define "all"}}{{template "head" "Errors"}}
<h1>Errors</h1>
<dl>{{range .Of}}<dt><a href="/docs/errors/{{.Code}}"><code>{{.Code}}</code></a></dt><dd>{{.Meaning}}</dd>
{{end}}</dl>
{{template "foot" .}}{{end}}`))

func (m *manual) errorPage(w http.ResponseWriter, r *http.Request) {
	e, ok := Errors()[r.PathValue("code")]
	if !ok {
		show(w, http.StatusNotFound, "none", shown{})
		return
	}
	show(w, http.StatusOK, "one", shown{e, m.asks(w, r, "/docs/errors/{code}")})
}

func (m *manual) errorIndex(w http.ResponseWriter, r *http.Request) {
	all := slices.SortedFunc(maps.Values(Errors()), func(a, b ErrorCode) int { return strings.Compare(a.Code, b.Code) })
	show(w, http.StatusOK, "all", shown{all, m.asks(w, r, "/docs/errors")})
}

// shown is what a page is of, and what is asked at its foot.
type shown struct {
	Of   any
	Asks *question
}

func show(w http.ResponseWriter, status int, name string, data shown) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", data.Asks.csp())
	w.WriteHeader(status)
	if err := errorPages.ExecuteTemplate(w, name, data); err != nil {
		panic(http.ErrAbortHandler) // the client is gone
	}
}

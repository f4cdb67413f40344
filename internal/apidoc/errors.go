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
{{define "one"}}{{template "head" .Code}}
<h1><code>{{.Code}}</code></h1>
<p>{{.Meaning}}</p>
<h2>What to do</h2>
<p>{{.Todo}}</p>
<p><a href="/docs/errors">All errors</a></p>
</main></body></html>
{{end}}
{{define "none"}}{{template "head" "Unknown error"}}
<h1>No such error code</h1>
<p>This version of Fairlead has no error of that code. <a href="/docs/errors">All errors</a></p>
</main></body></html>
{{end}}
{{define "all"}}{{template "head" "Errors"}}
<h1>Errors</h1>
<dl>{{range .}}<dt><a href="/docs/errors/{{.Code}}"><code>{{.Code}}</code></a></dt><dd>{{.Meaning}}</dd>
{{end}}</dl>
</main></body></html>
{{end}}`))

func errorPage(w http.ResponseWriter, r *http.Request) {
	e, ok := Errors()[r.PathValue("code")]
	if !ok {
		show(w, http.StatusNotFound, "none", nil)
		return
	}
	show(w, http.StatusOK, "one", e)
}

func errorIndex(w http.ResponseWriter, _ *http.Request) {
	all := slices.SortedFunc(maps.Values(Errors()), func(a, b ErrorCode) int { return strings.Compare(a.Code, b.Code) })
	show(w, http.StatusOK, "all", all)
}

func show(w http.ResponseWriter, status int, name string, data any) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", docsCSP)
	w.WriteHeader(status)
	if err := errorPages.ExecuteTemplate(w, name, data); err != nil {
		panic(http.ErrAbortHandler) // the client is gone
	}
}

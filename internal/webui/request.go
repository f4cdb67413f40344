package webui

import (
	"net/http"
	"net/url"
	"strings"

	"fairlead/internal/httpx"
	"fairlead/internal/principal"
	"fairlead/internal/sqldb"
)

// Request is somebody's request for a page.
type Request struct{ *http.Request }

// Path gives a {parameter} of the page's pattern.
func (r *Request) Path(name string) string { return r.PathValue(name) }

// Query gives a parameter of the address, at most 500 bytes of it.
func (r *Request) Query(name string) string {
	v := strings.TrimSpace(r.URL.Query().Get(name))
	return v[:min(len(v), 500)]
}

// Field gives a field of the form that was sent, without spaces around it.
func (r *Request) Field(name string) string { return strings.TrimSpace(r.PostForm.Get(name)) }

// Who is who asks.
func (r *Request) Who() principal.Principal { return principal.From(r.Context()) }

// Partial tells whether only a piece of the page is wanted.
func (r *Request) Partial() bool { return r.Header.Get("HX-Request") != "" }

// PageOf gives the page of a list that the address asks for: ?after=….
func (r *Request) PageOf(limit int) (sqldb.Page, error) {
	after, err := httpx.ParseCursor(r.Query("after"))
	return sqldb.Page{Limit: limit, After: after}, err
}

// With gives the page's own address with some parameters changed; an empty
// value takes one away. A change begins the list again.
func (r *Request) With(pairs ...string) string { return withQuery(r.URL, pairs...) }

func withQuery(u *url.URL, pairs ...string) string {
	q := u.Query()
	q.Del("after")
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] == "" {
			q.Del(pairs[i])
		} else {
			q.Set(pairs[i], pairs[i+1])
		}
	}
	if len(q) == 0 {
		return u.Path
	}
	return u.Path + "?" + q.Encode()
}

// Next gives the address of the list's next page; "" when there is none.
func (r *Request) Next(after string) string {
	if after == "" {
		return ""
	}
	return r.With("after", httpx.Cursor(after))
}

// First gives the address of the list's first page; "" when this is it.
func (r *Request) First() string {
	if r.Query("after") == "" {
		return ""
	}
	return r.With()
}

// To joins the parts of an address of ours, each escaped.
func To(parts ...string) string {
	var b strings.Builder
	for _, p := range parts {
		b.WriteString("/" + url.PathEscape(p))
	}
	return b.String()
}

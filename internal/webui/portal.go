package webui

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"strings"

	"github.com/a-h/templ"

	"fairlead/internal/audit"
	"fairlead/internal/fault"
	"fairlead/internal/httpx"
	"fairlead/internal/principal"
)

// csp lets nothing in but our own files: no inline script or style, no frame,
// no other origin.
const csp = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; " +
	"form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

// Nav is one entry of the navigation.
type Nav struct {
	Group string // a heading over it, where it differs from the one before
	Title string
	Href  string
	Icon  string
	Key   string                         // after g: "g h" goes home
	Show  func(principal.Principal) bool // nil: to everybody
}

// Hit is one thing that the palette found.
type Hit struct{ Kind, Title, Detail, Href, Icon string }

// Finder finds what somebody may want to go to. It authorises by itself, as
// services do, and gives a handful.
type Finder func(ctx context.Context, text string) ([]Hit, error)

// Options is what a Portal works with.
type Options struct {
	Server    *httpx.Server
	Log       *slog.Logger
	Nav       []Nav
	Finders   map[string]Finder                                    // kind -> finder; "environment" is the switcher's
	Subscribe func(topic string) (wake <-chan string, stop func()) // wakes live pages; nil: they look now and then
	Bell      *Bell                                                // nil: there is none
	Helpful   string                                               // where the answer to "is this page helpful?" goes; "": nobody is asked
	// Gallery mounts the page of all components, for development.
	Gallery bool
}

// Bell counts what is new for who asks: it stands at the top of every page, and
// each tab's stream says when it changes.
type Bell struct {
	Href  string // the page that has it all
	Count func(ctx context.Context) (int, error)
	Topic func(who principal.Principal) string // wakes when the count changes
}

// Portal mounts pages on a server. It is safe for concurrent use once all
// pages are mounted.
type Portal struct {
	o     Options
	pages *http.ServeMux // pattern -> *page, to find the page that a live stream is for
}

// New makes a Portal and mounts what is no feature's: assets, themes, live
// streams, the palette, the page for what is not there.
func New(o Options) *Portal {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	p := &Portal{o: o, pages: http.NewServeMux()}
	o.Server.Handle("GET /assets/{tag}/{name}", http.HandlerFunc(serveAsset))
	o.Server.NotFound(p.fail)
	p.raw("POST /theme", httpx.PageOptions{Public: true}, http.HandlerFunc(p.setTheme))
	p.raw("GET /session", httpx.PageOptions{}, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	p.raw("GET /live", httpx.PageOptions{Stream: true}, http.HandlerFunc(p.live))
	p.Page("GET /search", p.search)
	if o.Gallery {
		p.mountGallery()
	}
	return p
}

// View is what a page shows.
type View struct {
	Title   string
	Crumbs  []Crumb
	Project string // where it is, for the switcher
	Env     string
	Body    templ.Component
	Status  int    // 200 by default
	Stamp   string // what the page's Live would say now; "" asks it
	API     string // the page's call of the API, to copy
	CLI     string // and its command
	Docs    string // address of its page of the manual; the portal's by default
	Bare    bool   // no shell around it: sign-in
}

// Crumb is one step of the way to a page; the last has no address.
type Crumb struct{ Title, Href string }

// Live says how a page is now: a stamp that changes whenever the page would
// look different, and topics that wake whoever waits for that. It authorises
// by itself, as services do.
type Live func(r *Request) (stamp string, topics []string, err error)

type page struct {
	show func(*Request) (View, error)
	live Live
}

// Page mounts a page: pattern is "GET /path/{name}". It is for who has signed
// in; show calls services, which authorise.
func (p *Portal) Page(pattern string, show func(*Request) (View, error)) {
	p.LivePage(pattern, show, nil)
}

// LivePage is Page for one that updates by itself while somebody looks at it.
func (p *Portal) LivePage(pattern string, show func(*Request) (View, error), live Live) {
	pg := &page{show, live}
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v, err := show(&Request{r})
		if err != nil {
			p.fail(w, r, err)
			return
		}
		p.render(w, r, v, pg)
	})
	p.raw(pattern, httpx.PageOptions{}, h)
	p.pages.Handle(pattern, pageHandler{pg})
}

// pageHandler lets a mux find a page; it is never served.
type pageHandler struct{ *page }

func (pageHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) { http.NotFound(w, r) }

// Public mounts a page for everybody, signed in or not.
func (p *Portal) Public(pattern string, show func(*Request) (View, error)) {
	p.raw(pattern, httpx.PageOptions{Public: true}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v, err := show(&Request{r})
		if err != nil {
			p.fail(w, r, err)
			return
		}
		p.render(w, r, v, nil)
	}))
}

// Part mounts a piece of a page, without the shell.
func (p *Portal) Part(pattern string, show func(*Request) (templ.Component, error)) {
	p.raw(pattern, httpx.PageOptions{}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := show(&Request{r})
		if err != nil {
			p.fail(w, r, err)
			return
		}
		p.write(w, r, http.StatusOK, c)
	}))
}

// Answer is what comes of a POST: somewhere to go to, or a page that says why
// not (a form with its errors), or a piece of one.
type Answer struct {
	To    string // an address of ours
	Flash string // shown there once
	View  *View
	Part  templ.Component
}

// Action mounts what a form does. It cannot be asked by another site's page.
func (p *Portal) Action(pattern string, do func(*Request) (Answer, error)) {
	p.raw(pattern, httpx.PageOptions{}, p.Do(do))
}

// Do is the handler of an action, for those that are mounted otherwise.
func (p *Portal) Do(do func(*Request) (Answer, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil {
			p.fail(w, r, fault.New(fault.Invalid, "invalid_form", "the form could not be read").WithHint("send it again").WithCause(err))
			return
		}
		a, err := do(&Request{r})
		switch {
		case err != nil:
			p.fail(w, r, err)
		case a.Part != nil:
			p.write(w, r, http.StatusOK, a.Part)
		case a.View != nil:
			p.render(w, r, *a.View, nil)
		default:
			p.leave(w, r, a)
		}
	})
}

func (p *Portal) leave(w http.ResponseWriter, r *http.Request, a Answer) {
	if a.Flash != "" {
		setFlash(w, p.o.Server.Secure(r), a.Flash)
	}
	to := Local(a.To)
	if r.Header.Get("HX-Request") != "" {
		w.Header().Set("HX-Redirect", to)
		w.WriteHeader(http.StatusNoContent)
		return
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
}

// Local gives an address if it is one of ours, and "/" otherwise: nobody is
// led elsewhere by a link to us.
func Local(to string) string {
	if len(to) == 0 || to[0] != '/' || len(to) > 1 && (to[1] == '/' || to[1] == '\\') || len(to) > 2000 {
		return "/"
	}
	for i := range len(to) {
		if to[i] < ' ' || to[i] == 0x7f || to[i] == '\\' {
			return "/"
		}
	}
	if u, err := url.Parse(to); err != nil || u.Scheme != "" || u.Host != "" || u.User != nil {
		return "/"
	}
	return to
}

// Route is the name of a page: its pattern without what is only for the mux.
func Route(pattern string) string {
	if _, path, ok := strings.Cut(pattern, " "); ok {
		pattern = path
	}
	return strings.TrimSuffix(pattern, "{$}")
}

// raw mounts a handler behind the session, with errors shown as pages.
func (p *Portal) raw(pattern string, o httpx.PageOptions, h http.Handler) {
	o.Fail = p.fail
	p.o.Server.Page(pattern, o, h)
}

// Raw mounts a handler of a feature's own, such as a download.
func (p *Portal) Raw(pattern string, public bool, h http.Handler) {
	p.raw(pattern, httpx.PageOptions{Public: public}, h)
}

// Download mounts a handler that writes for as long as it takes, such as one of
// a file that is made as it goes.
func (p *Portal) Download(pattern string, h http.Handler) {
	p.raw(pattern, httpx.PageOptions{Stream: true}, h)
}

// Stream is Raw for what may take its time, such as a large download.
func (p *Portal) Stream(pattern string, h http.Handler) {
	p.raw(pattern, httpx.PageOptions{Stream: true}, h)
}

// Fail shows an error as a page.
func (p *Portal) Fail(w http.ResponseWriter, r *http.Request, err error) { p.fail(w, r, err) }

// Secure tells whether a request's cookies must stay on https.
func (p *Portal) Secure(r *http.Request) bool { return p.o.Server.Secure(r) }

func (p *Portal) fail(w http.ResponseWriter, r *http.Request, err error) {
	problem := httpx.Err(r.Context(), err)
	if problem.Status == http.StatusUnauthorized && problem.Code == "unauthenticated" {
		p.askToSignIn(w, r)
		return
	}
	for k, v := range problem.GetHeaders() {
		w.Header()[k] = v
	}
	if r.Header.Get("HX-Request") != "" { // whatever piece was asked for, the error is the page
		w.Header().Set("HX-Retarget", "#page")
		w.Header().Set("HX-Reselect", "#page")
		w.Header().Set("HX-Reswap", "outerHTML")
	}
	id := problem.RequestID
	if id == "" {
		id = audit.OriginFrom(r.Context()).RequestID
	}
	p.render(w, r, View{Title: problem.Detail, Status: problem.Status, Body: ErrorState(problem, id, r.Method == http.MethodGet)}, nil)
}

// askToSignIn leads who opens a page to the sign-in and back; a script is told
// by status alone, so that what is on its page stays.
func (p *Portal) askToSignIn(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("HX-Request") != "" || r.URL.Path == "/live" || r.URL.Path == "/session" {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	to := "/sign-in"
	switch {
	case r.Method == http.MethodGet && r.URL.Path != "/":
		to += "?next=" + url.QueryEscape(r.URL.RequestURI())
	case r.Method != http.MethodGet: // back to the page with the form, whose draft the browser kept
		if ref, err := url.Parse(r.Header.Get("Referer")); err == nil && ref.Host == r.Host {
			to += "?next=" + url.QueryEscape(ref.RequestURI())
		}
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
}

func (p *Portal) render(w http.ResponseWriter, r *http.Request, v View, pg *page) {
	if v.Status == 0 {
		v.Status = http.StatusOK
	}
	s := shell{View: v, who: principal.From(r.Context()), theme: themeOf(r), path: r.URL.Path, nav: p.o.Nav, url: r.URL.RequestURI()}
	if v.Status < 400 && r.Method == http.MethodGet && p.o.Helpful != "" {
		s.helpful, s.route = p.o.Helpful, Route(r.Pattern)
	}
	if pg != nil && pg.live != nil {
		if s.Stamp == "" {
			stamp, _, err := pg.live(&Request{r})
			if err != nil {
				p.fail(w, r, err)
				return
			}
			s.Stamp = stamp
		}
		s.Stamp = stampTag(s.Stamp)
	} else { // the answer to a form: nothing there is live, and what was written stays
		s.Stamp = ""
	}
	if p.o.Bell != nil && s.who.Kind == principal.User {
		var err error
		if s.unread, err = p.o.Bell.Count(r.Context()); err != nil { // the page is worth more than the bell
			p.o.Log.WarnContext(r.Context(), "what is new could not be counted", "error", err)
		}
		s.bell = p.o.Bell.Href
	}
	if r.Header.Get("HX-Request") == "" {
		s.flash = takeFlash(w, r, p.o.Server.Secure(r))
	}
	if v.Bare || s.who.Kind == principal.Anonymous {
		p.write(w, r, v.Status, bare(s))
		return
	}
	w.Header().Set("Referrer-Policy", "same-origin") // a form that finds its session over says where it was
	p.write(w, r, v.Status, framed(s))
}

func (p *Portal) write(w http.ResponseWriter, r *http.Request, status int, c templ.Component) {
	b := templ.GetBuffer()
	defer templ.ReleaseBuffer(b)
	if err := c.Render(r.Context(), b); err != nil {
		p.o.Log.ErrorContext(r.Context(), "a page could not be rendered", "error", err, "path", r.URL.Path)
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", csp)
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()")
	h.Set("Vary", "Cookie, HX-Request, Accept-Encoding")
	body := b.Bytes()
	if len(body) > 2048 && strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		zip(w, status, body)
		return
	}
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

// Show shows a view from a handler of a feature's own.
func (p *Portal) Show(w http.ResponseWriter, r *http.Request, v View) { p.render(w, r, v, nil) }

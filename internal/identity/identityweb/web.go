package identityweb

import (
	"bytes"
	"embed"
	"html/template"
	"net/http"
	"strings"

	"fairlead/internal/fault"
	"fairlead/internal/httpx"
	"fairlead/internal/identity"
	"fairlead/internal/principal"
	"fairlead/internal/redact"
)

//go:embed pages
var files embed.FS

var pages = template.Must(template.ParseFS(files, "pages/*.html"))

// Web serves the pages.
type Web struct {
	srv    *httpx.Server
	svc    *identity.Service
	secure bool // people come by https, so cookies stay on it
}

// Mount adds the pages to a server. The link's GET changes nothing, so that a
// preview of a mailed link does not use it up; the button's POST does.
func Mount(s *httpx.Server, svc *identity.Service, secure bool) {
	w := &Web{s, svc, secure}
	own := http.NewCrossOriginProtection()
	s.Handle("GET /{$}", http.HandlerFunc(w.home))
	s.Handle("GET /sign-in", http.HandlerFunc(w.form))
	s.Handle("GET /sign-in.css", http.HandlerFunc(style))
	s.Handle("POST /sign-in", own.Handler(http.HandlerFunc(w.signIn)))
}

type view struct {
	Title string
	Link  string
	Who   string
	Error string
	Hint  string
}

func (w *Web) home(rw http.ResponseWriter, r *http.Request) {
	who := ""
	if p := w.srv.Recognise(r); p.Kind != principal.Anonymous {
		who = p.Name
	}
	render(rw, http.StatusOK, "home.html", view{Title: "Fairlead", Who: who})
}

func (w *Web) form(rw http.ResponseWriter, r *http.Request) {
	render(rw, http.StatusOK, "signin.html", view{Title: "Sign in", Link: r.URL.Query().Get("link")})
}

func (w *Web) signIn(rw http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		render(rw, http.StatusBadRequest, "signin.html", view{Title: "Sign in", Error: "the form could not be read"})
		return
	}
	in := identity.SignIn{Agent: r.UserAgent()}
	if link := r.PostForm.Get("link"); link != "" {
		in.Link = redact.New(link)
	} else {
		in.Name, in.Password = strings.TrimSpace(r.PostForm.Get("name")), redact.New(r.PostForm.Get("password"))
	}
	// The session that the browser had ends with this sign-in.
	made, err := w.svc.SignIn(principal.With(r.Context(), w.srv.Recognise(r)), in)
	if err != nil {
		f := fault.From(err)
		message := f.Message
		if f.Kind == fault.Internal {
			message = "internal error"
		}
		render(rw, httpx.Status(f.Kind), "signin.html", view{Title: "Sign in", Error: message, Hint: f.Hint})
		return
	}
	// As in identityapi: a forged header only makes the forger's own cookie stricter.
	secure := w.secure || r.TLS != nil || strings.EqualFold(r.Header.Get("X-Forwarded-Proto"), "https")
	cookie := httpx.NewSessionCookie(made.Value.Reveal(), made.Credential.ExpiresAt, secure)
	http.SetCookie(rw, &cookie)
	http.Redirect(rw, r, "/", http.StatusSeeOther)
}

func style(rw http.ResponseWriter, _ *http.Request) {
	css, err := files.ReadFile("pages/style.css")
	if err != nil {
		http.Error(rw, "internal error", http.StatusInternalServerError)
		return
	}
	rw.Header().Set("Content-Type", "text/css; charset=utf-8")
	rw.Header().Set("Cache-Control", "max-age=3600")
	_, _ = rw.Write(css)
}

func render(rw http.ResponseWriter, status int, page string, v view) {
	var b bytes.Buffer
	if err := pages.ExecuteTemplate(&b, page, v); err != nil {
		http.Error(rw, "internal error", http.StatusInternalServerError)
		return
	}
	h := rw.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'")
	rw.WriteHeader(status)
	_, _ = rw.Write(b.Bytes())
}

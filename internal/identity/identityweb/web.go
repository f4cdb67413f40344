package identityweb

import (
	"context"
	"net/http"
	"strings"
	"time"

	"fairlead/internal/audit"
	"fairlead/internal/fault"
	"fairlead/internal/httpx"
	"fairlead/internal/identity"
	"fairlead/internal/principal"
	"fairlead/internal/redact"
	"fairlead/internal/sqldb"
	"fairlead/internal/webui"
)

type web struct {
	p         *webui.Portal
	svc       *identity.Service
	log       *audit.Log
	publicURL string
	landing   Landing
}

// Services is what the pages show.
type Services struct {
	Identity  *identity.Service
	Audit     *audit.Log
	PublicURL string // what sign-in links begin with
	Landing   Landing
}

// Landing is another page than Home that somebody who has just signed in is
// led to, when it is for them. The zero value is none.
type Landing struct {
	To   string
	When func(ctx context.Context) bool // of who has signed in
}

// Mount adds the pages. The link's GET changes nothing, so that a preview of a
// mailed link does not use it up; the button's POST does.
func Mount(p *webui.Portal, s Services) {
	w := &web{p, s.Identity, s.Audit, s.PublicURL, s.Landing}
	p.Public("GET /sign-in", w.form)
	p.Raw("POST /sign-in", true, http.HandlerFunc(w.signIn))
	p.Raw("POST /sign-out", true, http.HandlerFunc(w.signOut))
	p.Page("GET /signed-in", func(*webui.Request) (webui.View, error) {
		return webui.View{Title: "Signed in", Bare: true, Body: signedIn()}, nil
	})
	p.Page("GET /account", w.account)
	p.Action("POST /account/password", w.setPassword)
	p.Action("POST /account/sessions/{session}/end", w.endSession)
	w.mountTeams(p)
	w.mountTokens(p)
	w.mountUsers(p)
}

// entry is what the sign-in page shows.
type entry struct {
	Link, Next, Name string
	Err              error
}

func (w *web) form(r *webui.Request) (webui.View, error) {
	next := webui.Local(r.URL.Query().Get("next"))
	return signInView(entry{Link: r.URL.Query().Get("link"), Next: next}, http.StatusOK), nil
}

func signInView(e entry, status int) webui.View {
	return webui.View{Title: "Sign in", Bare: true, Status: status, Body: signInPage(e)}
}

func (w *web) signIn(rw http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		w.p.Show(rw, r, signInView(entry{Err: fault.New(fault.Invalid, "invalid_form", "the form could not be read").WithHint("send it again")}, http.StatusBadRequest))
		return
	}
	next := webui.Local(r.PostForm.Get("next"))
	in := identity.SignIn{Agent: r.UserAgent()}
	if link := r.PostForm.Get("link"); link != "" {
		in.Link = redact.New(link)
	} else {
		in.Name, in.Password = strings.TrimSpace(r.PostForm.Get("name")), redact.New(r.PostForm.Get("password"))
	}
	// The session that the browser had ends with this sign-in.
	made, err := w.svc.SignIn(r.Context(), in)
	if err != nil {
		w.p.Show(rw, r, signInView(entry{Next: next, Name: in.Name, Err: err}, httpx.Status(fault.KindOf(err))))
		return
	}
	cookie := httpx.NewSessionCookie(made.Value.Reveal(), made.Credential.ExpiresAt, w.p.Secure(r))
	http.SetCookie(rw, &cookie)
	if next == "/" && w.landing.When != nil {
		if who, err := w.svc.AuthenticateSession(r.Context(), made.Value); err == nil && w.landing.When(principal.With(r.Context(), who)) {
			next = w.landing.To
		}
	}
	http.Redirect(rw, r, next, http.StatusSeeOther) //nolint:gosec // Local lets only our own addresses through
}

func (w *web) signOut(rw http.ResponseWriter, r *http.Request) {
	if principal.From(r.Context()).Kind != principal.Anonymous {
		if err := w.svc.SignOut(r.Context()); err != nil {
			w.p.Fail(rw, r, err)
			return
		}
	}
	for _, secure := range []bool{true, false} {
		if secure && !w.p.Secure(r) {
			continue
		}
		c := httpx.NewSessionCookie("", time.Unix(1, 0), secure)
		c.MaxAge = -1
		http.SetCookie(rw, &c)
	}
	rw.Header().Set("Clear-Site-Data", `"cache"`)
	http.Redirect(rw, r, "/sign-in", http.StatusSeeOther)
}

// accountView is what the account page shows.
type accountView struct {
	me       identity.Me
	sessions []identity.Session
	more     bool
	err      error // of the password form
}

func (w *web) account(r *webui.Request) (webui.View, error) { return w.showAccount(r, nil) }

func (w *web) showAccount(r *webui.Request, failed error) (webui.View, error) {
	me, err := w.svc.Me(r.Context())
	if err != nil {
		return webui.View{}, err
	}
	sessions, next, err := w.svc.Sessions(r.Context(), sqldb.Page{Limit: 20})
	if err != nil {
		return webui.View{}, err
	}
	v := webui.View{Title: "Account", Body: accountPage(accountView{me: me, sessions: sessions, more: next != "", err: failed}),
		API: "GET /api/v1/me", CLI: "fairlead whoami", Docs: "/docs/getting-started"}
	if failed != nil {
		v.Status = httpx.Status(fault.KindOf(failed))
	}
	return v, nil
}

func (w *web) setPassword(r *webui.Request) (webui.Answer, error) {
	next := r.PostForm.Get("next")
	var err error
	if next != r.PostForm.Get("again") {
		err = fault.New(fault.Invalid, "passwords_differ", "the two passwords are not the same").WithHint("type the new one twice")
	} else {
		err = w.svc.SetPassword(r.Context(), redact.New(r.PostForm.Get("current")), redact.New(next))
	}
	if err != nil {
		v, verr := w.showAccount(r, err)
		return webui.Answer{View: &v}, verr
	}
	return webui.Answer{To: "/account", Flash: "Your password is set. Your other sessions have ended."}, nil
}

func (w *web) endSession(r *webui.Request) (webui.Answer, error) {
	if err := w.svc.RevokeSession(r.Context(), r.Path("session")); err != nil {
		return webui.Answer{}, err
	}
	return webui.Answer{To: "/account", Flash: "The session has ended."}, nil
}

package identityweb

import (
	"slices"
	"strings"
	"time"

	"fairlead/internal/fault"
	"fairlead/internal/httpx"
	"fairlead/internal/identity"
	"fairlead/internal/sqldb"
	"fairlead/internal/webui"
)

const day = 24 * time.Hour

var lifetimes = []webui.Option{{Value: "24h", Title: "A day"}, {Value: "168h", Title: "A week"}, {Value: "720h", Title: "30 days"}, {Value: "2160h", Title: "90 days"}, {Value: "8760h", Title: "A year"}}

func (w *web) mountTokens(p *webui.Portal) {
	p.Page("GET /tokens", w.tokens)
	p.Action("POST /tokens", w.createToken)
	p.Action("POST /tokens/{token}/revoke", w.revokeToken)
}

// tokenForm is what somebody wrote into the form for a new token.
type tokenForm struct{ name, robot, scopes, lifetime string }

type tokensView struct {
	list   []identity.Token
	next   string
	robots []webui.Option
	form   tokenForm
	made   *identity.Issued[identity.Token] // shown this once
	err    error
}

func (w *web) tokens(r *webui.Request) (webui.View, error) {
	return w.showTokens(r, tokensView{form: tokenForm{lifetime: "2160h", robot: r.Query("robot")}})
}

func (w *web) showTokens(r *webui.Request, v tokensView) (webui.View, error) {
	page, err := r.PageOf(30)
	if err != nil {
		return webui.View{}, err
	}
	f := identity.TokenFilter{All: r.Query("whose") == "all", Ended: r.Query("ended") == "also", Sort: r.Query("sort")}
	if v.list, v.next, err = w.svc.Tokens(r.Context(), f, page); err != nil {
		return webui.View{}, err
	}
	enabled := false
	robots, _, err := w.svc.Robots(r.Context(), identity.RobotFilter{Disabled: &enabled}, sqldb.Page{Limit: 100})
	if err != nil {
		return webui.View{}, err
	}
	for _, b := range robots {
		v.robots = append(v.robots, webui.Option{Value: b.Name, Title: "Robot " + b.Name + " of " + b.Team})
	}
	view := webui.View{Title: "Tokens", Body: tokensPage(r, v), API: "GET /api/v1/tokens", CLI: "fairlead token ls", Docs: "/docs/getting-started"}
	if v.err != nil {
		view.Status = httpx.Status(fault.KindOf(v.err))
	}
	return view, nil
}

// createToken answers with the page itself: the value is nowhere else, and is
// not kept for a page that could be asked for again.
func (w *web) createToken(r *webui.Request) (webui.Answer, error) {
	form := tokenForm{name: r.Field("name"), robot: r.Field("robot"), scopes: r.Field("scopes"), lifetime: r.Field("lifetime")}
	in := identity.NewToken{Name: form.name, Robot: form.robot, Scopes: strings.FieldsFunc(form.scopes, func(c rune) bool { return c == ',' || c == ' ' || c == '\n' || c == '\r' })}
	if slices.ContainsFunc(lifetimes, func(o webui.Option) bool { return o.Value == form.lifetime }) {
		in.Lifetime, _ = time.ParseDuration(form.lifetime)
	}
	made, err := w.svc.CreateToken(r.Context(), in)
	switch {
	case err == nil:
		v, verr := w.showTokens(r, tokensView{made: &made, form: tokenForm{lifetime: "2160h"}})
		return webui.Answer{View: &v}, verr
	case failed(err):
		v, verr := w.showTokens(r, tokensView{form: form, err: err})
		return webui.Answer{View: &v}, verr
	}
	return webui.Answer{}, err
}

func (w *web) revokeToken(r *webui.Request) (webui.Answer, error) {
	if err := w.svc.RevokeToken(r.Context(), r.Path("token")); err != nil {
		return webui.Answer{}, err
	}
	return webui.Answer{To: "/tokens", Flash: "The token is revoked. What used it is signed out now."}, nil
}

// tokenState says how a token is, at a glance.
func tokenState(t identity.Token) (webui.Tone, string) {
	switch left := time.Until(t.ExpiresAt); {
	case !t.RevokedAt.IsZero():
		return webui.Idle, "revoked"
	case left <= 0:
		return webui.Idle, "expired"
	case left < 7*day:
		return webui.Warn, "expires soon"
	}
	return webui.OK, "active"
}

func ended(t identity.Token) bool { return !t.RevokedAt.IsZero() || !t.ExpiresAt.After(time.Now()) }

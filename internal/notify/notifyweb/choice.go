package notifyweb

import (
	"fairlead/internal/fault"
	"fairlead/internal/httpx"
	"fairlead/internal/notify"
	"fairlead/internal/webui"
)

// ChoicePath is the page on which somebody chooses what they are told.
const ChoicePath = "/account/notifications"

type choiceView struct {
	rung  []notify.Kind // the bell can ring for these
	other []notify.Kind // and of these there is mail alone
	sends bool
	err   error
}

func (w *web) choice(r *webui.Request) (webui.View, error) { return w.showChoice(r, nil) }

func (w *web) showChoice(r *webui.Request, failed error) (webui.View, error) {
	c, err := w.svc.Choice(r.Context())
	if err != nil {
		return webui.View{}, err
	}
	v := choiceView{sends: w.svc.SendsMail(), err: failed}
	for _, k := range c.Kinds() {
		if k.Rings {
			v.rung = append(v.rung, k)
		} else {
			v.other = append(v.other, k)
		}
	}
	view := webui.View{Title: "What you are told", Body: choicePage(v), API: "GET /api/v1/me/notifications", CLI: "fairlead notifications show", Docs: "/docs/portal",
		Crumbs: []webui.Crumb{{Title: "Home", Href: "/"}, {Title: "Account", Href: "/account"}, {Title: "What you are told"}}}
	if failed != nil {
		view.Status = httpx.Status(fault.KindOf(failed))
	}
	return view, nil
}

// choose takes what is ticked, or that all is to be as it is by default.
func (w *web) choose(r *webui.Request) (webui.Answer, error) {
	change, said := notify.ChoiceChange{Muted: &[]string{}, Quiet: &[]string{}, Mailed: &[]string{}}, "Back to the default, from now on."
	if r.Field("default") == "" {
		was, err := w.svc.Choice(r.Context())
		if err != nil {
			return webui.Answer{}, err
		}
		change, said = was.Ticked(r.PostForm["bell"], r.PostForm["mail"]), "Saved. It holds for what happens from now on."
	}
	_, err := w.svc.Choose(r.Context(), change)
	switch {
	case err == nil:
		return webui.Answer{To: ChoicePath, Flash: said}, nil
	case failed(err):
		v, verr := w.showChoice(r, err)
		return webui.Answer{View: &v}, verr
	}
	return webui.Answer{}, err
}

package resourceweb

import (
	"strings"

	"github.com/a-h/templ"

	"fairlead/internal/resource"
	"fairlead/internal/webui"
)

// references is the list that outputs are picked from.
func (w *web) references(r *webui.Request) (templ.Component, error) {
	inProject, in, _ := strings.Cut(orSign(r.Query("in"), r.Query("where")), "/")
	page, err := r.PageOf(1)
	if err != nil {
		return nil, err
	}
	if in == "" {
		return offersPart(r, nil, ""), nil
	}
	f := resource.OfferFilter{Search: r.Query("q"), Type: r.Query("kind"), Secret: r.Query("secret") == "true", Except: r.Query("except")}
	list, next, err := w.Resources.Offers(r.Context(), inProject, in, f, page.After)
	return offersPart(r, list, r.Next(next)), err
}

// worth is what an output holds now, as far as it may be shown.
func worth(o resource.Offer) string {
	switch {
	case o.Sensitive:
		return "secret"
	case o.Value == nil:
		return "not there yet: " + webui.Words(string(o.Phase))
	}
	return written(o.Value, true)
}

package notifyweb

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"fairlead/internal/event"
	"fairlead/internal/fault"
	"fairlead/internal/httpx"
	"fairlead/internal/notify"
	"fairlead/internal/principal"
	"fairlead/internal/webui"
)

type web struct{ svc *notify.Service }

// Mount adds the pages.
func Mount(p *webui.Portal, svc *notify.Service) {
	w := &web{svc}
	p.Page("GET /webhooks", w.list)
	p.Action("POST /webhooks", w.create)
	p.LivePage("GET /webhooks/{webhook}", w.one, w.live)
	p.Action("POST /webhooks/{webhook}", w.change)
	p.Action("POST /webhooks/{webhook}/enabled", w.enable)
	p.Action("POST /webhooks/{webhook}/rotate", w.rotate)
	p.Action("POST /webhooks/{webhook}/ping", w.ping)
	p.Action("POST /webhooks/{webhook}/delete", w.remove)
	p.LivePage("GET /deliveries/{delivery}", w.delivery, w.liveDelivery)
	p.Action("POST /deliveries/{delivery}/again", w.again)
	w.mountMail(p)
	w.mountFeed(p)
}

func failed(err error) bool {
	switch fault.KindOf(err) {
	case fault.Invalid, fault.Conflict, fault.Stale, fault.Denied:
		return true
	}
	return false
}

// form is what somebody wrote about a webhook.
type form struct{ team, url, types, description string }

func formOf(r *webui.Request) form {
	return form{team: r.Field("team"), url: r.Field("url"), types: r.Field("types"), description: r.Field("description")}
}

// patterns are what is between spaces and commas.
func (f form) patterns() []string {
	return strings.FieldsFunc(f.types, func(c rune) bool { return c == ',' || c == ' ' || c == '\n' || c == '\r' || c == '\t' })
}

// wrong gives what is wrong with one field, to be shown beside it.
func wrong(err error, field string) string {
	if err == nil {
		return ""
	}
	f := fault.From(err)
	switch {
	case f.Field != field:
		return ""
	case f.Hint != "":
		return f.Message + "; " + f.Hint
	}
	return f.Message
}

// above is what a form says before its fields: nothing where a field says it.
func above(err error) error {
	for _, field := range []string{"/url", "/types", "/description"} {
		if wrong(err, field) != "" {
			return nil
		}
	}
	return err
}

type listView struct {
	list []notify.Webhook
	next string
	all  bool // the caller looks after the organisation's
	form form
	err  error
}

func (w *web) list(r *webui.Request) (webui.View, error) { return w.showList(r, listView{}) }

func (w *web) showList(r *webui.Request, v listView) (webui.View, error) {
	page, err := r.PageOf(30)
	if err != nil {
		return webui.View{}, err
	}
	v.all = r.Who().HasOrgRole(principal.PlatformAdmin)
	if v.list, v.next, err = w.svc.List(r.Context(), notify.Filter{Team: r.Query("q"), Sort: r.Query("sort")}, page); err != nil {
		return webui.View{}, err
	}
	view := webui.View{Title: "Webhooks", Body: listPage(r, v), API: "GET /api/v1/webhooks", CLI: "fairlead webhook ls", Docs: "/docs/webhooks"}
	if v.err != nil {
		view.Status = httpx.Status(fault.KindOf(v.err))
	}
	return view, nil
}

// create answers with the page itself: the secret is nowhere else.
func (w *web) create(r *webui.Request) (webui.Answer, error) {
	f := formOf(r)
	made, secret, err := w.svc.Create(r.Context(), notify.NewWebhook{Team: f.team, URL: f.url, Types: f.patterns(), Description: f.description})
	switch {
	case err == nil:
		v, verr := w.show(r, view{id: made.ID, secret: secret.Reveal(), fresh: true})
		return webui.Answer{View: &v}, verr
	case failed(err), fault.Is(err, fault.NotFound): // no such team
		v, verr := w.showList(r, listView{form: f, err: err})
		return webui.Answer{View: &v}, verr
	}
	return webui.Answer{}, err
}

type view struct {
	notify.Webhook
	id         string
	deliveries []notify.Delivery
	next       string
	secret     string // shown this once
	fresh      bool   // it was just made
	form       *form
	err        error
}

// edit is what the form about the webhook holds.
func (v view) edit() form {
	if v.form != nil {
		return *v.form
	}
	return form{url: v.URL, types: strings.Join(v.Types, " "), description: v.Description}
}

// host is what names a webhook to people.
func host(w notify.Webhook) string {
	if u, err := url.Parse(w.URL); err == nil && u.Host != "" {
		return u.Host
	}
	return w.ID
}

func state(w notify.Webhook) (webui.Tone, string) {
	switch {
	case !w.Enabled:
		return webui.Idle, "disabled"
	case w.Failures > 0:
		return webui.Bad, "failing"
	}
	return webui.OK, "ready"
}

func (v view) stamp() string {
	var b strings.Builder
	fmt.Fprint(&b, v.Version, v.Failures, v.Enabled)
	for _, d := range v.deliveries {
		b.WriteString(d.ID + string(d.Status) + strconv.FormatInt(d.Attempts, 10) + d.UpdatedAt.String())
	}
	return b.String()
}

func (w *web) look(r *webui.Request, v *view) error {
	page, err := r.PageOf(20)
	if err != nil {
		return err
	}
	if v.id == "" {
		v.id = r.Path("webhook")
	}
	if v.Webhook, err = w.svc.Get(r.Context(), v.id); err != nil {
		return err
	}
	v.deliveries, v.next, err = w.svc.Deliveries(r.Context(), v.id, notify.DeliveryFilter{Status: notify.Status(r.Query("status")), Type: r.Query("q")}, page)
	return err
}

func (w *web) one(r *webui.Request) (webui.View, error) { return w.show(r, view{}) }

func (w *web) show(r *webui.Request, v view) (webui.View, error) {
	if err := w.look(r, &v); err != nil {
		return webui.View{}, err
	}
	out := webui.View{Title: host(v.Webhook), Body: onePage(r, v), Stamp: v.stamp(), API: "GET /api/v1/webhooks/" + v.ID + "/deliveries", CLI: "fairlead webhook deliveries " + v.ID, Docs: "/docs/webhooks",
		Crumbs: []webui.Crumb{{Title: "Home", Href: "/"}, {Title: "Webhooks", Href: "/webhooks"}, {Title: host(v.Webhook)}}}
	if v.err != nil {
		out.Status = httpx.Status(fault.KindOf(v.err))
	}
	return out, nil
}

func (w *web) live(r *webui.Request) (string, []string, error) {
	var v view
	err := w.look(r, &v)
	return v.stamp(), []string{notify.Topic}, err
}

// done comes back to the webhook's page after something was done there.
func (w *web) done(r *webui.Request, said string, f *form, err error) (webui.Answer, error) {
	switch {
	case err == nil:
		return webui.Answer{To: webui.To("webhooks", r.Path("webhook")), Flash: said}, nil
	case failed(err):
		v, verr := w.show(r, view{form: f, err: err})
		return webui.Answer{View: &v}, verr
	}
	return webui.Answer{}, err
}

func (w *web) change(r *webui.Request) (webui.Answer, error) {
	f := formOf(r)
	types := f.patterns()
	version, _ := strconv.ParseInt(r.Field("version"), 10, 64)
	_, err := w.svc.Update(r.Context(), r.Path("webhook"), notify.Change{URL: &f.url, Types: &types, Description: &f.description}, version)
	return w.done(r, "Saved.", &f, err)
}

func (w *web) enable(r *webui.Request) (webui.Answer, error) {
	on := r.Field("enabled") == "true"
	_, err := w.svc.Update(r.Context(), r.Path("webhook"), notify.Change{Enabled: &on}, 0)
	said := "Disabled: it is told nothing until you enable it again."
	if on {
		said = "Enabled: it is told what happens from now on."
	}
	return w.done(r, said, nil, err)
}

var overlaps = []webui.Option{{Value: "24h", Title: "A day"}, {Value: "1h", Title: "An hour"}, {Value: "168h", Title: "A week"}, {Value: "0s", Title: "Not at all: it may have leaked"}}

func (w *web) rotate(r *webui.Request) (webui.Answer, error) {
	overlap, err := time.ParseDuration(r.Field("overlap"))
	if err != nil {
		overlap = notify.DefaultOverlap
	}
	_, secret, err := w.svc.Rotate(r.Context(), r.Path("webhook"), notify.Rotation{URL: r.Field("url"), Overlap: overlap}, 0)
	if err != nil {
		return w.done(r, "", nil, err)
	}
	v, err := w.show(r, view{secret: secret.Reveal()})
	return webui.Answer{View: &v}, err
}

func (w *web) ping(r *webui.Request) (webui.Answer, error) {
	_, err := w.svc.Ping(r.Context(), r.Path("webhook"))
	return w.done(r, "A test event is on its way.", nil, err)
}

func (w *web) remove(r *webui.Request) (webui.Answer, error) {
	hook, err := w.svc.Get(r.Context(), r.Path("webhook"))
	if err == nil && r.Field("confirm") != host(hook) {
		err = fault.New(fault.Invalid, "not_confirmed", "the name that was typed is not %s", host(hook)).WithHint("type the host of the webhook to delete it")
	}
	if err == nil {
		err = w.svc.Delete(r.Context(), hook.ID, 0)
	}
	if err != nil {
		return w.done(r, "", nil, err)
	}
	return webui.Answer{To: "/webhooks", Flash: "The webhook is deleted."}, nil
}

type deliveryView struct {
	notify.Delivery
	hook *notify.Webhook // nil for mail
	err  error
}

func (v deliveryView) stamp() string {
	return string(v.Status) + strconv.FormatInt(v.Attempts, 10) + v.UpdatedAt.String()
}

func (w *web) delivery(r *webui.Request) (webui.View, error) { return w.showDelivery(r, nil) }

func (w *web) showDelivery(r *webui.Request, err error) (webui.View, error) {
	v := deliveryView{err: err}
	if v.Delivery, err = w.svc.Delivery(r.Context(), r.Path("delivery")); err != nil {
		return webui.View{}, err
	}
	crumbs, title, cli := []webui.Crumb{{Title: "Home", Href: "/"}, {Title: "Mail", Href: MailPath}}, v.Subject, "fairlead mail redeliver "
	if v.Target != notify.Mail {
		crumbs, title, cli = []webui.Crumb{{Title: "Home", Href: "/"}, {Title: "Webhooks", Href: "/webhooks"}}, v.EventType, "fairlead webhook redeliver "
		hook, err := w.svc.Get(r.Context(), v.Target)
		if err != nil {
			return webui.View{}, err
		}
		v.hook = &hook
		crumbs = append(crumbs, webui.Crumb{Title: host(hook), Href: webui.To("webhooks", hook.ID)})
	}
	out := webui.View{Title: either(title, v.EventType), Body: deliveryPage(v), Stamp: v.stamp(), API: "GET /api/v1/deliveries/" + v.ID, CLI: cli + v.ID, Docs: "/docs/webhooks",
		Crumbs: append(crumbs, webui.Crumb{Title: either(title, v.EventType)})}
	if v.err != nil {
		out.Status = httpx.Status(fault.KindOf(v.err))
	}
	return out, nil
}

func (w *web) liveDelivery(r *webui.Request) (string, []string, error) {
	d, err := w.svc.Delivery(r.Context(), r.Path("delivery"))
	return deliveryView{Delivery: d}.stamp(), []string{notify.Topic}, err
}

func (w *web) again(r *webui.Request) (webui.Answer, error) {
	d, err := w.svc.Redeliver(r.Context(), r.Path("delivery"))
	switch {
	case err == nil:
		to := webui.To("deliveries", d.ID)
		if r.Field("from") == "list" {
			to = webui.To("webhooks", d.Target)
		}
		if r.Field("from") == "list" && d.Target == notify.Mail {
			to = MailPath
		}
		return webui.Answer{To: to, Flash: "It is sent again."}, nil
	case failed(err):
		v, verr := w.showDelivery(r, err)
		return webui.Answer{View: &v}, verr
	}
	return webui.Answer{}, err
}

// types are all events that there are, for who writes a pattern.
func types() []event.Type { return event.Catalogue() }

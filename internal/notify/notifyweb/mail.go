package notifyweb

import (
	"strconv"
	"strings"

	"fairlead/internal/notify"
	"fairlead/internal/webui"
)

// MailPath is the page of what goes by e-mail.
const MailPath = "/mail"

func (w *web) mountMail(p *webui.Portal) { p.LivePage("GET "+MailPath, w.mails, w.mailsLive) }

type mailsView struct {
	list  []notify.Delivery
	next  string
	sends bool // there is a mail server
}

func (v mailsView) stamp() string {
	var b strings.Builder
	for _, d := range v.list {
		b.WriteString(d.ID + string(d.Status) + strconv.FormatInt(d.Attempts, 10) + d.UpdatedAt.String())
	}
	return b.String()
}

func (w *web) lookMails(r *webui.Request) (mailsView, error) {
	v := mailsView{sends: w.svc.SendsMail()}
	page, err := r.PageOf(30)
	if err != nil {
		return v, err
	}
	v.list, v.next, err = w.svc.Mails(r.Context(), notify.DeliveryFilter{Status: notify.Status(r.Query("status")), Type: r.Query("type"), To: r.Query("q")}, page)
	return v, err
}

func (w *web) mails(r *webui.Request) (webui.View, error) {
	v, err := w.lookMails(r)
	if err != nil {
		return webui.View{}, err
	}
	return webui.View{Title: "Mail", Body: mailsPage(r, v), Stamp: v.stamp(), API: "GET /api/v1/mail/deliveries", CLI: "fairlead mail ls", Docs: "/docs/configuration"}, nil
}

func (w *web) mailsLive(r *webui.Request) (string, []string, error) {
	v, err := w.lookMails(r)
	return v.stamp(), []string{notify.Topic}, err
}

// mailed are the types that there can be mail about.
func mailed() []webui.Option {
	out := []webui.Option{}
	for _, k := range (notify.Choice{}).Kinds() {
		out = append(out, webui.Option{Value: k.Type, Title: k.Type})
	}
	return out
}

// addressee is whom a mail is for, by the name that is known of them.
func addressee(d notify.Delivery) string {
	switch {
	case d.User == "":
		return d.Recipient
	case d.Email == "":
		return d.User
	}
	return d.User + ", " + d.Email
}

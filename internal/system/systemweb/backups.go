package systemweb

import (
	"net/http"
	"strings"
	"time"

	"fairlead/internal/backup"
	"fairlead/internal/fault"
	"fairlead/internal/redact"
	"fairlead/internal/webui"
)

func (w *web) mountBackups() {
	w.p.Page("GET /system/backups", w.backups)
	w.p.Download("POST /system/backups", http.HandlerFunc(w.makeBackup))
}

type backupsView struct {
	list       []backup.Record
	next       string
	now        time.Time
	may        bool
	recipients string // that somebody wrote into the form
	err        error
}

func (w *web) backups(r *webui.Request) (webui.View, error) { return w.showBackups(r, "", nil) }

func (w *web) showBackups(r *webui.Request, recipients string, err error) (webui.View, error) {
	v := backupsView{now: time.Now(), may: manages(r), recipients: recipients, err: err}
	p, err := r.PageOf(30)
	if err != nil {
		return webui.View{}, err
	}
	if v.list, v.next, err = w.Backups.List(r.Context(), p); err != nil {
		return webui.View{}, err
	}
	return page(r, "Backups", webui.View{Body: backupsPage(r, v), API: "GET /api/v1/system/backups", CLI: "fairlead backup --recipient age1… control-plane.age"}, v.err), nil
}

// makeBackup answers with the file, or with the form and what is wrong with it.
func (w *web) makeBackup(rw http.ResponseWriter, r *http.Request) {
	req := &webui.Request{Request: r}
	if err := r.ParseForm(); err != nil {
		w.p.Fail(rw, r, fault.New(fault.Invalid, "invalid_form", "the form could not be read").WithHint("send it again"))
		return
	}
	recipients := strings.Fields(req.Field("recipients"))
	e := backup.Encryption{Recipients: recipients, Passphrase: redact.New(r.PostForm.Get("passphrase"))}
	var err error
	if r.PostForm.Get("passphrase") != r.PostForm.Get("again") {
		err = fault.New(fault.Invalid, "passwords_differ", "the two passphrases are not the same").WithHint("type it twice")
	}
	var b *backup.Backup
	if err == nil {
		b, err = w.Backups.Create(r.Context(), e)
	}
	if err != nil {
		if !failed(err) {
			w.p.Fail(rw, r, err)
			return
		}
		v, verr := w.showBackups(req, strings.Join(recipients, "\n"), err)
		if verr != nil {
			w.p.Fail(rw, r, verr)
			return
		}
		w.p.Show(rw, r, v)
		return
	}
	h := rw.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Disposition", `attachment; filename="fairlead-backup-`+time.Now().UTC().Format("20060102T150405Z")+`.age"`)
	_ = b.Write(r.Context(), rw) // what broke off is noted, and restore refuses it
}

func stateTone(state string) webui.Tone {
	switch state {
	case "whole":
		return webui.OK
	case "writing":
		return webui.Busy
	}
	return webui.Bad
}

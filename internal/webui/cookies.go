package webui

import (
	"encoding/base64"
	"net/http"
	"time"
)

const (
	themeCookie = "fairlead_theme"
	flashCookie = "fairlead_flash"
	maxFlash    = 400
)

func themeOf(r *http.Request) string {
	if c, err := r.Cookie(themeCookie); err == nil && (c.Value == "light" || c.Value == "dark") {
		return c.Value
	}
	return "system"
}

// setTheme keeps somebody's theme and goes back to where they were.
func (p *Portal) setTheme(w http.ResponseWriter, r *http.Request) {
	theme, back := r.PostFormValue("theme"), Local(r.PostFormValue("back"))
	c := http.Cookie{Name: themeCookie, Value: theme, Path: "/", MaxAge: 400 * 24 * 3600, SameSite: http.SameSiteLaxMode, HttpOnly: true, Secure: p.Secure(r)}
	if theme != "light" && theme != "dark" {
		c.Value, c.MaxAge = "", -1
	}
	http.SetCookie(w, &c)
	http.Redirect(w, r, back, http.StatusSeeOther) //nolint:gosec // Local lets only our own addresses through
}

// setFlash keeps a sentence for the next page. It is text, and shown as such:
// who could plant the cookie could write a sentence, no more.
func setFlash(w http.ResponseWriter, secure bool, text string) {
	text = text[:min(len(text), maxFlash)]
	http.SetCookie(w, &http.Cookie{Name: flashCookie, Value: base64.RawURLEncoding.EncodeToString([]byte(text)), Path: "/",
		Expires: time.Now().Add(time.Minute), SameSite: http.SameSiteStrictMode, HttpOnly: true, Secure: secure})
}

func takeFlash(w http.ResponseWriter, r *http.Request, secure bool) string {
	c, err := r.Cookie(flashCookie)
	if err != nil || len(c.Value) > 2*maxFlash {
		return ""
	}
	http.SetCookie(w, &http.Cookie{Name: flashCookie, Path: "/", MaxAge: -1, HttpOnly: true, Secure: secure})
	text, err := base64.RawURLEncoding.DecodeString(c.Value)
	if err != nil {
		return ""
	}
	return string(text)
}

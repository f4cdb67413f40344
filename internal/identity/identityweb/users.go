package identityweb

import (
	"context"
	"net/url"
	"slices"
	"strings"

	"fairlead/internal/audit"
	"fairlead/internal/fault"
	"fairlead/internal/httpx"
	"fairlead/internal/identity"
	"fairlead/internal/principal"
	"fairlead/internal/sqldb"
	"fairlead/internal/webui"
)

// orgRoles are the roles that the organisation gives, and what each lets one do.
var orgRoles = []orgRole{
	{principal.PlatformAdmin, "Platform admin", "Does everything, everywhere, and all of it is audited."},
	{principal.Auditor, "Auditor", "Sees everything but secrets, and changes nothing."},
}

type orgRole struct {
	role        principal.Role
	title, says string
}

func orgRoleOf(role principal.Role) orgRole {
	if i := slices.IndexFunc(orgRoles, func(o orgRole) bool { return o.role == role }); i >= 0 {
		return orgRoles[i]
	}
	return orgRole{role, webui.Words(string(role)), ""}
}

func (w *web) mountUsers(p *webui.Portal) {
	p.Page("GET /users", w.users)
	p.Action("POST /users", w.createUser)
	p.Page("GET /users/{user}", w.user)
	p.Action("POST /users/{user}", w.changeUser)
	p.Action("POST /users/{user}/link", w.linkUser)
	p.Action("POST /users/{user}/reset", w.resetUser)
	p.Action("POST /users/{user}/disabled", w.disableUser)
	p.Action("POST /users/{user}/sessions/end", w.endSessions)
	p.Action("POST /users/{user}/roles/{role}/give", w.giveRole)
	p.Action("POST /users/{user}/roles/{role}/take", w.takeRole)
}

// userForm is what somebody wrote about a user.
type userForm struct{ name, display, email string }

func userFormOf(r *webui.Request) userForm {
	return userForm{name: r.Field("name"), display: r.Field("displayName"), email: r.Field("email")}
}

type usersView struct {
	list []identity.User
	next string
	may  bool // make one
	form userForm
	err  error
}

func (w *web) users(r *webui.Request) (webui.View, error) { return w.showUsers(r, usersView{}) }

func (w *web) showUsers(r *webui.Request, v usersView) (webui.View, error) {
	page, err := r.PageOf(30)
	if err != nil {
		return webui.View{}, err
	}
	v.may = r.Who().HasOrgRole(principal.PlatformAdmin)
	f := identity.UserFilter{Search: r.Query("q"), Team: r.Query("team"), Role: principal.Role(r.Query("role")), Sort: r.Query("sort")}
	if is := r.Query("is"); is != "" {
		disabled := is == "disabled"
		f.Disabled = &disabled
	}
	if v.list, v.next, err = w.svc.Users(r.Context(), f, page); err != nil {
		return webui.View{}, err
	}
	view := webui.View{Title: "Users", Body: usersPage(r, v), API: "GET /api/v1/users", CLI: "fairlead user ls", Docs: "/docs/portal"}
	if v.err != nil {
		view.Status = httpx.Status(fault.KindOf(v.err))
	}
	return view, nil
}

func (w *web) createUser(r *webui.Request) (webui.Answer, error) {
	form := userFormOf(r)
	u, err := w.svc.CreateUser(r.Context(), identity.NewUser{Name: form.name, DisplayName: form.display, Email: form.email})
	switch {
	case err == nil:
		return webui.Answer{To: webui.To("users", u.Name), Flash: "The user is made. Give them a sign-in link, and add them to a team."}, nil
	case failed(err):
		v, verr := w.showUsers(r, usersView{form: form, err: err})
		return webui.Answer{View: &v}, verr
	}
	return webui.Answer{}, err
}

type userView struct {
	identity.User
	may       bool // manage them
	own       bool // it is the caller
	watches   bool // sees the audit log of others
	sessions  []identity.Session
	more      bool
	did, done []webui.Activity
	link      string // shown this once
	made      identity.Link
	reset     bool // the link came with a reset
	form      *userForm
	err       error
}

func (v userView) state() (webui.Tone, string) {
	switch {
	case !v.DisabledAt.IsZero():
		return webui.Idle, "disabled"
	case v.SignedInAt.IsZero():
		return webui.Warn, "never signed in"
	}
	return webui.OK, "active"
}

// gives are the roles that the user does not have yet.
func (v userView) gives() []orgRole {
	return slices.DeleteFunc(slices.Clone(orgRoles), func(o orgRole) bool { return slices.Contains(v.OrgRoles, o.role) })
}

// edit is what the form about the user holds.
func (v userView) edit() userForm {
	if v.form != nil {
		return *v.form
	}
	return userForm{display: v.DisplayName, email: v.Email}
}

func (w *web) user(r *webui.Request) (webui.View, error) { return w.showUser(r, userView{}) }

func (w *web) showUser(r *webui.Request, v userView) (webui.View, error) {
	ctx := r.Context()
	u, err := w.svc.User(ctx, r.Path("user"))
	if err != nil {
		return webui.View{}, err
	}
	who := r.Who()
	v.User, v.own, v.may = u, u.ID == who.ID, who.HasOrgRole(principal.PlatformAdmin)
	v.watches = v.may || who.HasOrgRole(principal.Auditor)
	if v.may {
		sessions, next, err := w.svc.UserSessions(ctx, u.ID, sqldb.Page{Limit: 10})
		if err != nil {
			return webui.View{}, err
		}
		v.sessions, v.more = sessions, next != ""
	}
	if v.watches {
		did, _, err := w.log.Search(ctx, audit.Filter{Actor: u.ID}, sqldb.Page{Limit: 8})
		if err != nil {
			return webui.View{}, err
		}
		done, _, err := w.log.Search(ctx, audit.Filter{TargetKind: "user", Target: u.ID}, sqldb.Page{Limit: 8})
		if err != nil {
			return webui.View{}, err
		}
		v.did, v.done = webui.ActivitiesOf(did), webui.ActivitiesOf(done)
	}
	view := webui.View{Title: u.Name, Body: userPage(v), API: "GET /api/v1/users/" + u.Name, CLI: "fairlead user show " + u.Name, Docs: "/docs/portal",
		Crumbs: []webui.Crumb{{Title: "Home", Href: "/"}, {Title: "Users", Href: "/users"}, {Title: u.Name}}}
	if v.err != nil {
		view.Status = httpx.Status(fault.KindOf(v.err))
	}
	return view, nil
}

// onUser comes back to a user's page after something was done there.
func (w *web) onUser(r *webui.Request, done string, err error) (webui.Answer, error) {
	switch {
	case err == nil:
		return webui.Answer{To: webui.To("users", r.Path("user")), Flash: done}, nil
	case failed(err):
		v, verr := w.showUser(r, userView{err: err})
		return webui.Answer{View: &v}, verr
	}
	return webui.Answer{}, err
}

// confirmed asks whether the user's name was typed.
func (w *web) confirmed(r *webui.Request) error {
	u, err := w.svc.User(r.Context(), r.Path("user"))
	if err == nil && r.Field("confirm") != u.Name {
		err = fault.New(fault.Invalid, "not_confirmed", "the name that was typed is not %s", u.Name).WithHint("type the user's name")
	}
	return err
}

func (w *web) changeUser(r *webui.Request) (webui.Answer, error) {
	form := userFormOf(r)
	_, err := w.svc.UpdateUser(r.Context(), r.Path("user"), identity.UserChange{DisplayName: &form.display, Email: &form.email}, 0)
	if err != nil && failed(err) {
		v, verr := w.showUser(r, userView{err: err, form: &form})
		return webui.Answer{View: &v}, verr
	}
	return w.onUser(r, "Saved.", err)
}

// linked answers with the page itself, as what it shows is nowhere else.
func (w *web) linked(r *webui.Request, made identity.Issued[identity.Link], reset bool, err error) (webui.Answer, error) {
	if err != nil {
		return w.onUser(r, "", err)
	}
	v, err := w.showUser(r, userView{made: made.Credential, reset: reset, link: w.publicURL + "/sign-in?link=" + url.QueryEscape(made.Value.Reveal())})
	return webui.Answer{View: &v}, err
}

func (w *web) linkUser(r *webui.Request) (webui.Answer, error) {
	made, err := w.svc.IssueLink(r.Context(), r.Path("user"))
	return w.linked(r, made, false, err)
}

func (w *web) resetUser(r *webui.Request) (webui.Answer, error) {
	if err := w.confirmed(r); err != nil {
		return w.onUser(r, "", err)
	}
	made, err := w.svc.Reset(r.Context(), r.Path("user"))
	return w.linked(r, made, true, err)
}

func (w *web) disableUser(r *webui.Request) (webui.Answer, error) {
	off := r.Field("disabled") == "true"
	if off {
		if err := w.confirmed(r); err != nil {
			return w.onUser(r, "", err)
		}
	}
	_, err := w.svc.UpdateUser(r.Context(), r.Path("user"), identity.UserChange{Disabled: &off}, 0)
	done := "Enabled. They need a sign-in link, or their password."
	if off {
		done = "Disabled. Their sessions and tokens have ended."
	}
	return w.onUser(r, done, err)
}

func (w *web) endSessions(r *webui.Request) (webui.Answer, error) {
	return w.onUser(r, "Their sessions have ended.", w.svc.RevokeSessions(r.Context(), r.Path("user")))
}

// role gives or takes a role in the organisation, once the name was typed.
func (w *web) role(r *webui.Request, do func(context.Context, identity.Grant) error, done string) (webui.Answer, error) {
	err := w.confirmed(r)
	if err == nil {
		err = do(r.Context(), identity.Grant{Member: r.Path("user"), Role: principal.Role(r.Path("role"))})
	}
	return w.onUser(r, done, err)
}

func (w *web) giveRole(r *webui.Request) (webui.Answer, error) {
	return w.role(r, w.svc.GrantRole, "They are now "+strings.ToLower(orgRoleOf(principal.Role(r.Path("role"))).title)+".")
}

func (w *web) takeRole(r *webui.Request) (webui.Answer, error) {
	return w.role(r, w.svc.RevokeRole, "They are "+strings.ToLower(orgRoleOf(principal.Role(r.Path("role"))).title)+" no more.")
}

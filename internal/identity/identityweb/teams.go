package identityweb

import (
	"slices"
	"strings"

	"fairlead/internal/fault"
	"fairlead/internal/httpx"
	"fairlead/internal/identity"
	"fairlead/internal/principal"
	"fairlead/internal/sqldb"
	"fairlead/internal/webui"
)

// teamRoles are the roles that a team gives.
var teamRoles = []webui.Option{{Value: string(principal.Developer), Title: "Developer"}, {Value: string(principal.Approver), Title: "Approver"},
	{Value: string(principal.Viewer), Title: "Viewer"}, {Value: string(principal.Auditor), Title: "Auditor"}, {Value: string(principal.TeamOwner), Title: "Team owner"}}

func (w *web) mountTeams(p *webui.Portal) {
	p.Page("GET /teams", w.teams)
	p.Action("POST /teams", w.createTeam)
	p.Page("GET /teams/{team}", w.team)
	p.Action("POST /teams/{team}/members", w.grant)
	p.Action("POST /teams/{team}/members/{member}/remove", w.removeMember)
	p.Action("POST /teams/{team}/members/{member}/roles/{role}/remove", w.revoke)
	p.Action("POST /teams/{team}/robots", w.createRobot)
	p.Action("POST /robots/{robot}", w.setRobot)
}

// failed tells a form that was filled in wrong, or may not be sent, from what
// its page cannot be shown after.
func failed(err error) bool {
	switch fault.KindOf(err) {
	case fault.Invalid, fault.Conflict, fault.Stale, fault.Denied:
		return true
	}
	return false
}

type teamsView struct {
	list []identity.Team
	next string
	may  bool // make one
	name string
	err  error
}

func (w *web) teams(r *webui.Request) (webui.View, error) { return w.showTeams(r, "", nil) }

func (w *web) showTeams(r *webui.Request, name string, err error) (webui.View, error) {
	page, perr := r.PageOf(30)
	if perr != nil {
		return webui.View{}, perr
	}
	v := teamsView{may: r.Who().HasOrgRole(principal.PlatformAdmin), name: name, err: err}
	f := identity.TeamFilter{Search: r.Query("q"), Sort: r.Query("sort")}
	if r.Query("whose") == "mine" {
		f.Member = r.Who().ID
	}
	if v.list, v.next, perr = w.svc.Teams(r.Context(), f, page); perr != nil {
		return webui.View{}, perr
	}
	view := webui.View{Title: "Teams", Body: teamsPage(r, v), API: "GET /api/v1/teams", CLI: "fairlead team ls", Docs: "/docs/getting-started"}
	if err != nil {
		view.Status = httpx.Status(fault.KindOf(err))
	}
	return view, nil
}

func (w *web) createTeam(r *webui.Request) (webui.Answer, error) {
	t, err := w.svc.CreateTeam(r.Context(), identity.NewTeam{Name: r.Field("name"), Title: r.Field("title")})
	switch {
	case err == nil:
		return webui.Answer{To: webui.To("teams", t.Name), Flash: "The team is made. Add who is in it."}, nil
	case failed(err):
		v, verr := w.showTeams(r, r.Field("name"), err)
		return webui.Answer{View: &v}, verr
	}
	return webui.Answer{}, err
}

type teamView struct {
	identity.Team
	members     []identity.Member
	first, next string
	robots      []identity.Robot
	moreRobots  bool
	owner       bool // the caller decides who is in it
	robotful    bool // the caller manages its robots
	member      string
	err         error
}

func (w *web) team(r *webui.Request) (webui.View, error) { return w.showTeam(r, nil) }

func (w *web) showTeam(r *webui.Request, err error) (webui.View, error) {
	ctx := r.Context()
	t, terr := w.svc.Team(ctx, r.Path("team"))
	if terr != nil {
		return webui.View{}, terr
	}
	page, terr := r.PageOf(30)
	if terr != nil {
		return webui.View{}, terr
	}
	who := r.Who()
	v := teamView{Team: t, first: r.First(), member: r.Field("member"), err: err}
	v.owner = who.HasOrgRole(principal.PlatformAdmin) || who.HasTeamRole(t.ID, principal.TeamOwner)
	v.robotful = v.owner
	if v.members, v.next, terr = w.svc.Members(ctx, t.ID, page); terr != nil {
		return webui.View{}, terr
	}
	v.next = r.Next(v.next)
	robots, more, terr := w.svc.Robots(ctx, identity.RobotFilter{Team: t.ID}, sqldb.Page{Limit: 30})
	if terr != nil {
		return webui.View{}, terr
	}
	v.robots, v.moreRobots = robots, more != ""
	view := webui.View{Title: t.Name, Body: teamPage(v), API: "GET /api/v1/teams/" + t.Name + "/members", CLI: "fairlead team members ls " + t.Name, Docs: "/docs/getting-started",
		Crumbs: []webui.Crumb{{Title: "Home", Href: "/"}, {Title: "Teams", Href: "/teams"}, {Title: t.Name}}}
	if err != nil {
		view.Status = httpx.Status(fault.KindOf(err))
	}
	return view, nil
}

// onTeam does something of a team's page and comes back to it.
func (w *web) onTeam(r *webui.Request, done string, err error) (webui.Answer, error) {
	switch {
	case err == nil:
		return webui.Answer{To: webui.To("teams", r.Path("team")), Flash: done}, nil
	case failed(err):
		v, verr := w.showTeam(r, err)
		return webui.Answer{View: &v}, verr
	}
	return webui.Answer{}, err
}

// grant adds a role of a member, who may be new to the team.
func (w *web) grant(r *webui.Request) (webui.Answer, error) {
	if _, err := w.svc.Team(r.Context(), r.Path("team")); err != nil {
		return webui.Answer{}, err
	}
	member, role := r.Field("member"), r.Field("role")
	err := w.svc.GrantRole(r.Context(), identity.Grant{Team: r.Path("team"), Member: member, Role: principal.Role(role)})
	if fault.Is(err, fault.NotFound) {
		err = fault.New(fault.Invalid, "invalid_member", "nobody is called that, or nobody whom you may know of").WithField("/member").WithHint("check the name; the platform team makes users: fairlead user create NAME")
	}
	return w.onTeam(r, member+" is now "+strings.ToLower(roleTitle(role))+" here.", err)
}

func (w *web) revoke(r *webui.Request) (webui.Answer, error) {
	err := w.svc.RevokeRole(r.Context(), identity.Grant{Team: r.Path("team"), Member: r.Path("member"), Role: principal.Role(r.Path("role"))})
	return w.onTeam(r, "The role is taken away.", err)
}

func (w *web) removeMember(r *webui.Request) (webui.Answer, error) {
	return w.onTeam(r, "They are no longer in the team.", w.svc.RemoveMember(r.Context(), r.Path("team"), r.Path("member")))
}

func (w *web) createRobot(r *webui.Request) (webui.Answer, error) {
	if _, err := w.svc.Team(r.Context(), r.Path("team")); err != nil {
		return webui.Answer{}, err
	}
	in := identity.NewRobot{Team: r.Path("team"), Name: r.Field("name")}
	if role := r.Field("role"); role != "" {
		in.Roles = []principal.Role{principal.Role(role)}
	}
	_, err := w.svc.CreateRobot(r.Context(), in)
	return w.onTeam(r, "The robot is made. It needs a token: Tokens, New token.", err)
}

func (w *web) setRobot(r *webui.Request) (webui.Answer, error) {
	off := r.Field("disabled") == "true"
	b, err := w.svc.UpdateRobot(r.Context(), r.Path("robot"), identity.RobotChange{Disabled: &off}, 0)
	if err != nil {
		return webui.Answer{}, err
	}
	done := b.Name + " is enabled. It needs a new token."
	if off {
		done = b.Name + " is disabled, and its tokens have ended."
	}
	return webui.Answer{To: webui.To("teams", b.Team), Flash: done}, nil
}

func roleTitle(role string) string {
	if i := slices.IndexFunc(teamRoles, func(o webui.Option) bool { return o.Value == role }); i >= 0 {
		return teamRoles[i].Title
	}
	return webui.Words(role)
}

// given are the roles that a member could still be given.
func given(m identity.Member) []webui.Option {
	return slices.DeleteFunc(slices.Clone(teamRoles), func(o webui.Option) bool { return slices.Contains(m.Roles, principal.Role(o.Value)) })
}

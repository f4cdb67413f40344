package setupweb

import (
	"context"
	"net/url"
	"strings"
	"time"

	"fairlead/internal/fault"
	"fairlead/internal/identity"
	"fairlead/internal/principal"
	"fairlead/internal/project"
	"fairlead/internal/redact"
	"fairlead/internal/resource"
	"fairlead/internal/sqldb"
	"fairlead/internal/template"
	"fairlead/internal/webui"
)

func secretOf(r *webui.Request, field string) redact.Secret { return redact.New(r.PostForm.Get(field)) }

// suggestPlace fills in names: of what is there, so that somebody who left in
// between goes on with it, or such as most installations need anyway.
func (w *web) suggestPlace(ctx context.Context, v *view) error {
	var err error
	if v.teams, _, err = w.Identity.Teams(ctx, identity.TeamFilter{}, sqldb.Page{Limit: 20}); err != nil {
		return err
	}
	if v.err != nil {
		return nil // what was sent is shown
	}
	v.team, v.project, v.environment, v.class = "platform", "sandbox", "dev", string(project.Development)
	if len(v.teams) > 0 {
		v.team = v.teams[0].Name
	}
	there, _, err := w.Projects.List(ctx, project.Filter{}, sqldb.Page{Limit: 1})
	if len(there) > 0 {
		v.team, v.project = there[0].Team, there[0].Name
	}
	return err
}

// makePlace makes the team, the project and the environment. What is there
// already under the name is taken as it is, so that sending the form again
// goes on where it stopped.
func (w *web) makePlace(r *webui.Request) (webui.Answer, error) {
	ctx := r.Context()
	v := view{stage: stagePlace, team: r.Field("team"), project: r.Field("project"), environment: r.Field("environment"), class: r.Field("class")}
	at := func(err error, field string) error {
		if f := fault.From(err); f.Field == "/name" {
			return f.WithField(field)
		}
		return err
	}
	if _, err := w.Identity.CreateTeam(ctx, identity.NewTeam{Name: v.team}); err != nil && !fault.Is(err, fault.Conflict) {
		return w.again(r, v, at(err, "/team"))
	}
	p, err := w.Projects.Create(ctx, project.NewProject{Team: v.team, Name: v.project})
	if fault.Is(err, fault.Conflict) {
		if there, gerr := w.Projects.Get(ctx, v.project); gerr == nil && there.Team == v.team {
			p, err = there, nil
		}
	}
	if err != nil {
		return w.again(r, v, at(err, "/project"))
	}
	_, err = w.Projects.CreateEnvironment(ctx, p.ID, project.NewEnvironment{Name: v.environment, Class: project.Class(v.class)})
	if err != nil && !fault.Is(err, fault.Conflict) {
		return w.again(r, v, at(err, "/environment"))
	}
	return webui.Answer{To: Path + "?step=" + stageRequest + "&in=" + url.QueryEscape(p.Name+"/"+v.environment), Flash: p.Name + " / " + v.environment + " is there."}, nil
}

// suggestRequests finds what can be asked for, and where.
func (w *web) suggestRequests(ctx context.Context, v *view) error {
	if v.in == nil {
		list, _, err := w.Projects.Environments(ctx, project.EnvironmentFilter{Sort: "-updated"}, sqldb.Page{Limit: 1})
		if err != nil || len(list) == 0 {
			return err
		}
		v.in = &list[0]
	}
	list, err := w.Templates.List(ctx, template.Filter{}, sqldb.Page{Limit: 12})
	if err != nil {
		return err
	}
	infos, err := w.Engines.List(ctx)
	if err != nil {
		return err
	}
	works := map[string]bool{}
	for _, e := range infos {
		works[e.Name] = e.Problem == nil
	}
	for _, t := range list.Items {
		if !works[t.Engine] {
			v.missing++
			continue
		}
		_, err := t.Check(map[string]any{})
		o := offer{Version: t, name: suggestion(t.Name), ready: err == nil}
		if t.Name == v.wanted {
			o.name = v.wantsName
		}
		if o.ready {
			v.offers = append([]offer{o}, v.offers...)
		} else {
			v.offers = append(v.offers, o)
		}
	}
	return nil
}

// suggestion is a name for the first one of a template.
func suggestion(t string) string {
	if t == "null" {
		return "hello"
	}
	return "first-" + strings.TrimSuffix(t[:min(len(t), 30)], "-")
}

// request asks for the first resource, with its inputs as they come.
func (w *web) request(r *webui.Request) (webui.Answer, error) {
	ctx := r.Context()
	v := view{stage: stageRequest, wanted: r.Field("template"), wantsName: r.Field("name")}
	inProject, in, _ := strings.Cut(r.Field("where"), "/")
	if e, err := w.Projects.Resolve(ctx, inProject, in); err == nil {
		v.in = &e
	}
	to := func(res resource.Resource) string {
		return Path + "?" + url.Values{"step": {stageWatch}, "project": {res.Project}, "environment": {res.Environment}, "name": {res.Name}}.Encode()
	}
	made, err := w.Resources.Create(ctx, inProject, in, resource.Wanted{Name: v.wantsName, Template: v.wanted, Note: "first run"})
	if fault.Is(err, fault.Conflict) { // sent twice: it is the one that was made
		there, gerr := w.Resources.Get(ctx, resource.Where{Project: inProject, Environment: in, Name: v.wantsName})
		if gerr == nil && there.CreatedBy == r.Who().ID && there.Template == v.wanted && time.Since(there.CreatedAt) < 2*time.Minute {
			return webui.Answer{To: to(there)}, nil
		}
	}
	if err != nil {
		return w.again(r, v, err)
	}
	return webui.Answer{To: to(made)}, nil
}

// rolesOfColleagues are what a colleague can be from the start.
func rolesOfColleagues(teams []identity.Team) []webui.Option {
	out := []webui.Option{}
	for _, t := range teams {
		out = append(out, webui.Option{Value: string(principal.Developer) + "@" + t.Name, Title: "Developer in " + t.Name},
			webui.Option{Value: string(principal.TeamOwner) + "@" + t.Name, Title: "Owner of " + t.Name})
	}
	return append(out, webui.Option{Value: string(principal.PlatformAdmin), Title: "Administrator of everything"})
}

// invite makes a user with a role, and a link that signs them in once.
func (w *web) invite(r *webui.Request) (webui.Answer, error) {
	ctx := r.Context()
	v := view{stage: stageColleague, colleague: r.Field("name"), role: r.Field("role")}
	_, err := w.Identity.CreateUser(ctx, identity.NewUser{Name: v.colleague})
	if fault.Is(err, fault.Conflict) { // sent twice: who has never been here gets another link
		if there, gerr := w.Identity.User(ctx, v.colleague); gerr == nil && there.SignedInAt.IsZero() && there.DisabledAt.IsZero() {
			err = nil
		}
	}
	if err != nil {
		return w.again(r, v, err)
	}
	role, team, _ := strings.Cut(v.role, "@")
	if role != "" {
		err = w.Identity.GrantRole(ctx, identity.Grant{Team: team, Member: v.colleague, Role: principal.Role(role)})
	}
	if err != nil {
		return w.again(r, v, err)
	}
	link, err := w.Identity.IssueLink(ctx, v.colleague)
	if err != nil {
		return w.again(r, v, err)
	}
	v.link = w.PublicURL + "/sign-in?link=" + url.QueryEscape(link.Value.Reveal())
	v.linkEnds = link.Credential.ExpiresAt
	if v.list, err = w.Setup.Whole(ctx); err != nil {
		return webui.Answer{}, err
	}
	out, err := w.show(r, v)
	return webui.Answer{View: &out}, err
}

package accessweb

import (
	"slices"
	"strings"

	"fairlead/internal/access"
	"fairlead/internal/fault"
	"fairlead/internal/httpx"
	"fairlead/internal/principal"
	"fairlead/internal/webui"
)

type web struct{ svc *access.Service }

// Mount adds the pages.
func Mount(p *webui.Portal, svc *access.Service) {
	w := &web{svc}
	p.Page("GET /access", w.explore)
	p.Page("GET /access/policies", w.policies)
}

// question is what is asked, as it is in the page's address.
type question struct{ who, action, team, project, environment, class, template string }

type view struct {
	question
	answer *access.Explanation
	reads  bool // the policies, as far as a page can tell
	other  bool // the caller may ask about others, as far as a page can tell
	err    error
}

var classes = []webui.Option{{Value: "", Title: "That of the environment"}, {Value: "development", Title: "Development"}, {Value: "staging", Title: "Staging"}, {Value: "production", Title: "Production"}}

func (w *web) explore(r *webui.Request) (webui.View, error) {
	v := view{question: question{who: strings.TrimSpace(r.Query("who")), action: r.Query("action"), team: strings.TrimSpace(r.Query("team")), project: strings.TrimSpace(r.Query("project")),
		environment: strings.TrimSpace(r.Query("environment")), class: r.Query("class"), template: strings.TrimSpace(r.Query("template"))}}
	v.other = r.Who().HasOrgRole(principal.PlatformAdmin) || r.Who().HasOrgRole(principal.Auditor)
	v.reads = v.other
	cli := "fairlead access why ACTION"
	if v.action != "" {
		cli = v.command()
		e, err := w.svc.Why(r.Context(), access.WhyRequest{Principal: v.who, Action: access.Action(v.action),
			Target: access.Target{TeamID: v.team, ProjectID: v.project, EnvironmentID: v.environment, EnvironmentClass: v.class, Template: v.template}})
		switch {
		case err == nil:
			v.answer = &e
		case slices.Contains([]fault.Kind{fault.Invalid, fault.Denied, fault.NotFound}, fault.KindOf(err)):
			v.err = err
		default:
			return webui.View{}, err
		}
	}
	out := webui.View{Title: "Access", Body: explorePage(v), API: "POST /api/v1/access/why", CLI: cli, Docs: "/docs/architecture"}
	if v.err != nil {
		out.Status = httpx.Status(fault.KindOf(v.err))
	}
	return out, nil
}

// command is the same question on the command line.
func (q question) command() string {
	s := "fairlead access why " + q.action
	switch {
	case q.environment != "" && q.project != "":
		s += " -e " + q.project + "/" + q.environment
	case q.project != "":
		s += " -p " + q.project
	case q.team != "":
		s += " --team " + q.team
	}
	for _, o := range [][2]string{{" --as ", q.who}, {" --class ", q.class}, {" --template ", q.template}} {
		if o[1] != "" {
			s += o[0] + o[1]
		}
	}
	return s
}

// actions are all that there are, to choose from.
func actions() []webui.Option {
	var out []webui.Option
	for _, a := range access.Actions() {
		out = append(out, webui.Option{Value: string(a), Title: string(a)})
	}
	return out
}

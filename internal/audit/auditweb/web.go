package auditweb

import (
	"encoding/json"
	"maps"
	"slices"
	"time"

	"fairlead/internal/audit"
	"fairlead/internal/fault"
	"fairlead/internal/webui"
)

type web struct{ log *audit.Log }

// Mount adds the page.
func Mount(p *webui.Portal, log *audit.Log) {
	w := &web{log}
	p.Page("GET /audit", w.search)
}

type view struct {
	list   []audit.Record
	next   string
	status *audit.Status // of who may see the whole log
}

var kinds = []webui.Option{{Value: "resource:", Title: "Resources"}, {Value: "approval:", Title: "Approvals"}, {Value: "project:", Title: "Projects"}, {Value: "environment:", Title: "Environments"},
	{Value: "template:", Title: "Templates"}, {Value: "guardrail:", Title: "Guardrails"}, {Value: "user:", Title: "Users"}, {Value: "team:", Title: "Teams"},
	{Value: "token:", Title: "Tokens"}, {Value: "session:", Title: "Sessions"}, {Value: "access:", Title: "Access"}}

var spans = []webui.Option{{Value: "1h", Title: "Last hour"}, {Value: "24h", Title: "Last day"}, {Value: "168h", Title: "Last week"}, {Value: "720h", Title: "Last 30 days"}}

func (w *web) search(r *webui.Request) (webui.View, error) {
	page, err := r.PageOf(40)
	if err != nil {
		return webui.View{}, err
	}
	f := audit.Filter{Actor: r.Query("actor"), Action: r.Query("action"), Target: r.Query("q"), Project: r.Query("project"), Environment: r.Query("environment")}
	if d, err := time.ParseDuration(r.Query("since")); err == nil && d > 0 {
		f.Since = time.Now().Add(-d)
	}
	var v view
	if v.list, v.next, err = w.log.Search(r.Context(), f, page); err != nil {
		return webui.View{}, err
	}
	status, err := w.log.Status(r.Context())
	switch {
	case err == nil:
		v.status = &status
	case !fault.Is(err, fault.Denied) && !fault.Is(err, fault.NotFound):
		return webui.View{}, err
	}
	return webui.View{Title: "Audit log", Body: searchPage(r, v), API: "GET /api/v1/audit", CLI: "fairlead audit", Docs: "/docs/architecture"}, nil
}

type detail struct{ name, value string }

func details(r audit.Record) []detail {
	var m map[string]any
	if json.Unmarshal(r.Details, &m) != nil {
		return nil
	}
	var out []detail
	for _, k := range slices.Sorted(maps.Keys(m)) {
		out = append(out, detail{webui.Words(k), webui.Text(m[k])})
	}
	return out
}

func href(r audit.Record) string {
	switch {
	case r.TargetID == "":
	case r.TargetKind == "resource" && r.EnvironmentID != "":
		return webui.To("projects", r.ProjectID, r.EnvironmentID, r.TargetID)
	case r.TargetKind == "environment":
		return webui.To("projects", r.ProjectID, r.TargetID)
	case r.TargetKind == "project":
		return webui.To("projects", r.TargetID)
	case r.TargetKind == "run":
		return webui.To("runs", r.TargetID)
	case r.TargetKind == "approval":
		return webui.To("approvals", r.TargetID)
	}
	return ""
}

func targetName(r audit.Record) string {
	if r.TargetName != "" {
		return r.TargetName
	}
	return r.TargetID
}

func decisionTone(r audit.Record) webui.Tone {
	switch r.Decision {
	case audit.Denied:
		return webui.Bad
	case audit.Allowed:
		return webui.OK
	}
	return webui.Idle
}

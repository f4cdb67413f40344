package systemweb

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"fairlead/internal/backup"
	"fairlead/internal/conf"
	"fairlead/internal/fault"
	"fairlead/internal/httpx"
	"fairlead/internal/principal"
	"fairlead/internal/queue"
	"fairlead/internal/resource"
	"fairlead/internal/system"
	"fairlead/internal/webui"
)

// Services is what the pages show.
type Services struct {
	System    *system.Service
	Resources *resource.Service
	Backups   *backup.Service
}

type web struct {
	Services
	p *webui.Portal
}

// Mount adds the pages.
func Mount(p *webui.Portal, s Services) {
	w := &web{s, p}
	p.LivePage("GET /system", w.overview, w.liveOverview)
	p.LivePage("GET /system/queue", w.queue, w.liveQueue)
	p.Action("POST /system/queue/{id}/retry", w.retry)
	p.Action("POST /system/queue/{id}/cancel", w.cancel)
	p.LivePage("GET /system/engines", w.engines, w.liveOverview)
	p.Action("POST /system/engines/check", w.checkEngines)
	p.LivePage("GET /system/suspects", w.suspects, w.liveSuspects)
	p.Action("POST /system/suspects/{suspect}/release", w.release)
	p.Page("GET /system/settings", w.settings)
	w.mountBackups()
}

func failed(err error) bool {
	switch fault.KindOf(err) {
	case fault.Invalid, fault.Conflict, fault.Stale, fault.Denied, fault.NotFound:
		return true
	}
	return false
}

// manages tells whether buttons are shown to who asks; services decide.
func manages(r *webui.Request) bool { return r.Who().HasOrgRole(principal.PlatformAdmin) }

var crumbs = []webui.Crumb{{Title: "Home", Href: "/"}, {Title: "System", Href: "/system"}}

// page is a page of the system, under its tabs.
func page(r *webui.Request, at string, v webui.View, err error) webui.View {
	v.Docs = "/docs/system"
	if at != "System" {
		v.Crumbs = append(slices.Clone(crumbs), webui.Crumb{Title: at})
	}
	v.Title = at
	v.Body = framed(at, v.Body)
	if err != nil {
		v.Status = httpx.Status(fault.KindOf(err))
	}
	return v
}

func tabs(at string) []webui.Tab {
	var out []webui.Tab
	for _, t := range [][2]string{{"System", "/system"}, {"Queue", "/system/queue"}, {"Engines", "/system/engines"}, {"Suspects", "/system/suspects"}, {"Settings", "/system/settings"}, {"Backups", "/system/backups"}} {
		title := t[0]
		if title == "System" {
			title = "Overview"
		}
		out = append(out, webui.Tab{Title: title, Href: t[1], Current: t[0] == at})
	}
	return out
}

func tone(l system.Level) webui.Tone {
	switch l {
	case system.OK:
		return webui.OK
	case system.Warn:
		return webui.Warn
	case system.Bad:
		return webui.Bad
	}
	return webui.Idle
}

func word(l system.Level) string {
	switch l {
	case system.OK:
		return "well"
	case system.Warn:
		return "look at it"
	case system.Bad:
		return "act now"
	}
	return "nothing to judge"
}

// needs are the checks that somebody should see, the worst first.
func needs(st system.Status) []system.Check {
	list := slices.DeleteFunc(slices.Clone(st.Checks), func(c system.Check) bool { return c.Do == "" })
	slices.SortStableFunc(list, func(a, b system.Check) int {
		if a.Level == b.Level {
			return 0
		}
		if a.Level == system.Bad {
			return -1
		}
		return 1
	})
	return list
}

func verdict(st system.Status) string {
	bad := 0
	for _, c := range st.Checks {
		if c.Level == system.Bad {
			bad++
		}
	}
	n := len(needs(st))
	switch {
	case n == 0:
		return "All is well"
	case bad == 1:
		return "One thing needs somebody now"
	case bad > 1:
		return fmt.Sprintf("%d things need somebody now", bad)
	case n == 1:
		return "It works; one thing to look at"
	}
	return fmt.Sprintf("It works; %d things to look at", n)
}

// stamp changes when the page would look different, and often enough that
// heartbeats on it are not old.
func stamp(st system.Status) string {
	var b strings.Builder
	b.WriteString(st.At.Truncate(10 * time.Second).String())
	for _, c := range st.Checks {
		b.WriteString(c.Name + string(c.Level) + c.Do)
	}
	for _, d := range st.Queue {
		fmt.Fprint(&b, d.Lane, d.Due, d.Held, d.Later, d.Stuck)
	}
	for _, r := range st.Servers {
		fmt.Fprint(&b, r.ID, r.Lost)
	}
	return b.String()
}

func (w *web) overview(r *webui.Request) (webui.View, error) {
	st, err := w.System.Status(r.Context())
	if err != nil {
		return webui.View{}, err
	}
	return page(r, "System", webui.View{Body: overviewPage(st), Stamp: stamp(st), API: "GET /api/v1/system", CLI: "fairlead status"}, nil), nil
}

func (w *web) liveOverview(r *webui.Request) (string, []string, error) {
	st, err := w.System.Status(r.Context())
	return stamp(st), nil, err
}

type queueView struct {
	list  []system.Work
	next  string
	lanes []queue.Depth
	may   bool
	err   error
}

func (v queueView) stamp() string {
	var b strings.Builder
	for _, x := range v.list {
		fmt.Fprint(&b, x.Key, x.State, x.Attempts, x.Canceling, x.Phase, x.DueAt.Unix())
	}
	return b.String()
}

// engineOptions are the lanes that there are.
func (v queueView) engineOptions() []webui.Option {
	var out []webui.Option
	for _, d := range v.lanes {
		out = append(out, webui.Option{Value: d.Lane, Title: webui.Title(d.Lane)})
	}
	return out
}

var states = []webui.Option{{Value: "running", Title: "Being worked on"}, {Value: "waiting", Title: "Waits for a worker"}, {Value: "later", Title: "Due later"}, {Value: "stuck", Title: "Stuck: tried in vain"}}

func (w *web) lookQueue(r *webui.Request, v *queueView) error {
	p, err := r.PageOf(40)
	if err != nil {
		return err
	}
	f := system.WorkFilter{State: system.WorkState(r.Query("state")), Engine: r.Query("engine"), Team: r.Query("team"), Search: r.Query("q")}
	v.list, v.next, err = w.System.Queue(r.Context(), f, p)
	return err
}

func (w *web) queue(r *webui.Request) (webui.View, error) { return w.showQueue(r, nil) }

func (w *web) showQueue(r *webui.Request, err error) (webui.View, error) {
	v := queueView{may: manages(r), err: err}
	if err := w.lookQueue(r, &v); err != nil {
		return webui.View{}, err
	}
	if v.lanes, err = w.System.Lanes(r.Context()); err != nil {
		return webui.View{}, err
	}
	return page(r, "Queue", webui.View{Body: queuePage(r, v), Stamp: v.stamp(), API: "GET /api/v1/system/queue", CLI: "fairlead status queue"}, v.err), nil
}

func (w *web) liveQueue(r *webui.Request) (string, []string, error) {
	var v queueView
	err := w.lookQueue(r, &v)
	return v.stamp(), nil, err
}

// onWork does something about a resource's work and comes back to the queue.
func (w *web) onWork(r *webui.Request, said string, do func(resource.Resource) error) (webui.Answer, error) {
	res, err := w.Resources.ByID(r.Context(), r.Path("id"))
	if err != nil {
		return webui.Answer{}, err
	}
	if err = do(res); err != nil {
		if failed(err) {
			v, verr := w.showQueue(r, err)
			return webui.Answer{View: &v}, verr
		}
		return webui.Answer{}, err
	}
	return webui.Answer{To: "/system/queue", Flash: res.Name + said}, nil
}

func (w *web) retry(r *webui.Request) (webui.Answer, error) {
	return w.onWork(r, " is tried again now.", func(res resource.Resource) error {
		_, err := w.Resources.RetryRun(r.Context(), res.RunID)
		return err
	})
}

func (w *web) cancel(r *webui.Request) (webui.Answer, error) {
	return w.onWork(r, " is stopped at its next safe point.", func(res resource.Resource) error {
		_, err := w.Resources.Cancel(r.Context(), res.RunID)
		return err
	})
}

type engineView struct {
	system.Engine
	lane     queue.Depth
	servers  []onServer
	settings []conf.Setting
}

// onServer is how an engine is on one server.
type onServer struct {
	server system.Server
	system.EngineReport
}

func (v engineView) state() (webui.Tone, string) {
	switch {
	case v.Problem == nil:
		return webui.OK, "ready"
	case !v.Used:
		return webui.Idle, "not ready, not used"
	case v.Ready > 0:
		return webui.Warn, "not ready everywhere"
	}
	return webui.Bad, "not ready"
}

func (w *web) engines(r *webui.Request) (webui.View, error) {
	st, err := w.System.Status(r.Context())
	if err != nil {
		return webui.View{}, err
	}
	settings, err := w.System.Configuration(r.Context())
	if err != nil {
		return webui.View{}, err
	}
	var list []engineView
	for _, e := range st.Engines {
		v := engineView{Engine: e}
		for _, d := range st.Queue {
			if d.Lane == e.Name {
				v.lane = d
			}
		}
		for _, s := range st.Servers {
			for _, on := range s.Engines {
				if on.Name == e.Name && !s.Lost {
					v.servers = append(v.servers, onServer{s, on})
				}
			}
		}
		for _, s := range settings {
			if strings.HasPrefix(s.Name, "engines."+e.Name+".") || s.Name == "workers."+e.Name {
				v.settings = append(v.settings, s)
			}
		}
		list = append(list, v)
	}
	return page(r, "Engines", webui.View{Body: enginesPage(list), Stamp: stamp(st), API: "GET /api/v1/engines", CLI: "fairlead engines"}, nil), nil
}

func (w *web) checkEngines(r *webui.Request) (webui.Answer, error) {
	if err := w.System.CheckEngines(r.Context()); err != nil {
		return webui.Answer{}, err
	}
	return webui.Answer{To: "/system/engines", Flash: "The engines of this server were asked how they are."}, nil
}

type suspectsView struct {
	list     []resource.Suspect
	next     string
	may      bool
	released bool
	err      error
}

func (v suspectsView) stamp() string {
	var b strings.Builder
	for _, s := range v.list {
		b.WriteString(s.ID)
	}
	return b.String()
}

func (w *web) lookSuspects(r *webui.Request, v *suspectsView) error {
	p, err := r.PageOf(40)
	if err != nil {
		return err
	}
	v.released = r.Query("show") == "released"
	v.list, v.next, err = w.Resources.Suspects(r.Context(), v.released, p)
	return err
}

func (w *web) suspects(r *webui.Request) (webui.View, error) { return w.showSuspects(r, nil) }

func (w *web) showSuspects(r *webui.Request, err error) (webui.View, error) {
	v := suspectsView{may: manages(r), err: err}
	if err := w.lookSuspects(r, &v); err != nil {
		return webui.View{}, err
	}
	return page(r, "Suspects", webui.View{Body: suspectsPage(r, v), Stamp: v.stamp(), API: "GET /api/v1/suspects", CLI: "fairlead suspects"}, v.err), nil
}

func (w *web) liveSuspects(r *webui.Request) (string, []string, error) {
	var v suspectsView
	err := w.lookSuspects(r, &v)
	return v.stamp(), nil, err
}

func (w *web) release(r *webui.Request) (webui.Answer, error) {
	s, err := w.Resources.ReleaseSuspect(r.Context(), r.Path("suspect"), r.Field("reason"))
	switch {
	case err == nil:
		return webui.Answer{To: "/system/suspects", Flash: s.Name + " is released: it stays as it is."}, nil
	case failed(err) && !fault.Is(err, fault.Denied):
		v, verr := w.showSuspects(r, err)
		return webui.Answer{View: &v}, verr
	}
	return webui.Answer{}, err
}

type settingsView struct {
	list []conf.Setting
	all  int
}

func (w *web) settings(r *webui.Request) (webui.View, error) {
	list, err := w.System.Configuration(r.Context())
	if err != nil {
		return webui.View{}, err
	}
	v := settingsView{all: len(list)}
	for _, s := range list {
		if from := r.Query("from"); from != "" && from != string(s.From) {
			continue
		}
		if q := strings.ToLower(r.Query("q")); q == "" || strings.Contains(strings.ToLower(s.Name+" "+s.Value), q) {
			v.list = append(v.list, s)
		}
	}
	return page(r, "Settings", webui.View{Body: settingsPage(r, v), API: "GET /api/v1/system/settings", CLI: "fairlead status settings"}, nil), nil
}

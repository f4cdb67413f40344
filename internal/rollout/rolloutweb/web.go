package rolloutweb

import (
	"fmt"
	"strconv"
	"strings"

	"fairlead/internal/fault"
	"fairlead/internal/httpx"
	"fairlead/internal/rollout"
	"fairlead/internal/sqldb"
	"fairlead/internal/webui"
)

type web struct{ rollouts *rollout.Service }

// Mount adds the pages.
func Mount(p *webui.Portal, rollouts *rollout.Service) {
	w := &web{rollouts}
	p.LivePage("GET /rollouts", w.list, w.listLive)
	p.LivePage("GET /rollouts/{rollout}", w.rollout, w.live)
	p.Action("POST /rollouts/{rollout}", w.steer)
	p.Action("POST /rollouts/{rollout}/groups/{group}", w.decide)
	p.Page("GET /pins", w.pins)
}

var states = []webui.Option{
	{Value: "open", Title: "All that are open"}, {Value: "mine", Title: "Yours"}, {Value: "planned", Title: "Planned"}, {Value: "running", Title: "Running"},
	{Value: "paused", Title: "Paused"}, {Value: "halted", Title: "Halted"}, {Value: "succeeded", Title: "Succeeded"}, {Value: "reverted", Title: "Taken back"}, {Value: "canceled", Title: "Canceled"},
}

func (w *web) look(r *webui.Request) (list []rollout.Rollout, next, seen string, err error) {
	page, err := r.PageOf(30)
	if err != nil {
		return nil, "", "", err
	}
	f := rollout.Filter{Search: r.Query("q"), Template: r.Query("template"), Project: r.Query("project")}
	switch state := r.Query("state"); state {
	case "open":
		f.Open = true
	case "mine":
		f.Mine = true
	default:
		f.State = rollout.State(state)
	}
	list, next, err = w.rollouts.List(r.Context(), f, page)
	var stamp strings.Builder
	for _, o := range list {
		fmt.Fprint(&stamp, o.ID, o.Version, o.State)
	}
	return list, next, stamp.String(), err
}

func (w *web) list(r *webui.Request) (webui.View, error) {
	list, next, stamp, err := w.look(r)
	return webui.View{Title: "Rollouts", Body: listPage(r, list, next), Stamp: stamp, API: "GET /api/v1/rollouts", CLI: "fairlead rollout ls", Docs: "/docs/rollouts"}, err
}

func (w *web) listLive(r *webui.Request) (string, []string, error) {
	list, _, stamp, err := w.look(r)
	topics := make([]string, len(list))
	for i, o := range list {
		topics[i] = rollout.Topic(o.ID)
	}
	return stamp, topics, err
}

// view is one rollout as it stands.
type view struct {
	rollout.Rollout
	members []rollout.Member
	next    string
	may     rollout.May
	pins    []rollout.Pin // the first few that keep it from its members
	more    bool          // there are more
	err     error
	at      int64 // the group whose form was sent
	comment string
}

// total is how many members the caller may see.
func (v view) total() int64 { return sum(v.Counts) }

func sum(counts map[rollout.MemberState]int64) (n int64) {
	for _, c := range counts {
		n += c
	}
	return n
}

// settled is how many of some members nothing more happens to.
func settled(counts map[rollout.MemberState]int64) int64 {
	n := sum(counts)
	for _, s := range []rollout.MemberState{rollout.Unplanned, rollout.Pending, rollout.Applying, rollout.Upgraded, rollout.Backing} {
		n -= counts[s]
	}
	return n
}

func share(counts map[rollout.MemberState]int64) float64 {
	if n := sum(counts); n > 0 {
		return float64(settled(counts)) / float64(n)
	}
	return 0
}

// verb is one thing that can be done with a rollout now.
type verb struct {
	name, title, icon, style string
	ask                      string // a question that is asked first; "" asks nothing
}

func (v view) verbs() []verb {
	if !v.may.Steer {
		return nil
	}
	start := verb{"start", "Start", "play", "primary", ""}
	pause := verb{"pause", "Pause", "ban", "", ""}
	resume := verb{"resume", "Go on", "play", "primary", ""}
	retry := verb{"retry", "Try again", "refresh-cw", "", "What has failed, was set aside or was left out is planned anew, and it goes on with that."}
	cancel := verb{"cancel", "End it", "x", "danger", "What is on its way goes on; the others are left as they are. What is upgraded stays so."}
	wave := verb{"rollback-wave", "Take the wave back", "undo-2", "", "The members of the wave that it is at get their old content back, as a new revision."}
	all := verb{"rollback-all", "Take all back", "undo-2", "danger", "Every member that was upgraded gets its old content back, as a new revision."}
	switch v.State {
	case rollout.Planning, rollout.Planned:
		if v.Starts {
			return []verb{cancel}
		}
		return []verb{start, cancel}
	case rollout.Running:
		return []verb{pause, wave, all, cancel}
	case rollout.Halted:
		return []verb{resume, retry, wave, all, cancel}
	case rollout.Paused:
		return []verb{resume, wave, all, cancel}
	case rollout.Reverting:
		return []verb{cancel}
	case rollout.Succeeded:
		if v.Counts[rollout.Failed]+v.Counts[rollout.Aside]+v.Counts[rollout.Excluded] > 0 {
			return []verb{retry, all}
		}
		return []verb{all}
	case rollout.Cancelled:
		return []verb{all}
	case rollout.Reverted: // what could not be taken back is tried again
		if v.Counts[rollout.Stuck] > 0 {
			return []verb{all}
		}
	}
	return nil
}

func (w *web) rollout(r *webui.Request) (webui.View, error) { return w.show(r, view{}) }

func (w *web) show(r *webui.Request, v view) (webui.View, error) {
	ctx := r.Context()
	var err error
	if v.Rollout, err = w.rollouts.Get(ctx, r.Path("rollout")); err != nil {
		return webui.View{}, err
	}
	page, err := r.PageOf(40)
	if err != nil {
		return webui.View{}, err
	}
	f := rollout.MemberFilter{State: rollout.MemberState(r.Query("state")), Wave: number(r.Query("wave")), Group: number(r.Query("group"))}
	if v.members, v.next, err = w.rollouts.Members(ctx, v.ID, f, page); err != nil {
		return webui.View{}, err
	}
	if v.may, err = w.rollouts.May(ctx, v.Rollout); err != nil {
		return webui.View{}, err
	}
	pins, more, err := w.rollouts.Pins(ctx, rollout.PinFilter{Rollout: v.ID}, sqldb.Page{Limit: shownPins})
	if err != nil {
		return webui.View{}, err
	}
	v.pins, v.more = pins, more != ""
	title := v.Template + " to " + v.To
	out := webui.View{Title: "Rollout of " + title, Body: rolloutPage(r, v), Stamp: stamp(v.Rollout),
		Crumbs: []webui.Crumb{{Title: "Home", Href: "/"}, {Title: "Rollouts", Href: "/rollouts"}, {Title: title}},
		API:    "GET /api/v1/rollouts/" + v.ID, CLI: "fairlead rollout show " + v.ID, Docs: "/docs/rollouts"}
	if v.err != nil {
		out.Status = httpx.Status(fault.KindOf(v.err))
	}
	return out, nil
}

// shownPins is how many pins a rollout's page shows.
const shownPins = 5

func number(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 {
		return 0
	}
	return n
}

// stamp is another whenever a rollout, a wave, a group or a member went on:
// each of them gives the rollout another version.
func stamp(r rollout.Rollout) string { return fmt.Sprint(r.ID, " ", r.Version, r.State) }

func (w *web) live(r *webui.Request) (string, []string, error) {
	o, err := w.rollouts.Look(r.Context(), r.Path("rollout"))
	return stamp(o), []string{rollout.Topic(o.ID)}, err
}

// pins is what keeps resources at their versions.
func (w *web) pins(r *webui.Request) (webui.View, error) {
	page, err := r.PageOf(30)
	if err != nil {
		return webui.View{}, err
	}
	f := rollout.PinFilter{Search: r.Query("q"), Template: r.Query("template"), Rollout: r.Query("rollout"), Project: r.Query("project"), Over: r.Query("state") == "all"}
	list, next, err := w.rollouts.Pins(r.Context(), f, page)
	return webui.View{Title: "Pins and exemptions", Body: pinsPage(r, list, next), API: "GET /api/v1/pins", CLI: "fairlead pins", Docs: "/docs/rollouts",
		Crumbs: []webui.Crumb{{Title: "Home", Href: "/"}, {Title: "Rollouts", Href: "/rollouts"}, {Title: "Pins and exemptions"}}}, err
}

func (w *web) steer(r *webui.Request) (webui.Answer, error) {
	ctx, id, version := r.Context(), r.Path("rollout"), number(r.Field("version"))
	var err error
	flash := ""
	switch r.Field("do") {
	case "start":
		_, err = w.rollouts.Start(ctx, id, version)
		flash = "It goes on."
	case "pause":
		_, err = w.rollouts.Pause(ctx, id, version)
		flash = "It is paused; what is on its way goes on."
	case "resume":
		_, err = w.rollouts.Resume(ctx, id, version)
		flash = "It goes on."
	case "retry":
		_, err = w.rollouts.Retry(ctx, id, version)
		flash = "What was left is planned anew."
	case "cancel":
		_, err = w.rollouts.Cancel(ctx, id, version)
		flash = "It is ended."
	case "rollback-wave":
		_, err = w.rollouts.Rollback(ctx, id, rollout.RevertWave, version)
		flash = "The wave is being taken back."
	case "rollback-all":
		_, err = w.rollouts.Rollback(ctx, id, rollout.RevertAll, version)
		flash = "All of it is being taken back."
	default:
		if _, err = w.rollouts.Get(ctx, id); err == nil {
			err = fault.New(fault.Invalid, "no_decision", "the form does not say what to do").WithHint("use one of its buttons")
		}
	}
	return w.answer(r, view{}, err, flash)
}

func (w *web) decide(r *webui.Request) (webui.Answer, error) {
	ctx, id, group := r.Context(), r.Path("rollout"), number(r.Path("group"))
	digest, comment := r.Field("digest"), r.Field("comment")
	var err error
	flash := ""
	switch r.Field("decision") {
	case "approve":
		_, err = w.rollouts.Approve(ctx, id, group, digest, comment)
		flash = "You agreed to group " + strconv.FormatInt(group, 10) + "."
	case "reject":
		_, err = w.rollouts.Reject(ctx, id, group, digest, comment)
		flash = "Group " + strconv.FormatInt(group, 10) + " is left out."
	default:
		if _, err = w.rollouts.Get(ctx, id); err == nil {
			err = fault.New(fault.Invalid, "no_decision", "the form says neither yes nor no").WithHint("use one of its buttons")
		}
	}
	return w.answer(r, view{at: group, comment: comment}, err, flash)
}

// answer goes on after a form, or shows the page again with what was wrong.
func (w *web) answer(r *webui.Request, v view, err error, flash string) (webui.Answer, error) {
	if err == nil {
		return webui.Answer{To: webui.To("rollouts", r.Path("rollout")), Flash: flash}, nil
	}
	switch fault.KindOf(err) {
	case fault.Invalid, fault.Conflict, fault.Stale, fault.Denied:
		v.err = err
		page, verr := w.show(r, v)
		return webui.Answer{View: &page}, verr
	}
	return webui.Answer{}, err
}

var operations = map[string]string{"+": "add", "-": "del", "~": "mod"}

// changes gives a group's diff as it is shown.
func changes(g rollout.Group) []webui.Change {
	var out []webui.Change
	for _, o := range g.Diff {
		if len(out) > maxChanges {
			break
		}
		out = append(out, webui.Change{Op: "head", Path: o.Address + ": " + string(o.Action)})
		for _, a := range o.Attributes {
			out = append(out, webui.Change{Op: operations[a.Op], Path: a.Path, Old: webui.Text(a.Before), New: webui.Text(a.After)})
		}
	}
	return out[:min(len(out), maxChanges)]
}

const maxChanges = 100

// counted says how many members are in which state.
func counted(counts map[rollout.MemberState]int64) string {
	var parts []string
	for _, s := range []rollout.MemberState{rollout.Done, rollout.Upgraded, rollout.Applying, rollout.Pending, rollout.Unplanned, rollout.Failed, rollout.Stuck, rollout.Backing, rollout.Back, rollout.Aside, rollout.Excluded} {
		if n := counts[s]; n > 0 {
			parts = append(parts, webui.Number(n)+" "+string(s))
		}
	}
	return strings.Join(parts, ", ")
}

package calendarweb

import (
	"strconv"
	"strings"
	"time"

	"fairlead/internal/calendar"
	"fairlead/internal/fault"
	"fairlead/internal/httpx"
	"fairlead/internal/principal"
	"fairlead/internal/webui"
)

type web struct{ svc *calendar.Service }

// Mount adds the page.
func Mount(p *webui.Portal, svc *calendar.Service) {
	w := &web{svc}
	p.Page("GET /calendar", w.calendar)
	p.Action("POST /calendar/freezes", w.addFreeze)
	p.Action("POST /calendar/windows", w.addWindow)
	p.Action("POST /calendar/schedules", w.addSchedule)
	p.Action("POST /calendar/remove", w.remove)
}

const (
	shown    = 30
	daysSeen = 14
	drawn    = 12 // lines of the strip
)

// kinds are what the calendar holds, one a tab.
var kinds = []struct{ show, title, one string }{{"freezes", "Freezes", "freeze"}, {"windows", "Change windows", "window"}, {"schedules", "Schedules", "schedule"}}

var classes = []webui.Option{{Value: "", Title: "Any"}, {Value: "development", Title: "Development"}, {Value: "staging", Title: "Staging"}, {Value: "production", Title: "Production"}}

// form is what somebody wrote; times and days as they wrote them.
type form struct {
	Name, Reason, From, Until, Except, Days, Opens, Closes, Zone string
	calendar.Place
}

func read(r *webui.Request) form {
	return form{Name: r.Field("name"), Reason: r.Field("reason"), From: r.Field("from"), Until: r.Field("until"), Except: r.Field("except"), Days: r.Field("days"),
		Opens: r.Field("opens"), Closes: r.Field("closes"), Zone: r.Field("zone"),
		Place: calendar.Place{Team: r.Field("team"), Project: r.Field("project"), Environment: r.Field("environment"), Class: r.Field("class")}}
}

// entry is one of what is listed, of whatever kind.
type entry struct {
	id, name, detail, where string
	tone                    webui.Tone
	state                   string // how it is now
	from, until             time.Time
	when                    string // of a window or a schedule: its week
	next                    time.Time
	by                      []webui.StripSpan
}

type view struct {
	show string // freezes, windows or schedules
	list []entry
	next string
	now  time.Time
	may  bool // whom the forms are of use to; the service decides
	form form
	err  error
}

func (w *web) calendar(r *webui.Request) (webui.View, error) {
	return w.page(r, view{show: r.Query("show"), form: form{Days: "mon-fri", Opens: "09:00", Closes: "17:00", Zone: "UTC"}})
}

func (w *web) page(r *webui.Request, v view) (webui.View, error) {
	page, err := r.PageOf(shown)
	if err != nil {
		return webui.View{}, err
	}
	ctx := r.Context()
	v.now = time.Now().UTC()
	v.may = manages(r.Who())
	f := calendar.Filter{Team: r.Query("team"), Project: r.Query("project"), Sort: r.Query("sort")}
	switch v.show {
	case "windows":
		var list []calendar.Window
		list, v.next, err = w.svc.Windows(ctx, f, page)
		for _, win := range list {
			v.list = append(v.list, v.window(win, webui.OK, "open", "closed"))
		}
	case "schedules":
		var list []calendar.Schedule
		list, v.next, err = w.svc.Schedules(ctx, f, page)
		for _, s := range list {
			v.list = append(v.list, v.window(s.Window, webui.Busy, "runs", "stopped"))
		}
	default:
		v.show = "freezes"
		var list []calendar.Freeze
		list, v.next, err = w.svc.Freezes(ctx, f, page)
		for _, fr := range list {
			v.list = append(v.list, v.freeze(fr))
		}
	}
	if err != nil {
		return webui.View{}, err
	}
	out := webui.View{Title: "Calendar", Body: calendarPage(r, v), API: "GET /api/v1/calendar/" + v.show, CLI: "fairlead calendar " + v.kind() + " ls", Docs: "/docs/calendar"}
	if v.err != nil {
		out.Status = httpx.Status(fault.KindOf(v.err))
	}
	return out, nil
}

// manages tells whom the forms are of use to: who owns a team, or looks after
// the platform.
func manages(p principal.Principal) bool {
	if p.HasOrgRole(principal.PlatformAdmin) {
		return true
	}
	for _, m := range p.Memberships {
		if m.Role == principal.TeamOwner {
			return true
		}
	}
	return false
}

func (v view) kind() string {
	for _, k := range kinds {
		if k.show == v.show {
			return k.one
		}
	}
	return ""
}

func (v view) freeze(f calendar.Freeze) entry {
	e := entry{id: f.ID, name: f.Name, detail: f.Reason, where: place(f.Place), from: f.From, until: f.Until, state: "to come", by: []webui.StripSpan{{From: f.From, Until: f.Until, Tone: webui.Bad}}}
	if !f.From.After(v.now) {
		e.state, e.tone = "in force", webui.Bad
	}
	if len(f.ExceptNames) > 0 {
		e.where += ", but not " + strings.Join(f.ExceptNames, ", ")
	}
	return e
}

func (v view) window(w calendar.Window, tone webui.Tone, open, closed string) entry {
	e := entry{id: w.ID, name: w.Name, where: place(w.Place), when: week(w), state: closed}
	now, until := w.OpenAt(v.now)
	if e.next = until; now {
		e.state, e.tone = open, tone
	}
	for _, s := range w.Spans(v.now.Truncate(24*time.Hour), v.now.AddDate(0, 0, daysSeen+1)) {
		e.by = append(e.by, webui.StripSpan{From: s.From, Until: s.Until, Tone: tone})
	}
	return e
}

// week says when a window is open: "mon, tue, 09:00 to 17:00, Europe/Berlin".
func week(w calendar.Window) string {
	days := strings.Join(calendar.DayNames(w.Weekdays), ", ")
	switch days {
	case "mon, tue, wed, thu, fri":
		days = "mon to fri"
	case "sun, mon, tue, wed, thu, fri, sat":
		days = "every day"
	case "sun, sat":
		days = "sat, sun"
	}
	return days + ", " + calendar.Clock(w.Opens) + " to " + calendar.Clock(w.Closes) + ", " + w.Zone
}

// place says where something holds.
func place(p calendar.Place) string {
	var s string
	switch p.Scope {
	case calendar.Team:
		s = "team " + p.Team
	case calendar.Project:
		s = "project " + p.Project
	case calendar.Environment:
		s = p.Project + " / " + p.Environment
	default:
		s = "everywhere"
	}
	if p.Class != "" {
		s += ", " + p.Class
	}
	return s
}

// strip draws the days to come.
func (v view) strip() webui.StripView {
	s := webui.StripView{Label: "The next " + strconv.Itoa(daysSeen) + " days", From: v.now.Truncate(24 * time.Hour), Days: daysSeen}
	for _, e := range v.list[:min(len(v.list), drawn)] {
		detail := e.when
		if detail == "" {
			detail = e.where
		}
		row := webui.StripRow{Title: e.name, Detail: detail}
		for _, span := range e.by {
			if span.Until.After(s.From) && span.From.Before(s.From.AddDate(0, 0, s.Days)) {
				row.Spans = append(row.Spans, span)
			}
		}
		s.Rows = append(s.Rows, row)
	}
	return s
}

// nowAt is where the strip's line of now is, of 1000.
func (v view) nowAt() string {
	share := v.now.Sub(v.now.Truncate(24*time.Hour)).Hours() / 24 / daysSeen
	return strconv.FormatFloat(share*1000, 'f', 1, 64)
}

// moment reads a time as a form has it; it is one of UTC.
func moment(text, field string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{"2006-01-02T15:04", "2006-01-02T15:04:05", "2006-01-02 15:04", time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fault.New(fault.Invalid, "invalid_freeze", "this is no time").WithField(field).WithHint("as 2026-12-24 18:00, in UTC")
}

func (w *web) addFreeze(r *webui.Request) (webui.Answer, error) {
	f := read(r)
	in := calendar.Freeze{Name: f.Name, Place: f.Place, Reason: f.Reason}
	in.ExceptNames = strings.FieldsFunc(f.Except, func(c rune) bool { return c == ',' || c == ' ' })
	var err error
	if in.From, err = moment(f.From, "/from"); err == nil {
		in.Until, err = moment(f.Until, "/until")
	}
	if err == nil {
		_, err = w.svc.AddFreeze(r.Context(), in)
	}
	return w.answer(r, "freezes", f, err, "No change happens there for that time.")
}

func (w *web) addWindow(r *webui.Request) (webui.Answer, error) {
	f := read(r)
	in, err := f.window()
	if err == nil {
		_, err = w.svc.AddWindow(r.Context(), in)
	}
	return w.answer(r, "windows", f, err, "Changes happen there while it is open.")
}

func (w *web) addSchedule(r *webui.Request) (webui.Answer, error) {
	f := read(r)
	in, err := f.window()
	if err == nil {
		_, err = w.svc.AddSchedule(r.Context(), in)
	}
	return w.answer(r, "schedules", f, err, "It acts from its next turn on.")
}

func (f form) window() (calendar.Window, error) {
	days, err := calendar.ParseDays(strings.FieldsFunc(f.Days, func(c rune) bool { return c == ',' || c == ' ' }))
	if err != nil {
		return calendar.Window{}, err
	}
	opens, err := calendar.ParseClock(f.Opens)
	if err != nil {
		return calendar.Window{}, fault.From(err).WithField("/opens")
	}
	closes, err := calendar.ParseClock(f.Closes)
	if err != nil {
		return calendar.Window{}, fault.From(err).WithField("/closes")
	}
	return calendar.Window{Name: f.Name, Place: f.Place, Weekdays: days, Opens: opens, Closes: closes, Zone: f.Zone}, nil
}

func (w *web) remove(r *webui.Request) (webui.Answer, error) {
	var err error
	show := r.Field("show")
	switch ctx := r.Context(); show {
	case "windows":
		err = w.svc.RemoveWindow(ctx, r.Field("id"))
	case "schedules":
		err = w.svc.RemoveSchedule(ctx, r.Field("id"))
	default:
		show, err = "freezes", w.svc.RemoveFreeze(ctx, r.Field("id"))
	}
	return w.answer(r, show, form{}, err, "It is gone.")
}

// answer goes back to the list, or shows the form again with what is wrong.
func (w *web) answer(r *webui.Request, show string, f form, err error, done string) (webui.Answer, error) {
	if err == nil {
		return webui.Answer{To: "/calendar?show=" + show, Flash: done}, nil
	}
	switch fault.KindOf(err) {
	case fault.Invalid, fault.Conflict, fault.Stale, fault.Denied, fault.NotFound:
		v, verr := w.page(r, view{show: show, form: f, err: err})
		return webui.Answer{View: &v}, verr
	}
	return webui.Answer{}, err
}

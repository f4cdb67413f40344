package calendarapi

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"fairlead/internal/calendar"
	"fairlead/internal/fault"
	"fairlead/internal/httpx"
)

var tags = []string{"Calendar"}

// CalendarPlace is where a window or a freeze holds: the narrowest that is
// named, or the whole organisation.
type CalendarPlace struct {
	Team        string `json:"team,omitempty" maxLength:"64" doc:"Name or id"`
	Project     string `json:"project,omitempty" maxLength:"64" doc:"Name or id"`
	Environment string `json:"environment,omitempty" maxLength:"64" doc:"Name, with its project, or id"`
	Class       string `json:"class,omitempty" enum:"development,staging,production" doc:"Only environments of this class"`
}

func (p CalendarPlace) place() calendar.Place {
	return calendar.Place{Team: p.Team, Project: p.Project, Environment: p.Environment, Class: p.Class}
}

func placeOf(p calendar.Place) CalendarPlace {
	return CalendarPlace{Team: p.Team, Project: p.Project, Environment: p.Environment, Class: p.Class}
}

// ChangeWindowSetting is a window as somebody wants it.
type ChangeWindowSetting struct {
	Name string `json:"name" maxLength:"40"`
	CalendarPlace
	Weekdays []string `json:"weekdays" nullable:"false" minItems:"1" maxItems:"7" example:"[\"mon\",\"tue\"]" doc:"mon to sun; a span is mon-fri"`
	Opens    string   `json:"opens" maxLength:"5" example:"09:00"`
	Closes   string   `json:"closes" maxLength:"5" example:"17:00" doc:"Not after opens: on the next day. 24:00 is the end of the day"`
	Zone     string   `json:"zone" maxLength:"64" example:"Europe/Berlin" doc:"Of the IANA database"`
}

// ChangeWindow is a time of the week in which changes may happen.
type ChangeWindow struct {
	ID string `json:"id"`
	ChangeWindowSetting
	Scope     string    `json:"scope" enum:"organisation,team,project,environment"`
	CreatedAt time.Time `json:"createdAt"`
}

func viewWindow(w calendar.Window) ChangeWindow {
	return ChangeWindow{ID: w.ID, Scope: w.Scope, CreatedAt: w.CreatedAt, ChangeWindowSetting: ChangeWindowSetting{Name: w.Name, CalendarPlace: placeOf(w.Place),
		Weekdays: calendar.DayNames(w.Weekdays), Opens: calendar.Clock(w.Opens), Closes: calendar.Clock(w.Closes), Zone: w.Zone}}
}

// FreezeSetting is a freeze as somebody wants it.
type FreezeSetting struct {
	Name string `json:"name" maxLength:"40"`
	CalendarPlace
	Reason string     `json:"reason,omitempty" maxLength:"2000"`
	From   *time.Time `json:"from,omitempty" doc:"Now when absent"`
	Until  time.Time  `json:"until"`
	Except []string   `json:"except,omitempty" maxItems:"100" doc:"Teams that it does not hold for"`
}

// Freeze is a time in which no change happens.
type Freeze struct {
	ID string `json:"id"`
	FreezeSetting
	Scope     string    `json:"scope" enum:"organisation,team,project,environment"`
	CreatedAt time.Time `json:"createdAt"`
}

func viewFreeze(f calendar.Freeze) Freeze {
	return Freeze{ID: f.ID, Scope: f.Scope, CreatedAt: f.CreatedAt, FreezeSetting: FreezeSetting{Name: f.Name, CalendarPlace: placeOf(f.Place), Reason: f.Reason,
		From: &f.From, Until: f.Until, Except: f.ExceptNames}}
}

// CalendarStatus is how it stands for an environment.
type CalendarStatus struct {
	Open    bool           `json:"open" doc:"Changes happen now"`
	Name    string         `json:"name,omitempty" doc:"Of what closes it"`
	Reason  string         `json:"reason,omitempty"`
	Until   *time.Time     `json:"until,omitempty" doc:"When it opens, or closes; absent when nobody knows"`
	Windows []ChangeWindow `json:"windows" nullable:"false" doc:"Those that decide"`
	Freezes []Freeze       `json:"freezes" nullable:"false" doc:"Those that hold, or will"`
}

// Register adds the operations.
func Register(api huma.API, svc *calendar.Service) {
	httpx.Register(api, huma.Operation{OperationID: "get-calendar", Method: http.MethodGet, Path: "/api/v1/projects/{project}/environments/{environment}/calendar", Tags: tags,
		Summary: "Whether changes happen in an environment now, and what comes next"},
		func(ctx context.Context, in *struct {
			Project     string `path:"project" maxLength:"64" doc:"Name or id"`
			Environment string `path:"environment" maxLength:"64" doc:"Name or id"`
		}) (*httpx.Body[CalendarStatus], error) {
			st, err := svc.Status(ctx, in.Project, in.Environment)
			if err != nil {
				return nil, err
			}
			out := CalendarStatus{Open: !st.Now.Closed, Name: st.Now.Name, Reason: st.Now.Reason, Windows: views(st.Windows, viewWindow), Freezes: views(st.Freezes, viewFreeze)}
			until := st.OpenTo
			if st.Now.Closed {
				until = st.Now.Until
			}
			if !until.IsZero() {
				out.Until = &until
			}
			return &httpx.Body[CalendarStatus]{Body: out}, nil
		})
	registerWindows(api, svc)
	registerFreezes(api, svc)
	registerSchedules(api, svc)
}

func views[A, B any](list []A, view func(A) B) []B {
	out := make([]B, len(list))
	for i, v := range list {
		out[i] = view(v)
	}
	return out
}

// CalendarFilter narrows a list of windows, freezes or schedules.
type CalendarFilter struct {
	httpx.PageInput
	Team        string `query:"team" maxLength:"64" doc:"Name or id: what holds for it, or for a part of it"`
	Project     string `query:"project" maxLength:"64" doc:"Name or id: what holds in it, or in a part of it"`
	Environment string `query:"environment" maxLength:"64" doc:"Name or id: what holds in it alone"`
	Class       string `query:"class" enum:"development,staging,production" doc:"Only what is for environments of this class alone"`
}

func (in CalendarFilter) filter(sort string) calendar.Filter {
	return calendar.Filter{Team: in.Team, Project: in.Project, Environment: in.Environment, Class: in.Class, Sort: sort}
}

func registerWindows(api huma.API, svc *calendar.Service) {
	httpx.Register(api, huma.Operation{OperationID: "list-change-windows", Method: http.MethodGet, Path: "/api/v1/calendar/windows", Tags: tags, Summary: "Change windows of places that the caller may know of"},
		func(ctx context.Context, in *struct {
			CalendarFilter
			Sort string `query:"sort" enum:"name,-name,created,-created" default:"name"`
		}) (*httpx.Body[httpx.Page[ChangeWindow]], error) {
			page, err := in.Page()
			if err != nil {
				return nil, err
			}
			items, next, err := svc.Windows(ctx, in.filter(in.Sort), page)
			return httpx.PageOf(items, next, err, viewWindow)
		})
	httpx.Register(api, httpx.Located(huma.Operation{OperationID: "create-change-window", Method: http.MethodPost, Path: "/api/v1/calendar/windows", Tags: tags, Summary: "Make a change window",
		Description: "Where there are windows, changes that people ask for happen while one of the narrowest place's is open, and wait otherwise."}, "/api/v1/calendar/windows/{name}"),
		func(ctx context.Context, in *struct{ Body ChangeWindowSetting }) (*httpx.Body[ChangeWindow], error) {
			b := in.Body
			days, err := calendar.ParseDays(b.Weekdays)
			if err != nil {
				return nil, err
			}
			opens, err := calendar.ParseClock(b.Opens)
			if err != nil {
				return nil, fault.From(err).WithField("/opens")
			}
			closes, err := calendar.ParseClock(b.Closes)
			if err != nil {
				return nil, fault.From(err).WithField("/closes")
			}
			w, err := svc.AddWindow(ctx, calendar.Window{Name: b.Name, Place: b.place(), Weekdays: days, Opens: opens, Closes: closes, Zone: b.Zone})
			if err != nil {
				return nil, err
			}
			return &httpx.Body[ChangeWindow]{Body: viewWindow(w)}, nil
		})
	httpx.Register(api, huma.Operation{OperationID: "get-change-window", Method: http.MethodGet, Path: "/api/v1/calendar/windows/{window}", Tags: tags, Summary: "A change window"},
		func(ctx context.Context, in *struct {
			Window string `path:"window" maxLength:"64" doc:"Name or id"`
		}) (*httpx.Body[ChangeWindow], error) {
			w, err := svc.FindWindow(ctx, in.Window)
			if err != nil {
				return nil, err
			}
			return &httpx.Body[ChangeWindow]{Body: viewWindow(w)}, nil
		})
	httpx.Register(api, huma.Operation{OperationID: "delete-change-window", Method: http.MethodDelete, Path: "/api/v1/calendar/windows/{window}", Tags: tags, Summary: "Take a change window away",
		DefaultStatus: http.StatusNoContent},
		func(ctx context.Context, in *struct {
			Window string `path:"window" maxLength:"64" doc:"Name or id"`
		}) (*struct{}, error) {
			return nil, svc.RemoveWindow(ctx, in.Window)
		})
}

func registerFreezes(api huma.API, svc *calendar.Service) {
	httpx.Register(api, huma.Operation{OperationID: "list-freezes", Method: http.MethodGet, Path: "/api/v1/calendar/freezes", Tags: tags,
		Summary: "Freezes of places that the caller may know of", Description: "Those that hold, or will."},
		func(ctx context.Context, in *struct {
			CalendarFilter
			Sort string `query:"sort" enum:"until,-until,name,-name,created,-created" default:"until"`
		}) (*httpx.Body[httpx.Page[Freeze]], error) {
			page, err := in.Page()
			if err != nil {
				return nil, err
			}
			items, next, err := svc.Freezes(ctx, in.filter(in.Sort), page)
			return httpx.PageOf(items, next, err, viewFreeze)
		})
	httpx.Register(api, httpx.Located(huma.Operation{OperationID: "create-freeze", Method: http.MethodPost, Path: "/api/v1/calendar/freezes", Tags: tags, Summary: "Let no change happen for a while",
		Description: "What people ask for waits; healing and the ends of leases go on."}, "/api/v1/calendar/freezes/{name}"),
		func(ctx context.Context, in *struct{ Body FreezeSetting }) (*httpx.Body[Freeze], error) {
			b := in.Body
			f := calendar.Freeze{Name: b.Name, Place: b.place(), Reason: b.Reason, Until: b.Until, ExceptNames: b.Except}
			if b.From != nil {
				f.From = *b.From
			}
			f, err := svc.AddFreeze(ctx, f)
			if err != nil {
				return nil, err
			}
			return &httpx.Body[Freeze]{Body: viewFreeze(f)}, nil
		})
	httpx.Register(api, huma.Operation{OperationID: "get-freeze", Method: http.MethodGet, Path: "/api/v1/calendar/freezes/{freeze}", Tags: tags, Summary: "A freeze"},
		func(ctx context.Context, in *struct {
			Freeze string `path:"freeze" maxLength:"64" doc:"Name or id"`
		}) (*httpx.Body[Freeze], error) {
			f, err := svc.FindFreeze(ctx, in.Freeze)
			if err != nil {
				return nil, err
			}
			return &httpx.Body[Freeze]{Body: viewFreeze(f)}, nil
		})
	httpx.Register(api, huma.Operation{OperationID: "delete-freeze", Method: http.MethodDelete, Path: "/api/v1/calendar/freezes/{freeze}", Tags: tags, Summary: "End a freeze",
		Description: "What waited for it goes on.", DefaultStatus: http.StatusNoContent},
		func(ctx context.Context, in *struct {
			Freeze string `path:"freeze" maxLength:"64" doc:"Name or id"`
		}) (*struct{}, error) {
			return nil, svc.RemoveFreeze(ctx, in.Freeze)
		})
}

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

// StopScheduleSetting is a schedule as somebody wants it.
type StopScheduleSetting struct {
	Name string `json:"name" maxLength:"40"`
	CalendarPlace
	Weekdays []string `json:"weekdays" nullable:"false" minItems:"1" maxItems:"7" example:"[\"mon\",\"tue\"]" doc:"Days on which things run: mon to sun; a span is mon-fri"`
	Starts   string   `json:"starts" maxLength:"5" example:"07:00"`
	Stops    string   `json:"stops" maxLength:"5" example:"19:00" doc:"Not after starts: on the next day"`
	Zone     string   `json:"zone" maxLength:"64" example:"Europe/Berlin" doc:"Of the IANA database"`
}

// StopSchedule says when what can be stopped runs.
type StopSchedule struct {
	ID string `json:"id"`
	StopScheduleSetting
	Scope     string    `json:"scope" enum:"organisation,team,project,environment"`
	TurnedAt  time.Time `json:"turnedAt" doc:"All turns until then are made"`
	CreatedAt time.Time `json:"createdAt"`
}

func viewSchedule(v calendar.Schedule) StopSchedule {
	return StopSchedule{ID: v.ID, Scope: v.Scope, TurnedAt: v.TurnedAt, CreatedAt: v.CreatedAt, StopScheduleSetting: StopScheduleSetting{Name: v.Name, CalendarPlace: placeOf(v.Place),
		Weekdays: calendar.DayNames(v.Weekdays), Starts: calendar.Clock(v.Opens), Stops: calendar.Clock(v.Closes), Zone: v.Zone}}
}

// SchedulePath names a schedule.
type SchedulePath struct {
	Schedule string `path:"schedule" maxLength:"64" doc:"Name or id"`
}

func registerSchedules(api huma.API, svc *calendar.Service) {
	const one = "/api/v1/calendar/schedules/{schedule}"
	httpx.Register(api, huma.Operation{OperationID: "list-stop-schedules", Method: http.MethodGet, Path: "/api/v1/calendar/schedules", Tags: tags,
		Summary: "Schedules of places that the caller may know of"},
		func(ctx context.Context, in *struct {
			CalendarFilter
			Sort string `query:"sort" enum:"name,-name,created,-created" default:"name"`
		}) (*httpx.Body[httpx.Page[StopSchedule]], error) {
			page, err := in.Page()
			if err != nil {
				return nil, err
			}
			items, next, err := svc.Schedules(ctx, in.filter(in.Sort), page)
			return httpx.PageOf(items, next, err, viewSchedule)
		})
	httpx.Register(api, httpx.Located(huma.Operation{OperationID: "create-stop-schedule", Method: http.MethodPost, Path: "/api/v1/calendar/schedules", Tags: tags,
		Summary: "Stop what can be stopped at night and on weekends", Description: "It acts at its turns alone: what somebody starts in between runs until the next."}, "/api/v1/calendar/schedules/{name}"),
		func(ctx context.Context, in *struct{ Body StopScheduleSetting }) (*httpx.Body[StopSchedule], error) {
			b := in.Body
			days, err := calendar.ParseDays(b.Weekdays)
			if err != nil {
				return nil, err
			}
			starts, err := calendar.ParseClock(b.Starts)
			if err != nil {
				return nil, fault.From(err).WithField("/starts")
			}
			stops, err := calendar.ParseClock(b.Stops)
			if err != nil {
				return nil, fault.From(err).WithField("/stops")
			}
			return scheduleReply(svc.AddSchedule(ctx, calendar.Window{Name: b.Name, Place: b.place(), Weekdays: days, Opens: starts, Closes: stops, Zone: b.Zone}))
		})
	httpx.Register(api, huma.Operation{OperationID: "get-stop-schedule", Method: http.MethodGet, Path: one, Tags: tags, Summary: "A schedule"},
		func(ctx context.Context, in *SchedulePath) (*httpx.Body[StopSchedule], error) {
			return scheduleReply(svc.FindSchedule(ctx, in.Schedule))
		})
	httpx.Register(api, huma.Operation{OperationID: "delete-stop-schedule", Method: http.MethodDelete, Path: one, Tags: tags, Summary: "Take a schedule away",
		Description: "What is stopped stays so.", DefaultStatus: http.StatusNoContent},
		func(ctx context.Context, in *SchedulePath) (*struct{}, error) {
			return nil, svc.RemoveSchedule(ctx, in.Schedule)
		})
}

func scheduleReply(v calendar.Schedule, err error) (*httpx.Body[StopSchedule], error) {
	if err != nil {
		return nil, err
	}
	return &httpx.Body[StopSchedule]{Body: viewSchedule(v)}, nil
}

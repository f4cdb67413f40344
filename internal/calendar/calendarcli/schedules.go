package calendarcli

import (
	"context"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"fairlead/internal/apiclient"
	"fairlead/internal/clikit"
)

type scheduleRow = apiclient.StopSchedule

func scheduleCommand(c *clikit.CLI) *cobra.Command {
	cmd := &cobra.Command{Use: "schedule", Aliases: []string{"schedules"}, Short: "Schedules: what can be stopped runs at these times alone"}
	cmd.AddCommand(listSchedules(c), addSchedule(c), removeSchedule(c))
	return cmd
}

func schedulePlace(v scheduleRow) string {
	return place(string(v.Scope), clikit.Or(v.Team), clikit.Or(v.Project), clikit.Or(v.Environment), string(clikit.Or(v.Class)))
}

func runs(v scheduleRow) string {
	return strings.Join(v.Weekdays, ",") + " " + v.Starts + "-" + v.Stops + " " + v.Zone
}

func listSchedules(c *clikit.CLI) *cobra.Command {
	return listing(c, "List schedules", "no schedules: what runs runs; make one: fairlead calendar schedule add NAME --days mon-fri --start 07:00 --stop 19:00 --zone Europe/Berlin", func(v scheduleRow) string { return v.Name },
		func(ctx context.Context, s *clikit.Session, f filter, limit *int64, cursor *string) ([]scheduleRow, *string, error) {
			p, err := clikit.Read[apiclient.PageStopSchedule](s.ListStopSchedules(ctx, &apiclient.ListStopSchedulesParams{Limit: limit, Cursor: cursor, Team: clikit.Some(f.team),
				Project: clikit.Some(f.place.Project), Environment: clikit.Some(f.place.Environment), Class: clikit.Some(apiclient.ListStopSchedulesParamsClass(f.class))}))
			return p.Items, p.Next, err
		},
		clikit.Column[scheduleRow]{Title: "NAME", Cell: func(v scheduleRow) string { return v.Name }},
		clikit.Column[scheduleRow]{Title: "PLACE", Cell: schedulePlace},
		clikit.Column[scheduleRow]{Title: "RUNS", Cell: runs})
}

func addSchedule(c *clikit.CLI) *cobra.Command {
	var f where
	var days []string
	var starts, stops, zone string
	cmd := &cobra.Command{
		Use: "add NAME --days DAYS --start TIME --stop TIME --zone ZONE", Short: "Stop what can be stopped at night and on weekends",
		Long: "Start what can be stopped at one time of these days, and stop it at another. It acts at those times alone: what somebody starts in between runs until the next." + placing,
		Example: "  fairlead calendar schedule add office --class development --days mon-fri --start 07:00 --stop 19:00 --zone Europe/Berlin\n" +
			"  fairlead calendar schedule add demo -e shop/demo --days wed --start 09:00 --stop 12:00 --zone UTC",
	}
	adding(c, cmd, &f, func(ctx context.Context, s *clikit.Session, name string, w clikit.Where) (scheduleRow, error) {
		return clikit.Read[scheduleRow](s.CreateStopSchedule(ctx, apiclient.CreateStopScheduleJSONRequestBody{Name: name, Weekdays: days, Starts: starts, Stops: stops, Zone: zone,
			Team: clikit.Some(f.team), Project: clikit.Some(w.Project), Environment: clikit.Some(w.Environment), Class: clikit.Some(apiclient.StopScheduleSettingClass(f.class))}))
	}, func(v scheduleRow) (string, string, string) { return v.Name, schedulePlace(v), runs(v) })
	cmd.Flags().StringSliceVar(&days, "days", nil, "days on which it runs, such as mon-fri")
	cmd.Flags().StringVar(&starts, "start", "", "when it is started, such as 07:00")
	cmd.Flags().StringVar(&stops, "stop", "", "when it is stopped; not after --start: on the next day")
	cmd.Flags().StringVar(&zone, "zone", "UTC", "time zone, such as Europe/Berlin")
	for _, name := range []string{"days", "start", "stop"} {
		_ = cmd.MarkFlagRequired(name)
	}
	return cmd
}

func removeSchedule(c *clikit.CLI) *cobra.Command {
	return removing(c, "Take a schedule away; what is stopped stays so", "the schedule %s is gone", func(ctx context.Context, s *clikit.Session, name string) (*http.Response, error) {
		return s.DeleteStopSchedule(ctx, name)
	})
}

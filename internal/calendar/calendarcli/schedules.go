package calendarcli

import (
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
	return &cobra.Command{
		Use: "ls", Aliases: []string{"list"}, Short: "List schedules", Args: clikit.Args(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := c.Session()
			if err != nil {
				return err
			}
			p, err := clikit.Read[apiclient.PageStopSchedule](s.ListStopSchedules(cmd.Context()))
			if err != nil {
				return err
			}
			return clikit.PrintList(c, p.Items, func(v scheduleRow) string { return v.Name }, "no schedules: what runs runs",
				clikit.Column[scheduleRow]{Title: "NAME", Cell: func(v scheduleRow) string { return v.Name }},
				clikit.Column[scheduleRow]{Title: "PLACE", Cell: schedulePlace},
				clikit.Column[scheduleRow]{Title: "RUNS", Cell: runs})
		},
	}
}

func addSchedule(c *clikit.CLI) *cobra.Command {
	var f where
	var days []string
	var starts, stops, zone string
	cmd := &cobra.Command{
		Use: "add NAME --days DAYS --start TIME --stop TIME --zone ZONE", Short: "Stop what can be stopped at night and on weekends", Args: clikit.Args(1, 1),
		Long: "Start what can be stopped at one time of these days, and stop it at another. It acts at those times alone: what somebody starts in between runs until the next." + placing,
		Example: "  fairlead calendar schedule add office --class development --days mon-fri --start 07:00 --stop 19:00 --zone Europe/Berlin\n" +
			"  fairlead calendar schedule add demo -e shop/demo --days wed --start 09:00 --stop 12:00 --zone UTC",
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := c.Session()
			if err != nil {
				return err
			}
			w, err := c.Asked()
			if err != nil {
				return err
			}
			v, err := clikit.Read[scheduleRow](s.CreateStopSchedule(cmd.Context(), apiclient.CreateStopScheduleJSONRequestBody{Name: args[0], Weekdays: days, Starts: starts, Stops: stops, Zone: zone,
				Team: clikit.Some(f.team), Project: clikit.Some(w.Project), Environment: clikit.Some(w.Environment), Class: clikit.Some(apiclient.StopScheduleSettingClass(f.class))}))
			if err != nil {
				return err
			}
			return clikit.PrintOne(c, v, v.Name, func(t *clikit.Text) {
				t.Line("%s  %s  %s", t.Style.Bold(clikit.Clean(v.Name)), clikit.Clean(schedulePlace(v)), clikit.Clean(runs(v)))
			})
		},
	}
	f.add(c, cmd)
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
	return &cobra.Command{
		Use: "rm NAME", Aliases: []string{"delete"}, Short: "Take a schedule away; what is stopped stays so", Args: clikit.Args(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := c.Session()
			if err != nil {
				return err
			}
			if err := clikit.Done(s.DeleteStopSchedule(cmd.Context(), args[0])); err != nil {
				return err
			}
			c.Note("the schedule %s is gone", args[0])
			return nil
		},
	}
}

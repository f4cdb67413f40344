package calendarcli

import (
	"strings"
	"time"

	"github.com/spf13/cobra"

	"fairlead/internal/apiclient"
	"fairlead/internal/clikit"
)

// Commands gives the commands of this concern.
func Commands(c *clikit.CLI) []*cobra.Command {
	calendar := &cobra.Command{Use: "calendar", Short: "Change windows, freezes and schedules: when changes may happen, and what runs when", GroupID: clikit.GroupGovern}
	window := &cobra.Command{Use: "window", Aliases: []string{"windows"}, Short: "Change windows: times of the week in which changes happen"}
	window.AddCommand(listWindows(c), addWindow(c), removeWindow(c))
	freeze := &cobra.Command{Use: "freeze", Aliases: []string{"freezes"}, Short: "Freezes: times in which no change happens"}
	freeze.AddCommand(listFreezes(c), addFreeze(c), removeFreeze(c))
	calendar.AddCommand(status(c), window, freeze, scheduleCommand(c))
	return []*cobra.Command{calendar}
}

type (
	windowRow = apiclient.ChangeWindow
	freezeRow = apiclient.Freeze
)

// place says where something holds.
func place(scope, team, project, environment, class string) string {
	out := scope
	switch scope {
	case "team":
		out = "team " + team
	case "project":
		out = "project " + project
	case "environment":
		out = project + "/" + environment
	}
	if class != "" {
		out += ", " + class
	}
	return out
}

func windowPlace(w windowRow) string {
	return place(string(w.Scope), clikit.Or(w.Team), clikit.Or(w.Project), clikit.Or(w.Environment), string(clikit.Or(w.Class)))
}

func freezePlace(f freezeRow) string {
	return place(string(f.Scope), clikit.Or(f.Team), clikit.Or(f.Project), clikit.Or(f.Environment), string(clikit.Or(f.Class)))
}

func times(w windowRow) string {
	return strings.Join(w.Weekdays, ",") + " " + w.Opens + "-" + w.Closes + " " + w.Zone
}

func status(c *clikit.CLI) *cobra.Command {
	return &cobra.Command{
		Use: "ls", Aliases: []string{"show"}, Short: "Show whether changes happen in the environment now, and what comes next", Args: clikit.Args(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := c.Session()
			if err != nil {
				return err
			}
			w, err := c.Where()
			if err != nil {
				return err
			}
			st, err := clikit.Read[apiclient.CalendarStatus](s.GetCalendar(cmd.Context(), w.Project, w.Environment))
			if err != nil {
				return err
			}
			word := "closed"
			if st.Open {
				word = "open"
			}
			return clikit.PrintOne(c, st, word, func(t *clikit.Text) {
				t.Line("%s  %s", t.Style.Bold(clikit.Clean(w.String())), word)
				until := ""
				if st.Until != nil {
					until = clikit.Moment(*st.Until)
				}
				t.Pairs("  ", clikit.Pair{Key: "because of", Value: clikit.Or(st.Name)}, clikit.Pair{Key: "reason", Value: clikit.Or(st.Reason)}, clikit.Pair{Key: "until", Value: until})
				for _, v := range st.Windows {
					t.Line("  window %s  %s", clikit.Clean(v.Name), clikit.Clean(times(v)))
				}
				for _, f := range st.Freezes {
					t.Line("  freeze %s  until %s  %s", clikit.Clean(f.Name), clikit.Moment(f.Until), clikit.Clean(clikit.Or(f.Reason)))
				}
			})
		},
	}
}

func listWindows(c *clikit.CLI) *cobra.Command {
	return &cobra.Command{
		Use: "ls", Aliases: []string{"list"}, Short: "List change windows", Args: clikit.Args(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := c.Session()
			if err != nil {
				return err
			}
			p, err := clikit.Read[apiclient.PageChangeWindow](s.ListChangeWindows(cmd.Context()))
			if err != nil {
				return err
			}
			return clikit.PrintList(c, p.Items, func(w windowRow) string { return w.Name }, "no change windows: changes happen at any time",
				clikit.Column[windowRow]{Title: "NAME", Cell: func(w windowRow) string { return w.Name }},
				clikit.Column[windowRow]{Title: "PLACE", Cell: windowPlace},
				clikit.Column[windowRow]{Title: "OPEN", Cell: times})
		},
	}
}

// where are the flags that say where something holds.
type where struct{ team, class string }

func (f *where) add(c *clikit.CLI, cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.team, "team", "", "for this team")
	c.CompleteFlag(cmd, "team", c.Teams)
	cmd.Flags().StringVar(&f.class, "class", "", "only environments of this class: development, staging or production")
	_ = cmd.RegisterFlagCompletionFunc("class", clikit.Fixed("development", "staging", "production"))
}

const placing = "\n\nIt holds in the team, project or environment that --team, --project or -e names; in the whole organisation when none does."

func addWindow(c *clikit.CLI) *cobra.Command {
	var f where
	var days []string
	var opens, closes, zone string
	cmd := &cobra.Command{
		Use: "add NAME --days DAYS --from TIME --to TIME --zone ZONE", Short: "Make a change window", Args: clikit.Args(1, 1),
		Long: "Make a time of the week in which changes happen; outside of it they wait. Of several places the windows of the narrowest decide." + placing,
		Example: "  fairlead calendar window add office --class production --days mon-thu --from 09:00 --to 16:00 --zone Europe/Berlin\n" +
			"  fairlead calendar window add night -e shop/prod --days sat --from 22:00 --to 02:00 --zone UTC",
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := c.Session()
			if err != nil {
				return err
			}
			w, err := c.Asked()
			if err != nil {
				return err
			}
			v, err := clikit.Read[windowRow](s.CreateChangeWindow(cmd.Context(), apiclient.CreateChangeWindowJSONRequestBody{Name: args[0], Weekdays: days, Opens: opens, Closes: closes, Zone: zone,
				Team: clikit.Some(f.team), Project: clikit.Some(w.Project), Environment: clikit.Some(w.Environment), Class: clikit.Some(apiclient.ChangeWindowSettingClass(f.class))}))
			if err != nil {
				return err
			}
			return clikit.PrintOne(c, v, v.Name, func(t *clikit.Text) {
				t.Line("%s  %s  %s", t.Style.Bold(clikit.Clean(v.Name)), clikit.Clean(windowPlace(v)), clikit.Clean(times(v)))
			})
		},
	}
	f.add(c, cmd)
	cmd.Flags().StringSliceVar(&days, "days", nil, "such as mon-fri or sat,sun")
	cmd.Flags().StringVar(&opens, "from", "", "when it opens, such as 09:00")
	cmd.Flags().StringVar(&closes, "to", "", "when it closes; not after --from: on the next day")
	cmd.Flags().StringVar(&zone, "zone", "UTC", "time zone, such as Europe/Berlin")
	for _, name := range []string{"days", "from", "to"} {
		_ = cmd.MarkFlagRequired(name)
	}
	return cmd
}

func removeWindow(c *clikit.CLI) *cobra.Command {
	return &cobra.Command{
		Use: "rm NAME", Aliases: []string{"delete"}, Short: "Take a change window away", Args: clikit.Args(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := c.Session()
			if err != nil {
				return err
			}
			if err := clikit.Done(s.DeleteChangeWindow(cmd.Context(), args[0])); err != nil {
				return err
			}
			c.Note("the window %s is gone", args[0])
			return nil
		},
	}
}

func listFreezes(c *clikit.CLI) *cobra.Command {
	return &cobra.Command{
		Use: "ls", Aliases: []string{"list"}, Short: "List freezes that hold, or will", Args: clikit.Args(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := c.Session()
			if err != nil {
				return err
			}
			p, err := clikit.Read[apiclient.PageFreeze](s.ListFreezes(cmd.Context()))
			if err != nil {
				return err
			}
			return clikit.PrintList(c, p.Items, func(f freezeRow) string { return f.Name }, "no freezes",
				clikit.Column[freezeRow]{Title: "NAME", Cell: func(f freezeRow) string { return f.Name }},
				clikit.Column[freezeRow]{Title: "PLACE", Cell: freezePlace},
				clikit.Column[freezeRow]{Title: "FROM", Cell: func(f freezeRow) string { return clikit.Moment(clikit.Or(f.From)) }},
				clikit.Column[freezeRow]{Title: "UNTIL", Cell: func(f freezeRow) string { return clikit.Moment(f.Until) }},
				clikit.Column[freezeRow]{Title: "EXCEPT", Cell: func(f freezeRow) string { return strings.Join(clikit.Or(f.Except), ",") }},
				clikit.Column[freezeRow]{Title: "REASON", Cell: func(f freezeRow) string { return clikit.Or(f.Reason) }})
		},
	}
}

func addFreeze(c *clikit.CLI) *cobra.Command {
	var f where
	var from, until, reason string
	var except []string
	cmd := &cobra.Command{
		Use: "add NAME --until TIME", Short: "Let no change happen for a while", Args: clikit.Args(1, 1),
		Long: "Let no change that people ask for happen until a time; it waits, and goes on by itself then. What is as wanted is still healed, and leases still end." + placing,
		Example: "  fairlead calendar freeze add year-end --class production --from 2026-12-18T16:00:00Z --until 2027-01-04T08:00:00Z --reason 'year end'\n" +
			"  fairlead calendar freeze add incident --project shop --until 2h --except sre",
		RunE: func(cmd *cobra.Command, args []string) error {
			b := apiclient.CreateFreezeJSONRequestBody{Name: args[0], Reason: clikit.Some(reason), Except: clikit.SomeList(except), Team: clikit.Some(f.team),
				Class: clikit.Some(apiclient.FreezeSettingClass(f.class))}
			var err error
			if b.Until, err = clikit.ParseLater(until, time.Now()); err != nil {
				return err
			}
			if from != "" {
				at, err := clikit.ParseLater(from, time.Now())
				if err != nil {
					return err
				}
				b.From = &at
			}
			s, err := c.Session()
			if err != nil {
				return err
			}
			w, err := c.Asked()
			if err != nil {
				return err
			}
			b.Project, b.Environment = clikit.Some(w.Project), clikit.Some(w.Environment)
			v, err := clikit.Read[freezeRow](s.CreateFreeze(cmd.Context(), b))
			if err != nil {
				return err
			}
			return clikit.PrintOne(c, v, v.Name, func(t *clikit.Text) {
				t.Line("%s  %s  until %s", t.Style.Bold(clikit.Clean(v.Name)), clikit.Clean(freezePlace(v)), clikit.Moment(v.Until))
			})
		},
	}
	f.add(c, cmd)
	cmd.Flags().StringVar(&from, "from", "", "a time, or a length from now; now when left out")
	cmd.Flags().StringVar(&until, "until", "", "a time, or a length from now")
	_ = cmd.MarkFlagRequired("until")
	cmd.Flags().StringVar(&reason, "reason", "", "shown to whoever waits")
	cmd.Flags().StringSliceVar(&except, "except", nil, "teams that it does not hold for")
	return cmd
}

func removeFreeze(c *clikit.CLI) *cobra.Command {
	return &cobra.Command{
		Use: "rm NAME", Aliases: []string{"delete"}, Short: "End a freeze; what waited goes on", Args: clikit.Args(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := c.Session()
			if err != nil {
				return err
			}
			if err := clikit.Done(s.DeleteFreeze(cmd.Context(), args[0])); err != nil {
				return err
			}
			c.Note("the freeze %s is over", args[0])
			return nil
		},
	}
}

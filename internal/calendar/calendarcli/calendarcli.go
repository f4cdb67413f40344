package calendarcli

import (
	"context"
	"net/http"
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

// filter are the flags that narrow a list.
type filter struct {
	where
	place clikit.Where
}

func (f *filter) add(c *clikit.CLI, cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.team, "team", "", "only what holds for this team, or for a part of it")
	c.CompleteFlag(cmd, "team", c.Teams)
	cmd.Flags().StringVar(&f.class, "class", "", "only what is for environments of this class alone")
	_ = cmd.RegisterFlagCompletionFunc("class", clikit.Fixed("development", "staging", "production"))
}

// listing makes a command that lists what holds, all pages of it.
func listing[T any](c *clikit.CLI, short, none string, name func(T) string, page func(context.Context, *clikit.Session, filter, *int64, *string) ([]T, *string, error), columns ...clikit.Column[T]) *cobra.Command {
	var f filter
	cmd := &cobra.Command{
		Use: "ls", Aliases: []string{"list"}, Short: short, Args: clikit.Args(0, 0),
		Long: short + ".\n\nOnly what holds in the project or environment that --project or -e names, when one does.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := c.Session()
			if err != nil {
				return err
			}
			if f.place, err = c.Asked(); err != nil {
				return err
			}
			items, err := clikit.Pages(0, func(limit *int64, cursor *string) ([]T, *string, error) {
				return page(cmd.Context(), s, f, limit, cursor)
			})
			if err != nil {
				return err
			}
			return clikit.PrintList(c, items, name, none, columns...)
		},
	}
	f.add(c, cmd)
	return cmd
}

// adding fills in what making anything in the calendar has in common: who is
// asked, and where it is to hold.
func adding[T any](c *clikit.CLI, cmd *cobra.Command, f *where, make func(context.Context, *clikit.Session, string, clikit.Where) (T, error), show func(T) (name, place, rest string)) *cobra.Command {
	cmd.Args = clikit.Args(1, 1)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		s, err := c.Session()
		if err != nil {
			return err
		}
		w, err := c.Asked()
		if err != nil {
			return err
		}
		v, err := make(cmd.Context(), s, args[0], w)
		if err != nil {
			return err
		}
		name, place, rest := show(v)
		return clikit.PrintOne(c, v, name, func(t *clikit.Text) {
			t.Line("%s  %s  %s", t.Style.Bold(clikit.Clean(name)), clikit.Clean(place), clikit.Clean(rest))
		})
	}
	f.add(c, cmd)
	return cmd
}

// removing makes a command that takes something away by its name.
func removing(c *clikit.CLI, short, gone string, remove func(context.Context, *clikit.Session, string) (*http.Response, error)) *cobra.Command {
	return &cobra.Command{
		Use: "rm NAME", Aliases: []string{"delete"}, Short: short, Args: clikit.Args(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := c.Session()
			if err != nil {
				return err
			}
			if err := clikit.Done(remove(cmd.Context(), s, args[0])); err != nil {
				return err
			}
			c.Note(gone, args[0])
			return nil
		},
	}
}

func listWindows(c *clikit.CLI) *cobra.Command {
	return listing(c, "List change windows", "no change windows: changes happen at any time", func(w windowRow) string { return w.Name },
		func(ctx context.Context, s *clikit.Session, f filter, limit *int64, cursor *string) ([]windowRow, *string, error) {
			p, err := clikit.Read[apiclient.PageChangeWindow](s.ListChangeWindows(ctx, &apiclient.ListChangeWindowsParams{Limit: limit, Cursor: cursor, Team: clikit.Some(f.team),
				Project: clikit.Some(f.place.Project), Environment: clikit.Some(f.place.Environment), Class: clikit.Some(apiclient.ListChangeWindowsParamsClass(f.class))}))
			return p.Items, p.Next, err
		},
		clikit.Column[windowRow]{Title: "NAME", Cell: func(w windowRow) string { return w.Name }},
		clikit.Column[windowRow]{Title: "PLACE", Cell: windowPlace},
		clikit.Column[windowRow]{Title: "OPEN", Cell: times})
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
		Use: "add NAME --days DAYS --from TIME --to TIME --zone ZONE", Short: "Make a change window",
		Long: "Make a time of the week in which changes happen; outside of it they wait. Of several places the windows of the narrowest decide." + placing,
		Example: "  fairlead calendar window add office --class production --days mon-thu --from 09:00 --to 16:00 --zone Europe/Berlin\n" +
			"  fairlead calendar window add night -e shop/prod --days sat --from 22:00 --to 02:00 --zone UTC",
	}
	adding(c, cmd, &f, func(ctx context.Context, s *clikit.Session, name string, w clikit.Where) (windowRow, error) {
		return clikit.Read[windowRow](s.CreateChangeWindow(ctx, apiclient.CreateChangeWindowJSONRequestBody{Name: name, Weekdays: days, Opens: opens, Closes: closes, Zone: zone,
			Team: clikit.Some(f.team), Project: clikit.Some(w.Project), Environment: clikit.Some(w.Environment), Class: clikit.Some(apiclient.ChangeWindowSettingClass(f.class))}))
	}, func(v windowRow) (string, string, string) { return v.Name, windowPlace(v), times(v) })
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
	return removing(c, "Take a change window away", "the window %s is gone", func(ctx context.Context, s *clikit.Session, name string) (*http.Response, error) {
		return s.DeleteChangeWindow(ctx, name)
	})
}

func listFreezes(c *clikit.CLI) *cobra.Command {
	return listing(c, "List freezes that hold, or will", "no freezes", func(f freezeRow) string { return f.Name },
		func(ctx context.Context, s *clikit.Session, f filter, limit *int64, cursor *string) ([]freezeRow, *string, error) {
			p, err := clikit.Read[apiclient.PageFreeze](s.ListFreezes(ctx, &apiclient.ListFreezesParams{Limit: limit, Cursor: cursor, Team: clikit.Some(f.team),
				Project: clikit.Some(f.place.Project), Environment: clikit.Some(f.place.Environment), Class: clikit.Some(apiclient.ListFreezesParamsClass(f.class))}))
			return p.Items, p.Next, err
		},
		clikit.Column[freezeRow]{Title: "NAME", Cell: func(f freezeRow) string { return f.Name }},
		clikit.Column[freezeRow]{Title: "PLACE", Cell: freezePlace},
		clikit.Column[freezeRow]{Title: "FROM", Cell: func(f freezeRow) string { return clikit.Moment(clikit.Or(f.From)) }},
		clikit.Column[freezeRow]{Title: "UNTIL", Cell: func(f freezeRow) string { return clikit.Moment(f.Until) }},
		clikit.Column[freezeRow]{Title: "EXCEPT", Cell: func(f freezeRow) string { return strings.Join(clikit.Or(f.Except), ",") }},
		clikit.Column[freezeRow]{Title: "REASON", Cell: func(f freezeRow) string { return clikit.Or(f.Reason) }})
}

func addFreeze(c *clikit.CLI) *cobra.Command {
	var f where
	var from, until, reason string
	var except []string
	cmd := &cobra.Command{
		Use: "add NAME --until TIME", Short: "Let no change happen for a while",
		Long: "Let no change that people ask for happen until a time; it waits, and goes on by itself then. What is as wanted is still healed, and leases still end." + placing,
		Example: "  fairlead calendar freeze add year-end --class production --from 2026-12-18T16:00:00Z --until 2027-01-04T08:00:00Z --reason 'year end'\n" +
			"  fairlead calendar freeze add incident --project shop --until 2h --except sre",
	}
	adding(c, cmd, &f, func(ctx context.Context, s *clikit.Session, name string, w clikit.Where) (freezeRow, error) {
		b := apiclient.CreateFreezeJSONRequestBody{Name: name, Reason: clikit.Some(reason), Except: clikit.SomeList(except), Team: clikit.Some(f.team),
			Class: clikit.Some(apiclient.FreezeSettingClass(f.class)), Project: clikit.Some(w.Project), Environment: clikit.Some(w.Environment)}
		var err error
		if b.Until, err = clikit.ParseLater(until, time.Now()); err != nil {
			return freezeRow{}, err
		}
		if from != "" {
			at, err := clikit.ParseLater(from, time.Now())
			if err != nil {
				return freezeRow{}, err
			}
			b.From = &at
		}
		return clikit.Read[freezeRow](s.CreateFreeze(ctx, b))
	}, func(v freezeRow) (string, string, string) {
		return v.Name, freezePlace(v), "until " + clikit.Moment(v.Until)
	})
	cmd.Flags().StringVar(&from, "from", "", "a time, or a length from now; now when left out")
	cmd.Flags().StringVar(&until, "until", "", "a time, or a length from now")
	_ = cmd.MarkFlagRequired("until")
	cmd.Flags().StringVar(&reason, "reason", "", "shown to whoever waits")
	cmd.Flags().StringSliceVar(&except, "except", nil, "teams that it does not hold for")
	return cmd
}

func removeFreeze(c *clikit.CLI) *cobra.Command {
	return removing(c, "End a freeze; what waited goes on", "the freeze %s is over", func(ctx context.Context, s *clikit.Session, name string) (*http.Response, error) {
		return s.DeleteFreeze(ctx, name)
	})
}

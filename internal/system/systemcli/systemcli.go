package systemcli

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"fairlead/internal/apiclient"
	"fairlead/internal/clikit"
)

// Commands gives the commands of this concern.
func Commands(c *clikit.CLI) []*cobra.Command {
	cmd := status(c)
	cmd.AddCommand(queue(c), settings(c), backups(c))
	return []*cobra.Command{cmd}
}

func status(c *clikit.CLI) *cobra.Command {
	var fail bool
	cmd := &cobra.Command{
		Use: "status", Short: "Whether all is well with the installation, and what to do where it is not", GroupID: clikit.GroupServer,
		Long:    "Show each thing that was looked at: store, servers, queue, engines, backups, audit chain and more, with what to do about what is bad. It needs the right to see the system.",
		Example: "  fairlead status\n  fairlead status --fail && echo all is well\n  fairlead status -o json | jq -r '.checks[] | select(.level == \"bad\") | .says'",
		Args:    clikit.Args(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := c.Session()
			if err != nil {
				return err
			}
			st, err := clikit.Read[apiclient.System](s.GetSystem(cmd.Context()))
			if err != nil {
				return err
			}
			if err := clikit.PrintOne(c, st, string(st.Level), func(t *clikit.Text) { printStatus(t, st) }); err != nil {
				return err
			}
			if fail && st.Level == apiclient.SystemLevelBad {
				return clikit.Failure("system_unwell", "something is bad").WithHint("see fairlead status")
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&fail, "fail", false, "end with an error when something is bad, for scripts")
	return cmd
}

func printStatus(t *clikit.Text, st apiclient.System) {
	need := 0
	for _, k := range st.Checks {
		if k.Do != nil {
			need++
		}
	}
	switch need {
	case 0:
		t.Line("%s", t.Style.Bold("All is well."))
	case 1:
		t.Line("%s", t.Style.Bold("One thing needs somebody."))
	default:
		t.Line("%s", t.Style.Bold(strconv.Itoa(need)+" things need somebody."))
	}
	for _, k := range st.Checks {
		t.Line("  %-12s %-5s %s", k.Title, t.Style.Phase(string(k.Level)), clikit.Clean(k.Says))
		if k.Do != nil {
			t.Line("  %-12s %-5s %s", "", "", "do: "+clikit.Clean(*k.Do))
		}
	}
	for _, r := range st.Servers {
		state := "alive"
		if r.Lost {
			state = "lost"
		}
		t.Line("  %s  %s %s, version %s, last heard of %s ago", t.Style.Phase(state), clikit.Clean(r.Host), clikit.Clean(r.Address), clikit.Clean(r.Version), clikit.Age(r.SeenAt))
	}
}

func queue(c *clikit.CLI) *cobra.Command {
	var state, engine, team string
	var limit int
	cmd := &cobra.Command{
		Use: "queue", Short: "What there is to do, what is due first first", Args: clikit.Args(0, 0),
		Long:    "List looks at resources and turns of rollouts: who works on what, what waits, what is tried in vain. Try one again with fairlead retry, stop its run with fairlead cancel.",
		Example: "  fairlead status queue --state stuck\n  fairlead status queue --engine postgres",
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := c.Session()
			if err != nil {
				return err
			}
			type item = apiclient.WorkItem
			items, err := clikit.Pages(limit, func(limit *int64, cursor *string) ([]item, *string, error) {
				params := &apiclient.ListWorkParams{Limit: limit, Cursor: cursor, Engine: clikit.Some(engine), Team: clikit.Some(team)}
				if state != "" {
					of := apiclient.ListWorkParamsState(state)
					params.State = &of
				}
				p, err := clikit.Read[apiclient.PageWorkItem](s.ListWork(cmd.Context(), params))
				return p.Items, p.Next, err
			})
			if err != nil {
				return err
			}
			return clikit.PrintList(c, items, func(x item) string { return x.Key }, "nothing to do",
				clikit.Column[item]{Title: "WHAT", Cell: what},
				clikit.Column[item]{Title: "ENGINE", Cell: func(x item) string { return x.Engine }},
				clikit.Column[item]{Title: "STATE", Cell: func(x item) string { return string(x.State) }, Paint: clikit.Style.Phase},
				clikit.Column[item]{Title: "DUE", Cell: func(x item) string { return clikit.Moment(x.DueAt) }},
				clikit.Column[item]{Title: "TRIES", Cell: func(x item) string { return strconv.FormatInt(x.Attempts, 10) }},
				clikit.Column[item]{Title: "SERVER", Cell: func(x item) string { return clikit.Or(x.Server) }},
				clikit.Column[item]{Title: "TEAM", Cell: func(x item) string { return clikit.Or(x.Team) }},
				clikit.Column[item]{Title: "LAST ERROR", Cell: func(x item) string { return strings.TrimSpace(clikit.Or(x.LastError) + " " + clikit.Or(x.Message)) }},
			)
		},
	}
	cmd.Flags().StringVar(&state, "state", "", "running, waiting, later or stuck")
	_ = cmd.RegisterFlagCompletionFunc("state", clikit.Fixed("running", "waiting", "later", "stuck"))
	cmd.Flags().StringVar(&engine, "engine", "", "of this engine")
	cmd.Flags().StringVar(&team, "team", "", "of this team")
	c.CompleteFlag(cmd, "team", c.Teams)
	cmd.Flags().IntVar(&limit, "limit", 50, "how many at most")
	return cmd
}

func what(x apiclient.WorkItem) string {
	if x.Resource == nil {
		return x.Key
	}
	return clikit.Or(x.Project) + "/" + clikit.Or(x.Environment) + "/" + *x.Resource
}

func settings(c *clikit.CLI) *cobra.Command {
	return &cobra.Command{
		Use: "settings", Short: "The configuration in force, and where each value comes from", Args: clikit.Args(0, 0),
		Long:    "Show the configuration of the server that answers. Secrets are hidden: only that they are set is told.",
		Example: "  fairlead status settings",
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := c.Session()
			if err != nil {
				return err
			}
			list, err := clikit.Read[apiclient.SettingList](s.ListSettings(cmd.Context()))
			if err != nil {
				return err
			}
			type row = apiclient.Setting
			return clikit.PrintList(c, list.Items, func(x row) string { return x.Name }, "",
				clikit.Column[row]{Title: "NAME", Cell: func(x row) string { return x.Name }},
				clikit.Column[row]{Title: "VALUE", Cell: func(x row) string {
					if x.Hidden {
						return "(set, not shown)"
					}
					return x.Value
				}},
				clikit.Column[row]{Title: "FROM", Cell: func(x row) string { return strings.TrimSpace(string(x.From) + " " + clikit.Or(x.Source)) }},
			)
		},
	}
}

func backups(c *clikit.CLI) *cobra.Command {
	var limit int
	cmd := &cobra.Command{
		Use: "backups", Short: "Backups that were made, the newest first", Args: clikit.Args(0, 0),
		Long:    "List when each was made, by whom, and what opens it. The files are where their makers put them. Make one with fairlead backup.",
		Example: "  fairlead status backups",
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := c.Session()
			if err != nil {
				return err
			}
			type row = apiclient.Backup
			items, err := clikit.Pages(limit, func(limit *int64, cursor *string) ([]row, *string, error) {
				p, err := clikit.Read[apiclient.PageBackup](s.ListBackups(cmd.Context(), &apiclient.ListBackupsParams{Limit: limit, Cursor: cursor}))
				return p.Items, p.Next, err
			})
			if err != nil {
				return err
			}
			return clikit.PrintList(c, items, func(x row) string { return x.ID }, "there is none; make one: fairlead backup --recipient AGE-KEY FILE",
				clikit.Column[row]{Title: "WHEN", Cell: func(x row) string { return clikit.Moment(x.StartedAt) }},
				clikit.Column[row]{Title: "STATE", Cell: func(x row) string { return string(x.State) }, Paint: clikit.Style.Phase},
				clikit.Column[row]{Title: "BYTES", Cell: func(x row) string { return fmt.Sprint(x.Bytes) }},
				clikit.Column[row]{Title: "BY", Cell: func(x row) string { return x.MadeBy }},
				clikit.Column[row]{Title: "AT", Cell: func(x row) string { return clikit.Or(x.Address) }},
				clikit.Column[row]{Title: "OPENS WITH", Cell: func(x row) string { return x.Opens }},
			)
		},
	}
	cmd.Flags().IntVar(&limit, "limit", 50, "how many at most")
	return cmd
}

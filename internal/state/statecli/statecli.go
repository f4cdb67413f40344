package statecli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"

	"github.com/spf13/cobra"

	"fairlead/internal/apiclient"
	"fairlead/internal/clikit"
)

// Commands gives the commands of this concern.
func Commands(c *clikit.CLI) []*cobra.Command {
	cmd := &cobra.Command{Use: "state", Short: "States of modules: versions, locks, download, rollback", GroupID: clikit.GroupWork}
	for _, sub := range []*cobra.Command{listCommand(c), showCommand(c), pullCommand(c), rollbackCommand(c)} {
		sub.ValidArgsFunction = c.Complete(1, c.Resources)
		cmd.AddCommand(sub)
	}
	return []*cobra.Command{cmd}
}

func open(c *clikit.CLI) (*clikit.Session, clikit.Where, error) {
	s, err := c.Session()
	if err != nil {
		return nil, clikit.Where{}, err
	}
	w, err := c.Where()
	return s, w, err
}

func listCommand(c *clikit.CLI) *cobra.Command {
	return &cobra.Command{
		Use: "ls RESOURCE", Short: "List the versions of a state that are kept, the newest first",
		Example: "  fairlead state ls shop",
		Args:    clikit.Args(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, w, err := open(c)
			if err != nil {
				return err
			}
			list, err := clikit.Pages(0, func(limit *int64, cursor *string) ([]apiclient.StateVersion, *string, error) {
				p, err := clikit.Read[apiclient.PageStateVersion](s.ListStateVersions(cmd.Context(), w.Project, w.Environment, args[0], &apiclient.ListStateVersionsParams{Limit: limit, Cursor: cursor}))
				return p.Items, p.Next, err
			})
			if err != nil {
				return err
			}
			type v = apiclient.StateVersion
			return clikit.PrintList(c, list, func(x v) string { return strconv.FormatInt(x.Version, 10) }, "There is no state: only modules have one.",
				clikit.Column[v]{Title: "VERSION", Cell: func(x v) string { return strconv.FormatInt(x.Version, 10) }},
				clikit.Column[v]{Title: "SERIAL", Cell: func(x v) string { return strconv.FormatInt(x.Serial, 10) }},
				clikit.Column[v]{Title: "SIZE", Cell: func(x v) string { return strconv.FormatInt(x.Size, 10) }},
				clikit.Column[v]{Title: "BY", Cell: func(x v) string { return x.By }},
				clikit.Column[v]{Title: "AGE", Cell: func(x v) string { return clikit.Age(x.CreatedAt) }},
			)
		},
	}
}

func showCommand(c *clikit.CLI) *cobra.Command {
	return &cobra.Command{
		Use: "show RESOURCE", Short: "Show a state's serial, and who holds its lock",
		Example: "  fairlead state show shop",
		Args:    clikit.Args(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, w, err := open(c)
			if err != nil {
				return err
			}
			st, err := clikit.Read[apiclient.ResourceState](s.GetResourceState(cmd.Context(), w.Project, w.Environment, args[0]))
			if err != nil {
				return err
			}
			return print(c, st)
		},
	}
}

func print(c *clikit.CLI, st apiclient.ResourceState) error {
	number := func(n int64) string { return strconv.FormatInt(n, 10) }
	return clikit.PrintOne(c, st, number(st.Version), func(t *clikit.Text) {
		lock := "free"
		if l := st.Lock; l != nil {
			lock = fmt.Sprintf("held by %s, %s, since %s (%s)", clikit.Or(l.Who), clikit.Or(l.Operation), clikit.Or(l.Since), l.ID)
		}
		t.Pairs("", clikit.Pair{Key: "version", Value: number(st.Version)}, clikit.Pair{Key: "serial", Value: number(st.Serial)},
			clikit.Pair{Key: "lineage", Value: clikit.Or(st.Lineage)}, clikit.Pair{Key: "objects", Value: number(st.Objects)},
			clikit.Pair{Key: "written", Value: clikit.Moment(st.UpdatedAt)}, clikit.Pair{Key: "lock", Value: lock})
	})
}

func pullCommand(c *clikit.CLI) *cobra.Command {
	var version int64
	var to string
	cmd := &cobra.Command{
		Use: "pull RESOURCE", Short: "Download a state, secrets and all; recorded in the audit log",
		Long:    "Print the state as the program wrote it, or write it to a new file that only you can read.",
		Example: "  fairlead state pull shop --to shop.tfstate\n  fairlead state pull shop --version 3 | jq .serial",
		Args:    clikit.Args(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, w, err := open(c)
			if err != nil {
				return err
			}
			var f *os.File
			if to != "" { // first: what was recorded as seen is not to be lost
				if f, err = os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600); err != nil {
					why := "cannot be written"
					if errors.Is(err, fs.ErrExist) {
						why = "is there already"
					}
					return clikit.Failure("file_not_written", "%s %s", to, why).WithHint("choose another name")
				}
				defer func() { _ = f.Close() }()
			}
			content, err := clikit.Read[struct {
				Version int64           `json:"version"`
				State   json.RawMessage `json:"state"`
			}](s.PullState(cmd.Context(), w.Project, w.Environment, args[0], apiclient.StateChoice{Version: clikit.Some(version)}))
			if err != nil {
				if f != nil {
					_ = os.Remove(to)
				}
				return err
			}
			if f == nil {
				_, err = fmt.Fprintf(c.Out(), "%s\n", content.State)
				return err
			}
			if _, err := f.Write(content.State); err != nil {
				return clikit.Failure("file_not_written", "%s cannot be written to its end", to).WithCause(err)
			}
			c.Note("version %d is in %s", content.Version, to)
			return f.Close()
		},
	}
	cmd = clikit.OwnOutput(cmd)
	cmd.Flags().Int64Var(&version, "version", 0, "which version; the current one when absent")
	cmd.Flags().StringVar(&to, "to", "", "write to this new file instead")
	return cmd
}

func rollbackCommand(c *clikit.CLI) *cobra.Command {
	var to int64
	var yes bool
	cmd := &cobra.Command{
		Use: "rollback RESOURCE --to VERSION", Short: "Make an older version the current state again",
		Long: "Make the content of an older version the current state, under a newer serial. What exists is not touched:\n" +
			"what the older state does not know is forgotten, and is an object of nobody. Look at both first: fairlead state pull.",
		Example: "  fairlead state ls shop\n  fairlead state rollback shop --to 3",
		Args:    clikit.Args(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if to < 1 {
				return clikit.Usage("back to which version?").WithHint("--to VERSION; see them with: fairlead state ls %s", clikit.Clean(args[0]))
			}
			s, w, err := open(c)
			if err != nil {
				return err
			}
			if !yes {
				if err := c.Confirm(fmt.Sprintf("The state of %s goes back to version %d. Objects that only the newer state knows are forgotten.", args[0], to), args[0], "--yes"); err != nil {
					return err
				}
			}
			st, err := clikit.Read[apiclient.ResourceState](s.RollbackState(cmd.Context(), w.Project, w.Environment, args[0], apiclient.StateRollback{Version: to}))
			if err != nil {
				return err
			}
			c.Note("the state of %s is version %d now, as version %d was", clikit.Clean(args[0]), st.Version, to)
			c.Note("see what the next run would make of it: fairlead plan --change %s -e %s", clikit.Clean(args[0]), clikit.Clean(w.String()))
			return print(c, st)
		},
	}
	cmd.Flags().Int64Var(&to, "to", 0, "which version")
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return cmd
}

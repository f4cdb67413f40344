package auditcli

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"fairlead/internal/apiclient"
	"fairlead/internal/clikit"
)

// Commands gives the commands of this concern.
func Commands(c *clikit.CLI) []*cobra.Command {
	search := searchCommand(c)
	search.GroupID = clikit.GroupGovern
	search.AddCommand(exportCommand(c), verifyCommand(c), statusCommand(c))
	return []*cobra.Command{search}
}

type searchFlags struct {
	actor, action, resource, target, team, since, until string
	limit                                               int
}

func searchCommand(c *clikit.CLI) *cobra.Command {
	var f searchFlags
	cmd := &cobra.Command{
		Use: "audit", Short: "Search the audit log: who did what, when, on what, and why it was allowed",
		Long: "Search the audit log, newest first. --project and --environment narrow it when they are given.",
		Example: "  fairlead audit --resource orders --since 7d\n" +
			"  fairlead audit --actor ada --action resource:reveal\n" +
			"  fairlead audit export > audit.jsonl && fairlead audit verify audit.jsonl",
		Args: clikit.Args(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error { return search(cmd, c, f) },
	}
	fl := cmd.Flags()
	fl.StringVar(&f.actor, "actor", "", "who did it: name or id")
	fl.StringVar(&f.action, "action", "", "the action or its beginning, such as resource: or secret")
	fl.StringVar(&f.resource, "resource", "", "what was acted on: name or id of a resource")
	fl.StringVar(&f.target, "target", "", "what was acted on, of any kind: name or id")
	fl.StringVar(&f.team, "team", "", "name or id of a team")
	fl.StringVar(&f.since, "since", "", "not before: 2026-01-31, 2026-01-31T12:00:00Z, or how long ago (90m, 7d)")
	fl.StringVar(&f.until, "until", "", "before: as --since")
	fl.IntVar(&f.limit, "limit", 50, "how many at most; 0 for all")
	cmd.MarkFlagsMutuallyExclusive("resource", "target")
	c.CompleteFlag(cmd, "resource", c.Resources)
	c.CompleteFlag(cmd, "team", c.Teams)
	return cmd
}

func search(cmd *cobra.Command, c *clikit.CLI, f searchFlags) error {
	s, err := c.Session()
	if err != nil {
		return err
	}
	where, err := c.Asked()
	if err != nil {
		return err
	}
	params := apiclient.ListAuditRecordsParams{
		Actor: clikit.Some(f.actor), Action: clikit.Some(f.action), Target: clikit.Some(f.target), Team: clikit.Some(f.team),
		Project: clikit.Some(where.Project), Environment: clikit.Some(where.Environment),
	}
	if f.resource != "" {
		params.Target, params.TargetKind = &f.resource, clikit.Some("resource")
	}
	if params.Since, err = moment(f.since); err != nil {
		return err
	}
	if params.Until, err = moment(f.until); err != nil {
		return err
	}
	records, err := clikit.Pages(f.limit, func(limit *int64, cursor *string) ([]apiclient.AuditRecord, *string, error) {
		params.Limit, params.Cursor = limit, cursor
		page, err := clikit.Read[apiclient.PageAuditRecord](s.ListAuditRecords(cmd.Context(), &params))
		return page.Items, page.Next, err
	})
	if err != nil {
		return err
	}
	type row = apiclient.AuditRecord
	return clikit.PrintList(c, records, func(r row) string { return fmt.Sprint(r.Seq) }, "no records, or none that you may see",
		clikit.Column[row]{Title: "SEQ", Cell: func(r row) string { return fmt.Sprint(r.Seq) }},
		clikit.Column[row]{Title: "WHEN", Cell: func(r row) string { return r.At.Local().Format(time.DateTime) }},
		clikit.Column[row]{Title: "WHO", Cell: func(r row) string { return either(r.Actor.Name, r.Actor.ID, r.Actor.Kind) }},
		clikit.Column[row]{Title: "ACTION", Cell: func(r row) string { return r.Action }},
		clikit.Column[row]{Title: "ON", Cell: func(r row) string { return target(r.Target) }},
		clikit.Column[row]{Title: "DECISION", Cell: func(r row) string { return string(r.Decision) }, Paint: clikit.Style.Phase},
		clikit.Column[row]{Title: "POLICY", Cell: func(r row) string { return first(r.Policies) }},
		clikit.Column[row]{Title: "FROM", Cell: func(r row) string { return clikit.Or(r.Origin.Address) }},
	)
}

func moment(s string) (*time.Time, error) {
	if s == "" {
		return nil, nil
	}
	t, err := clikit.ParseTime(s, time.Now())
	return &t, err
}

func either(choices ...string) string {
	for _, s := range choices {
		if s != "" {
			return s
		}
	}
	return ""
}

func target(t apiclient.AuditTarget) string {
	name := either(clikit.Or(t.Name), clikit.Or(t.ID))
	if name == "" {
		return t.Kind
	}
	return t.Kind + " " + name
}

func first(policies []string) string {
	switch len(policies) {
	case 0:
		return ""
	case 1:
		return policies[0]
	}
	return fmt.Sprintf("%s +%d", policies[0], len(policies)-1)
}

func exportCommand(c *clikit.CLI) *cobra.Command {
	return &cobra.Command{
		Use: "export", Short: "Write the whole audit log to standard output, to be verified anywhere",
		Long:    "Write the whole audit log as JSON Lines to standard output. It is always the whole chain: a part of it cannot be verified.",
		Example: "  fairlead audit export > audit.jsonl",
		Args:    clikit.Args(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := c.Session()
			if err != nil {
				return err
			}
			resp, err := s.ExportAudit(cmd.Context())
			if err != nil {
				return err
			}
			defer resp.Body.Close()
			if _, err := io.Copy(c.Out(), resp.Body); err != nil {
				return clikit.Failure("export_cut_short", "the export broke off: what was written is not whole").
					WithHint("export again").WithCause(err)
			}
			return nil
		},
	}
}

func statusCommand(c *clikit.CLI) *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "Where the chain ends, what is signed, and by which keys", Args: clikit.Args(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := c.Session()
			if err != nil {
				return err
			}
			st, err := clikit.Read[apiclient.AuditStatus](s.GetAuditStatus(cmd.Context()))
			if err != nil {
				return err
			}
			return clikit.PrintOne(c, st, st.Hash, func(t *clikit.Text) {
				health := "healthy"
				if !st.Healthy {
					health = t.Style.Red(clikit.Clean(either(clikit.Or(st.Problem), "not healthy")))
				}
				t.Line("%s", health)
				t.Pairs("  ", clikit.Pair{Key: "hint", Value: clikit.Or(st.Hint)},
					clikit.Pair{Key: "records", Value: fmt.Sprint(st.Records)}, clikit.Pair{Key: "hash", Value: st.Hash})
				if p := st.LastCheckpoint; p != nil {
					t.Pairs("  ", clikit.Pair{Key: "signed", Value: fmt.Sprintf("up to record %d, %s", p.Seq, clikit.Moment(p.At))})
				}
				for _, k := range st.Keys {
					t.Pairs("  ", clikit.Pair{Key: "key " + k.ID, Value: k.Ed25519})
				}
			})
		},
	}
}

package resourcecli

import (
	"github.com/spf13/cobra"

	"fairlead/internal/apiclient"
	"fairlead/internal/clikit"
)

func (k kit) suspects() *cobra.Command {
	var released bool
	cmd := &cobra.Command{
		Use: "suspects", Short: "External objects that no record explains, and what to do with them", GroupID: clikit.GroupServer,
		Long: "List what an engine says this installation made, such as a database, but of which there is no record, or one that says it is destroyed. " +
			"That happens when a backup is restored: what was made after it is newer than the records.\n\n" +
			"Fairlead leaves a suspect as it is: it may hold somebody's data. Look at each. What is needed: save its data, ask for a new resource and load them there. " +
			"What is not: remove it with the engine's own tools, such as psql's DROP DATABASE. " +
			"What is gone, or explained, leaves the list by itself at the next look; what is to stay as it is leaves it once somebody says so: fairlead suspects release.",
		Example: "  fairlead suspects\n  fairlead suspects -o json | jq -r '.items[].name'",
		Args:    clikit.Args(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := k.Session()
			if err != nil {
				return err
			}
			items, err := clikit.Pages(0, func(limit *int64, cursor *string) ([]apiclient.Suspect, *string, error) {
				p, err := clikit.Read[apiclient.PageSuspect](s.ListSuspects(cmd.Context(), &apiclient.ListSuspectsParams{Limit: limit, Cursor: cursor, Released: clikit.Some(released)}))
				return p.Items, p.Next, err
			})
			if err != nil {
				return err
			}
			if len(items) > 0 && !released {
				defer k.Note("They are left as they are. What is needed: save its data into a new resource. What is not: remove it with the engine's own tools; it leaves this list by itself. More: fairlead suspects --help")
			}
			type row = apiclient.Suspect
			return clikit.PrintList(k.CLI, items, func(r row) string { return r.Name }, "every external object has its record",
				clikit.Column[row]{Title: "ENGINE", Cell: func(r row) string { return r.Engine }},
				clikit.Column[row]{Title: "KIND", Cell: func(r row) string { return r.Kind }},
				clikit.Column[row]{Title: "NAME", Cell: func(r row) string { return r.Name }},
				clikit.Column[row]{Title: "AT", Cell: func(r row) string { return clikit.Or(r.Host) }},
				clikit.Column[row]{Title: "RESOURCE", Cell: func(r row) string { return clikit.Or(r.ResourceID) }},
				clikit.Column[row]{Title: "FOUND", Cell: func(r row) string { return clikit.Age(r.FoundAt) }},
				clikit.Column[row]{Title: "WHY", Cell: func(r row) string { return r.Reason }},
				clikit.Column[row]{Title: "ID", Cell: func(r row) string { return r.ID }},
			)
		},
	}
	cmd.Flags().BoolVar(&released, "released", false, "those that somebody has released")
	cmd.AddCommand(k.releaseSuspect())
	return cmd
}

func (k kit) releaseSuspect() *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use: "release ID", Short: "Say of a suspect that it is known and stays as it is", Args: clikit.Args(1, 1),
		Long:    "The object is not touched. It is counted no more, and who said so, and why, is in the audit log.",
		Example: "  fairlead suspects release sus_01jd2v8n5k3q7x9w4m6p8r0t2y --reason 'kept for the auditors until May'",
		RunE: func(cmd *cobra.Command, args []string) error {
			if reason == "" {
				return clikit.Usage("say why").WithHint("add --reason TEXT: whoever comes next will ask")
			}
			s, err := k.Session()
			if err != nil {
				return err
			}
			v, err := clikit.Read[apiclient.Suspect](s.ReleaseSuspect(cmd.Context(), args[0], apiclient.ReleaseSuspectJSONRequestBody{Reason: reason}))
			if err != nil {
				return err
			}
			return clikit.PrintOne(k.CLI, v, v.ID, func(t *clikit.Text) {
				t.Line("%s %s %s is released; it stays as it is", clikit.Clean(v.Engine), clikit.Clean(v.Kind), clikit.Clean(v.Name))
			})
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why it may stay; kept in the audit log")
	cmd.ValidArgsFunction = clikit.Fixed() // ids are nothing to offer, and no files either
	return cmd
}

package resourcecli

import (
	"github.com/spf13/cobra"

	"fairlead/internal/apiclient"
	"fairlead/internal/clikit"
)

func (k kit) suspects() *cobra.Command {
	return &cobra.Command{
		Use: "suspects", Short: "External objects that no record explains, and what to do with them", GroupID: clikit.GroupServer,
		Long: "List what an engine says this installation made, such as a database, but of which there is no record, or one that says it is destroyed. " +
			"That happens when a backup is restored: what was made after it is newer than the records.\n\n" +
			"Fairlead leaves a suspect as it is: it may hold somebody's data. Look at each. What is needed: save its data, ask for a new resource and load them there. " +
			"What is not: remove it with the engine's own tools, such as psql's DROP DATABASE. " +
			"What is gone, or explained, leaves the list by itself at the next look.",
		Example: "  fairlead suspects\n  fairlead suspects -o json | jq -r '.items[].name'",
		Args:    clikit.Args(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := k.Session()
			if err != nil {
				return err
			}
			items, err := clikit.Pages(0, func(limit *int64, cursor *string) ([]apiclient.Suspect, *string, error) {
				p, err := clikit.Read[apiclient.PageSuspect](s.ListSuspects(cmd.Context(), &apiclient.ListSuspectsParams{Limit: limit, Cursor: cursor}))
				return p.Items, p.Next, err
			})
			if err != nil {
				return err
			}
			if len(items) > 0 {
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
			)
		},
	}
}

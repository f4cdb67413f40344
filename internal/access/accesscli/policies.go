package accesscli

import (
	"fmt"

	"github.com/spf13/cobra"

	"fairlead/internal/apiclient"
	"fairlead/internal/clikit"
)

func showCommand(c *clikit.CLI) *cobra.Command {
	var version int64
	cmd := &cobra.Command{
		Use: "show", Short: "Print the policies in force, as Cedar", Args: clikit.Args(0, 0),
		Example: "  fairlead access policies show > policies.cedar",
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := c.Session()
			if err != nil {
				return err
			}
			var p apiclient.AccessPolicies
			if version > 0 {
				p, err = clikit.Read[apiclient.AccessPolicies](s.GetAccessPolicyVersion(cmd.Context(), version))
			} else {
				p, err = clikit.Read[apiclient.AccessPolicies](s.GetAccessPolicies(cmd.Context()))
			}
			if err != nil {
				return err
			}
			return clikit.PrintOne(c, p, fmt.Sprint(p.Version), func(t *clikit.Text) { t.Raw(p.Source) })
		},
	}
	cmd.Flags().Int64Var(&version, "version", 0, "an earlier version")
	return cmd
}

func putCommand(c *clikit.CLI) *cobra.Command {
	var note string
	var ifVersion int64
	cmd := &cobra.Command{
		Use: "put FILE|-", Short: "Put policies in force",
		Long: "Check a Cedar text against the schema and put it in force as a new version. Refused is one after which nobody could change " +
			"the policies, or that would give you what you do not hold.",
		Example: "  fairlead access policies put policies.cedar --note 'auditors may read staging'",
		Args:    clikit.Args(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := c.Session()
			if err != nil {
				return err
			}
			text, err := c.ReadFile(args[0], maxPolicies)
			if err != nil {
				return err
			}
			tag := clikit.Some(etag(ifVersion))
			if ifVersion == 0 {
				_, current, err := clikit.ReadTagged[apiclient.AccessPolicies](s.GetAccessPolicies(cmd.Context()))
				if err != nil {
					return err
				}
				tag = clikit.Some(current)
			}
			p, err := clikit.Read[apiclient.AccessPolicies](s.PutAccessPolicies(cmd.Context(), &apiclient.PutAccessPoliciesParams{IfMatch: tag},
				apiclient.PutAccessPoliciesJSONRequestBody{Source: string(text), Note: clikit.Some(note)}))
			if err != nil {
				return err
			}
			return clikit.PrintOne(c, p, fmt.Sprint(p.Version), func(t *clikit.Text) { t.Line("version %d is in force", p.Version) })
		},
	}
	cmd.Flags().StringVar(&note, "note", "", "why")
	cmd.Flags().Int64Var(&ifVersion, "if-version", 0, "only if this version is still in force")
	return cmd
}

func etag(version int64) string {
	if version == 0 {
		return ""
	}
	return fmt.Sprintf("%q", fmt.Sprint(version))
}

func checkCommand(c *clikit.CLI) *cobra.Command {
	return &cobra.Command{
		Use: "check FILE|-", Short: "Check a policy text and say what it would change, without storing it", Args: clikit.Args(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := c.Session()
			if err != nil {
				return err
			}
			text, err := c.ReadFile(args[0], maxPolicies)
			if err != nil {
				return err
			}
			r, err := clikit.Read[apiclient.AccessPolicyCheck](s.CheckAccessPolicies(cmd.Context(), apiclient.CheckAccessPoliciesJSONRequestBody{Source: string(text)}))
			if err != nil {
				return err
			}
			return clikit.PrintOne(c, r, r.Digest, func(t *clikit.Text) {
				t.Line("%s %d policies, %d differ from those in force", t.Style.Green("sound:"), r.Policies, len(r.Changes))
				for _, ch := range r.Changes {
					t.Line("  %s %s", clikit.Clean(string(ch.Kind)), clikit.Clean(ch.ID))
				}
				for _, w := range r.Warnings {
					t.Line("%s %s: %s", t.Style.Yellow("warning:"), clikit.Clean(w.Policy), clikit.Clean(w.Message))
				}
			})
		},
	}
}

func versionsCommand(c *clikit.CLI) *cobra.Command {
	return &cobra.Command{
		Use: "versions", Short: "List the versions of the policies", Args: clikit.Args(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := c.Session()
			if err != nil {
				return err
			}
			type row = apiclient.AccessPolicyVersion
			items, err := clikit.Pages(0, func(limit *int64, cursor *string) ([]row, *string, error) {
				p, err := clikit.Read[apiclient.PageAccessPolicyVersion](s.ListAccessPolicyVersions(cmd.Context(),
					&apiclient.ListAccessPolicyVersionsParams{Limit: limit, Cursor: cursor}))
				return p.Items, p.Next, err
			})
			if err != nil {
				return err
			}
			return clikit.PrintList(c, items, func(r row) string { return fmt.Sprint(r.Version) }, "",
				clikit.Column[row]{Title: "VERSION", Cell: func(r row) string { return fmt.Sprint(r.Version) }},
				clikit.Column[row]{Title: "AGE", Cell: func(r row) string { return clikit.Age(r.CreatedAt) }},
				clikit.Column[row]{Title: "BY", Cell: func(r row) string { return r.CreatedBy }},
				clikit.Column[row]{Title: "NOTE", Cell: func(r row) string { return clikit.Or(r.Note) }})
		},
	}
}

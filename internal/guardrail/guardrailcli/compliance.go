package guardrailcli

import (
	"github.com/spf13/cobra"

	"fairlead/internal/apiclient"
	"fairlead/internal/clikit"
)

type violation = apiclient.ComplianceViolation

func complianceCommand(c *clikit.CLI) *cobra.Command {
	var p apiclient.ListViolationsParams
	var team, project, rule, strength string
	var cleared bool
	cmd := &cobra.Command{
		Use: "compliance", Short: "List what stands against the guardrails in force, by team and age, and how to mend it",
		Long:    "List the resources that offend the guardrails in force, as the last look at everything saw them: it is taken when other guardrails come into force, every night, and by: fairlead policy compliance run",
		Example: "  fairlead policy compliance --team shop\n  fairlead policy compliance --strength deny -o json", Args: clikit.Args(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := c.Session()
			if err != nil {
				return err
			}
			p.Team, p.Project, p.Rule, p.Cleared = clikit.Some(team), clikit.Some(project), clikit.Some(rule), clikit.Some(cleared)
			if strength != "" {
				p.Strength = clikit.Some(apiclient.ListViolationsParamsStrength(strength))
			}
			items, err := clikit.Pages(0, func(limit *int64, cursor *string) ([]violation, *string, error) {
				p.Limit, p.Cursor = limit, cursor
				got, err := clikit.Read[apiclient.PageComplianceViolation](s.ListViolations(cmd.Context(), &p))
				return got.Items, got.Next, err
			})
			if err != nil {
				return err
			}
			if err := standing(c, items); err != nil || c.Machine() || c.NamesOnly() {
				return err
			}
			sum, err := clikit.Read[apiclient.ComplianceSummary](s.GetCompliance(cmd.Context()))
			if err == nil && sum.CheckedAt == nil {
				c.Note("nobody has looked yet: fairlead policy compliance run")
			} else if err == nil {
				c.Note("as of %s ago", clikit.AgeOf(sum.CheckedAt))
			}
			return err
		},
	}
	cmd.Flags().StringVar(&team, "team", "", "only of this team")
	cmd.Flags().StringVar(&project, "project", "", "only of this project")
	cmd.Flags().StringVar(&rule, "rule", "", "only of this rule, as fairlead.tags.environment")
	cmd.Flags().StringVar(&strength, "strength", "", "deny or advise")
	cmd.Flags().BoolVar(&cleared, "cleared", false, "those that were mended in the last 90 days")
	cmd.AddCommand(&cobra.Command{
		Use: "run", Short: "Look at everything now", Args: clikit.Args(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := c.Session()
			if err != nil {
				return err
			}
			r, err := clikit.Read[apiclient.ComplianceRun](s.RunCompliance(cmd.Context()))
			if err != nil {
				return err
			}
			return clikit.PrintOne(c, r, r.ID, func(t *clikit.Text) {
				t.Line("%d resources: %d violations stand, %d are new, %d are gone", r.Resources, r.Violations, r.Opened, r.Cleared)
			})
		},
	})
	return cmd
}

func standing(c *clikit.CLI, items []violation) error {
	return clikit.PrintList(c, items, func(v violation) string { return v.ID }, "nothing stands against the guardrails in force",
		clikit.Column[violation]{Title: "TEAM", Cell: func(v violation) string { return v.Team }},
		clikit.Column[violation]{Title: "RESOURCE", Cell: func(v violation) string { return v.Project + "/" + v.Environment + "/" + v.Resource }},
		clikit.Column[violation]{Title: "RULE", Cell: func(v violation) string { return v.Rule }},
		clikit.Column[violation]{Title: "STRENGTH", Cell: func(v violation) string { return string(v.Strength) }},
		clikit.Column[violation]{Title: "AGE", Cell: func(v violation) string { return clikit.Age(v.Since) }},
		clikit.Column[violation]{Title: "OWNER", Cell: func(v violation) string { return v.Owner }},
		clikit.Column[violation]{Title: "WHAT, AND HOW TO MEND IT", Cell: func(v violation) string {
			if r := clikit.Or(v.Remedy); r != "" {
				return v.Message + " → " + r
			}
			return v.Message
		}})
}

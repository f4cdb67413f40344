package templatecli

import (
	"time"

	"github.com/spf13/cobra"

	"fairlead/internal/apiclient"
	"fairlead/internal/clikit"
)

func deprecateCommand(c *clikit.CLI) *cobra.Command {
	var reason, end, successor string
	var undo bool
	cmd := &cobra.Command{
		Use: "deprecate NAME VERSION", Short: "Say that a version should not be used any more", Args: clikit.Args(2, 2), ValidArgsFunction: c.Complete(1, c.Templates),
		Long: "Say that a version should not be used any more. Whoever asks for it is warned, and it is not chosen by itself; from its end of life on it cannot be asked for. What lives stays, and can be changed.",
		Example: `  fairlead template deprecate bucket 1.0.0 --reason 'no encryption' --end-of-life 2027-01-31 --successor 2.0.0
  fairlead template deprecate bucket 1.0.0 --undo`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if undo == (reason != "") {
				return clikit.Usage("say why with --reason, or take it back with --undo")
			}
			s, err := c.Session()
			if err != nil {
				return err
			}
			if undo {
				v, err := clikit.Read[apiclient.TemplateVersionSummary](s.UndeprecateTemplateVersion(cmd.Context(), args[0], args[1]))
				if err != nil {
					return err
				}
				return clikit.PrintOne(c, v, args[0], func(t *clikit.Text) {
					t.Line("%s %s is not deprecated", clikit.Clean(args[0]), clikit.Clean(v.Version))
				})
			}
			body := apiclient.DeprecateTemplateVersionJSONRequestBody{Reason: reason, Successor: clikit.Some(successor)}
			if end != "" {
				at, err := clikit.ParseLater(end, time.Now())
				if err != nil {
					return err
				}
				body.EndOfLife = &at
			}
			v, err := clikit.Read[apiclient.TemplateVersionSummary](s.DeprecateTemplateVersion(cmd.Context(), args[0], args[1], body))
			if err != nil {
				return err
			}
			return clikit.PrintOne(c, v, args[0], func(t *clikit.Text) {
				t.Line("%s %s is deprecated", clikit.Clean(args[0]), clikit.Clean(v.Version))
				t.Line("\nWho uses it: fairlead template users %s %s", clikit.Clean(args[0]), clikit.Clean(v.Version))
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&reason, "reason", "", "why, for those who use it")
	f.StringVar(&end, "end-of-life", "", "no new requests from then on: 2027-01-31, or in how long, as 90d")
	f.StringVar(&successor, "successor", "", "what to use instead: a version, a template, or NAME@VERSION")
	f.BoolVar(&undo, "undo", false, "take it back")
	return cmd
}

func usersCommand(c *clikit.CLI) *cobra.Command {
	return &cobra.Command{
		Use: "users NAME [VERSION]", Short: "List the resources that are made from a template", Args: clikit.Args(1, 2), ValidArgsFunction: c.Complete(1, c.Templates),
		Long:    "List the resources that are made from a template, or from one version of it, wherever the caller may see them.",
		Example: "  fairlead template users postgres 1.0.0",
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := c.Session()
			if err != nil {
				return err
			}
			if _, err := clikit.Read[apiclient.TemplateVersion](s.GetTemplate(cmd.Context(), args[0], &apiclient.GetTemplateParams{})); err != nil {
				return err
			}
			version := ""
			if len(args) == 2 {
				version = args[1]
			}
			type row = apiclient.Resource
			items, err := clikit.Pages(0, func(limit *int64, cursor *string) ([]row, *string, error) {
				p, err := clikit.Read[apiclient.PageResource](s.ListResources(cmd.Context(), &apiclient.ListResourcesParams{Limit: limit, Cursor: cursor, Template: &args[0], TemplateVersion: clikit.Some(version)}))
				return p.Items, p.Next, err
			})
			if err != nil {
				return err
			}
			return clikit.PrintList(c, items, func(r row) string { return r.ID }, "nothing that you may see is made from it",
				clikit.Column[row]{Title: "PLACE", Cell: func(r row) string { return r.Project + "/" + r.Environment }},
				clikit.Column[row]{Title: "NAME", Cell: func(r row) string { return r.Name }},
				clikit.Column[row]{Title: "VERSION", Cell: func(r row) string { return r.TemplateVersion }},
				clikit.Column[row]{Title: "PHASE", Cell: func(r row) string { return string(r.Phase) }, Paint: clikit.Style.Phase},
				clikit.Column[row]{Title: "TEAM", Cell: func(r row) string { return r.Team }})
		},
	}
}

// noted is what a list or a page shows of a deprecation.
func noted(d *apiclient.TemplateDeprecation) string {
	if d == nil {
		return ""
	}
	s := "deprecated: " + clikit.Clean(d.Reason)
	if d.EndOfLife != nil {
		if time.Now().Before(*d.EndOfLife) {
			s += "; no new requests from " + d.EndOfLife.UTC().Format("2006-01-02")
		} else {
			s += "; its life ended on " + d.EndOfLife.UTC().Format("2006-01-02")
		}
	}
	if d.Successor != nil {
		s += "; use " + clikit.Clean(*d.Successor)
	}
	return s
}

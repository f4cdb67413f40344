package projectcli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"fairlead/internal/apiclient"
	"fairlead/internal/clikit"
)

type envRow = apiclient.Environment

// split reads NAME or PROJECT/NAME.
func split(c *clikit.CLI, arg string) (project, env string, err error) {
	if project, env, ok := strings.Cut(arg, "/"); ok {
		return project, env, nil
	}
	project, err = c.Project()
	return project, arg, err
}

func printEnvironment(c *clikit.CLI, e envRow) error {
	return clikit.PrintOne(c, e, e.Name, func(t *clikit.Text) {
		t.Line("%s  %s  %s", t.Style.Bold(clikit.Clean(e.Project+"/"+e.Name)), clikit.Clean(string(e.Class)), clikit.Clean(e.Title))
		t.Pairs("  ", clikit.Pair{Key: "team", Value: e.Team}, clikit.Pair{Key: "created", Value: clikit.Moment(e.CreatedAt)}, clikit.Pair{Key: "id", Value: e.ID})
		t.Pairs("  ", attributes(e.Attributes)...)
	})
}

func createEnvironment(c *clikit.CLI) *cobra.Command {
	var class, title, lease string
	var attrs map[string]string
	cmd := &cobra.Command{
		Use: "create NAME --class CLASS", Short: "Make an environment", Args: clikit.Args(1, 1),
		Example: "  fairlead env create dev --class development --project shop\n  fairlead env create shop/prod --class production\n  fairlead env create shop/pr-42 --lease 8h",
		RunE: func(cmd *cobra.Command, args []string) error {
			project, name, err := split(c, args[0])
			if err != nil {
				return err
			}
			s, err := c.Session()
			if err != nil {
				return err
			}
			e, err := clikit.Read[envRow](s.CreateEnvironment(cmd.Context(), project, apiclient.CreateEnvironmentJSONRequestBody{
				Name: name, Class: apiclient.CreateEnvironmentRequestClass(class), Title: clikit.Some(title), Attributes: clikit.SomeMap(attrs), Lease: clikit.Some(lease)}))
			if err != nil {
				return err
			}
			return printEnvironment(c, e)
		},
	}
	cmd.Flags().StringVar(&class, "class", "development", "development, staging or production")
	_ = cmd.RegisterFlagCompletionFunc("class", clikit.Fixed("development", "staging", "production"))
	cmd.Flags().StringVar(&lease, "lease", "", "how long it is to live with all that is in it, such as 8h or 7d; what the rules of its class say when left out")
	cmd.Flags().StringVar(&title, "title", "", "for people")
	cmd.Flags().StringToStringVar(&attrs, "attribute", nil, "attribute for access policies, as KEY=VALUE; may be given several times")
	return cmd
}

func listEnvironments(c *clikit.CLI) *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use: "ls", Aliases: []string{"list"}, Short: "List a project's environments, or with --all those of every project", Args: clikit.Args(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := c.Session()
			if err != nil {
				return err
			}
			w, err := c.Place()
			if err != nil {
				return err
			}
			items, err := clikit.Pages(0, func(limit *int64, cursor *string) ([]envRow, *string, error) {
				if all || w.Project == "" {
					p, err := clikit.Read[apiclient.PageEnvironment](s.ListAllEnvironments(cmd.Context(), &apiclient.ListAllEnvironmentsParams{Limit: limit, Cursor: cursor}))
					return p.Items, p.Next, err
				}
				p, err := clikit.Read[apiclient.PageEnvironment](s.ListEnvironments(cmd.Context(), w.Project, &apiclient.ListEnvironmentsParams{Limit: limit, Cursor: cursor}))
				return p.Items, p.Next, err
			})
			if err != nil {
				return err
			}
			return clikit.PrintList(c, items, func(e envRow) string { return e.Name }, "no environments that you may see; make one: fairlead env create NAME --class development",
				clikit.Column[envRow]{Title: "PROJECT", Cell: func(e envRow) string { return e.Project }},
				clikit.Column[envRow]{Title: "NAME", Cell: func(e envRow) string { return e.Name }},
				clikit.Column[envRow]{Title: "CLASS", Cell: func(e envRow) string { return string(e.Class) }},
				clikit.Column[envRow]{Title: "TEAM", Cell: func(e envRow) string { return e.Team }},
				clikit.Column[envRow]{Title: "AGE", Cell: func(e envRow) string { return clikit.Age(e.CreatedAt) }},
				clikit.Column[envRow]{Title: "TITLE", Cell: func(e envRow) string { return e.Title }})
		},
	}
	cmd.Flags().BoolVarP(&all, "all", "A", false, "of every project")
	return cmd
}

func showEnvironment(c *clikit.CLI) *cobra.Command {
	return &cobra.Command{
		Use: "show NAME", Short: "Show an environment", Args: clikit.Args(1, 1), ValidArgsFunction: c.Complete(1, c.Environments),
		RunE: func(cmd *cobra.Command, args []string) error {
			project, name, err := split(c, args[0])
			if err != nil {
				return err
			}
			s, err := c.Session()
			if err != nil {
				return err
			}
			e, err := clikit.Read[envRow](s.GetEnvironment(cmd.Context(), project, name))
			if err != nil {
				return err
			}
			return printEnvironment(c, e)
		},
	}
}

func deleteEnvironment(c *clikit.CLI) *cobra.Command {
	return remove(c, "environment", c.Environments, func(ctx context.Context, s *clikit.Session, arg string) (string, string, error) {
		project, name, err := split(c, arg)
		if err != nil {
			return "", "", err
		}
		e, tag, err := clikit.ReadTagged[envRow](s.GetEnvironment(ctx, project, name))
		return e.Project + "/" + e.Name, tag, err
	}, func(ctx context.Context, s *clikit.Session, arg, tag string) error {
		project, name, err := split(c, arg)
		if err != nil {
			return err
		}
		return clikit.Done(s.DeleteEnvironment(ctx, project, name, &apiclient.DeleteEnvironmentParams{IfMatch: clikit.Some(tag)}))
	})
}

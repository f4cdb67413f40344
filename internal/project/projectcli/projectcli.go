package projectcli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"fairlead/internal/apiclient"
	"fairlead/internal/clikit"
)

// Commands gives the commands of this concern.
func Commands(c *clikit.CLI) []*cobra.Command {
	project := &cobra.Command{Use: "project", Aliases: []string{"projects"}, Short: "Projects: create, list, show, delete", GroupID: clikit.GroupSetup}
	project.AddCommand(createProject(c), listProjects(c), showProject(c), deleteProject(c))
	env := &cobra.Command{Use: "env", Aliases: []string{"environment", "environments"}, Short: "Environments of a project", GroupID: clikit.GroupSetup}
	env.AddCommand(createEnvironment(c), updateEnvironment(c), listEnvironments(c), showEnvironment(c), compareEnvironments(c), deleteEnvironment(c))
	return []*cobra.Command{project, env, use(c)}
}

func use(c *clikit.CLI) *cobra.Command {
	cmd := &cobra.Command{
		Use: "use [PROJECT/ENVIRONMENT]", Short: "Choose the project and environment that commands are about", GroupID: clikit.GroupSetup,
		Long:    "Choose project and environment; without an argument, show them. With --server another server becomes the one in use.",
		Example: "  fairlead use shop/dev\n  fairlead use --server https://fairlead.example.com",
		Args:    clikit.Args(0, 1), ValidArgsFunction: c.Complete(1, c.Places),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := c.Session()
			if err != nil {
				return err
			}
			if len(args) == 0 {
				if cmd.Flags().Changed("server") {
					if err := c.Use(s.URL, "", ""); err != nil {
						return err
					}
				}
				return show(c, s.URL)
			}
			project, env, ok := strings.Cut(args[0], "/")
			if !ok || project == "" || env == "" {
				return clikit.Usage("%q is no PROJECT/ENVIRONMENT", clikit.Clean(args[0])).WithHint("such as: fairlead use shop/dev")
			}
			// What is not there is told now and not at the next command.
			if _, err := clikit.Read[apiclient.Environment](s.GetEnvironment(cmd.Context(), project, env)); err != nil {
				return err
			}
			if err := c.Use(s.URL, project, env); err != nil {
				return err
			}
			for _, set := range []struct{ name, now string }{{"FAIRLEAD_URL", s.URL}, {"FAIRLEAD_PROJECT", project}, {"FAIRLEAD_ENV", env}} {
				if v := c.Env(set.name); v != "" && v != set.now {
					c.Warn("%s is set (%s) and goes before the context file", set.name, v)
				}
			}
			return showPlace(c, inUse{s.URL, project, env})
		},
	}
	return cmd
}

// inUse is where commands go, for programs.
type inUse struct {
	Server      string `json:"server"`
	Project     string `json:"project,omitempty"`
	Environment string `json:"environment,omitempty"`
}

func show(c *clikit.CLI, server string) error {
	w, err := c.Place()
	if err != nil {
		return err
	}
	return showPlace(c, inUse{server, w.Project, w.Environment})
}

func showPlace(c *clikit.CLI, v inUse) error {
	return clikit.PrintOne(c, v, v.Project+"/"+v.Environment, func(t *clikit.Text) {
		place := "no project and environment are chosen"
		if v.Project != "" {
			place = v.Project + "/" + v.Environment
		}
		t.Line("%s  %s", t.Style.Bold(clikit.Clean(place)), t.Style.Dim(clikit.Clean(v.Server)))
	})
}

type projectRow = apiclient.Project

func printProject(c *clikit.CLI, p projectRow) error {
	return clikit.PrintOne(c, p, p.Name, func(t *clikit.Text) {
		t.Line("%s  %s", t.Style.Bold(clikit.Clean(p.Name)), clikit.Clean(p.Title))
		t.Pairs("  ", clikit.Pair{Key: "team", Value: p.Team}, clikit.Pair{Key: "created", Value: clikit.Moment(p.CreatedAt)}, clikit.Pair{Key: "id", Value: p.ID})
		t.Pairs("  ", attributes(p.Attributes)...)
	})
}

func attributes(m map[string]string) []clikit.Pair {
	var out []clikit.Pair
	for k, v := range clikit.Sorted(m) {
		out = append(out, clikit.Pair{Key: "attribute " + k, Value: v})
	}
	return out
}

func createProject(c *clikit.CLI) *cobra.Command {
	var team, title string
	var attrs map[string]string
	cmd := &cobra.Command{
		Use: "create NAME --team TEAM", Short: "Make a project", Args: clikit.Args(1, 1), Example: "  fairlead project create shop --team payments",
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := c.Session()
			if err != nil {
				return err
			}
			if team == "" {
				if team, err = onlyTeam(cmd.Context(), s); err != nil {
					return err
				}
			}
			p, err := clikit.Read[projectRow](s.CreateProject(cmd.Context(), apiclient.CreateProjectJSONRequestBody{
				Name: args[0], Team: team, Title: clikit.Some(title), Attributes: clikit.SomeMap(attrs)}))
			if err != nil {
				return err
			}
			return printProject(c, p)
		},
	}
	cmd.Flags().StringVar(&team, "team", "", "the team that owns it; may be left out when you see just one")
	c.CompleteFlag(cmd, "team", c.Teams)
	cmd.Flags().StringVar(&title, "title", "", "for people")
	cmd.Flags().StringToStringVar(&attrs, "attribute", nil, "attribute for access policies, as KEY=VALUE; may be given several times")
	return cmd
}

// onlyTeam gives the team when there is no choice.
func onlyTeam(ctx context.Context, s *clikit.Session) (string, error) {
	two := int64(2)
	teams, err := clikit.Read[apiclient.PageTeam](s.ListTeams(ctx, &apiclient.ListTeamsParams{Limit: &two}))
	if err != nil {
		return "", err
	}
	if len(teams.Items) != 1 {
		return "", clikit.Usage("which team owns it?").WithHint("add --team TEAM; fairlead team ls lists them")
	}
	return teams.Items[0].Name, nil
}

func listProjects(c *clikit.CLI) *cobra.Command {
	var team, search string
	cmd := &cobra.Command{
		Use: "ls", Aliases: []string{"list"}, Short: "List projects", Args: clikit.Args(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := c.Session()
			if err != nil {
				return err
			}
			items, err := clikit.Pages(0, func(limit *int64, cursor *string) ([]projectRow, *string, error) {
				p, err := clikit.Read[apiclient.PageProject](s.ListProjects(cmd.Context(),
					&apiclient.ListProjectsParams{Limit: limit, Cursor: cursor, Team: clikit.Some(team), Q: clikit.Some(search)}))
				return p.Items, p.Next, err
			})
			if err != nil {
				return err
			}
			return clikit.PrintList(c, items, func(p projectRow) string { return p.Name }, "no projects that you may see; make one: fairlead project create NAME --team TEAM",
				clikit.Column[projectRow]{Title: "NAME", Cell: func(p projectRow) string { return p.Name }},
				clikit.Column[projectRow]{Title: "TEAM", Cell: func(p projectRow) string { return p.Team }},
				clikit.Column[projectRow]{Title: "AGE", Cell: func(p projectRow) string { return clikit.Age(p.CreatedAt) }},
				clikit.Column[projectRow]{Title: "TITLE", Cell: func(p projectRow) string { return p.Title }})
		},
	}
	cmd.Flags().StringVar(&team, "team", "", "only those of this team")
	cmd.Flags().StringVar(&search, "search", "", "part of the name or title")
	return cmd
}

func showProject(c *clikit.CLI) *cobra.Command {
	return &cobra.Command{
		Use: "show NAME", Short: "Show a project", Args: clikit.Args(1, 1), ValidArgsFunction: c.Complete(1, c.Projects),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := c.Session()
			if err != nil {
				return err
			}
			p, err := clikit.Read[projectRow](s.GetProject(cmd.Context(), args[0]))
			if err != nil {
				return err
			}
			return printProject(c, p)
		},
	}
}

func deleteProject(c *clikit.CLI) *cobra.Command {
	return remove(c, "project", c.Projects, func(ctx context.Context, s *clikit.Session, name string) (string, string, error) {
		p, tag, err := clikit.ReadTagged[projectRow](s.GetProject(ctx, name))
		return p.Name, tag, err
	}, func(ctx context.Context, s *clikit.Session, name, tag string) error {
		return clikit.Done(s.DeleteProject(ctx, name, &apiclient.DeleteProjectParams{IfMatch: clikit.Some(tag)}))
	})
}

// remove is the command that deletes what was shown, once it is confirmed.
func remove(c *clikit.CLI, kind string, choices clikit.Choices, look func(context.Context, *clikit.Session, string) (name, tag string, err error),
	del func(ctx context.Context, s *clikit.Session, name, tag string) error,
) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use: "rm NAME", Aliases: []string{"delete"}, Short: "Delete a " + kind + " that holds nothing any more", Args: clikit.Args(1, 1), ValidArgsFunction: c.Complete(1, choices),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := c.Session()
			if err != nil {
				return err
			}
			name, tag, err := look(cmd.Context(), s, args[0])
			if err != nil {
				return err
			}
			if !yes {
				if err := c.Confirm("Deleting the "+kind+" "+name, name, "--yes"); err != nil {
					return err
				}
			}
			if err := del(cmd.Context(), s, args[0], tag); err != nil {
				return err
			}
			c.Note("%s %s is deleted", kind, name)
			return nil
		},
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return cmd
}

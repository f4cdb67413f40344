package clikit

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"fairlead/internal/apiclient"
)

// completionTime is how long a completion may ask the server: a shell that
// hangs on Tab is worse than one that offers nothing.
const completionTime = time.Second

// Choices is the names to offer, or none. It says what the API gives for what
// is typed so far; trouble of any kind offers nothing and says nothing.
type Choices func(ctx context.Context, s *Session, typed string) ([]cobra.Completion, error)

// Complete makes choices into the completion of arguments: of the first ones,
// up to most of them (0: any number). What is there already is not offered again.
func (c *CLI) Complete(most int, choices Choices) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if most > 0 && len(args) >= most {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return c.offer(cmd, choices, args, typed)
	}
}

// CompleteFlag makes choices into the completion of a flag's value.
func (c *CLI) CompleteFlag(cmd *cobra.Command, flag string, choices Choices) {
	// The error says that there is no such flag; a test goes through them all.
	_ = cmd.RegisterFlagCompletionFunc(flag, func(cmd *cobra.Command, _ []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
		return c.offer(cmd, choices, nil, typed)
	})
}

func (c *CLI) offer(cmd *cobra.Command, choices Choices, given []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
	ctx, cancel := context.WithTimeout(cmd.Context(), completionTime)
	defer cancel()
	s, err := c.Session()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	all, err := choices(ctx, s, typed)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var out []cobra.Completion
	for _, choice := range all {
		name, _, _ := strings.Cut(choice, "\t")
		if strings.HasPrefix(name, typed) && !slices.Contains(given, name) {
			out = append(out, choice)
		}
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}

// Fixed offers words that need no server.
func Fixed(words ...string) cobra.CompletionFunc {
	return cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp)
}

func choice(name, what string) cobra.Completion {
	return cobra.CompletionWithDesc(clean(name), clean(what))
}

func most() *int64 { n := int64(pageSize); return &n }

// Resources offers those of the environment in use.
func (c *CLI) Resources(ctx context.Context, s *Session, typed string) ([]cobra.Completion, error) {
	w, err := c.Where()
	if err != nil {
		return nil, err
	}
	page, err := Read[apiclient.PageResource](s.ListResources(ctx, &apiclient.ListResourcesParams{
		Limit: most(), Project: &w.Project, Environment: &w.Environment, Search: Some(typed)}))
	var out []cobra.Completion
	for _, r := range page.Items {
		out = append(out, choice(r.Name, r.Template+", "+string(r.Phase)))
	}
	return out, err
}

// Templates offers every template.
func (c *CLI) Templates(ctx context.Context, s *Session, typed string) ([]cobra.Completion, error) {
	page, err := Read[apiclient.PageTemplateSummary](s.ListTemplates(ctx, &apiclient.ListTemplatesParams{Limit: most(), Search: Some(typed)}))
	var out []cobra.Completion
	for _, t := range page.Items {
		out = append(out, choice(t.Name, t.Title))
	}
	return out, err
}

// Teams offers those that one may see.
func (c *CLI) Teams(ctx context.Context, s *Session, _ string) ([]cobra.Completion, error) {
	page, err := Read[apiclient.PageTeam](s.ListTeams(ctx, &apiclient.ListTeamsParams{Limit: most()}))
	var out []cobra.Completion
	for _, t := range page.Items {
		out = append(out, choice(t.Name, t.Title))
	}
	return out, err
}

// Projects offers those that one may see.
func (c *CLI) Projects(ctx context.Context, s *Session, typed string) ([]cobra.Completion, error) {
	page, err := Read[apiclient.PageProject](s.ListProjects(ctx, &apiclient.ListProjectsParams{Limit: most(), Q: Some(typed)}))
	var out []cobra.Completion
	for _, p := range page.Items {
		out = append(out, choice(p.Name, p.Title))
	}
	return out, err
}

// Places offers PROJECT/ENVIRONMENT.
func (c *CLI) Places(ctx context.Context, s *Session, _ string) ([]cobra.Completion, error) {
	page, err := Read[apiclient.PageEnvironment](s.ListAllEnvironments(ctx, &apiclient.ListAllEnvironmentsParams{Limit: most()}))
	var out []cobra.Completion
	for _, e := range page.Items {
		out = append(out, choice(e.Project+"/"+e.Name, string(e.Class)))
	}
	return out, err
}

// Environments offers those of the project in use by their names, and the
// others, or all when none is in use, as PROJECT/ENVIRONMENT.
func (c *CLI) Environments(ctx context.Context, s *Session, typed string) ([]cobra.Completion, error) {
	w, err := c.Place()
	if err != nil {
		return nil, err
	}
	if w.Project == "" || strings.Contains(typed, "/") {
		return c.Places(ctx, s, typed)
	}
	page, err := Read[apiclient.PageEnvironment](s.ListEnvironments(ctx, w.Project, &apiclient.ListEnvironmentsParams{Limit: most()}))
	var out []cobra.Completion
	for _, e := range page.Items {
		out = append(out, choice(e.Name, string(e.Class)))
	}
	return out, err
}

package sourcecli

import (
	"strings"
	"time"

	"github.com/spf13/cobra"

	"fairlead/internal/apiclient"
	"fairlead/internal/clikit"
)

type (
	src = apiclient.TemplateSource
	tag = apiclient.TemplateSourceTag
)

// Below gives the commands that belong below "template".
func Below(c *clikit.CLI) []*cobra.Command {
	source := &cobra.Command{Use: "source", Aliases: []string{"sources"}, Short: "Where templates come from"}
	source.AddCommand(list(c), show(c), sync(c), update(c), remove(c))
	return []*cobra.Command{add(c), source}
}

// state is a source in a word.
func state(v src) string {
	switch {
	case v.Problem != nil:
		return "failing"
	case v.SyncedAt == nil:
		return "pending"
	}
	return "ready"
}

func list(c *clikit.CLI) *cobra.Command {
	return &cobra.Command{
		Use: "ls", Aliases: []string{"list"}, Short: "List where templates come from", Args: clikit.Args(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := c.Session()
			if err != nil {
				return err
			}
			items, err := clikit.Pages(0, func(limit *int64, cursor *string) ([]src, *string, error) {
				p, err := clikit.Read[apiclient.PageTemplateSource](s.ListTemplateSources(cmd.Context(), &apiclient.ListTemplateSourcesParams{Limit: limit, Cursor: cursor}))
				return p.Items, p.Next, err
			})
			if err != nil {
				return err
			}
			return clikit.PrintList(c, items, func(v src) string { return v.Name }, "no sources that you may see; make one: fairlead template add NAME --git URL",
				clikit.Column[src]{Title: "TEMPLATE", Cell: func(v src) string { return v.Name }},
				clikit.Column[src]{Title: "STATE", Cell: state, Paint: clikit.Style.Phase},
				clikit.Column[src]{Title: "URL", Cell: func(v src) string { return v.URL }},
				clikit.Column[src]{Title: "PATH", Cell: func(v src) string { return clikit.Or(v.Path) }},
				clikit.Column[src]{Title: "LOOKED AT", Cell: func(v src) string { return clikit.MomentOf(v.SyncedAt) }})
		},
	}
}

func show(c *clikit.CLI) *cobra.Command {
	return &cobra.Command{
		Use: "show TEMPLATE", Short: "Show a source: how it is doing, and what became of its tags", Args: clikit.Args(1, 1), ValidArgsFunction: c.Complete(1, c.Templates),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := c.Session()
			if err != nil {
				return err
			}
			v, err := clikit.Read[src](s.GetTemplateSource(cmd.Context(), args[0]))
			if err != nil {
				return err
			}
			return printSource(c, cmd, s, v, v)
		},
	}
}

// whole is a source with its tags, for programs.
type whole struct {
	Source any   `json:"source"`
	Tags   []tag `json:"tags"`
}

func printSource(c *clikit.CLI, cmd *cobra.Command, s *clikit.Session, v src, machine any) error {
	found, err := clikit.Pages(50, func(limit *int64, cursor *string) ([]tag, *string, error) {
		p, err := clikit.Read[apiclient.PageTemplateSourceTag](s.ListTemplateSourceTags(cmd.Context(), v.ID, &apiclient.ListTemplateSourceTagsParams{Limit: limit, Cursor: cursor}))
		return p.Items, p.Next, err
	})
	if err != nil {
		return err
	}
	return clikit.PrintOne(c, whole{machine, found}, v.Name, func(t *clikit.Text) {
		t.Line("%s  %s  %s", t.Style.Bold(clikit.Clean(v.Name)), t.Style.Phase(state(v)), clikit.Clean(v.URL))
		every := "only when asked"
		if v.EverySeconds > 0 {
			every = (time.Duration(v.EverySeconds) * time.Second).String()
		}
		t.Pairs("  ", clikit.Pair{Key: "id", Value: v.ID}, clikit.Pair{Key: "path", Value: clikit.Or(v.Path)}, clikit.Pair{Key: "tags", Value: clikit.Or(v.Refs)},
			clikit.Pair{Key: "credential", Value: clikit.Or(v.Credential)}, clikit.Pair{Key: "looked at", Value: clikit.MomentOf(v.SyncedAt)}, clikit.Pair{Key: "every", Value: every})
		if v.Problem != nil {
			problem(t, "  ", *v.Problem)
		}
		if len(found) == 0 {
			t.Line("  no tag that is a semantic version was seen")
			return
		}
		t.Section("Versions")
		for _, one := range found {
			t.Line("  %s  %s  %s  %s", clikit.Clean(one.Version), t.Style.Phase(word(one)), clikit.Clean(one.Tag), t.Style.Dim(clikit.Clean(one.Commit[:min(12, len(one.Commit))])))
			if one.Problem != nil {
				problem(t, "      ", *one.Problem)
			}
		}
	})
}

// word is a tag's state as people are told it.
func word(t tag) string {
	if t.Status == apiclient.TemplateSourceTagStatusImported {
		return "ready"
	}
	return string(t.Status)
}

func problem(t *clikit.Text, indent string, p apiclient.TemplateSourceProblem) {
	for line := range strings.SplitSeq(p.Message, "\n") {
		t.Line("%s%s", indent, t.Style.Red(clikit.Clean(line)))
	}
	if p.Hint != nil {
		t.Line("%shint: %s", indent, clikit.Clean(*p.Hint))
	}
}

func sync(c *clikit.CLI) *cobra.Command {
	var noWait bool
	cmd := &cobra.Command{
		Use: "sync TEMPLATE", Short: "Look at a source now, also at what was broken", Args: clikit.Args(1, 1), ValidArgsFunction: c.Complete(1, c.Templates),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := c.Session()
			if err != nil {
				return err
			}
			v, err := clikit.Read[src](s.SyncTemplateSource(cmd.Context(), args[0]))
			if err != nil {
				return err
			}
			if noWait {
				return clikit.PrintOne(c, v, v.Name, func(t *clikit.Text) { t.Line("%s is looked at now", clikit.Clean(v.Name)) })
			}
			return looked(c, cmd, s, v.ID, v.Wanted, nil)
		},
	}
	cmd.Flags().BoolVar(&noWait, "no-wait", false, "do not wait for the look")
	return cmd
}

const pollEvery = 300 * time.Millisecond

// looked waits for a look and prints what came of it. made is what programs
// get in the source's place, such as with a secret.
func looked(c *clikit.CLI, cmd *cobra.Command, s *clikit.Session, id string, wanted int64, made any) error {
	for {
		v, err := clikit.Read[src](s.GetTemplateSource(cmd.Context(), id))
		if err != nil {
			return err
		}
		if v.Looked >= wanted {
			if made == nil {
				made = v
			}
			if err := printSource(c, cmd, s, v, made); err != nil {
				return err
			}
			if v.Problem != nil {
				return clikit.Failure("source_failing", "%s could not be looked at: %s", clikit.Clean(v.Name), clikit.Clean(v.Problem.Message))
			}
			return nil
		}
		select {
		case <-cmd.Context().Done():
			return clikit.Interrupted("the look goes on; see it with fairlead template source show %s", v.Name)
		case <-time.After(pollEvery):
		}
	}
}

func remove(c *clikit.CLI) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use: "rm TEMPLATE", Aliases: []string{"delete"}, Short: "Remove a source with its credentials; its versions stay", Args: clikit.Args(1, 1), ValidArgsFunction: c.Complete(1, c.Templates),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := c.Session()
			if err != nil {
				return err
			}
			v, etag, err := clikit.ReadTagged[src](s.GetTemplateSource(cmd.Context(), args[0]))
			if err != nil {
				return err
			}
			if !yes {
				if err := c.Confirm("Removing the source of "+v.Name, v.Name, "--yes"); err != nil {
					return err
				}
			}
			if err := clikit.Done(s.DeleteTemplateSource(cmd.Context(), v.ID, &apiclient.DeleteTemplateSourceParams{IfMatch: clikit.Some(etag)})); err != nil {
				return err
			}
			c.Note("the source of %s is removed", v.Name)
			return nil
		},
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return cmd
}

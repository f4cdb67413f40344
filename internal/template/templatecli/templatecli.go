package templatecli

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"fairlead/internal/apiclient"
	"fairlead/internal/clikit"
)

const tarType = "application/x-tar"

// Commands gives the commands of this concern.
func Commands(c *clikit.CLI) []*cobra.Command {
	t := &cobra.Command{Use: "template", Aliases: []string{"templates"}, Short: "The golden paths: list, show, push, test", GroupID: clikit.GroupSetup}
	t.AddCommand(listCommand(c), showCommand(c), pushCommand(c), testCommand(c), deprecateCommand(c), usersCommand(c))
	return []*cobra.Command{t}
}

func listCommand(c *clikit.CLI) *cobra.Command {
	var search, tag, engine string
	cmd := &cobra.Command{
		Use: "ls", Aliases: []string{"list"}, Short: "List templates", Args: clikit.Args(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := c.Session()
			if err != nil {
				return err
			}
			type row = apiclient.TemplateSummary
			items, err := clikit.Pages(0, func(limit *int64, cursor *string) ([]row, *string, error) {
				p, err := clikit.Read[apiclient.PageTemplateSummary](s.ListTemplates(cmd.Context(), &apiclient.ListTemplatesParams{
					Limit: limit, Cursor: cursor, Search: clikit.Some(search), Tag: clikit.Some(tag), Engine: clikit.Some(engine),
				}))
				return p.Items, p.Next, err
			})
			if err != nil {
				return err
			}
			return clikit.PrintList(c, items, func(r row) string { return r.Name }, "no templates; push one: fairlead template push DIR",
				clikit.Column[row]{Title: "NAME", Cell: func(r row) string { return r.Name }},
				clikit.Column[row]{Title: "VERSION", Cell: func(r row) string {
					if r.Deprecation != nil {
						return r.Version + " (deprecated)"
					}
					return r.Version
				}},
				clikit.Column[row]{Title: "ENGINE", Cell: func(r row) string { return r.Engine }},
				clikit.Column[row]{Title: "TITLE", Cell: func(r row) string { return r.Title }},
				clikit.Column[row]{Title: "TAGS", Cell: func(r row) string { return strings.Join(r.Tags, " ") }})
		},
	}
	f := cmd.Flags()
	f.StringVar(&search, "search", "", "in name, title and description")
	f.StringVar(&tag, "tag", "", "only those with this tag")
	f.StringVar(&engine, "engine", "", "only those of this engine")
	return cmd
}

func showCommand(c *clikit.CLI) *cobra.Command {
	var version string
	cmd := &cobra.Command{
		Use: "show NAME", Short: "Show a template: its inputs, outputs and versions", Args: clikit.Args(1, 1), ValidArgsFunction: c.Complete(1, c.Templates),
		Example: "  fairlead template show postgres",
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := c.Session()
			if err != nil {
				return err
			}
			v, err := clikit.Read[apiclient.TemplateVersion](s.GetTemplate(cmd.Context(), args[0], &apiclient.GetTemplateParams{Version: clikit.Some(version)}))
			if err != nil {
				return err
			}
			var versions []apiclient.TemplateVersionSummary
			if !c.Machine() && !c.NamesOnly() {
				versions, err = clikit.Pages(20, func(limit *int64, cursor *string) ([]apiclient.TemplateVersionSummary, *string, error) {
					p, err := clikit.Read[apiclient.PageTemplateVersionSummary](s.ListTemplateVersions(cmd.Context(), args[0],
						&apiclient.ListTemplateVersionsParams{Limit: limit, Cursor: cursor}))
					return p.Items, p.Next, err
				})
				if err != nil {
					return err
				}
			}
			return clikit.PrintOne(c, v, v.Name, func(t *clikit.Text) { describe(t, v, versions) })
		},
	}
	cmd.Flags().StringVar(&version, "version", "", "a version such as 1.4.0, or a range such as ^1.2; by default the newest")
	return cmd
}

func describe(t *clikit.Text, v apiclient.TemplateVersion, versions []apiclient.TemplateVersionSummary) {
	t.Line("%s  %s", t.Style.Bold(clikit.Clean(v.Name)+" "+clikit.Clean(v.Version)), clikit.Clean(v.Title))
	if v.Description != "" {
		t.Line("%s", clikit.Clean(v.Description))
	}
	if said := noted(v.Deprecation); said != "" {
		t.Line("%s", t.Style.Yellow(said))
	}
	t.Pairs("  ",
		clikit.Pair{Key: "engine", Value: v.Engine}, clikit.Pair{Key: "owner", Value: clikit.Or(v.Owner)},
		clikit.Pair{Key: "tags", Value: strings.Join(v.Tags, " ")}, clikit.Pair{Key: "digest", Value: v.Digest},
		clikit.Pair{Key: "rotation overlap", Value: clikit.Or(v.Lifecycle.RotationOverlap)})
	if v.Needs != nil {
		t.Section("Needs")
		var rows [][]string
		for _, n := range *v.Needs {
			rows = append(rows, []string{n.Kind, clikit.Or(n.Name), clikit.Or(n.Source), clikit.Or(n.Version)})
		}
		t.Table("  ", []string{"WHAT", "NAME", "SOURCE", "VERSION"}, rows)
	}
	if rows := inputRows(v.Inputs); len(rows) > 0 {
		t.Section("Inputs")
		t.Table("  ", []string{"NAME", "TYPE", "DEFAULT", "WHAT"}, rows)
	}
	if len(v.Outputs) > 0 {
		t.Section("Outputs")
		var rows [][]string
		for _, name := range slices.Sorted(maps.Keys(v.Outputs)) {
			o := v.Outputs[name]
			kind := string(o.Type)
			if o.Sensitive {
				kind += ", secret"
			}
			rows = append(rows, []string{name, kind, clikit.Or(o.Description)})
		}
		t.Table("  ", []string{"NAME", "TYPE", "WHAT"}, rows)
	}
	t.Section("Versions")
	for _, ver := range versions {
		t.Line("%s", strings.TrimRight(fmt.Sprintf("  %s  %s  %s", clikit.Clean(ver.Version), t.Style.Dim(clikit.Age(ver.CreatedAt)+" ago"), t.Style.Yellow(noted(ver.Deprecation))), " "))
	}
	t.Line("\nRequest one: fairlead request %s NAME --wait", clikit.Clean(v.Name))
}

// inputRows reads the schema's top level, as far as a table can tell it.
func inputRows(schema map[string]any) [][]string {
	properties, _ := schema["properties"].(map[string]any)
	required := map[string]bool{}
	if list, ok := schema["required"].([]any); ok {
		for _, r := range list {
			if name, ok := r.(string); ok {
				required[name] = true
			}
		}
	}
	var rows [][]string
	for _, name := range inOrder(properties) {
		p, _ := properties[name].(map[string]any)
		fallback := clikit.Value(p["default"])
		if required[name] && fallback == "" {
			fallback = "(required)"
		}
		rows = append(rows, []string{name, typeOf(p), fallback, clikit.Value(p["description"])})
	}
	return rows
}

// inOrder gives the inputs as their author has them, where that is known.
func inOrder(properties map[string]any) []string {
	place := func(name string) float64 {
		p, _ := properties[name].(map[string]any)
		n, _ := p["x-order"].(float64)
		return n
	}
	return slices.SortedStableFunc(maps.Keys(properties), func(a, b string) int {
		return cmp.Or(cmp.Compare(place(a), place(b)), cmp.Compare(a, b))
	})
}

// typeOf is a property's type in a word or two.
func typeOf(p map[string]any) string {
	kind := clikit.Value(p["type"])
	if list, ok := p["type"].([]any); ok {
		var words []string
		for _, t := range list {
			words = append(words, clikit.Value(t))
		}
		kind = strings.Join(words, " or ")
	}
	if p["writeOnly"] == true || p["format"] == "password" {
		kind += ", secret"
	}
	return kind
}

// naming are the flags by which a push says what no template.yaml does.
type naming struct{ name, version string }

func (n *naming) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&n.name, "name", "", "of a module without template.yaml; its folder's name by default")
	cmd.Flags().StringVar(&n.version, "version", "", "where template.yaml does not say it, as 1.0.0")
}

// of gives name and version for a folder: those of a bare module are said.
func (n naming) of(dir string) (name, version *string, err error) {
	if n.name == "" && isModule(dir) {
		if _, err := os.Stat(filepath.Join(dir, "template.yaml")); errors.Is(err, fs.ErrNotExist) {
			abs, err := filepath.Abs(dir)
			if err != nil {
				return nil, nil, err
			}
			n.name = filepath.Base(abs)
			if n.version == "" {
				return nil, nil, clikit.Usage("%s is a module without template.yaml, so say which version it is", clikit.Clean(dir)).WithHint("as --version 1.0.0")
			}
		}
	}
	return clikit.Some(n.name), clikit.Some(n.version), nil
}

func pushCommand(c *clikit.CLI) *cobra.Command {
	var as naming
	cmd := &cobra.Command{
		Use: "push DIR", Short: "Push a template's folder, or a module, as a new version",
		Long: "Push a template's folder, or any OpenTofu or Terraform module: its variables are the inputs then. A version never changes: the same content again is no error, other content under the same version is refused.",
		Example: `  fairlead template push templates/postgres
  fairlead template push ./modules/bucket --version 1.0.0`, Args: clikit.Args(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := c.Session()
			if err != nil {
				return err
			}
			archive, err := pack(args[0])
			if err != nil {
				return err
			}
			name, version, err := as.of(args[0])
			if err != nil {
				return err
			}
			return pushed(c, cmd, s, archive, apiclient.PushTemplateParams{Name: name, Version: version})
		},
	}
	as.flags(cmd)
	return cmd
}

// pushed sends an archive and says what became of it.
func pushed(c *clikit.CLI, cmd *cobra.Command, s *clikit.Session, archive []byte, as apiclient.PushTemplateParams) error {
	resp, err := s.PushTemplateWithBody(cmd.Context(), &as, tarType, bytes.NewReader(archive))
	created := resp != nil && resp.StatusCode == http.StatusCreated
	v, err := clikit.Read[apiclient.TemplateVersion](resp, err)
	if err != nil {
		return err
	}
	return clikit.PrintOne(c, v, v.Name, func(t *clikit.Text) {
		what := "was there already, with the same content"
		if created {
			what = "pushed"
		}
		t.Line("%s %s %s", clikit.Clean(v.Name), clikit.Clean(v.Version), what)
		t.Pairs("  ", clikit.Pair{Key: "digest", Value: v.Digest})
	})
}

func testCommand(c *clikit.CLI) *cobra.Command {
	var as naming
	cmd := &cobra.Command{
		Use: "test DIR", Short: "Run a template's own test cases, touching nothing real",
		Example: "  fairlead template test templates/postgres", Args: clikit.Args(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := c.Session()
			if err != nil {
				return err
			}
			archive, err := pack(args[0])
			if err != nil {
				return err
			}
			name, version, err := as.of(args[0])
			if err != nil {
				return err
			}
			params := apiclient.TestTemplateParams{Name: name, Version: version}
			r, err := clikit.Read[apiclient.TemplateTestReport](s.TestTemplateWithBody(cmd.Context(), &params, tarType, bytes.NewReader(archive)))
			if err != nil {
				return err
			}
			failed := 0
			for _, tc := range r.Cases {
				if !tc.Passed {
					failed++
				}
			}
			if err := clikit.PrintOne(c, r, r.Name, func(t *clikit.Text) { report(t, r, failed) }); err != nil {
				return err
			}
			switch {
			case len(r.Cases) == 0:
				return clikit.Failure("no_tests", "%s has no test cases", clikit.Clean(r.Name)).WithHint("write some in tests/: inputs, and the plan expected of them")
			case !r.Passed:
				return clikit.Failure("tests_failed", "%d of %d test cases failed", failed, len(r.Cases))
			}
			return nil
		},
	}
	as.flags(cmd)
	return cmd
}

func report(t *clikit.Text, r apiclient.TemplateTestReport, failed int) {
	for _, tc := range r.Cases {
		mark := t.Style.Green("✓")
		if !tc.Passed {
			mark = t.Style.Red("✗")
		}
		t.Line("%s %s: %s", mark, clikit.Clean(tc.File), clikit.Clean(tc.Name))
		for _, f := range tc.Failures {
			t.Line("    %s", clikit.Clean(f))
		}
	}
	t.Line("%s %s: %s", clikit.Clean(r.Name), clikit.Clean(r.Version), fmt.Sprintf("%d passed, %d failed", len(r.Cases)-failed, failed))
}

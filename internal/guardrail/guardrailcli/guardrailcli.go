package guardrailcli

import (
	"bytes"
	"context"
	"net/http"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"fairlead/internal/apiclient"
	"fairlead/internal/clikit"
)

const tarType = "application/x-tar"

// Commands gives the commands of this concern.
func Commands(c *clikit.CLI) []*cobra.Command {
	p := &cobra.Command{Use: "policy", Aliases: []string{"policies", "guardrail", "guardrails"}, Short: "The guardrails: push, test, compare, activate", GroupID: clikit.GroupGovern}
	p.AddCommand(pushCommand(c), listCommand(c), showCommand(c), testCommand(c), diffCommand(c), historyCommand(c),
		activateCommand(c), deactivateCommand(c), rollbackCommand(c), schemaCommand(c), evalCommand(c), backtestCommand(c), complianceCommand(c))
	for _, cmd := range p.Commands() {
		if _, argument, _ := strings.Cut(cmd.Use, " "); strings.HasPrefix(strings.TrimPrefix(argument, "["), "NAME") {
			cmd.ValidArgsFunction = c.Complete(1, bundles(strings.HasPrefix(argument, "NAME@")))
		}
	}
	return []*cobra.Command{p}
}

// bundles offers every bundle, with its newest version where one must be named.
func bundles(versioned bool) clikit.Choices {
	return func(ctx context.Context, s *clikit.Session, _ string) ([]cobra.Completion, error) {
		page, err := clikit.Read[apiclient.PageGuardrailBundle](s.ListGuardrails(ctx, &apiclient.ListGuardrailsParams{}))
		var out []cobra.Completion
		for _, b := range page.Items {
			name := b.Name
			if versioned {
				name += "@" + b.Version
			}
			out = append(out, cobra.CompletionWithDesc(clikit.Clean(name), clikit.Clean(clikit.Or(b.Title))))
		}
		return out, err
	}
}

type (
	bundle  = apiclient.GuardrailBundle
	version = apiclient.GuardrailVersion
	change  = apiclient.GuardrailChange
)

func pushCommand(c *clikit.CLI) *cobra.Command {
	var name, ver string
	cmd := &cobra.Command{
		Use: "push DIR", Short: "Push a folder of policies as a new version",
		Long: "Push a folder of policies. Nothing is in force by that: activate it then. A version never changes.\n" +
			"A folder without policy.yaml is one of Conftest's: its packages are asked about plans, and it is named after the folder.",
		Example: "  fairlead policy push policies/sizes\n  fairlead policy push conftest/policy --name terraform --version 1.0.0", Args: clikit.Args(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := c.Session()
			if err != nil {
				return err
			}
			archive, err := pack(args[0])
			if err != nil {
				return err
			}
			resp, err := s.PushGuardrailsWithBody(cmd.Context(), &apiclient.PushGuardrailsParams{Name: clikit.Some(named(args[0], name)), Version: clikit.Some(ver)}, tarType, bytes.NewReader(archive))
			created := resp != nil && resp.StatusCode == http.StatusCreated
			v, err := clikit.Read[version](resp, err)
			if err != nil {
				return err
			}
			return clikit.PrintOne(c, v, v.Name+"@"+v.Version, func(t *clikit.Text) {
				what := "was there already, with the same content"
				if created {
					what = "pushed"
				}
				t.Line("%s@%s %s", clikit.Clean(v.Name), clikit.Clean(v.Version), what)
				t.Pairs("  ", clikit.Pair{Key: "guardrails", Value: count(v.Guardrails)}, clikit.Pair{Key: "digest", Value: v.Digest})
				report(t, v.TestReport)
				t.Line("\nPut it in force: fairlead policy activate %s@%s", clikit.Clean(v.Name), clikit.Clean(v.Version))
			})
		},
	}
	cmd.Flags().StringVar(&name, "name", "", "name of a folder without policy.yaml; by default the folder's")
	cmd.Flags().StringVar(&ver, "version", "", "version of a folder without policy.yaml; by default one made of its digest")
	return cmd
}

var notName = regexp.MustCompile(`[^a-z0-9-]+`)

// named gives a folder without a manifest its name: the one said, or the
// folder's own.
func named(dir, name string) string {
	if name != "" || hasManifest(dir) {
		return name
	}
	if abs, err := filepath.Abs(dir); err == nil {
		dir = abs
	}
	return strings.Trim(notName.ReplaceAllString(strings.ToLower(filepath.Base(dir)), "-"), "-")
}

func testCommand(c *clikit.CLI) *cobra.Command {
	return &cobra.Command{
		Use: "test DIR", Short: "Compile a folder of policies and run its tests; nothing is kept",
		Example: "  fairlead policy test policies/sizes", Args: clikit.Args(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := c.Session()
			if err != nil {
				return err
			}
			archive, err := pack(args[0])
			if err != nil {
				return err
			}
			r, err := clikit.Read[apiclient.GuardrailTestReport](s.TestGuardrailsWithBody(cmd.Context(),
				&apiclient.TestGuardrailsParams{Name: clikit.Some(named(args[0], ""))}, tarType, bytes.NewReader(archive)))
			if err != nil {
				return err
			}
			if err := clikit.PrintOne(c, r, r.Name, func(t *clikit.Text) { report(t, r) }); err != nil {
				return err
			}
			switch {
			case clikit.Or(r.Trouble) != "":
				return clikit.Failure("tests_failed", "not all tests could be run: %s", clikit.Clean(clikit.Or(r.Trouble)))
			case len(r.Cases) == 0:
				return clikit.Failure("no_tests", "%s has no tests", clikit.Clean(r.Name)).WithHint("write rules called test_… in a file called …_test.rego")
			case !r.Passed:
				return clikit.Failure("tests_failed", "%d of %d tests failed", failed(r), len(r.Cases))
			}
			return nil
		},
	}
}

func failed(r apiclient.GuardrailTestReport) int {
	n := 0
	for _, tc := range r.Cases {
		if !tc.Passed && !clikit.Or(tc.Skipped) {
			n++
		}
	}
	return n
}

func report(t *clikit.Text, r apiclient.GuardrailTestReport) {
	for _, tc := range r.Cases {
		mark := t.Style.Green("✓")
		switch {
		case clikit.Or(tc.Skipped):
			mark = t.Style.Dim("-")
		case !tc.Passed:
			mark = t.Style.Red("✗")
		}
		t.Line("%s %s.%s  %s", mark, clikit.Clean(tc.Package), clikit.Clean(tc.Name), t.Style.Dim(clikit.Clean(tc.File)+":"+count(tc.Line)))
		if !tc.Passed && !clikit.Or(tc.Skipped) {
			t.Line("    %s", clikit.Clean(clikit.Or(tc.Failure)))
		}
		for line := range strings.Lines(clikit.Or(tc.Output)) {
			t.Line("    | %s", clikit.Clean(strings.TrimRight(line, "\n")))
		}
	}
	if trouble := clikit.Or(r.Trouble); trouble != "" {
		t.Line("%s %s", t.Style.Red("✗"), clikit.Clean(trouble))
	}
}

func count(n int64) string { return strconv.FormatInt(n, 10) }

func listCommand(c *clikit.CLI) *cobra.Command {
	var of string
	cmd := &cobra.Command{
		Use: "ls", Aliases: []string{"list"}, Short: "List bundles of guardrails, and which are in force", Args: clikit.Args(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := c.Session()
			if err != nil {
				return err
			}
			items, err := clikit.Pages(0, func(limit *int64, cursor *string) ([]bundle, *string, error) {
				if of != "" {
					p, err := clikit.Read[apiclient.PageGuardrailBundle](s.ListGuardrailVersions(cmd.Context(), of, &apiclient.ListGuardrailVersionsParams{Limit: limit, Cursor: cursor}))
					return p.Items, p.Next, err
				}
				p, err := clikit.Read[apiclient.PageGuardrailBundle](s.ListGuardrails(cmd.Context(), &apiclient.ListGuardrailsParams{Limit: limit, Cursor: cursor}))
				return p.Items, p.Next, err
			})
			if err != nil {
				return err
			}
			return clikit.PrintList(c, items, func(b bundle) string { return b.Name + "@" + b.Version }, "no guardrails; push some: fairlead policy push DIR",
				clikit.Column[bundle]{Title: "NAME", Cell: func(b bundle) string { return b.Name }},
				clikit.Column[bundle]{Title: "NEWEST", Cell: func(b bundle) string { return b.Version }},
				clikit.Column[bundle]{Title: "IN FORCE", Cell: func(b bundle) string { return clikit.Or(b.Active) }},
				clikit.Column[bundle]{Title: "GUARDRAILS", Cell: func(b bundle) string { return count(b.Guardrails) }},
				clikit.Column[bundle]{Title: "TESTS", Cell: tests},
				clikit.Column[bundle]{Title: "PUSHED", Cell: func(b bundle) string { return clikit.Age(b.CreatedAt) + " ago by " + clikit.Or(b.CreatorName) }})
		},
	}
	cmd.Flags().StringVar(&of, "versions", "", "all versions of the bundle of this name")
	return cmd
}

func tests(b bundle) string {
	if b.TestsFailed > 0 {
		return count(b.TestsFailed) + " of " + count(b.Tests) + " fail"
	}
	return count(b.Tests) + " pass"
}

func showCommand(c *clikit.CLI) *cobra.Command {
	return &cobra.Command{
		Use: "show NAME[@VERSION]", Short: "Show a bundle: its guardrails, files and tests", Args: clikit.Args(1, 1),
		Example: "  fairlead policy show sizes",
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := c.Session()
			if err != nil {
				return err
			}
			name, ver, _ := strings.Cut(args[0], "@")
			var resp *http.Response
			if ver == "" {
				resp, err = s.GetGuardrails(cmd.Context(), name)
			} else {
				resp, err = s.GetGuardrailVersion(cmd.Context(), name, ver)
			}
			v, err := clikit.Read[version](resp, err)
			if err != nil {
				return err
			}
			return clikit.PrintOne(c, v, v.Name+"@"+v.Version, func(t *clikit.Text) { describe(t, v) })
		},
	}
}

func describe(t *clikit.Text, v version) {
	t.Line("%s  %s", t.Style.Bold(clikit.Clean(v.Name)+"@"+clikit.Clean(v.Version)), clikit.Clean(clikit.Or(v.Title)))
	if d := clikit.Or(v.Description); d != "" {
		t.Line("%s", clikit.Clean(d))
	}
	active := clikit.Or(v.Active)
	if active == "" {
		active = "none"
	}
	t.Pairs("  ", clikit.Pair{Key: "in force", Value: active}, clikit.Pair{Key: "pushed", Value: clikit.Age(v.CreatedAt) + " ago by " + clikit.Or(v.CreatorName)},
		clikit.Pair{Key: "digest", Value: v.Digest})
	t.Section("Guardrails")
	var rows [][]string
	for _, g := range v.Rules {
		strength := string(g.Strength)
		if g.Protected {
			strength += ", protected"
		}
		rows = append(rows, []string{g.Package, string(g.Stage), strings.Join(g.Rules, " "), strength, scope(g.Scope)})
	}
	t.Table("  ", []string{"PACKAGE", "STAGE", "RULES", "STRENGTH", "FOR"}, rows)
	t.Section("Files")
	for _, f := range v.Files {
		t.Line("  %s  %s", clikit.Clean(f.Path), t.Style.Dim(count(f.Size)+" bytes"))
	}
	if len(v.TestReport.Cases) > 0 {
		t.Section("Tests, at the push")
		report(t, v.TestReport)
	}
}

func scope(s *apiclient.GuardrailScope) string {
	if s == nil {
		return "all"
	}
	var out []string
	for _, d := range []struct {
		what string
		list *[]string
	}{{"teams", s.Teams}, {"projects", s.Projects}, {"environments", s.Environments}, {"classes", s.Classes}, {"templates", s.Templates}} {
		if l := clikit.Or(d.list); len(l) > 0 {
			out = append(out, d.what+" "+strings.Join(l, " "))
		}
	}
	return strings.Join(out, "; ")
}

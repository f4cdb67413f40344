package guardrailcli

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"fairlead/internal/apiclient"
	"fairlead/internal/clikit"
	"fairlead/internal/fault"
)

// maxDocument bounds a document that guardrails are asked about, in bytes.
const maxDocument = 1 << 20

func hasManifest(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "policy.yaml"))
	return err == nil
}

func diffCommand(c *clikit.CLI) *cobra.Command {
	return &cobra.Command{
		Use: "diff NAME[@FROM] [VERSION]", Short: "Compare two versions: files and guardrails that come, go, change",
		Long:    "Compare two versions of a bundle: by default the one in force with the newest.",
		Example: "  fairlead policy diff sizes\n  fairlead policy diff sizes@1.0.0 1.1.0", Args: clikit.Args(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := c.Session()
			if err != nil {
				return err
			}
			name, from, _ := strings.Cut(args[0], "@")
			to := ""
			if len(args) > 1 {
				to = args[1]
			}
			d, err := clikit.Read[apiclient.GuardrailDiff](s.DiffGuardrails(cmd.Context(), name, &apiclient.DiffGuardrailsParams{From: clikit.Some(from), To: clikit.Some(to)}))
			if err != nil {
				return err
			}
			return clikit.PrintOne(c, d, d.To, func(t *clikit.Text) {
				before := clikit.Or(d.From)
				if before == "" {
					before = "nothing"
				}
				t.Line("%s → %s", clikit.Clean(before), clikit.Clean(d.To))
				differences(t, "Guardrails", d.Guardrails)
				differences(t, "Files", d.Files)
			})
		},
	}
}

func differences(t *clikit.Text, title string, list []apiclient.GuardrailDifference) {
	t.Section(title)
	if len(list) == 0 {
		t.Line("  the same")
	}
	for _, d := range list {
		mark := map[string]string{"added": t.Style.Green("+"), "removed": t.Style.Red("-"), "changed": "~"}[string(d.How)]
		t.Line("  %s %s  %s", mark, clikit.Clean(d.What), t.Style.Dim(clikit.Clean(clikit.Or(d.Detail))))
	}
}

func historyCommand(c *clikit.CLI) *cobra.Command {
	return &cobra.Command{
		Use: "history [NAME]", Short: "List the changes of what is in force", Args: clikit.Args(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := c.Session()
			if err != nil {
				return err
			}
			of := strings.Join(args, "")
			items, err := clikit.Pages(100, func(limit *int64, cursor *string) ([]change, *string, error) {
				p, err := clikit.Read[apiclient.PageGuardrailChange](s.ListGuardrailHistory(cmd.Context(), &apiclient.ListGuardrailHistoryParams{Limit: limit, Cursor: cursor, Name: clikit.Some(of)}))
				return p.Items, p.Next, err
			})
			if err != nil {
				return err
			}
			return clikit.PrintList(c, items, func(h change) string { return h.ID }, "nothing was ever in force; put something in force: fairlead policy activate NAME@VERSION",
				clikit.Column[change]{Title: "WHEN", Cell: func(h change) string { return clikit.Age(h.At) + " ago" }},
				clikit.Column[change]{Title: "WHAT", Cell: func(h change) string { return string(h.Action) }},
				clikit.Column[change]{Title: "NAME", Cell: func(h change) string { return h.Name }},
				clikit.Column[change]{Title: "FROM", Cell: func(h change) string { return clikit.Or(h.Previous) }},
				clikit.Column[change]{Title: "TO", Cell: func(h change) string { return clikit.Or(h.Version) }},
				clikit.Column[change]{Title: "BY", Cell: func(h change) string { return h.By }})
		},
	}
}

func activateCommand(c *clikit.CLI) *cobra.Command {
	return &cobra.Command{
		Use: "activate NAME@VERSION", Short: "Put a version in force, in place of the one that was",
		Example: "  fairlead policy activate sizes@1.1.0", Args: clikit.Args(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			name, ver, ok := strings.Cut(args[0], "@")
			if !ok || ver == "" {
				return clikit.Usage("say which version").WithHint("as in: fairlead policy activate %s@1.0.0", clikit.Clean(name))
			}
			return changed(c, func(s *clikit.Session) (*http.Response, error) { return s.ActivateGuardrails(cmd.Context(), name, ver) })
		},
	}
}

func deactivateCommand(c *clikit.CLI) *cobra.Command {
	return &cobra.Command{
		Use: "deactivate NAME", Short: "Take a bundle out of force", Args: clikit.Args(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return changed(c, func(s *clikit.Session) (*http.Response, error) { return s.DeactivateGuardrails(cmd.Context(), args[0]) })
		},
	}
}

func rollbackCommand(c *clikit.CLI) *cobra.Command {
	return &cobra.Command{
		Use: "rollback NAME", Short: "Put the version in force that was before", Args: clikit.Args(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return changed(c, func(s *clikit.Session) (*http.Response, error) { return s.RollbackGuardrails(cmd.Context(), args[0]) })
		},
	}
}

func changed(c *clikit.CLI, do func(*clikit.Session) (*http.Response, error)) error {
	s, err := c.Session()
	if err != nil {
		return err
	}
	h, err := clikit.Read[change](do(s))
	if err != nil {
		return err
	}
	return clikit.PrintOne(c, h, h.Name, func(t *clikit.Text) {
		switch ver := clikit.Or(h.Version); {
		case clikit.Or(h.Unchanged) && ver == "":
			t.Line("%s was not in force", clikit.Clean(h.Name))
		case clikit.Or(h.Unchanged):
			t.Line("%s@%s was in force already", clikit.Clean(h.Name), clikit.Clean(ver))
		case ver == "":
			t.Line("%s is no longer in force", clikit.Clean(h.Name))
		default:
			t.Line("%s@%s is in force", clikit.Clean(h.Name), clikit.Clean(ver))
		}
		verdicts(t, clikit.Or(h.Verdicts))
	})
}

func verdicts(t *clikit.Text, list []apiclient.GuardrailVerdict) {
	for _, v := range list {
		mark := map[string]string{"deny": t.Style.Red("deny"), "approve": t.Style.Yellow("approve")}[string(v.Strength)]
		if mark == "" {
			mark = string(v.Strength)
		}
		t.Line("%s  %s  %s", mark, clikit.Clean(v.Message), t.Style.Dim(clikit.Clean(v.Rule)+" of "+clikit.Clean(clikit.Or(v.Bundle))))
		for _, more := range []string{clikit.Or(v.Remedy), clikit.Or(v.Docs)} {
			if more != "" {
				t.Line("    → %s", clikit.Clean(more))
			}
		}
	}
}

func schemaCommand(c *clikit.CLI) *cobra.Command {
	return clikit.OwnOutput(&cobra.Command{
		Use: "schema", Short: "Print the JSON Schema of what guardrails are given as input", Args: clikit.Args(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := c.Session()
			if err != nil {
				return err
			}
			doc, err := clikit.Read[json.RawMessage](s.GetGuardrailSchema(cmd.Context()))
			if err != nil {
				return err
			}
			_, err = c.Out().Write(append(doc, '\n'))
			return err
		},
	})
}

func evalCommand(c *clikit.CLI) *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use: "eval --file FILE", Short: "Ask the guardrails in force about a document",
		Long:    "Ask the guardrails in force about a document of the form that fairlead policy schema prints. Its stage says which are asked. The exit code is that of a refusal when they deny.",
		Example: "  fairlead policy eval --file facts.json", Args: clikit.Args(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if file == "" {
				return clikit.Usage("give the document: --file FILE, or --file - for the standard input")
			}
			s, err := c.Session()
			if err != nil {
				return err
			}
			raw, err := c.ReadFile(file, maxDocument)
			if err != nil {
				return err
			}
			var document map[string]any
			if err := json.Unmarshal(raw, &document); err != nil {
				return fault.New(fault.Invalid, "invalid_json", "%s is not a JSON object", clikit.Clean(file)).WithCause(err)
			}
			a, err := clikit.Read[apiclient.GuardrailAnswer](s.EvaluateGuardrails(cmd.Context(), apiclient.EvaluateGuardrailsJSONRequestBody{Document: document}))
			if err != nil {
				return err
			}
			if err := clikit.PrintOne(c, a, string(a.Outcome), func(t *clikit.Text) {
				t.Line("%s", string(a.Outcome))
				verdicts(t, a.Verdicts)
			}); err != nil {
				return err
			}
			if a.Outcome == "denied" {
				return fault.New(fault.Denied, "guardrail_denied", "the guardrails deny this")
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&file, "file", "", "the document, JSON; - is the standard input")
	return cmd
}

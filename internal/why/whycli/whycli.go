package whycli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"fairlead/internal/apiclient"
	"fairlead/internal/clikit"
)

// Commands gives the commands of this concern.
func Commands(c *clikit.CLI) []*cobra.Command {
	cmd := &cobra.Command{
		Use: "why RESOURCE", Short: "Explain why a resource is as it is, who can act, and what to do next", GroupID: clikit.GroupWork,
		Long: "Tell the chain of causes: the request, what the gates said, the approval or the window that it waits for,\n" +
			"the step that failed with the engine's own error, drift, and when its lease ends.\n\n" +
			"What was refused before there was a resource: fairlead why denied. Who may do what: fairlead access why.",
		Example: "  fairlead why orders\n  fairlead why denied\n  fairlead why denied dec_01jd2v8n5k3q7x9w4m6p8r0t2y",
		Args:    clikit.Args(1, 1),
		RunE:    func(cmd *cobra.Command, args []string) error { return explain(cmd, c, args[0]) },
	}
	cmd.ValidArgsFunction = c.Complete(1, c.Resources)
	cmd.AddCommand(deniedCommand(c))
	return []*cobra.Command{cmd}
}

func explain(cmd *cobra.Command, c *clikit.CLI, name string) error {
	s, err := c.Session()
	if err != nil {
		return err
	}
	w, err := c.Where()
	if err != nil {
		return err
	}
	e, err := clikit.Read[apiclient.Explanation](s.ExplainResource(cmd.Context(), w.Project, w.Environment, name))
	if err != nil {
		return err
	}
	return clikit.PrintOne(c, e, e.Resource, func(t *clikit.Text) {
		t.Line("%s", t.Style.Bold(clikit.Clean(e.Summary)))
		for _, l := range e.Chain {
			writeLink(t, l)
		}
	})
}

func writeLink(t *clikit.Text, l apiclient.ExplanationLink) {
	title := clikit.Clean(string(l.Kind))
	if l.Of != nil {
		title = clikit.Clean(*l.Of) + ": " + title
	}
	when := ""
	if l.Since != nil {
		when = " for " + clikit.Age(*l.Since)
	}
	t.Section(title)
	t.Line("  %s %s", t.Style.Phase(string(l.State))+t.Style.Dim(when), clikit.Clean(l.Text))
	var pairs []clikit.Pair
	if l.Until != nil {
		pairs = append(pairs, clikit.Pair{Key: "until", Value: clikit.Moment(*l.Until)})
	}
	if who := clikit.Or(l.Who); who != "" {
		pairs = append(pairs, clikit.Pair{Key: "who can act", Value: who})
	}
	if code := clikit.Or(l.Code); code != "" {
		pairs = append(pairs, clikit.Pair{Key: "code", Value: code + "  " + clikit.Or(l.Docs)})
	}
	for i, next := range clikit.Or(l.Next) {
		key := ""
		if i == 0 {
			key = "next"
		}
		pairs = append(pairs, clikit.Pair{Key: key, Value: next})
	}
	t.Pairs("    ", pairs...)
}

func deniedCommand(c *clikit.CLI) *cobra.Command {
	return &cobra.Command{
		Use: "denied [REQUEST]", Short: "Explain why a request was refused; without one, list what was refused",
		Long: "REQUEST is the id of the decision or of the HTTP request, which the refusal named. Every verdict is told, with what would have to differ.",
		Args: clikit.Args(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := c.Session()
			if err != nil {
				return err
			}
			if len(args) == 0 {
				return listDenied(cmd, c, s)
			}
			d, err := clikit.Read[apiclient.Decision](s.GetDecision(cmd.Context(), args[0]))
			if err != nil {
				return err
			}
			return clikit.PrintOne(c, d, d.ID, func(t *clikit.Text) { writeDecision(t, d) })
		},
		ValidArgsFunction: clikit.Fixed(),
	}
}

func listDenied(cmd *cobra.Command, c *clikit.CLI, s *clikit.Session) error {
	denied := apiclient.ListDecisionsParamsOutcome("denied")
	list, err := clikit.Pages(50, func(limit *int64, cursor *string) ([]apiclient.Decision, *string, error) {
		p, err := clikit.Read[apiclient.PageDecision](s.ListDecisions(cmd.Context(), &apiclient.ListDecisionsParams{Limit: limit, Cursor: cursor, Outcome: &denied}))
		return p.Items, p.Next, err
	})
	if err != nil {
		return err
	}
	return clikit.PrintList(c, list, func(d apiclient.Decision) string { return d.ID }, "Nothing was refused.",
		clikit.Column[apiclient.Decision]{Title: "ID", Cell: func(d apiclient.Decision) string { return d.ID }},
		clikit.Column[apiclient.Decision]{Title: "WHEN", Cell: func(d apiclient.Decision) string { return clikit.Age(d.At) }},
		clikit.Column[apiclient.Decision]{Title: "BY", Cell: func(d apiclient.Decision) string { return d.By }},
		clikit.Column[apiclient.Decision]{Title: "RESOURCE", Cell: func(d apiclient.Decision) string { return d.Resource }},
		clikit.Column[apiclient.Decision]{Title: "BECAUSE", Cell: because})
}

func because(d apiclient.Decision) string {
	var rules []string
	for _, v := range d.Verdicts {
		if v.Strength == "deny" {
			rules = append(rules, v.Rule)
		}
	}
	return strings.Join(rules, ", ")
}

func writeDecision(t *clikit.Text, d apiclient.Decision) {
	t.Line("%s: %s of %s by %s, %s", t.Style.Bold(t.Style.Phase(string(d.Outcome))), d.Action, clikit.Clean(d.Resource), clikit.Clean(d.By), clikit.Moment(d.At))
	t.Pairs("  ",
		clikit.Pair{Key: "template", Value: d.Template + " " + d.TemplateVersion},
		clikit.Pair{Key: "guardrails", Value: clikit.Or(d.Guardrails)})
	for _, v := range d.Verdicts {
		t.Section(clikit.Clean(string(v.Strength) + "  " + v.Rule))
		t.Line("  %s", clikit.Clean(v.Message))
		pairs := []clikit.Pair{}
		for _, p := range []clikit.Pair{{Key: "to put it right", Value: clikit.Or(v.Remedy)}, {Key: "field", Value: clikit.Or(v.Field)},
			{Key: "is", Value: value(d, clikit.Or(v.Field))}, {Key: "docs", Value: clikit.Or(v.Docs)}, {Key: "bundle", Value: clikit.Or(v.Bundle)}} {
			if p.Value != "" {
				pairs = append(pairs, p)
			}
		}
		t.Pairs("    ", pairs...)
	}
}

// value is what a rule found at the field that it objects to.
func value(d apiclient.Decision, pointer string) string {
	if pointer == "" || d.Facts == nil {
		return ""
	}
	var at any = *d.Facts
	for i, step := range strings.Split(strings.TrimPrefix(pointer, "/"), "/") {
		m, ok := at.(map[string]any)
		if !ok {
			return ""
		}
		next, ok := m[step]
		if !ok && i == 0 { // a pointer into the inputs
			inputs, _ := m["inputs"].(map[string]any)
			next, ok = inputs[step]
		}
		if !ok {
			return "absent"
		}
		at = next
	}
	return fmt.Sprint(at)
}

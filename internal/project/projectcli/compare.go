package projectcli

import (
	"encoding/json"
	"strings"

	"github.com/spf13/cobra"

	"fairlead/internal/apiclient"
	"fairlead/internal/clikit"
)

func compareEnvironments(c *clikit.CLI) *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use: "compare FROM TO", Short: "Compare two environments of a project", Args: clikit.Args(2, 2), ValidArgsFunction: c.Complete(2, c.Environments),
		Long: "List what differs between two environments of one project, name by name: what is in one alone, what is made from another version, whose inputs differ. " +
			"Secrets are neither shown nor compared.",
		Example: "  fairlead env compare dev staging --project shop\n  fairlead env compare shop/staging shop/prod --all",
		RunE: func(cmd *cobra.Command, args []string) error {
			project, from, err := split(c, args[0])
			if err != nil {
				return err
			}
			other, to, ok := strings.Cut(args[1], "/")
			if !ok {
				to = args[1]
			} else if other != project {
				return clikit.Usage("environments of one project are compared").WithHint("name two of the same project")
			}
			s, err := c.Session()
			if err != nil {
				return err
			}
			params := apiclient.CompareEnvironmentsParams{From: from, To: to}
			if !all {
				state := apiclient.CompareEnvironmentsParamsState("different")
				params.State = &state
			}
			type row = apiclient.ComparedResource
			items, err := clikit.Pages(0, func(limit *int64, cursor *string) ([]row, *string, error) {
				params.Limit, params.Cursor = limit, cursor
				p, err := clikit.Read[apiclient.EnvironmentComparison](s.CompareEnvironments(cmd.Context(), project, &params))
				return p.Items, p.Next, err
			})
			if err != nil {
				return err
			}
			return clikit.PrintList(c, items, func(r row) string { return r.Name }, "nothing differs between "+from+" and "+to,
				clikit.Column[row]{Title: "NAME", Cell: func(r row) string { return r.Name }},
				clikit.Column[row]{Title: "DIFFERS", Cell: func(r row) string { return stands(r, from, to) }},
				clikit.Column[row]{Title: strings.ToUpper(clikit.Clean(from)), Cell: func(r row) string { return side(r.From) }},
				clikit.Column[row]{Title: strings.ToUpper(clikit.Clean(to)), Cell: func(r row) string { return side(r.To) }},
				clikit.Column[row]{Title: "INPUTS", Cell: differing})
		},
	}
	cmd.Flags().BoolVarP(&all, "all", "A", false, "also what is the same")
	return cmd
}

func stands(r apiclient.ComparedResource, from, to string) string {
	switch r.State {
	case "only-from":
		return "only in " + from
	case "only-to":
		return "only in " + to
	}
	return string(r.State)
}

func side(s *apiclient.ComparedSide) string {
	if s == nil {
		return ""
	}
	text := s.Template + " " + s.TemplateVersion + " " + s.Phase
	if s.Drifted {
		text += ", drifted"
	}
	return text
}

// differing says which inputs differ, and how as far as that may be told.
func differing(r apiclient.ComparedResource) string {
	var out []string
	for _, in := range r.Inputs {
		name := strings.TrimPrefix(in.Input, "/")
		if clikit.Or(in.Secret) {
			out = append(out, name+" (secret)")
			continue
		}
		out = append(out, name+": "+value(in.From)+" → "+value(in.To))
	}
	return strings.Join(out, "; ")
}

func value(v any) string {
	if v == nil {
		return "-"
	}
	b, err := json.Marshal(v)
	if err != nil {
		return "?"
	}
	return string(b)
}

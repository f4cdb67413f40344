package resourcecli

import (
	"context"
	"maps"
	"reflect"
	"slices"

	"github.com/spf13/cobra"

	"fairlead/internal/apiclient"
	"fairlead/internal/clikit"
)

func (k kit) plan() *cobra.Command {
	var in inputFlags
	var change bool
	var lease string
	cmd := &cobra.Command{
		Use: "plan TEMPLATE NAME | plan --change NAME", Short: "See what a request or a change would do, without doing it",
		Example: "  fairlead plan postgres orders --set connection_limit=50\n  fairlead plan --change orders --set connection_limit=50",
		Args: func(cmd *cobra.Command, args []string) error {
			if change {
				return clikit.Args(1, 1)(cmd, args)
			}
			return clikit.Args(2, 2)(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			a, err := k.at()
			if err != nil {
				return err
			}
			var p apiclient.ResourcePlan
			if change {
				p, err = k.planChange(cmd.Context(), a, args[0], &in)
			} else {
				var inputs map[string]any
				if inputs, err = in.inputs(k); err != nil {
					return err
				}
				p, err = clikit.Read[apiclient.ResourcePlan](a.PlanResource(cmd.Context(), a.Project, a.Environment, apiclient.PlanResourceJSONRequestBody{
					Template: args[0], Name: args[1], Inputs: &inputs, Version: clikit.Some(in.version), Note: clikit.Some(in.note), Lease: clikit.Some(lease),
				}))
			}
			if err != nil {
				return err
			}
			return clikit.PrintOne(k.CLI, p, p.Digest, func(t *clikit.Text) { showPlan(t, p) })
		},
	}
	in.flags(cmd)
	cmd.Flags().StringVar(&lease, "lease", "", "how long it may live: 90m, 8h, 7d")
	cmd.Flags().BoolVar(&change, "change", false, "plan a change of a resource that is there")
	return cmd
}

func (k kit) planChange(ctx context.Context, a at, name string, in *inputFlags) (apiclient.ResourcePlan, error) {
	body := apiclient.ResourceChange{}
	if in.file != "" || len(in.set)+len(in.setString) > 0 || in.version != "" {
		var err error
		if body, err = in.changeBody(k); err != nil {
			return apiclient.ResourcePlan{}, err
		}
	}
	return clikit.Read[apiclient.ResourcePlan](a.PlanResourceChange(ctx, a.Project, a.Environment, name, &apiclient.PlanResourceChangeParams{}, body))
}

// marks show an action at a glance.
var marks = map[string]struct {
	mark  string
	paint func(clikit.Style, string) string
}{
	"create": {"+", clikit.Style.Green}, "update": {"~", clikit.Style.Yellow}, "replace": {"±", clikit.Style.Red}, "delete": {"-", clikit.Style.Red},
	"read": {"?", clikit.Style.Dim}, "no-op": {" ", clikit.Style.Dim},
}

func showPlan(t *clikit.Text, p apiclient.ResourcePlan) {
	for _, c := range p.Changes {
		m := marks[string(c.Action)]
		if m.paint == nil {
			m.mark, m.paint = "*", clikit.Style.Dim
		}
		line := clikit.Clean(string(c.Action) + " " + c.Kind + " " + c.Address)
		if why := clikit.Or(c.Reason); why != "" {
			line += t.Style.Dim("  " + clikit.Clean(why))
		}
		t.Line("%s %s", m.paint(t.Style, m.mark), line)
		if c.Action == "no-op" || c.Action == "read" {
			continue
		}
		before, after := clikit.Or(c.Before), clikit.Or(c.After)
		keys := map[string]bool{}
		for k := range before {
			keys[k] = true
		}
		for k := range after {
			keys[k] = true
		}
		var pairs []clikit.Pair
		for _, key := range slices.Sorted(maps.Keys(keys)) {
			switch was, will := before[key], after[key]; {
			case c.Before == nil:
				pairs = append(pairs, clikit.Pair{Key: key, Value: clikit.Value(will)})
			case c.After == nil:
				pairs = append(pairs, clikit.Pair{Key: key, Value: clikit.Value(was)})
			case !reflect.DeepEqual(was, will):
				pairs = append(pairs, clikit.Pair{Key: key, Value: clikit.Value(was) + " → " + clikit.Value(will)})
			}
		}
		t.Pairs("    ", pairs...)
	}
	summary := p.Summary
	if p.Destructive {
		summary = t.Style.Red(clikit.Clean(summary) + " (destroys something)")
	}
	t.Line("%s %s", t.Style.Bold("Plan:"), summary)
	showGates(t, p)
}

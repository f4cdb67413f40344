package resourcecli

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"fairlead/internal/apiclient"
	"fairlead/internal/clikit"
)

func (k kit) graph() *cobra.Command {
	var depth int64
	cmd := &cobra.Command{
		Use: "graph [NAME]", Short: "See how resources refer to each other",
		Long:    "List the resources of the environment in use with what each takes from and gives to, or what one depends on and what depends on it.",
		Example: "  fairlead graph\n  fairlead graph orders --depth 1\n  fairlead graph -e shop/prod -o json",
		Args:    clikit.Args(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			a, err := k.at()
			if err != nil {
				return err
			}
			params := apiclient.GetGraphParams{Depth: clikit.Some(depth)}
			if len(args) == 1 {
				params.Around = &args[0]
			}
			var all apiclient.ResourceGraph
			nodes, err := clikit.Pages(0, func(limit *int64, cursor *string) ([]apiclient.GraphNode, *string, error) {
				params.Limit, params.Cursor = limit, cursor
				g, err := clikit.Read[apiclient.ResourceGraph](a.GetGraph(cmd.Context(), a.Project, a.Environment, &params))
				all.Edges, all.Total, all.Beyond = append(all.Edges, g.Edges...), g.Total, g.Beyond
				if params.Around != nil { // one page alone: the nearest
					return g.Nodes, nil, err
				}
				return g.Nodes, g.Next, err
			})
			if err != nil {
				return err
			}
			if all.Nodes = nodes; k.Machine() {
				return clikit.PrintOne(k.CLI, all, "", nil)
			}
			uses, usedBy := edges(nodes, all.Edges)
			type row = apiclient.GraphNode
			err = clikit.PrintList(k.CLI, nodes, func(n row) string { return n.Name }, "no resources in "+a.String()+" yet; ask for one: fairlead request TEMPLATE NAME",
				clikit.Column[row]{Title: "NAME", Cell: func(n row) string { return n.Name }},
				clikit.Column[row]{Title: "TEMPLATE", Cell: func(n row) string { return n.Template + " " + n.TemplateVersion }},
				clikit.Column[row]{Title: "PHASE", Cell: func(n row) string { return n.Phase }, Paint: clikit.Style.Phase},
				clikit.Column[row]{Title: "TAKES FROM", Cell: func(n row) string { return strings.Join(uses[n.ID], ", ") }},
				clikit.Column[row]{Title: "GIVES TO", Cell: func(n row) string { return strings.Join(usedBy[n.ID], ", ") }})
			if err == nil && all.Beyond > 0 {
				k.Note("more references are there than are shown; all of one resource: fairlead graph NAME --depth 1")
			}
			return err
		},
	}
	cmd.Flags().Int64Var(&depth, "depth", 0, "how many steps each way from NAME; 3 by default")
	return cmd
}

// edges gives the names that each node takes from and gives to, by its id.
func edges(nodes []apiclient.GraphNode, list []apiclient.GraphEdge) (uses, usedBy map[string][]string) {
	names := map[string]string{}
	for _, n := range nodes {
		names[n.ID] = n.Name
	}
	uses, usedBy = map[string][]string{}, map[string][]string{}
	for _, e := range list {
		uses[e.From], usedBy[e.To] = append(uses[e.From], names[e.To]), append(usedBy[e.To], names[e.From])
	}
	for _, m := range []map[string][]string{uses, usedBy} {
		for _, list := range m {
			slices.Sort(list)
		}
	}
	return uses, usedBy
}

package resourcecli

import (
	"context"

	"github.com/spf13/cobra"

	"fairlead/internal/apiclient"
	"fairlead/internal/clikit"
)

func (k kit) stop() *cobra.Command {
	var w waiting
	cmd := &cobra.Command{
		Use: "stop NAME", Short: "Stop a resource: it keeps its data, and nobody can use it", Args: clikit.Args(1, 1),
		Example: "  fairlead stop orders --wait",
		Long:    "Stop a resource whose engine can: it keeps all that it holds, and nobody can use it until fairlead start. It stays ready, and says that it is paused.",
		RunE: func(cmd *cobra.Command, args []string) error {
			return k.verb(cmd.Context(), args[0], w, func(ctx context.Context, a at, tag *string) (apiclient.Resource, error) {
				return clikit.Read[apiclient.Resource](a.StopResource(ctx, a.Project, a.Environment, args[0], &apiclient.StopResourceParams{IfMatch: tag}))
			})
		},
	}
	w.flags(cmd, "stopped")
	return cmd
}

func (k kit) start() *cobra.Command {
	var w waiting
	cmd := &cobra.Command{
		Use: "start NAME", Short: "Start a resource that was stopped", Args: clikit.Args(1, 1),
		Example: "  fairlead start orders --wait",
		RunE: func(cmd *cobra.Command, args []string) error {
			return k.verb(cmd.Context(), args[0], w, func(ctx context.Context, a at, tag *string) (apiclient.Resource, error) {
				return clikit.Read[apiclient.Resource](a.StartResource(ctx, a.Project, a.Environment, args[0], &apiclient.StartResourceParams{IfMatch: tag}))
			})
		},
	}
	w.flags(cmd, "started")
	return cmd
}

func paused(r apiclient.Resource) string {
	if clikit.Or(r.Paused) {
		return "yes; start it again: fairlead start " + r.Name
	}
	return ""
}

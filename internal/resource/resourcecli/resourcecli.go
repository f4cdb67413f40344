package resourcecli

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"fairlead/internal/apiclient"
	"fairlead/internal/clikit"
)

// Commands gives the commands of this concern.
func Commands(c *clikit.CLI) []*cobra.Command {
	k := kit{c}
	commands := []*cobra.Command{
		k.request(), k.plan(), k.apply(), k.get(), k.describe(), k.logs(), k.credentials(), k.connect(),
		k.change(), k.rotate(), k.rollback(), k.retry(), k.cancel(), k.destroy(),
	}
	for _, cmd := range commands {
		cmd.GroupID = clikit.GroupWork
	}
	return commands
}

// kit is what the commands share.
type kit struct{ *clikit.CLI }

// at is a signed-in session and the environment in use.
type at struct {
	*clikit.Session
	clikit.Where
}

func (k kit) at() (at, error) {
	w, err := k.Where()
	if err != nil {
		return at{}, err
	}
	s, err := k.Session()
	return at{s, w}, err
}

func (a at) resource(ctx context.Context, name string) (apiclient.Resource, string, error) {
	return clikit.ReadTagged[apiclient.Resource](a.GetResource(ctx, a.Project, a.Environment, name, &apiclient.GetResourceParams{}))
}

// waiting is the flags of what can be waited for.
type waiting struct {
	wait    bool
	timeout string
}

func (w *waiting) flags(cmd *cobra.Command, until string) {
	cmd.Flags().BoolVar(&w.wait, "wait", false, "wait until it is "+until)
	cmd.Flags().StringVar(&w.timeout, "timeout", "10m", "how long to wait at most; 0 for as long as it takes")
}

func (w *waiting) limit() (time.Duration, error) { return clikit.ParseDuration(w.timeout) }

// show prints one resource.
func (k kit) show(r apiclient.Resource) error {
	return clikit.PrintOne(k.CLI, r, r.Name, func(t *clikit.Text) {
		t.Line("%s  %s  %s", t.Style.Bold(clikit.Clean(r.Name)), t.Style.Phase(string(r.Phase)), clikit.Clean(r.Template+" "+r.TemplateVersion))
		t.Pairs("  ", clikit.Pair{Key: "why", Value: clikit.Or(r.Message)}, clikit.Pair{Key: "hint", Value: clikit.Or(r.Hint)})
		outputs(t, r)
	})
}

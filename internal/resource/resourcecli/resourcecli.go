package resourcecli

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"fairlead/internal/apiclient"
	"fairlead/internal/clikit"
)

// Commands gives the commands of this concern.
func Commands(c *clikit.CLI) []*cobra.Command {
	k := kit{c}
	commands := []*cobra.Command{
		k.request(), k.plan(), k.apply(), k.get(), k.graph(), k.describe(), k.logs(), k.credentials(), k.connect(),
		k.change(), k.upgrade(), k.rotate(), k.rollback(), k.retry(), k.cancel(), k.stop(), k.start(), k.destroy(), k.eject(), k.adopt(),
	}
	for _, cmd := range commands {
		cmd.GroupID = clikit.GroupWork
		k.complete(cmd)
	}
	suspects := k.suspects()
	suspects.ValidArgsFunction = clikit.Fixed() // it takes none: no files either
	return append(commands, suspects)
}

// complete says what a shell may offer as a command's arguments and flags.
func (k kit) complete(cmd *cobra.Command) {
	switch cmd.Name() {
	case "request", "plan", "adopt":
		cmd.ValidArgsFunction = k.requested
	case "get":
		cmd.ValidArgsFunction = k.typeOrName
		k.CompleteFlag(cmd, "template", k.Templates)
		_ = cmd.RegisterFlagCompletionFunc("phase", clikit.Fixed("pending", "waiting", "planning", "applying", "retrying", "ready", "failed", "canceled", "lost", "destroying", "destroyed", "releasing", "released"))
		_ = cmd.RegisterFlagCompletionFunc("sort", clikit.Fixed("name", "-name", "created", "-created", "updated", "-updated"))
	case "apply":
	case "destroy":
		cmd.ValidArgsFunction = k.Complete(0, k.Resources)
	default:
		cmd.ValidArgsFunction = k.Complete(1, k.Resources)
	}
}

// requested offers templates and, for plan --change, resources. The name of
// what is not there yet is anybody's choice.
func (k kit) requested(cmd *cobra.Command, args []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
	choices := clikit.Choices(k.Templates)
	if change := cmd.Flags().Lookup("change"); change != nil && change.Changed {
		choices = k.Resources
	}
	return k.Complete(1, choices)(cmd, args, typed)
}

func (k kit) typeOrName(cmd *cobra.Command, args []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
	types := map[string]clikit.Choices{
		"resources": k.Resources, "templates": k.Templates, "teams": k.Teams, "projects": k.Projects, "environments": k.Environments,
	}
	if len(args) == 1 && types[args[0]] != nil {
		return k.Complete(2, types[args[0]])(cmd, args, typed)
	}
	out, directive := k.Complete(1, k.Resources)(cmd, args, typed)
	for name := range clikit.Sorted(types) {
		if len(args) == 0 && strings.HasPrefix(name, typed) {
			out = append(out, name)
		}
	}
	return out, directive
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

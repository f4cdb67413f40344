package resourcecli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"fairlead/internal/apiclient"
	"fairlead/internal/clikit"
	"fairlead/internal/fault"
)

func (k kit) rotate() *cobra.Command {
	var w waiting
	cmd := &cobra.Command{
		Use: "rotate NAME", Short: "Make new credentials; the old ones keep working for a while", Args: clikit.Args(1, 1),
		Example: "  fairlead rotate orders --wait",
		RunE: func(cmd *cobra.Command, args []string) error {
			return k.verb(cmd.Context(), args[0], w, func(ctx context.Context, a at, tag *string) (apiclient.Resource, error) {
				return clikit.Read[apiclient.Resource](a.RotateResource(ctx, a.Project, a.Environment, args[0], &apiclient.RotateResourceParams{IfMatch: tag}))
			})
		},
	}
	w.flags(cmd, "done")
	return cmd
}

func (k kit) rollback() *cobra.Command {
	var w waiting
	var to int64
	var note string
	cmd := &cobra.Command{
		Use: "rollback NAME --to REVISION", Short: "Make a new revision with the content of an older one", Args: clikit.Args(1, 1),
		Example: "  fairlead describe orders        # shows the revisions\n  fairlead rollback orders --to 2 --wait",
		RunE: func(cmd *cobra.Command, args []string) error {
			if to < 1 {
				return clikit.Usage("to which revision?").WithHint("add --to N; fairlead describe %s lists them", clikit.Clean(args[0]))
			}
			return k.verb(cmd.Context(), args[0], w, func(ctx context.Context, a at, tag *string) (apiclient.Resource, error) {
				return clikit.Read[apiclient.Resource](a.RollbackResource(ctx, a.Project, a.Environment, args[0], &apiclient.RollbackResourceParams{IfMatch: tag},
					apiclient.RollbackResourceJSONRequestBody{Revision: to, Note: clikit.Some(note)}))
			})
		},
	}
	w.flags(cmd, "ready")
	cmd.Flags().Int64Var(&to, "to", 0, "the revision to go back to")
	cmd.Flags().StringVar(&note, "note", "", "why")
	return cmd
}

func (k kit) retry() *cobra.Command {
	var w waiting
	cmd := &cobra.Command{
		Use: "retry NAME", Short: "Try again what is wanted anyway", Args: clikit.Args(1, 1),
		Example: "  fairlead retry orders --wait",
		RunE: func(cmd *cobra.Command, args []string) error {
			return k.verb(cmd.Context(), args[0], w, func(ctx context.Context, a at, _ *string) (apiclient.Resource, error) {
				return clikit.Read[apiclient.Resource](a.RetryResource(ctx, a.Project, a.Environment, args[0]))
			})
		},
	}
	w.flags(cmd, "ready")
	return cmd
}

// verb does something to one resource as it is now, waits if asked to, and
// prints it.
func (k kit) verb(ctx context.Context, name string, w waiting, do func(context.Context, at, *string) (apiclient.Resource, error)) error {
	limit, err := w.limit()
	if err != nil {
		return err
	}
	a, err := k.at()
	if err != nil {
		return err
	}
	_, tag, err := a.resource(ctx, name)
	if err != nil {
		return err
	}
	r, err := do(ctx, a, clikit.Some(tag))
	return k.done(ctx, a, r, err, w.wait, limit)
}

func (k kit) cancel() *cobra.Command {
	return &cobra.Command{
		Use: "cancel NAME|RUN", Short: "Stop a run at its next safe point", Args: clikit.Args(1, 1),
		Long: "Ask a run, or a resource's newest, to stop. What it made stays; retry, change or destroy go on from there.",
		RunE: func(cmd *cobra.Command, args []string) error {
			s, run, err := k.runOf(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			r, err := clikit.Read[apiclient.Run](s.CancelRun(cmd.Context(), run))
			if err != nil {
				return err
			}
			return clikit.PrintOne(k.CLI, r, r.ID, func(t *clikit.Text) {
				t.Line("%s of %s is asked to stop", clikit.Clean(string(r.Kind)), clikit.Clean(r.Resource))
			})
		},
	}
}

func (k kit) destroy() *cobra.Command {
	var w waiting
	var yes bool
	cmd := &cobra.Command{
		Use: "destroy NAME...", Short: "Destroy resources",
		Long:    "Destroy resources, and with --wait return when each was looked for and not found. One that others refer to is refused, unless those are named too.",
		Example: "  fairlead destroy orders --yes --wait",
		Args:    clikit.Args(1, -1),
		RunE: func(cmd *cobra.Command, args []string) error {
			limit, err := w.limit()
			if err != nil {
				return err
			}
			a, err := k.at()
			if err != nil {
				return err
			}
			targets, err := k.condemned(cmd.Context(), a, args, yes)
			if err != nil {
				return err
			}
			gone, err := k.destroyAll(cmd.Context(), a, targets, w.wait, limit)
			if len(gone) > 0 {
				if perr := k.showDestroyed(gone); perr != nil {
					return perr
				}
			}
			return err
		},
	}
	w.flags(cmd, "seen to be gone")
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return cmd
}

type target struct {
	apiclient.Resource
	tag string
}

// condemned looks each name up and has it confirmed: what is destroyed is what
// was shown.
func (k kit) condemned(ctx context.Context, a at, names []string, yes bool) ([]target, error) {
	var out []target
	for _, name := range names {
		r, tag, err := a.resource(ctx, name)
		if err != nil {
			return nil, err
		}
		if !yes {
			what := fmt.Sprintf("Destroying %s (%s) of %s", r.Name, r.Template, a.Where)
			if err := k.Confirm(what, r.Name, "--yes"); err != nil {
				return nil, err
			}
		}
		out = append(out, target{r, tag})
	}
	return out, nil
}

// destroyAll destroys in whatever order references allow: what is refused
// because of another one of the list is tried again when that is gone.
func (k kit) destroyAll(ctx context.Context, a at, left []target, wait bool, limit time.Duration) (gone []apiclient.Resource, _ error) {
	for len(left) > 0 {
		var accepted []apiclient.Resource
		var refused []target
		var first error
		for _, t := range left {
			r, err := clikit.Read[apiclient.Resource](a.DestroyResource(ctx, a.Project, a.Environment, t.ID, &apiclient.DestroyResourceParams{IfMatch: clikit.Some(t.tag)}))
			if err != nil {
				if first == nil {
					first = err
				}
				if clikit.Fault(err).Kind != fault.Conflict {
					return gone, errors.Join(err)
				}
				refused = append(refused, t)
				continue
			}
			accepted = append(accepted, r)
		}
		if len(accepted) == 0 {
			return gone, first
		}
		for _, r := range accepted {
			if wait {
				last, err := k.follow(ctx, a.Session, r, limit)
				if err != nil {
					return gone, err
				}
				r = last
			}
			gone = append(gone, r)
		}
		if !wait && len(refused) > 0 {
			return gone, first
		}
		left = refused
	}
	return gone, nil
}

func (k kit) showDestroyed(gone []apiclient.Resource) error {
	if len(gone) == 1 {
		r := gone[0]
		return clikit.PrintOne(k.CLI, r, r.Name, func(t *clikit.Text) {
			if r.Phase == "destroyed" {
				t.Line("%s is destroyed: looked for and not found", clikit.Clean(r.Name))
			} else {
				t.Line("%s is being destroyed; follow it: fairlead logs -f %s", clikit.Clean(r.Name), clikit.Or(r.RunID))
			}
		})
	}
	type row = apiclient.Resource
	return clikit.PrintList(k.CLI, gone, func(r row) string { return r.Name }, "",
		clikit.Column[row]{Title: "NAME", Cell: func(r row) string { return r.Name }},
		clikit.Column[row]{Title: "PHASE", Cell: func(r row) string { return string(r.Phase) }, Paint: clikit.Style.Phase})
}

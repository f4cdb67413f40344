package resourcecli

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"fairlead/internal/apiclient"
	"fairlead/internal/clikit"
)

func (k kit) request() *cobra.Command {
	var in inputFlags
	var w waiting
	var reveal bool
	var lease string
	cmd := &cobra.Command{
		Use: "request TEMPLATE NAME", Short: "Ask for a resource, such as a database",
		Long: "Ask for a resource made from a template. The request is safe when this returns; with --wait it returns when the resource is ready, " +
			"and with another exit code than 0 when it cannot be.\n\nThe outputs are printed as an object with -o json; secret ones are shown only with --reveal, which is recorded in the audit log.",
		Example: "  fairlead request postgres orders --wait\n  fairlead request postgres orders -e shop/dev --set connection_limit=50 --note 'for the order service'\n" +
			"  fairlead request postgres orders --wait --reveal -o json | jq -r .outputs.url",
		Args: clikit.Args(2, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			limit, err := w.limit()
			if err != nil {
				return err
			}
			inputs, err := in.inputs(k)
			if err != nil {
				return err
			}
			a, err := k.at()
			if err != nil {
				return err
			}
			ctx := cmd.Context()
			r, err := clikit.Read[apiclient.Resource](a.CreateResource(ctx, a.Project, a.Environment, apiclient.CreateResourceJSONRequestBody{
				Template: args[0], Name: args[1], Inputs: &inputs, Version: clikit.Some(in.version), Note: clikit.Some(in.note), Lease: clikit.Some(lease),
			}))
			if err != nil {
				return err
			}
			k.advise(r)
			if w.wait || reveal { // before it is ready there is nothing to reveal
				if r, err = k.follow(ctx, a.Session, r, limit); err != nil {
					return err
				}
			} else {
				defer k.Note("Follow it: %s", logsOf(r))
			}
			if reveal {
				if r, err = a.revealed(ctx, r); err != nil {
					return err
				}
			}
			return k.show(r)
		},
	}
	in.flags(cmd)
	w.flags(cmd, "ready")
	cmd.Flags().StringVar(&lease, "lease", "", "how long it may live: 90m, 8h, 7d; by default what the rules of its environment say")
	cmd.Flags().BoolVar(&reveal, "reveal", false, "wait, and show secret outputs too; recorded in the audit log")
	return cmd
}

// revealed is a resource with its secret outputs in the clear.
func (a at) revealed(ctx context.Context, r apiclient.Resource) (apiclient.Resource, error) {
	cr, err := clikit.Read[apiclient.ResourceCredentials](a.RevealCredentials(ctx, a.Project, a.Environment, r.ID))
	if err != nil {
		return r, err
	}
	r.Outputs = cr.Outputs
	return r, nil
}

func (k kit) change() *cobra.Command {
	var in inputFlags
	var w waiting
	cmd := &cobra.Command{
		Use: "change NAME", Short: "Change a resource's inputs or its template's version",
		Long:    "Make a new revision. With --set single inputs change (null takes one away); with --file all inputs are replaced.",
		Example: "  fairlead change orders --set connection_limit=50 --wait\n  fairlead plan --change orders --set connection_limit=50",
		Args:    clikit.Args(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			limit, err := w.limit()
			if err != nil {
				return err
			}
			body, err := in.changeBody(k)
			if err != nil {
				return err
			}
			a, err := k.at()
			if err != nil {
				return err
			}
			_, tag, err := a.resource(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			r, err := clikit.Read[apiclient.Resource](a.ChangeResource(cmd.Context(), a.Project, a.Environment, args[0],
				&apiclient.ChangeResourceParams{IfMatch: clikit.Some(tag)}, body))
			return k.done(cmd.Context(), a, r, err, w.wait, limit)
		},
	}
	in.flags(cmd)
	w.flags(cmd, "ready")
	return cmd
}

func (f *inputFlags) changeBody(k kit) (apiclient.ResourceChange, error) {
	body := apiclient.ResourceChange{Version: clikit.Some(f.version), Note: clikit.Some(f.note)}
	if f.file != "" {
		inputs, err := f.inputs(k)
		body.Inputs = &inputs
		return body, err
	}
	set, err := clikit.Assignments(f.set, f.setString)
	if set != nil {
		body.Set = &set
	}
	if set == nil && f.version == "" && err == nil {
		err = clikit.Usage("nothing is changed").WithHint("add --set KEY=VALUE, --file FILE or --version VERSION")
	}
	return body, err
}

// done ends a command that made a run: it waits if asked to, and prints.
func (k kit) done(ctx context.Context, a at, r apiclient.Resource, err error, wait bool, limit time.Duration) error {
	if err != nil {
		return err
	}
	k.advise(r)
	if wait {
		if r, err = k.follow(ctx, a.Session, r, limit); err != nil {
			return err
		}
	}
	return k.show(r)
}

package resourcecli

import (
	"github.com/spf13/cobra"

	"fairlead/internal/apiclient"
	"fairlead/internal/clikit"
)

const maxState = 16 << 20

func (k kit) adopt() *cobra.Command {
	var in inputFlags
	var w waiting
	var state, object, lease string
	var apply bool
	cmd := &cobra.Command{
		Use: "adopt TEMPLATE NAME", Short: "Bring what exists already under management",
		Long: "See what it would change to have a resource take over what is there: the objects of a state file (of a module), or an object by its name (a database). " +
			"Nothing is changed without --apply; with it this is a request like any other, with its gates and its run. What carries another's marker is left alone.",
		Example: "  fairlead adopt postgres orders --object database/orders\n  fairlead adopt postgres orders --object database/orders --apply --wait\n" +
			"  fairlead adopt network shop-net --state terraform.tfstate --set cidr=10.1.0.0/16",
		Args: clikit.Args(2, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if (state == "") == (object == "") {
				return clikit.Usage("what is to be adopted?").WithHint("add --state FILE or --object KIND/NAME")
			}
			limit, err := w.limit()
			if err != nil {
				return err
			}
			inputs, err := in.inputs(k)
			if err != nil {
				return err
			}
			body := apiclient.AdoptionRequest{
				Template: args[0], Name: args[1], Inputs: &inputs, Version: clikit.Some(in.version), Note: clikit.Some(in.note), Lease: clikit.Some(lease), Object: clikit.Some(object),
			}
			if state != "" {
				text, err := k.ReadFile(state, maxState)
				if err != nil {
					return err
				}
				body.State = clikit.Some(string(text))
			}
			a, err := k.at()
			if err != nil {
				return err
			}
			if !apply {
				p, err := clikit.Read[apiclient.ResourcePlan](a.PlanAdoption(cmd.Context(), a.Project, a.Environment, body))
				if err != nil {
					return err
				}
				k.Note("Nothing was changed. Do it with --apply.")
				return clikit.PrintOne(k.CLI, p, p.Digest, func(t *clikit.Text) { showPlan(t, p) })
			}
			r, err := clikit.Read[apiclient.Resource](a.AdoptResource(cmd.Context(), a.Project, a.Environment, body))
			if err == nil {
				k.advise(r)
			}
			return k.done(cmd.Context(), a, r, err, w.wait, limit)
		},
	}
	in.flags(cmd)
	w.flags(cmd, "ready")
	cmd.Flags().StringVar(&state, "state", "", "state file of a module; - for standard input")
	cmd.Flags().StringVar(&object, "object", "", "KIND/NAME of what is there, such as database/orders")
	cmd.Flags().StringVar(&lease, "lease", "", "how long it may live: 90m, 8h, 7d; by default what the rules of its environment say")
	cmd.Flags().BoolVar(&apply, "apply", false, "do it; without this it is only planned")
	cmd.MarkFlagsMutuallyExclusive("state", "object")
	return cmd
}

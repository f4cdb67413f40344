package driftcli

import (
	"context"

	"github.com/spf13/cobra"

	"fairlead/internal/apiclient"
	"fairlead/internal/clikit"
)

// longPoll is how long the server may hold an answer back, in seconds.
const longPoll = int64(25)

func checkCommand(c *clikit.CLI) *cobra.Command {
	return &cobra.Command{
		Use: "check RESOURCE", Short: "Have a resource looked at now", Args: clikit.Args(1, 1),
		Long:              "Have a resource looked at now, and wait for what is found. What follows from it is what follows from any look: see fairlead drift show.",
		ValidArgsFunction: c.Complete(1, c.Resources),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := c.Session()
			if err != nil {
				return err
			}
			w, err := c.Where()
			if err != nil {
				return err
			}
			look, err := clikit.Read[apiclient.DriftCheck](s.CheckDrift(cmd.Context(), w.Project, w.Environment, args[0]))
			if err != nil {
				return err
			}
			if look, err = follow(cmd.Context(), c, s, args[0], look); err != nil {
				return err
			}
			if clikit.Or(look.Outcome) == "failed" {
				return clikit.Failure("not_observed", "%s: %s", clikit.Clean(args[0]), clikit.Clean(clikit.Or(look.Message))).
					WithHint("it is tried again by itself; see: fairlead why %s", clikit.Clean(args[0]))
			}
			return clikit.PrintOne(c, look, string(clikit.Or(look.Outcome)), func(t *clikit.Text) {
				t.Line("%s: %s", clikit.Clean(args[0]), clikit.Clean(clikit.Or(look.Message)))
				if clikit.Or(look.Outcome) == "drifted" {
					t.Line("  see: fairlead drift show %s -e %s", clikit.Clean(args[0]), clikit.Clean(w.String()))
				}
			})
		},
	}
}

// follow waits for the end of a look and shows how far it is.
func follow(ctx context.Context, c *clikit.CLI, s *clikit.Session, name string, look apiclient.DriftCheck) (apiclient.DriftCheck, error) {
	p := c.Progress(name)
	for look.State != "done" {
		phase := string(look.State)
		if look.State == "waiting" && look.Ahead > 0 {
			phase += ", " + clikit.Value(look.Ahead) + " before it"
		}
		p.Phase(phase)
		wait, state := longPoll, apiclient.GetDriftCheckParamsState(look.State)
		next, err := clikit.Read[apiclient.DriftCheck](s.GetDriftCheck(ctx, look.ID, &apiclient.GetDriftCheckParams{Wait: &wait, State: &state}))
		if err != nil {
			p.End(false, "")
			return look, err
		}
		look = next
	}
	p.End(clikit.Or(look.Outcome) != "failed", "%s", clikit.Or(look.Message))
	return look, nil
}

func healCommand(c *clikit.CLI) *cobra.Command {
	var wait bool
	cmd := &cobra.Command{
		Use: "heal RESOURCE", Short: "Put right what of a resource is not as wanted", Args: clikit.Args(1, 1),
		Long: "Make a resource as it is wanted, whatever its template says of drift and whatever the brake holds. It is a run like any other: guardrails judge its plan. " +
			"See what it would do first with: fairlead plan --change RESOURCE",
		Example:           "  fairlead drift heal orders --wait",
		ValidArgsFunction: c.Complete(1, c.Resources),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := c.Session()
			if err != nil {
				return err
			}
			w, err := c.Where()
			if err != nil {
				return err
			}
			r, err := clikit.Read[apiclient.Resource](s.HealDrift(cmd.Context(), w.Project, w.Environment, args[0]))
			if err != nil {
				return err
			}
			if wait {
				if r, err = settle(cmd.Context(), c, s, r); err != nil {
					return err
				}
			}
			return clikit.PrintOne(c, r, r.Name, func(t *clikit.Text) {
				if wait {
					t.Line("%s is %s", clikit.Clean(r.Name), r.Phase)
					return
				}
				t.Line("%s is being healed; follow it with: fairlead logs %s -f", clikit.Clean(r.Name), clikit.Clean(r.Name))
			})
		},
	}
	cmd.Flags().BoolVar(&wait, "wait", false, "wait until it is done")
	return cmd
}

// settle waits until nothing of a resource changes by itself any more.
func settle(ctx context.Context, c *clikit.CLI, s *clikit.Session, r apiclient.Resource) (apiclient.Resource, error) {
	p := c.Progress(r.Name)
	for !r.Settled {
		p.Phase(string(r.Phase))
		wait, known := longPoll, r.Version
		next, err := clikit.Read[apiclient.Resource](s.GetResourceByID(ctx, r.ID, &apiclient.GetResourceByIDParams{Wait: &wait, Known: &known}))
		if err != nil {
			p.End(false, "")
			return r, err
		}
		r = next
	}
	ok := r.Phase == "ready"
	p.End(ok, "%s is %s", r.Name, r.Phase)
	if !ok {
		return r, clikit.Failure(clikit.Or(r.Reason), "%s is %s: %s", clikit.Clean(r.Name), r.Phase, clikit.Clean(clikit.Or(r.Message))).WithHint("%s", clikit.Clean(clikit.Or(r.Hint)))
	}
	return r, nil
}

func acceptCommand(c *clikit.CLI) *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use: "accept RESOURCE --reason TEXT", Short: "Say that what of a resource is not as wanted is fine", Args: clikit.Args(1, 1),
		Long: "Say that what is there is fine, until it changes again or the resource is made anew: a change of the resource, or a repair, sets what the template wants. " +
			"It takes the right to accept drift, and is recorded with its reason.",
		Example:           "  fairlead drift accept orders --reason \"more room for the sale, until March\"",
		ValidArgsFunction: c.Complete(1, c.Resources),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := c.Session()
			if err != nil {
				return err
			}
			w, err := c.Where()
			if err != nil {
				return err
			}
			r, err := clikit.Read[apiclient.Resource](s.AcceptDrift(cmd.Context(), w.Project, w.Environment, args[0], apiclient.AcceptDriftJSONRequestBody{Reason: reason}))
			if err != nil {
				return err
			}
			return clikit.PrintOne(c, r, r.Name, func(t *clikit.Text) {
				t.Line("what is there of %s is fine until it changes again", clikit.Clean(r.Name))
			})
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why; it is recorded")
	_ = cmd.MarkFlagRequired("reason")
	return cmd
}

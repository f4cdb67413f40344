package rolloutcli

import (
	"context"
	"net/http"
	"strconv"

	"github.com/spf13/cobra"

	"fairlead/internal/apiclient"
	"fairlead/internal/clikit"
)

// steering is one verb that needs nothing but the rollout.
type steering struct {
	name, short, long string
	do                func(s *clikit.Session, ctx context.Context, id, tag string) (*http.Response, error)
}

var verbs = []steering{
	{"start", "Start a rollout that is planned", "Start a rollout that is planned. Its changes are made with your rights.", func(s *clikit.Session, ctx context.Context, id, tag string) (*http.Response, error) {
		return s.StartRollout(ctx, id, &apiclient.StartRolloutParams{})
	}},
	{"pause", "Change no further resource; those that are on their way go on", "", func(s *clikit.Session, ctx context.Context, id, tag string) (*http.Response, error) {
		return s.PauseRollout(ctx, id, &apiclient.PauseRolloutParams{})
	}},
	{"resume", "Go on with a rollout that was paused or has halted", "Go on with a rollout that was paused or has halted. Resources that failed are left as they are; retry tries them again.", func(s *clikit.Session, ctx context.Context, id, tag string) (*http.Response, error) {
		return s.ResumeRollout(ctx, id, &apiclient.ResumeRolloutParams{})
	}},
	{"retry", "Plan anew what was left out, set aside or has failed, and go on with it", "", func(s *clikit.Session, ctx context.Context, id, tag string) (*http.Response, error) {
		return s.RetryRollout(ctx, id, &apiclient.RetryRolloutParams{})
	}},
	{"cancel", "End a rollout as it is", "End a rollout as it is: resources that are on their way go on, the others are left alone, and nothing is taken back.", func(s *clikit.Session, ctx context.Context, id, tag string) (*http.Response, error) {
		return s.CancelRollout(ctx, id, &apiclient.CancelRolloutParams{})
	}},
}

func (k kit) verb(v steering) *cobra.Command {
	var wait bool
	cmd := &cobra.Command{
		Use: v.name + " ROLLOUT", Short: v.short, Long: v.long, Args: clikit.Args(1, 1), Example: "  fairlead rollout " + v.name + " rol_01jd2v8n5k3q7x9w4m6p8r0t2y",
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := k.Session()
			if err != nil {
				return err
			}
			r, err := clikit.Read[row](v.do(s, cmd.Context(), args[0], ""))
			if err != nil {
				return err
			}
			if wait {
				return k.toItsEnd(cmd.Context(), s, r)
			}
			return k.print(r, nil)
		},
	}
	if v.name != "pause" && v.name != "cancel" {
		cmd.Flags().BoolVar(&wait, "wait", false, "wait until it is over or needs somebody")
	}
	return cmd
}

func (k kit) rollback() *cobra.Command {
	var all, wait bool
	cmd := &cobra.Command{
		Use: "rollback ROLLOUT", Short: "Take back what a rollout upgraded", Args: clikit.Args(1, 1),
		Long: "Take back what a rollout upgraded in the wave that it is at, or with --all in every wave: new revisions with the old content, asked for with your rights. " +
			"What somebody changed since is left as it is.",
		Example: "  fairlead rollout rollback rol_01jd2v8n5k3q7x9w4m6p8r0t2y --all --wait",
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := k.Session()
			if err != nil {
				return err
			}
			scope := apiclient.RollbackRolloutRequestScope("wave")
			if all {
				scope = "all"
			}
			r, err := clikit.Read[row](s.RollbackRollout(cmd.Context(), args[0], &apiclient.RollbackRolloutParams{}, apiclient.RollbackRolloutJSONRequestBody{Scope: scope}))
			if err != nil {
				return err
			}
			if !wait {
				return k.print(r, nil)
			}
			if r, err = k.follow(cmd.Context(), s, r, func(r row) bool { return r.Over }); err != nil {
				return err
			}
			return k.write(cmd.Context(), s, r)
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "of every wave")
	cmd.Flags().BoolVar(&wait, "wait", false, "wait until all of it is taken back")
	return cmd
}

// decide is approve and reject.
func (k kit) decide(verb string) *cobra.Command {
	var digest, comment string
	short, past := "Agree to what a destructive group does", "agreed to"
	if verb == "reject" {
		short, past = "Have the resources of a group set aside", "rejected"
	}
	cmd := &cobra.Command{
		Use: verb + " ROLLOUT GROUP", Short: short, Args: clikit.Args(2, 2),
		Long: short + ". What is decided on is the group as it is shown now, or the one that --digest names: when it has changed by then, nothing is decided.",
		Example: "  fairlead rollout show rol_01jd2v8n5k3q7x9w4m6p8r0t2y\n  fairlead rollout " + verb +
			" rol_01jd2v8n5k3q7x9w4m6p8r0t2y 1 --comment 'backups were taken'",
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := k.Session()
			if err != nil {
				return err
			}
			group, err := strconv.ParseInt(args[1], 10, 64)
			if err != nil {
				return clikit.Usage("%s is no group's number", clikit.Clean(args[1])).WithHint("see the groups: fairlead rollout show %s", clikit.Clean(args[0]))
			}
			if digest == "" {
				r, _, err := k.get(cmd.Context(), s, args[0])
				if err != nil {
					return err
				}
				for _, g := range r.Groups {
					if g.Number == group {
						digest = g.Digest
					}
				}
				if digest == "" {
					return clikit.Failure("not_found", "there is no group %d", group).WithHint("see the groups: fairlead rollout show %s", clikit.Clean(args[0]))
				}
			}
			var r row
			if verb == "approve" {
				r, err = clikit.Read[row](s.ApproveRolloutGroup(cmd.Context(), args[0], group, apiclient.ApproveRolloutGroupJSONRequestBody{Digest: digest, Comment: clikit.Some(comment)}))
			} else {
				r, err = clikit.Read[row](s.RejectRolloutGroup(cmd.Context(), args[0], group, apiclient.RejectRolloutGroupJSONRequestBody{Digest: digest, Comment: clikit.Some(comment)}))
			}
			if err != nil {
				return err
			}
			k.Note("group %d is %s", group, past)
			return k.print(r, nil)
		},
	}
	cmd.Flags().StringVar(&digest, "digest", "", "of the group as it was looked at")
	cmd.Flags().StringVar(&comment, "comment", "", "why")
	return cmd
}

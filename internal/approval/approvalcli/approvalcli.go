package approvalcli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"fairlead/internal/apiclient"
	"fairlead/internal/clikit"
)

type row = apiclient.Approval

// Commands gives the commands of this concern.
func Commands(c *clikit.CLI) []*cobra.Command {
	cmd := listCommand(c)
	cmd.Use, cmd.Aliases, cmd.GroupID = "approvals", []string{"approval"}, clikit.GroupWork
	cmd.AddCommand(listSub(c), showCommand(c), decideCommand(c, "approve"), decideCommand(c, "reject"), bypassCommand(c), reviewCommand(c), whoCommand(c), delegateCommand(c))
	return []*cobra.Command{cmd, delegationsCommand(c)}
}

type listFlags struct {
	all, mine, requested, review bool
	status                       string
}

func listSub(c *clikit.CLI) *cobra.Command {
	cmd := listCommand(c)
	cmd.Use, cmd.Aliases = "ls", []string{"list"}
	return cmd
}

func listCommand(c *clikit.CLI) *cobra.Command {
	var f listFlags
	cmd := &cobra.Command{
		Short: "What waits for somebody to agree; what waits for you comes first",
		Long: "List approvals that are pending: first those that wait for your vote, then the others that you may see.\n" +
			"All environments are meant unless one is named with -e.",
		Example: "  fairlead approvals\n  fairlead approvals --mine -o name\n  fairlead approvals show apr_01jd2v8n5k3q7x9w4m6p8r0t2y\n  fairlead approvals approve orders --comment 'as agreed'",
		Args:    clikit.Args(0, 0),
		RunE:    func(cmd *cobra.Command, _ []string) error { return list(cmd, c, f) },
	}
	fl := cmd.Flags()
	fl.BoolVar(&f.all, "all", false, "also what is decided, void or over")
	fl.BoolVar(&f.mine, "mine", false, "only what waits for your vote")
	fl.BoolVar(&f.requested, "requested", false, "only what you asked for")
	fl.BoolVar(&f.review, "needs-review", false, "what went ahead without an approval and was not reviewed")
	fl.StringVar(&f.status, "status", "", "pending, approved, rejected, expired, void or bypassed")
	_ = cmd.RegisterFlagCompletionFunc("status", clikit.Fixed("pending", "approved", "rejected", "expired", "void", "bypassed"))
	return cmd
}

func list(cmd *cobra.Command, c *clikit.CLI, f listFlags) error {
	s, err := c.Session()
	if err != nil {
		return err
	}
	w, err := c.Asked()
	if err != nil {
		return err
	}
	p := apiclient.ListApprovalsParams{Requested: clikit.Some(f.requested), NeedsReview: clikit.Some(f.review), Project: clikit.Some(w.Project), Environment: clikit.Some(w.Environment)}
	if f.status == "" && !f.all && !f.review {
		f.status = "pending"
	}
	mine := p
	mine.Mine = clikit.Some(true)
	if p.Status = clikit.Some(apiclient.ListApprovalsParamsStatus(f.status)); f.all {
		p.Status = nil
	}
	first, err := fetch(cmd.Context(), s, mine)
	if err != nil {
		return err
	}
	if f.status != "pending" && !f.all {
		first = nil
	}
	yours := map[string]bool{}
	for _, a := range first {
		yours[a.ID] = true
	}
	items := first
	if !f.mine {
		rest, err := fetch(cmd.Context(), s, p)
		if err != nil {
			return err
		}
		for _, a := range rest {
			if !yours[a.ID] {
				items = append(items, a)
			}
		}
	}
	return clikit.PrintList(c, items, func(a row) string { return a.ID }, "nothing waits for an approval",
		clikit.Column[row]{Title: "ID", Cell: func(a row) string { return a.ID }},
		clikit.Column[row]{Title: "WHAT", Cell: func(a row) string { return a.Summary }},
		clikit.Column[row]{Title: "BY", Cell: func(a row) string { return a.RequestedBy }},
		clikit.Column[row]{Title: "NEEDS", Cell: needs},
		clikit.Column[row]{Title: "STATUS", Cell: func(a row) string {
			if yours[a.ID] {
				return "yours"
			}
			return string(a.Status)
		}, Paint: clikit.Style.Phase},
		clikit.Column[row]{Title: "AGE", Cell: func(a row) string { return clikit.Age(a.CreatedAt) }})
}

func fetch(ctx context.Context, s *clikit.Session, p apiclient.ListApprovalsParams) ([]row, error) {
	return clikit.Pages(0, func(limit *int64, cursor *string) ([]row, *string, error) {
		p.Limit, p.Cursor = limit, cursor
		got, err := clikit.Read[apiclient.PageApproval](s.ListApprovals(ctx, &p))
		return got.Items, got.Next, err
	})
}

func needs(a row) string {
	var parts []string
	for _, n := range a.Needs {
		parts = append(parts, group(n))
	}
	return strings.Join(parts, "; ")
}

func group(n apiclient.ApprovalNeed) string {
	who := clikit.Or(n.Role)
	if people := clikit.Or(n.People); len(people) > 0 {
		who = strings.Trim(who+" or "+strings.Join(people, ", "), " or")
	}
	text := fmt.Sprintf("%d %s", n.Count, who)
	if team := clikit.Or(n.Team); team != "" {
		text += " of " + team
	}
	return text
}

// find gives the approval that an argument means: by its id, or the pending one
// of a resource in the environment in use.
func find(ctx context.Context, c *clikit.CLI, s *clikit.Session, arg string) (row, error) {
	if strings.Contains(arg, "_") { // no name has one, every id does
		return clikit.Read[row](s.GetApproval(ctx, arg))
	}
	w, err := c.Where()
	if err != nil {
		return row{}, err
	}
	pending := apiclient.ListApprovalsParamsStatus("pending")
	list, err := fetch(ctx, s, apiclient.ListApprovalsParams{Status: &pending, Subject: &arg, Project: clikit.Some(w.Project), Environment: clikit.Some(w.Environment)})
	if err != nil {
		return row{}, err
	}
	if len(list) == 0 {
		return row{}, clikit.Usage("nothing named %s waits for an approval in %s", clikit.Clean(arg), clikit.Clean(w.String())).WithHint("see: fairlead approvals")
	}
	return clikit.Read[row](s.GetApproval(ctx, list[0].ID))
}

// on makes a command of what is done with one approval.
func on(c *clikit.CLI, cmd *cobra.Command, do func(ctx context.Context, s *clikit.Session, a row) (row, error)) *cobra.Command {
	cmd.Args, cmd.ValidArgsFunction = clikit.Args(1, 1), c.Complete(1, pendingOnes)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		s, err := c.Session()
		if err != nil {
			return err
		}
		a, err := find(cmd.Context(), c, s, args[0])
		if err == nil {
			a, err = do(cmd.Context(), s, a)
		}
		if err != nil {
			return err
		}
		return show(c, a)
	}
	return cmd
}

func pendingOnes(ctx context.Context, s *clikit.Session, _ string) ([]cobra.Completion, error) {
	pending := apiclient.ListApprovalsParamsStatus("pending")
	p, err := clikit.Read[apiclient.PageApproval](s.ListApprovals(ctx, &apiclient.ListApprovalsParams{Status: &pending}))
	var out []cobra.Completion
	for _, a := range p.Items {
		out = append(out, a.ID+"\t"+clikit.Clean(a.Summary))
	}
	return out, err
}

func showCommand(c *clikit.CLI) *cobra.Command {
	return on(c, &cobra.Command{Use: "show APPROVAL|RESOURCE", Short: "Show an approval with all that it takes to decide on it",
		Example: "  fairlead approvals show orders\n  fairlead approvals show apr_01jd2v8n5k3q7x9w4m6p8r0t2y"},
		func(_ context.Context, _ *clikit.Session, a row) (row, error) { return a, nil })
}

func decideCommand(c *clikit.CLI, verb string) *cobra.Command {
	var comment, digest string
	cmd := &cobra.Command{Use: verb + " APPROVAL|RESOURCE", Short: "Agree to what somebody asks for",
		Long: "Vote for it, also in the name of whoever delegated it to you. What you agree to is what the approval shows: it is bound to one\n" +
			"digest, and when anything changes it is void. With --digest nothing is decided unless it still has that one.",
		Example: "  fairlead approvals approve orders --comment 'as agreed on Monday'"}
	if verb == "reject" {
		cmd.Short, cmd.Long = "Say no to what somebody asks for", "Reject it; one no is enough. It takes a comment, which whoever asked for it reads."
		cmd.Example = "  fairlead approvals reject orders --comment 'use the small size'"
	}
	cmd.Flags().StringVar(&comment, "comment", "", "for whoever asked, and for the record")
	cmd.Flags().StringVar(&digest, "digest", "", "that of what you looked at")
	return on(c, cmd, func(ctx context.Context, s *clikit.Session, a row) (row, error) {
		if digest == "" {
			digest = a.Digest
		}
		if verb == "reject" {
			return clikit.Read[row](s.RejectApproval(ctx, a.ID, apiclient.RejectApprovalJSONRequestBody{Digest: digest, Comment: clikit.Some(comment)}))
		}
		return clikit.Read[row](s.ApproveApproval(ctx, a.ID, apiclient.ApproveApprovalJSONRequestBody{Digest: digest, Comment: clikit.Some(comment)}))
	})
}

func bypassCommand(c *clikit.CLI) *cobra.Command {
	var reason string
	cmd := &cobra.Command{Use: "bypass APPROVAL|RESOURCE --reason WHY", Short: "Go ahead without the approval, in an emergency",
		Long: "Break glass. It takes a permission of its own and a reason; everybody who could have decided and the platform administrators\n" +
			"are told at once, and somebody else reviews it: fairlead approvals --needs-review",
		Example: "  fairlead approvals bypass orders --reason 'the shop is down and nobody answers'"}
	cmd.Flags().StringVar(&reason, "reason", "", "why it cannot wait")
	return on(c, cmd, func(ctx context.Context, s *clikit.Session, a row) (row, error) {
		return clikit.Read[row](s.BypassApproval(ctx, a.ID, apiclient.BypassApprovalJSONRequestBody{Reason: reason}))
	})
}

func reviewCommand(c *clikit.CLI) *cobra.Command {
	var comment string
	cmd := &cobra.Command{Use: "review APPROVAL --comment FINDING", Short: "Review what went ahead without an approval",
		Example: "  fairlead approvals review apr_01jd2v8n5k3q7x9w4m6p8r0t2y --comment 'right; the pager was off'"}
	cmd.Flags().StringVar(&comment, "comment", "", "what you found")
	return on(c, cmd, func(ctx context.Context, s *clikit.Session, a row) (row, error) {
		return clikit.Read[row](s.ReviewApproval(ctx, a.ID, apiclient.ReviewApprovalJSONRequestBody{Comment: comment}))
	})
}

func whoCommand(c *clikit.CLI) *cobra.Command {
	cmd := &cobra.Command{Use: "who APPROVAL|RESOURCE", Short: "Say who could decide, and why others cannot", Args: clikit.Args(1, 1),
		ValidArgsFunction: c.Complete(1, pendingOnes), Example: "  fairlead approvals who orders"}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		s, err := c.Session()
		if err != nil {
			return err
		}
		a, err := find(cmd.Context(), c, s, args[0])
		if err != nil {
			return err
		}
		p, err := clikit.Read[apiclient.PageApprovalPerson](s.WhoCouldApprove(cmd.Context(), a.ID))
		if err != nil {
			return err
		}
		type person = apiclient.ApprovalPerson
		return clikit.PrintList(c, p.Items, func(p person) string { return p.Name }, "nobody",
			clikit.Column[person]{Title: "WHO", Cell: func(p person) string { return p.Name }},
			clikit.Column[person]{Title: "CAN", Cell: func(p person) string {
				if p.Can {
					return "yes"
				}
				return "no"
			}},
			clikit.Column[person]{Title: "WHY", Cell: func(p person) string { return p.Why }},
			clikit.Column[person]{Title: "VOTED", Cell: func(p person) string { return string(clikit.Or(p.Voted)) }})
	}
	return cmd
}

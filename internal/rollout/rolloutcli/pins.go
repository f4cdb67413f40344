package rolloutcli

import (
	"time"

	"github.com/spf13/cobra"

	"fairlead/internal/apiclient"
	"fairlead/internal/clikit"
)

type pin = apiclient.Pin

func (k kit) setting(reason, until string) (apiclient.PinSetting, error) {
	at, err := clikit.ParseLater(until, time.Now())
	return apiclient.PinSetting{Reason: reason, Until: at}, err
}

func (k kit) showPin(p pin) error {
	return clikit.PrintOne(k.CLI, p, p.ID, func(t *clikit.Text) {
		what := "stays at " + p.TemplateVersion
		if p.Rollout != nil {
			what = "is exempted from " + *p.Rollout
		}
		t.Line("%s %s until %s", t.Style.Bold(clikit.Clean(p.Resource)), clikit.Clean(what), clikit.Moment(p.Until))
		t.Pairs("  ", clikit.Pair{Key: "reason", Value: p.Reason}, clikit.Pair{Key: "by", Value: p.By})
	})
}

func (k kit) pin() *cobra.Command {
	var reason, until string
	cmd := &cobra.Command{
		Use: "pin NAME --reason WHY --until TIME", Short: "Keep a resource at its version: no rollout changes it", Args: clikit.Args(1, 1), ValidArgsFunction: k.Complete(1, k.Resources),
		Long:    "Keep a resource at its version of the template until a time: no rollout changes it, and neither does upgrade. When the time is over, that is told, and rollouts change it again.",
		Example: "  fairlead pin orders --reason 'the release of friday' --until 7d\n  fairlead pin orders --reason 'contract' --until 2027-01-31T18:00:00Z",
		RunE: func(cmd *cobra.Command, args []string) error {
			w, err := k.Where()
			if err != nil {
				return err
			}
			s, err := k.Session()
			if err != nil {
				return err
			}
			body, err := k.setting(reason, until)
			if err != nil {
				return err
			}
			p, err := clikit.Read[pin](s.PinResource(cmd.Context(), w.Project, w.Environment, args[0], body))
			if err != nil {
				return err
			}
			return k.showPin(p)
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why")
	cmd.Flags().StringVar(&until, "until", "", "when it ends: a time, or a length from now such as 7d")
	_ = cmd.MarkFlagRequired("reason")
	_ = cmd.MarkFlagRequired("until")
	return cmd
}

func (k kit) unpin() *cobra.Command {
	return &cobra.Command{
		Use: "unpin NAME", Short: "Let rollouts change a resource again", Args: clikit.Args(1, 1), ValidArgsFunction: k.Complete(1, k.Resources), Example: "  fairlead unpin orders",
		RunE: func(cmd *cobra.Command, args []string) error {
			w, err := k.Where()
			if err != nil {
				return err
			}
			s, err := k.Session()
			if err != nil {
				return err
			}
			if err := clikit.Done(s.UnpinResource(cmd.Context(), w.Project, w.Environment, args[0])); err != nil {
				return err
			}
			k.Note("%s is not pinned", args[0])
			return nil
		},
	}
}

func (k kit) pins() *cobra.Command {
	var over bool
	var template, rollout, search string
	cmd := &cobra.Command{
		Use: "pins", Short: "List pins and exemptions: what ends first first", Args: clikit.Args(0, 0), ValidArgsFunction: clikit.Fixed(),
		Long:    "List what keeps resources at their versions, of all that you may see; --project narrows it to a project.",
		Example: "  fairlead pins --template postgres\n  fairlead pins --rollout rol_01jd2v8n5k3q7x9w4m6p8r0t2y\n  fairlead pins --project shop --search friday",
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := k.Session()
			if err != nil {
				return err
			}
			w, err := k.Asked()
			if err != nil {
				return err
			}
			items, err := clikit.Pages(0, func(limit *int64, cursor *string) ([]pin, *string, error) {
				p, err := clikit.Read[apiclient.PagePin](s.ListPins(cmd.Context(), &apiclient.ListPinsParams{Limit: limit, Cursor: cursor, Over: clikit.Some(over), Template: clikit.Some(template),
					Rollout: clikit.Some(rollout), Project: clikit.Some(w.Project), Search: clikit.Some(search)}))
				return p.Items, p.Next, err
			})
			if err != nil {
				return err
			}
			return clikit.PrintList(k.CLI, items, func(p pin) string { return p.ID }, "nothing that you may see is pinned; pin something: fairlead pin NAME --reason WHY --until 7d",
				clikit.Column[pin]{Title: "RESOURCE", Cell: func(p pin) string { return p.Project + "/" + p.Environment + "/" + p.Resource }},
				clikit.Column[pin]{Title: "AT", Cell: func(p pin) string { return p.Template + " " + p.TemplateVersion }},
				clikit.Column[pin]{Title: "FROM", Cell: func(p pin) string {
					if p.Rollout != nil {
						return *p.Rollout
					}
					return "every rollout"
				}},
				clikit.Column[pin]{Title: "UNTIL", Cell: func(p pin) string { return clikit.Moment(p.Until) }},
				clikit.Column[pin]{Title: "BY", Cell: func(p pin) string { return p.By }},
				clikit.Column[pin]{Title: "ENDED", Cell: ended},
				clikit.Column[pin]{Title: "REASON", Cell: func(p pin) string { return p.Reason }})
		},
	}
	cmd.Flags().BoolVar(&over, "over", false, "also those that have ended")
	cmd.Flags().StringVar(&template, "template", "", "only of what is made from this template")
	k.CompleteFlag(cmd, "template", k.Templates)
	cmd.Flags().StringVar(&rollout, "rollout", "", "only what keeps this rollout from its members")
	cmd.Flags().StringVar(&search, "search", "", "part of the name of the resource, its project or its environment, or of the reason")
	return cmd
}

func ended(p pin) string {
	switch {
	case p.Expired:
		return "expired"
	case p.EndedAt != nil:
		return "yes"
	}
	return ""
}

func (k kit) exempt() *cobra.Command {
	var rollout, reason, until string
	var end bool
	cmd := &cobra.Command{
		Use: "exempt NAME --rollout ROLLOUT", Short: "Keep one rollout from changing a resource", Args: clikit.Args(1, 1), ValidArgsFunction: k.Complete(1, k.Resources),
		Long:    "Keep one rollout from changing a resource, with a reason and an end. With --end the exemption is taken away; the rollout takes the resource up when it is retried.",
		Example: "  fairlead exempt orders --rollout rol_01jd2v8n5k3q7x9w4m6p8r0t2y --reason 'migration under way' --until 3d\n  fairlead exempt orders --rollout rol_01jd2v8n5k3q7x9w4m6p8r0t2y --end",
		RunE: func(cmd *cobra.Command, args []string) error {
			w, err := k.Where()
			if err != nil {
				return err
			}
			s, err := k.Session()
			if err != nil {
				return err
			}
			if end {
				if err := clikit.Done(s.UnexemptResource(cmd.Context(), w.Project, w.Environment, args[0], rollout)); err != nil {
					return err
				}
				k.Note("%s is not exempted; the rollout takes it up with: fairlead rollout retry %s", args[0], rollout)
				return nil
			}
			if reason == "" || until == "" {
				return clikit.Usage("why, and until when?").WithHint("add --reason WHY --until TIME, or --end to take it away")
			}
			body, err := k.setting(reason, until)
			if err != nil {
				return err
			}
			p, err := clikit.Read[pin](s.ExemptResource(cmd.Context(), w.Project, w.Environment, args[0], rollout, body))
			if err != nil {
				return err
			}
			return k.showPin(p)
		},
	}
	cmd.Flags().StringVar(&rollout, "rollout", "", "the rollout")
	cmd.Flags().StringVar(&reason, "reason", "", "why")
	cmd.Flags().StringVar(&until, "until", "", "when it ends: a time, or a length from now such as 3d")
	cmd.Flags().BoolVar(&end, "end", false, "take the exemption away")
	_ = cmd.MarkFlagRequired("rollout")
	return cmd
}

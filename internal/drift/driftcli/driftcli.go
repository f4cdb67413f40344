package driftcli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"fairlead/internal/apiclient"
	"fairlead/internal/clikit"
)

// Commands gives the commands of this concern.
func Commands(c *clikit.CLI) []*cobra.Command {
	drift := &cobra.Command{Use: "drift", Short: "Drift: what is not as wanted, why, and what becomes of it", GroupID: clikit.GroupWork}
	drift.AddCommand(listCommand(c), showCommand(c), checkCommand(c), healCommand(c), acceptCommand(c), brakeCommand(c))
	return []*cobra.Command{drift}
}

type row = apiclient.Drift

// causes are what people read for a cause.
var causes = map[apiclient.DriftCause]string{
	"noise": "noise", "person": "changed by somebody", "deleted": "deleted by somebody", "desired": "something else is wanted",
}

// answers are what people read for an answer.
var answers = map[apiclient.DriftAnswer]string{
	"ignore": "ignored", "alert": "shown", "ask": "waits for a person", "heal": "being healed", "held": "held by the brake", "lost": "data is gone",
}

// state says how it stands with a drift, or how it ended.
func state(d row) string {
	if d.Open {
		return answers[d.Answer]
	}
	return string(clikit.Or(d.Resolution))
}

func differences(d row) string {
	if len(d.Differences) == 0 {
		return ""
	}
	first := d.Differences[0].Field + " of " + d.Differences[0].Address
	if n := len(d.Differences) - 1; n > 0 {
		first += fmt.Sprintf(" and %d more", n)
	}
	return first
}

func of(d row) string { return d.Project + "/" + d.Environment + "/" + d.Resource }

func listCommand(c *clikit.CLI) *cobra.Command {
	var cause, answer, template, search string
	var open, ignored bool
	cmd := &cobra.Command{
		Use: "ls", Aliases: []string{"list"}, Short: "List what was and is not as wanted, the newest first", Args: clikit.Args(0, 0),
		Long:    "List the history of drift of what you may see; -e narrows it to an environment, --project to a project.",
		Example: "  fairlead drift ls --open\n  fairlead drift ls --project shop --cause person\n  fairlead drift ls --open --answer ask\n  fairlead drift ls --open --template postgres --search orders",
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := c.Session()
			if err != nil {
				return err
			}
			w, err := c.Asked()
			if err != nil {
				return err
			}
			p := apiclient.ListDriftsParams{Project: clikit.Some(w.Project), Environment: clikit.Some(w.Environment), Cause: clikit.Some(apiclient.ListDriftsParamsCause(cause)),
				Answer: clikit.Some(apiclient.ListDriftsParamsAnswer(answer)), Open: clikit.Some(open), Ignored: clikit.Some(ignored),
				Template: clikit.Some(template), Search: clikit.Some(search)}
			list, err := clikit.Pages(200, func(limit *int64, cursor *string) ([]row, *string, error) {
				p.Limit, p.Cursor = limit, cursor
				page, err := clikit.Read[apiclient.PageDrift](s.ListDrifts(cmd.Context(), &p))
				return page.Items, page.Next, err
			})
			if err != nil {
				return err
			}
			return clikit.PrintList(c, list, func(d row) string { return d.ID }, "nothing that you may see was seen to be other than wanted",
				clikit.Column[row]{Title: "OF", Cell: of},
				clikit.Column[row]{Title: "CAUSE", Cell: func(d row) string { return causes[d.Cause] }},
				clikit.Column[row]{Title: "STATE", Cell: state, Paint: func(s clikit.Style, t string) string {
					switch strings.TrimSpace(t) {
					case answers["ask"], answers["alert"], answers["held"]:
						return s.Yellow(t)
					case answers["lost"]:
						return s.Red(t)
					}
					return t
				}},
				clikit.Column[row]{Title: "SEEN", Cell: func(d row) string { return clikit.Age(d.DetectedAt) }},
				clikit.Column[row]{Title: "WHAT", Cell: differences})
		},
	}
	cmd.Flags().StringVar(&cause, "cause", "", "only of this cause: noise, person, deleted or desired")
	_ = cmd.RegisterFlagCompletionFunc("cause", clikit.Fixed("noise", "person", "deleted", "desired"))
	cmd.Flags().StringVar(&answer, "answer", "", "only with this answer: ignore, alert, ask, heal, held or lost")
	_ = cmd.RegisterFlagCompletionFunc("answer", clikit.Fixed("ignore", "alert", "ask", "heal", "held", "lost"))
	cmd.Flags().StringVar(&template, "template", "", "only of what is made from this template")
	c.CompleteFlag(cmd, "template", c.Templates)
	cmd.Flags().StringVar(&search, "search", "", "part of the name of the resource, its project, its environment or its template")
	cmd.Flags().BoolVar(&open, "open", false, "only what is not over")
	cmd.Flags().BoolVar(&ignored, "ignored", false, "also what is ignored")
	return cmd
}

// report is what is known of one resource.
type report struct {
	Resource apiclient.Resource `json:"resource"`
	History  []row              `json:"history"`
}

func showCommand(c *clikit.CLI) *cobra.Command {
	return &cobra.Command{
		Use: "show RESOURCE", Short: "Show what of a resource is not as wanted, and what was before", Args: clikit.Args(1, 1),
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
			r, err := clikit.Read[apiclient.Resource](s.GetResource(cmd.Context(), w.Project, w.Environment, args[0], nil))
			if err != nil {
				return err
			}
			p := apiclient.ListDriftsParams{Resource: &r.ID, Ignored: clikit.Some(true)}
			list, err := clikit.Pages(50, func(limit *int64, cursor *string) ([]row, *string, error) {
				p.Limit, p.Cursor = limit, cursor
				page, err := clikit.Read[apiclient.PageDrift](s.ListDrifts(cmd.Context(), &p))
				return page.Items, page.Next, err
			})
			if err != nil {
				return err
			}
			return clikit.PrintOne(c, report{r, list}, r.Name, func(t *clikit.Text) { writeReport(t, w.String(), r, list) })
		},
	}
}

func writeReport(t *clikit.Text, place string, r apiclient.Resource, history []row) {
	word := "as wanted"
	if len(r.Drift) > 0 || clikit.Or(r.Reason) == "mass_drift" {
		word = "not as wanted"
	}
	t.Line("%s  %s, looked at %s", t.Style.Bold(clikit.Clean(place+"/"+r.Name)), word, clikit.AgeOf(r.ObservedAt))
	if text := clikit.Or(r.Message); text != "" {
		t.Line("  %s", clikit.Clean(text))
	}
	if hint := clikit.Or(r.Hint); hint != "" {
		t.Line("  %s", clikit.Clean(hint))
	}
	for _, d := range history {
		end := ""
		if d.ResolvedAt != nil {
			end = ", over " + clikit.Moment(*d.ResolvedAt)
		}
		t.Section(clikit.Clean(fmt.Sprintf("%s: %s", causes[d.Cause], state(d))))
		t.Line("  since %s%s", clikit.Moment(d.DetectedAt), end)
		if who := clikit.Or(d.ResolvedBy); who != "" {
			t.Line("  %s said that it is fine: %s", clikit.Clean(who), clikit.Clean(clikit.Or(d.Reason)))
		}
		for _, x := range d.Differences {
			why := ""
			if n := clikit.Or(x.Noise); n != "" {
				why = "  (" + string(n) + ")"
			}
			t.Line("  %s of %s: %s, wanted %s%s", clikit.Clean(x.Field), clikit.Clean(x.Address), clikit.Clean(clikit.Value(x.Got)), clikit.Clean(clikit.Value(x.Want)), why)
		}
	}
}

func brakeCommand(c *clikit.CLI) *cobra.Command {
	cmd := &cobra.Command{
		Use: "brake", Short: "Show what the mass-drift brake holds", Args: clikit.Args(0, 0),
		Long: "When so much of an engine, a template or a server is not as wanted at once that it is more likely that the provider shows nothing, repairs of it are held.\n\n" +
			"It ends by itself when what is looked at is as wanted again. Or a person lets the repairs go on: fairlead drift brake release.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := c.Session()
			if err != nil {
				return err
			}
			list, err := clikit.Read[apiclient.PageDriftBrake](s.ListDriftBrakes(cmd.Context()))
			if err != nil {
				return err
			}
			type brake = apiclient.DriftBrake
			return clikit.PrintList(c, list.Items, func(b brake) string { return b.Scope }, "nothing is held",
				clikit.Column[brake]{Title: "OF", Cell: func(b brake) string { return b.Scope }},
				clikit.Column[brake]{Title: "STATE", Cell: func(b brake) string {
					if b.Held {
						return "held"
					}
					return "released by " + clikit.Or(b.ReleasedBy) + " until " + clikit.MomentOf(b.FreeUntil)
				}},
				clikit.Column[brake]{Title: "SINCE", Cell: func(b brake) string {
					if b.Held {
						return clikit.AgeOf(b.HeldAt)
					}
					return clikit.AgeOf(b.ReleasedAt)
				}},
				clikit.Column[brake]{Title: "WHY", Cell: func(b brake) string {
					if b.Held {
						return clikit.Or(b.Why)
					}
					return clikit.Or(b.Reason)
				}})
		},
	}
	cmd.AddCommand(releaseCommand(c))
	return cmd
}

func releaseCommand(c *clikit.CLI) *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use: "release SCOPE --reason TEXT", Short: "Let repairs go on that the brake holds", Args: clikit.Args(1, 1),
		Long:    "Let the repairs of a scope go on, as fairlead drift brake names it, for as long as the brake's window is; the brake acts again afterwards. Data that is gone is not made anew by that.",
		Example: "  fairlead drift brake release template/site --reason \"the old files were removed on purpose\"",
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := c.Session()
			if err != nil {
				return err
			}
			b, err := clikit.Read[apiclient.DriftBrake](s.ReleaseDriftBrake(cmd.Context(), apiclient.ReleaseDriftBrakeJSONRequestBody{Scope: args[0], Reason: reason}))
			if err != nil {
				return err
			}
			return clikit.PrintOne(c, b, b.Scope, func(t *clikit.Text) {
				t.Line("repairs of %s go on; the brake acts again from %s", clikit.Clean(b.Scope), clikit.MomentOf(b.FreeUntil))
			})
		},
		ValidArgsFunction: clikit.Fixed(),
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why; it is recorded")
	_ = cmd.MarkFlagRequired("reason")
	return cmd
}

package resourcecli

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"fairlead/internal/apiclient"
	"fairlead/internal/clikit"
)

// description is all there is to say about a resource, for programs.
type description struct {
	Resource   apiclient.Resource           `json:"resource"`
	References apiclient.ResourceReferences `json:"references"`
	Revisions  []apiclient.ResourceRevision `json:"revisions"`
	Runs       []apiclient.Run              `json:"runs"`
	Standing   apiclient.ResourceStanding   `json:"standing"`
}

const shownHistory = 10

func (k kit) describe() *cobra.Command {
	return &cobra.Command{
		Use: "describe NAME", Short: "Tell all about a resource: how it is, why, and what was done", Args: clikit.Args(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			a, err := k.at()
			if err != nil {
				return err
			}
			ctx := cmd.Context()
			var d description
			if d.Resource, _, err = a.resource(ctx, args[0]); err != nil {
				return err
			}
			id := d.Resource.ID
			if d.References, err = clikit.Read[apiclient.ResourceReferences](a.GetReferences(ctx, a.Project, a.Environment, id)); err != nil {
				return err
			}
			if d.Standing, err = clikit.Read[apiclient.ResourceStanding](a.GetResourceStanding(ctx, a.Project, a.Environment, id)); err != nil {
				return err
			}
			d.Revisions, err = clikit.Pages(shownHistory, func(limit *int64, cursor *string) ([]apiclient.ResourceRevision, *string, error) {
				p, err := clikit.Read[apiclient.PageResourceRevision](a.ListRevisions(ctx, a.Project, a.Environment, id, &apiclient.ListRevisionsParams{Limit: limit, Cursor: cursor}))
				return p.Items, p.Next, err
			})
			if err != nil {
				return err
			}
			d.Runs, err = clikit.Pages(shownHistory, func(limit *int64, cursor *string) ([]apiclient.Run, *string, error) {
				p, err := clikit.Read[apiclient.PageRun](a.ListRuns(ctx, a.Project, a.Environment, id, &apiclient.ListRunsParams{Limit: limit, Cursor: cursor}))
				return p.Items, p.Next, err
			})
			if err != nil {
				return err
			}
			return clikit.PrintOne(k.CLI, d, d.Resource.Name, func(t *clikit.Text) { d.write(t) })
		},
	}
}

func (d description) write(t *clikit.Text) {
	r := d.Resource
	t.Line("%s  %s", t.Style.Bold(clikit.Clean(r.Name)), t.Style.Phase(string(r.Phase)))
	revision := fmt.Sprint(r.Revision)
	if r.AppliedRevision != r.Revision {
		revision += fmt.Sprintf(" wanted, %d applied", r.AppliedRevision)
	}
	t.Pairs("  ",
		clikit.Pair{Key: "why", Value: clikit.Or(r.Message)},
		clikit.Pair{Key: "hint", Value: clikit.Or(r.Hint)},
		clikit.Pair{Key: "where", Value: r.Project + "/" + r.Environment},
		clikit.Pair{Key: "team", Value: r.Team},
		clikit.Pair{Key: "template", Value: r.Template + " " + r.TemplateVersion},
		clikit.Pair{Key: "revision", Value: revision},
		clikit.Pair{Key: "pinned", Value: d.pinned()},
		clikit.Pair{Key: "rollout", Value: d.rollout()},
		clikit.Pair{Key: "requested", Value: clikit.Moment(r.CreatedAt) + " by " + r.CreatedBy},
		clikit.Pair{Key: "last looked at", Value: clikit.MomentOf(r.ObservedAt)},
		clikit.Pair{Key: "paused", Value: paused(r)},
		clikit.Pair{Key: "old credentials end", Value: clikit.MomentOf(r.CredentialsRetireAt)},
		clikit.Pair{Key: "destroyed", Value: clikit.MomentOf(r.DestroyedAt)},
		clikit.Pair{Key: "id", Value: r.ID})
	if len(r.Inputs) > 0 {
		t.Section("Inputs")
		t.Pairs("  ", pairs(r.Inputs)...)
	}
	outputs(t, r)
	if len(r.Drift) > 0 {
		t.Section("Drift")
		for _, x := range r.Drift {
			t.Line("  %s %s: want %s, found %s (%s)", clikit.Clean(x.Address), clikit.Clean(x.Field), clikit.Clean(clikit.Value(x.Want)), clikit.Clean(clikit.Value(x.Got)), x.Severity)
		}
	}
	d.history(t)
}

// pinned says what keeps the resource at its version.
func (d description) pinned() string {
	var parts []string
	if p := d.Standing.Pin; p != nil {
		parts = append(parts, "until "+clikit.Moment(p.Until)+" by "+p.By+": "+p.Reason)
	}
	if p := d.Standing.ExpiredPin; p != nil {
		parts = append(parts, "not any more; it ran out "+clikit.Moment(p.Until)+": "+p.Reason)
	}
	for _, p := range d.Standing.Exemptions {
		parts = append(parts, "exempted from "+clikit.Or(p.Rollout)+" until "+clikit.Moment(p.Until)+": "+p.Reason)
	}
	return strings.Join(parts, "; ")
}

// rollout says which one is about the resource, and how it stands there.
func (d description) rollout() string {
	m := d.Standing.Member
	if m == nil {
		return ""
	}
	text := fmt.Sprintf("%s to %s (%s): it is %s", clikit.Or(d.Standing.Rollout), clikit.Or(d.Standing.To), clikit.Or(d.Standing.State), m.State)
	if why := clikit.Or(m.Message); why != "" {
		text += ": " + why
	}
	return text
}

func (d description) history(t *clikit.Text) {
	if len(d.Resource.Objects) > 0 {
		t.Section("Objects")
		for _, o := range d.Resource.Objects {
			t.Line("  %s %s", clikit.Clean(o.Kind), clikit.Clean(strings.TrimSpace(o.Name+" "+clikit.Or(o.Host))))
		}
	}
	for _, side := range []struct {
		title string
		refs  []apiclient.ResourceReference
	}{{"Refers to", d.References.RefersTo}, {"Referred to by", d.References.ReferredBy}} {
		if len(side.refs) == 0 {
			continue
		}
		t.Section(side.title)
		for _, ref := range side.refs {
			t.Line("  %s  %s", clikit.Clean(ref.Resource), t.Style.Dim(clikit.Clean(ref.Output+" in "+ref.Input)))
		}
	}
	t.Section("Revisions")
	var rows [][]string
	for _, v := range d.Revisions {
		note := clikit.Or(v.Note)
		if to := clikit.Or(v.RolledBackTo); to > 0 {
			note = strings.TrimSpace(fmt.Sprintf("rolled back to %d  %s", to, note))
		}
		rows = append(rows, []string{fmt.Sprint(v.Number), v.TemplateVersion, clikit.Age(v.CreatedAt), v.CreatedBy, note})
	}
	t.Table("  ", []string{"NR", "VERSION", "AGE", "BY", "NOTE"}, rows)
	t.Section("Runs")
	rows = nil
	for _, v := range d.Runs {
		took := ""
		if v.StartedAt != nil && v.FinishedAt != nil {
			took = clikit.Short(v.FinishedAt.Sub(*v.StartedAt))
		}
		rows = append(rows, []string{string(v.Kind), fmt.Sprint(v.Revision), string(v.Status), clikit.Age(v.CreatedAt), took, v.RequestedBy, clikit.Or(v.ErrorMessage), v.ID})
	}
	t.Table("  ", []string{"KIND", "REV", "STATUS", "AGE", "TOOK", "BY", "WHY", "ID"}, rows)
}

func pairs(m map[string]any) []clikit.Pair {
	var out []clikit.Pair
	for _, name := range slices.Sorted(maps.Keys(m)) {
		out = append(out, clikit.Pair{Key: name, Value: clikit.Value(m[name])})
	}
	return out
}

func outputs(t *clikit.Text, r apiclient.Resource) {
	if len(r.Outputs) == 0 {
		return
	}
	t.Section("Outputs")
	t.Pairs("  ", pairs(r.Outputs)...)
}

package resourcecli

import (
	"context"
	"errors"
	"regexp"

	"github.com/spf13/cobra"

	"fairlead/internal/apiclient"
	"fairlead/internal/clikit"
	"fairlead/internal/fault"
)

func (k kit) apply() *cobra.Command {
	var files []string
	var w waiting
	var dryRun bool
	cmd := &cobra.Command{
		Use: "apply -f FILE|-", Short: "Make resources as a file describes them",
		Long: "Make resources as files describe them: what is not there is created, what differs is changed, the rest is left alone. " +
			"All resources of one environment are accepted together or not at all; they may refer to each other.\n\n" +
			"A file holds YAML documents or JSON:\n\n" +
			"  apiVersion: fairlead/v1\n  kind: Resource\n  metadata: {name: orders}        # project and environment too, when not those in use\n" +
			"  spec: {template: postgres, inputs: {connection_limit: 50}}",
		Example: "  fairlead apply -f resources.yaml --wait\n  render | fairlead apply -f - --dry-run",
		Args:    clikit.Args(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			limit, err := w.limit()
			if err != nil {
				return err
			}
			sets, err := k.read(files)
			if err != nil {
				return err
			}
			s, err := k.Session()
			if err != nil {
				return err
			}
			if dryRun {
				return k.dryRun(cmd.Context(), s, sets)
			}
			applied, err := send(cmd.Context(), s, sets)
			if err != nil {
				return err
			}
			if w.wait {
				for i := range applied {
					if applied[i].Resource, err = k.follow(cmd.Context(), s, applied[i].Resource, limit); err != nil {
						return err
					}
				}
			}
			return k.showApplied(applied)
		},
	}
	cmd.Flags().StringArrayVarP(&files, "file", "f", nil, "file to read; - for standard input; may be given several times")
	w.flags(cmd, "ready")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "only show what would be done")
	return cmd
}

func (k kit) read(files []string) ([]*group, error) {
	if len(files) == 0 {
		return nil, clikit.Usage("which file?").WithHint("fairlead apply -f FILE, or -f - for standard input")
	}
	var all []manifest
	for _, name := range files {
		data, err := k.ReadFile(name, 1<<20)
		if err != nil {
			return nil, err
		}
		some, err := parse(shown(name), data)
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	return groups(all, k.Where)
}

// send applies environment by environment. When one is refused, those before
// it stand, and the error says so.
func send(ctx context.Context, s *clikit.Session, sets []*group) ([]apiclient.AppliedResource, error) {
	var applied []apiclient.AppliedResource
	for i, g := range sets {
		requests := make([]apiclient.ResourceRequest, len(g.items))
		for i, m := range g.items {
			requests[i] = m.request
		}
		set, err := clikit.Read[apiclient.AppliedSet](s.ApplyResources(ctx, g.Project, g.Environment,
			apiclient.ApplyResourcesJSONRequestBody{Resources: &requests}))
		if err != nil {
			err = g.located(err)
			if i > 0 {
				f := clikit.Fault(err)
				return applied, fault.New(f.Kind, f.Code, "%s (%s was not applied; the %d environments before it were)", f.Message, g.Where, i).
					WithHint("%s", f.Hint).WithField(f.Field).WithViolations(f.Violations...).WithCause(err)
			}
			return applied, err
		}
		applied = append(applied, set.Resources...)
	}
	return applied, nil
}

func (k kit) showApplied(applied []apiclient.AppliedResource) error {
	type row = apiclient.AppliedResource
	return clikit.PrintList(k.CLI, applied, func(r row) string { return r.Resource.Name }, "",
		clikit.Column[row]{Title: "NAME", Cell: func(r row) string { return r.Resource.Name }},
		clikit.Column[row]{Title: "ENVIRONMENT", Cell: func(r row) string { return r.Resource.Project + "/" + r.Resource.Environment }},
		clikit.Column[row]{Title: "OUTCOME", Cell: func(r row) string { return string(r.Outcome) }},
		clikit.Column[row]{Title: "PHASE", Cell: func(r row) string { return string(r.Resource.Phase) }, Paint: clikit.Style.Phase})
}

// planned is what would become of one described resource.
type planned struct {
	Name        string                  `json:"name"`
	Project     string                  `json:"project"`
	Environment string                  `json:"environment"`
	Exists      bool                    `json:"exists"`
	After       string                  `json:"after,omitempty"` // what is made before it, and cannot be planned without
	Plan        *apiclient.ResourcePlan `json:"plan,omitempty"`
}

func (k kit) dryRun(ctx context.Context, s *clikit.Session, sets []*group) error {
	var out []planned
	for _, g := range sets {
		for i, m := range g.items {
			p, err := planOne(ctx, at{s, g.Where}, m)
			if p.After = g.sibling(m, err); p.After != "" {
				p.Plan, err = nil, nil
			}
			if err != nil {
				one := &group{Where: g.Where, items: g.items[i : i+1]}
				return one.located(err)
			}
			out = append(out, p)
		}
	}
	if k.Machine() || k.NamesOnly() {
		return clikit.PrintList(k.CLI, out, func(p planned) string { return p.Name }, "")
	}
	return k.Human(func(t *clikit.Text) {
		for _, p := range out {
			t.Section(clikit.Clean(p.Project + "/" + p.Environment + " " + p.Name))
			if p.Plan == nil {
				t.Line("  refers to %s, and is planned once that is made", clikit.Clean(p.After))
				continue
			}
			showPlan(t, *p.Plan)
		}
	})
}

var referred = regexp.MustCompile(`resources\.([a-z0-9-]+)\.`)

// sibling gives what m refers to when err says that it is not there and the
// same set makes it.
func (g *group) sibling(m manifest, err error) string {
	api, ok := errors.AsType[*apiclient.Error](err)
	if !ok || api.Code != "reference_not_found" {
		return ""
	}
	text, _ := m.node.Find("/spec" + api.Field).Value().(string)
	for _, found := range referred.FindAllStringSubmatch(text, -1) {
		for _, other := range g.items {
			if other.name == found[1] && other.name != m.name {
				return other.name
			}
		}
	}
	return ""
}

func planOne(ctx context.Context, a at, m manifest) (planned, error) {
	p := planned{Name: m.name, Project: a.Project, Environment: a.Environment}
	_, _, err := a.resource(ctx, m.name)
	var plan apiclient.ResourcePlan
	switch {
	case err == nil:
		p.Exists = true
		plan, err = clikit.Read[apiclient.ResourcePlan](a.PlanResourceChange(ctx, a.Project, a.Environment, m.name, &apiclient.PlanResourceChangeParams{},
			apiclient.ResourceChange{Inputs: m.request.Inputs, Version: m.request.Version}))
	case clikit.Fault(err).Kind == fault.NotFound:
		plan, err = clikit.Read[apiclient.ResourcePlan](a.PlanResource(ctx, a.Project, a.Environment, m.request))
	}
	p.Plan = &plan
	return p, err
}

package resourcecli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"fairlead/internal/apiclient"
	"fairlead/internal/clikit"
)

type getFlags struct {
	all, destroyed          bool
	template, phase, search string
	sort                    string
}

func (k kit) get() *cobra.Command {
	var f getFlags
	cmd := &cobra.Command{
		Use: "get [TYPE] [NAME]", Short: "List resources, or show one",
		Long: "List the resources of the environment in use, or everywhere with --all. TYPE is resources (the default), templates, teams, projects or environments.",
		Example: "  fairlead get\n  fairlead get resources orders -o json\n  fairlead get --all --phase failed\n  fairlead get --sort -updated\n" +
			"  fairlead get templates",
		Args: clikit.Args(0, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			kind := "resources"
			if len(args) > 0 {
				kind = args[0]
			}
			switch strings.ToLower(kind) {
			case "resources", "resource", "res":
				if len(args) == 2 {
					return k.getOne(cmd.Context(), args[1])
				}
				return k.list(cmd.Context(), f)
			case "templates", "template", "teams", "team", "projects", "project", "environments", "environment", "env", "envs":
				return k.getOther(cmd, kind, args[1:])
			}
			if len(args) == 1 { // most likely a name
				return k.getOne(cmd.Context(), args[0])
			}
			return clikit.Usage("there is no type %q", clikit.Clean(kind)).WithHint("types are resources, templates, teams, projects and environments")
		},
	}
	fl := cmd.Flags()
	fl.BoolVarP(&f.all, "all", "A", false, "everywhere")
	fl.BoolVar(&f.destroyed, "destroyed", false, "also those that are gone")
	fl.StringVarP(&f.template, "template", "t", "", "only those made from this template")
	fl.StringVar(&f.phase, "phase", "", "only those in this phase: ready, failed, applying, …")
	fl.StringVar(&f.sort, "sort", "name", "by name, created or updated; with - before it the other way round")
	fl.StringVar(&f.search, "search", "", "part of the name")
	return cmd
}

// getOther runs the command that the type has of its own.
func (k kit) getOther(cmd *cobra.Command, kind string, rest []string) error {
	name := map[byte]string{'e': "env", 'p': "project"}[kind[0]]
	if strings.HasPrefix(kind, "temp") {
		name = "template"
	} else if name == "" {
		name = "team"
	}
	verb := []string{name, "ls"}
	if len(rest) > 0 {
		verb = []string{name, "show", rest[0]}
	}
	other, args, err := cmd.Root().Find(verb)
	if err != nil || other.RunE == nil || other == cmd.Root() {
		return clikit.Usage("this fairlead has no %s", clikit.Clean(kind))
	}
	other.SetContext(cmd.Context())
	return other.RunE(other, args)
}

func (k kit) getOne(ctx context.Context, name string) error {
	a, err := k.at()
	if err != nil {
		return err
	}
	r, _, err := a.resource(ctx, name)
	if err != nil {
		return err
	}
	return k.show(r)
}

func (k kit) list(ctx context.Context, f getFlags) error {
	s, err := k.Session()
	if err != nil {
		return err
	}
	params := apiclient.ListResourcesParams{Template: clikit.Some(f.template), Search: clikit.Some(f.search), Destroyed: clikit.Some(f.destroyed)}
	if f.phase != "" {
		phase := apiclient.ListResourcesParamsPhase(f.phase)
		params.Phase = &phase
	}
	if f.sort != "" {
		sort := apiclient.ListResourcesParamsSort(f.sort)
		params.Sort = &sort
	}
	var where clikit.Where
	if f.all {
		where, err = k.Asked()
	} else {
		where, err = k.Where()
	}
	if err != nil {
		return err
	}
	params.Project, params.Environment = clikit.Some(where.Project), clikit.Some(where.Environment)
	items, err := clikit.Pages(0, func(limit *int64, cursor *string) ([]apiclient.Resource, *string, error) {
		params.Limit, params.Cursor = limit, cursor
		p, err := clikit.Read[apiclient.PageResource](s.ListResources(ctx, &params))
		return p.Items, p.Next, err
	})
	if err != nil {
		return err
	}
	type row = apiclient.Resource
	columns := []clikit.Column[row]{
		{Title: "NAME", Cell: func(r row) string { return r.Name }},
		{Title: "TEMPLATE", Cell: func(r row) string { return r.Template + " " + r.TemplateVersion }},
		{Title: "PHASE", Cell: func(r row) string { return string(r.Phase) }, Paint: clikit.Style.Phase},
		{Title: "AGE", Cell: func(r row) string { return clikit.Age(r.CreatedAt) }},
		{Title: "BY", Cell: func(r row) string { return r.CreatedBy }},
		{Title: "WHY", Cell: func(r row) string {
			if clikit.Or(r.Paused) && r.Phase == "ready" {
				return "stopped; start it again: fairlead start " + r.Name
			}
			return clikit.Or(r.Message)
		}},
	}
	none := "no resources in " + where.String() + " yet; ask for one: fairlead request TEMPLATE NAME"
	if f.all {
		columns = append([]clikit.Column[row]{{Title: "ENVIRONMENT", Cell: func(r row) string { return r.Project + "/" + r.Environment }}}, columns...)
		none = "no resources that you may see"
	}
	return clikit.PrintList(k.CLI, items, func(r row) string { return r.Name }, none, columns...)
}

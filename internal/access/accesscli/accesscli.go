package accesscli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"fairlead/internal/apiclient"
	"fairlead/internal/clikit"
)

// maxPolicies is the largest policy text sent.
const maxPolicies = 8 << 20

// Commands gives the commands of this concern.
func Commands(c *clikit.CLI) []*cobra.Command {
	access := &cobra.Command{Use: "access", Short: "Who may do what, and why", GroupID: clikit.GroupGovern}
	policies := &cobra.Command{Use: "policies", Short: "The policies in force"}
	policies.AddCommand(showCommand(c), putCommand(c), checkCommand(c), versionsCommand(c))
	access.AddCommand(whyCommand(c), policies)
	return []*cobra.Command{access}
}

type whyFlags struct{ as, team, template, class, owner string }

func whyCommand(c *clikit.CLI) *cobra.Command {
	var f whyFlags
	cmd := &cobra.Command{
		Use: "why ACTION [TARGET]", Short: "Say which policy allows or refuses something, and what is missing",
		Long: "Ask access what it would decide, and why. Nothing is done.\n\n" +
			"TARGET is the name or id of what the action is on: a resource by its name in the environment in use or in -e, " +
			"or KIND/NAME such as environment/dev. Without one the action is asked for in the environment as a whole.",
		Example: "  fairlead access why resource:reveal orders\n" +
			"  fairlead access why resource:destroy orders --as ada -e shop/prod\n" +
			"  fairlead access why project:create team/payments",
		Args: clikit.Args(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error { return why(cmd, c, f, args) },
	}
	fl := cmd.Flags()
	fl.StringVar(&f.as, "as", "", "somebody else: name or id of a user or a robot")
	fl.StringVar(&f.team, "team", "", "the team that it belongs to")
	fl.StringVar(&f.template, "template", "", "the template that the resource is made from")
	fl.StringVar(&f.class, "class", "", "the class of the environment: development, staging or production")
	fl.StringVar(&f.owner, "owner", "", "id of the principal that it belongs to")
	return cmd
}

// placed are the kinds that live in an environment.
var placed = map[string]bool{"resource": true, "run": true, "environment": true}

func target(c *clikit.CLI, f whyFlags, action string, args []string) (apiclient.AccessTarget, error) {
	kind, _, _ := strings.Cut(action, ":")
	t := apiclient.AccessTarget{Team: clikit.Some(f.team), Template: clikit.Some(f.template), Class: clikit.Some(f.class), Owner: clikit.Some(f.owner)}
	name := ""
	if len(args) > 0 {
		name = args[0]
		if k, n, ok := strings.Cut(name, "/"); ok {
			kind, name = k, n
		}
		if strings.Contains(name, "_") { // no name has one, every id does
			t.ID = &name
		} else {
			t.Name = &name
		}
	}
	t.Kind = clikit.Some(kind)
	w, err := c.Place()
	if err != nil {
		return t, err
	}
	switch {
	case kind == "environment" && name != "":
		t.Project, t.Environment = clikit.Some(w.Project), &name
	case kind == "project" && name != "":
		t.Project = &name
	case kind == "team" && name != "":
		t.Team = &name
	case placed[kind] || (kind == "template" && strings.HasSuffix(action, ":use")):
		t.Project, t.Environment = clikit.Some(w.Project), clikit.Some(w.Environment)
	case kind == "project":
		t.Project = clikit.Some(w.Project)
	}
	return t, nil
}

func why(cmd *cobra.Command, c *clikit.CLI, f whyFlags, args []string) error {
	s, err := c.Session()
	if err != nil {
		return err
	}
	t, err := target(c, f, args[0], args[1:])
	if err != nil {
		return err
	}
	e, err := clikit.Read[apiclient.AccessExplanation](s.ExplainAccess(cmd.Context(),
		apiclient.ExplainAccessJSONRequestBody{Action: args[0], Principal: clikit.Some(f.as), Target: &t}))
	if err != nil {
		return err
	}
	answer := "denied"
	if e.Allowed {
		answer = "allowed"
	}
	return clikit.PrintOne(c, e, answer, func(t *clikit.Text) {
		t.Line("%s %s", t.Style.Bold(t.Style.Phase(answer)+":"), clikit.Clean(e.Summary))
		t.Pairs("  ",
			clikit.Pair{Key: "who", Value: strings.TrimSpace(e.Principal.Kind + " " + e.Principal.Name)},
			clikit.Pair{Key: "roles", Value: strings.Join(e.Roles, ", ")},
			clikit.Pair{Key: "policies", Value: fmt.Sprintf("version %d", e.Version)},
			clikit.Pair{Key: "would do", Value: strings.Join(e.WouldDo, ", ")})
		for _, p := range e.Deciding {
			t.Section(clikit.Clean(fmt.Sprintf("%s %s", p.Effect, p.ID)))
			indent(t, p.Text)
		}
		for _, n := range e.NearMiss {
			t.Section(clikit.Clean("would allow it, but: " + strings.Join(n.Missing, "; ")))
			t.Line("  %s", t.Style.Dim(clikit.Clean(n.ID)))
		}
		for _, bad := range clikit.Or(e.Errors) {
			t.Line("%s %s", t.Style.Yellow("could not be evaluated:"), clikit.Clean(bad))
		}
	})
}

func indent(t *clikit.Text, text string) {
	for line := range strings.Lines(strings.TrimSpace(clikit.CleanText(text))) {
		t.Line("  %s", strings.TrimRight(line, "\n"))
	}
}

package rolloutcli

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"fairlead/internal/apiclient"
	"fairlead/internal/clikit"
)

// Commands gives the commands of this concern.
func Commands(c *clikit.CLI) []*cobra.Command {
	k := kit{c}
	roll := &cobra.Command{Use: "rollout", Aliases: []string{"rollouts"}, Short: "Rollouts: a new version of a template for many resources, in waves", GroupID: clikit.GroupWork}
	roll.AddCommand(k.create(), k.list(), k.show(), k.members(), k.watch(), k.report(), k.decide("approve"), k.decide("reject"), k.rollback())
	for _, v := range verbs {
		roll.AddCommand(k.verb(v))
	}
	for _, cmd := range roll.Commands() {
		if strings.Contains(cmd.Use, " ROLLOUT") {
			cmd.ValidArgsFunction = k.Complete(1, rollouts)
		}
	}
	out := []*cobra.Command{roll, k.pin(), k.unpin(), k.pins(), k.exempt()}
	for _, cmd := range out[1:] {
		cmd.GroupID = clikit.GroupWork
	}
	return out
}

type kit struct{ *clikit.CLI }

// rollouts offers the newest of those that one may see.
func rollouts(ctx context.Context, s *clikit.Session, _ string) ([]cobra.Completion, error) {
	page, err := clikit.Read[apiclient.PageRollout](s.ListRollouts(ctx, &apiclient.ListRolloutsParams{}))
	var out []cobra.Completion
	for _, r := range page.Items {
		out = append(out, cobra.CompletionWithDesc(r.ID, clikit.Clean(r.Template+" to "+r.To+", "+string(r.State))))
	}
	return out, err
}

type row = apiclient.Rollout

func (k kit) get(ctx context.Context, s *clikit.Session, id string) (row, string, error) {
	return clikit.ReadTagged[row](s.GetRollout(ctx, id, &apiclient.GetRolloutParams{}))
}

// selection reads --select KEY=VALUE.
func selection(b *apiclient.RolloutRequest, list []string) error {
	for _, item := range list {
		for part := range strings.SplitSeq(item, ",") {
			key, value, ok := strings.Cut(part, "=")
			if !ok || value == "" {
				return clikit.Usage("--select %s selects nothing", clikit.Clean(part)).WithHint("as --select class=staging --select team=web; the keys are project, env, class and team")
			}
			switch key {
			case "project":
				b.Project = &value
			case "env", "environment":
				b.Environment = &value
			case "class":
				b.Class = clikit.Some(apiclient.RolloutRequestClass(value))
			case "team":
				b.Team = &value
			default:
				return clikit.Usage("--select knows no %s", clikit.Clean(key)).WithHint("the keys are project, env, class and team")
			}
		}
	}
	return nil
}

// failures reads "3" or "5%".
func failures(b *apiclient.RolloutRequest, text string) error {
	if text == "" {
		return nil
	}
	number, percent := strings.CutSuffix(text, "%")
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n < 0 {
		return clikit.Usage("--max-failures %s is no number and no share", clikit.Clean(text)).WithHint("as 2 or 5%%")
	}
	b.MaxFailures, b.Percent = &n, clikit.Some(percent)
	return nil
}

func (k kit) create() *cobra.Command {
	var b apiclient.RolloutRequest
	var to, from, waves, most, rollback, bake, patience, note string
	var parallel int64
	var selects []string
	var dry, yes, detach, wait bool
	cmd := &cobra.Command{
		Use: "create TEMPLATE", Short: "Plan a new version for every resource of a template, and bring it to them in waves", Args: clikit.Args(1, 1), ValidArgsFunction: k.Complete(1, k.Templates),
		Long: "Plan a new version for every resource of a template that you may change, show what it would do, and bring it to them in waves.\n\n" +
			"Every resource is planned as a single change would be; those to which the same is done are a group. Nothing is changed before it is started: here after a question, " +
			"at once with --yes, later with rollout start.",
		Example: "  fairlead rollout create postgres --to 2.0.0 --dry-run\n  fairlead rollout create postgres --to 2.0.0 --yes --wait\n" +
			"  fairlead rollout create postgres --to 2.0.0 --from '<2' --select class=staging --waves 10%,50%,100% --max-failures 2 --rollback all --bake 10m",
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := k.Session()
			if err != nil {
				return err
			}
			b.Template, b.To, b.From, b.Waves, b.Note = args[0], clikit.Some(to), clikit.Some(from), clikit.Some(waves), clikit.Some(note)
			b.Bake, b.Patience, b.Parallel = clikit.Some(bake), clikit.Some(patience), clikit.Some(parallel)
			b.Rollback, b.Start = clikit.Some(apiclient.RolloutRequestRollback(rollback)), clikit.Some(yes && !dry)
			if err := failures(&b, most); err != nil {
				return err
			}
			if err := selection(&b, selects); err != nil {
				return err
			}
			r, err := clikit.Read[row](s.CreateRollout(cmd.Context(), b))
			if err != nil {
				return err
			}
			if detach {
				return k.print(r, nil)
			}
			if r, err = k.follow(cmd.Context(), s, r, func(r row) bool { return r.State != "planning" }); err != nil {
				return err
			}
			if !dry && !yes && k.Interactive() {
				if err := k.write(cmd.Context(), s, r); err != nil {
					return err
				}
				if err := k.Confirm("This is what will be done.", "yes", "--yes"); err != nil {
					k.Note("nothing was changed; go on with: fairlead rollout start %s", r.ID)
					return err
				}
				if r, err = clikit.Read[row](s.StartRollout(cmd.Context(), r.ID, nil)); err != nil {
					return err
				}
			}
			if wait && !dry {
				return k.toItsEnd(cmd.Context(), s, r)
			}
			return k.write(cmd.Context(), s, r)
		},
	}
	f := cmd.Flags()
	f.StringVar(&to, "to", "", "the version, or a constraint; the newest stable by default")
	f.StringVar(&from, "from", "", "only resources made from such versions, as '<2' or 1.x")
	f.StringArrayVar(&selects, "select", nil, "only some: project=NAME, env=NAME, class=CLASS, team=NAME")
	f.StringVar(&waves, "waves", "", "class (the default), team, or a list such as 10%,50%,100% or staging,team:web,production")
	f.Int64Var(&parallel, "parallel", 0, "how many change at a time; 5 by default")
	f.StringVar(&most, "max-failures", "", "more than so many halt it: a number, or a share such as 5%; 0 by default")
	f.StringVar(&rollback, "rollback", "", "what a halt because of failures takes back: none, wave (the default) or all")
	f.StringVar(&bake, "bake", "", "how long a wave must stay healthy before the next one")
	f.StringVar(&patience, "patience", "", "how long one resource may take; 30m by default")
	f.StringVar(&note, "note", "", "why")
	f.BoolVar(&dry, "dry-run", false, "only plan and show; it can be started later")
	f.BoolVar(&yes, "yes", false, "start without a question")
	f.BoolVar(&detach, "detach", false, "do not wait for the plans either")
	f.BoolVar(&wait, "wait", false, "wait until it is over")
	_ = cmd.RegisterFlagCompletionFunc("rollback", clikit.Fixed("none", "wave", "all"))
	return cmd
}

func (k kit) list() *cobra.Command {
	var open bool
	var template, state, search string
	cmd := &cobra.Command{
		Use: "ls", Aliases: []string{"list"}, Short: "List rollouts, the newest first", Args: clikit.Args(0, 0),
		Long:    "List the rollouts that you may know of; --project narrows them to those with a member in it.",
		Example: "  fairlead rollout ls --open\n  fairlead rollout ls --project shop --search postgres",
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := k.Session()
			if err != nil {
				return err
			}
			w, err := k.Asked()
			if err != nil {
				return err
			}
			items, err := clikit.Pages(0, func(limit *int64, cursor *string) ([]row, *string, error) {
				p, err := clikit.Read[apiclient.PageRollout](s.ListRollouts(cmd.Context(), &apiclient.ListRolloutsParams{Limit: limit, Cursor: cursor, Open: clikit.Some(open), State: clikit.Some(apiclient.ListRolloutsParamsState(state)), Template: clikit.Some(template),
					Project: clikit.Some(w.Project), Search: clikit.Some(search)}))
				return p.Items, p.Next, err
			})
			if err != nil {
				return err
			}
			return clikit.PrintList(k.CLI, items, func(r row) string { return r.ID }, "there are no rollouts that you may know of; see what one would do: fairlead rollout create TEMPLATE --to VERSION --dry-run",
				clikit.Column[row]{Title: "ID", Cell: func(r row) string { return r.ID }},
				clikit.Column[row]{Title: "TEMPLATE", Cell: func(r row) string { return r.Template }},
				clikit.Column[row]{Title: "TO", Cell: func(r row) string { return r.To }},
				clikit.Column[row]{Title: "STATE", Cell: func(r row) string { return string(r.State) }, Paint: paint},
				clikit.Column[row]{Title: "BY", Cell: func(r row) string { return r.CreatedBy }},
				clikit.Column[row]{Title: "AGE", Cell: func(r row) string { return clikit.Age(r.CreatedAt) }},
				clikit.Column[row]{Title: "WHY", Cell: func(r row) string { return clikit.Or(r.Message) }})
		},
	}
	cmd.Flags().BoolVar(&open, "open", false, "only those that are not over")
	cmd.Flags().StringVar(&template, "template", "", "only of this template")
	cmd.Flags().StringVar(&search, "search", "", "part of the template's name, the version, the note or the author's name")
	cmd.Flags().StringVar(&state, "state", "", "only those in this state: planned, running, paused, halted, succeeded, reverted, …")
	k.CompleteFlag(cmd, "template", k.Templates)
	return cmd
}

func paint(s clikit.Style, text string) string {
	switch strings.TrimSpace(text) {
	case "halted", "failed", "stuck":
		return s.Red(text)
	case "succeeded", "done":
		return s.Green(text)
	case "reverting", "reverted", "paused", "aside":
		return s.Yellow(text)
	}
	return text
}

func (k kit) show() *cobra.Command {
	return &cobra.Command{
		Use: "show ROLLOUT", Short: "Show a rollout: its groups, its waves, and how far it is", Args: clikit.Args(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := k.Session()
			if err != nil {
				return err
			}
			r, _, err := k.get(cmd.Context(), s, args[0])
			if err != nil {
				return err
			}
			return k.write(cmd.Context(), s, r)
		},
	}
}

type member = apiclient.RolloutMember

func (k kit) page(ctx context.Context, s *clikit.Session, id string, p apiclient.ListRolloutMembersParams) ([]member, error) {
	return clikit.Pages(0, func(limit *int64, cursor *string) ([]member, *string, error) {
		p.Limit, p.Cursor = limit, cursor
		page, err := clikit.Read[apiclient.PageRolloutMember](s.ListRolloutMembers(ctx, id, &p))
		return page.Items, page.Next, err
	})
}

func (k kit) members() *cobra.Command {
	var state string
	var wave, group int64
	cmd := &cobra.Command{
		Use: "members ROLLOUT", Short: "List the resources of a rollout, with why one is left out or has failed", Args: clikit.Args(1, 1),
		Example: "  fairlead rollout members rol_01jd2v8n5k3q7x9w4m6p8r0t2y --state failed",
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := k.Session()
			if err != nil {
				return err
			}
			items, err := k.page(cmd.Context(), s, args[0], apiclient.ListRolloutMembersParams{State: clikit.Some(apiclient.ListRolloutMembersParamsState(state)),
				Wave: clikit.Some(wave), Group: clikit.Some(group)})
			if err != nil {
				return err
			}
			return clikit.PrintList(k.CLI, items, place, "nothing is in it that you may see",
				clikit.Column[member]{Title: "RESOURCE", Cell: place},
				clikit.Column[member]{Title: "STATE", Cell: func(m member) string { return string(m.State) }, Paint: paint},
				clikit.Column[member]{Title: "WAVE", Cell: func(m member) string { return number(m.Wave) }},
				clikit.Column[member]{Title: "GROUP", Cell: func(m member) string { return number(m.Group) }},
				clikit.Column[member]{Title: "FROM", Cell: func(m member) string { return m.From }},
				clikit.Column[member]{Title: "WHY", Cell: func(m member) string { return clikit.Or(m.Message) }},
				clikit.Column[member]{Title: "REMEDY", Cell: func(m member) string { return clikit.Or(m.Remedy) }})
		},
	}
	cmd.Flags().StringVar(&state, "state", "", "only those in this state: excluded, pending, applying, done, failed, aside, reverted, stuck, …")
	cmd.Flags().Int64Var(&wave, "wave", 0, "only those of this wave")
	cmd.Flags().Int64Var(&group, "group", 0, "only those of this group")
	return cmd
}

func place(m member) string { return m.Project + "/" + m.Environment + "/" + m.Resource }

func number(n *int64) string {
	if n == nil || *n == 0 {
		return ""
	}
	return strconv.FormatInt(*n, 10)
}

// report is all of a rollout, for programs.
type report struct {
	Rollout row      `json:"rollout"`
	Members []member `json:"members"`
}

func (k kit) report() *cobra.Command {
	return &cobra.Command{
		Use: "report ROLLOUT", Short: "Print all of a rollout: groups, waves, and what became of each resource", Args: clikit.Args(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := k.Session()
			if err != nil {
				return err
			}
			r, _, err := k.get(cmd.Context(), s, args[0])
			if err != nil {
				return err
			}
			all := report{Rollout: r}
			if all.Members, err = k.page(cmd.Context(), s, r.ID, apiclient.ListRolloutMembersParams{}); err != nil {
				return err
			}
			return clikit.PrintOne(k.CLI, all, r.ID, func(t *clikit.Text) {
				head(t, r)
				t.Section("Resources")
				var rows [][]string
				for _, m := range all.Members {
					took := ""
					if m.StartedAt != nil && m.FinishedAt != nil {
						took = clikit.Short(m.FinishedAt.Sub(*m.StartedAt))
					}
					rows = append(rows, []string{place(m), string(m.State), number(m.Wave), number(m.Group), m.From, took, clikit.Or(m.Message)})
				}
				t.Table("  ", []string{"RESOURCE", "STATE", "WAVE", "GROUP", "FROM", "TOOK", "WHY"}, rows)
			})
		},
	}
}

// write prints a rollout with those of its resources that need a look.
func (k kit) write(ctx context.Context, s *clikit.Session, r row) error {
	var looks []member
	if !k.Machine() && !k.NamesOnly() {
		for _, state := range []apiclient.ListRolloutMembersParamsState{"excluded", "failed", "stuck", "aside"} {
			if r.Members[string(state)] == 0 {
				continue
			}
			list, err := k.page(ctx, s, r.ID, apiclient.ListRolloutMembersParams{State: &state})
			if err != nil {
				return err
			}
			looks = append(looks, list...)
		}
	}
	return k.print(r, looks)
}

const shownLooks = 30

func (k kit) print(r row, looks []member) error {
	return clikit.PrintOne(k.CLI, r, r.ID, func(t *clikit.Text) {
		head(t, r)
		if len(looks) == 0 {
			return
		}
		t.Section("To look at")
		var rows [][]string
		for i, m := range looks {
			if i == shownLooks {
				t.Line("  and %d more: fairlead rollout members %s", len(looks)-i, r.ID)
				break
			}
			rows = append(rows, []string{place(m), string(m.State), clikit.Or(m.Message), clikit.Or(m.Remedy)})
		}
		t.Table("  ", []string{"RESOURCE", "STATE", "WHY", "REMEDY"}, rows)
	})
}

func head(t *clikit.Text, r row) {
	t.Line("%s  %s to %s  %s", t.Style.Bold(r.ID), clikit.Clean(r.Template), clikit.Clean(r.To), paint(t.Style, string(r.State)))
	finished := clikit.MomentOf(r.FinishedAt)
	if r.StartedAt != nil && r.FinishedAt != nil {
		finished += ", after " + clikit.Short(r.FinishedAt.Sub(*r.StartedAt))
	}
	t.Pairs("  ",
		clikit.Pair{Key: "why", Value: clikit.Or(r.Message)}, clikit.Pair{Key: "next", Value: clikit.Or(r.Hint)}, clikit.Pair{Key: "note", Value: clikit.Or(r.Note)},
		clikit.Pair{Key: "resources", Value: counted(r.Members)}, clikit.Pair{Key: "from", Value: clikit.Or(r.From)},
		clikit.Pair{Key: "failures", Value: allowed(r)}, clikit.Pair{Key: "bake", Value: clikit.Or(r.Bake)},
		clikit.Pair{Key: "made", Value: clikit.Moment(r.CreatedAt) + " by " + r.CreatedBy}, clikit.Pair{Key: "over", Value: finished})
	if len(r.Groups) > 0 {
		t.Section("Groups")
		for _, g := range r.Groups {
			total := int64(0)
			for _, n := range g.Members {
				total += n
			}
			title := clikit.Clean(g.Title)
			if g.Severity == "destructive" {
				title = t.Style.Red(title)
			}
			t.Line("  %d  %d instances: %s%s", g.Number, total, title, decision(r, g))
			for _, o := range g.Diff {
				t.Line("       %s %s", sign(string(o.Action)), clikit.Clean(o.Address))
				for _, a := range o.Attributes {
					t.Line("         %s %s%s", string(a.Op), clikit.Clean(a.Path), change(a))
				}
			}
		}
	}
	if len(r.Waves) > 0 {
		t.Section("Waves")
		var rows [][]string
		for _, w := range r.Waves {
			rows = append(rows, []string{strconv.FormatInt(w.Number, 10), w.Name, string(w.State), counted(w.Members)})
		}
		t.Table("  ", []string{"NR", "WAVE", "STATE", "RESOURCES"}, rows)
	}
}

func allowed(r row) string {
	text := strconv.FormatInt(r.MaxFailures, 10)
	if clikit.Or(r.Percent) {
		text += "%"
	}
	return "more than " + text + " halt it; then it takes back: " + string(r.Rollback)
}

func decision(r row, g apiclient.RolloutGroup) string {
	switch {
	case g.Waits:
		return fmt.Sprintf("\n       waits for somebody to agree: fairlead rollout approve %s %d", r.ID, g.Number)
	case clikit.Or(g.Decision) != "":
		return " (" + string(*g.Decision) + " by " + clikit.Clean(clikit.Or(g.DecidedBy)) + ")"
	}
	return ""
}

func sign(action string) string {
	switch action {
	case "create":
		return "+ create"
	case "delete":
		return "- delete"
	case "replace":
		return "-/+ replace"
	}
	return "~ " + action
}

func change(a apiclient.RolloutAttribute) string {
	text := func(v any) string {
		s := clikit.Clean(clikit.Value(v))
		if r := []rune(s); len(r) > 60 {
			return string(r[:60]) + "…"
		}
		return s
	}
	switch a.Op {
	case "+":
		return " = " + text(a.After)
	case "~":
		return ": " + text(a.Before) + " → " + text(a.After)
	}
	return ""
}

// counted says how many are in which state.
func counted(m map[string]int64) string {
	var parts []string
	for _, state := range []string{"unplanned", "pending", "applying", "upgraded", "done", "failed", "aside", "reverting", "reverted", "stuck", "excluded"} {
		if n := m[state]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, state))
		}
	}
	return strings.Join(parts, ", ")
}

package leasecli

import (
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"fairlead/internal/apiclient"
	"fairlead/internal/clikit"
)

type rule = apiclient.LeaseRule

func ruleCommand(c *clikit.CLI) *cobra.Command {
	cmd := &cobra.Command{Use: "rule", Aliases: []string{"rules"}, Short: "Rules: how long things of a class of environment may live"}
	cmd.AddCommand(listRules(c), setRule(c), removeRule(c))
	return cmd
}

func listRules(c *clikit.CLI) *cobra.Command {
	var class, kind, team, template string
	cmd := &cobra.Command{
		Use: "ls", Aliases: []string{"list"}, Short: "List the rules", Args: clikit.Args(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := c.Session()
			if err != nil {
				return err
			}
			items, err := clikit.Pages(0, func(limit *int64, cursor *string) ([]rule, *string, error) {
				p, err := clikit.Read[apiclient.PageLeaseRule](s.ListLeaseRules(cmd.Context(), &apiclient.ListLeaseRulesParams{Limit: limit, Cursor: cursor, Team: clikit.Some(team),
					Template: clikit.Some(template), Class: clikit.Some(apiclient.ListLeaseRulesParamsClass(class)), Kind: clikit.Some(apiclient.ListLeaseRulesParamsKind(kind))}))
				return p.Items, p.Next, err
			})
			if err != nil {
				return err
			}
			text := func(title string, cell func(rule) string) clikit.Column[rule] {
				return clikit.Column[rule]{Title: title, Cell: cell}
			}
			return clikit.PrintList(c, items, func(r rule) string { return r.ID }, "no rules: what asks for no lease has none; set one: fairlead lease rule set development --default 8h",
				text("CLASS", func(r rule) string { return string(r.Class) }),
				text("FOR", func(r rule) string { return orAny(string(clikit.Or(r.Kind)), "both") }),
				text("TEAM", func(r rule) string { return orAny(clikit.Or(r.Team), "any") }),
				text("TEMPLATE", func(r rule) string { return orAny(clikit.Or(r.Template), "any") }),
				text("DEFAULT", func(r rule) string { return orAny(clikit.Or(r.Default), "none") }),
				text("MAX", func(r rule) string { return orAny(clikit.Or(r.Max), "none") }),
				text("EXTEND", func(r rule) string { return orAny(clikit.Or(r.ExtendBy), "default") }),
				text("TIMES", func(r rule) string {
					if r.MaxExtensions == nil {
						return "any"
					}
					return strconv.FormatInt(*r.MaxExtensions, 10)
				}),
				text("REQUIRED", func(r rule) string {
					if clikit.Or(r.Required) {
						return "yes"
					}
					return "no"
				}),
				text("ID", func(r rule) string { return r.ID }))
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&class, "class", "", "only rules for this class of environment")
	_ = cmd.RegisterFlagCompletionFunc("class", clikit.Fixed("development", "staging", "production"))
	narrowing(c, cmd, &kind, &team, &template)
	return cmd
}

// narrowing adds the flags that say for what a rule is.
func narrowing(c *clikit.CLI, cmd *cobra.Command, kind, team, template *string) {
	fl := cmd.Flags()
	fl.StringVar(kind, "for", "", "resource or environment; both when left out")
	_ = cmd.RegisterFlagCompletionFunc("for", clikit.Fixed("resource", "environment"))
	fl.StringVar(team, "team", "", "only this team's")
	c.CompleteFlag(cmd, "team", c.Teams)
	fl.StringVar(template, "template", "", "only resources of this template")
	c.CompleteFlag(cmd, "template", c.Templates)
}

func orAny(s, any string) string {
	if s == "" {
		return any
	}
	return s
}

func setRule(c *clikit.CLI) *cobra.Command {
	var b apiclient.SetLeaseRuleJSONRequestBody
	var kind, team, template, given, most, by string
	var times int64
	var warn []string
	var required bool
	cmd := &cobra.Command{
		Use: "set CLASS", Short: "Set a rule: make it, or change the one for the same class, kind, team and template", Args: clikit.Args(1, 1),
		Long: "Set how long things in environments of a class may live.\n\nThe rule that names a template holds before one that names a team, and that before one for all. " +
			"Leases that began keep their end.",
		Example:           "  fairlead lease rule set development --for environment --default 8h --max 7d --warn 24h --warn 1h\n  fairlead lease rule set staging --team payments --max 30d --required",
		ValidArgsFunction: clikit.Fixed("development", "staging", "production"),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := c.Session()
			if err != nil {
				return err
			}
			b.Class = apiclient.LeaseRuleSettingClass(args[0])
			b.Kind = clikit.Some(apiclient.LeaseRuleSettingKind(kind))
			b.Team, b.Template, b.Default, b.Max, b.ExtendBy = clikit.Some(team), clikit.Some(template), clikit.Some(given), clikit.Some(most), clikit.Some(by)
			if cmd.Flags().Changed("times") {
				b.MaxExtensions = &times
			}
			b.WarnBefore, b.Required = clikit.SomeList(warn), clikit.Some(required)
			r, err := clikit.Read[rule](s.SetLeaseRule(cmd.Context(), nil, b))
			if err != nil {
				return err
			}
			return clikit.PrintOne(c, r, r.ID, func(t *clikit.Text) {
				t.Line("%s  default %s, at most %s, warned %s before", t.Style.Bold(string(r.Class)), orAny(clikit.Or(r.Default), "none"), orAny(clikit.Or(r.Max), "any"),
					orAny(strings.Join(clikit.Or(r.WarnBefore), " and "), "never"))
			})
		},
	}
	fl := cmd.Flags()
	narrowing(c, cmd, &kind, &team, &template)
	fl.StringVar(&given, "default", "", "given to who asks for none, such as 8h")
	fl.StringVar(&most, "max", "", "at most, extensions included, such as 7d")
	fl.StringVar(&by, "extend-by", "", "at most at a time; the default when left out")
	fl.Int64Var(&times, "times", 0, "how often it can be extended; as often as fits when left out")
	fl.StringSliceVar(&warn, "warn", nil, "how long before the end its owner is warned; may be given several times; 24h and 1h when left out")
	fl.BoolVar(&required, "required", false, "everything has a lease")
	return cmd
}

func removeRule(c *clikit.CLI) *cobra.Command {
	return &cobra.Command{
		Use: "rm ID", Aliases: []string{"delete"}, Short: "Take a rule away; fairlead lease rule ls shows its id", Args: clikit.Args(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := c.Session()
			if err != nil {
				return err
			}
			if err := clikit.Done(s.DeleteLeaseRule(cmd.Context(), args[0], nil)); err != nil {
				return err
			}
			c.Note("the rule is gone; leases that began keep their end")
			return nil
		},
	}
}

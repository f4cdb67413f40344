package notifycli

import (
	"github.com/spf13/cobra"

	"fairlead/internal/apiclient"
	"fairlead/internal/clikit"
)

func notifications(c *clikit.CLI) *cobra.Command {
	cmd := feedCommand(c)
	cmd.AddCommand(readCommand(c), muteCommand(c), mailCommand(c), choiceCommand(c))
	return cmd
}

// choose changes the caller's choice, and prints it.
func choose(c *clikit.CLI, cmd *cobra.Command, change apiclient.PutNotificationsJSONRequestBody) error {
	s, err := c.Session()
	if err != nil {
		return err
	}
	n, err := clikit.Read[apiclient.Notifications](s.PutNotifications(cmd.Context(), change))
	if err != nil {
		return err
	}
	return clikit.PrintOne(c, n, "notifications", func(t *clikit.Text) {
		if len(n.Muted)+len(n.Quiet)+len(n.Mailed) == 0 {
			t.Line("as by default; see fairlead notifications show")
		}
		for _, m := range n.Muted {
			t.Line("no mail about %s", clikit.Clean(m))
		}
		for _, m := range n.Quiet {
			t.Line("no bell for %s", clikit.Clean(m))
		}
		for _, m := range n.Mailed {
			t.Line("mail about %s", clikit.Clean(m))
		}
	})
}

// named gives the types that are named, or none where that is said.
func named(args []string, none bool) ([]string, error) {
	if none != (len(args) == 0) {
		return nil, clikit.Usage("say which types, or --none")
	}
	return append([]string{}, args...), nil
}

func muteCommand(c *clikit.CLI) *cobra.Command {
	var none, bell bool
	cmd := &cobra.Command{
		Use: "mute [TYPE]...", Short: "Get no mail about these types of events, such as lease.*; with --bell the bell does not ring for them", Args: clikit.Args(0, 50),
		Long: "Get no mail about these types of events and no others: what was muted before is not any more. " +
			"With --bell the bell does not ring for them instead; they are in the list all the same. It always rings for what waits for you, has failed, or is about to be destroyed.",
		Example: "  fairlead notifications mute 'lease.*' approval.approved\n  fairlead notifications mute --bell rollout.finished\n  fairlead notifications mute --none",
		RunE: func(cmd *cobra.Command, args []string) error {
			types, err := named(args, none)
			if err != nil {
				return err
			}
			if bell {
				return choose(c, cmd, apiclient.PutNotificationsJSONRequestBody{Quiet: &types})
			}
			return choose(c, cmd, apiclient.PutNotificationsJSONRequestBody{Muted: &types})
		},
	}
	cmd.Flags().BoolVar(&none, "none", false, "mute nothing any more")
	cmd.Flags().BoolVar(&bell, "bell", false, "on the bell, not by mail")
	return cmd
}

func mailCommand(c *clikit.CLI) *cobra.Command {
	var none bool
	cmd := &cobra.Command{
		Use: "mail [TYPE]...", Short: "Get mail also about run.failed or drift.detected, which nobody gets by default", Args: clikit.Args(0, 50),
		Example: "  fairlead notifications mail run.failed",
		RunE: func(cmd *cobra.Command, args []string) error {
			types, err := named(args, none)
			if err != nil {
				return err
			}
			return choose(c, cmd, apiclient.PutNotificationsJSONRequestBody{Mailed: &types})
		},
	}
	cmd.Flags().BoolVar(&none, "none", false, "as it is by default")
	return cmd
}

func choiceCommand(c *clikit.CLI) *cobra.Command {
	return &cobra.Command{
		Use: "show", Short: "Show what the bell rings for, and what you get mail about", Args: clikit.Args(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := c.Session()
			if err != nil {
				return err
			}
			n, err := clikit.Read[apiclient.Notifications](s.GetNotifications(cmd.Context()))
			if err != nil {
				return err
			}
			return printChoice(c, n)
		},
	}
}

type kind = apiclient.NotificationKind

func printChoice(c *clikit.CLI, n apiclient.Notifications) error {
	if c.Machine() {
		return clikit.PrintOne(c, n, "notifications", func(*clikit.Text) {})
	}
	return clikit.PrintList(c, n.Kinds, func(k kind) string { return k.Type }, "",
		clikit.Column[kind]{Title: "TYPE", Cell: func(k kind) string { return k.Type }},
		clikit.Column[kind]{Title: "BELL", Cell: func(k kind) string {
			if k.Bell == apiclient.NotificationKindBellNone {
				return ""
			}
			return string(k.Bell)
		}},
		clikit.Column[kind]{Title: "MAIL", Cell: func(k kind) string {
			if k.Mail {
				return "on"
			}
			return "off"
		}},
		clikit.Column[kind]{Title: "WHAT", Cell: func(k kind) string { return k.Title }})
}

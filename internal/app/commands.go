package app

import (
	"github.com/spf13/cobra"

	"fairlead/internal/access/accesscli"
	"fairlead/internal/approval/approvalcli"
	"fairlead/internal/audit/auditcli"
	"fairlead/internal/backup/backupcli"
	"fairlead/internal/calendar/calendarcli"
	"fairlead/internal/clikit"
	"fairlead/internal/cost/costcli"
	"fairlead/internal/drift/driftcli"
	"fairlead/internal/engines/enginescli"
	"fairlead/internal/feedback/feedbackcli"
	"fairlead/internal/guardrail/guardrailcli"
	"fairlead/internal/identity/identitycli"
	"fairlead/internal/lease/leasecli"
	"fairlead/internal/notify/notifycli"
	"fairlead/internal/project/projectcli"
	"fairlead/internal/quota/quotacli"
	"fairlead/internal/resource/resourcecli"
	"fairlead/internal/rollout/rolloutcli"
	"fairlead/internal/setup/setupcli"
	"fairlead/internal/source/sourcecli"
	"fairlead/internal/state/statecli"
	"fairlead/internal/system/systemcli"
	"fairlead/internal/template/templatecli"
	"fairlead/internal/why/whycli"
)

// clientCommands are the commands that ask a server, through its API alone.
func clientCommands(kit *clikit.CLI) []*cobra.Command {
	var out []*cobra.Command
	for _, face := range []func(*clikit.CLI) []*cobra.Command{
		resourcecli.Commands, rolloutcli.Commands, identitycli.Commands, projectcli.Commands, templatecli.Commands, statecli.Commands, enginescli.Commands, approvalcli.Commands,
		whycli.Commands, driftcli.Commands, leasecli.Commands, calendarcli.Commands, guardrailcli.Commands, accesscli.Commands, quotacli.Commands, costcli.Commands, notifycli.Commands, setupcli.Commands, feedbackcli.Commands, auditcli.Commands, backupcli.Commands, systemcli.Commands,
	} {
		out = append(out, face(kit)...)
	}
	for _, cmd := range out {
		if cmd.Name() == "template" {
			cmd.AddCommand(sourcecli.Below(kit)...)
		}
	}
	return append(out, versionCommand(kit))
}

// programVersion is what fairlead version says, for programs.
type programVersion struct {
	Version string `json:"version"`
}

func versionCommand(kit *clikit.CLI) *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", GroupID: clikit.GroupServer, Args: clikit.Args(0, 0),
		RunE: func(*cobra.Command, []string) error {
			return clikit.PrintOne(kit, programVersion{Version}, Version, func(t *clikit.Text) { t.Line("fairlead %s", Version) })
		},
	}
}

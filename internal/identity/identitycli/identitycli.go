package identitycli

import (
	"github.com/spf13/cobra"
	"strings"

	"fairlead/internal/clikit"
)

// Commands gives the commands of this concern.
func Commands(c *clikit.CLI) []*cobra.Command {
	k := kit{c}
	team := &cobra.Command{Use: "team", Aliases: []string{"teams"}, Short: "Teams and their members", GroupID: clikit.GroupSetup}
	members := &cobra.Command{Use: "members", Short: "Who has a role in a team"}
	members.AddCommand(k.memberList(), k.memberAdd(), k.memberRemove())
	team.AddCommand(k.teamCreate(), k.teamList(), k.teamShow(), k.teamDelete(), members)
	user := &cobra.Command{Use: "user", Aliases: []string{"users"}, Short: "Users", GroupID: clikit.GroupSetup}
	user.AddCommand(k.userCreate(), k.userList(), k.userShow(), k.userDisable(), k.userEnable(), k.userLink(), k.userReset(), k.userRole("grant"), k.userRole("revoke"))
	for _, cmd := range user.Commands() {
		if strings.Contains(cmd.Use, " NAME") && cmd.Name() != "create" {
			cmd.ValidArgsFunction = k.Complete(1, users)
		}
	}
	robot := &cobra.Command{Use: "robot", Aliases: []string{"robots"}, Short: "Robots: machine identities of a team", GroupID: clikit.GroupSetup}
	robot.AddCommand(k.robotCreate(), k.robotList(), k.robotDisable())
	token := &cobra.Command{Use: "token", Aliases: []string{"tokens"}, Short: "Tokens for the API: create, list, revoke", GroupID: clikit.GroupSetup}
	token.AddCommand(k.tokenCreate(), k.tokenList(), k.tokenRevoke())
	out := []*cobra.Command{k.login(), k.logout(), k.whoami(), k.password(), team, user, robot, token}
	for _, cmd := range out {
		if cmd.GroupID == "" {
			cmd.GroupID = clikit.GroupSetup
		}
	}
	return out
}

// kit is what the commands share.
type kit struct{ *clikit.CLI }

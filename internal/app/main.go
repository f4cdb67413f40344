package app

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"fairlead/internal/clikit"
)

// Main runs the command line and gives the exit code.
func Main(args []string, in io.Reader, out, errOut io.Writer) int {
	kit := clikit.New(clikit.Options{In: in, Out: out, Err: errOut, Version: Version})
	return kit.Execute(context.Background(), commands(kit), args)
}

// commands is the whole command line.
func commands(kit *clikit.CLI) *cobra.Command {
	root := kit.Root()
	for _, c := range serverCommands() {
		c.GroupID = clikit.GroupServer
		root.AddCommand(c)
	}
	root.AddCommand(clientCommands(kit)...)
	return root
}

// serverCommands work without a server: they are it, or describe it.
func serverCommands() []*cobra.Command {
	return []*cobra.Command{upCommand(), restoreCommand(), openDumpCommand(), openapiCommand()}
}

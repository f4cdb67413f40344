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
	root := kit.Root()
	for _, c := range serverCommands() {
		c.GroupID = clikit.GroupServer
		root.AddCommand(c)
	}
	root.AddCommand(clientCommands(kit)...)
	return kit.Execute(context.Background(), root, args)
}

// serverCommands work without a server: they are it, or describe it.
func serverCommands() []*cobra.Command {
	return []*cobra.Command{upCommand(), restoreCommand(), openDumpCommand(), openapiCommand()}
}

package app

import (
	"context"
	"errors"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"fairlead/internal/clikit"
	"fairlead/internal/fault"
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
		run := c.RunE
		c.RunE = func(cmd *cobra.Command, args []string) error { return withReason(run(cmd, args)) }
		root.AddCommand(c)
	}
	root.AddCommand(clientCommands(kit)...)
	return root
}

// serverCommands work without a server: they are it, or describe it.
func serverCommands() []*cobra.Command {
	return []*cobra.Command{upCommand(), restoreCommand(), openDumpCommand(), openapiCommand()}
}

// withReason adds what is below a fault to what it says: whoever runs a server
// on this machine sees the disk and the address that it is about, and has no
// log to look into yet.
func withReason(err error) error {
	f, ok := errors.AsType[*fault.Error](err)
	if !ok || f.Unwrap() == nil {
		return err
	}
	var last error
	for next := f.Unwrap(); next != nil; next = errors.Unwrap(next) {
		last = next
	}
	reason := strings.Join(strings.Fields(last.Error()), " ")
	if reason == "" || strings.Contains(f.Message, reason) {
		return err
	}
	told := *f
	told.Message += ": " + reason
	return &told
}

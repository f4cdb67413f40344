package clikit

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"charm.land/fang/v2"
	"github.com/spf13/cobra"

	"fairlead/internal/fault"
)

// Options says what a CLI works with. Nil fields are the process's own.
type Options struct {
	In       io.Reader
	Out, Err io.Writer
	Getenv   func(string) string
	Version  string
	HTTP     *http.Client // below the API client
}

// CLI is one call of the command line: where it reads and writes, and what
// the flags that all commands share say.
type CLI struct {
	in       io.Reader
	out, err io.Writer
	getenv   func(string) string
	version  string
	http     *http.Client
	outStyle Style
	errStyle Style

	format      format
	flagOutput  string
	flagServer  string
	flagProject string
	flagEnv     string
	flagQuiet   bool
	session     *Session
	failed      error
	ran         *cobra.Command // what failed, if it did, and what it was given
	given       []string
	interrupted <-chan struct{} // closed at the first Ctrl-C
	passedOver  bool            // it was said that XDG_CONFIG_HOME does not count
}

// New makes a CLI.
func New(o Options) *CLI {
	c := &CLI{in: o.In, out: o.Out, err: o.Err, getenv: o.Getenv, version: o.Version, http: o.HTTP}
	if c.in == nil {
		c.in = os.Stdin
	}
	if c.out == nil {
		c.out = os.Stdout
	}
	if c.err == nil {
		c.err = os.Stderr
	}
	if c.getenv == nil {
		c.getenv = os.Getenv
	}
	c.outStyle, c.errStyle = Style{colours(c.out, c.getenv)}, Style{colours(c.err, c.getenv)}
	return c
}

// In is what commands read.
func (c *CLI) In() io.Reader { return c.in }

// Out is where results go.
func (c *CLI) Out() io.Writer { return c.out }

// Err is where everything else goes.
func (c *CLI) Err() io.Writer { return c.err }

// Env gives a variable of the environment, "" when it is not set.
func (c *CLI) Env(name string) string { return c.getenv(name) }

// Style colours what goes to Out.
func (c *CLI) Style() Style { return c.outStyle }

// Interactive tells whether somebody is there to be asked.
func (c *CLI) Interactive() bool { return isTerminal(c.in) && isTerminal(c.err) }

// Groups of commands in the help.
const (
	GroupWork   = "work"
	GroupSetup  = "setup"
	GroupGovern = "govern"
	GroupServer = "server"
)

// Root makes the command that all others hang below.
func (c *CLI) Root() *cobra.Command {
	root := &cobra.Command{
		Use:   "fairlead",
		Short: "Developer self-service infrastructure",
		Long: "Ask for a database, a service, an environment - and have it in seconds.\n\n" +
			"Commands talk to a Fairlead server: sign in with fairlead login, or set FAIRLEAD_URL and FAIRLEAD_TOKEN.",
		Example: "  fairlead login --server http://127.0.0.1:8080 --user ada\n" +
			"  fairlead use shop/dev\n" +
			"  fairlead request postgres orders --wait\n" +
			"  fairlead connect orders",
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.AddGroup(
		&cobra.Group{ID: GroupWork, Title: "resources"},
		&cobra.Group{ID: GroupSetup, Title: "teams, projects, templates"},
		&cobra.Group{ID: GroupGovern, Title: "rules, limits, records"},
		&cobra.Group{ID: GroupServer, Title: "server"},
	)
	root.SetCompletionCommandGroupID(GroupServer)
	root.SetHelpCommandGroupID(GroupServer)
	root.SetIn(c.in)
	root.SetOut(c.out)
	root.SetErr(c.err)
	f := root.PersistentFlags()
	f.StringVarP(&c.flagOutput, "output", "o", "", "how to print: table, json, yaml or name")
	f.StringVar(&c.flagServer, "server", "", "the server's URL (FAIRLEAD_URL)")
	f.StringVarP(&c.flagProject, "project", "p", "", "project (FAIRLEAD_PROJECT)")
	f.StringVarP(&c.flagEnv, "environment", "e", "", "environment, or PROJECT/ENVIRONMENT (FAIRLEAD_ENV)")
	f.BoolVarP(&c.flagQuiet, "quiet", "q", false, "no progress")
	c.CompleteFlag(root, "project", c.Projects)
	c.CompleteFlag(root, "environment", c.Environments)
	_ = root.RegisterFlagCompletionFunc("output", Fixed("table", "json", "yaml", "name"))
	root.AddCommand(topics()...)
	return root
}

// Execute runs the command line and gives the exit code. Everything that went
// wrong has been said by then. The first interrupt ends what is being waited
// for; the second ends the program at once.
func (c *CLI) Execute(ctx context.Context, root *cobra.Command, args []string) int {
	ctx, stop := c.interruptible(ctx)
	defer stop()
	c.interrupted = ctx.Done()
	root.SetArgs(args)
	root.InitDefaultHelpCmd()
	helpChecks(root)
	c.prepare(root)
	c.format = scanFormat(args) // so that a wrong flag is also told in the format asked for
	err := fang.Execute(ctx, root, fang.WithVersion(c.version),
		fang.WithErrorHandler(func(io.Writer, fang.Styles, error) {}))
	if err != nil {
		err = usageFault(root, args, err)
	} else {
		err = c.failed
	}
	if errors.Is(err, context.Canceled) || (err != nil && ctx.Err() != nil && !errors.Is(err, fault.New(fault.Unavailable, codeInterrupted, ""))) {
		err = Interrupted("interrupted").WithCause(err)
	}
	c.explain(err)
	c.printError(err)
	return ExitCode(err)
}

// sameSignal is for how long a signal is still the first one: timeout(1) and
// some supervisors signal the process and then its whole group.
const sameSignal = time.Second

// interruptible ends the context at the first interrupt, and the process at
// the second, silently.
func (c *CLI) interruptible(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancel(ctx)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	done := make(chan struct{})
	go func() {
		var first time.Time
		for {
			select {
			case <-signals:
				switch {
				case first.IsZero():
					first = time.Now()
					cancel()
				case time.Since(first) > sameSignal:
					os.Exit(ExitInterrupted)
				}
			case <-done:
				return
			}
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		close(done)
		cancel()
	}
}

// prepare lets every command's error past fang, which would ask the terminal
// for its colours before it prints one, and checks the shared flags first.
func (c *CLI) prepare(cmd *cobra.Command) {
	for _, sub := range cmd.Commands() {
		c.prepare(sub)
	}
	if cmd.HasSubCommands() && cmd.HasParent() && cmd.RunE == nil && cmd.Run == nil {
		cmd.Args = cobra.ArbitraryArgs
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cmd.Help()
			}
			return noCommand(cmd, args[0])
		}
	} else if cmd.HasSubCommands() && cmd.HasParent() && cmd.Args != nil {
		// What follows it is a misspelt command rather than one argument too many.
		own := cmd.Args
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			err := own(cmd, args)
			if err == nil || len(args) == 0 {
				return err
			}
			if takesNone := own(cmd, []string{""}) != nil && own(cmd, nil) == nil; takesNone || nearCommand(cmd, args[0]) != "" {
				return noCommand(cmd, args[0])
			}
			return err
		}
	}
	run := cmd.RunE
	if run == nil {
		return
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var err error
		if own := cmd.Annotations[ownOutput]; own == "" {
			c.format, err = parseFormat(c.flagOutput)
		}
		if err == nil {
			err = run(cmd, args)
		}
		c.failed, c.ran, c.given = err, cmd, args
		return nil
	}
}

const ownOutput = "fairlead/own-output"

// OwnOutput marks a command that gives -o a meaning of its own.
func OwnOutput(cmd *cobra.Command) *cobra.Command {
	if cmd.Annotations == nil {
		cmd.Annotations = map[string]string{}
	}
	cmd.Annotations[ownOutput] = "yes"
	return cmd
}

// usageFault turns what cobra says about a command line into a fault.
func usageFault(root *cobra.Command, args []string, err error) error {
	if f, ok := errors.AsType[*fault.Error](err); ok {
		return f
	}
	at := root
	if found, _, ferr := root.Find(args); ferr == nil && found != nil {
		at = found
	}
	text, _, _ := strings.Cut(strings.TrimSpace(err.Error()), "\n")
	if at == root && len(args) > 0 {
		if near := root.SuggestionsFor(args[0]); len(near) > 0 {
			return Usage("%s", clean(text)).WithHint("did you mean: %s", strings.Join(near, ", ")).WithCause(err)
		}
	}
	return Usage("%s", clean(text)).WithHint("see: %s --help", at.CommandPath()).WithCause(err)
}

// Args gives an argument check that says what is expected.
func Args(least, most int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) >= least && (most < 0 || len(args) <= most) {
			return nil
		}
		what := "too few arguments"
		if len(args) >= least {
			what = "too many arguments"
		}
		return Usage("%s", what).WithHint("it goes: %s", cmd.UseLine())
	}
}

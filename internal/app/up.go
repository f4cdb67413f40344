package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"fairlead/internal/conf"
	"fairlead/internal/fault"
)

// Version is set by the linker for a release.
var Version = "dev"

// linkFile is where the first administrator's sign-in link is left, besides
// being printed, until it was used.
const linkFile = "first-sign-in-link"

func upCommand() *cobra.Command {
	var file string
	set := conf.Server{}
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Run the server",
		Long: `Run the server: one process, one data directory. With --store postgres://… any
number of servers share one store. Started again, it carries on where it was.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := conf.Load(file, os.Getenv)
			if err != nil {
				return err
			}
			for _, f := range []struct {
				flag, field string
				to, from    *string
			}{
				{"listen", "listen", &c.Listen, &set.Listen}, {"data", "data", &c.Data, &set.Data}, {"store", "store", &c.Store, &set.Store},
				{"public-url", "publicURL", &c.PublicURL, &set.PublicURL}, {"log-format", "logFormat", &c.LogFormat, &set.LogFormat}, {"log-level", "logLevel", &c.LogLevel, &set.LogLevel},
			} {
				if cmd.Flags().Changed(f.flag) {
					*f.to = *f.from
					c.SetFromFlag(f.field, "--"+f.flag)
				}
			}
			return up(cmd.Context(), c, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	d := conf.Default()
	f := cmd.Flags()
	f.StringVar(&file, "config", os.Getenv("FAIRLEAD_CONFIG"), "configuration file (FAIRLEAD_CONFIG)")
	f.StringVar(&set.Listen, "listen", d.Listen, "address to listen on (FAIRLEAD_LISTEN)")
	f.StringVar(&set.Data, "data", d.Data, "data directory (FAIRLEAD_DATA)")
	f.StringVar(&set.Store, "store", d.Store, "where records are kept: sqlite, or a postgres:// URL (FAIRLEAD_STORE)")
	f.StringVar(&set.PublicURL, "public-url", "", "how people reach this server (FAIRLEAD_PUBLIC_URL)")
	f.StringVar(&set.LogFormat, "log-format", d.LogFormat, "how to log: text or json (FAIRLEAD_LOG_FORMAT)")
	f.StringVar(&set.LogLevel, "log-level", d.LogLevel, "what to log: debug, info, warn or error (FAIRLEAD_LOG_LEVEL)")
	return cmd
}

// up runs a server until it is told to stop.
func up(ctx context.Context, c conf.Server, out, errOut io.Writer) error {
	if err := c.Check(); err != nil {
		return err
	}
	log, err := newLog(c, errOut)
	if err != nil {
		return err
	}
	slog.SetDefault(log)
	unlock, err := lockData(c.Data)
	if err != nil {
		return err
	}
	defer unlock()
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	// The address is taken first: a server that cannot listen starts nothing,
	// and leaves no credential behind. Who is early waits.
	var l net.Listener
	err = patiently(func() (err error) { l, err = new(net.ListenConfig).Listen(ctx, "tcp", c.Listen); return err })
	if err != nil {
		hint := "is another server there already? name another address with --listen"
		if !errors.Is(err, syscall.EADDRINUSE) {
			hint = "name an address of this machine, and a port that this account may use, with --listen"
		}
		return fault.New(fault.Conflict, "cannot_listen", "cannot listen on %s", c.Listen).WithHint("%s", hint).WithCause(err)
	}
	defer l.Close()
	c.ListensOn(l.Addr())
	// A failed fsync ends the process without another word to the disk.
	a, err := Build(ctx, c, log, func(error) { os.Exit(70) })
	if err != nil {
		return err
	}
	defer a.Close(context.WithoutCancel(ctx))
	if err := a.firstLink(ctx, out); err != nil {
		return err
	}
	fmt.Fprintf(out, "Fairlead %s listens on %s\n", Version, c.PublicURL)
	log.Info("up", "conf", c.String())

	var background sync.WaitGroup
	run, end := context.WithCancel(context.WithoutCancel(ctx))
	background.Go(func() { a.Run(run) })
	background.Go(func() { calm(run) })
	err = a.web.Serve(ctx, l, 10*time.Second)
	stop() // a second signal ends us at once
	log.Info("stopping: no new requests; work under way is handed back")
	end()
	background.Wait()
	if errors.Is(err, context.Canceled) {
		err = nil
	}
	return err
}

// firstLink prints the first administrator's sign-in link while nobody has
// ever signed in, and leaves it in a file that only this account can read.
func (a *App) firstLink(ctx context.Context, out io.Writer) error {
	issued, err := a.identity.Bootstrap(ctx)
	if err != nil {
		return err
	}
	file := filepath.Join(a.conf.Data, linkFile)
	if issued.Value.Empty() {
		if err := os.Remove(file); err != nil && !errors.Is(err, os.ErrNotExist) {
			a.log.Warn("the used sign-in link could not be removed", "file", file, "error", err)
		}
		return nil
	}
	link := a.conf.PublicURL + "/sign-in?link=" + url.QueryEscape(issued.Value.Reveal())
	if err := os.WriteFile(file, []byte(link+"\n"), 0o600); err != nil {
		return fault.New(fault.Unavailable, "data_directory_unusable", "the data directory cannot be written to").WithCause(err)
	}
	fmt.Fprintf(out, "First start. Sign in once, within 24 hours, as the first administrator:\n\n  %s\n\n", link)
	return nil
}

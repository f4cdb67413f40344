package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"fairlead/internal/backup"
	"fairlead/internal/conf"
	"fairlead/internal/fault"
	"fairlead/internal/secret/embedded"
	"fairlead/internal/sqldb"
)

type dumpFlags struct{ config, data, store, to string }

// openDumpCommand opens what Destroy kept. It needs the store and the master
// key, which are on this host, and no server; one may run.
func openDumpCommand() *cobra.Command {
	var f dumpFlags
	cmd := &cobra.Command{
		Use: "open-dump FILE", Short: "Decrypt the last dump of a destroyed database, on the server's host",
		Long: `Decrypt a last dump that was kept when a database was destroyed (DATA/dumps/NAME.dump.age).
It needs the server's data directory and store; the server may run. What comes
out is pg_dump's custom format: give it to pg_restore.`,
		Example: `  fairlead open-dump /var/lib/fairlead/dumps/orders_x7.dump.age --data /var/lib/fairlead | pg_restore --no-owner --no-privileges -d "$URL"`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.open(cmd.Context(), args[0], cmd.OutOrStdout())
		},
	}
	d := conf.Default()
	flags := cmd.Flags()
	flags.StringVar(&f.config, "config", os.Getenv("FAIRLEAD_CONFIG"), "the server's configuration file")
	flags.StringVar(&f.data, "data", "", "data directory (default "+d.Data+")")
	flags.StringVar(&f.store, "store", "", "the server's store: sqlite, or a postgres:// URL")
	flags.StringVar(&f.to, "to", "", "file to write, which must not be there yet; standard output when absent")
	return cmd
}

func (f dumpFlags) open(ctx context.Context, name string, out io.Writer) (err error) {
	c, err := conf.Load(f.config, os.Getenv)
	if err != nil {
		return err
	}
	if f.data != "" {
		c.Data = f.data
	}
	if f.store != "" {
		c.Store = f.store
	}
	if err := c.Check(); err != nil {
		return err
	}
	in, err := os.Open(name)
	if err != nil {
		return fault.New(fault.Invalid, "no_such_file", "%s cannot be read", name).WithCause(err)
	}
	defer in.Close()
	// A key made here would open nothing: there must be a store already.
	keys := filepath.Join(c.Data, "keys")
	if _, err := os.Stat(keys); err != nil && os.Getenv(embedded.KeyVariable) == "" {
		return fault.New(fault.Invalid, "no_master_key", "%s has no keys", c.Data).
			WithHint("name the server's data directory with --data").WithCause(err)
	}
	log := slog.New(slog.DiscardHandler)
	db, err := sqldb.Open(ctx, sqldb.Options{URL: c.StoreURL(), Log: log})
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	secrets, err := embedded.New(ctx, embedded.Options{DB: db, KeyDir: keys, Environment: os.Getenv(embedded.KeyVariable), Log: log})
	if err != nil {
		return err
	}
	dumps, err := backup.NewDumps(ctx, db, secrets)
	if err != nil {
		return err
	}
	plain, err := dumps.Open(ctx, in)
	if err != nil {
		return err
	}
	if f.to != "" {
		file, err := os.OpenFile(f.to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err != nil {
			return fault.New(fault.Invalid, "file_not_written", "%s cannot be written", f.to).WithHint("choose a name that is not there yet").WithCause(err)
		}
		defer func() {
			if err = errors.Join(err, file.Close()); err != nil {
				_ = os.Remove(f.to)
			}
		}()
		out = file
	}
	if _, err := io.Copy(out, plain); err != nil {
		return fmt.Errorf("the dump is damaged or was cut short; what was written is of no use: %w", err)
	}
	return nil
}

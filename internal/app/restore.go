package app

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"fairlead/internal/backup"
	"fairlead/internal/conf"
	"fairlead/internal/engine/postgres"
	"fairlead/internal/fault"
	"fairlead/internal/redact"
	"fairlead/internal/resource"
)

// buildBackup wires the backup of everything while it runs.
func (a *App) buildBackup(context.Context) error {
	a.backups = backup.NewService(backup.Options{DB: a.db, Authorizer: a.access, Keys: a.keyFiles, Log: a.log})
	return nil
}

// keyFiles gives what a backup needs besides the records.
func (a *App) keyFiles() (map[string]redact.Secret, error) {
	master, err := a.secrets.Keys()
	if err != nil {
		return nil, err
	}
	signing, err := a.audit.SigningKey()
	if err != nil {
		return nil, err
	}
	return map[string]redact.Secret{"master.key": master, "audit.pem": signing}, nil
}

// inventories is every engine that can list what it has made.
func (a *App) inventories() map[string]resource.Inventory {
	out := map[string]resource.Inventory{}
	for name, e := range a.engines {
		if pg, ok := e.(*postgres.Engine); ok {
			out[name] = postgresInventory{pg}
		}
	}
	return out
}

// postgresInventory fits the engine's list to what resource asks: without the
// pool, which has records of its own, and without what is being made.
type postgresInventory struct{ e *postgres.Engine }

func (p postgresInventory) Objects(ctx context.Context) ([]resource.Made, error) {
	all, err := p.e.Objects(ctx)
	var out []resource.Made
	for _, o := range all {
		if o.Pool == "" && !o.Unfinished {
			out = append(out, resource.Made{Object: o.Object, ResourceID: o.Resource, Doubt: o.Suspect})
		}
	}
	return out, err
}

type restoreFlags struct {
	config, data, store, identity, passphrase string
	brokenAudit                               bool
}

func restoreCommand() *cobra.Command {
	var f restoreFlags
	cmd := &cobra.Command{
		Use: "restore FILE", Short: "Put a backup into an empty data directory, with the server stopped",
		Long: `Put a backup into an empty data directory and store: all of it, or nothing. Then
what the engines have made is held against the records: external objects newer
than the backup are listed, and nothing is deleted.`,
		Example: "  fairlead restore fairlead.age --data ./data --identity-file key.txt",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			in := cmd.InOrStdin()
			if args[0] != "-" {
				file, err := os.Open(args[0])
				if err != nil {
					return fault.New(fault.Invalid, "no_such_file", "%s cannot be read", args[0]).
						WithHint("name the file that fairlead backup wrote, or - for standard input").WithCause(err)
				}
				defer file.Close()
				in = file
			}
			return restore(cmd.Context(), f, in, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	d := conf.Default()
	flags := cmd.Flags()
	flags.StringVar(&f.config, "config", os.Getenv("FAIRLEAD_CONFIG"), "configuration file")
	flags.StringVar(&f.data, "data", "", "data directory (default "+d.Data+")")
	flags.StringVar(&f.store, "store", "", "where to restore to: sqlite, or a postgres:// URL")
	flags.StringVar(&f.identity, "identity-file", "", "age key file that opens the backup")
	flags.StringVar(&f.passphrase, "passphrase-file", "", "file with the passphrase that opens the backup")
	flags.BoolVar(&f.brokenAudit, "allow-broken-audit", false, "restore although the audit chain does not verify")
	return cmd
}

func restore(ctx context.Context, f restoreFlags, in io.Reader, out, errOut io.Writer) error {
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
	open, err := decryption(f)
	if err != nil {
		return err
	}
	log, err := newLog(c, errOut)
	if err != nil {
		return err
	}
	unlock, err := lockData(c.Data)
	if err != nil {
		return err
	}
	defer unlock()
	report, err := backup.Restore(ctx, in, backup.RestoreOptions{
		URL: c.StoreURL(), KeyDir: filepath.Join(c.Data, "keys"), Open: open, AllowBrokenAudit: f.brokenAudit,
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "Restored the backup of %s: %d resources, audit records up to %d.\n",
		report.CreatedAt.Format("2006-01-02 15:04:05 MST"), report.Rows["resources"], report.AuditSeq)
	if report.AuditBroken != nil {
		fmt.Fprintf(out, "The audit chain does not verify: %v\n", report.AuditBroken)
	}
	a, err := Build(ctx, c, log, func(error) { os.Exit(70) })
	if err != nil {
		return err
	}
	defer a.Close(context.WithoutCancel(ctx))
	return a.reportNewer(ctx, out)
}

func decryption(f restoreFlags) (backup.Decryption, error) {
	read := func(name string) (redact.Secret, error) {
		b, err := os.ReadFile(name)
		if err != nil {
			return redact.Secret{}, fault.New(fault.Invalid, "no_such_file", "%s cannot be read", name).WithCause(err)
		}
		return redact.New(trimNewline(string(b))), nil
	}
	var d backup.Decryption
	var err error
	switch {
	case (f.identity == "") == (f.passphrase == ""):
		return d, fault.New(fault.Invalid, "usage", "say how to open the backup").WithHint("with --identity-file or --passphrase-file, one of them")
	case f.identity != "":
		d.Identities, err = read(f.identity)
	default:
		d.Passphrase, err = read(f.passphrase)
	}
	return d, err
}

func trimNewline(s string) string {
	for len(s) > 0 && (s[len(s)-1] == '\n' || s[len(s)-1] == '\r') {
		s = s[:len(s)-1]
	}
	return s
}

// reportNewer lists external objects that the restored records do not explain.
// Nothing is at work, so one look is enough.
func (a *App) reportNewer(ctx context.Context, out io.Writer) error {
	found, err := a.resources.SweepSuspects(ctx, 0)
	if err != nil {
		return err
	}
	for name, why := range found.NotLooked {
		fmt.Fprintf(out, "Engine %s could not be asked what it has made: %v. The server asks again by itself; see what it finds with: fairlead suspects\n", name, why)
	}
	for _, s := range found.Suspects {
		fmt.Fprintf(out, "Newer than the backup, left as it is: %s %s at %s (%s)\n", s.Kind, s.Name, s.Host, s.Reason)
	}
	if len(found.Suspects) > 0 {
		fmt.Fprintln(out, "Once the server runs, `fairlead suspects` lists them again; `fairlead suspects --help` tells what to do with them.")
	}
	if len(found.Suspects) == 0 && len(found.NotLooked) == 0 {
		fmt.Fprintln(out, "Every external object has its record.")
	}
	return nil
}

package resourcecli

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"fairlead/internal/apiclient"
	"fairlead/internal/clikit"
)

func (k kit) credentials() *cobra.Command {
	var format string
	cmd := clikit.OwnOutput(&cobra.Command{
		Use: "credentials NAME", Short: "Show a resource's outputs, secret ones too; recorded in the audit log",
		Example: "  fairlead credentials orders\n  eval \"$(fairlead credentials orders -o env)\"\n  fairlead credentials orders -o json | jq -r .outputs.url",
		Args:    clikit.Args(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := k.SetFormat(format, "env"); err != nil {
				return err
			}
			cr, err := k.reveal(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if format == "env" {
				return k.printEnv(cr)
			}
			return clikit.PrintOne(k.CLI, cr, cr.Name, func(t *clikit.Text) { t.Pairs("", pairs(cr.Outputs)...) })
		},
	})
	cmd.Flags().StringVarP(&format, "output", "o", "", "how to print: table, json, yaml, or env for a shell")
	return cmd
}

func (k kit) reveal(ctx context.Context, name string) (apiclient.ResourceCredentials, error) {
	a, err := k.at()
	if err != nil {
		return apiclient.ResourceCredentials{}, err
	}
	cr, err := clikit.Read[apiclient.ResourceCredentials](a.RevealCredentials(ctx, a.Project, a.Environment, name))
	if err == nil && len(cr.Outputs) == 0 {
		r, _, rerr := a.resource(ctx, name)
		if rerr != nil {
			return cr, rerr
		}
		err = clikit.Failure("no_outputs", "%s has no outputs yet: it is %s", clikit.Clean(name), r.Phase).WithHint("wait for it: fairlead logs -f %s", clikit.Clean(name))
	}
	return cr, err
}

func (k kit) printEnv(cr apiclient.ResourceCredentials) error {
	vars := pgEnv(cr.Outputs)
	if vars == nil {
		vars = map[string]string{}
		prefix := strings.ToUpper(strings.ReplaceAll(cr.Name, "-", "_")) + "_"
		for name, v := range cr.Outputs {
			vars[prefix+strings.ToUpper(strings.ReplaceAll(name, "-", "_"))] = clikit.Value(v)
		}
	} else if u, ok := cr.Outputs["url"].(string); ok {
		vars["DATABASE_URL"] = u
	}
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(vars)) {
		fmt.Fprintf(&b, "export %s='%s'\n", name, strings.ReplaceAll(vars[name], "'", `'\''`))
	}
	_, err := fmt.Fprint(k.Out(), b.String())
	return err
}

// pgEnv gives the variables by which PostgreSQL's programs connect; nil when
// the outputs are no database's.
func pgEnv(outputs map[string]any) map[string]string {
	vars := map[string]string{}
	for output, name := range map[string]string{"host": "PGHOST", "port": "PGPORT", "database": "PGDATABASE", "username": "PGUSER", "password": "PGPASSWORD"} {
		v := clikit.Value(outputs[output])
		if v == "" || strings.ContainsRune(v, 0) {
			return nil
		}
		vars[name] = v
	}
	if raw, ok := outputs["url"].(string); ok {
		if u, err := url.Parse(raw); err == nil {
			for param, name := range map[string]string{"sslmode": "PGSSLMODE", "sslrootcert": "PGSSLROOTCERT"} {
				if v := u.Query().Get(param); v != "" {
					vars[name] = v
				}
			}
		}
	}
	return vars
}

func (k kit) connect() *cobra.Command {
	return &cobra.Command{
		Use: "connect NAME [-- PSQL-ARGUMENTS]", Short: "Open psql on a database",
		Long:    "Open psql on a database with its own credentials. They go to psql by its environment and never onto a command line. Revealing them is recorded in the audit log.",
		Example: "  fairlead connect orders\n  fairlead connect orders -- -c 'select count(*) from items'",
		Args:    clikit.Args(1, -1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if dash := cmd.ArgsLenAtDash(); dash != 1 && len(args) > 1 {
				return clikit.Usage("too many arguments").WithHint("what is meant for psql comes after --: fairlead connect %s -- …", clikit.Clean(args[0]))
			}
			psql, err := k.findPsql(args[0])
			if err != nil {
				return err
			}
			cr, err := k.reveal(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			vars := pgEnv(cr.Outputs)
			if vars == nil {
				return clikit.Usage("%s is no PostgreSQL database", clikit.Clean(args[0])).WithHint("see what it gives: fairlead credentials %s", clikit.Clean(args[0]))
			}
			return fmt.Errorf("start psql: %w", syscall.Exec(psql, append([]string{"psql"}, args[1:]...), environment(vars)))
		},
	}
}

// findPsql looks on PATH and then where Debian keeps PostgreSQL's programs.
func (k kit) findPsql(name string) (string, error) {
	if p, err := exec.LookPath("psql"); err == nil {
		return filepath.Abs(p)
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/psql")
	slices.Sort(found)
	for _, p := range slices.Backward(found) {
		if executable(p) {
			return p, nil
		}
	}
	return "", clikit.Failure("psql_missing", "psql is not installed").
		WithHint("install it (apt-get install postgresql-client), or use another client: fairlead credentials %s -o env", clikit.Clean(name))
}

// environment is ours with what psql needs and without what would lead it
// elsewhere or is none of its business.
func environment(vars map[string]string) []string {
	var env []string
	for _, kv := range os.Environ() {
		name, _, _ := strings.Cut(kv, "=")
		if _, ours := vars[name]; ours || strings.HasPrefix(name, "FAIRLEAD_") {
			continue
		}
		switch name {
		case "PGSERVICE", "PGSERVICEFILE", "PGHOSTADDR", "PGPASSFILE", "PGREQUIREAUTH", "PGTARGETSESSIONATTRS":
			continue
		}
		env = append(env, kv)
	}
	for _, name := range slices.Sorted(maps.Keys(vars)) {
		env = append(env, name+"="+vars[name])
	}
	return env
}

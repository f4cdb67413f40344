package iac_test

import (
	"bytes"
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"fairlead/internal/sqldb/sqldbtest"
)

const postgresModule = head + `
variable "name"  { type = string }
variable "owner" { type = string }
variable "limit" {
  type    = number
  default = 5
}
resource "testing_password" "login" {}
resource "testing_postgres_role" "login" {
  name     = var.name
  owner    = var.owner
  password = testing_password.login.result
}
resource "testing_postgres_database" "data" {
  name             = var.name
  owner            = var.owner
  role             = testing_postgres_role.login.name
  connection_limit = var.limit
}
output "name" { value = testing_postgres_database.data.name }
output "password" {
  value     = testing_password.login.result
  sensitive = true
}
`

// byHand runs the program as a person would, in a folder with its own state.
type byHand struct {
	t    *testing.T
	bed  *bed
	name string // of its role and database: programs share a server
	dir  string
	env  []string
	conn *pgx.Conn
	url  string
}

func newByHand(t *testing.T, b *bed, name string) *byHand {
	t.Helper()
	h := &byHand{t: t, bed: b, name: name + "_" + b.program.Name, dir: filepath.Join(b.dir, "hand"), url: sqldbtest.PostgresServer(t)}
	config := filepath.Join(b.dir, "cli.hcl")
	text := fmt.Sprintf("disable_checkpoint = true\nprovider_installation {\n  filesystem_mirror {\n    path = %q\n    include = [\"*/*/*\"]\n  }\n}\n", b.config.Mirror)
	for _, err := range []error{
		os.Mkdir(h.dir, 0o700), os.WriteFile(filepath.Join(h.dir, "main.tf"), []byte(postgresModule), 0o600), os.WriteFile(config, []byte(text), 0o600),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	h.env = append(os.Environ(), "TF_CLI_CONFIG_FILE="+config, "TF_IN_AUTOMATION=1", "CHECKPOINT_DISABLE=1", "TESTING_POSTGRES_URL="+h.url)
	var err error
	if h.conn, err = pgx.Connect(t.Context(), h.url); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.conn.Close(context.WithoutCancel(t.Context())) })
	h.want(0, "init", "-input=false")
	return h
}

// run gives the exit code and all that was printed.
func (h *byHand) run(args ...string) (int, string) {
	h.t.Helper()
	cmd := exec.CommandContext(h.t.Context(), h.bed.program.Path, append(args, "-no-color")...)
	cmd.Dir, cmd.Env = h.dir, h.env
	out, err := cmd.CombinedOutput()
	if err != nil && cmd.ProcessState == nil {
		h.t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

func (h *byHand) want(code int, args ...string) string {
	h.t.Helper()
	got, out := h.run(args...)
	if got != code {
		h.t.Fatalf("%v: exit %d, want %d\n%s", args, got, code, out)
	}
	return out
}

func (h *byHand) sql(sql string) {
	h.t.Helper()
	if _, err := h.conn.Exec(h.t.Context(), sql); err != nil {
		h.t.Fatal(err)
	}
}

func (h *byHand) forget() {
	h.t.Helper()
	if err := os.Remove(filepath.Join(h.dir, "terraform.tfstate")); err != nil {
		h.t.Fatal(err)
	}
}

// The test provider's PostgreSQL objects, against a real server.
func TestTheTestProviderMakesRolesAndDatabases(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bed) {
		h := newByHand(t, b, "shop")
		vars := []string{"-input=false", "-var=name=" + h.name, "-var=owner=res_1"}
		apply := append([]string{"apply", "-auto-approve"}, vars...)
		plan := append([]string{"plan", "-detailed-exitcode"}, vars...)
		out := h.want(0, apply...)
		h.want(0, plan...)
		password := strings.TrimSpace(h.want(0, "output", "-raw", "password"))
		if strings.Contains(out, password) {
			t.Error("the password was printed")
		}
		u, err := url.Parse(h.url)
		if err != nil {
			t.Fatal(err)
		}
		u.User, u.Path = url.UserPassword(h.name, password), "/"+h.name
		in, err := pgx.Connect(t.Context(), u.String())
		if err != nil {
			t.Fatalf("the login does not work: %v", err)
		}
		_ = in.Close(t.Context())

		// Drift made by hand is seen and healed.
		h.sql("ALTER ROLE " + h.name + " NOLOGIN; ALTER DATABASE " + h.name + " CONNECTION LIMIT 9")
		if out := h.want(2, plan...); !strings.Contains(out, "login") || !strings.Contains(out, "connection_limit") {
			t.Errorf("the drift is not shown:\n%s", out)
		}
		h.want(0, append(apply, "-var=limit=6")...)
		h.want(0, append(plan, "-var=limit=6")...)

		// What carries the owner's marker is adopted, and imported.
		h.forget()
		h.want(0, apply...)
		h.want(0, plan...)
		h.forget()
		h.want(0, append(append([]string{"import"}, vars...), "testing_postgres_database.data", h.name)...)
		h.want(0, append(append([]string{"import"}, vars...), "testing_postgres_role.login", h.name)...)
		h.want(0, apply...)
		h.want(0, plan...)
		h.want(0, append([]string{"destroy", "-auto-approve"}, vars...)...)

		// Somebody else's is left alone.
		h.sql("CREATE ROLE " + h.name)
		if out := h.want(1, apply...); !strings.Contains(out, "belongs to somebody else") {
			t.Errorf("the refusal is not told:\n%s", out)
		}
		h.sql("DROP ROLE " + h.name)
		h.sql("CREATE DATABASE " + h.name)
		if out := h.want(1, apply...); !strings.Contains(out, "belongs to somebody else") {
			t.Errorf("the refusal is not told:\n%s", out)
		}
	})
}

func TestTheTestProviderStopsWhenItIsToldTo(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bed) {
		h := newByHand(t, b, "held")
		tx, err := h.conn.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tx.Exec(t.Context(), "CREATE ROLE "+h.name); err != nil { // others that make it wait for this transaction
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), h.bed.program.Path, "apply", "-auto-approve", "-no-color", "-input=false", "-var=name="+h.name, "-var=owner=res_1")
		var out bytes.Buffer
		cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = h.dir, h.env, &out, &out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		watch, err := pgx.Connect(t.Context(), h.url)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = watch.Close(context.WithoutCancel(t.Context())) }()
		for waits := 0; waits == 0; {
			if err := watch.QueryRow(t.Context(), `SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'CREATE ROLE "' || $1 || '"%' AND wait_event_type = 'Lock'`, h.name).Scan(&waits); err != nil {
				t.Fatal(err)
			}
		}
		if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() { done <- cmd.Wait() }()
		select {
		case <-done:
		case <-time.After(20 * time.Second):
			_ = cmd.Process.Kill()
			t.Fatal("it went on")
		}
		if err := tx.Rollback(t.Context()); err != nil {
			t.Fatal(err)
		}
		var n int
		if err := h.conn.QueryRow(t.Context(), `SELECT count(*) FROM pg_roles WHERE rolname = $1`, h.name).Scan(&n); err != nil || n != 0 {
			t.Errorf("%d roles, %v\n%s", n, err, out.String())
		}
	})
}

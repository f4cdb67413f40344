package iac_test

import (
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"fairlead/internal/conf"
	"fairlead/internal/engine"
	"fairlead/internal/engine/iac"
	"fairlead/internal/engine/iac/iacstate"
	"fairlead/internal/engine/iac/iactest"
	"fairlead/internal/secret/embedded"
	"fairlead/internal/sqldb"
	"fairlead/internal/sqldb/sqldbtest"
)

// bed is a surrounding of engines: a store, a mirror, a folder that is the
// world.
type bed struct {
	program    iactest.Program
	dir, world string
	provider   string // the test provider's file in the mirror
	db         *sqldb.DB
	states     *iacstate.Store
	config     iac.Config
}

// each runs a test with every program, each in a bed of its own.
func each(t *testing.T, test func(t *testing.T, b *bed)) {
	t.Helper()
	iactest.Each(t, func(t *testing.T, p iactest.Program) { test(t, open(t, sqldbtest.SQLite(t), p)) })
}

func open(t *testing.T, db *sqldb.DB, p iactest.Program) *bed {
	t.Helper()
	dir, err := os.MkdirTemp("", "iac-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	b := &bed{program: p, dir: dir, world: filepath.Join(dir, "world"), db: db}
	for _, err := range []error{os.Chmod(dir, 0o755), os.Mkdir(b.world, 0o777), os.Chmod(b.world, 0o777)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	secrets, err := embedded.New(t.Context(), embedded.Options{DB: db, KeyDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	b.states = iacstate.New(iacstate.Options{DB: db, Secrets: secrets})
	if b.config, err = iac.ReadConfig(conf.Raw{}, dir); err != nil {
		t.Fatal(err)
	}
	b.config.Binary = p.Path
	b.config.Mirror, b.provider = iactest.Mirror(t, dir)
	return b
}

func (b *bed) engine(t *testing.T, onCall func(string)) *iac.Engine {
	t.Helper()
	e, err := iac.New(iac.Options{Config: b.config, States: b.states, OnCall: onCall, Log: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return e
}

const head = `terraform {
  required_providers {
    testing = { source = "fairlead.test/fairlead/testing" }
  }
}
`

const storeModule = head + `
variable "dir"   { type = string }
variable "name"  { type = string }
variable "owner" { type = string }
variable "size" {
  type    = number
  default = 1
  validation {
    condition     = var.size < 100
    error_message = "The size is below 100."
  }
}
resource "testing_password" "key" {
  depends_on = [testing_file.store]
}
resource "testing_file" "store" {
  path    = "${var.dir}/store-${var.name}"
  owner   = var.owner
  content = "size ${var.size}"
}
resource "testing_file" "door" {
  path   = "${var.dir}/door-${var.name}"
  owner  = var.owner
  secret = testing_password.key.result
}
output "store" { value = testing_file.store.path }
output "size" { value = var.size }
output "key" {
  value     = testing_password.key.result
  sensitive = true
}
`

func template(files map[string]string, spec string) engine.Template {
	m := fstest.MapFS{"template.yaml": {Data: []byte("name: x")}}
	for k, v := range files {
		m["module/"+k] = &fstest.MapFile{Data: []byte(v)}
	}
	t := engine.Template{Name: "t", Version: "1.0.0", Files: m}
	if spec != "" {
		t.Spec = json.RawMessage(spec)
	}
	return t
}

func (b *bed) request(name string) engine.Request {
	return engine.Request{
		Ref:       engine.Ref{Installation: "i", ID: "res_" + name, Name: name},
		Template:  template(map[string]string{"main.tf": storeModule}, `{"stateful":["testing_file"]}`),
		Inputs:    map[string]any{"dir": b.world, "name": name, "owner": "res_" + name, "size": 2},
		LifeCycle: engine.LifeCycle{Stateful: true},
	}
}

type thing struct{ Owner, Content, Secret string }

func (b *bed) load(name string) (thing, error) {
	var c thing
	text, err := os.ReadFile(filepath.Join(b.world, name))
	if err == nil {
		err = json.Unmarshal(text, &c)
	}
	return c, err
}

func (b *bed) save(t *testing.T, name string, c thing) {
	t.Helper()
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(b.world, name)
	if err := os.WriteFile(path, text, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o666); err != nil {
		t.Fatal(err)
	}
}

func (b *bed) picture(t *testing.T) string {
	t.Helper()
	list, err := os.ReadDir(b.world)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, f := range list {
		text, err := os.ReadFile(filepath.Join(b.world, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, f.Name()+" "+string(text))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

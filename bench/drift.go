package main

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// pageModule is what issue a module costs is measured with: a secret and a
// file with an owner, by a provider of its own.
const pageModule = `terraform {
  required_providers {
    testing = { source = "fairlead.test/fairlead/testing" }
  }
}
variable "path" { type = string }
resource "testing_password" "key" {}
resource "testing_file" "page" {
  path    = var.path
  owner   = "bench"
  content = "small"
  secret  = testing_password.key.result
}
output "path" { value = testing_file.page.path }
`

// smallTemplate never looks by itself while it is made ready.
const smallTemplate = `apiVersion: fairlead/v1
kind: Template
metadata: {name: small, title: Small, version: 1.0.0}
engine: iac
inputs:
  type: object
  required: [path]
  properties: {path: {type: string}}
outputs:
  path: {type: string}
spec:
  variables: {path: "${{ inputs.path }}"}
lifecycle: {observeEvery: 24h}
`

const (
	driftBudget = 1.2 // seconds for each of 1,000: twenty minutes
	answerIn    = 1.0 // seconds from a request to ready, meanwhile
)

// drifting looks at many instances of a small module once, and asks for null
// resources meanwhile, as people do.
func drifting(ctx context.Context, r *run) error {
	n := 1000
	if r.quick {
		n = 100
	}
	program, mirror, world, err := r.smallModules(ctx)
	if err != nil {
		return err
	}
	s := setup{dir: filepath.Join(r.dir, "drift"), iac: fmt.Sprintf("{binary: %q, mirror: %q, dir: %q}", program, mirror, filepath.Join(r.dir, "iac"))}
	pg, end, err := r.postgres(ctx, "drift-pg")
	if err != nil {
		return err
	}
	defer end()
	s.postgres = pg
	f, err := r.fairlead(ctx, s)
	if err != nil {
		return err
	}
	defer f.stop()
	if err := f.signIn(ctx); err != nil {
		return err
	}
	if err := f.push(ctx, filepath.Join(r.root, "bin", "fairlead"), filepath.Join(r.dir, "small"), map[string]string{"template.yaml": smallTemplate, "module/main.tf": pageModule}); err != nil {
		return err
	}
	store, err := sql.Open("sqlite", "file:"+filepath.Join(s.dir, "fairlead.db")+"?_pragma=busy_timeout(10000)")
	if err != nil {
		return err
	}
	defer store.Close()
	fmt.Fprintf(os.Stderr, "  making %d instances\n", n)
	made := time.Now()
	for i := range n {
		if err := f.do(ctx, "POST", inDev, map[string]any{"name": fmt.Sprintf("s-%d", i), "template": "small", "inputs": map[string]any{"path": filepath.Join(world, fmt.Sprint("s-", i))}}, nil); err != nil {
			return err
		}
	}
	if err := until(ctx, store, n, `SELECT count(*) FROM resources WHERE template = 'small' AND phase = 'ready'`); err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "  made in %s\n", time.Since(made).Round(time.Second))
	return r.lookAtAll(ctx, f, store, n)
}

func (r *run) lookAtAll(ctx context.Context, f *fairlead, store *sql.DB, n int) error {
	before, err := f.family()
	if err != nil {
		return err
	}
	load := loadAverage()
	began := time.Now()
	if _, err := store.ExecContext(ctx, `UPDATE resources SET observe_due_at = 1 WHERE template = 'small'`); err != nil {
		return err
	}
	asking, stop := context.WithCancel(ctx)
	answers := make(chan []float64, 1)
	go func() { answers <- f.meanwhile(asking, store) }()
	err = until(ctx, store, n, `SELECT count(*) FROM resources WHERE template = 'small' AND observe_due_at > ?`, time.Now().UnixMicro())
	took := time.Since(began)
	stop()
	samples := <-answers
	if err != nil {
		return err
	}
	after, err := f.family()
	if err != nil {
		return err
	}
	each := (after - before).Seconds() / float64(n)
	fmt.Fprintf(os.Stderr, "  %d looked at in %s: %.2f s each, %.2f s of processor time each; 1,000 would take %.1f minutes\n",
		n, took.Round(time.Second), took.Seconds()/float64(n), each, took.Seconds()/float64(n)*1000/60)
	what := fmt.Sprintf("drift of %d instances of a small module", n)
	for _, w := range []row{
		{what: what, peer: "20 minutes for 1,000", stat: "each", ours: took.Seconds() / float64(n), theirs: driftBudget},
		{what: what + ": processor time", peer: "two cores for 20 minutes", stat: "each", ours: each, theirs: 2 * driftBudget},
		{what: "null, request → ready, meanwhile", peer: "one second", stat: "p50", ours: p50(samples), theirs: answerIn},
		{what: "null, request → ready, meanwhile", peer: "one second", stat: "p99", ours: p99(samples), theirs: answerIn},
	} {
		w.bench, w.unit, w.target, w.load = "18", "s", 1, max(load, loadAverage())
		w.ratio = w.ours / w.theirs
		w.low, w.high = w.ratio, w.ratio
		r.add(w)
	}
	return nil
}

// meanwhile asks for null resources, two a second, until ctx ends, and gives
// how long each took to be ready.
func (f *fairlead) meanwhile(ctx context.Context, store *sql.DB) (out []float64) {
	for i := 0; ctx.Err() == nil; i++ {
		began := time.Now()
		name := fmt.Sprintf("n-%d", i)
		if err := f.do(ctx, "POST", inDev, map[string]any{"name": name, "template": "null"}, nil); err != nil {
			break
		}
		for ready := 0; ready == 0 && ctx.Err() == nil; time.Sleep(2 * time.Millisecond) {
			if err := store.QueryRowContext(ctx, `SELECT count(*) FROM resources WHERE name = ? AND phase = 'ready'`, name).Scan(&ready); err != nil {
				return out
			}
		}
		if ctx.Err() == nil {
			out = append(out, time.Since(began).Seconds())
		}
		time.Sleep(500 * time.Millisecond)
	}
	return out
}

func until(ctx context.Context, store *sql.DB, n int, query string, args ...any) error {
	for have := 0; have < n; {
		if err := store.QueryRowContext(ctx, query, args...).Scan(&have); err != nil {
			return err
		}
		if have < n {
			select {
			case <-time.After(50 * time.Millisecond):
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	return nil
}

// smallModules finds the program and builds the test provider into a mirror; the
// accounts of runs get through to all of it, and write to world.
func (r *run) smallModules(ctx context.Context) (program, mirror, world string, err error) {
	if program, err = filepath.EvalSymlinks(filepath.Join(r.root, ".cache/iac/tofu")); err != nil {
		if program, err = exec.LookPath("tofu"); err != nil {
			if program, err = exec.LookPath("terraform"); err != nil {
				return "", "", "", fmt.Errorf("neither tofu nor terraform is here: run make tools")
			}
		}
	}
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, filepath.Join(r.root, "scripts/tools.sh"), "terraform-provider-testing") //nolint:gosec // our own script
	cmd.Stdout, cmd.Stderr = &out, os.Stderr
	if err := cmd.Run(); err != nil {
		return "", "", "", err
	}
	mirror, world = filepath.Join(r.dir, "mirror"), filepath.Join(r.dir, "world")
	place := filepath.Join(mirror, "fairlead.test/fairlead/testing/0.1.0/linux_amd64")
	provider, err := os.ReadFile(strings.TrimSpace(out.String()))
	if err != nil {
		return "", "", "", err
	}
	for _, err := range []error{os.MkdirAll(place, 0o755), os.WriteFile(filepath.Join(place, "terraform-provider-testing_v0.1.0"), provider, 0o755), os.Mkdir(world, 0o777), os.Chmod(world, 0o777)} { //nolint:gosec // runs have accounts of their own
		if err != nil {
			return "", "", "", err
		}
	}
	return program, mirror, world, nil
}

// push makes a template of files, as people do.
func (f *fairlead) push(ctx context.Context, bin, dir string, files map[string]string) error {
	for name, text := range files {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil { //nolint:gosec // no secrets
			return err
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil { //nolint:gosec // no secrets
			return err
		}
	}
	cmd := exec.CommandContext(ctx, bin, "template", "push", dir) //nolint:gosec // our own
	cmd.Env, cmd.Stderr = append(os.Environ(), "FAIRLEAD_URL="+f.base, "FAIRLEAD_TOKEN="+f.token), os.Stderr
	return cmd.Run()
}

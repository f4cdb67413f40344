package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"
)

// smallModule has one object, of a provider that is a process of its own.
const smallModule = `terraform {
  required_providers {
    testing = { source = "fairlead.test/fairlead/testing" }
  }
}
variable "path" { type = string }
resource "testing_file" "a" {
  path    = var.path
  owner   = "bench"
  content = "x"
}
`

// largeModule has a thousand, of a provider that is built in: what is measured
// is the program and we, not a provider.
const largeModule = `variable "path" { type = string }
resource "terraform_data" "a" {
  count = 1000
  input = "${var.path}-${count.index}"
}
`

// moduleBench has both sides at hand: a server of ours, and the program.
type moduleBench struct {
	r       *run
	f       *fairlead
	dir     string
	program string
	config  string // the program's own, for the hand
	n       atomic.Int64
}

func modules(ctx context.Context, r *run) error {
	m := &moduleBench{r: r, dir: filepath.Join(r.dir, "modules")}
	mirror, err := m.tools(ctx)
	if err != nil {
		return err
	}
	if m.f, err = r.fairlead(ctx, setup{dir: filepath.Join(r.dir, "modules-server"), iac: fmt.Sprintf("{binary: %q, mirror: %q, dir: %q}", m.program, mirror, filepath.Join(m.dir, "runs"))}); err != nil {
		return err
	}
	defer m.f.stop()
	if err := m.f.signIn(ctx); err != nil {
		return err
	}
	for name, text := range map[string]string{"small": smallModule, "large": largeModule} {
		if err := m.push(ctx, name, text); err != nil {
			return err
		}
	}
	n, rounds := 5, r.rounds
	if r.quick {
		n = 2
	}
	small, large := m.ours("small"), m.ours("large")
	smallHand, largeHand := m.theirs("small"), m.theirs("large")
	peer := filepath.Base(m.program) + " init, plan, apply by hand"
	err = r.compare(ctx, comparison{bench: "5", what: "a module of one object: request → ready", peer: peer,
		ours: sequence(n, small), theirs: sequence(n, smallHand), stats: []statistic{{"p50", p50, 0.8}}})
	if err != nil {
		return err
	}
	err = r.compare(ctx, comparison{bench: "5", what: "ten of them in parallel", peer: "the same by hand, ten at once",
		ours: burst(10, 10, small), theirs: burst(10, 10, smallHand), stats: []statistic{{"time", mean, 1}}})
	if err != nil {
		return err
	}
	r.rounds = max(1, rounds/2)
	defer func() { r.rounds = rounds }()
	return r.compare(ctx, comparison{bench: "5", what: "a module of 1,000 objects", peer: peer, before: m.looked,
		ours: sequence(1, large), theirs: sequence(1, largeHand), stats: []statistic{{"time", mean, 1.02}}})
}

// tools finds the program, builds the provider and lays out a mirror.
func (m *moduleBench) tools(ctx context.Context) (mirror string, err error) {
	m.program = filepath.Join(m.r.root, ".cache", "iac", "tofu")
	if m.program, err = filepath.EvalSymlinks(m.program); err != nil {
		for _, name := range []string{"tofu", "terraform"} {
			if m.program, err = exec.LookPath(name); err == nil {
				break
			}
		}
	}
	if err != nil {
		return "", errors.New("neither tofu nor terraform is here: make tools builds tofu")
	}
	out, err := exec.CommandContext(ctx, filepath.Join(m.r.root, "scripts", "tools.sh"), "terraform-provider-testing").Output() //nolint:gosec // our own script
	if err != nil {
		return "", err
	}
	mirror = filepath.Join(m.dir, "mirror")
	place := filepath.Join(mirror, "fairlead.test/fairlead/testing/0.1.0/linux_amd64/terraform-provider-testing_v0.1.0")
	provider, err := os.ReadFile(strings.TrimSpace(string(out)))
	if err != nil {
		return "", err
	}
	m.config = filepath.Join(m.dir, "cli.hcl")
	world := filepath.Join(m.dir, "world")
	text := fmt.Sprintf("disable_checkpoint = true\nprovider_installation {\n  filesystem_mirror {\n    path = %q\n    include = [\"*/*/*\"]\n  }\n}\n", mirror)
	return mirror, errors.Join(
		os.MkdirAll(filepath.Dir(place), 0o755), os.WriteFile(place, provider, 0o755), //nolint:gosec // runs have accounts of their own
		os.Mkdir(world, 0o777), os.Chmod(world, 0o777), os.Chmod(m.dir, 0o755), //nolint:gosec // as above
		os.WriteFile(m.config, []byte(text), 0o644)) //nolint:gosec // as above
}

// push makes a template of a module.
func (m *moduleBench) push(ctx context.Context, name, text string) error {
	dir := filepath.Join(m.dir, name)
	if err := errors.Join(os.MkdirAll(dir, 0o755), os.WriteFile(filepath.Join(dir, "main.tf"), []byte(text), 0o644)); err != nil { //nolint:gosec // nothing secret
		return err
	}
	cmd := exec.CommandContext(ctx, filepath.Join(m.r.root, "bin", "fairlead"), "template", "push", dir, "--name", name, "--version", "1.0.0") //nolint:gosec // our own
	cmd.Env = append(os.Environ(), "FAIRLEAD_URL="+m.f.base, "FAIRLEAD_TOKEN="+m.f.token)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("push %s: %w: %s", name, err, out)
	}
	return nil
}

func (m *moduleBench) path(name string) string { return filepath.Join(m.dir, "world", name) }

// ours is a request, until it is ready.
func (m *moduleBench) ours(template string) func(context.Context) error {
	return func(ctx context.Context) error {
		type view struct {
			Name, Phase, Message string
			Version              int64
		}
		var v view
		name := fmt.Sprintf("m-%d", m.n.Add(1))
		if err := m.f.do(ctx, "POST", inDev, map[string]any{"name": name, "template": template, "inputs": map[string]any{"path": m.path(name)}}, &v); err != nil {
			return err
		}
		for v.Phase != "ready" {
			if v.Phase == "failed" || v.Phase == "lost" {
				return fmt.Errorf("%s: %s: %s", name, v.Phase, v.Message)
			}
			if err := m.f.do(ctx, "GET", fmt.Sprintf("%s/%s?wait=20&known=%d", inDev, name, v.Version), nil, &v); err != nil {
				return err
			}
		}
		return nil
	}
}

// looked waits until all that was made has had the look that follows a making,
// 15 seconds later: a plan as long as the making's own, which would fall into
// the block of whoever is next.
func (m *moduleBench) looked(ctx context.Context) error {
	for {
		var list struct {
			Items []struct{ CreatedAt, ObservedAt time.Time }
		}
		if err := m.f.do(ctx, "GET", inDev+"?sort=-created&limit=100", nil, &list); err != nil {
			return err
		}
		left := 0
		for _, r := range list.Items {
			if r.ObservedAt.Sub(r.CreatedAt) < 15*time.Second {
				left++
			}
		}
		if left == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// theirs is the same in a folder of its own, with the same providers at hand.
func (m *moduleBench) theirs(module string) func(context.Context) error {
	return func(ctx context.Context) error {
		name := fmt.Sprintf("hand-%d", m.n.Add(1))
		dir := filepath.Join(m.dir, name)
		text, err := os.ReadFile(filepath.Join(m.dir, module, "main.tf"))
		if err != nil {
			return err
		}
		if err := errors.Join(os.Mkdir(dir, 0o755), os.WriteFile(filepath.Join(dir, "main.tf"), text, 0o644)); err != nil { //nolint:gosec // nothing secret
			return err
		}
		for _, args := range [][]string{
			{"init", "-input=false", "-no-color"},
			{"plan", "-input=false", "-no-color", "-out=plan", "-var=path=" + m.path(name)},
			{"apply", "-input=false", "-no-color", "plan"},
		} {
			cmd := exec.CommandContext(ctx, m.program, args...) //nolint:gosec // the program under comparison
			cmd.Dir, cmd.Env = dir, append(os.Environ(), "TF_CLI_CONFIG_FILE="+m.config, "TF_IN_AUTOMATION=1", "CHECKPOINT_DISABLE=1")
			cmd.WaitDelay = time.Second
			if out, err := cmd.CombinedOutput(); err != nil {
				return fmt.Errorf("%v: %w: %s", args, err, out)
			}
		}
		return nil
	}
}

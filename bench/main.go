package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// bench is one line of the suite: it hands its rows to the run.
type bench struct {
	number string
	name   string
	run    func(ctx context.Context, r *run) error
}

var benches = []bench{
	{"1", "a PostgreSQL database on demand", coldProvision},
	{"2", "the same from a warm pool", warmProvision},
	{"3", "40 provisions, 8 at a time", parallelProvision},
	{"4", "null engine, a burst of 1,000", nullBurst},
	{"5", "a module of OpenTofu", modules},
	{"9", "the API under 64 connections", apiLoad},
	{"10", "one decision: access, and access with guardrails", decisions},
	{"15", "the audit log", auditLog},
	{"16", "start, memory, restart after kill -9", starting},
	{"17", "guardrails looking back", lookingBack},
	{"18", "drift of 1,000 instances of a small module", drifting},
}

// run is one run of the suite.
type run struct {
	rounds int
	quick  bool
	single bool // no A against A
	keep   bool
	pprof  string // folder for CPU profiles of the servers
	dir    string // scratch, on the disk that is measured
	root   string // of the checkout
	rows   []row
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == bareCommand {
		bareServer(os.Args[2:])
		return
	}
	r := &run{}
	var only, out string
	flag.StringVar(&only, "only", "", "numbers of the benches to run, as 1,4")
	flag.IntVar(&r.rounds, "rounds", 7, "paired rounds of each")
	flag.BoolVar(&r.quick, "quick", false, "less work in each round and no controls: for trying things out, not for the record")
	flag.BoolVar(&r.single, "single", false, "no control of A against A, which is half the time; all of the work otherwise")
	flag.BoolVar(&r.keep, "keep", false, "keep the scratch directory with the servers' logs")
	flag.StringVar(&r.pprof, "profile", "", "a folder for CPU profiles of our servers; what is measured then is not for the record")
	flag.StringVar(&out, "out", "", "also write the report to this file")
	flag.StringVar(&r.dir, "dir", os.TempDir(), "where the servers keep their data: the disk that is measured")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := r.all(ctx, only, out); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func (r *run) all(ctx context.Context, only, out string) error {
	var err error
	if r.root, err = checkout(); err != nil {
		return err
	}
	if r.dir, err = os.MkdirTemp(r.dir, "fairlead-bench-"); err != nil {
		return err
	}
	if err := os.Chmod(r.dir, 0o711); err != nil { // PostgreSQL's account passes through
		return err
	}
	defer func() {
		if r.keep {
			fmt.Fprintln(os.Stderr, "kept:", r.dir)
			return
		}
		_ = os.RemoveAll(r.dir)
	}()
	if r.pprof == "" {
		if err := build(ctx, r.root, ".", "./cmd/fairlead", "bin/fairlead"); err != nil {
			return err
		}
	}
	if r.pprof != "" {
		if r.pprof, err = filepath.Abs(r.pprof); err != nil {
			return err
		}
		if err := build(ctx, r.root, "bench", "./profiled", ".cache/fairlead-profiled"); err != nil {
			return err
		}
	}
	var wanted []string
	if only != "" {
		wanted = strings.Split(only, ",")
	}
	before := measureFloors(r.dir)
	fmt.Fprintln(os.Stderr, before)
	var failed []error
	for _, b := range benches {
		if wanted != nil && !slices.Contains(wanted, b.number) {
			continue
		}
		fmt.Fprintf(os.Stderr, "# %s %s\n", b.number, b.name)
		began := time.Now()
		if err := b.run(ctx, r); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			failed = append(failed, fmt.Errorf("bench %s: %w", b.number, err))
		}
		fmt.Fprintf(os.Stderr, "# %s took %s\n", b.number, time.Since(began).Round(time.Second))
	}
	text := report(r, before, measureFloors(r.dir))
	fmt.Print(text)
	if out != "" {
		failed = append(failed, os.WriteFile(out, []byte(text), 0o644)) //nolint:gosec // a report for everyone
	}
	return errors.Join(failed...)
}

// checkout finds the root of the product's module from here.
func checkout() (string, error) {
	dir, err := os.Getwd()
	for ; err == nil && dir != "/"; dir = filepath.Dir(dir) {
		b, _ := os.ReadFile(filepath.Join(dir, "go.mod"))
		if strings.HasPrefix(string(b), "module fairlead\n") {
			return dir, nil
		}
	}
	return "", errors.New("run this inside the checkout")
}

func build(ctx context.Context, root, module, pkg, to string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", filepath.Join(root, to), pkg) //nolint:gosec // our own arguments
	cmd.Dir, cmd.Stderr, cmd.Env = filepath.Join(root, module), os.Stderr, append(os.Environ(), "CGO_ENABLED=0")
	return cmd.Run()
}

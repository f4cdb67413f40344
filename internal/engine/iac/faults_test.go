package iac_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"fairlead/internal/engine"
	"fairlead/internal/engine/iac"
	"fairlead/internal/fault"
)

// filesModule makes one file after the other; the third lies in a folder that
// may not be there.
const filesModule = head + `
variable "dir"   { type = string }
variable "owner" { type = string }
variable "delay" {
  type    = string
  default = "0s"
}
resource "testing_file" "a" {
  path  = "${var.dir}/a"
  owner = var.owner
}
resource "testing_file" "b" {
  path       = "${var.dir}/b"
  owner      = var.owner
  delay      = var.delay
  depends_on = [testing_file.a]
}
resource "testing_file" "c" {
  path       = "${var.dir}/later/c"
  owner      = var.owner
  depends_on = [testing_file.b]
}
resource "testing_file" "d" {
  path       = "${var.dir}/d"
  owner      = var.owner
  depends_on = [testing_file.c]
}
`

func mine(context.Context) error { return nil }

func (b *bed) files(name string) engine.Request {
	req := b.module(name, filesModule)
	req.Inputs, req.Fenced = map[string]any{"dir": b.world, "owner": req.Ref.ID}, mine
	return req
}

// later makes the folder that the third file lies in.
func (b *bed) later(t *testing.T) {
	t.Helper()
	dir := filepath.Join(b.world, "later")
	if err := errors.Join(os.Mkdir(dir, 0o777), os.Chmod(dir, 0o777)); err != nil {
		t.Fatal(err)
	}
}

func (b *bed) has(name string) bool {
	_, err := b.load(name)
	return err == nil
}

// applied plans and applies.
func applied(ctx context.Context, e *iac.Engine, req engine.Request) (engine.Result, error) {
	plan, err := e.Plan(ctx, req)
	if err != nil {
		return engine.Result{}, err
	}
	return e.Apply(ctx, req, plan, engine.Discard)
}

// Object k of n fails: what was made is known, and both ways out work.
func TestAnApplyThatFailsHalfway(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bed) {
		e := b.engine(t, nil)
		req := b.files("half")
		for _, resume := range []bool{false, true} {
			_, err := applied(t.Context(), e, req)
			if f := fault.From(err); f.Code != "engine_failed" || !strings.Contains(f.Message, "testing_file.c") || !strings.Contains(f.Message, "main.tf line ") {
				t.Fatalf("the third object fails: %v", err)
			}
			if !b.has("a") || !b.has("b") || b.has("d") {
				t.Fatal("it did not fail halfway")
			}
			if o, err := e.Observe(t.Context(), []engine.Request{req}); err != nil || o[0].Presence != engine.Partial || len(o[0].Objects) != 2 {
				t.Fatalf("%+v %v", o, err)
			}
			if resume {
				b.later(t)
				res, err := applied(t.Context(), e, req)
				if err != nil || len(res.Objects) != 4 || !b.has("later/c") || !b.has("d") {
					t.Fatalf("resumed: %+v %v", res.Objects, err)
				}
			}
			if err := e.Destroy(t.Context(), req, engine.Discard); err != nil {
				t.Fatal(err)
			}
			if b.has("a") || b.has("b") || b.has("later/c") || b.has("d") {
				t.Fatal("something is left")
			}
		}
	})
}

// A provider that hangs is given up, and what it had made is known.
func TestASlowProvider(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bed) {
		b.later(t)
		req := b.files("slow")
		req.Inputs["delay"] = "1h"
		b.config.Timeout = "10s"
		if _, err := applied(t.Context(), b.engine(t, nil), req); fault.From(err).Code != "engine_timeout" {
			t.Fatalf("want engine_timeout, got %v", err)
		}
		if !b.has("a") || b.has("d") {
			t.Fatal("it was not slow in the middle")
		}
		req.Inputs["delay"] = "0s"
		b.config.Timeout = "5m"
		e := b.engine(t, nil)
		res, err := applied(t.Context(), e, req)
		if err != nil || len(res.Objects) != 4 {
			t.Fatalf("%+v %v", res.Objects, err)
		}
		if err := e.Destroy(t.Context(), req, engine.Discard); err != nil || b.has("a") {
			t.Fatal(err)
		}
	})
}

// A worker of another machine has taken over while this one slept in the
// middle of an apply: what it writes afterwards is refused, and there is one
// of everything.
func TestALostLease(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bed) {
		b.later(t)
		var lost atomic.Bool
		req := b.files("lease")
		stale := req
		stale.Inputs = with(req.Inputs, "delay", "4s")
		stale.Fenced = func(context.Context) error {
			if lost.Load() {
				return fault.New(fault.Conflict, "claim_lost", "another worker has it")
			}
			return nil
		}
		first := make(chan error, 1)
		e := b.engine(t, nil)
		go func() {
			_, err := applied(context.WithoutCancel(t.Context()), e, stale)
			first <- err
		}()
		b.await(t, "b")
		lost.Store(true)
		b.config.Dir = filepath.Join(b.dir, "another-machine")
		other := b.engine(t, nil)
		res, err := applied(t.Context(), other, req)
		if err != nil || len(res.Objects) != 4 {
			t.Fatalf("the successor: %+v %v", res.Objects, err)
		}
		if err := <-first; err == nil {
			t.Fatal("the stale worker is told that all went well")
		}
		if _, meta, err := b.states.Read(t.Context(), req.Ref.ID); err != nil || meta.Objects != 4 {
			t.Fatalf("%+v %v", meta, err)
		}
		req.Previous = &res
		if o, err := other.Observe(t.Context(), []engine.Request{req}); err != nil || o[0].Presence != engine.Present {
			t.Fatalf("%+v %v", o, err)
		}
		if err := other.Destroy(t.Context(), req, engine.Discard); err != nil || b.has("a") || b.has("d") {
			t.Fatal(err)
		}
	})
}

// A plan waits for its approval, and meanwhile the state moves on: what was
// agreed to is not applied to what is there now.
func TestAStateThatMovesOnUnderAPlan(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bed) {
		e := b.engine(t, nil)
		req := b.request("waits")
		req.Fenced = mine
		res, err := applied(t.Context(), e, req)
		if err != nil {
			t.Fatal(err)
		}
		req.Previous = &res
		waits, moved := req, req
		waits.Inputs, moved.Inputs = with(req.Inputs, "size", 5), with(req.Inputs, "size", 7)
		plan, err := e.Plan(t.Context(), waits)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := applied(t.Context(), e, moved); err != nil {
			t.Fatal(err)
		}
		before := b.picture(t)
		if _, err := e.Apply(t.Context(), waits, plan, engine.Discard); fault.From(err).Code != "plan_changed" {
			t.Fatalf("want plan_changed, got %v", err)
		}
		if b.picture(t) != before {
			t.Fatal("it was applied nevertheless")
		}
		if _, err := applied(t.Context(), e, waits); err != nil { // planned again it goes on
			t.Fatal(err)
		}
	})
}

// Whatever a module prints, a secret is not in what is told or kept.
func TestAModuleThatPrintsASecret(t *testing.T) {
	t.Parallel()
	const canary = "canary-of-a-variable-77"
	each(t, func(t *testing.T, b *bed) {
		e := b.engine(t, nil)
		for _, row := range []struct{ why, main string }{
			{"says it in a provisioner", "resource \"terraform_data\" \"a\" {\n  provisioner \"local-exec\" {\n    command = \"echo ${nonsensitive(var.secret)}; exit 3\"\n  }\n}\n"},
			{"says it in a condition", "resource \"terraform_data\" \"a\" {\n  lifecycle {\n    precondition {\n      condition     = nonsensitive(var.secret) == \"\"\n      error_message = \"not ${nonsensitive(var.secret)}\"\n    }\n  }\n}\n"},
			{"asks a provider for it", "resource \"testing_file\" \"a\" {\n  path  = \"/nowhere/${nonsensitive(var.secret)}/x\"\n  owner = \"o\"\n}\n"},
			{"takes it for a number", "resource \"terraform_data\" \"a\" {\n  count = nonsensitive(var.secret)\n}\n"},
			{"counts with it", "output \"x\" { value = nonsensitive(var.secret) + 1 }\n"},
		} {
			req := b.module("prints", head+"variable \"secret\" {\n  type      = string\n  sensitive = true\n}\n"+row.main)
			req.Inputs, req.Fenced = map[string]any{"secret": canary}, mine
			said := &journal{}
			plan, err := e.Plan(t.Context(), req)
			if err == nil {
				_, err = e.Apply(t.Context(), req, plan, said)
			}
			if err == nil {
				t.Errorf("a module that %s: it is meant to fail", row.why)
				continue
			}
			f := fault.From(err)
			t.Log(f.Message)
			for at, text := range map[string]string{"message": f.Message, "hint": f.Hint, "error": f.Error(), "log": said.text.String()} {
				if strings.Contains(text, canary) {
					t.Errorf("a module that %s: the %s has it: %s", row.why, at, text)
				}
			}
			if err := e.Destroy(t.Context(), req, engine.Discard); err != nil && strings.Contains(err.Error(), canary) {
				t.Errorf("a module that %s: destroy: %v", row.why, err)
			}
		}
	})
}

// What a request, a change of nothing and a look cost, in starts of the
// program: a module is initialised once, and what is not needed is not started.
func TestHowOftenTheProgramIsStarted(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bed) {
		counted, log := filepath.Join(b.dir, b.program.Name+"-counted"), filepath.Join(b.world, "starts")
		if err := os.WriteFile(counted, []byte("#!/bin/sh\necho \"$1\" >> "+log+"\nexec "+b.program.Path+" \"$@\"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(os.WriteFile(log, nil, 0o666), os.Chmod(log, 0o666)); err != nil { // every account of a run appends
			t.Fatal(err)
		}
		b.config.Binary = counted
		e := b.engine(t, nil)
		starts := func() string {
			text, err := os.ReadFile(log)
			if err := errors.Join(err, os.Truncate(log, 0)); err != nil {
				t.Fatal(err)
			}
			return strings.Join(strings.Fields(string(text)), " ")
		}
		var res engine.Result
		req := b.request("first")
		for _, step := range []struct {
			what, want string
			do         func() error
		}{
			{"the first request of a module", "version init plan show apply", func() (err error) { res, err = applied(t.Context(), e, req); return err }},
			{"the next one", "plan show apply", func() error {
				next := b.request("next")
				next.Fenced = mine
				_, err := applied(t.Context(), e, next)
				return err
			}},
			{"nothing to change", "plan show", func() error { req.Previous = &res; _, err := applied(t.Context(), e, req); return err }},
			{"a look", "plan", func() error { _, err := e.Observe(t.Context(), []engine.Request{req}); return err }},
			{"a destroy", "apply", func() error { return e.Destroy(t.Context(), req, engine.Discard) }},
			{"a look at what is gone", "", func() error {
				req.Previous = nil
				_, err := e.Observe(t.Context(), []engine.Request{req})
				return err
			}},
		} {
			req.Fenced = mine
			if err := step.do(); err != nil {
				t.Fatalf("%s: %v", step.what, err)
			}
			if got := starts(); got != step.want {
				t.Errorf("%s starts %q, want %q", step.what, got, step.want)
			}
		}
	})
}

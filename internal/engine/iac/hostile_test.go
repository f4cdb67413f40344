package iac_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"fairlead/internal/engine"
	"fairlead/internal/engine/iac/iactest"
	"fairlead/internal/fault"
)

type journal struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *journal) Step(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, _ = fmt.Fprintf(&l.text, format+"\n", args...)
}

func (b *bed) module(name, main string) engine.Request {
	return engine.Request{Ref: engine.Ref{Installation: "i", ID: "res_" + name, Name: name}, Template: template(map[string]string{"main.tf": main}, "")}
}

func executes(command string) string {
	return fmt.Sprintf("resource \"terraform_data\" \"x\" {\n  provisioner \"local-exec\" {\n    command = %q\n  }\n}\n", command)
}

// A module runs what it likes, and gets nowhere with it.
func TestAModuleThatBreaksOut(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bed) {
		e := b.engine(t, nil)
		_, _, level, err := e.About(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if os.Geteuid() != 0 || !level.Closed() {
			t.Logf("isolation here is %q: nothing more is promised", level)
			return
		}
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		private := filepath.Join(b.dir, "private")
		if err := os.WriteFile(private, []byte("the control plane's"), 0o600); err != nil {
			t.Fatal(err)
		}
		_, port, _ := net.SplitHostPort(l.Addr().String())
		leaves := filepath.Join(b.world, "left")
		for i, row := range []struct{ why, command string }{
			{"reads a key", "cat " + private + " > " + leaves},
			{"writes into the module that all runs share", "for f in *.tf; do echo x >> $(readlink $f) && touch " + leaves + "; done"},
			{"writes beside its directory", "touch ../../escaped " + private + " && touch " + leaves},
			{"calls the control plane", "(echo hi > /dev/tcp/127.0.0.1/" + port + ") 2>/dev/null && touch " + leaves},
			{"sees another's processes", "ls /proc | grep -q '^" + fmt.Sprint(os.Getpid()) + "$' && cat /proc/" + fmt.Sprint(os.Getpid()) + "/environ && touch " + leaves},
			{"finds something in the environment", "env | grep -q IAC_ && touch " + leaves},
		} {
			req := b.module(fmt.Sprintf("hostile-%d", i), executes("exec /bin/bash -c '"+strings.ReplaceAll(row.command, "'", `'\''`)+"'"))
			_, _ = e.Apply(t.Context(), req, engine.Plan{}, engine.Discard) // well or not is all the same
			if text, err := os.ReadFile(leaves); err == nil && (len(text) > 0 || i > 0) {
				t.Errorf("a module that %s: %s", row.why, text)
				_ = os.Remove(leaves)
			}
			_ = os.Remove(leaves)
		}
		// The same way out works for what it may do.
		if _, err := e.Apply(t.Context(), b.module("tame", executes("touch "+leaves)), engine.Plan{}, engine.Discard); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(leaves); err != nil {
			t.Fatal("the test proves nothing: what is allowed did not work either")
		}
	})
}

func TestAModuleThatIsHardToBear(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bed) {
		b.config.Timeout = "1m"
		e := b.engine(t, nil)
		for _, row := range []struct{ why, main, code, says string }{
			{"does not parse", "resource \"x\" {\n", "module_invalid", "main.tf line 1"},
			{"loops", "resource \"terraform_data\" \"a\" { input = terraform_data.b.id }\nresource \"terraform_data\" \"b\" { input = terraform_data.a.id }\n", "", "Cycle"},
			{"wants a provider that is not there", "terraform {\n  required_providers {\n    x = { source = \"nowhere.test/a/x\" }\n  }\n}\nresource \"x_y\" \"z\" {}\n", "provider_missing", "nowhere.test/a/x"},
			{"keeps its state elsewhere", "terraform {\n  backend \"local\" {}\n}\nresource \"terraform_data\" \"a\" {}\n", "", ""},
			{"has a thousand objects", "resource \"terraform_data\" \"a\" {\n  count = 1000\n}\n", "", ""},
		} {
			said := &journal{}
			req := b.module("hard-"+fmt.Sprint(len(row.why)), row.main)
			_, err := e.Apply(t.Context(), req, engine.Plan{}, said)
			switch {
			case row.code == "" && row.says == "" && err != nil,
				row.code != "" && fault.From(err).Code != row.code,
				row.says != "" && (err == nil || !strings.Contains(fault.From(err).Message, row.says)):
				t.Errorf("a module that %s: %v", row.why, err)
			}
			if said.text.Len() > 1<<20 {
				t.Errorf("a module that %s: a log of %d bytes", row.why, said.text.Len())
			}
		}
		// A file of the module that overrides the override.
		req := b.module("override", "resource \"terraform_data\" \"a\" {}\n")
		req.Template = template(map[string]string{"main.tf": "resource \"terraform_data\" \"a\" {}\n", "zzz_override.tf": "terraform {\n  backend \"local\" {}\n}\n"}, "")
		if _, err := e.Plan(t.Context(), req); fault.From(err).Code != "module_invalid" {
			t.Errorf("a module that takes the state away: %v", err)
		}
	})
}

func TestAModuleThatRunsForEver(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bed) {
		b.config.Timeout = "4s"
		e := b.engine(t, nil)
		req := b.module("ever", executes("sleep 1000"))
		began := time.Now()
		_, err := e.Apply(t.Context(), req, engine.Plan{}, engine.Discard)
		if code := fault.From(err).Code; code != "engine_timeout" {
			t.Fatalf("want engine_timeout, got %v", err)
		}
		if took := time.Since(began); took > time.Minute {
			t.Fatalf("it took %v", took)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		if _, err := e.Apply(ctx, req, engine.Plan{}, engine.Discard); fault.From(err).Code != "interrupted" {
			t.Fatalf("want interrupted, got %v", err)
		}
	})
}

// What a program prints is bounded, in bytes and in memory, however it comes.
func TestAModuleThatNeverStopsTalking(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bed) {
		b.config.LogMB = 2
		line := strings.Repeat("0123456789", 100)
		for _, row := range []struct{ why, command, code, timeout string }{
			{"lines", "yes " + line, "log_too_large", "5m"},
			// Both programs join its parts again and again, and get nowhere.
			{"one line without an end", "tr '\\0' x </dev/zero", "engine_timeout", "4s"},
		} {
			b.config.Timeout = row.timeout
			e := b.engine(t, nil)
			said := &journal{}
			req := b.module("talks-"+fmt.Sprint(len(row.why)), executes(row.command))
			_, err := e.Apply(t.Context(), req, engine.Plan{}, said)
			if fault.From(err).Code != row.code {
				t.Errorf("%s: want %s, got %v", row.why, row.code, err)
			}
			if said.text.Len() > 1<<16 || strings.Contains(said.text.String(), "0123456789") {
				t.Errorf("%s: a log of %d bytes", row.why, said.text.Len())
			}
			// What it made is known, and goes.
			b.config.Timeout = "5m"
			if err := b.engine(t, nil).Destroy(t.Context(), req, engine.Discard); err != nil {
				t.Errorf("%s: destroy: %v", row.why, err)
			}
		}
	})
}

// What was hashed once is not hashed again while nothing of it has changed; a
// change is seen although size and time of the file are what they were.
func TestAProviderThatIsChangedUnderARunningServer(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bed) {
		e := b.engine(t, nil)
		for _, name := range []string{"first", "again"} {
			if _, err := e.Plan(t.Context(), b.request(name)); err != nil {
				t.Fatal(err)
			}
		}
		list, err := filepath.Glob(filepath.Join(b.config.Dir, "m", "*", "bare.hcl"))
		if err != nil || len(list) != 1 {
			t.Fatalf("the program hashes the provider at each start: %v %v", list, err)
		}
		if text, err := os.ReadFile(list[0]); err != nil || strings.Contains(string(text), "h1:") || !strings.Contains(string(text), iactest.TestProvider) {
			t.Fatalf("%s %v", text, err)
		}
		was, err := os.Stat(b.provider)
		if err != nil {
			t.Fatal(err)
		}
		f, err := os.OpenFile(b.provider, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		last := make([]byte, 1)
		if _, err := f.ReadAt(last, was.Size()-1); err != nil {
			t.Fatal(err)
		}
		last[0]++
		_, err = f.WriteAt(last, was.Size()-1)
		if err := errors.Join(err, f.Close(), os.Chtimes(b.provider, was.ModTime(), was.ModTime())); err != nil {
			t.Fatal(err)
		}
		if _, err := e.Plan(t.Context(), b.request("changed")); err == nil {
			t.Fatal("a provider that was changed was run")
		}
		// As it was it is run again.
		if f, err = os.OpenFile(b.provider, os.O_RDWR, 0); err != nil {
			t.Fatal(err)
		}
		last[0]--
		_, err = f.WriteAt(last, was.Size()-1)
		if err := errors.Join(err, f.Close()); err != nil {
			t.Fatal(err)
		}
		if _, err := e.Plan(t.Context(), b.request("mended")); err != nil {
			t.Fatal(err)
		}
	})
}

// CVE-2023-4782, CVE-2026-74796: another program under the provider's name.
func TestAProviderThatWasChangedIsNotRun(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bed) {
		if _, err := b.engine(t, nil).Plan(t.Context(), b.request("first")); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(b.provider)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(b.provider, append(text, 0), 0o755); err != nil {
			t.Fatal(err)
		}
		_, err = b.engine(t, nil).Plan(t.Context(), b.request("second"))
		if err == nil {
			t.Fatal("a provider that was changed was run by the module that is initialised")
		}
		t.Log(err)
		if err := os.RemoveAll(filepath.Join(b.config.Dir, "m")); err != nil { // another server, with the same store
			t.Fatal(err)
		}
		if _, err = b.engine(t, nil).Plan(t.Context(), b.request("third")); fault.From(err).Code != "provider_hashes" {
			t.Fatalf("want provider_hashes, got %v", err)
		}
	})
}

package iac_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"fairlead/internal/engine"
)

func (b *bed) folders(t *testing.T) (names []string) {
	t.Helper()
	list, err := os.ReadDir(filepath.Join(b.config.Dir, "m"))
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range list {
		names = append(names, d.Name())
	}
	return names
}

// age makes a module's folder look as if nothing was done with it since.
func (b *bed) age(t *testing.T, id string, by time.Duration) {
	t.Helper()
	dir, then := filepath.Join(b.config.Dir, "m", id), time.Now().Add(-by)
	for _, p := range []string{filepath.Join(dir, "ready"), dir} {
		if err := os.Chtimes(p, then, then); err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}
}

// What nothing is done with goes, what a run works with stays, and what is
// wanted again is made again.
func TestModulesThatAreNotUsedGo(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bed) {
		atWork, goOn := make(chan struct{}), make(chan struct{})
		var once sync.Once
		e := b.engine(t, func(point string) {
			if point == "iac.apply.before" {
				once.Do(func() { close(atWork); <-goOn })
			}
		})
		req := b.request("orders")
		done := make(chan error, 1)
		var res engine.Result
		go func() {
			p, err := e.Plan(t.Context(), req)
			if err == nil {
				res, err = e.Apply(t.Context(), req, p, engine.Discard)
			}
			done <- err
		}()
		<-atWork
		before := b.folders(t)
		e.Collect(0)
		if now := b.folders(t); len(before) != 1 || !slices.Equal(now, before) {
			t.Fatalf("with a run under way: %v, then %v", before, now)
		}
		close(goOn)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		e.Collect(time.Hour)
		if now := b.folders(t); !slices.Equal(now, before) {
			t.Fatalf("used a moment ago: %v", now)
		}
		e.Collect(0)
		if now := b.folders(t); len(now) != 0 {
			t.Fatalf("left: %v", now)
		}
		req.Previous = &res
		if p, err := e.Plan(t.Context(), req); err != nil || !p.Empty() {
			t.Fatalf("made again: %+v, %v", p.Changes, err)
		}
		if now := b.folders(t); !slices.Equal(now, before) {
			t.Fatalf("made again: %v, want %v", now, before)
		}
		if err := e.Destroy(t.Context(), req, engine.Discard); err != nil {
			t.Fatal(err)
		}
	})
}

// A server that starts finds what the one before left: by its age on the disk,
// and what a crash left half removed.
func TestModulesOfAServerBefore(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bed) {
		req := b.request("orders")
		first := b.engine(t, nil)
		var crash atomic.Bool
		first.OnCollect(func(point string) {
			if crash.Load() && point == "iac.collect.moved" {
				panic("a crash")
			}
		})
		if _, err := first.Plan(t.Context(), req); err != nil {
			t.Fatal(err)
		}
		id := b.folders(t)[0]
		for _, name := range []string{"not-a-module", "t-" + id} { // somebody's, and a trial's
			if err := os.Mkdir(filepath.Join(b.config.Dir, "m", name), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		func() {
			defer func() { _ = recover() }()
			crash.Store(true)
			first.Collect(0)
			t.Error("it was to be cut off")
		}()
		if now := b.folders(t); slices.Contains(now, id) || !slices.ContainsFunc(now, func(n string) bool { return strings.HasPrefix(n, "x-"+id) }) {
			t.Fatalf("cut off: %v", now)
		}

		var collected sync.WaitGroup
		collected.Add(1)
		second := b.engine(t, nil)
		second.OnCollect(func(point string) {
			if point == "iac.collect.after" {
				collected.Done()
			}
		})
		if _, err := second.Plan(t.Context(), req); err != nil { // it starts, and makes the module again
			t.Fatal(err)
		}
		collected.Wait()
		if now := b.folders(t); !slices.Equal(now, []string{id, "not-a-module"}) {
			t.Fatalf("after a start: %v", now)
		}

		b.age(t, id, 8*24*time.Hour)
		second.Collect(7 * 24 * time.Hour)
		if now := b.folders(t); !slices.Contains(now, id) {
			t.Fatal("what this server used a moment ago went by what the disk says")
		}
		third := b.engine(t, nil)
		if _, err := third.Program(t.Context()); err != nil {
			t.Fatal(err)
		}
		third.Close() // waits for what goes on
		if now := b.folders(t); !slices.Equal(now, []string{"not-a-module"}) {
			t.Fatalf("after a week: %v", now)
		}
	})
}

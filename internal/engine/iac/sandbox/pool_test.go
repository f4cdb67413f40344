package sandbox_test

import (
	"errors"
	"sync"
	"syscall"
	"testing"

	"fairlead/internal/engine/iac/sandbox"
)

// A job finds a launcher that waits, is its only job, and leaves another one.
func TestALauncherWaitsForTheNextJob(t *testing.T) {
	t.Parallel()
	var pool sandbox.Pool
	defer pool.Close()
	j, _ := job(t, "exit")
	used := map[int]bool{}
	for range 3 {
		if code, err := pool.Run(t.Context(), j); code != 7 || err != nil {
			t.Fatal(code, err)
		}
		pid := pool.Spare()
		if pid == 0 || used[pid] {
			t.Fatalf("process %d waits, after %v", pid, used)
		}
		used[pid] = true
	}
	last := pool.Spare()
	pool.Close()
	if err := syscall.Kill(last, 0); !errors.Is(err, syscall.ESRCH) {
		t.Fatalf("the launcher that waited is still there: %v", err)
	}
	if code, err := pool.Run(t.Context(), j); code != 7 || err != nil {
		t.Fatalf("after the end: %d, %v", code, err)
	}
}

// What becomes of a launcher that waits is no job's failure.
func TestALauncherThatDiedWaiting(t *testing.T) {
	t.Parallel()
	var pool sandbox.Pool
	defer pool.Close()
	j, out := job(t, "show")
	if code, err := pool.Run(t.Context(), j); code != 0 || err != nil {
		t.Fatal(code, err)
	}
	first := out.String()
	out.text.Reset()
	if err := sandbox.Kill(pool.Spare()); err != nil {
		t.Fatal(err)
	}
	if code, err := pool.Run(t.Context(), j); code != 0 || err != nil || out.String() != first {
		t.Fatalf("%d, %v: %q, first %q", code, err, out, first)
	}
}

// Many at once have a launcher each.
func TestJobsAtOnce(t *testing.T) {
	t.Parallel()
	var pool sandbox.Pool
	defer pool.Close()
	var all sync.WaitGroup
	for range 8 {
		j, _ := job(t, "exit")
		all.Go(func() {
			for range 3 {
				if code, err := pool.Run(t.Context(), j); code != 7 || err != nil {
					t.Error(code, err)
				}
			}
		})
	}
	all.Wait()
}

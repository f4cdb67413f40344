package app

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"fairlead/internal/fault"
)

// lockData makes the data directory and takes it for this process alone. The
// kernel gives the lock back when the process ends, however it ends.
func lockData(dir string) (unlock func(), err error) {
	unusable := func(err error) error {
		return fault.New(fault.Invalid, "data_directory_unusable", "the data directory %s cannot be used", dir).
			WithHint("name another one with --data, or give this account the right to write there").WithCause(err)
	}
	if err := os.MkdirAll(dir, 0o711); err != nil { //nolint:gosec // the account of the PostgreSQL server below passes through
		return nil, unusable(err)
	}
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, unusable(err)
	}
	err = patiently(func() error { return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) })
	if err != nil {
		f.Close()
		return nil, fault.New(fault.Conflict, "data_directory_in_use", "another fairlead uses the data directory %s", dir).
			WithHint("stop it first, or name another directory with --data")
	}
	// For people who look for the process; nothing trusts it.
	_ = f.Truncate(0)
	_, _ = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return func() { f.Close() }, nil
}

// handover is how long a start waits for what the process before it may still
// hold: when one is killed while it starts a program, the program's process has
// a copy of all its files, the lock and the open port too, until it is that
// program: half a second was seen on a machine with ten times its work. What
// has become its program holds neither.
const handover = 2 * time.Second

// patiently tries to take something until then.
func patiently(take func() error) error {
	for end := time.Now().Add(handover); ; time.Sleep(20 * time.Millisecond) {
		err := take()
		if err == nil || time.Now().After(end) || !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EADDRINUSE) {
			return err
		}
	}
}

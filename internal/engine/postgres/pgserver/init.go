package pgserver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"fairlead/internal/failpoint"
	"fairlead/internal/fault"
	"fairlead/internal/redact"
)

// settings are the defaults that initialise writes to the end of
// postgresql.conf; an operator may change them there. Durability stays whole.
const settings = `
# Fairlead's defaults. Port and address are given on the command line.
max_connections = %d
shared_buffers = 64MB
password_encryption = 'scram-sha-256'
unix_socket_directories = ''
fsync = on
synchronous_commit = on
full_page_writes = on
max_wal_size = 1GB
jit = off
autovacuum_naptime = 2min
logging_collector = on
log_directory = 'log'
log_filename = 'postgresql-%%a.log'
log_truncate_on_rotation = on
log_rotation_age = 1d
log_rotation_size = 0
`

// initialise makes the data directory beside its place and moves it there when
// it is whole, so that a crash leaves either no directory or a good one.
func (s *Server) initialise(ctx context.Context) error {
	passfile := filepath.Join(s.opt.Dir, "password")
	if _, err := os.Stat(filepath.Join(s.place.Data, "PG_VERSION")); err == nil {
		raw, err := os.ReadFile(passfile)
		if err != nil {
			return dirFault(passfile, err)
		}
		s.password = redact.New(strings.TrimSpace(string(raw)))
		return nil
	}
	if left, err := os.ReadDir(s.place.Data); err == nil && len(left) > 0 {
		return fault.New(fault.Unavailable, "postgres_init_failed", "%s exists but is not a PostgreSQL data directory", s.place.Data).
			WithHint("move it away, or restore it from a backup")
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return dirFault(s.place.Data, err)
	}
	s.password = newPassword()
	if err := writeDurably(passfile, []byte(s.password.Reveal()+"\n"), 0o600); err != nil {
		return dirFault(passfile, err)
	}
	work := s.place.Data + ".new"
	if err := os.RemoveAll(work); err != nil {
		return dirFault(work, err)
	}
	if err := s.runInitdb(ctx, work); err != nil {
		_ = os.RemoveAll(work)
		return err
	}
	conf := filepath.Join(work, "postgresql.conf")
	f, err := os.OpenFile(conf, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return dirFault(conf, err)
	}
	_, err = fmt.Fprintf(f, settings, s.opt.MaxConnections)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return dirFault(conf, err)
	}
	failpoint.Hit("pgserver.init.before")
	if err := errors.Join(os.Rename(work, s.place.Data), syncDir(filepath.Dir(s.place.Data))); err != nil {
		return dirFault(s.place.Data, err)
	}
	failpoint.Hit("pgserver.init.after")
	return nil
}

// runInitdb makes work and fills it. The password goes through a file that
// only the account may read, and that is gone afterwards.
func (s *Server) runInitdb(ctx context.Context, work string) error {
	if err := os.Mkdir(work, 0o700); err != nil {
		return dirFault(work, err)
	}
	passfile := work + ".pass"
	defer func() { _ = os.Remove(passfile) }()
	if err := writeDurably(passfile, []byte(s.password.Reveal()+"\n"), 0o600); err != nil {
		return dirFault(passfile, err)
	}
	if s.place.Account.drop {
		for _, p := range []string{work, passfile} {
			if err := os.Chown(p, s.place.Account.UID, s.place.Account.GID); err != nil {
				return dirFault(p, err)
			}
		}
	}
	var out bytes.Buffer
	for _, locale := range []string{"C.UTF-8", "C"} { // C.UTF-8 is not on every machine
		out.Reset()
		cmd := exec.CommandContext(ctx, filepath.Join(s.bin, "initdb"), "-D", work, "-U", Superuser, "-A", "scram-sha-256",
			"--pwfile="+passfile, "-E", "UTF8", "--locale="+locale, "--data-checksums")
		cmd.Dir, cmd.Env, cmd.SysProcAttr = filepath.Dir(work), s.environment(), s.place.Account.attributes()
		cmd.Stdout, cmd.Stderr = &out, &out
		// It must not outlive us: told to stop, it ends its own children, and
		// until all of them are gone they hold the lock that the next start
		// waits for.
		cmd.SysProcAttr.Pdeathsig = syscall.SIGTERM
		cmd.ExtraFiles = []*os.File{s.lock}
		cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
		cmd.WaitDelay = 5 * time.Second
		failpoint.Hit("pgserver.initdb.before")
		err := run(cmd)
		failpoint.Hit("pgserver.initdb.after")
		if err == nil {
			return nil
		}
		if ctx.Err() != nil || locale == "C" {
			return fault.New(fault.Unavailable, "postgres_init_failed", "initdb failed: %s", lastLine(out.String())).
				WithHint("check that %s is writable and has about 60 MB of space", filepath.Dir(work)).WithCause(err)
		}
	}
	return nil
}

// run runs cmd on a thread of its own: the signal at a parent's death follows
// the thread that forked.
func run(cmd *exec.Cmd) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	return cmd.Run()
}

// environment is what PostgreSQL's programs get: nothing of Fairlead's own,
// which holds credentials.
func (s *Server) environment() []string {
	return []string{"PATH=" + s.bin + ":/usr/bin:/bin", "LANG=C", "LC_ALL=C", "TZ=UTC", "HOME=" + filepath.Dir(s.place.Data)}
}

func lastLine(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	for i := len(lines) - 1; i >= 0; i-- {
		if strings.Contains(lines[i], "error") || strings.Contains(lines[i], "FATAL") {
			return strings.TrimSpace(lines[i])
		}
	}
	return strings.TrimSpace(lines[len(lines)-1])
}

// writeDurably replaces a file as a whole: a crash leaves the old or the new.
func writeDurably(file string, content []byte, mode os.FileMode) error {
	tmp := file + ".tmp"
	f, err := os.OpenFile(tmp, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return errors.Join(os.Rename(tmp, file), syncDir(filepath.Dir(file)))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

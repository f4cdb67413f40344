package postgres

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"fairlead/internal/engine"
	"fairlead/internal/engine/postgres/pgserver"
	"fairlead/internal/fault"
)

// snapshot keeps a last dump of the database, in pg_dump's custom format, as
// SnapshotDir/<database>.dump, or .dump.age when it is sealed. A dump has its name only when it is whole and
// on the disk.
func (ses *session) snapshot(w *want, wd *world, p engine.Progress) error {
	name := ses.e.dumpName(w)
	p.Step("keeping a last dump as %s", name)
	failed := func(err error) error {
		return fault.New(fault.Unavailable, "snapshot_failed", "the last dump of %s could not be kept, so nothing was dropped", w.names.Database).
			WithHint("check the space in the folder for dumps, and that pg_dump is at least as new as the server; Fairlead tries again by itself").WithCause(err)
	}
	if !wd.db.open { // closed by an earlier try; its log-ins are closed too
		if err := ses.exec("open_for_dump", `ALTER DATABASE `+ident(w.names.Database)+` ALLOW_CONNECTIONS true`); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(ses.e.opt.SnapshotDir, 0o700); err != nil {
		return failed(err)
	}
	root, err := os.OpenRoot(ses.e.opt.SnapshotDir)
	if err != nil {
		return failed(err)
	}
	defer func() { _ = root.Close() }()
	partial := name + ".partial"
	f, err := root.OpenFile(partial, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return failed(err)
	}
	ses.e.hit("postgres.dump.before")
	err = ses.dump(w, wd, f)
	ses.e.hit("postgres.dump.after")
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		_ = root.Remove(partial)
		if ses.ctx.Err() != nil {
			return ses.fault(ses.ctx, "dump", err)
		}
		return failed(err)
	}
	ses.e.hit("postgres.keep_dump.before")
	err = root.Rename(partial, name)
	if err == nil {
		err = syncRoot(root)
	}
	ses.e.hit("postgres.keep_dump.after")
	if err != nil {
		return failed(err)
	}
	return nil
}

func (e *Engine) dumpName(w *want) string {
	if e.opt.Seal != nil {
		return w.names.Owner + ".dump.age" // an adopted database's name may come again
	}
	return w.names.Owner + ".dump"
}

// CanSnapshot implements engine.Snapshotter.
func (e *Engine) CanSnapshot(engine.Request) bool { return e.opt.SnapshotDir != "" }

// LastSnapshot implements engine.Snapshotter.
func (e *Engine) LastSnapshot(_ context.Context, req engine.Request) (string, error) {
	if e.opt.SnapshotDir == "" {
		return "", nil
	}
	var sp spec
	if known, err := readSpec(req.Template.Spec); err == nil {
		sp = known
	}
	w, err := e.locate(req, sp)
	if err != nil {
		return "", err
	}
	at := filepath.Join(e.opt.SnapshotDir, e.dumpName(w))
	if _, err := os.Stat(at); errors.Is(err, os.ErrNotExist) {
		return "", nil
	} else if err != nil {
		return "", err
	}
	return at, nil
}

func syncRoot(root *os.Root) error {
	d, err := root.Open(".")
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// dump writes the dump to dst, sealed if so configured.
func (ses *session) dump(w *want, wd *world, dst io.Writer) error {
	seal := func(io.Writer) (io.WriteCloser, error) { return nopCloser{dst}, nil }
	if ses.e.opt.Seal != nil {
		seal = ses.e.opt.Seal
	}
	out, err := seal(dst)
	if err != nil {
		return err
	}
	program, err := ses.e.dumpProgram()
	if err != nil {
		return errors.Join(err, out.Close())
	}
	ctx, cancel := context.WithCancel(ses.ctx)
	defer cancel()
	cfg := ses.pool.Config().ConnConfig
	args := []string{"--format=custom", "--no-password", "--host=" + cfg.Host, "--port=" + strconv.Itoa(int(cfg.Port)),
		"--username=" + cfg.User, "--dbname=" + conninfo(w.names.Database)}
	if wd.ownsRole(w, w.names.Owner) {
		args = append(args, "--role="+w.names.Owner) // whatever is in there runs with the tenant's rights
	}
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append(sslEnvironment(ses.URL.Reveal()), "PATH=/usr/bin:/bin", "LC_ALL=C", "PGAPPNAME=fairlead",
		"PGPASSWORD="+cfg.Password, "PGCONNECT_TIMEOUT="+strconv.Itoa(max(2, int(ses.e.opt.ConnectTimeout.Seconds()))))
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = out, &limited{to: &said, left: 4096}
	cmd.WaitDelay = 5 * time.Second
	err = cmd.Run()
	if err != nil {
		err = errors.Join(err, errors.New(strings.TrimSpace(said.String())))
	}
	return errors.Join(err, out.Close())
}

// conninfo names a database to libpq, for which a name with an equals sign, as
// an adopted one may have, is a whole connection: another host, say, that would
// be sent the administrator's password.
func conninfo(database string) string {
	return "dbname='" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(database) + "'"
}

func (e *Engine) dumpProgram() (string, error) {
	if e.opt.DumpProgram != "" {
		return e.opt.DumpProgram, nil
	}
	dir, err := pgserver.Binaries("pg_dump")
	return filepath.Join(dir, "pg_dump"), err
}

// sslEnvironment hands pg_dump the TLS settings of the administrator's URL.
func sslEnvironment(raw string) []string {
	u, err := url.Parse(raw)
	if err != nil {
		return nil
	}
	var env []string
	for _, key := range []string{"sslmode", "sslrootcert", "sslcert", "sslkey"} {
		if v := u.Query().Get(key); v != "" {
			env = append(env, "PG"+strings.ToUpper(key)+"="+v)
		}
	}
	return env
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }

// limited keeps the first bytes of what a program says.
type limited struct {
	to   *bytes.Buffer
	left int
}

func (l *limited) Write(p []byte) (int, error) {
	n := min(len(p), l.left)
	l.to.Write(p[:n])
	l.left -= n
	return len(p), nil
}

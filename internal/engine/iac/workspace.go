package iac

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"fairlead/internal/engine"
	"fairlead/internal/engine/iac/iacmodule"
	"fairlead/internal/fault"
)

// module is a module's files with its providers, initialised once and
// read-only from then on.
type module struct {
	mu     sync.Mutex
	ready  bool
	trial  bool
	id     string
	digest string // of its files
	dir    string
	data   string // TF_DATA_DIR of all its runs
	tops   []string
	veil   []string // its sensitive variables

	users         int       // runs that work with it now; this and what follows is under the engine's mu
	used, touched time.Time // when something was last done with it, and noted on the disk

	locks sync.Mutex
	held  string // of what files the hashes of the lock file were seen to hold
}

// module gives the initialised module of a template.
func (e *Engine) module(ctx context.Context, t engine.Template) (*module, error) {
	files, digest, err := moduleFiles(t.Files)
	if err != nil {
		return nil, err
	}
	id := e.moduleID(digest)
	e.mu.Lock()
	m := e.modules[id]
	if m == nil {
		dir := filepath.Join(e.dir, "m", id)
		m = &module{id: id, digest: digest, dir: dir, data: filepath.Join(dir, "data")}
		e.modules[id] = m
	}
	m.used = time.Now()
	e.mu.Unlock()
	return m, e.prepare(ctx, m, t, files)
}

// prepare makes a module's folder what runs are made of.
func (e *Engine) prepare(ctx context.Context, m *module, t engine.Template, files []file) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ready {
		return nil
	}
	m.tops, m.veil = nil, nil
	if read, err := iacmodule.Read(t.Files, moduleRoot(t.Files)); err == nil { // else the program says what is wrong
		for _, v := range read.Variables {
			if v.Sensitive {
				m.veil = append(m.veil, v.Name)
			}
		}
	}
	seen := map[string]bool{}
	lock := ""
	for _, f := range files {
		top := firstOf(f.path)
		if f.path == lockFile {
			lock = string(f.data)
		} else if !seen[top] {
			seen[top] = true
			m.tops = append(m.tops, top)
		}
	}
	if _, err := os.Stat(filepath.Join(m.dir, "ready")); err == nil {
		m.ready = true
		return nil
	}
	if err := e.initialise(ctx, m, files, lock); err != nil {
		return err
	}
	m.ready = true
	return nil
}

// moduleID names a module as this program initialises it.
func (e *Engine) moduleID(digest string) string {
	sum := sha256.Sum256([]byte(digest + " " + e.program + " " + e.version + " " + e.o.Config.Mirror))
	return hex.EncodeToString(sum[:10])
}

func firstOf(p string) string {
	for dir := path.Dir(p); dir != "."; dir = path.Dir(p) {
		p = dir
	}
	return p
}

// initialise lays the module out and fetches its providers. The hashes of the
// lock file are enforced: the module's own, or else those that were found at
// the very first time.
func (e *Engine) initialise(ctx context.Context, m *module, files []file, lock string) error {
	unable := func(err error) error {
		return fault.New(fault.Unavailable, "engine_unavailable", "the module's folder cannot be made").WithCause(err)
	}
	if err := m.layOut(files); err != nil {
		return unable(err)
	}
	if lock == "" {
		var err error
		if lock, err = e.o.States.LockFile(ctx, m.id); err != nil {
			return err
		}
	}
	r, err := e.newRun(ctx, m, "i-"+rand.Text()[:8], want{}, e.o.States.Open("init", "init"))
	if err != nil {
		return err
	}
	defer r.close()
	r.trial = m.trial
	if err := r.prepareInit(lock); err != nil {
		return unable(err)
	}
	args := []string{"init", "-json", "-input=false", "-no-color"}
	if lock != "" {
		args = append(args, "-lockfile=readonly")
	}
	said := &stream{}
	r.hit("iac.init.before")
	code, stderr, err := r.exec(ctx, e.o.Config.Mirror == "", said, args...)
	r.hit("iac.init.after")
	if err != nil {
		return err
	}
	if code != 0 {
		return e.initFault(said, stderr, code)
	}
	if lock == "" {
		found, err := r.read("w/"+lockFile, 1<<20)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return unable(err)
		}
		switch {
		case len(found) == 0:
		case m.trial: // who makes it real finds out for good
			lock = string(found)
		default:
			if lock, err = e.o.States.KeepLockFile(ctx, m.id, string(found)); err != nil {
				return err
			}
			if lock != string(found) { // another server was first: what counts is what it found
				return fault.New(fault.Unavailable, "provider_hashes", "another server initialised the module just now").WithHint("it is tried again by itself")
			}
		}
	}
	err = m.seal(lock)
	if _, known := errors.AsType[*fault.Error](err); err != nil && !known {
		return unable(err)
	}
	return err
}

// layOut writes the module's files, over whatever an earlier attempt left.
func (m *module) layOut(files []file) error {
	if err := os.RemoveAll(m.dir); err != nil {
		return err
	}
	for _, d := range []string{m.dir, filepath.Join(m.dir, "src"), m.data} {
		if err := os.MkdirAll(d, 0o755); err != nil { //nolint:gosec // every run reads it
			return err
		}
	}
	root, err := os.OpenRoot(filepath.Join(m.dir, "src"))
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	for _, f := range files {
		if dir := path.Dir(f.path); dir != "." {
			if err := root.MkdirAll(dir, 0o755); err != nil {
				return err
			}
		}
		if err := root.WriteFile(f.path, f.data, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// hidden are the values of sensitive variables, and of those that are secret
// whatever the module says, for messages that repeat one.
func (m *module) hidden(vars []byte, secret []string) (list masker) {
	var given map[string]any
	if len(m.veil)+len(secret) == 0 || json.Unmarshal(vars, &given) != nil {
		return nil
	}
	for _, name := range slices.Concat(m.veil, secret) {
		list = secretsOf(list, given[name], nil, true)
	}
	return list
}

// link makes the module's files those of a run's working directory.
func (m *module) link(root *os.Root) error {
	for _, top := range m.tops {
		if err := root.Symlink(filepath.Join(m.dir, "src", top), "w/"+top); err != nil {
			return err
		}
	}
	if m.ready {
		if file, there := m.locked(); there {
			if err := root.Symlink(filepath.Join(m.dir, file), "w/"+lockFile); err != nil {
				return err
			}
		}
	}
	return root.WriteFile("w/"+overrideFile, []byte(backend), 0o600)
}

// prepareInit lets the seat's account fill the data directory.
func (r *run) prepareInit(lock string) error {
	if lock != "" {
		root, err := os.OpenRoot(r.dir)
		if err != nil {
			return err
		}
		defer func() { _ = root.Close() }()
		if err := root.WriteFile("w/"+lockFile, []byte(lock), 0o644); err != nil {
			return err
		}
		if err := r.give(root); err != nil {
			return err
		}
	}
	if r.seat.uid == 0 {
		return nil
	}
	return os.Chown(r.m.data, r.seat.uid, r.seat.uid)
}

// seal takes the data directory away from the account that filled it, checks
// that no file of the module replaced the backend, and marks it ready.
func (m *module) seal(lock string) error {
	root, err := os.OpenRoot(m.dir)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	err = fs.WalkDir(root.FS(), "data", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if os.Geteuid() == 0 {
			if err := root.Lchown(p, 0, 0); err != nil {
				return err
			}
		}
		switch {
		case d.IsDir():
			return root.Chmod(p, 0o755)
		case d.Type().IsRegular():
			st, err := d.Info()
			if err != nil {
				return err
			}
			return root.Chmod(p, 0o444|st.Mode().Perm()&0o111)
		}
		return nil
	})
	if err != nil {
		return err
	}
	text, err := readBelow(m.dir, "data/terraform.tfstate", 1<<20)
	var noted struct {
		Backend struct {
			Type string `json:"type"`
		} `json:"backend"`
	}
	if err != nil || json.Unmarshal(text, &noted) != nil || noted.Backend.Type != "http" {
		return fault.New(fault.Invalid, "module_invalid", "a file of the module overrides where its state is kept").
			WithHint("remove the backend or cloud block from its override files; Fairlead keeps the state")
	}
	if lock != "" {
		if err := root.WriteFile(fullLock, []byte(lock), 0o644); err != nil {
			return err
		}
	}
	return root.WriteFile("ready", nil, 0o600)
}

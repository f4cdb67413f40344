package iac

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"fairlead/internal/engine/iac/sandbox"
	"fairlead/internal/failpoint"
	"fairlead/internal/regex"
)

const (
	goneNamed   = "x-"      // begins the folders of modules that are being removed
	collectEach = time.Hour // between two looks at what may go
	touchEach   = time.Hour // between two notes on the disk that a module is used
)

var moduleNamed = regex.Late(`^[0-9a-f]{20}$`)

// use notes that a run works with a module, until done is called. Its folder
// stays for as long, whatever its age.
func (e *Engine) use(m *module) (done func()) {
	if m == nil {
		return func() {}
	}
	e.mu.Lock()
	m.users++
	m.used = time.Now()
	touch := m.used.Sub(m.touched) > touchEach
	if touch {
		m.touched = m.used
	}
	e.mu.Unlock()
	if touch { // of a folder that is being made there is nothing yet; then it is new anyway
		_ = os.Chtimes(filepath.Join(m.dir, "ready"), time.Time{}, m.used)
	}
	return func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		m.users--
		m.used = time.Now()
	}
}

// tidy collects in the background, now and then. The caller holds e.mu.
func (e *Engine) tidy() {
	if e.closed || !e.tidied.IsZero() && time.Since(e.tidied) < collectEach {
		return
	}
	e.tidied = time.Now()
	e.tidying.Go(func() { e.collect(e.keepFor) })
}

// collect removes the folders of modules that nothing was done with for keep:
// no run is of them, and no living resource, or it would have been looked at.
// A folder holds nothing that cannot be made again, from the files of the
// template's version and the hashes of its providers, which are in the store.
// A crash leaves a folder whole, or under a name that nobody looks for.
func (e *Engine) collect(keep time.Duration) {
	root, err := os.OpenRoot(filepath.Join(e.dir, "m"))
	if err != nil {
		e.o.Log.Warn("modules that are not used cannot be looked for", "error", err)
		return
	}
	defer func() { _ = root.Close() }()
	list, err := fs.ReadDir(root.FS(), ".")
	if err != nil {
		e.o.Log.Warn("modules that are not used cannot be looked for", "error", err)
		return
	}
	if e.earlierAtWork() {
		return // programs of a server before this one: nobody knows of which modules
	}
	for _, d := range list {
		name := d.Name()
		if !strings.HasPrefix(name, goneNamed) {
			if !moduleNamed().MatchString(name) {
				continue
			}
			e.collecting("iac.collect.before")
			gone, err := e.takeAway(root, name, keep)
			if err != nil {
				e.o.Log.Warn("a module that is not used cannot be removed", "module", name, "error", err)
			}
			if gone == "" {
				continue
			}
			e.collecting("iac.collect.moved")
			e.o.Log.Info("a module that is not used any more is removed", "module", name)
			name = gone
		}
		if err := root.RemoveAll(name); err != nil {
			e.o.Log.Warn("a module that is not used cannot be removed", "module", name, "error", err)
		}
		e.collecting("iac.collect.after")
	}
}

// collecting marks a point of a collection, which is nobody's call: Options.OnCall
// is not told.
func (e *Engine) collecting(point string) {
	failpoint.Hit(point)
	if e.onCollect != nil {
		e.onCollect(point)
	}
}

// takeAway gives a module's folder another name, when nothing was done with it
// for keep. Whoever wants the module then makes it again.
func (e *Engine) takeAway(root *os.Root, id string, keep time.Duration) (gone string, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if m := e.modules[id]; m != nil {
		if m.users > 0 || time.Since(m.used) < keep || !m.mu.TryLock() {
			return "", nil
		}
		defer m.mu.Unlock()
		defer func() {
			if gone != "" {
				m.ready = false
				m.locks.Lock()
				m.held = "" // what was written beside the lock file went, too
				m.locks.Unlock()
			}
		}()
	} else if st, err := root.Stat(id + "/ready"); err == nil && time.Since(st.ModTime()) < keep {
		return "", nil
	} else if st, err := root.Stat(id); err != nil || !st.IsDir() || time.Since(st.ModTime()) < keep {
		return "", err
	}
	gone = goneNamed + id + "-" + rand.Text()[:8]
	if err := root.Rename(id, gone); err != nil {
		return "", err
	}
	return gone, nil
}

// noteEarlier keeps the names of the runs that a server before this one left.
func (e *Engine) noteEarlier(runs []os.DirEntry) {
	for _, d := range runs {
		if strings.HasSuffix(d.Name(), ".alive") {
			e.earlier = append(e.earlier, d.Name())
		}
	}
}

// earlierAtWork tells whether anything of theirs is still alive. What cannot be
// found out counts as alive.
func (e *Engine) earlierAtWork() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.earlier = slices.DeleteFunc(e.earlier, func(name string) bool {
		dead, err := sandbox.Dead(filepath.Join(e.runs(), name))
		return dead && (err == nil || errors.Is(err, fs.ErrNotExist))
	})
	return len(e.earlier) > 0
}

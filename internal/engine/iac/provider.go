package iac

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"fairlead/internal/regex"
)

const (
	fullLock = "lock.hcl" // as it is enforced
	bareLock = "bare.hcl" // the same without hashes, for as long as we know that they hold
)

var (
	lockedProvider = regex.Late(`(?ms)^provider "([^"\n]+)" \{\n(.*?)^\}`)
	lockedVersion  = regex.Late(`(?m)^\s*version\s*=\s*"([^"\n]+)"`)
	lockedHashes   = regex.Late(`(?ms)^\s*hashes = \[\n(.*?)^\s*\]\n`)
)

// locked gives the lock file for a run. Both programs hash every provider at
// every start, which is most of what a start costs where providers are large.
// So we do it ourselves, and again whenever anything about a provider's files
// is not as it was then: their change times cannot be set. What does not hold,
// or what we cannot tell, the program is left to judge.
func (m *module) locked() (file string, there bool) {
	m.locks.Lock()
	defer m.locks.Unlock()
	text, err := readBelow(m.dir, fullLock, 1<<20)
	if err != nil {
		return fullLock, false
	}
	now, ok := m.stamp(string(text))
	if !ok {
		return fullLock, true
	}
	if now != m.held {
		m.held = ""
		if !m.holds(string(text)) {
			return fullLock, true
		}
		if after, ok := m.stamp(string(text)); !ok || after != now { // changed meanwhile
			return fullLock, true
		}
		bare := lockedHashes().ReplaceAllString(string(text), "")
		if err := os.WriteFile(filepath.Join(m.dir, bareLock), []byte(bare), 0o644); err != nil { //nolint:gosec // every run reads it
			return fullLock, true
		}
		m.held = now
	}
	return bareLock, true
}

// packages are the folders of the providers that a lock file names.
func (m *module) packages(lock string) (dirs, hashes []string, ok bool) {
	for _, p := range lockedProvider().FindAllStringSubmatch(lock, -1) {
		version, list := lockedVersion().FindStringSubmatch(p[2]), lockedHashes().FindStringSubmatch(p[2])
		if version == nil || list == nil {
			return nil, nil, false
		}
		dir, err := filepath.EvalSymlinks(filepath.Join(m.data, "providers", filepath.FromSlash(p[1]), version[1], runtime.GOOS+"_"+runtime.GOARCH))
		if err != nil {
			return nil, nil, false
		}
		dirs, hashes = append(dirs, dir), append(hashes, list[1])
	}
	return dirs, hashes, true
}

// stamp says which files there are, and changes when one of them does.
func (m *module) stamp(lock string) (string, bool) {
	dirs, _, ok := m.packages(lock)
	if !ok {
		return "", false
	}
	out := sha256.New()
	_, _ = io.WriteString(out, lock)
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			st, err := os.Stat(path)
			if err != nil {
				return err
			}
			s, known := st.Sys().(*syscall.Stat_t)
			if !known || !st.IsDir() && !st.Mode().IsRegular() {
				return fs.ErrInvalid
			}
			_, _ = fmt.Fprintf(out, "%q %d %d %d %d %d\n", path, s.Dev, s.Ino, st.Size(), s.Ctim.Sec, s.Ctim.Nsec)
			return nil
		})
		if err != nil {
			return "", false
		}
	}
	return string(out.Sum(nil)), true
}

// holds tells whether every provider is one that the lock file names.
func (m *module) holds(lock string) bool {
	dirs, hashes, ok := m.packages(lock)
	for i, dir := range dirs {
		sum, err := packageHash(dir)
		if err != nil || !strings.Contains(hashes[i], `"`+sum+`"`) {
			return false
		}
	}
	return ok
}

// packageHash is the programs' hash of an unpacked provider, "h1:…": of the
// names and hashes of its files, sorted.
func packageHash(dir string) (string, error) {
	files := map[string][]byte{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		f, err := os.Open(path) //nolint:gosec // of the operator's mirror, or unpacked by init as us; a link in it is followed as the programs do
		if err != nil {
			return err
		}
		defer func() { _ = f.Close() }()
		one := sha256.New()
		if _, err := io.Copy(one, f); err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil || strings.Contains(rel, "\n") {
			return fs.ErrInvalid
		}
		files[filepath.ToSlash(rel)] = one.Sum(nil)
		return nil
	})
	sum := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		_, _ = fmt.Fprintf(sum, "%x  %s\n", files[name], name)
	}
	return "h1:" + base64.StdEncoding.EncodeToString(sum.Sum(nil)), err
}

package bundle

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"fairlead/internal/fault"
)

// The bounds of a template.
const (
	MaxFiles   = 500
	MaxFile    = 1 << 20 // bytes of one file
	MaxTotal   = 5 << 20 // bytes of all files together
	MaxArchive = 6 << 20 // bytes of a tar: its headers and padding come on top
	maxPath    = 200     // bytes
	maxLevels  = 10
)

// LockFile is the one dot name that belongs into a template: the hashes of the
// providers that its module may use.
const LockFile = ".terraform.lock.hcl"

// Bundle is the files of one template. It is immutable.
type Bundle struct {
	names []string // sorted
	files map[string][]byte
	total int
}

// Len is the number of files.
func (b *Bundle) Len() int { return len(b.names) }

// Size is the number of bytes in all files together.
func (b *Bundle) Size() int { return b.total }

// File gives a file's content, not to be changed; false when it is not there.
func (b *Bundle) File(name string) ([]byte, bool) {
	c, ok := b.files[name]
	return c, ok
}

// Names gives the files' paths, sorted.
func (b *Bundle) Names() []string { return slices.Clone(b.names) }

// With gives a copy in which one file has another content, or is there.
func (b *Bundle) With(name string, content []byte) (*Bundle, error) {
	w := newBuilder()
	for _, n := range b.names {
		if n == name {
			continue
		}
		if err := w.add(n, bytes.NewReader(b.files[n])); err != nil {
			return nil, err
		}
	}
	if err := w.add(name, bytes.NewReader(content)); err != nil {
		return nil, err
	}
	return w.done()
}

// Archive gives the canonical archive: a tar of the files sorted by path,
// without times, owners and folders.
func (b *Bundle) Archive() []byte {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, name := range b.names {
		// Neither fails: the buffer does not, and the names were checked.
		_ = w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: int64(len(b.files[name])), Format: tar.FormatPAX})
		_, _ = w.Write(b.files[name])
	}
	_ = w.Close()
	return buf.Bytes()
}

// Digest is the SHA-256 of the canonical archive, in hexadecimal.
func (b *Bundle) Digest() string {
	sum := sha256.Sum256(b.Archive())
	return hex.EncodeToString(sum[:])
}

// builder collects files and refuses what does not belong into a template.
type builder struct {
	b      *Bundle
	folded map[string]string // lower-case path or folder -> as written
}

func newBuilder() *builder {
	return &builder{b: &Bundle{files: map[string][]byte{}}, folded: map[string]string{}}
}

// add reads a file of the given path; r is read no further than the bounds.
func (w *builder) add(name string, r io.Reader) error {
	if err := checkPath(name); err != nil {
		return err
	}
	if len(w.b.files) == MaxFiles {
		return fault.New(fault.TooLarge, "template_too_large", "the template has more than %d files", MaxFiles)
	}
	if err := w.claim(name); err != nil {
		return err
	}
	content, err := io.ReadAll(io.LimitReader(r, MaxFile+1))
	if err != nil {
		return unreadable(err)
	}
	if len(content) > MaxFile {
		return fault.New(fault.TooLarge, "template_too_large", "%s is larger than %d bytes", show(name), MaxFile).WithField(name)
	}
	if w.b.total += len(content); w.b.total > MaxTotal {
		return fault.New(fault.TooLarge, "template_too_large", "the template's files are larger than %d bytes together", MaxTotal)
	}
	w.b.files[name] = content
	return nil
}

// claim refuses paths that are the same file somewhere: the same letters in
// another case, or a file where another path has a folder.
func (w *builder) claim(name string) error {
	collide := func(other string) error {
		return badArchive("%s and %s are in each other's way", show(name), show(other)).WithHint("rename one of them").WithField(name)
	}
	key := strings.ToLower(name)
	if other, ok := w.folded[key]; ok {
		if other == name {
			return badArchive("%s is there twice", show(name)).WithField(name)
		}
		return collide(other)
	}
	w.folded[key] = name
	for i := range len(name) {
		if name[i] != '/' {
			continue
		}
		folder := name[:i+1]
		fold := strings.ToLower(folder)
		if other, ok := w.folded[fold]; ok && other != folder {
			return collide(other)
		}
		if other, ok := w.folded[strings.TrimSuffix(fold, "/")]; ok {
			return collide(other)
		}
		w.folded[fold] = folder
	}
	if other, ok := w.folded[key+"/"]; ok {
		return collide(other)
	}
	return nil
}

func (w *builder) done() (*Bundle, error) {
	if len(w.b.files) == 0 {
		return nil, badArchive("the template has no files").WithHint("it needs at least template.yaml")
	}
	for name := range w.b.files {
		w.b.names = append(w.b.names, name)
	}
	slices.Sort(w.b.names)
	return w.b, nil
}

// checkPath allow-lists a file's path: relative, clean, of visible names.
func checkPath(name string) error {
	bad := func(why string) error {
		return badArchive("the path %s is not allowed: %s", show(name), why).WithField(strings.ToValidUTF8(name, "?")).
			WithHint("use relative paths without dot names, as below the template's folder")
	}
	switch {
	case !utf8.ValidString(name):
		return bad("it is not valid UTF-8")
	case len(name) > maxPath:
		return bad("it is too long")
	case !fs.ValidPath(name) || name == ".":
		return bad("it is not a clean relative path")
	case strings.Count(name, "/") >= maxLevels:
		return bad("it is nested too deep")
	}
	for _, r := range name {
		if r == '\\' || r == ':' || r == utf8.RuneError || !unicode.IsPrint(r) {
			return bad("it has a character that is not allowed")
		}
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == LockFile {
			continue
		}
		if part[0] == '.' || part[0] == '-' || part[0] == '~' {
			return bad("a name starts with " + part[:1])
		}
		if last := part[len(part)-1]; last == '.' || last == ' ' {
			return bad("a name ends with a dot or a space")
		}
	}
	return nil
}

func badArchive(format string, args ...any) *fault.Error {
	return fault.New(fault.Invalid, "invalid_archive", format, args...)
}

func unreadable(err error) error {
	if _, ok := errors.AsType[*fault.Error](err); ok {
		return err
	}
	return badArchive("the archive cannot be read to its end").WithHint("send an uncompressed tar of the template's folder").WithCause(err)
}

// show is a stranger's path in an error.
func show(name string) string {
	if len(name) > 80 {
		name = name[:80] + "…"
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, strings.ToValidUTF8(name, "?"))
}

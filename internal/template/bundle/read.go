package bundle

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"fairlead/internal/fault"
)

// Read takes in a tar from a stranger. Errors are Invalid (code
// "invalid_archive") or TooLarge ("template_too_large"), with the path in
// Field.
func Read(r io.Reader) (*Bundle, error) {
	data, err := io.ReadAll(io.LimitReader(r, MaxArchive+1))
	if err != nil {
		return nil, unreadable(err)
	}
	switch {
	case len(data) > MaxArchive:
		return nil, fault.New(fault.TooLarge, "template_too_large", "the archive is larger than %d bytes", MaxArchive)
	case len(data) == 0:
		return nil, badArchive("the archive is empty")
	case isGzip(data), isZip(data), bytes.HasPrefix(data, []byte("BZh")),
		bytes.HasPrefix(data, []byte{0x28, 0xb5, 0x2f, 0xfd}), bytes.HasPrefix(data, []byte{0xfd, '7', 'z'}):
		return nil, badArchive("the archive is compressed").WithHint("send an uncompressed tar of the template's folder")
	}
	w := newBuilder()
	return w.tar(bytes.NewReader(data), 4*MaxFiles)
}

func (w *builder) tar(r io.Reader, most int) (*Bundle, error) {
	for t, entries := tar.NewReader(r), 0; ; entries++ {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return w.done()
		}
		if err != nil {
			return nil, unreadable(err)
		}
		if entries > most {
			return nil, fault.New(fault.TooLarge, "template_too_large", "the archive has too many entries")
		}
		if err := w.entry(h, t); err != nil {
			return nil, err
		}
	}
}

func (w *builder) entry(h *tar.Header, r io.Reader) error {
	name := strings.TrimPrefix(h.Name, "./") // as "tar -C DIR -cf - ." writes it
	for key := range h.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse") {
			return badArchive("%s is a sparse file", show(name)).WithField(name)
		}
	}
	switch h.Typeflag {
	case tar.TypeReg:
		return w.add(name, r)
	case tar.TypeDir:
		if name = strings.TrimSuffix(name, "/"); name == "" || name == "." {
			return nil
		}
		return checkPath(name)
	case tar.TypeXGlobalHeader: // git archive's comment
		return nil
	}
	return badArchive("%s is a %s", show(name), kind(h.Typeflag)).WithField(strings.ToValidUTF8(name, "?")).
		WithHint("only regular files and folders belong into a template")
}

func kind(flag byte) string {
	switch flag {
	case tar.TypeSymlink:
		return "symbolic link"
	case tar.TypeLink:
		return "hard link"
	case tar.TypeChar, tar.TypeBlock:
		return "device"
	case tar.TypeFifo:
		return "named pipe"
	}
	return fmt.Sprintf("special entry (type %q)", flag)
}

// FromDir packs a folder on disk. Dot names (such as .git) at any level are
// left out, but for LockFile; a link or a device is refused, never followed, and nothing outside
// the folder can be reached.
func FromDir(dir string) (*Bundle, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fault.New(fault.Invalid, "no_such_folder", "%s is not a folder that can be read", dir).
			WithHint("give the folder that holds template.yaml").WithCause(err)
	}
	defer root.Close()
	return fromFS(root.FS(), true)
}

// FromFS packs a file tree, for templates that are embedded. Dot names are
// left out.
func FromFS(tree fs.FS) (*Bundle, error) { return fromFS(tree, false) }

func fromFS(tree fs.FS, onDisk bool) (*Bundle, error) {
	w := newBuilder()
	err := fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return unreadable(err)
		case name == ".":
			return nil
		case strings.HasPrefix(d.Name(), ".") && d.Name() != LockFile:
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		case d.IsDir():
			return checkPath(name)
		case !d.Type().IsRegular():
			return badArchive("%s is not a regular file", show(name)).WithField(name).
				WithHint("only regular files and folders belong into a template; links are not followed")
		}
		f, err := tree.Open(name)
		if err != nil {
			return unreadable(err)
		}
		defer f.Close()
		if st, err := f.Stat(); err != nil || (onDisk && !st.Mode().IsRegular()) { // swapped since it was listed
			return badArchive("%s is not a regular file", show(name)).WithField(name)
		}
		return w.add(name, f)
	})
	if err != nil {
		return nil, err
	}
	return w.done()
}

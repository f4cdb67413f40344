package bundle

import (
	"archive/tar"
	"archive/zip"
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"path"
	"strings"

	"fairlead/internal/fault"
)

// The bounds of a whole repository's archive, of which one folder counts.
const (
	MaxUpload   = 16 << 20  // bytes as it is sent
	maxInflated = 256 << 20 // bytes of it unpacked
	maxAnyFiles = 20_000
)

func isGzip(data []byte) bool { return bytes.HasPrefix(data, []byte{0x1f, 0x8b}) }
func isZip(data []byte) bool {
	return bytes.HasPrefix(data, []byte("PK\x03\x04")) || bytes.HasPrefix(data, []byte("PK\x05\x06"))
}

// ReadAny is Read of a tar, a compressed tar or a zip, such as a forge makes of
// a repository. Of it the folder dir counts, "" for all; a single folder around
// everything is not counted. Dot names are left out, but for LockFile; what is
// outside of dir is not looked at.
func ReadAny(r io.Reader, dir string) (*Bundle, error) {
	if dir != "" {
		if err := checkPath(dir); err != nil {
			return nil, err
		}
	}
	in := bufio.NewReader(r)
	head, err := in.Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, unreadable(err)
	}
	if !isGzip(head) && !isZip(head) && dir == "" {
		return Read(in)
	}
	data, err := io.ReadAll(io.LimitReader(in, MaxUpload+1))
	if err != nil {
		return nil, unreadable(err)
	}
	if len(data) > MaxUpload {
		return nil, fault.New(fault.TooLarge, "template_too_large", "the archive is larger than %d bytes", MaxUpload)
	}
	open := func() (walker, error) { return tarWalker(bytes.NewReader(data)), nil }
	switch {
	case isZip(data):
		open = func() (walker, error) { return zipWalker(data) }
	case isGzip(data):
		open = func() (walker, error) {
			z, err := gzip.NewReader(bytes.NewReader(data))
			if err != nil {
				return nil, unreadable(err)
			}
			return tarWalker(z), nil
		}
	}
	around, err := surrounding(open)
	if err != nil {
		return nil, err
	}
	return within(open, path.Join(around, dir), dir)
}

// entry is one thing in an archive; a folder is none.
type entry struct {
	name string
	kind byte
	open func() (io.Reader, error)
}

// walker calls f with each entry in turn.
type walker func(f func(entry) error) error

// limited fails once more was read than an archive may unpack to.
type limited struct {
	r    io.Reader
	left int64
}

func (l *limited) Read(p []byte) (int, error) {
	if l.left <= 0 {
		return 0, fault.New(fault.TooLarge, "template_too_large", "the archive unpacks to more than %d bytes", maxInflated)
	}
	n, err := l.r.Read(p[:min(int64(len(p)), l.left)])
	l.left -= int64(n)
	return n, err
}

func tarWalker(r io.Reader) walker {
	return func(f func(entry) error) error {
		t := tar.NewReader(&limited{r, maxInflated})
		for n := 0; ; n++ {
			h, err := t.Next()
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err != nil {
				return unreadable(err)
			}
			if n > maxAnyFiles {
				return fault.New(fault.TooLarge, "template_too_large", "the archive has too many entries")
			}
			if h.Typeflag == tar.TypeDir || h.Typeflag == tar.TypeXGlobalHeader {
				continue
			}
			for key := range h.PAXRecords {
				if strings.HasPrefix(key, "GNU.sparse") {
					h.Typeflag = tar.TypeGNUSparse
				}
			}
			if err := f(entry{strings.TrimPrefix(h.Name, "./"), h.Typeflag, func() (io.Reader, error) { return t, nil }}); err != nil {
				return err
			}
		}
	}
}

func zipWalker(data []byte) (walker, error) {
	// Reading a zip makes something of each entry that it lists, however small.
	if bytes.Count(data, []byte("PK\x01\x02")) > maxAnyFiles {
		return nil, fault.New(fault.TooLarge, "template_too_large", "the archive has too many entries")
	}
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return nil, badArchive("the zip cannot be read").WithHint("send a tar, a .tar.gz or a .zip of the template's folder").WithCause(err)
	}
	return func(f func(entry) error) error {
		for _, one := range z.File {
			kind := byte(tar.TypeReg)
			switch mode := one.Mode(); {
			case mode.IsDir() || strings.HasSuffix(one.Name, "/"):
				continue
			case !mode.IsRegular():
				kind = tar.TypeSymlink
			case one.Flags&1 != 0:
				return badArchive("%s is encrypted", show(one.Name)).WithField(one.Name)
			}
			err := f(entry{one.Name, kind, func() (io.Reader, error) {
				r, err := one.Open()
				if err != nil {
					return nil, unreadable(err)
				}
				return r, nil
			}})
			if err != nil {
				return err
			}
		}
		return nil
	}, nil
}

// surrounding gives the one folder in which everything lies; "" when there is
// none.
func surrounding(open func() (walker, error)) (string, error) {
	walk, err := open()
	if err != nil {
		return "", err
	}
	around, first := "", true
	err = walk(func(e entry) error {
		top, _, below := strings.Cut(e.name, "/")
		switch {
		case !below:
			top = ""
		case strings.HasPrefix(top, "."):
			return nil
		}
		if first {
			around, first = top, false
		} else if top != around {
			around = ""
		}
		return nil
	})
	return around, err
}

// within takes in what lies in a folder.
func within(open func() (walker, error), dir, asked string) (*Bundle, error) {
	walk, err := open()
	if err != nil {
		return nil, err
	}
	w := newBuilder()
	err = walk(func(e entry) error {
		name := e.name
		if dir != "" {
			rest, ok := strings.CutPrefix(name, dir+"/")
			if !ok {
				return nil
			}
			name = rest
		}
		if Hidden(name) {
			return nil
		}
		if e.kind != tar.TypeReg {
			return badArchive("%s is a %s", show(name), kind(e.kind)).WithField(strings.ToValidUTF8(name, "?")).
				WithHint("only regular files and folders belong into a template")
		}
		r, err := e.open()
		if err != nil {
			return err
		}
		return w.add(name, r)
	})
	if err != nil {
		return nil, err
	}
	if len(w.b.files) == 0 && asked != "" {
		return nil, badArchive("there is no folder %s in the archive", show(asked)).WithHint("name the folder as it is in the archive, without what is around it")
	}
	return w.done()
}

// Hidden tells whether a path has a dot name in it that no template holds.
func Hidden(name string) bool {
	for part := range strings.SplitSeq(name, "/") {
		if strings.HasPrefix(part, ".") && part != ".." && part != "." && part != LockFile {
			return true
		}
	}
	return false
}

// Builder makes a Bundle of files that come one by one.
type Builder struct{ w *builder }

// NewBuilder makes one.
func NewBuilder() *Builder { return &Builder{newBuilder()} }

// Add takes in a file; r is read no further than the bounds. Errors are as
// Read's.
func (b *Builder) Add(name string, r io.Reader) error { return b.w.add(name, r) }

// Done gives the bundle. The Builder is of no use afterwards.
func (b *Builder) Done() (*Bundle, error) { return b.w.done() }

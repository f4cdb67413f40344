package clikit

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

// Folder is what Pack makes an archive of.
type Folder struct {
	Dir string
	// Holds says what the folder is for, as a person would: "the policies".
	Holds string
	// Must is a file that has to be there; "" for none.
	Must string
	// Dotted is the one dot name that is not left out; "" for none.
	Dotted string
	// Max is how many bytes the server takes; more is not even read, and
	// TooLarge is the error then.
	Max      int64
	TooLarge *fault.Error
}

// Pack makes a tar of a folder, and tells the names of the files in it. Names
// that start with a dot are left out; a link or a device is refused, never
// followed: the folder may come from elsewhere.
func (f Folder) Pack() (archive []byte, names []string, err error) {
	root, err := os.OpenRoot(f.Dir)
	if err != nil {
		return nil, nil, Usage("%s is not a folder that can be read", clean(f.Dir)).WithHint("give the folder that holds %s", f.Holds).WithCause(err)
	}
	defer root.Close()
	if f.Must != "" {
		if _, err := root.Stat(f.Must); errors.Is(err, fs.ErrNotExist) {
			return nil, nil, Usage("there is no %s in %s", f.Must, clean(f.Dir)).WithHint("give the folder that holds it, not one above or below")
		}
	}
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	err = fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case name == "." || d.IsDir() && !strings.HasPrefix(d.Name(), "."):
			return nil
		case d.IsDir():
			return fs.SkipDir
		case strings.HasPrefix(d.Name(), ".") && d.Name() != f.Dotted:
			return nil
		}
		names = append(names, name)
		return f.add(w, root.FS(), name, d, &buf)
	})
	if _, ours := errors.AsType[*fault.Error](err); ours {
		return nil, nil, err
	} else if err != nil {
		return nil, nil, fmt.Errorf("read %s: %w", f.Dir, err)
	}
	if err := w.Close(); err != nil {
		return nil, nil, fmt.Errorf("pack %s: %w", f.Dir, err)
	}
	return buf.Bytes(), names, nil
}

func (f Folder) add(w *tar.Writer, tree fs.FS, name string, d fs.DirEntry, buf *bytes.Buffer) error {
	refuse := fault.New(fault.Invalid, "invalid_archive", "%s is not a regular file", clean(name)).
		WithField(name).WithHint("only regular files and folders are sent; links are not followed")
	if !d.Type().IsRegular() {
		return refuse
	}
	file, err := tree.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	st, err := file.Stat()
	if err != nil {
		return err
	}
	if !st.Mode().IsRegular() { // swapped since it was listed
		return refuse
	}
	if st.Size() > f.Max || int64(buf.Len())+st.Size() > f.Max {
		return f.TooLarge.WithField(name)
	}
	if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: st.Size(), Format: tar.FormatPAX}); err != nil {
		return err
	}
	_, err = io.CopyN(w, file, st.Size())
	return err
}

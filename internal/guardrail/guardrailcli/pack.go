package guardrailcli

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"fairlead/internal/clikit"
	"fairlead/internal/fault"
)

// maxArchive is what the server takes; more is not even read.
const maxArchive = 6 << 20

// pack makes a tar of a folder of policies. Names that start with a dot are
// left out; a link or a device is refused, never followed.
func pack(dir string) ([]byte, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, clikit.Usage("%s is not a folder that can be read", clikit.Clean(dir)).WithHint("give the folder that holds the policies").WithCause(err)
	}
	defer root.Close()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	tree, policies := root.FS(), 0
	err = fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case name == "." || d.IsDir() && !strings.HasPrefix(d.Name(), "."):
			return nil
		case strings.HasPrefix(d.Name(), "."):
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if strings.HasSuffix(name, ".rego") {
			policies++
		}
		return add(w, tree, name, d, &buf)
	})
	if err != nil {
		if _, ours := errors.AsType[*fault.Error](err); ours {
			return nil, err
		}
		return nil, fmt.Errorf("read %s: %w", dir, err)
	}
	if policies == 0 {
		return nil, clikit.Usage("there is no .rego file in %s", clikit.Clean(dir)).WithHint("give the folder that holds the policies")
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("pack %s: %w", dir, err)
	}
	return buf.Bytes(), nil
}

func add(w *tar.Writer, tree fs.FS, name string, d fs.DirEntry, buf *bytes.Buffer) error {
	refuse := fault.New(fault.Invalid, "invalid_archive", "%s is not a regular file", clikit.Clean(name)).
		WithField(name).WithHint("only regular files and folders belong into a bundle; links are not followed")
	if !d.Type().IsRegular() {
		return refuse
	}
	f, err := tree.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return err
	}
	if !st.Mode().IsRegular() { // swapped since it was listed
		return refuse
	}
	if st.Size() > maxArchive || int64(buf.Len())+st.Size() > maxArchive {
		return fault.New(fault.TooLarge, "policy_too_large", "the folder holds more than the %d bytes that a bundle may have", maxArchive).WithField(name)
	}
	if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: st.Size(), Format: tar.FormatPAX}); err != nil {
		return err
	}
	_, err = io.CopyN(w, f, st.Size())
	return err
}

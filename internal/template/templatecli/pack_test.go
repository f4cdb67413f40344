package templatecli

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"fairlead/internal/fault"
)

func folder(t *testing.T, files ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range append(files, "template.yaml") {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("a: 1\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// Somebody packs a folder that came from elsewhere: what it points to on this
// machine must not be sent.
func TestPackingFollowsNothing(t *testing.T) {
	t.Parallel()
	outside := filepath.Join(t.TempDir(), "id_ed25519")
	if err := os.WriteFile(outside, []byte("canary"), 0o600); err != nil {
		t.Fatal(err)
	}
	for reason, plant := range map[string]func(dir string) error{
		"a link to a file":   func(d string) error { return os.Symlink(outside, filepath.Join(d, "a")) },
		"a link to a folder": func(d string) error { return os.Symlink(filepath.Dir(outside), filepath.Join(d, "a")) },
		"a link that climbs": func(d string) error { return os.Symlink("../../../../etc/passwd", filepath.Join(d, "a")) },
		"a link to a link": func(d string) error {
			return errors.Join(os.Symlink(outside, filepath.Join(d, "a")), os.Symlink("a", filepath.Join(d, "b")))
		},
		"a link to nothing": func(d string) error { return os.Symlink("/nonexistent", filepath.Join(d, "a")) },
		"a manifest elsewhere": func(d string) error {
			return errors.Join(os.Remove(filepath.Join(d, "template.yaml")), os.Symlink(outside, filepath.Join(d, "template.yaml")))
		},
		"a pipe":              func(d string) error { return syscall.Mkfifo(filepath.Join(d, "a"), 0o600) },
		"more than one sends": func(d string) error { return os.WriteFile(filepath.Join(d, "a"), make([]byte, maxArchive+1), 0o600) },
	} {
		dir := folder(t)
		if err := plant(dir); err != nil {
			t.Fatal(err)
		}
		if b, err := pack(dir); err == nil || len(b) > 0 {
			t.Errorf("%s: packed %d bytes: %v", reason, len(b), err)
		} else if k := fault.KindOf(err); reason != "a manifest elsewhere" && k != fault.Invalid && k != fault.TooLarge {
			t.Errorf("%s: %v", reason, err)
		}
	}
}

func TestPackingLeavesDotNamesOut(t *testing.T) {
	t.Parallel()
	b, err := pack(folder(t, ".env", ".git/config", "docs/.hidden", "docs/README.md"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for r := tar.NewReader(bytes.NewReader(b)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, h.Name)
	}
	if want := []string{"docs/README.md", "template.yaml"}; !slices.Equal(names, want) {
		t.Errorf("packed %v", names)
	}
}

package templatecli

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"fairlead/internal/clikit"
	"fairlead/internal/fault"
)

func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestPack(t *testing.T) {
	t.Parallel()
	dir := folder(t, map[string]string{"template.yaml": "t", "docs/README.md": "d", ".git/config": "secret", "docs/.env": "secret", ".hidden": "secret"})
	archive, err := pack(dir)
	if err != nil {
		t.Fatal(err)
	}
	again, err := pack(dir)
	if err != nil || !bytes.Equal(archive, again) {
		t.Errorf("the same folder gives another archive: %v", err)
	}
	got := map[string]string{}
	for r := tar.NewReader(bytes.NewReader(archive)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r)
		if err != nil || h.Typeflag != tar.TypeReg || h.Mode != 0o644 || !h.ModTime.IsZero() && h.ModTime.Unix() != 0 {
			t.Errorf("%+v, %v", h, err)
		}
		got[h.Name] = string(b)
	}
	if diff := cmp.Diff(map[string]string{"template.yaml": "t", "docs/README.md": "d"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestPackRefuses(t *testing.T) {
	t.Parallel()
	link := func(to string) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			if err := os.Symlink(to, filepath.Join(dir, "x")); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, row := range []struct {
		why  string
		do   func(t *testing.T, dir string)
		code string
	}{
		{"a link out of the folder", link("/etc/passwd"), "invalid_archive"},
		{"a link inside of it, for it is never followed", link("template.yaml"), "invalid_archive"},
		{"a link to a folder", link("/etc"), "invalid_archive"},
		{"a link that leads nowhere", link("nowhere"), "invalid_archive"},
		{"a pipe, which would be waited on for ever", func(t *testing.T, dir string) {
			if err := syscall.Mkfifo(filepath.Join(dir, "x"), 0o600); err != nil {
				t.Fatal(err)
			}
		}, "invalid_archive"},
		{"more than the server takes", func(t *testing.T, dir string) {
			f, err := os.Create(filepath.Join(dir, "x"))
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(f.Truncate(maxArchive+1), f.Close()); err != nil {
				t.Fatal(err)
			}
		}, "template_too_large"},
		{"no template.yaml", func(t *testing.T, dir string) {
			if err := os.Remove(filepath.Join(dir, "template.yaml")); err != nil {
				t.Fatal(err)
			}
		}, "usage"},
	} {
		dir := folder(t, map[string]string{"template.yaml": "t"})
		row.do(t, dir)
		archive, err := pack(dir)
		if f, ok := errors.AsType[*fault.Error](err); !ok || f.Code != row.code || archive != nil {
			t.Errorf("%s: %d bytes, %v", row.why, len(archive), err)
		}
	}
	if _, err := pack(filepath.Join(t.TempDir(), "missing")); clikit.ExitCode(err) != clikit.ExitUsage {
		t.Errorf("a folder that is not there: %v", err)
	}
}

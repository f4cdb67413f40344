package bundle_test

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"fairlead/internal/fault"
	"fairlead/internal/template/bundle"
	"fairlead/internal/template/templatetest"
)

func reg(name string, size int) tar.Header {
	return tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(size)}
}

func TestReadRefusesWhatDoesNotBelong(t *testing.T) {
	t.Parallel()
	many := make([]tar.Header, 0, 600)
	for i := range 600 {
		many = append(many, reg(fmt.Sprintf("f%d", i), 0))
	}
	folders := make([]tar.Header, 0, 3000)
	for i := range 3000 {
		folders = append(folders, tar.Header{Name: fmt.Sprintf("d%d/", i), Typeflag: tar.TypeDir, Mode: 0o755})
	}
	for _, tc := range []struct {
		reason  string
		entries []tar.Header
		kind    fault.Kind
	}{
		{"climbs", []tar.Header{reg("../x", 0)}, fault.Invalid},
		{"climbs from inside", []tar.Header{reg("a/../../x", 0)}, fault.Invalid},
		{"climbs back to the same place", []tar.Header{reg("a/../x", 0)}, fault.Invalid},
		{"absolute", []tar.Header{reg("/etc/passwd", 0)}, fault.Invalid},
		{"a doubled slash", []tar.Header{reg("a//b", 0)}, fault.Invalid},
		{"a backslash", []tar.Header{reg(`..\x`, 0)}, fault.Invalid},
		{"a drive", []tar.Header{reg("C:x", 0)}, fault.Invalid},
		{"a dot name", []tar.Header{reg(".git/config", 0)}, fault.Invalid},
		{"a dot folder", []tar.Header{{Name: ".ssh/", Typeflag: tar.TypeDir}}, fault.Invalid},
		{"looks like an option", []tar.Header{reg("-rf", 0)}, fault.Invalid},
		{"a home", []tar.Header{reg("~/x", 0)}, fault.Invalid},
		{"ends with a space", []tar.Header{reg("a ", 0)}, fault.Invalid},
		{"a line break", []tar.Header{reg("a\nb", 0)}, fault.Invalid},
		{"text that runs backwards", []tar.Header{reg("a\u202eb", 0)}, fault.Invalid},
		{"invalid UTF-8", []tar.Header{{Name: "a\xff", Typeflag: tar.TypeReg, Format: tar.FormatGNU}}, fault.Invalid},
		{"too long", []tar.Header{reg(strings.Repeat("a", 201), 0)}, fault.Invalid},
		{"too deep", []tar.Header{reg(strings.Repeat("a/", 11)+"b", 0)}, fault.Invalid},
		{"a symbolic link", []tar.Header{{Name: "a", Linkname: "/etc/passwd", Typeflag: tar.TypeSymlink}}, fault.Invalid},
		{"a hard link", []tar.Header{reg("a", 0), {Name: "b", Linkname: "a", Typeflag: tar.TypeLink}}, fault.Invalid},
		{"a character device", []tar.Header{{Name: "a", Typeflag: tar.TypeChar, Devmajor: 1, Devminor: 5}}, fault.Invalid},
		{"a block device", []tar.Header{{Name: "a", Typeflag: tar.TypeBlock}}, fault.Invalid},
		{"a pipe", []tar.Header{{Name: "a", Typeflag: tar.TypeFifo}}, fault.Invalid},
		{"the same file twice", []tar.Header{reg("a", 0), reg("a", 0)}, fault.Invalid},
		{"the same file in another spelling", []tar.Header{reg("a", 0), reg("./a", 0)}, fault.Invalid},
		{"the same file in other letters", []tar.Header{reg("README.md", 0), reg("readme.md", 0)}, fault.Invalid},
		{"the same folder in other letters", []tar.Header{reg("Docs/a", 0), reg("docs/b", 0)}, fault.Invalid},
		{"a file where a folder is", []tar.Header{reg("a/b", 0), reg("a", 0)}, fault.Invalid},
		{"a folder where a file is", []tar.Header{reg("a", 0), reg("a/b", 0)}, fault.Invalid},
		{"only folders", []tar.Header{{Name: "a/", Typeflag: tar.TypeDir}}, fault.Invalid},
		{"too many files", many, fault.TooLarge},
		{"too many folders", folders, fault.TooLarge},
	} {
		_, err := bundle.Read(templatetest.Tar(t, nil, tc.entries...))
		f := fault.From(err)
		if err == nil || f.Kind != tc.kind || f.Message == "" {
			t.Errorf("%s: %v", tc.reason, err)
		}
	}
}

func TestReadIsBounded(t *testing.T) {
	t.Parallel()
	big := strings.Repeat("x", bundle.MaxFile)
	full := templatetest.Files{}
	for i := range 6 {
		full[fmt.Sprintf("f%d", i)] = big
	}
	for reason, r := range map[string]io.Reader{
		"one file":    templatetest.Files{"a": big + "x"}.Tar(t),
		"all files":   full.Tar(t),
		"the archive": io.LimitReader(zeros{}, 1<<30),
	} {
		if _, err := bundle.Read(r); !fault.Is(err, fault.TooLarge) {
			t.Errorf("%s: %v", reason, err)
		}
	}
	for reason, in := range map[string]string{"nothing": "", "gzip": "\x1f\x8b\x08\x00", "zip": "PK\x03\x04", "noise": strings.Repeat("noise", 1000), "torn": torn(t)} {
		if _, err := bundle.Read(strings.NewReader(in)); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", reason, err)
		}
	}
}

func torn(t *testing.T) string {
	raw, err := io.ReadAll(templatetest.Files{"a": strings.Repeat("x", 5000)}.Tar(t))
	if err != nil {
		t.Fatal(err)
	}
	return string(raw[:3000])
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestTheArchiveIsCanonical(t *testing.T) {
	t.Parallel()
	files := templatetest.Files{"template.yaml": "a: 1\n", "docs/README.md": "# x", "docs/ü.md": "ü"}
	a, err := bundle.Read(files.Tar(t))
	if err != nil {
		t.Fatal(err)
	}
	odd := []tar.Header{{Name: "./", Typeflag: tar.TypeDir}, {Name: "./docs/", Typeflag: tar.TypeDir, Mode: 0o700}}
	for _, name := range []string{"./template.yaml", "./docs/ü.md", "./docs/README.md"} {
		h := reg(name, len(files[name[2:]]))
		h.Mode, h.Uid, h.Uname, h.ModTime, h.Format = 0o4777, 1000, "eve", time.Now(), tar.FormatPAX
		odd = append(odd, h)
	}
	dotted := templatetest.Files{}
	for name, c := range files {
		dotted["./"+name] = c
	}
	b, err := bundle.Read(templatetest.Tar(t, dotted, odd...))
	if err != nil {
		t.Fatal(err)
	}
	again, err := bundle.Read(bytes.NewReader(a.Archive()))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, c := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(c), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, ".git"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, ".git", "config"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	disk, err := bundle.FromDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for name, other := range map[string]*bundle.Bundle{"odd tar": b, "again": again, "folder": disk} {
		if other.Digest() != a.Digest() || !bytes.Equal(other.Archive(), a.Archive()) {
			t.Errorf("%s: another archive", name)
		}
	}
	const golden = "e676a90002090a05a0ad91e2fcf9949cca4467e1204a36c4e30d2e0cc7bdd650"
	if a.Digest() != golden {
		t.Errorf("the canonical form changed: %s; stored digests no longer match", a.Digest())
	}
}

func TestFromDirFollowsNothing(t *testing.T) {
	t.Parallel()
	outside := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(outside, []byte("canary"), 0o600); err != nil {
		t.Fatal(err)
	}
	for reason, plant := range map[string]func(dir string) error{
		"a link to a file":       func(d string) error { return os.Symlink(outside, filepath.Join(d, "a")) },
		"a link to a folder":     func(d string) error { return os.Symlink(filepath.Dir(outside), filepath.Join(d, "a")) },
		"a relative link":        func(d string) error { return os.Symlink("template.yaml", filepath.Join(d, "a")) },
		"a link to nothing":      func(d string) error { return os.Symlink("/nonexistent", filepath.Join(d, "a")) },
		"a pipe":                 func(d string) error { return syscall.Mkfifo(filepath.Join(d, "a"), 0o600) },
		"a name with a control":  func(d string) error { return os.WriteFile(filepath.Join(d, "a\x1b[31m"), nil, 0o600) },
		"a name that is no text": func(d string) error { return os.WriteFile(filepath.Join(d, "a\xff"), nil, 0o600) },
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "template.yaml"), []byte("a: 1"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := plant(dir); err != nil {
			t.Fatal(err)
		}
		if _, err := bundle.FromDir(dir); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", reason, err)
		}
	}
	if _, err := bundle.FromDir(outside); !fault.Is(err, fault.Invalid) {
		t.Errorf("a file for a folder: %v", err)
	}
}

func TestFS(t *testing.T) {
	t.Parallel()
	b, err := bundle.Read(templatetest.Files{"template.yaml": "a: 1\n", "a/b/c.txt": "c", "a/d.txt": "d", "a-b/e": "", "a.txt": "x"}.Tar(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := fstest.TestFS(b.FS(), "template.yaml", "a/b/c.txt", "a/d.txt", "a-b/e", "a.txt"); err != nil {
		t.Error(err)
	}
}

func FuzzRead(f *testing.F) {
	for _, files := range []templatetest.Files{{"template.yaml": "a: 1\n"}, {"a/b": "c", "d": strings.Repeat("x", 600)}} {
		raw, err := io.ReadAll(files.Tar(f))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		b, err := bundle.Read(bytes.NewReader(in))
		if err != nil {
			if k := fault.KindOf(err); k != fault.Invalid && k != fault.TooLarge {
				t.Fatalf("kind %v: %v", k, err)
			}
			return
		}
		again, err := bundle.Read(bytes.NewReader(b.Archive()))
		if err != nil || again.Digest() != b.Digest() {
			t.Fatalf("the archive does not read back: %v", err)
		}
		if err := fstest.TestFS(b.FS(), b.Names()...); err != nil {
			t.Fatal(err)
		}
	})
}

package bundle_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"fairlead/internal/fault"
	"fairlead/internal/template/bundle"
	"fairlead/internal/template/templatetest"
)

func zipped(t *testing.T, files map[string]string, link string) *bytes.Reader {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for name, text := range files {
		h := &zip.FileHeader{Name: name, Method: zip.Deflate}
		h.SetMode(0o644)
		if name == link {
			h.SetMode(os.ModeSymlink | 0o777)
		}
		w, err := z.CreateHeader(h)
		if err == nil {
			_, err = io.WriteString(w, text)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return bytes.NewReader(b.Bytes())
}

func gzipped(t *testing.T, r io.Reader) *bytes.Reader {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := io.Copy(z, r); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return bytes.NewReader(b.Bytes())
}

func TestAnyArchiveIsRead(t *testing.T) {
	t.Parallel()
	files := templatetest.Files{"m-1.0/a/main.tf": "x", "m-1.0/a/.terraform.lock.hcl": "y", "m-1.0/.git/config": "z", "m-1.0/README.md": "r"}
	for name, r := range map[string]func() io.Reader{
		"tar": func() io.Reader { return files.Tar(t) }, "gzip": func() io.Reader { return gzipped(t, files.Tar(t)) }, "zip": func() io.Reader { return zipped(t, files, "") },
	} {
		b, err := bundle.ReadAny(r(), "a")
		if err != nil || !slices.Equal(b.Names(), []string{".terraform.lock.hcl", "main.tf"}) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := bundle.ReadAny(r(), "b"); fault.From(err).Code != "invalid_archive" {
			t.Errorf("%s: %v", name, err)
		}
		if name == "tar" {
			continue // a plain tar without a folder is taken as it is
		}
		if b, err := bundle.ReadAny(r(), ""); err != nil || b.Len() != 3 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAnyArchiveIsBounded(t *testing.T) {
	t.Parallel()
	bomb := strings.Repeat("\x00", 2<<20)
	many := map[string]string{}
	for i := range 600 {
		many[strings.Repeat("x", i/26+1)+string(rune('a'+i%26))] = ""
	}
	for name, c := range map[string]struct {
		r    io.Reader
		dir  string
		kind fault.Kind
	}{
		"a large file in a zip":    {zipped(t, map[string]string{"a/x": bomb}, ""), "", fault.TooLarge},
		"a large file in a gzip":   {gzipped(t, templatetest.Files{"a/x": bomb}.Tar(t)), "", fault.TooLarge},
		"many files":               {zipped(t, many, ""), "", fault.TooLarge},
		"a bomb":                   {gzipped(t, io.LimitReader(zeros{}, 300<<20)), "", fault.Invalid},
		"a slip in a zip":          {zipped(t, map[string]string{"../x": "y", "z": ""}, ""), "", fault.Invalid},
		"an absolute path":         {zipped(t, map[string]string{"/x": "y", "z": ""}, ""), "", fault.Invalid},
		"a link in a zip":          {zipped(t, map[string]string{"a/x": "/etc/passwd", "a/y": ""}, "a/x"), "", fault.Invalid},
		"a link in a gzip":         {gzipped(t, templatetest.Tar(t, nil, tar.Header{Name: "a/x", Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"})), "", fault.Invalid},
		"a device":                 {gzipped(t, templatetest.Tar(t, nil, tar.Header{Name: "x", Typeflag: tar.TypeBlock})), "", fault.Invalid},
		"a folder that slips":      {zipped(t, map[string]string{"a/x": ""}, ""), "../a", fault.Invalid},
		"no archive":               {strings.NewReader("PK\x03\x04 and nothing"), "", fault.Invalid},
		"a gzip that ends":         {bytes.NewReader([]byte{0x1f, 0x8b, 8, 0}), "", fault.Invalid},
		"names that are not ours":  {zipped(t, map[string]string{`a\b`: "", "z": ""}, ""), "", fault.Invalid},
		"twice, in another case":   {zipped(t, map[string]string{"a": "", "A": ""}, ""), "", fault.Invalid},
		"an empty one":             {zipped(t, nil, ""), "", fault.Invalid},
		"a bomb of what is hidden": {gzipped(t, templatetest.Files{".x/big": strings.Repeat("\x00", 8<<20), "x": ""}.Tar(t)), "", fault.Internal},
	} {
		b, err := bundle.ReadAny(c.r, c.dir)
		if name == "a bomb of what is hidden" {
			if err != nil || b.Len() != 1 {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if !fault.Is(err, c.kind) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

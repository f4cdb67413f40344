package keyfile_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"fairlead/internal/fault"
	"fairlead/internal/keyfile"
)

func TestOneCreatorWinsAndNothingIsOverwritten(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "keys", "k")
	got := make([][]byte, 16)
	var wg sync.WaitGroup
	for i := range got {
		wg.Go(func() {
			var err error
			got[i], _, err = keyfile.LoadOrCreate(path, func() ([]byte, error) { return fmt.Append(nil, i), nil })
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, g := range got {
		if !bytes.Equal(g, got[0]) {
			t.Fatalf("two keys: %q", got)
		}
	}
	if err := keyfile.Create(path, []byte("x")); !errors.Is(err, fs.ErrExist) {
		t.Fatal(err)
	}
	if err := keyfile.Replace(path, []byte("new")); err != nil {
		t.Fatal(err)
	}
	if data, err := keyfile.Load(path); err != nil || string(data) != "new" {
		t.Fatal(err, data)
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 {
		t.Fatalf("left-overs: %v %v", entries, err)
	}
}

func TestAnExposedFileIsRefused(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "k")
	if err := keyfile.Create(path, []byte("x")); err != nil {
		t.Fatal(err)
	}
	for _, mode := range []fs.FileMode{0o640, 0o604, 0o620} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := keyfile.Load(path); fault.From(err).Code != "key_file_exposed" {
			t.Errorf("mode %o: %v", mode, err)
		}
	}
	if _, err := keyfile.Load(filepath.Dir(path)); fault.From(err).Code != "key_file_unusable" {
		t.Error("a folder is no key file:", err)
	}
}

package keyfile

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"fairlead/internal/fault"
)

// maxSize bounds a key file; a ring of keys is far below it.
const maxSize = 1 << 20

// Load reads a key file. A missing one gives an error that is fs.ErrNotExist.
// One that others than its owner may open is refused with the code
// "key_file_exposed": its content may be known already.
func Load(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		return nil, unreadable(path, err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, unreadable(path, err)
	}
	if !info.Mode().IsRegular() {
		return nil, fault.New(fault.Invalid, "key_file_unusable", "%s is not a regular file", path)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fault.New(fault.Invalid, "key_file_exposed", "%s can be opened by others (mode %04o)", path, info.Mode().Perm()).
			WithHint("find out who could read it; then run: chmod 600 %s, and rotate the key", path)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxSize+1))
	if err != nil {
		return nil, unreadable(path, err)
	}
	if len(data) > maxSize {
		return nil, fault.New(fault.Invalid, "key_file_unusable", "%s is too large for a key file", path)
	}
	return data, nil
}

// Create writes a new key file with mode 0600, whole or not at all, and
// durable when it returns. When the file is there already nothing changes and
// the error is fs.ErrExist.
func Create(path string, data []byte) error {
	return write(path, data, os.Link)
}

// Replace puts data in the file's place, whole or not at all, and durable
// when it returns.
func Replace(path string, data []byte) error {
	return write(path, data, os.Rename)
}

// LoadOrCreate loads the file, or creates it with what generate gives. Of
// several processes that start together one creates and all get the same.
func LoadOrCreate(path string, generate func() ([]byte, error)) (data []byte, created bool, err error) {
	data, err = Load(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return data, false, err
	}
	fresh, err := generate()
	if err != nil {
		return nil, false, err
	}
	switch err := Create(path, fresh); {
	case errors.Is(err, fs.ErrExist):
		data, err = Load(path)
		return data, false, err
	case err != nil:
		return nil, false, err
	}
	return fresh, true, nil
}

func write(path string, data []byte, place func(from, to string) error) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return unwritable(path, err)
	}
	tmp, err := os.CreateTemp(dir, ".new-*") // mode 0600
	if err != nil {
		return unwritable(path, err)
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(data)
	err = errors.Join(err, tmp.Sync(), tmp.Close())
	if err != nil {
		return unwritable(path, err)
	}
	if err := place(tmp.Name(), path); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return err
		}
		return unwritable(path, err)
	}
	d, err := os.Open(dir)
	if err != nil {
		return unwritable(path, err)
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return unwritable(path, err)
	}
	return nil
}

func unreadable(path string, err error) error {
	return fault.New(fault.Unavailable, "key_file_unreadable", "%s cannot be read", path).
		WithHint("check that the account running Fairlead owns it").WithCause(err)
}

func unwritable(path string, err error) error {
	return fault.New(fault.Unavailable, "key_file_unwritable", "%s cannot be written", path).
		WithHint("check the folder's owner and the free space").WithCause(err)
}

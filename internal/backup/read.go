package backup

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"hash"
	"io"
	"slices"
	"strings"
)

// sink takes what a backup holds, in its order.
type sink interface {
	begin(h header) error
	table(name string, columns []string) error
	row(values []any) error
	key(name string, content []byte) error
	// end is called once, after everything was found to be as the manifest says.
	end(m manifest) error
}

// reader reads the plain archive, checking its form as it goes.
type reader struct {
	sink    sink
	tar     *tar.Reader
	entries []entry
	rows    map[string]int64
	header  *header
	table   string // whose pieces are being read
	keys    int
}

// read gives what is in the archive to a sink. Whatever is not exactly a
// backup is Invalid with the code "backup_damaged".
func read(r io.Reader, s sink) error {
	zipped, err := gzip.NewReader(r)
	if err != nil {
		return readFailed(err)
	}
	in := &reader{sink: s, tar: tar.NewReader(zipped), rows: map[string]int64{}}
	for {
		h, err := in.tar.Next()
		if errors.Is(err, io.EOF) {
			return damaged("it ends without its manifest")
		}
		if err != nil {
			return readFailed(err)
		}
		if h.Typeflag != tar.TypeReg || h.Size > maxEntry || len(in.entries) > 10_000_000 {
			return damaged("an entry is none of a backup")
		}
		if h.Name == manifestEntry {
			return in.manifest(zipped)
		}
		sum := sha256.New()
		if err := in.entry(h.Name, io.TeeReader(in.tar, sum)); err != nil {
			return err
		}
		in.entries = append(in.entries, entry{h.Name, sumText(sum)})
	}
}

func sumText(h hash.Hash) string { return hex.EncodeToString(h.Sum(nil)) }

// readFailed says what an error of the layers below means: they check
// integrity, so it is damage, unless the sink's or the file's own.
func readFailed(err error) error {
	return damaged("it cannot be read to its end").WithCause(err)
}

func readAll(r io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxJSON+1))
	if err != nil {
		return nil, readFailed(err)
	}
	if len(data) > maxJSON {
		return nil, damaged("an entry is too large")
	}
	return data, nil
}

func (in *reader) entry(name string, r io.Reader) error {
	switch {
	case in.header == nil:
		return in.begin(name, r)
	case strings.HasPrefix(name, tablePrefix):
		return in.piece(name, r)
	case strings.HasPrefix(name, keyPrefix) && keyName().MatchString(name[len(keyPrefix):]) && in.keys < 20:
		in.keys++
		data, err := readAll(r)
		if err != nil {
			return err
		}
		return in.sink.key(name[len(keyPrefix):], data)
	default:
		return damaged("the entry %q is none of a backup", clip(name))
	}
}

func clip(s string) string { return strings.ToValidUTF8(s[:min(len(s), 60)], "?") }

func (in *reader) begin(name string, r io.Reader) error {
	data, err := readAll(r)
	if err != nil {
		return err
	}
	var h header
	if name != headerEntry || json.Unmarshal(data, &h) != nil || h.Format != format {
		return damaged("it does not begin as a backup of this format")
	}
	in.header = &h
	return in.sink.begin(h)
}

// piece reads one piece of a table. A table's pieces stand together.
func (in *reader) piece(name string, r io.Reader) error {
	lines := bufio.NewReaderSize(r, 64<<10)
	first, err := line(lines)
	if errors.Is(err, io.EOF) {
		return damaged("the entry %q is empty", clip(name))
	}
	if err != nil {
		return err
	}
	var h pieceHeader
	if json.Unmarshal(first, &h) != nil || !identifier().MatchString(h.Table) || len(h.Columns) == 0 ||
		slices.ContainsFunc(h.Columns, func(c string) bool { return !identifier().MatchString(c) }) ||
		!strings.HasPrefix(name, tablePrefix+h.Table+"/") {
		return damaged("the entry %q is no piece of a table", clip(name))
	}
	if _, seen := in.rows[h.Table]; seen && in.table != h.Table {
		return damaged("the table %q stands in two places", h.Table)
	}
	in.table = h.Table
	in.rows[h.Table] += 0
	if err := in.sink.table(h.Table, h.Columns); err != nil {
		return err
	}
	for {
		text, err := line(lines)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		values, err := parseRow(text, len(h.Columns))
		if err != nil {
			return err
		}
		if err := in.sink.row(values); err != nil {
			return err
		}
		in.rows[h.Table]++
	}
}

// line reads a line of any length up to maxRow; io.EOF after the last.
func line(r *bufio.Reader) ([]byte, error) {
	var long []byte
	for {
		part, err := r.ReadSlice('\n')
		switch {
		case err == nil && long == nil:
			return part, nil
		case err == nil:
			return append(long, part...), nil
		case errors.Is(err, bufio.ErrBufferFull):
			if long = append(long, part...); len(long) > maxRow {
				return nil, damaged("a row is too large")
			}
		case errors.Is(err, io.EOF) && len(part) == 0 && long == nil:
			return nil, io.EOF
		case errors.Is(err, io.EOF):
			return nil, damaged("a row is cut short")
		default:
			return nil, readFailed(err)
		}
	}
}

// manifest compares what was read with what should have been, and makes sure
// that the stream ends here: age reports truncation only at its end.
func (in *reader) manifest(zipped io.Reader) error {
	data, err := readAll(in.tar)
	if err != nil {
		return err
	}
	var m manifest
	if in.header == nil || json.Unmarshal(data, &m) != nil {
		return damaged("its manifest cannot be read")
	}
	if m.Header != *in.header || !slices.Equal(m.Entries, in.entries) || len(m.Tables) != len(in.rows) {
		return damaged("its contents are not those of its manifest")
	}
	for name, n := range in.rows {
		if want, ok := m.Tables[name]; !ok || n != want {
			return damaged("the table %q has %d rows and should have %d", name, n, want)
		}
	}
	if _, err := in.tar.Next(); !errors.Is(err, io.EOF) {
		return damaged("something follows its manifest")
	}
	rest := make([]byte, 32<<10)
	for {
		n, err := zipped.Read(rest)
		if len(bytes.Trim(rest[:n], "\x00")) > 0 {
			return damaged("something follows its end")
		}
		if errors.Is(err, io.EOF) {
			return in.sink.end(m)
		}
		if err != nil {
			return readFailed(err)
		}
	}
}

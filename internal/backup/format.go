package backup

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"
	"time"
	"unicode/utf8"

	"fairlead/internal/fault"
	"fairlead/internal/regex"
)

const (
	format = "fairlead-backup/v1"

	headerEntry   = "header.json"
	manifestEntry = "manifest.json"
	tablePrefix   = "tables/"
	keyPrefix     = "keys/"

	pieceSize = 1 << 20   // a piece of a table is closed past this
	maxEntry  = 256 << 20 // and never larger than this with its last row
	maxRow    = 128 << 20
	maxJSON   = 64 << 20 // header, manifest, key file
)

// header is the first entry: what one must know before loading anything.
type header struct {
	Format        string    `json:"format"`
	CreatedAt     time.Time `json:"createdAt"`
	Store         string    `json:"store"`
	SchemaVersion int64     `json:"schemaVersion"`
}

// manifest is the last entry: what everything before it must be.
type manifest struct {
	Header  header           `json:"header"`
	Tables  map[string]int64 `json:"tables"` // rows
	Entries []entry          `json:"entries"`
	Audit   auditHead        `json:"audit"`
}

type entry struct {
	Name   string `json:"name"`
	SHA256 string `json:"sha256"`
}

type auditHead struct {
	Seq  int64  `json:"seq"`
	Hash string `json:"hash"`
}

// pieceHeader is the first line of each piece of a table.
type pieceHeader struct {
	Table   string   `json:"table"`
	Columns []string `json:"columns"`
}

var (
	// identifier is what a table or a column may be called here. Names are
	// quoted besides.
	identifier = regex.Late(`^[a-z][a-z0-9_]{0,62}$`)
	keyName    = regex.Late(`^[a-z]{1,20}\.(pem|key)$`)
)

func damaged(why string, args ...any) *fault.Error {
	return fault.New(fault.Invalid, "backup_damaged", "the backup is damaged: "+why, args...).
		WithHint("use another backup; nothing was restored")
}

// wrapped are the values that JSON alone cannot carry.
type wrapped struct {
	Bytes *string `json:"bytes,omitempty"` // base64
	Text  *string `json:"text,omitempty"`  // base64 of text that is no UTF-8
}

// portable turns what a driver gives into what stands in a row.
func portable(v any) (any, error) {
	switch v := v.(type) {
	case nil, int64:
		return v, nil
	case string:
		if utf8.ValidString(v) {
			return v, nil
		}
		e := base64.StdEncoding.EncodeToString([]byte(v))
		return wrapped{Text: &e}, nil
	case []byte:
		e := base64.StdEncoding.EncodeToString(v)
		return wrapped{Bytes: &e}, nil
	default:
		return nil, fmt.Errorf("backup: a column of type %T", v)
	}
}

// parseRow reads a row's line.
func parseRow(line []byte, columns int) ([]any, error) {
	var raw []json.RawMessage
	if err := json.Unmarshal(line, &raw); err != nil || len(raw) != columns {
		return nil, damaged("a row is not what its table says")
	}
	row := make([]any, columns)
	for i, r := range raw {
		v, err := parseValue(r)
		if err != nil {
			return nil, err
		}
		row[i] = v
	}
	return row, nil
}

func parseValue(r json.RawMessage) (any, error) {
	bad := damaged("a value is none of a backup")
	r = bytes.TrimSpace(r)
	if len(r) == 0 {
		return nil, bad
	}
	switch r[0] {
	case 'n':
		return nil, nil
	case '"':
		var s string
		if json.Unmarshal(r, &s) != nil {
			return nil, bad
		}
		return s, nil
	case '{':
		var w wrapped
		dec := json.NewDecoder(bytes.NewReader(r))
		dec.DisallowUnknownFields()
		if dec.Decode(&w) != nil || (w.Bytes == nil) == (w.Text == nil) {
			return nil, bad
		}
		if w.Text != nil {
			b, err := base64.StdEncoding.DecodeString(*w.Text)
			if err != nil {
				return nil, bad
			}
			return string(b), nil
		}
		b, err := base64.StdEncoding.DecodeString(*w.Bytes)
		if err != nil {
			return nil, bad
		}
		return b, nil
	default:
		n, err := strconv.ParseInt(string(r), 10, 64)
		if err != nil {
			return nil, bad
		}
		return n, nil
	}
}

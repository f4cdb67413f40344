package yamlx

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// errNotJSON sends what looked like JSON to the YAML parser: flow style.
var errNotJSON = errors.New("not JSON")

type jsonReader struct {
	*decoder
	dec  *json.Decoder
	line int // of offset
	at   int // offset up to which lines are counted
}

func (d *decoder) json() ([]Doc, error) {
	r := &jsonReader{decoder: d, dec: json.NewDecoder(bytes.NewReader(d.data)), line: 1}
	r.dec.UseNumber()
	var docs []Doc
	for {
		tok, err := r.dec.Token()
		if errors.Is(err, io.EOF) {
			return docs, nil
		}
		if err != nil {
			return nil, errNotJSON
		}
		if len(docs) == d.limits.Docs {
			return nil, bad(d.limits.File, r.here(), "", "more than %d documents", d.limits.Docs)
		}
		root, err := r.value(tok, "", 1)
		if err != nil {
			return nil, err
		}
		docs = append(docs, Doc{File: d.limits.File, Root: root})
	}
}

// here is the line of the token read last.
func (r *jsonReader) here() int {
	to := int(r.dec.InputOffset())
	r.line += bytes.Count(r.data[r.at:to], []byte("\n"))
	r.at = to
	return r.line
}

func (r *jsonReader) value(tok json.Token, pointer string, depth int) (*Node, error) {
	n := &Node{Line: r.here(), Column: 1, Pointer: pointer}
	if err := r.count(n.Line, depth, pointer); err != nil {
		return nil, err
	}
	switch v := tok.(type) {
	case nil:
		n.Kind = Null
	case bool:
		n.Kind, n.scalar = Bool, v
	case string:
		n.Kind, n.scalar = String, v
	case json.Number:
		value, kind, ok := number(v.String())
		if !ok {
			return nil, bad(r.limits.File, n.Line, pointer, "the number is out of range").WithHint("write it as a string")
		}
		n.Kind, n.scalar = kind, value
	case json.Delim:
		if v == '{' {
			return n, r.object(n, depth)
		}
		return n, r.list(n, depth)
	}
	return n, nil
}

func (r *jsonReader) object(n *Node, depth int) error {
	n.Kind = Object
	seen := map[string]int{}
	for r.dec.More() {
		tok, err := r.dec.Token()
		name, ok := tok.(string)
		if err != nil || !ok {
			return errNotJSON
		}
		at := r.here()
		pointer, err := r.key(name, seen, at, n.Pointer)
		if err != nil {
			return err
		}
		if tok, err = r.dec.Token(); err != nil {
			return errNotJSON
		}
		v, err := r.value(tok, pointer, depth+1)
		if err != nil {
			return err
		}
		n.Fields = append(n.Fields, Field{Name: name, Line: at, Value: v})
	}
	if _, err := r.dec.Token(); err != nil {
		return errNotJSON
	}
	return nil
}

func (r *jsonReader) list(n *Node, depth int) error {
	n.Kind = List
	for r.dec.More() {
		tok, err := r.dec.Token()
		if err != nil {
			return errNotJSON
		}
		v, err := r.value(tok, fmt.Sprintf("%s/%d", n.Pointer, len(n.Items)), depth+1)
		if err != nil {
			return err
		}
		n.Items = append(n.Items, v)
	}
	if _, err := r.dec.Token(); err != nil {
		return errNotJSON
	}
	return nil
}

package yamlx

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"fairlead/internal/fault"
	"fairlead/internal/regex"
)

// Limits bound what Decode takes in; a zero field is its default.
type Limits struct {
	File  string // what errors call the input; "input"
	Bytes int    // of the whole stream; 1 MiB
	Depth int    // of nesting; 32
	Nodes int    // values in all documents; 50,000
	Docs  int    // documents; 1,000
}

const maxKey = 1024 // bytes of one object key

func (l Limits) filled() Limits {
	set := func(field *int, value int) {
		if *field <= 0 {
			*field = value
		}
	}
	if l.File == "" {
		l.File = "input"
	}
	set(&l.Bytes, 1<<20)
	set(&l.Depth, 32)
	set(&l.Nodes, 50_000)
	set(&l.Docs, 1000)
	return l
}

// Decode reads every document of a stream, YAML or JSON; empty documents are
// left out. Errors are faults of the kinds Invalid (code "invalid_yaml") and
// TooLarge ("too_large") that name file and line and, where it is known, the
// field. An error of r is returned as it is.
func Decode(r io.Reader, l Limits) ([]Doc, error) {
	l = l.filled()
	data, err := io.ReadAll(io.LimitReader(r, int64(l.Bytes)+1))
	if err != nil {
		return nil, err
	}
	if len(data) > l.Bytes {
		return nil, fault.New(fault.TooLarge, "too_large", "%s is larger than %d bytes", l.File, l.Bytes).
			WithHint("split it into several files")
	}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	if at := invalidUTF8(data); at >= 0 {
		return nil, bad(l.File, line(data, at), "", "the file is not valid UTF-8").WithHint("save it as UTF-8")
	}
	d := &decoder{limits: l, data: data}
	return d.decode()
}

// DecodeOne is Decode for an input that must be exactly one document.
func DecodeOne(r io.Reader, l Limits) (Doc, error) {
	docs, err := Decode(r, l)
	if err != nil {
		return Doc{}, err
	}
	switch len(docs) {
	case 0:
		return Doc{}, bad(l.filled().File, 1, "", "the file is empty")
	case 1:
		return docs[0], nil
	}
	return Doc{}, bad(l.filled().File, docs[1].Root.Line, "", "there is more than one document").WithHint("remove what follows the second ---")
}

func bad(file string, line int, pointer, format string, args ...any) *fault.Error {
	return fault.New(fault.Invalid, "invalid_yaml", "%s line %d: %s", file, max(line, 1), fmt.Sprintf(format, args...)).WithField(pointer)
}

func invalidUTF8(data []byte) int {
	if utf8.Valid(data) {
		return -1
	}
	for at := 0; at < len(data); {
		r, size := utf8.DecodeRune(data[at:])
		if r == utf8.RuneError && size == 1 {
			return at
		}
		at += size
	}
	return -1
}

func line(data []byte, offset int) int {
	return 1 + bytes.Count(data[:min(offset, len(data))], []byte("\n"))
}

type decoder struct {
	limits Limits
	data   []byte
	nodes  int
}

func (d *decoder) decode() (docs []Doc, err error) {
	if start := bytes.TrimLeft(d.data, " \t\r\n"); len(start) > 0 && (start[0] == '{' || start[0] == '[') {
		docs, err := d.json()
		if !errors.Is(err, errNotJSON) {
			return docs, err
		}
		d.nodes = 0
	}
	return d.yaml()
}

// count enforces the bounds on every node, whatever the syntax.
func (d *decoder) count(line, depth int, pointer string) error {
	if d.nodes++; d.nodes > d.limits.Nodes {
		return bad(d.limits.File, line, "", "more than %d values", d.limits.Nodes)
	}
	if depth > d.limits.Depth {
		return bad(d.limits.File, line, pointer, "nested more than %d levels deep", d.limits.Depth)
	}
	return nil
}

func (d *decoder) key(name string, seen map[string]int, line int, parent string) (string, error) {
	if len(name) > maxKey {
		return "", bad(d.limits.File, line, parent, "a field's name is longer than %d bytes", maxKey)
	}
	pointer := parent + "/" + Escape(name)
	if first, dup := seen[name]; dup {
		return "", bad(d.limits.File, line, pointer, "the field %s is there twice, first in line %d", Quote(name), first).
			WithHint("remove one of the two")
	}
	seen[name] = line
	return pointer, nil
}

// parserLine finds the line and the reason in the YAML library's error text,
// the only form in which it gives them.
var parserLine = regex.Late(`^(?:.*yaml: )?(?:line (\d+): )?(.*)$`)

func (d *decoder) yaml() (docs []Doc, err error) {
	// The library reports its own syntax errors by panicking and recovers
	// them; should one of its defects get through, it stays this input's.
	defer func() {
		if p := recover(); p != nil {
			docs, err = nil, bad(d.limits.File, 1, "", "the YAML cannot be read").WithCause(fmt.Errorf("panic: %v", p))
		}
	}()
	dec := yaml.NewDecoder(bytes.NewReader(d.data))
	for {
		var n yaml.Node
		if err := dec.Decode(&n); errors.Is(err, io.EOF) {
			return docs, nil
		} else if err != nil {
			m := parserLine().FindStringSubmatch(strings.SplitN(err.Error(), "\n", 2)[0])
			at := 1
			_, _ = fmt.Sscan(m[1], &at)
			return nil, bad(d.limits.File, at, "", "this is not YAML: %s", m[2]).
				WithHint("check indentation, quotes and colons").WithCause(err)
		}
		if len(n.Content) == 0 || (n.Content[0].Kind == yaml.ScalarNode && n.Content[0].Value == "" && n.Content[0].Style == 0) {
			continue
		}
		if len(docs) == d.limits.Docs {
			return nil, bad(d.limits.File, n.Line, "", "more than %d documents", d.limits.Docs)
		}
		root, err := d.node(n.Content[0], "", 1)
		if err != nil {
			return nil, err
		}
		docs = append(docs, Doc{File: d.limits.File, Root: root})
	}
}

func (d *decoder) node(y *yaml.Node, pointer string, depth int) (*Node, error) {
	if err := d.count(y.Line, depth, pointer); err != nil {
		return nil, err
	}
	switch {
	case y.Kind == yaml.AliasNode || y.Anchor != "":
		return nil, bad(d.limits.File, y.Line, pointer, "anchors and aliases are not allowed").WithHint("write the value out")
	case y.Style&yaml.TaggedStyle != 0:
		return nil, bad(d.limits.File, y.Line, pointer, "tags such as %s are not allowed", Quote(y.Tag)).WithHint("quote the value to make it a string")
	}
	n := &Node{Line: y.Line, Column: y.Column, Pointer: pointer}
	switch y.Kind {
	case yaml.MappingNode:
		n.Kind = Object
		seen := make(map[string]int, len(y.Content)/2)
		for i := 0; i+1 < len(y.Content); i += 2 {
			name, err := d.name(y.Content[i], pointer)
			if err != nil {
				return nil, err
			}
			at, err := d.key(name, seen, y.Content[i].Line, pointer)
			if err != nil {
				return nil, err
			}
			v, err := d.node(y.Content[i+1], at, depth+1)
			if err != nil {
				return nil, err
			}
			n.Fields = append(n.Fields, Field{Name: name, Line: y.Content[i].Line, Value: v})
		}
	case yaml.SequenceNode:
		n.Kind = List
		for i, item := range y.Content {
			v, err := d.node(item, fmt.Sprintf("%s/%d", pointer, i), depth+1)
			if err != nil {
				return nil, err
			}
			n.Items = append(n.Items, v)
		}
	case yaml.ScalarNode:
		if err := d.scalar(n, y); err != nil {
			return nil, err
		}
	default:
		return nil, bad(d.limits.File, y.Line, pointer, "this is no value")
	}
	return n, nil
}

func (d *decoder) name(y *yaml.Node, parent string) (string, error) {
	var probe Node
	switch {
	case y.Kind != yaml.ScalarNode || y.Anchor != "" || y.Style&yaml.TaggedStyle != 0:
		return "", bad(d.limits.File, y.Line, parent, "a field's name must be a plain string")
	case y.Style&quoted == 0 && y.Value == "<<":
		return "", bad(d.limits.File, y.Line, parent, "merge keys (<<) are not allowed").WithHint("write the fields out")
	}
	if err := d.scalar(&probe, y); err != nil || probe.Kind != String {
		return "", bad(d.limits.File, y.Line, parent, "the field name %s is not a string", Quote(y.Value)).WithHint("quote it")
	}
	return y.Value, nil
}

const quoted = yaml.DoubleQuotedStyle | yaml.SingleQuotedStyle | yaml.LiteralStyle | yaml.FoldedStyle

var (
	decimal = regex.Late(`^[-+]?(\d+|\d*\.\d+|\d+\.\d*)([eE][-+]?\d+)?$`)
	zeros   = regex.Late(`^[-+]?0\d`)
	based   = regex.Late(`^[-+]?0[xob][0-9a-fA-F_]+$`)
	special = regex.Late(`^([-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))$`)
)

// scalar resolves a plain scalar by YAML 1.2's core schema, narrowed to what
// every reader understands alike.
func (d *decoder) scalar(n *Node, y *yaml.Node) error {
	n.Kind, n.scalar = String, y.Value
	if y.Style&quoted != 0 {
		return nil
	}
	refuse := func(why string) error {
		return bad(d.limits.File, y.Line, n.Pointer, "%s: %s", Quote(y.Value), why).WithHint("quote it if it is a string")
	}
	switch v := y.Value; {
	case v == "" || v == "~" || v == "null" || v == "Null" || v == "NULL":
		n.Kind, n.scalar = Null, nil
	case v == "true" || v == "True" || v == "TRUE":
		n.Kind, n.scalar = Bool, true
	case v == "false" || v == "False" || v == "FALSE":
		n.Kind, n.scalar = Bool, false
	case special().MatchString(v):
		return refuse("infinities and not-a-number are not allowed")
	case based().MatchString(v):
		return refuse("write numbers in decimal")
	case decimal().MatchString(v):
		if zeros().MatchString(v) {
			return refuse("a number with leading zeros means different things to different readers")
		}
		value, kind, ok := number(v)
		if !ok {
			return refuse("the number is out of range")
		}
		n.Kind, n.scalar = kind, value
	}
	return nil
}

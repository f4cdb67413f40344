package httpx

import (
	"bytes"
	"encoding/json"
	"io"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
)

// Appender is a body, or an item of a Page, that writes its own JSON: byte for
// byte what encoding/json makes of it, in a third of the time. It is for what
// lists hold many of; a test holds the two against each other. A type that embeds
// one takes over its method, and with it no field of its own: it writes its own.
type Appender interface {
	AppendJSON(b []byte) ([]byte, error)
}

// AppendJSON implements Appender, for items that do.
func (p Page[T]) AppendJSON(b []byte) ([]byte, error) {
	o := NewObject(b)
	Items(&o, "items", p.Items)
	o.TextUnlessEmpty("next", p.Next)
	return o.End()
}

// itemsAppend tells whether a page is quicker written by itself.
func (p Page[T]) itemsAppend() bool {
	_, ok := any((*T)(nil)).(Appender)
	return ok
}

var bodies = sync.Pool{New: func() any { return new([]byte) }}

const maxKeptBody = 256 << 10

// marshal is huma's own, but for what writes itself.
func marshal(w io.Writer, v any) error {
	a, ok := v.(Appender)
	if p, page := v.(interface{ itemsAppend() bool }); !ok || page && !p.itemsAppend() {
		return huma.DefaultJSONFormat.Marshal(w, v)
	}
	buf, _ := bodies.Get().(*[]byte)
	b, err := a.AppendJSON((*buf)[:0])
	if err != nil {
		return err
	}
	b = append(b, '\n')
	_, err = w.Write(b)
	if cap(b) <= maxKeptBody {
		*buf = b
		bodies.Put(buf)
	}
	return err
}

// Object writes one JSON object, field by field in the order asked for.
type Object struct {
	b   []byte
	err error
}

// NewObject begins one at the end of b.
func NewObject(b []byte) Object { return Object{b: append(b, '{')} }

// End gives all of it.
func (o *Object) End() ([]byte, error) { return append(o.b, '}'), o.err }

// field begins one; names need no escapes.
func (o *Object) field(name string) {
	if o.b[len(o.b)-1] != '{' {
		o.b = append(o.b, ',')
	}
	o.b = append(append(append(o.b, '"'), name...), `":`...)
}

// Text writes a string.
func (o *Object) Text(name, v string) {
	o.field(name)
	o.text(v)
}

// TextUnlessEmpty is Text with omitempty.
func (o *Object) TextUnlessEmpty(name, v string) {
	if v != "" {
		o.Text(name, v)
	}
}

// Int writes a number.
func (o *Object) Int(name string, v int64) {
	o.field(name)
	o.b = strconv.AppendInt(o.b, v, 10)
}

// Bool writes true or false.
func (o *Object) Bool(name string, v bool) {
	o.field(name)
	o.b = strconv.AppendBool(o.b, v)
}

// Time writes a moment.
func (o *Object) Time(name string, v time.Time) {
	o.field(name)
	if year := v.Year(); year < 0 || year > 9999 || v.Location() != time.UTC {
		o.slowly(v)
		return
	}
	o.b = append(v.AppendFormat(append(o.b, '"'), time.RFC3339Nano), '"')
}

// TimeUnlessNil is Time with omitempty.
func (o *Object) TimeUnlessNil(name string, v *time.Time) {
	if v != nil {
		o.Time(name, *v)
	}
}

// Any writes whatever JSON can hold.
func (o *Object) Any(name string, v any) {
	o.field(name)
	o.value(v)
}

// Items writes a list, each item by itself where it can.
func Items[T any](o *Object, name string, items []T) {
	o.field(name)
	if items == nil {
		o.value(nil)
		return
	}
	o.list(len(items), func(i int) {
		a, ok := any(&items[i]).(Appender)
		if !ok {
			o.value(items[i])
			return
		}
		var err error
		if o.b, err = a.AppendJSON(o.b); err != nil && o.err == nil {
			o.err = err
		}
	})
}

func (o *Object) value(v any) {
	switch v := v.(type) {
	case nil:
		o.b = append(o.b, "null"...)
	case string:
		o.text(v)
	case bool:
		o.b = strconv.AppendBool(o.b, v)
	case int64:
		o.b = strconv.AppendInt(o.b, v, 10)
	case []string:
		if v == nil {
			o.value(nil)
			return
		}
		o.list(len(v), func(i int) { o.text(v[i]) })
	case []any:
		if v == nil {
			o.value(nil)
			return
		}
		o.list(len(v), func(i int) { o.value(v[i]) })
	case map[string]any:
		o.object(v)
	default:
		o.slowly(v)
	}
}

func (o *Object) list(n int, item func(int)) {
	o.b = append(o.b, '[')
	for i := range n {
		if i > 0 {
			o.b = append(o.b, ',')
		}
		item(i)
	}
	o.b = append(o.b, ']')
}

func (o *Object) object(m map[string]any) {
	if m == nil {
		o.value(nil)
		return
	}
	var few [8]string // most have fewer
	names := few[:0]
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	o.b = append(o.b, '{')
	for i, name := range names {
		if i > 0 {
			o.b = append(o.b, ',')
		}
		o.text(name)
		o.b = append(o.b, ':')
		o.value(m[name])
	}
	o.b = append(o.b, '}')
}

// text writes a string; one with anything in it that may need an escape is
// written by encoding/json.
func (o *Object) text(s string) {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c > '~' {
			o.slowly(s)
			return
		}
	}
	o.b = append(append(append(o.b, '"'), s...), '"')
}

// slowly leaves a value to encoding/json.
func (o *Object) slowly(v any) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		if o.err == nil {
			o.err = err
		}
		return
	}
	o.b = append(o.b, bytes.TrimSuffix(buf.Bytes(), []byte("\n"))...)
}

package resource

import (
	"encoding/json"
	"strings"
	"unicode/utf8"

	"fairlead/internal/engine"
	"fairlead/internal/yamlx"
)

// stored reads JSON as this program writes it down: without space between, and
// mostly without escapes. A list reads some of it for each row, and for these
// few shapes that costs a fifth of what encoding/json takes. Whatever it does
// not know it calls odd and leaves to that.
type stored struct {
	rest  string
	depth int
	odd   bool
}

const maxStoredDepth = 500 // more is for encoding/json to judge

// whole tells whether all of the text was read, and nothing odd was in it.
func (p *stored) whole() bool { return !p.odd && p.rest == "" }

func (p *stored) take(prefix string) bool {
	rest, ok := strings.CutPrefix(p.rest, prefix)
	if ok {
		p.rest = rest
	}
	return ok
}

func (p *stored) need(prefix string) {
	if !p.take(prefix) {
		p.odd = true
	}
}

// text gives a part of the text that is read, not a copy.
func (p *stored) text() string {
	p.need(`"`)
	ascii := true
	for i := 0; i < len(p.rest) && !p.odd; i++ {
		switch c := p.rest[i]; {
		case c == '"':
			s := p.rest[:i]
			p.rest = p.rest[i+1:]
			p.odd = !ascii && !utf8.ValidString(s)
			return s
		case c == '\\' || c < ' ':
			p.odd = true
		case c >= utf8.RuneSelf:
			ascii = false
		}
	}
	p.odd = true
	return ""
}

// each reads an object: value is called at each field's value.
func (p *stored) each(value func(name string)) {
	p.depth++
	p.odd = p.odd || p.depth > maxStoredDepth
	for p.need("{"); !p.odd && !p.take("}"); {
		name := p.text()
		p.need(":")
		if p.odd {
			return
		}
		value(name)
		if !p.take(",") {
			p.need("}")
			break
		} else if p.take("}") {
			p.odd = true
		}
	}
	p.depth--
}

// items reads an array: item is called at each item.
func (p *stored) items(item func()) {
	p.depth++
	p.odd = p.odd || p.depth > maxStoredDepth
	for p.need("["); !p.odd && !p.take("]"); {
		item()
		if !p.take(",") {
			p.need("]")
			break
		} else if p.take("]") {
			p.odd = true
		}
	}
	p.depth--
}

func (p *stored) object() map[string]any {
	m := map[string]any{}
	p.each(func(name string) { m[name] = p.value() })
	return m
}

func (p *stored) value() any {
	if p.rest == "" {
		p.odd = true
		return nil
	}
	switch p.rest[0] {
	case '"':
		return p.text()
	case '{':
		return p.object()
	case '[':
		list := []any{}
		p.items(func() { list = append(list, p.value()) })
		return list
	case 't', 'f':
		return p.truth()
	case 'n':
		p.need("null")
		return nil
	}
	return p.number()
}

func (p *stored) truth() bool {
	yes := p.take("true")
	if !yes {
		p.need("false")
	}
	return yes
}

// number gives its one form, as yamlx.Numbers does.
func (p *stored) number() any {
	n := len(p.rest) - len(strings.TrimLeft(p.rest, "-+.0123456789eE"))
	literal := json.Number(p.rest[:n])
	p.rest = p.rest[n:]
	if !json.Valid([]byte(literal)) {
		p.odd = true
	}
	return yamlx.Numbers(literal)
}

func storedInputs(s string) (map[string]any, bool) {
	p := stored{rest: s}
	m := p.object()
	return m, p.whole()
}

func storedOutputs(s string) (map[string]Output, bool) {
	p := stored{rest: s}
	m := map[string]Output{}
	p.each(func(name string) {
		var o Output
		p.each(func(field string) {
			switch field {
			case "value":
				o.Value = p.value()
			case "sensitive":
				o.Sensitive = p.truth()
			default:
				p.odd = true
			}
		})
		m[name] = o
	})
	return m, p.whole()
}

func storedObjects(s string) ([]engine.Object, bool) {
	p := stored{rest: s}
	list := []engine.Object{}
	p.items(func() {
		var o engine.Object
		p.each(func(field string) {
			switch field {
			case "kind":
				o.Kind = p.text()
			case "name":
				o.Name = p.text()
			case "host":
				o.Host = p.text()
			default:
				p.odd = true
			}
		})
		list = append(list, o)
	})
	return list, p.whole()
}

package yamlx

import (
	"fmt"
	"strings"
	"time"

	"fairlead/internal/fault"
)

// Reader takes a document apart against what is known, and keeps all that is
// wrong with it and not only the first thing. Its getters give the zero value
// for a field that is absent or wrong.
type Reader struct {
	file       string
	violations []fault.Violation
}

// NewReader reads documents of a file, named as errors shall call it.
func NewReader(file string) *Reader { return &Reader{file: file} }

// Fail notes that n is wrong.
func (r *Reader) Fail(n *Node, format string, args ...any) {
	r.FailAt(n.Line, n.Pointer, format, args...)
}

// FailAt notes that something is wrong in a line, with a field.
func (r *Reader) FailAt(line int, pointer, format string, args ...any) {
	if len(r.violations) < 50 {
		r.violations = append(r.violations, fault.Violation{
			Field: pointer, Message: fmt.Sprintf("%s line %d: %s", r.file, line, fmt.Sprintf(format, args...)),
		})
	}
}

// Err is nil when nothing was wrong, else an Invalid fault of the given code
// with every violation; message says of what, e.g. "the template is not valid".
func (r *Reader) Err(code, message string) error {
	if len(r.violations) == 0 {
		return nil
	}
	first := r.violations[0]
	more := ""
	if n := len(r.violations) - 1; n > 0 {
		more = fmt.Sprintf(" (and %d more)", n)
	}
	return fault.New(fault.Invalid, code, "%s: %s%s", message, first.Message, more).
		WithField(first.Field).WithViolations(r.violations...)
}

// Fields is an object's members, checked against the known names.
type Fields struct {
	r *Reader
	n *Node
}

// Object takes n as an object with the known fields and no other. A nil n is
// an object without fields.
func (r *Reader) Object(n *Node, known ...string) Fields {
	if n == nil {
		return Fields{r: r}
	}
	if n.Kind != Object {
		r.Fail(n, "must be an object, is %s", n.Kind)
		return Fields{r: r}
	}
	for _, f := range n.Fields {
		if !contains(known, f.Name) {
			r.FailAt(f.Line, f.Value.Pointer, "unknown field %s%s", Quote(f.Name), didYouMean(f.Name, known))
		}
	}
	return Fields{r: r, n: n}
}

// Node gives a field as it is, or nil.
func (f Fields) Node(name string) *Node { return f.n.Get(name) }

// Need gives a field that must be there, or nil and a violation.
func (f Fields) Need(name string) *Node {
	v := f.n.Get(name)
	if (v == nil || v.Kind == Null) && f.n != nil {
		f.r.FailAt(f.n.Line, f.n.Pointer+"/"+Escape(name), "the field %s is missing", Quote(name))
		return nil
	}
	return v
}

func (f Fields) scalar(name string, kind Kind) *Node {
	v := f.n.Get(name)
	if v == nil {
		return nil
	}
	if v.Kind != kind {
		f.r.Fail(v, "must be %s, is %s", kind, v.Kind)
		return nil
	}
	return v
}

// String gives a string field.
func (f Fields) String(name string) string {
	if v := f.scalar(name, String); v != nil {
		return v.scalar.(string)
	}
	return ""
}

// Bool gives a boolean field.
func (f Fields) Bool(name string) bool {
	if v := f.scalar(name, Bool); v != nil {
		return v.scalar.(bool)
	}
	return false
}

// Duration gives a field such as "90s" or "24h", within bounds.
func (f Fields) Duration(name string, least, most time.Duration) time.Duration {
	v := f.scalar(name, String)
	if v == nil {
		return 0
	}
	d, err := time.ParseDuration(v.scalar.(string))
	if err != nil || d < least || d > most {
		f.r.Fail(v, "must be a duration from %s to %s, such as \"90s\" or \"24h\"", least, most)
		return 0
	}
	return d
}

// Strings gives a field that is a list of strings.
func (f Fields) Strings(name string) []string {
	v := f.scalar(name, List)
	if v == nil {
		return nil
	}
	var out []string
	for _, item := range v.Items {
		if item.Kind != String {
			f.r.Fail(item, "must be a string, is %s", item.Kind)
			continue
		}
		out = append(out, item.scalar.(string))
	}
	return out
}

func contains(known []string, name string) bool {
	for _, k := range known {
		if k == name {
			return true
		}
	}
	return false
}

func didYouMean(name string, known []string) string {
	if near := Nearest(name, known); near != "" {
		return fmt.Sprintf(", did you mean %q?", near)
	}
	return fmt.Sprintf("; known are %s", strings.Join(known, ", "))
}

// Quote shows a stranger's text in an error: quoted, printable, short.
func Quote(s string) string {
	if len(s) > 60 {
		s = strings.ToValidUTF8(s[:60], "") + "…"
	}
	return fmt.Sprintf("%q", s)
}

// Nearest gives the known word that a misspelt one most likely stands for, or
// "".
func Nearest(word string, known []string) string {
	if len(word) > 64 {
		return ""
	}
	best, least := "", max(1, len(word)/3)+1
	for _, k := range known {
		if d := distance(strings.ToLower(word), strings.ToLower(k)); d < least {
			best, least = k, d
		}
	}
	return best
}

// distance counts insertions, deletions, replacements and swaps of neighbours.
func distance(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}

package clikit

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/mattn/go-runewidth"
	"go.yaml.in/yaml/v3"
)

type format string

const (
	formatTable format = "table"
	formatJSON  format = "json"
	formatYAML  format = "yaml"
	formatName  format = "name"
)

func parseFormat(s string) (format, error) {
	switch f := format(s); f {
	case "":
		return formatTable, nil
	case formatTable, formatJSON, formatYAML, formatName:
		return f, nil
	}
	return formatTable, Usage("-o %s is no way to print", clean(s)).WithHint("use table, json, yaml or name")
}

// scanFormat looks for -o before the command line is parsed.
func scanFormat(args []string) format {
	for i, a := range args {
		switch {
		case a == "--":
			return formatTable
		case a == "-ojson", a == "-o=json", a == "--output=json":
			return formatJSON
		case (a == "-o" || a == "--output") && i+1 < len(args) && args[i+1] == "json":
			return formatJSON
		}
	}
	return formatTable
}

// Machine tells whether the output is for a program: json or yaml.
func (c *CLI) Machine() bool { return c.format == formatJSON || c.format == formatYAML }

// NamesOnly tells whether just names are wanted.
func (c *CLI) NamesOnly() bool { return c.format == formatName }

// Column is one column of a table.
type Column[T any] struct {
	Title string
	Cell  func(T) string
	Paint func(Style, string) string // nil: plain
}

// Items is a list as programs read it; the API's own shape.
type Items[T any] struct {
	Items []T `json:"items"`
}

// PrintList prints items: as a table, {"items": […]}, or one name a line.
// none is what a person reads when there are none.
func PrintList[T any](c *CLI, items []T, name func(T) string, none string, columns ...Column[T]) error {
	switch {
	case c.Machine():
		if items == nil {
			items = []T{}
		}
		return c.encode(Items[T]{items})
	case c.NamesOnly():
		return c.names(items2names(items, name))
	case len(items) == 0:
		if none != "" {
			c.Note("%s", none)
		}
		return nil
	}
	rows := make([][]string, 0, len(items))
	titles := make([]string, len(columns))
	paint := make([]func(Style, string) string, len(columns))
	for i, col := range columns {
		titles[i], paint[i] = col.Title, col.Paint
	}
	for _, item := range items {
		row := make([]string, len(columns))
		for i, col := range columns {
			row[i] = clean(col.Cell(item))
		}
		rows = append(rows, row)
	}
	_, err := io.WriteString(c.out, layout(c.outStyle, widthOf(c.out), titles, rows, paint))
	return err
}

func items2names[T any](items []T, name func(T) string) []string {
	names := make([]string, len(items))
	for i, item := range items {
		names[i] = name(item)
	}
	return names
}

// PrintOne prints one thing: as a person reads it, whole, or by name.
func PrintOne[T any](c *CLI, item T, name string, human func(*Text)) error {
	switch {
	case c.Machine():
		return c.encode(item)
	case c.NamesOnly():
		return c.names([]string{name})
	}
	t := &Text{Style: c.outStyle}
	human(t)
	_, err := io.WriteString(c.out, t.b.String())
	return err
}

func (c *CLI) names(names []string) error {
	var b strings.Builder
	for _, n := range names {
		b.WriteString(clean(n))
		b.WriteByte('\n')
	}
	_, err := io.WriteString(c.out, b.String())
	return err
}

func (c *CLI) encode(v any) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("output: %w", err)
	}
	if c.format != formatYAML {
		_, err := c.out.Write(b.Bytes())
		return err
	}
	// By way of JSON, whose names and order the API documents.
	var n yaml.Node
	if err := yaml.Unmarshal(b.Bytes(), &n); err != nil {
		return fmt.Errorf("output: %w", err)
	}
	block(&n)
	out := yaml.NewEncoder(c.out)
	out.SetIndent(2)
	if err := out.Encode(&n); err != nil {
		return fmt.Errorf("output: %w", err)
	}
	return out.Close()
}

// block turns JSON's style into YAML's, and keeps the quotes of what an older
// reader would take for something else than a string, such as yes.
func block(n *yaml.Node) {
	switch {
	case n.Kind == yaml.ScalarNode && strings.Contains(n.Value, "\n"):
		n.Style = yaml.LiteralStyle
	case n.Kind == yaml.ScalarNode && n.Tag == "!!str":
		if plain, err := yaml.Marshal(n.Value); err == nil && len(plain) > 0 && plain[0] != '"' && plain[0] != '\'' {
			n.Style = 0
		}
	case len(n.Content) > 0:
		n.Style = 0
	}
	for _, child := range n.Content {
		block(child)
	}
}

// Note tells a person something beside the result, on standard error.
func (c *CLI) Note(format string, args ...any) {
	if !c.flagQuiet {
		_, _ = fmt.Fprintln(c.err, CleanText(fmt.Sprintf(format, args...)))
	}
}

// Warn is Note for what needs a look; quiet does not silence it.
func (c *CLI) Warn(format string, args ...any) {
	_, _ = fmt.Fprintln(c.err, c.errStyle.Yellow("warning:"), CleanText(fmt.Sprintf(format, args...)))
}

const gap = 3

// layout makes a table that fits width columns (0: any): the widest columns
// give way first, and the last one is never padded.
func layout(s Style, width int, titles []string, rows [][]string, paint []func(Style, string) string) string {
	wide := make([]int, len(titles))
	for i, t := range titles {
		wide[i] = runewidth.StringWidth(t)
		for _, row := range rows {
			wide[i] = max(wide[i], runewidth.StringWidth(row[i]))
		}
	}
	shrink(wide, titles, width)
	var b strings.Builder
	line := func(cells []string, look func(int, string) string) {
		for i, cell := range cells {
			cell = runewidth.Truncate(cell, wide[i], "…")
			if cell == "" && i < len(cells)-1 {
				cell = "-"
			}
			b.WriteString(look(i, cell))
			if i < len(cells)-1 {
				b.WriteString(strings.Repeat(" ", wide[i]-runewidth.StringWidth(cell)+gap))
			}
		}
		b.WriteByte('\n')
	}
	line(titles, func(_ int, t string) string { return s.Dim(t) })
	for _, row := range rows {
		line(row, func(i int, t string) string {
			if paint[i] == nil {
				return t
			}
			return paint[i](s, t)
		})
	}
	return b.String()
}

func shrink(wide []int, titles []string, width int) {
	total := gap * (len(wide) - 1)
	for _, w := range wide {
		total += w
	}
	for width > 0 && total > width {
		most := -1
		for i, w := range wide {
			if w > max(8, len(titles[i])) && (most < 0 || w > wide[most]) {
				most = i
			}
		}
		if most < 0 {
			return // nothing left to take away: the terminal wraps
		}
		wide[most]--
		total--
	}
}

// Text is something written out for a person: fields, sections and tables.
type Text struct {
	Style Style
	b     strings.Builder
}

// Line writes a line of our own words, which may be coloured.
func (t *Text) Line(format string, args ...any) { fmt.Fprintf(&t.b, format+"\n", args...) }

// Section starts a part with a heading.
func (t *Text) Section(title string) {
	if t.b.Len() > 0 {
		t.b.WriteByte('\n')
	}
	t.b.WriteString(t.Style.Bold(title) + "\n")
}

// Pair is a field and its value.
type Pair struct {
	Key, Value string
	Paint      func(Style, string) string
}

// Pairs writes fields, values aligned; those without a value are left out.
func (t *Text) Pairs(indent string, pairs ...Pair) {
	wide := 0
	for _, p := range pairs {
		if p.Value != "" {
			wide = max(wide, runewidth.StringWidth(p.Key))
		}
	}
	for _, p := range pairs {
		if p.Value == "" {
			continue
		}
		v := clean(p.Value)
		if p.Paint != nil {
			v = p.Paint(t.Style, v)
		}
		t.b.WriteString(indent + t.Style.Dim(p.Key) + strings.Repeat(" ", wide-runewidth.StringWidth(p.Key)+2) + v + "\n")
	}
}

// Table writes a small table.
func (t *Text) Table(indent string, titles []string, rows [][]string) {
	for _, row := range rows {
		for i := range row {
			row[i] = clean(row[i])
		}
	}
	out := layout(t.Style, 0, titles, rows, make([]func(Style, string) string, len(titles)))
	for line := range strings.Lines(out) {
		t.b.WriteString(indent + line)
	}
}

// Human writes text for a person, whatever -o says.
func (c *CLI) Human(write func(*Text)) error {
	t := &Text{Style: c.outStyle}
	write(t)
	_, err := io.WriteString(c.out, t.b.String())
	return err
}

// Raw writes somebody's text as it is, but for what would steer a terminal.
func (t *Text) Raw(text string) {
	t.b.WriteString(CleanText(text))
	if !strings.HasSuffix(text, "\n") {
		t.b.WriteByte('\n')
	}
}

// SetFormat is for a command that gives -o a meaning of its own (OwnOutput):
// it takes the usual formats and also those in more, which the command prints
// by itself.
func (c *CLI) SetFormat(s string, more ...string) error {
	for _, m := range more {
		if s == m {
			c.format = formatTable
			return nil
		}
	}
	f, err := parseFormat(s)
	if err != nil {
		return Usage("-o %s is no way to print", clean(s)).WithHint("use table, json, yaml, name or %s", strings.Join(more, ", "))
	}
	c.format = f
	return nil
}

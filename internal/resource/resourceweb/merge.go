package resourceweb

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"fairlead/internal/fault"
	"fairlead/internal/resource"
	"fairlead/internal/webui"
	"fairlead/internal/yamlx"
)

// keepPrefix is before the JSON pointer in the name of the choice of a field
// that two people changed.
const keepPrefix = "keep"

// merging is a change that somebody else was quicker with: what both changed
// since the form was opened, field by field.
type merging struct {
	by, note string
	at       time.Time
	version  string // of the template, that they went on to
	rows     []mergeRow
}

// mergeRow is one field that differs from what it was.
type mergeRow struct {
	pointer           string
	was, theirs, mine string
	who               string // theirs, mine, same, both: who changed it; both is to be chosen
}

func (m *merging) of(who string) []mergeRow {
	var out []mergeRow
	for _, row := range m.rows {
		if row.who == who {
			out = append(out, row)
		}
	}
	return out
}

// settled is what needs no choice.
func (m *merging) settled() []mergeRow {
	return slices.DeleteFunc(slices.Clone(m.rows), func(r mergeRow) bool { return r.who == "both" })
}

// name is a field's, as a person would say it.
func (row mergeRow) name() string {
	parts := strings.Split(strings.TrimPrefix(row.pointer, "/"), "/")
	for i, p := range parts {
		parts[i] = yamlx.Unescape(p)
	}
	return strings.Join(parts, " › ")
}

// mergeChange shows both changes without sending one.
func (w *web) mergeChange(r *webui.Request) (webui.Answer, error) {
	f, _, err := w.readChange(r)
	if err != nil {
		return webui.Answer{}, err
	}
	return w.merged(r, f)
}

// merged shows the form again with both changes in it: what only one of the
// two changed is settled, what both changed is to be chosen, and nothing that
// either wrote is lost.
func (w *web) merged(r *webui.Request, f form) (webui.Answer, error) {
	ctx := r.Context()
	base, err := w.opened(r, f)
	if err != nil {
		return webui.Answer{}, err
	}
	last, err := w.Resources.Revision(ctx, byID(*f.old), f.old.Revision)
	if err != nil {
		return webui.Answer{}, err
	}
	m := &merging{by: last.CreatedByName, note: last.Note, at: last.CreatedAt}
	if f.t.Version == base.TemplateVersion && f.t.Version != f.old.TemplateVersion {
		if f.t, err = w.Templates.Get(ctx, f.old.Template, f.old.TemplateVersion); err != nil {
			return webui.Answer{}, err
		}
		m.version = f.t.Version
	}
	mine := f.inputs
	for key := range base.Inputs { // a secret that was left empty stays as it is
		if _, there := mine[key]; !there && slices.Contains(f.t.SecretInputs(base.Inputs), "/"+yamlx.Escape(key)) {
			mine = maps.Clone(mine)
			mine[key] = base.Inputs[key]
		}
	}
	f.inputs = m.merge(base.Inputs, f.old.Inputs, mine, "")
	f.filled, f.wrong, f.merge = nil, nil, m
	f.match, f.base = f.old.Version, f.old.Revision
	v := w.formView(ctx, f, http.StatusConflict)
	return webui.Answer{View: &v}, nil
}

// opened gives the revision that a form was opened with.
func (w *web) opened(r *webui.Request, f form) (resource.Revision, error) {
	base, err := w.Resources.Revision(r.Context(), byID(*f.old), f.base)
	if fault.Is(err, fault.NotFound) {
		return w.Resources.Revision(r.Context(), byID(*f.old), f.old.Revision)
	}
	return base, err
}

// keepTheirs takes the fields for which somebody chose what the other wrote.
func (w *web) keepTheirs(r *webui.Request, f *form) error {
	var base resource.Revision
	for name := range r.PostForm {
		pointer, ok := strings.CutPrefix(name, keepPrefix+"/")
		if !ok || r.Field(name) != "theirs" {
			continue
		}
		if base.Number == 0 {
			var err error
			if base, err = w.opened(r, *f); err != nil {
				return err
			}
		}
		f.inputs = graft(f.inputs, base.Inputs, strings.Split(pointer, "/"))
		f.filled = nil
	}
	return nil
}

// graft gives a copy of into in which what is at a path is as in from.
func graft(into, from map[string]any, path []string) map[string]any {
	key := yamlx.Unescape(path[0])
	out := maps.Clone(into)
	if out == nil {
		out = map[string]any{}
	}
	v, there := from[key]
	if len(path) > 1 {
		below, _ := v.(map[string]any)
		mine, _ := out[key].(map[string]any)
		out[key] = graft(mine, below, path[1:])
		return out
	}
	if delete(out, key); there {
		out[key] = v
	}
	return out
}

// merge gives what both wrote over what was there, and notes what differs.
// Objects are looked into; a list is one value.
func (m *merging) merge(base, theirs, mine map[string]any, at string) map[string]any {
	out := map[string]any{}
	keys := map[string]bool{}
	for _, side := range []map[string]any{base, theirs, mine} {
		for key := range side {
			keys[key] = true
		}
	}
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		b, hadB := base[key]
		t, hasT := theirs[key]
		v, has := mine[key]
		bm, isB := b.(map[string]any)
		tm, isT := t.(map[string]any)
		vm, isV := v.(map[string]any)
		pointer := at + "/" + yamlx.Escape(key)
		if isT && isV && (isB || !hadB) {
			out[key] = m.merge(bm, tm, vm, pointer)
			continue
		}
		isSame := func(a any, hasA bool, b any, hasB bool) bool {
			if a, b := hasA && !empty(a), hasB && !empty(b); !a || !b {
				return a == b
			}
			return same(a, b)
		}
		row := mergeRow{pointer: pointer, was: written(b, hadB), theirs: written(t, hasT), mine: written(v, has)}
		switch {
		case isSame(v, has, b, hadB):
			v, has = t, hasT
			if row.who = "theirs"; isSame(t, hasT, b, hadB) {
				row.who = ""
			}
		case isSame(t, hasT, b, hadB):
			row.who = "mine"
		case isSame(t, hasT, v, has):
			row.who = "same"
		default:
			row.who = "both"
		}
		if row.who != "" {
			m.rows = append(m.rows, row)
		}
		if has {
			out[key] = v
		}
	}
	return out
}

// empty tells what a form cannot tell from nothing.
func empty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case string:
		return v == ""
	case []any:
		return len(v) == 0
	case map[string]any:
		return len(v) == 0
	}
	return false
}

// written is a value as the merge shows it.
func written(v any, there bool) string {
	if !there || v == nil {
		return ""
	}
	text := webui.Text(v)
	if r := []rune(text); len(r) > 300 {
		text = string(r[:300]) + "…"
	}
	return text
}

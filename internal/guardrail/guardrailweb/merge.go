package guardrailweb

import (
	"net/http"
	"slices"
	"strings"

	"fairlead/internal/guardrail"
	"fairlead/internal/webui"
)

const keepPrefix = "keep/"

// merge shows the editor again with the version in it that came meanwhile: a
// file, or lines of it, that only one of the two changed are as they left it.
// Where both changed the same lines, the text stays and the other's is beside
// it.
func (w *web) merge(r *webui.Request, mine editing) (webui.Answer, error) {
	ctx := r.Context()
	theirs, err := w.Guardrails.Draft(ctx, mine.Name, "")
	if err != nil {
		return webui.Answer{}, err
	}
	newest, _, err := w.Guardrails.Content(ctx, mine.Name, theirs.Base)
	if err != nil {
		return webui.Answer{}, err
	}
	base := guardrail.Draft{Files: map[string]string{}}
	if mine.Base != "" {
		if base, err = w.Guardrails.Draft(ctx, mine.Name, mine.Name+"@"+mine.Base); err != nil {
			return webui.Answer{}, err
		}
	}
	next := mine.Version()
	if next == "" || next == theirs.Base || next == guardrail.NextVersion(mine.Base) {
		next = guardrail.NextVersion(theirs.Base)
	}
	for _, d := range []*guardrail.Draft{&base, &theirs, &mine.Draft} {
		d.Say(next) // the version itself is no change of either
	}
	e := editing{Draft: guardrail.Draft{Name: mine.Name, Base: theirs.Base, From: theirs.From, Files: map[string]string{}, Others: theirs.Others}, by: newest.CreatorName}
	paths := map[string]bool{}
	for _, files := range []map[string]string{base.Files, theirs.Files, mine.Files} {
		for p := range files {
			paths[p] = true
		}
	}
	for p := range paths {
		e.mergeFile(p, base.Files, theirs.Files, mine.Files)
	}
	slices.Sort(e.merged)
	slices.SortFunc(e.clashes, func(a, b clash) int { return strings.Compare(a.path, b.path) })
	v := w.editor(e, http.StatusConflict)
	return webui.Answer{View: &v}, nil
}

func (e *editing) mergeFile(p string, base, theirs, mine map[string]string) {
	b, hadB := base[p]
	t, hasT := theirs[p]
	m, hasM := mine[p]
	switch {
	case hasM == hasT && m == t, hasT == hadB && t == b: // they changed nothing that is not mine too
		if hasM {
			e.Files[p] = m
		}
	case hasM == hadB && m == b:
		e.merged = append(e.merged, p)
		if hasT {
			e.Files[p] = t
		}
	default:
		if lines, ok := mergeLines(split(b), split(m), split(t)); ok && hadB && hasM && hasT {
			e.Files[p], e.merged = strings.Join(lines, ""), append(e.merged, p)
			return
		}
		if hasM {
			e.Files[p] = m
		}
		e.clashes = append(e.clashes, clash{p, t})
	}
}

// takeTheirs takes the files for which somebody chose what the other wrote.
func (w *web) takeTheirs(r *webui.Request, e *editing) error {
	for name := range r.PostForm {
		p, ok := strings.CutPrefix(name, keepPrefix)
		if !ok || r.Field(name) != "theirs" {
			continue
		}
		theirs, err := w.Guardrails.Draft(r.Context(), e.Name, e.Name+"@"+e.Base)
		if err != nil {
			return err
		}
		version := e.Version()
		if delete(e.Files, p); theirs.Files[p] != "" {
			e.Files[p] = theirs.Files[p]
		}
		if p == guardrail.ManifestFile {
			e.Say(version)
		}
	}
	return nil
}

func split(text string) []string { return strings.SplitAfter(text, "\n") }

// mergeLines merges what two made of the same lines; false when both changed
// the same ones, or ones that touch.
func mergeLines(base, a, b []string) ([]string, bool) {
	inA, inB := matches(base, a), matches(base, b)
	var out []string
	for i, ia, ib := 0, 0, 0; ; {
		j := i
		for j < len(base) && (inA[j] < 0 || inB[j] < 0) {
			j++
		}
		ja, jb := len(a), len(b)
		if j < len(base) {
			ja, jb = inA[j], inB[j]
		}
		was, fromA, fromB := base[i:j], a[ia:ja], b[ib:jb]
		switch {
		case slices.Equal(fromA, was), slices.Equal(fromA, fromB):
			out = append(out, fromB...)
		case slices.Equal(fromB, was):
			out = append(out, fromA...)
		default:
			return nil, false
		}
		if j == len(base) {
			return out, true
		}
		out = append(out, base[j])
		i, ia, ib = j+1, ja+1, jb+1
	}
}

// maxCompared bounds how much is compared for which lines are the same.
const maxCompared = 4_000_000

// matches gives for each line of a where it is in b, in order; -1 for nowhere.
func matches(a, b []string) []int {
	out := make([]int, len(a))
	for i := range out {
		out[i] = -1
	}
	first := 0
	for first < len(a) && first < len(b) && a[first] == b[first] {
		out[first] = first
		first++
	}
	endA, endB := len(a), len(b)
	for endA > first && endB > first && a[endA-1] == b[endB-1] {
		endA, endB = endA-1, endB-1
		out[endA] = endB
	}
	n, m := endA-first, endB-first
	if n == 0 || m == 0 || n*m > maxCompared {
		return out
	}
	longest := make([]int32, (n+1)*(m+1)) // of what follows
	for i := n - 1; i >= 0; i-- {
		for j := m - 1; j >= 0; j-- {
			at := i*(m+1) + j
			if a[first+i] == b[first+j] {
				longest[at] = longest[at+m+2] + 1
			} else {
				longest[at] = max(longest[at+m+1], longest[at+1])
			}
		}
	}
	for i, j := 0, 0; i < n && j < m; {
		switch at := i*(m+1) + j; {
		case a[first+i] == b[first+j]:
			out[first+i] = first + j
			i, j = i+1, j+1
		case longest[at+m+1] >= longest[at+1]:
			i++
		default:
			j++
		}
	}
	return out
}

package guardrailweb

import (
	"cmp"
	"maps"
	"net/http"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"fairlead/internal/fault"
	"fairlead/internal/guardrail"
	"fairlead/internal/httpx"
	"fairlead/internal/webui"
)

// maxEditable bounds what a page edits: a browser sends texts at up to three
// times their size. What is larger is pushed as a folder.
const maxEditable = 300 << 10

// editing is a bundle's next version on its way.
type editing struct {
	guardrail.Draft
	clashes []clash // files that two people changed
	merged  []string
	fresh   bool   // nothing was written yet
	by      string // who was quicker
	result  *checked
	err     error
}

// clash is a file that two people changed in the same lines: the text of the
// other.
type clash struct{ path, theirs string }

// checked is what compiling it and running its tests gave.
type checked struct {
	bundle *guardrail.Bundle
	report guardrail.TestReport
	err    error
}

// fresh stands for the small example in the choice of what to begin with.
const fresh = "example"

// begin opens the editor on a bundle that is not there yet.
func (w *web) begin(r *webui.Request) (webui.Answer, error) {
	name, from := r.Field("name"), r.Field("from")
	if from == fresh {
		from = ""
	}
	if _, err := w.Guardrails.Draft(r.Context(), name, from); err != nil {
		if !shownAgain(err) && !fault.Is(err, fault.NotFound) {
			return webui.Answer{}, err
		}
		v, verr := w.list(r)
		v.Status = httpx.Status(fault.KindOf(err))
		body := v.Body
		v.Body = withFault(err, body)
		return webui.Answer{View: &v}, verr
	}
	to := webui.To("guardrails", name, "edit")
	if from != "" {
		to += "?from=" + from
	}
	return webui.Answer{To: to}, nil
}

func shownAgain(err error) bool {
	switch fault.KindOf(err) {
	case fault.Invalid, fault.Conflict, fault.Stale, fault.Denied, fault.TooLarge:
		return true
	}
	return false
}

func (w *web) edit(r *webui.Request) (webui.View, error) {
	d, err := w.Guardrails.Draft(r.Context(), r.Path("guardrail"), r.Query("from"))
	if err != nil {
		return webui.View{}, err
	}
	return w.editor(editing{Draft: d, fresh: true}, http.StatusOK), nil
}

func (w *web) editor(e editing, status int) webui.View {
	title := "Edit " + e.Name
	if e.Base == "" {
		title = "New bundle " + e.Name
	}
	crumbs := []webui.Crumb{{Title: "Home", Href: "/"}, {Title: "Guardrails", Href: "/guardrails"}}
	if e.Base != "" {
		crumbs = append(crumbs, webui.Crumb{Title: e.Name, Href: webui.To("guardrails", e.Name)})
	}
	return webui.View{Title: title, Status: status, Body: editPage(e), Crumbs: append(crumbs, webui.Crumb{Title: "Edit"}),
		API: "POST /api/v1/guardrails", CLI: "fairlead policy push DIR", Docs: "/docs/guardrails"}
}

// size is what the editor would have to send.
func (e editing) size() int {
	n := 0
	for _, text := range e.Files {
		n += len(text)
	}
	return n
}

// paths gives the files as a person reads them: the manifest, each policy with
// its tests, data, the rest.
func (e editing) paths() []string {
	rank := func(p string) int {
		switch {
		case p == guardrail.ManifestFile:
			return 0
		case strings.HasSuffix(p, ".rego"):
			return 1
		case strings.HasPrefix(path.Base(p), "data."):
			return 2
		}
		return 3
	}
	return slices.SortedFunc(maps.Keys(e.Files), func(a, b string) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(strings.TrimSuffix(a, ".rego"), strings.TrimSuffix(b, ".rego")))
	})
}

func fileID(path string) string {
	return "file-" + strings.NewReplacer("/", "-", " ", "-", ".", "-").Replace(path)
}

const filePrefix = "file/"

// read reads the editor's form.
func (w *web) read(r *webui.Request) editing {
	e := editing{Draft: guardrail.Draft{Name: r.Path("guardrail"), Base: r.Field("base"), From: r.Field("from"), Files: map[string]string{}}}
	for name, texts := range r.PostForm {
		if p, ok := strings.CutPrefix(name, filePrefix); ok {
			e.Files[p] = strings.ReplaceAll(texts[0], "\r\n", "\n")
		}
	}
	e.Others = r.PostForm["other"]
	return e
}

// reshape adds a file to the form, or takes one away.
func (w *web) reshape(r *webui.Request) (webui.Answer, error) {
	e := w.read(r)
	if _, err := w.Guardrails.Pack(r.Context(), guardrail.Draft{Name: e.Name, Files: map[string]string{"a.rego": ""}}); err != nil {
		return webui.Answer{}, err // whoever may not push has no editor
	}
	status := http.StatusOK
	if gone := r.Field("remove"); gone != "" {
		delete(e.Files, gone)
	} else if name := r.Field("newfile"); name != "" {
		one := guardrail.Draft{Name: e.Name, Files: map[string]string{name: ""}}
		if _, there := e.Files[name]; there {
			e.err = fault.New(fault.Conflict, "invalid_archive", "there is a file %s already", name)
		} else if _, err := w.Guardrails.Pack(r.Context(), one); err != nil {
			e.err = err
		} else {
			e.Files[name] = newFile(name)
		}
		if e.err != nil {
			status = httpx.Status(fault.KindOf(e.err))
		}
	}
	v := w.editor(e, status)
	return webui.Answer{View: &v}, nil
}

// newFile is what a new file begins with.
func newFile(name string) string {
	pkg := strings.ReplaceAll(strings.TrimSuffix(path.Base(name), ".rego"), "-", "_")
	switch {
	case strings.HasSuffix(name, "_test.rego"):
		return "package " + pkg + "\n\nimport data." + strings.TrimSuffix(pkg, "_test") + "\n\n"
	case strings.HasSuffix(name, ".rego"):
		return "package " + pkg + "\n\n"
	case strings.HasSuffix(name, ".json"):
		return "{}\n"
	}
	return ""
}

// check compiles what is written and runs its tests; nothing is kept.
func (w *web) check(r *webui.Request) (webui.Answer, error) {
	e := w.read(r)
	c, err := w.tried(r, e)
	if err != nil {
		return webui.Answer{}, err
	}
	e.result = c
	if r.Partial() {
		return webui.Answer{Part: checkPanel(e)}, nil
	}
	v := w.editor(e, http.StatusOK)
	return webui.Answer{View: &v}, nil
}

func (w *web) tried(r *webui.Request, e editing) (*checked, error) {
	c := &checked{}
	tar, err := w.Guardrails.Pack(r.Context(), e.Draft)
	if err == nil {
		c.bundle, c.report, err = w.Guardrails.Test(r.Context(), tar, e.Name)
	}
	if err == nil && c.bundle.Name != e.Name {
		err = fault.New(fault.Invalid, "invalid_bundle", "%s says that this is %s: here it is %s", guardrail.ManifestFile, c.bundle.Name, e.Name).
			WithHint("for another name, make a new bundle from this one")
	}
	if err != nil && !shownAgain(err) || fault.Is(err, fault.Denied) {
		return nil, err
	}
	c.err = err
	return c, nil
}

// save makes a version of what is written, and puts it in force if asked to.
func (w *web) save(r *webui.Request) (webui.Answer, error) {
	e := w.read(r)
	ctx := r.Context()
	if err := w.takeTheirs(r, &e); err != nil {
		return webui.Answer{}, err
	}
	tar, err := w.Guardrails.Pack(ctx, e.Draft)
	var out guardrail.Pushed
	if err == nil {
		out, err = w.Guardrails.PushOver(ctx, tar, e.Name, e.Base)
	}
	switch {
	case fault.Is(err, fault.Stale):
		return w.merge(r, e)
	case err != nil && shownAgain(err) && !fault.Is(err, fault.Denied):
		if e.result, err = w.tried(r, e); err != nil {
			return webui.Answer{}, err
		}
		if e.result.err == nil { // the version is taken
			e.err = fault.New(fault.Conflict, "version_exists", "version %s of %s exists with other content", e.Version(), e.Name).WithHint("raise the version in %s", guardrail.ManifestFile)
		}
		v := w.editor(e, http.StatusConflict)
		return webui.Answer{View: &v}, nil
	case err != nil:
		return webui.Answer{}, err
	}
	to := webui.To("guardrails", out.Name) + "?version=" + out.Version
	if r.Field("then") != "activate" {
		return webui.Answer{To: to, Flash: out.Name + "@" + out.Version + " is kept. It is not in force yet."}, nil
	}
	a, err := w.Guardrails.Activate(ctx, out.Name, out.Version)
	if err != nil && shownAgain(err) {
		v, verr := w.show(r, out.Version, err)
		return webui.Answer{View: &v}, verr
	}
	return webui.Answer{To: webui.To("guardrails", out.Name), Flash: outcome(out.Name, a)}, err
}

// problem is one thing wrong, with where it is.
type problem struct {
	file string
	line int
	text string
}

var whereForms = []*regexp.Regexp{
	regexp.MustCompile(`^([^\s:]+):(\d+)(?::\d+)?: (.*)$`),
	regexp.MustCompile(`^([^\s:]+) line (\d+): (.*)$`),
}

// problems reads what is wrong from an error.
func (c *checked) problems() []problem {
	f := fault.From(c.err)
	texts := make([]string, 0, len(f.Violations))
	for _, v := range f.Violations {
		texts = append(texts, v.Message)
	}
	if len(texts) == 0 {
		texts = append(texts, f.Message)
	}
	var out []problem
	for _, text := range texts {
		p := problem{text: text}
		for _, form := range whereForms {
			if m := form.FindStringSubmatch(text); m != nil {
				line, err := strconv.Atoi(m[2])
				if err != nil {
					line = 1
				}
				p = problem{m[1], line, m[3]}
				break
			}
		}
		out = append(out, p)
	}
	return out
}

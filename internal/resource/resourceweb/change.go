package resourceweb

import (
	"net/http"
	"reflect"
	"strconv"
	"strings"

	"fairlead/internal/fault"
	"fairlead/internal/resource"
	"fairlead/internal/webui"
)

func (w *web) newChange(r *webui.Request) (webui.View, error) {
	res, err := w.Resources.Get(r.Context(), where(r))
	if err != nil {
		return webui.View{}, err
	}
	f, err := w.load(r.Context(), res.Template, orUsed(r.Query("version"), res))
	if err != nil {
		return webui.View{}, err
	}
	f.of(res)
	f.inputs, f.fresh = res.Inputs, true
	return w.formView(r.Context(), f, http.StatusOK), nil
}

// of makes it a form for a change of a resource.
func (f *form) of(res resource.Resource) {
	f.old, f.name, f.in = &res, res.Name, res.Project+"/"+res.Environment
	f.match, f.base = res.Version, res.Revision
}

func orUsed(version string, res resource.Resource) string {
	if version == "" {
		return res.TemplateVersion
	}
	return version
}

// readChange reads the form that was sent for a change: the fields differ from
// the resource as it was when the form was opened, which the version says.
func (w *web) readChange(r *webui.Request) (form, resource.Change, error) {
	var ch resource.Change
	res, err := w.Resources.Get(r.Context(), where(r))
	if err != nil {
		return form{}, ch, err
	}
	f, err := w.load(r.Context(), res.Template, orUsed(r.Field("version"), res))
	if err != nil {
		return f, ch, err
	}
	f.of(res)
	f.note = r.Field("note")
	for field, into := range map[string]*int64{"match": &f.match, "base": &f.base} {
		if n, err := strconv.ParseInt(r.Field(field), 10, 64); err == nil && n > 0 {
			*into = n
		}
	}
	f.take(r)
	if err := w.keepTheirs(r, &f); err != nil {
		return f, ch, err
	}
	ch = resource.Change{Note: f.note, IfMatch: f.match, Set: f.changes(res)}
	if f.t.Version != res.TemplateVersion {
		ch.Version = f.t.Version
	}
	return f, ch, nil
}

// changes gives what to set: what differs, and nothing for what was taken away.
// A secret that was left empty stays as it is; one within a group that changes
// has to be given again, for its value is nowhere to be had.
func (f *form) changes(res resource.Resource) map[string]any {
	secret := map[string]bool{}
	nested := map[string]string{}
	for _, pointer := range f.t.SecretInputs(res.Inputs) {
		key, rest, deep := strings.Cut(strings.TrimPrefix(pointer, "/"), "/")
		if deep {
			nested[key] = rest
		} else {
			secret[key] = true
		}
	}
	set := map[string]any{}
	for key, v := range f.inputs {
		old, had := res.Inputs[key]
		switch {
		case had && same(old, v):
		case nested[key] != "" && missing(v, nested[key]):
			if !same(without(old, nested[key]), v) {
				f.wrong = append(f.wrong, fault.Violation{Field: "/inputs/" + key + "/" + nested[key], Message: "give it again: other fields of this group change"})
			}
		default:
			set[key] = v
		}
	}
	for key := range res.Inputs {
		if _, there := f.inputs[key]; !there && !secret[key] && nested[key] == "" {
			set[key] = nil
		}
	}
	return set
}

func missing(v any, path string) bool {
	for part := range strings.SplitSeq(path, "/") {
		m, ok := v.(map[string]any)
		if !ok {
			return true
		}
		if v, ok = m[part]; !ok {
			return true
		}
	}
	return false
}

func without(v any, path string) any {
	m, ok := v.(map[string]any)
	if !ok {
		return v
	}
	key, rest, deep := strings.Cut(path, "/")
	out := map[string]any{}
	for k, e := range m {
		switch {
		case k != key:
			out[k] = e
		case deep:
			out[k] = without(e, rest)
		}
	}
	return out
}

func same(a, b any) bool {
	return reflect.DeepEqual(a, b) || webui.Text(a) == webui.Text(b)
}

func (w *web) checkChange(r *webui.Request) (webui.Answer, error) {
	f, ch, err := w.readChange(r)
	if err != nil {
		return webui.Answer{}, err
	}
	p := &preview{}
	f.preview = p
	p.Preview, err = w.Resources.PlanChange(r.Context(), byID(*f.old), ch)
	return w.checked(r, f, p, err)
}

func (w *web) change(r *webui.Request) (webui.Answer, error) {
	f, ch, err := w.readChange(r)
	if err != nil {
		return webui.Answer{}, err
	}
	if len(f.wrong) > 0 {
		return w.refused(r, f, nil)
	}
	made, err := w.Resources.Change(r.Context(), byID(*f.old), ch)
	if fault.Is(err, fault.Stale) {
		return w.merged(r, f)
	}
	if err != nil {
		return w.refused(r, f, err)
	}
	if made.Revision == f.old.Revision {
		return webui.Answer{To: href(made), Flash: "Nothing differs: there is no new revision."}, nil
	}
	return webui.Answer{To: href(made), Flash: "Revision " + strconv.FormatInt(made.Revision, 10) + " is on its way."}, nil
}

func (w *web) reshapeChange(r *webui.Request) (webui.Answer, error) {
	f, _, err := w.readChange(r)
	if err != nil {
		return webui.Answer{}, err
	}
	return w.reshaped(r, f)
}

func byID(r resource.Resource) resource.Where {
	return resource.Where{Project: r.ProjectID, Environment: r.EnvironmentID, Name: r.ID}
}

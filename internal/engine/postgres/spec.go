package postgres

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"

	"fairlead/internal/engine"
	"fairlead/internal/fault"
)

// spec is the engine's section of template.yaml. Inputs of the same names win.
type spec struct {
	Server          string   `json:"server"`          // which server; the first when empty
	ConnectionLimit *int     `json:"connectionLimit"` // most sessions at once; 50 by default
	Extensions      []string `json:"extensions"`      // always installed
	Pool            *bool    `json:"pool"`            // false never takes a prepared database
}

const defaultConnectionLimit = 50

// want is a resource as it is wanted.
type want struct {
	ref        engine.Ref
	server     *server
	names      names
	limit      int
	extensions []string
	pool       bool
	state      state // of the previous result; Active is set
	existed    bool  // Previous says that the database was there
	marker     marker
	paused     bool   // nobody may log in
	adopted    string // the name of the database that was adopted; "" when it was made
}

// Validate implements engine.Validator.
func (e *Engine) Validate(_ context.Context, t engine.Template) error {
	sp, err := readSpec(t.Spec)
	if err != nil {
		return err
	}
	if sp.ConnectionLimit != nil && !validLimit(*sp.ConnectionLimit) {
		return badLimit("/spec/connectionLimit")
	}
	return e.checkExtensions(sp.Extensions, "/spec/extensions")
}

func readSpec(raw json.RawMessage) (spec, error) {
	var sp spec
	if len(raw) == 0 {
		return sp, nil
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&sp); err != nil {
		return sp, fault.New(fault.Invalid, "template_spec_invalid", "the template's spec is not one of the postgres engine: %s", strings.TrimPrefix(err.Error(), "json: ")).
			WithHint("it may have server, connectionLimit, extensions and pool").WithField("/spec")
	}
	return sp, nil
}

// read says what req wants. It looks at nothing outside.
func (e *Engine) read(req engine.Request) (*want, error) {
	sp, err := readSpec(req.Template.Spec)
	if err != nil {
		return nil, err
	}
	w, err := e.locate(req, sp)
	if err != nil {
		return nil, err
	}
	w.limit = defaultConnectionLimit
	if sp.ConnectionLimit != nil {
		w.limit = *sp.ConnectionLimit
	}
	if v, field, ok := input(req.Inputs, "connectionLimit", "connection_limit"); ok {
		n, isInt := integer(v)
		if !isInt || !validLimit(n) {
			return nil, badLimit(field)
		}
		w.limit = n
	}
	asked := sp.Extensions
	if v, field, ok := input(req.Inputs, "extensions"); ok {
		list, err := texts(v, field)
		if err != nil {
			return nil, err
		}
		if err := e.checkExtensions(list, field); err != nil {
			return nil, err
		}
		asked = append(slices.Clone(asked), list...)
	}
	if err := e.checkExtensions(asked, "/spec/extensions"); err != nil {
		return nil, err
	}
	slices.Sort(asked)
	w.extensions = slices.Compact(asked)
	w.pool = sp.Pool == nil || *sp.Pool
	return w, nil
}

// locate says where the resource's objects are, and reads no input: Destroy
// and Observe must work whatever became of the inputs.
func (e *Engine) locate(req engine.Request, sp spec) (*want, error) {
	if req.Ref.Installation == "" || req.Ref.ID == "" {
		return nil, fault.New(fault.Invalid, "ref_incomplete", "the request names no installation or no resource")
	}
	w := &want{ref: req.Ref, names: namesOf(req.Ref), marker: markerOf(req.Ref), state: state{Active: "a"}, paused: req.Paused}
	if req.Adopted != "" {
		name, err := adoptedName(req.Adopted)
		if err != nil {
			return nil, err
		}
		w.adopted, w.names.Database, w.marker.Adopted = name, name, true
	}
	server := sp.Server
	if req.Previous != nil {
		w.existed = true
		if len(req.Previous.State) > 0 {
			if err := json.Unmarshal(req.Previous.State, &w.state); err != nil {
				return nil, fault.New(fault.Internal, "engine_state_damaged", "the engine's notes on the resource cannot be read").WithCause(err)
			}
		}
		if w.state.Active != "b" {
			w.state.Active = "a"
		}
		if w.state.Server != "" {
			server = w.state.Server // a database does not move; a new template version applies where it is
		}
	}
	if server == "" {
		server = e.names[0]
	}
	if w.server = e.servers[server]; w.server == nil {
		return nil, fault.New(fault.Unavailable, "postgres_server_unknown", "no PostgreSQL server named %q is configured", clip(server)).
			WithHint("configured: %s; a platform administrator adds one in the engine's settings", strings.Join(e.names, ", ")).WithField("/spec/server")
	}
	return w, nil
}

func (e *Engine) checkExtensions(list []string, field string) error {
	for i, x := range list {
		if !e.allowed[x] {
			return fault.New(fault.Invalid, "extension_not_allowed", "the extension %q is not allowed", clip(x)).
				WithHint("allowed: %s", strings.Join(e.opt.Extensions, ", ")).WithField(fmt.Sprintf("%s/%d", field, i))
		}
	}
	return nil
}

func validLimit(n int) bool { return n >= 1 && n <= 10000 }

func badLimit(field string) error {
	return fault.New(fault.Invalid, "connection_limit_invalid", "the connection limit is not a whole number from 1 to 10000").WithField(field)
}

// input finds an input by any of its spellings, with its JSON pointer.
func input(inputs map[string]any, spellings ...string) (any, string, bool) {
	for _, name := range spellings {
		if v, ok := inputs[name]; ok && v != nil {
			return v, "/" + name, true
		}
	}
	return nil, "", false
}

func integer(v any) (int, bool) {
	switch n := v.(type) {
	case int:
		return n, true
	case int64:
		return int(n), n >= math.MinInt32 && n <= math.MaxInt32
	case float64:
		return int(n), n == math.Trunc(n) && math.Abs(n) <= math.MaxInt32
	case json.Number:
		i, err := n.Int64()
		return int(i), err == nil && i >= math.MinInt32 && i <= math.MaxInt32
	}
	return 0, false
}

func texts(v any, field string) ([]string, error) {
	switch l := v.(type) {
	case []string:
		return l, nil
	case []any:
		out := make([]string, 0, len(l))
		for i, x := range l {
			s, ok := x.(string)
			if !ok {
				return nil, fault.New(fault.Invalid, "extensions_invalid", "an extension is named by a text").WithField(fmt.Sprintf("%s/%d", field, i))
			}
			out = append(out, s)
		}
		return out, nil
	}
	return nil, fault.New(fault.Invalid, "extensions_invalid", "extensions are a list of names").WithField(field)
}

func clip(s string) string {
	if len(s) > 60 {
		return strings.ToValidUTF8(s[:60], "") + "…"
	}
	return s
}

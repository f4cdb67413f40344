package null_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"fairlead/internal/engine"
	"fairlead/internal/engine/enginetest"
	"fairlead/internal/engine/null"
	"fairlead/internal/fault"
)

func request(spec string, inputs map[string]any) engine.Request {
	return engine.Request{
		Ref: engine.Ref{Installation: "i", ID: "res_1", Name: "x"}, Inputs: inputs,
		Template: engine.Template{Name: "null", Version: "1.0.0", Spec: json.RawMessage(spec)},
	}
}

func TestConformance(t *testing.T) {
	t.Parallel()
	enginetest.Run(t, enginetest.Harness{
		Stateless: true,
		New:       func(_ *testing.T, onCall func(string)) engine.Engine { return &null.Engine{OnCall: onCall} },
		Request: func(_ *testing.T, name string) engine.Request {
			r := request(`{"secrets":["key"],"outputs":{"zone":"eu"}}`, map[string]any{"value": "v"})
			r.Ref.ID, r.Ref.Name = "res_"+name, name
			return r
		},
		Change: func(r engine.Request) engine.Request { r.Inputs = map[string]any{"value": "w"}; return r },
		Invalid: map[string]func(engine.Request) engine.Request{
			"an unknown field": func(r engine.Request) engine.Request { r.Template.Spec = json.RawMessage(`{"x":1}`); return r },
			"no duration":      func(r engine.Request) engine.Request { r.Inputs = map[string]any{"delay": "soon"}; return r },
			"an hour":          func(r engine.Request) engine.Request { r.Inputs = map[string]any{"delay": "1h"}; return r },
			"not a text":       func(r engine.Request) engine.Request { r.Inputs = map[string]any{"fail": true}; return r },
		},
	})
}

func TestOutputsAreInputsAndSpec(t *testing.T) {
	t.Parallel()
	e := &null.Engine{}
	res, err := e.Apply(t.Context(), request(`{"outputs":{"zone":"eu"}}`, map[string]any{"value": "v", "delay": "0s"}), engine.Plan{}, engine.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if len(res.Outputs) != 2 || res.Outputs["value"].Value != "v" || res.Outputs["zone"].Value != "eu" {
		t.Fatalf("%v", res.Outputs)
	}
}

func TestFailAndCancel(t *testing.T) {
	t.Parallel()
	e := &null.Engine{}
	_, err := e.Apply(t.Context(), request(``, map[string]any{"fail": "out of luck"}), engine.Plan{}, engine.Discard)
	if f := fault.From(err); f.Code != "null_failed" || f.Message != "out of luck" {
		t.Fatalf("%v", err)
	}
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		_, err := e.Apply(ctx, request(``, map[string]any{"delay": "5m"}), engine.Plan{}, engine.Discard)
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != time.Second {
			t.Fatalf("after %v: %v", time.Since(began), err)
		}
	})
}

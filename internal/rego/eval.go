package rego

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/metrics"
	"github.com/open-policy-agent/opa/v1/rego"
)

// Limits bound one evaluation; what is zero is as its comment says.
type Limits struct {
	Time   time.Duration // 1 s
	Memory uint64        // bytes by which the process may grow meanwhile; 256 MiB
	Output int           // bytes of the answer, about; 1 MiB
}

func (l Limits) filled() Limits {
	if l.Time <= 0 {
		l.Time = time.Second
	}
	if l.Memory == 0 {
		l.Memory = 256 << 20
	}
	if l.Output <= 0 {
		l.Output = 1 << 20
	}
	return l
}

// Input is a document in the form that evaluations take, made once for many.
type Input struct{ value ast.Value }

// NewInput converts a document of maps, lists, texts, numbers, booleans and
// nil, as encoding/json knows them.
func NewInput(document any) (Input, error) {
	v, err := ast.InterfaceToValue(document)
	if err != nil {
		return Input{}, fmt.Errorf("rego: input: %w", err)
	}
	return Input{v}, nil
}

// LazyInput takes a document as it is and converts what is looked at, when it
// is looked at: most policies look at little of it. It serves one evaluation
// at a time, and the document must not change meanwhile. What cannot be
// converted is an error of the evaluation that looks at it.
func LazyInput(document map[string]any) Input { return Input{ast.LazyObject(document)} }

// ParseInput reads a document from JSON. Numbers keep their digits.
func ParseInput(document []byte) (Input, error) {
	v, err := ast.ValueFromReader(bytes.NewReader(document))
	if err != nil {
		return Input{}, fmt.Errorf("rego: input: %w", err)
	}
	return Input{v}, nil
}

// Rule names a rule of a package.
type Rule struct{ Package, Name string }

func (r Rule) ref() ast.Ref {
	return packageRef(r.Package).Append(ast.StringTerm(r.Name))
}

// Query asks for the values of some rules at once.
type Query struct {
	prepared rego.PreparedEvalQuery
	rules    int
}

// Prepare makes a query of rules. A rule that is not there is undefined.
func (p *Program) Prepare(rules ...Rule) (q *Query, err error) {
	defer func() {
		if r := recover(); r != nil {
			q, err = nil, fmt.Errorf("rego: prepare: panic: %v", r)
		}
	}()
	// [{x | x = data.a.deny}, …]: a rule that is undefined is an empty list
	// and does not make the whole undefined.
	list := make([]*ast.Term, len(rules))
	for i, r := range rules {
		x := ast.VarTerm("x")
		list[i] = ast.ArrayComprehensionTerm(x, ast.NewBody(ast.Equality.Expr(x, ast.NewTerm(r.ref()))))
	}
	body := ast.NewBody(ast.Equality.Expr(ast.VarTerm("answer"), ast.ArrayTerm(list...)))
	prepared, err := rego.New(rego.Compiler(p.compiler), rego.Store(p.store), rego.ParsedQuery(body), rego.Capabilities(capabilities()),
		rego.StrictBuiltinErrors(true)).PrepareForEval(background)
	if err != nil {
		return nil, fmt.Errorf("rego: prepare: %w", err)
	}
	return &Query{prepared, len(rules)}, nil
}

// Answer is the value of one rule.
type Answer struct {
	Defined bool
	Set     bool // Value is a list that was a set: sorted, each once
	Value   any  // maps, lists, texts, json.Number, booleans, nil
}

// Eval gives the values of the query's rules, in their order. The error is a
// *Error.
func (q *Query) Eval(ctx context.Context, in Input, l Limits) (answers []Answer, err error) {
	l = l.filled()
	if ctx.Err() != nil {
		return nil, &Error{Canceled, "the evaluation was canceled"}
	}
	w := newWatch(ctx, l, nil)
	defer w.stop()
	defer func() {
		if r := recover(); r != nil {
			answers, err = nil, &Error{Defect, clean(fmt.Sprintf("the evaluation broke down: %v", r))}
			lastPanic.Store(string(debug.Stack()))
		}
	}()
	rs, err := q.prepared.Eval(background, rego.EvalParsedInput(in.value), rego.EvalExternalCancel(w.cancel), rego.EvalMetrics(metrics.NoOp()),
		rego.EvalGenerateJSON(func(t *ast.Term, _ *rego.EvalContext) (any, error) { return t.Value, nil }))
	if why := w.why(l); why != nil {
		return nil, why
	}
	if err != nil {
		return nil, evalError(err)
	}
	if len(rs) != 1 {
		return nil, &Error{Defect, "the evaluation gave no answer"}
	}
	list, ok := rs[0].Bindings["answer"].(*ast.Array)
	if !ok || list.Len() != q.rules {
		return nil, &Error{Defect, "the evaluation gave another answer than was asked for"}
	}
	answers = make([]Answer, q.rules)
	out := converter{left: l.Output}
	for i := range answers {
		of, ok := list.Elem(i).Value.(*ast.Array)
		if !ok || of.Len() == 0 {
			continue
		}
		v := of.Elem(0).Value
		_, set := v.(ast.Set)
		plain := out.plain(v)
		if out.left < 0 {
			return nil, &Error{Output, fmt.Sprintf("the answer is larger than %d bytes", l.Output)}
		}
		answers[i] = Answer{Defined: true, Set: set, Value: plain}
	}
	return answers, nil
}

// converter makes plain values of Rego's, until there are too many.
type converter struct{ left int }

func (c *converter) plain(v ast.Value) any {
	if c.left -= 8; c.left < 0 {
		return nil
	}
	switch v := v.(type) {
	case ast.Boolean:
		return bool(v)
	case ast.Number:
		c.left -= len(v)
		return json.Number(v)
	case ast.String:
		c.left -= len(v)
		return string(v)
	case *ast.Array:
		out := make([]any, 0, min(v.Len(), 1000))
		for i := 0; i < v.Len() && c.left >= 0; i++ {
			out = append(out, c.plain(v.Elem(i).Value))
		}
		return out
	case ast.Set:
		out := make([]any, 0, min(v.Len(), 1000))
		for _, t := range v.Slice() {
			if c.left < 0 {
				break
			}
			out = append(out, c.plain(t.Value))
		}
		return out
	case ast.Object:
		out := make(map[string]any, min(v.Len(), 1000))
		_ = v.Iter(func(k, t *ast.Term) error {
			name := k.Value.String()
			if s, ok := k.Value.(ast.String); ok {
				name = string(s)
			}
			c.left -= len(name)
			if c.left < 0 {
				return errStop
			}
			out[name] = c.plain(t.Value)
			return nil
		})
		return out
	}
	return nil
}

var errStop = errors.New("enough")

// packageRef is the reference to a package by its name, as Packages gives it.
func packageRef(name string) ast.Ref {
	ref, err := ast.ParseRef("data." + name)
	if err != nil || len(ref) == 0 {
		return ast.Ref{ast.DefaultRootDocument, ast.StringTerm(name)}
	}
	return ref
}

package rego

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/tester"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// TestResult is how one test rule went.
type TestResult struct {
	Package  string
	Name     string
	File     string
	Line     int
	Passed   bool
	Skipped  bool   // its name starts with todo_
	Failure  string // why it did not pass
	Output   string // what it printed
	Duration time.Duration
}

// maxPrinted bounds what is kept of a test's output, in bytes.
const maxPrinted = 4 << 10

// Test runs the program's test rules (test_…), one after another, each and all
// within limits. A test that fails is a result and no error; the error is a
// *Error when the whole ran too long, or took too much memory.
func (p *Program) Test(ctx context.Context, l Limits) (results []TestResult, err error) {
	defer func() {
		if r := recover(); r != nil {
			results, err = nil, &Error{Defect, clean(fmt.Sprintf("the tests broke down: %v", r))}
		}
	}()
	if l.Time <= 0 {
		l.Time = 30 * time.Second
	}
	l = l.filled()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w := newWatch(ctx, l, cancel)
	defer w.stop()
	runner := tester.NewRunner().SetCompiler(newCompiler(false, true)).SetStore(p.store).SetModules(p.copies()).
		CapturePrintOutput(true).RaiseBuiltinErrors(true).SetParallel(1).SetTimeout(min(l.Time, 5*time.Second))
	err = storage.Txn(ctx, p.store, storage.TransactionParams{}, func(txn storage.Transaction) error {
		found, err := runner.RunTests(ctx, txn)
		if err != nil {
			return err
		}
		for r := range found {
			if r != nil {
				results = append(results, testResult(r))
			}
		}
		return nil
	})
	if why := w.why(l); why != nil {
		return nil, why
	}
	if err != nil {
		return nil, evalError(err)
	}
	slices.SortFunc(results, func(a, b TestResult) int {
		if c := strings.Compare(a.File, b.File); c != 0 {
			return c
		}
		return a.Line - b.Line
	})
	return results, nil
}

// copies: the runner gives duplicate tests new names in the modules that it
// is handed.
func (p *Program) copies() map[string]*ast.Module {
	out := make(map[string]*ast.Module, len(p.modules))
	for name, m := range p.modules {
		out[name] = m.Copy()
	}
	return out
}

func testResult(r *tester.Result) TestResult {
	out := TestResult{Package: strings.TrimPrefix(r.Package, "data."), Name: r.Name, Passed: r.Pass(), Skipped: r.Skip, Duration: r.Duration}
	if r.Location != nil {
		out.File, out.Line = r.Location.File, r.Location.Row
	}
	switch {
	case r.Error != nil:
		var e *topdown.Error
		if errors.As(r.Error, &e) {
			out.Failure = evalError(e).Message
		} else {
			out.Failure = clean(r.Error.Error())
		}
	case r.Fail:
		out.Failure = "it is not true"
	}
	out.Output = clipped(string(r.Output), maxPrinted)
	return out
}

// clipped cuts text that is too long, at a whole character.
func clipped(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}

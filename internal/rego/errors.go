package rego

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"

	"fairlead/internal/fault"
)

// problems collects all that is wrong with sources.
type problems struct{ list []fault.Violation }

func (p *problems) say(file string, line, col int, format string, args ...any) {
	p.list = append(p.list, fault.Violation{Field: file, Message: fmt.Sprintf("%s:%d:%d: %s", file, line, col, fmt.Sprintf(format, args...))})
}

func (p *problems) add(err error) {
	var many ast.Errors
	var one *ast.Error
	switch {
	case errors.As(err, &many):
		for _, e := range many {
			p.one(e)
		}
	case errors.As(err, &one):
		p.one(one)
	default:
		p.list = append(p.list, fault.Violation{Message: clean(err.Error())})
	}
}

func (p *problems) one(e *ast.Error) {
	file, line, col := "", 1, 1
	if e.Location != nil {
		file, line, col = e.Location.File, e.Location.Row, e.Location.Col
	}
	message := e.Message
	if name, ok := strings.CutPrefix(message, "undefined function "); ok {
		if why := whyForbidden(strings.TrimSpace(name)); why != "" {
			message = name + " is not there: " + why
		}
	}
	if e.Details != nil {
		for _, l := range e.Details.Lines() {
			message += " " + strings.TrimSpace(l)
		}
	}
	p.say(file, line, col, "%s", clean(message))
}

func (p *problems) err() error {
	if len(p.list) == 0 {
		return nil
	}
	slices.SortStableFunc(p.list, func(a, b fault.Violation) int { return strings.Compare(a.Field, b.Field) })
	said := p.list[0].Message
	f := fault.New(fault.Invalid, "invalid_policy", "%s", said)
	if n := len(p.list); n > 1 {
		f = fault.New(fault.Invalid, "invalid_policy", "the policies have %d errors; the first: %s", n, said)
	}
	return f.WithField(p.list[0].Field).WithHint("opa check --strict says the same about most of them").WithViolations(p.list[:min(len(p.list), maxErrors)]...)
}

// clean makes text of a policy's author fit for one line of a terminal.
func clean(s string) string {
	s = strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' {
			return ' '
		}
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	if len(s) > 500 {
		s = strings.ToValidUTF8(s[:500], "") + "…"
	}
	return s
}

// Trouble is what kind of thing went wrong in an evaluation.
type Trouble string

// The kinds of trouble.
const (
	Conflict Trouble = "conflict" // one rule has two values
	Builtin  Trouble = "builtin"  // a built-in function was given what it cannot work with
	Timeout  Trouble = "timeout"
	Memory   Trouble = "memory"
	Output   Trouble = "output" // the answer is too large
	Canceled Trouble = "canceled"
	Defect   Trouble = "defect" // none of the policy's: OPA's, or ours
)

// Error is what went wrong in an evaluation.
type Error struct {
	Trouble Trouble
	Message string // fit for whoever may read the policy; one line
}

func (e *Error) Error() string { return e.Message }

// Is compares by the kind of trouble.
func (e *Error) Is(target error) bool {
	var t *Error
	return errors.As(target, &t) && t.Trouble == e.Trouble
}

func evalError(err error) *Error {
	var e *topdown.Error
	if !errors.As(err, &e) {
		return &Error{Defect, clean(err.Error())}
	}
	where := ""
	if e.Location != nil && e.Location.File != "" {
		where = fmt.Sprintf("%s:%d:%d: ", e.Location.File, e.Location.Row, e.Location.Col)
	}
	switch e.Code {
	case topdown.ConflictErr:
		return &Error{Conflict, clean(where + e.Message)}
	case topdown.BuiltinErr, topdown.TypeErr, topdown.WithMergeErr:
		return &Error{Builtin, clean(where + e.Message)}
	case topdown.CancelErr:
		return &Error{Canceled, "the evaluation was canceled"}
	}
	return &Error{Defect, clean(where + e.Message)}
}

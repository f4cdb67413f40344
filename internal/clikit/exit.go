package clikit

import (
	"errors"
	"net/http"

	"fairlead/internal/fault"
)

// The exit codes, for scripts.
const (
	ExitOK              = 0
	ExitFailed          = 1
	ExitUsage           = 2
	ExitUnauthenticated = 3
	ExitDenied          = 4
	ExitNotFound        = 5
	ExitConflict        = 6
	ExitUnavailable     = 7
	ExitInvalid         = 8
	ExitInterrupted     = 130
)

// Codes of faults that arise here and have an exit code of their own.
const (
	codeUsage       = "usage"
	codeInterrupted = "interrupted"
)

// exits is the one table from what went wrong to the exit code. A row's codes
// go before any row's kinds.
var exits = []struct {
	exit    int
	meaning string
	codes   []string
	kinds   []fault.Kind
}{
	{ExitOK, "done", nil, nil},
	{ExitFailed, "failed: the run ended badly, or the server has a defect", nil, []fault.Kind{fault.Internal}},
	{ExitUsage, "the command line is not right", []string{codeUsage}, nil},
	{ExitUnauthenticated, "not signed in, or the token is expired or revoked", nil, []fault.Kind{fault.Unauthenticated}},
	{ExitDenied, "signed in, but not allowed", nil, []fault.Kind{fault.Denied}},
	{ExitNotFound, "no such thing, or none that you may know of", nil, []fault.Kind{fault.NotFound}},
	{ExitConflict, "in conflict with what is there, or changed meanwhile", nil, []fault.Kind{fault.Conflict, fault.Stale}},
	{ExitUnavailable, "unreachable, overloaded, or not done in time; try again", []string{"timed_out", "wait_timeout"}, []fault.Kind{fault.Unavailable, fault.Limited}},
	{ExitInvalid, "the input is not valid", nil, []fault.Kind{fault.Invalid, fault.TooLarge}},
	{ExitInterrupted, "interrupted (Ctrl-C)", []string{codeInterrupted}, nil},
}

// statuses is the one table from an answer's status to the kind of fault.
var statuses = []struct {
	status int
	kind   fault.Kind
}{
	{http.StatusBadRequest, fault.Invalid},
	{http.StatusUnauthorized, fault.Unauthenticated},
	{http.StatusForbidden, fault.Denied},
	{http.StatusNotFound, fault.NotFound},
	{http.StatusMethodNotAllowed, fault.Invalid},
	{http.StatusNotAcceptable, fault.Invalid},
	{http.StatusRequestTimeout, fault.Unavailable},
	{http.StatusConflict, fault.Conflict},
	{http.StatusGone, fault.NotFound},
	{http.StatusPreconditionFailed, fault.Stale},
	{http.StatusRequestEntityTooLarge, fault.TooLarge},
	{http.StatusUnsupportedMediaType, fault.Invalid},
	{http.StatusUnprocessableEntity, fault.Invalid},
	{http.StatusPreconditionRequired, fault.Stale},
	{http.StatusTooManyRequests, fault.Limited},
	{http.StatusBadGateway, fault.Unavailable},
	{http.StatusServiceUnavailable, fault.Unavailable},
	{http.StatusGatewayTimeout, fault.Unavailable},
}

func kindOf(status int) fault.Kind {
	for _, row := range statuses {
		if row.status == status {
			return row.kind
		}
	}
	return fault.Internal
}

// ExitCode gives the exit code for what a command returned.
func ExitCode(err error) int {
	if err == nil {
		return ExitOK
	}
	if passed, ok := errors.AsType[*PassedOn](err); ok {
		return passed.Exit
	}
	f := Fault(err)
	for _, row := range exits {
		for _, code := range row.codes {
			if code == f.Code {
				return row.exit
			}
		}
	}
	for _, row := range exits {
		for _, k := range row.kinds {
			if k == f.Kind {
				return row.exit
			}
		}
	}
	return ExitFailed
}

// PassedOn is the exit of a program that a command ran and that said itself
// what was wrong: nothing more is printed.
type PassedOn struct{ Exit int }

// Error implements error.
func (*PassedOn) Error() string { return "the program that was run failed" }

// Usage is the fault for a wrong command line.
func Usage(format string, args ...any) *fault.Error {
	return fault.New(fault.Invalid, codeUsage, format, args...)
}

// Interrupted is the fault for a wait that Ctrl-C ended; hint says how to go on.
func Interrupted(format string, args ...any) *fault.Error {
	return fault.New(fault.Unavailable, codeInterrupted, format, args...)
}

// Failure is the fault for something that was asked for and ended badly.
func Failure(code, format string, args ...any) *fault.Error {
	if code == "" {
		code = "failed"
	}
	return fault.New(fault.Internal, code, format, args...)
}

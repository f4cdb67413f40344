package httpx

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"

	"fairlead/internal/audit"
	"fairlead/internal/fault"
)

// useOurErrors makes huma speak problem+json as the rest of Fairlead does. Its
// hooks are variables of its package: they are set once.
var useOurErrors = sync.OnceFunc(func() {
	huma.ValidateStrictCasing = true // encoding/json ignores case: {"Name":…} would pass as name
	huma.NewError = func(status int, msg string, errs ...error) huma.StatusError {
		return fromHuma("", nil, status, msg, errs)
	}
	huma.NewErrorWithContext = func(ctx huma.Context, status int, msg string, errs ...error) huma.StatusError {
		return fromHuma(audit.OriginFrom(ctx.Context()).RequestID, ctx.Operation(), status, msg, errs)
	}
})

// fromHuma translates what huma found wrong. Values are left out: what a
// caller sent may be a secret.
func fromHuma(requestID string, op *huma.Operation, status int, msg string, errs []error) *Problem {
	f := fault.New(fault.Invalid, "invalid_request", "the request is not valid").
		WithHint("see the operation's description at /docs/api")
	switch status {
	case http.StatusUnsupportedMediaType:
		f = unsupported()
	case http.StatusRequestEntityTooLarge:
		f = fault.New(fault.TooLarge, "body_too_large", "the body is too large").WithHint("send less, or in parts")
	case http.StatusBadRequest, http.StatusUnprocessableEntity:
		for _, err := range errs {
			f.WithViolations(violation(err, op))
		}
		if len(errs) == 0 {
			f.Message = msg // huma's own texts, such as "request body is required"
		}
	default:
		if status >= 500 || status == 0 {
			f = fault.New(fault.Internal, "internal", "internal error").WithCause(errors.Join(errs...))
		} else {
			f.Message = msg
		}
	}
	for _, err := range errs {
		if d, ok := errors.AsType[*huma.ErrorDetail](err); ok && strings.HasPrefix(d.Message, huma.ErrUnknownContentType.Error()) {
			f, status = unsupported(), http.StatusUnsupportedMediaType
		}
	}
	if len(f.Violations) == 1 {
		f.Field, f.Message = f.Violations[0].Field, named(f.Violations[0])
	}
	p := problemOf(f, requestID)
	if status != 0 {
		p.Status, p.Title = status, http.StatusText(status)
	}
	return p
}

func unsupported() *fault.Error {
	return fault.New(fault.Invalid, "unsupported_media_type", "a body of this type is not understood here").
		WithHint("send Content-Type: application/json")
}

// named is a violation in a sentence of its own, which tells what it is about.
func named(v fault.Violation) string {
	_, name, ok := strings.Cut(v.Field, ":")
	if !ok {
		name = strings.TrimPrefix(v.Field, "/")
	}
	if name == "" {
		return v.Message
	}
	return name + ": " + v.Message
}

// unknownParameter is how huma says it; what there is it does not say.
const unknownParameter = "unknown query parameter"

// known are the query parameters of an operation.
func known(op *huma.Operation) string {
	var names []string
	if op != nil {
		for _, p := range op.Parameters {
			if p.In == "query" {
				names = append(names, p.Name)
			}
		}
	}
	if len(names) == 0 {
		return "there are none here"
	}
	slices.Sort(names)
	return "known here are " + strings.Join(names, ", ")
}

func violation(err error, op *huma.Operation) fault.Violation {
	d, ok := errors.AsType[*huma.ErrorDetail](err)
	if !ok {
		var f *fault.Error
		if errors.As(err, &f) { // a resolver's
			return fault.Violation{Field: f.Field, Message: f.Message}
		}
		return fault.Violation{Message: "not valid"}
	}
	if d.Message == unknownParameter {
		return fault.Violation{Field: pointer(d.Location), Message: unknownParameter + "; " + known(op)}
	}
	return fault.Violation{Field: pointer(d.Location), Message: d.Message}
}

// pointer turns huma's "body.friends[0].name" into "/friends/0/name", and
// "query.limit" into "query:limit".
func pointer(location string) string {
	where, rest, _ := strings.Cut(location, ".")
	if where != "body" && !strings.HasPrefix(where, "body[") {
		if rest == "" {
			return where
		}
		return where + ":" + rest
	}
	rest = strings.TrimPrefix(location, "body")
	var out strings.Builder
	for _, part := range strings.FieldsFunc(rest, func(r rune) bool { return r == '.' || r == '[' || r == ']' }) {
		out.WriteByte('/')
		out.WriteString(strings.NewReplacer("~", "~0", "/", "~1").Replace(part))
	}
	return out.String()
}

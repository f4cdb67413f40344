package httpx

import (
	"context"
	"errors"
	"net/http"
	"strconv"

	"fairlead/internal/audit"
	"fairlead/internal/fault"
)

// Problem is an RFC 9457 problem document.
type Problem struct {
	Type       string             `json:"type" doc:"The page that explains the code" example:"/docs/errors/invalid_name"`
	Title      string             `json:"title" doc:"The status in words"`
	Status     int                `json:"status" doc:"The HTTP status"`
	Code       string             `json:"code" doc:"Stable, for programs" example:"invalid_name"`
	Detail     string             `json:"detail" doc:"What went wrong"`
	Hint       string             `json:"hint,omitempty" doc:"What to do next"`
	Field      string             `json:"field,omitempty" doc:"JSON pointer into the body of the field at fault; for what is not in the body query:, path: or header: and its name"`
	Violations []ProblemViolation `json:"violations,omitempty" doc:"Everything that is wrong, not just the first"`
	RequestID  string             `json:"requestId,omitempty" doc:"Quote it to the platform team"`

	retryAfter int
}

// ProblemViolation is one thing wrong with one field.
type ProblemViolation struct {
	Field   string `json:"field" doc:"As field above"`
	Message string `json:"message"`
}

// Error implements error.
func (p *Problem) Error() string { return p.Detail }

// GetStatus implements huma.StatusError.
func (p *Problem) GetStatus() int { return p.Status }

// ContentType implements huma.ContentTypeFilter.
func (p *Problem) ContentType(string) string { return "application/problem+json" }

// GetHeaders implements huma.HeadersError.
func (p *Problem) GetHeaders() http.Header {
	h := http.Header{}
	if p.retryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(p.retryAfter))
	}
	if p.Status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", `Bearer realm="fairlead"`)
	}
	return h
}

// statuses is the one table from a fault's kind to a status.
var statuses = []struct {
	kind   fault.Kind
	status int
}{
	{fault.Invalid, http.StatusUnprocessableEntity},
	{fault.NotFound, http.StatusNotFound},
	{fault.Conflict, http.StatusConflict},
	{fault.Stale, http.StatusPreconditionFailed},
	{fault.Unauthenticated, http.StatusUnauthorized},
	{fault.Denied, http.StatusForbidden},
	{fault.Limited, http.StatusTooManyRequests},
	{fault.TooLarge, http.StatusRequestEntityTooLarge},
	{fault.Unavailable, http.StatusServiceUnavailable},
	{fault.Internal, http.StatusInternalServerError},
}

// Status gives the HTTP status of a kind.
func Status(k fault.Kind) int {
	for _, row := range statuses {
		if row.kind == k {
			return row.status
		}
	}
	return http.StatusInternalServerError
}

// Err turns any error into a Problem. What is not a fault becomes "internal
// error" with the request's id; its text goes to the log.
func Err(ctx context.Context, err error) *Problem {
	if p, ok := errors.AsType[*Problem](err); ok {
		return p
	}
	p := problemOf(err, audit.OriginFrom(ctx).RequestID)
	if fault.KindOf(err) == fault.Internal && p.Status == http.StatusInternalServerError {
		logger(ctx).ErrorContext(ctx, "internal error", "error", err, "request", p.RequestID)
	}
	return p
}

func problemOf(err error, requestID string) *Problem {
	f := fault.From(err)
	if f.Kind == fault.Internal && (errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)) {
		f = fault.New(fault.Unavailable, "timed_out", "the request took too long").WithHint("try again").WithCause(err)
	}
	p := &Problem{
		Type: "/docs/errors/" + f.Code, Status: Status(f.Kind), Code: f.Code, Detail: f.Message,
		Hint: f.Hint, Field: f.Field, RequestID: requestID, retryAfter: f.RetryAfter,
	}
	p.Title = http.StatusText(p.Status)
	for _, v := range f.Violations {
		p.Violations = append(p.Violations, ProblemViolation(v))
	}
	if f.Kind == fault.Internal {
		p.Detail, p.Hint = "internal error", "quote the request id to the platform team"
		p.Field, p.Violations = "", nil
	}
	return p
}

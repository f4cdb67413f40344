package apiclient

import (
	"encoding/json"
	"mime"
	"net/http"
	"strconv"
	"time"
)

// Error is why a request failed: the server's problem, or that it could not be
// asked (Status 0).
type Error struct {
	Status     int
	Code       string // stable; the key of /docs/errors/CODE
	Detail     string
	Hint       string
	Field      string // JSON pointer into the body, or query:, path:, header: and a name
	Violations []Violation
	RequestID  string
	RetryAfter time.Duration

	cause  error
	unsent bool // the server never got it
	lost   bool // nobody knows what became of it
	final  bool // sending it again changes nothing
}

// Violation is one thing wrong with one field.
type Violation struct {
	Field   string `json:"field"`
	Message string `json:"message"`
}

// Error implements error.
func (e *Error) Error() string { return e.Detail }

// Unwrap gives what the network said, if it was that.
func (e *Error) Unwrap() error { return e.cause }

// Is makes errors.Is compare by code.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code
}

func decode(res *http.Response) *Error {
	body := readAll(res.Body)
	ct, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type"))
	e := &Error{Status: res.StatusCode, RequestID: res.Header.Get("X-Request-Id"), RetryAfter: retryAfter(res.Header)}
	if ct == "application/problem+json" && e.fill(body) == nil && e.Code != "" {
		return e
	}
	e.Code, e.Detail = "unexpected_reply", "the server answered "+strconv.Itoa(res.StatusCode)+", and not as Fairlead does"
	e.Hint = "check that FAIRLEAD_URL is the address of Fairlead itself, and what stands in between"
	return e
}

func (e *Error) fill(problem []byte) error {
	var p struct {
		Status                               int
		Code, Detail, Hint, Field, RequestID string
		Violations                           []Violation
	}
	if err := json.Unmarshal(problem, &p); err != nil {
		return err
	}
	e.Code, e.Detail, e.Hint, e.Field, e.Violations = p.Code, p.Detail, p.Hint, p.Field, p.Violations
	if p.RequestID != "" {
		e.RequestID = p.RequestID
	}
	if e.Status == 0 {
		e.Status = p.Status
	}
	return nil
}

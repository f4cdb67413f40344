package fault

import (
	"errors"
	"fmt"
)

// Kind says what sort of thing went wrong, and so who can mend it.
type Kind int

// The kinds. Their order is the order of no table: faces map each by name.
const (
	Internal        Kind = iota // a defect or an unforeseen failure here
	Invalid                     // the request cannot be right as it stands
	NotFound                    // no such thing, or none the caller may know of
	Conflict                    // right in itself, but not with what is there now
	Stale                       // the caller's precondition (If-Match) no longer holds
	Unauthenticated             // we do not know who asks
	Denied                      // we know, and may say that they may not
	Limited                     // too much at once; try again later
	TooLarge                    // over a size limit
	Unavailable                 // something we depend on is down or full; try again
)

func (k Kind) String() string {
	switch k {
	case Invalid:
		return "invalid"
	case NotFound:
		return "not found"
	case Conflict:
		return "conflict"
	case Stale:
		return "stale"
	case Unauthenticated:
		return "unauthenticated"
	case Denied:
		return "denied"
	case Limited:
		return "limited"
	case TooLarge:
		return "too large"
	case Unavailable:
		return "unavailable"
	default:
		return "internal"
	}
}

// Violation is one thing wrong with one field.
type Violation struct {
	Field   string // JSON pointer into the input, "" for the whole
	Message string
}

// Error is an error whose Message, Hint and Violations are fit for the caller.
// The cause is for the log and is reached only through Unwrap.
type Error struct {
	Kind       Kind
	Code       string // stable, snake_case, documented; the key of its troubleshooting page
	Message    string // what went wrong, a sentence without a full stop
	Hint       string // what to do next
	Field      string // JSON pointer of the field at fault, when there is one
	Violations []Violation
	RetryAfter int // seconds; 0 when unknown
	cause      error
}

// New makes an Error of a kind with a stable code and a public message.
func New(k Kind, code, format string, args ...any) *Error {
	return &Error{Kind: k, Code: code, Message: fmt.Sprintf(format, args...)}
}

// Error gives the public message and the cause: text for a log, not a caller.
func (e *Error) Error() string {
	if e.cause != nil {
		return e.Message + ": " + e.cause.Error()
	}
	return e.Message
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.cause }

// Is makes errors.Is compare by code, so that a sentinel made with New matches
// every error of its code whatever the message.
func (e *Error) Is(target error) bool {
	var t *Error
	return errors.As(target, &t) && t.Code == e.Code
}

// WithHint sets what to do next.
func (e *Error) WithHint(format string, args ...any) *Error {
	e.Hint = fmt.Sprintf(format, args...)
	return e
}

// WithField sets the JSON pointer of the field at fault.
func (e *Error) WithField(pointer string) *Error { e.Field = pointer; return e }

// WithCause keeps the internal reason, for the log alone.
func (e *Error) WithCause(err error) *Error { e.cause = err; return e }

// WithViolations lists everything that is wrong, not just the first.
func (e *Error) WithViolations(v ...Violation) *Error {
	e.Violations = append(e.Violations, v...)
	return e
}

// WithRetryAfter says in how many seconds a retry makes sense.
func (e *Error) WithRetryAfter(seconds int) *Error { e.RetryAfter = seconds; return e }

// From finds the *Error in err's chain, or wraps err as Internal.
func From(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return New(Internal, "internal", "internal error").WithCause(err)
}

// KindOf gives the kind of err; Internal for a foreign error.
func KindOf(err error) Kind { return From(err).Kind }

// Is tells whether err is of kind k. A nil error is of no kind.
func Is(err error, k Kind) bool { return err != nil && KindOf(err) == k }

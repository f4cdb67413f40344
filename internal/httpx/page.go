package httpx

import (
	"encoding/base64"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"fairlead/internal/fault"
	"fairlead/internal/sqldb"
)

// cursor is what a page's end looks like on the wire, once unwrapped.
type cursor struct {
	After string `json:"a"`
}

// Cursor wraps the last sort key of a page; "" (the last page) stays "". It
// hides nothing and proves nothing: the key is only a place in a list that the
// caller sees through their own filter.
func Cursor(after string) string {
	if after == "" {
		return ""
	}
	b, err := json.Marshal(cursor{after})
	if err != nil {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

// ParseCursor unwraps a cursor. What Cursor did not make is Invalid with the
// code "invalid_cursor".
func ParseCursor(s string) (after string, err error) {
	if s == "" {
		return "", nil
	}
	var c cursor
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err == nil {
		if err = CheckJSON(b); err == nil {
			err = json.Unmarshal(b, &c)
		}
	}
	if err != nil || c.After == "" || Cursor(c.After) != s {
		return "", fault.New(fault.Invalid, "invalid_cursor", "the cursor is none that a list gave").
			WithHint("start again without a cursor, and pass on the next of each page unchanged").
			WithField("query:cursor").WithCause(err)
	}
	return c.After, nil
}

// Page gives what a service needs of the input.
func (in PageInput) Page() (sqldb.Page, error) {
	after, err := ParseCursor(in.Cursor)
	return sqldb.Page{Limit: in.Limit, After: after}, err
}

// NewPage makes a list's body of a service's items and its next key.
func NewPage[T any](items []T, after string) Page[T] {
	if items == nil {
		items = []T{}
	}
	return Page[T]{Items: items, Next: Cursor(after)}
}

// PageOf answers a list: each of a service's items as view shows it.
func PageOf[A, B any](items []A, after string, err error, view func(A) B) (*Body[Page[B]], error) {
	if err != nil {
		return nil, err
	}
	out := make([]B, len(items))
	for i, v := range items {
		out[i] = view(v)
	}
	return &Body[Page[B]]{Body: NewPage(out, after)}, nil
}

// Optional gives a moment that is left out of the JSON when there was none.
func Optional(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// ETag is the entity tag of a version.
func ETag(version int64) string { return `"` + strconv.FormatInt(version, 10) + `"` }

// NewTagged makes a response that carries its version.
func NewTagged[T any](version int64, body T) *Tagged[T] {
	return &Tagged[T]{ETag: ETag(version), Body: body}
}

// IfMatchInput is embedded in the input of every change.
type IfMatchInput struct {
	IfMatch string `header:"If-Match" maxLength:"64" doc:"Change only if the ETag is still this one"`
}

// Version gives the version that the caller expects; 0 is any.
func (in IfMatchInput) Version() (int64, error) { return ParseIfMatch(in.IfMatch) }

// ParseIfMatch reads an If-Match header: one strong tag made by ETag. Absent
// and "*" are 0, any version. Anything else is Invalid with the code
// "invalid_if_match": a precondition that is not understood must not be taken
// for none.
func ParseIfMatch(s string) (version int64, err error) {
	s = strings.TrimSpace(s)
	if s == "" || s == "*" {
		return 0, nil
	}
	if n := len(s); n > 2 && s[0] == '"' && s[n-1] == '"' {
		version, err = strconv.ParseInt(s[1:n-1], 10, 64)
		if err == nil && version > 0 && ETag(version) == s {
			return version, nil
		}
	}
	return 0, fault.New(fault.Invalid, "invalid_if_match", "If-Match is none of our entity tags").
		WithHint(`send back the ETag of what you read, such as "3"`).WithField("header:If-Match").WithCause(err)
}

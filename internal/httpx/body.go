package httpx

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"fairlead/internal/fault"
)

// maxDepth of JSON: more than anybody writes, little for a stack.
const maxDepth = 64

// readBody reads a mutation's body whole, within the operation's limit, and
// refuses JSON that two parsers could read differently. It leaves r.Body to be
// read again.
func (rt *route) readBody(x *exchange, r *http.Request) ([]byte, error) {
	if r.Body == nil || r.Body == http.NoBody {
		return nil, nil
	}
	if e := r.Header.Get("Content-Encoding"); e != "" && !strings.EqualFold(e, "identity") {
		return nil, fault.New(fault.Invalid, "unsupported_media_type", "a body that is encoded is not understood here").
			WithHint("send it as it is, without Content-Encoding").WithField("header:Content-Encoding")
	}
	if r.ContentLength > rt.maxBody {
		x.Header()["Connection"] = []string{"close"} // nobody reads the rest
		return nil, tooLarge(rt.maxBody)
	}
	buf := bytes.NewBuffer(make([]byte, 0, max(512, r.ContentLength+bytes.MinRead)))
	if _, err := buf.ReadFrom(http.MaxBytesReader(x, r.Body, rt.maxBody)); err != nil {
		x.Header()["Connection"] = []string{"close"}
		return nil, readFailed(err, rt.maxBody)
	}
	_ = http.NewResponseController(x).SetReadDeadline(time.Time{})
	body := buf.Bytes()
	r.Body = &whole{*bytes.NewReader(body)}
	if len(body) > 0 && isJSON(r.Header.Get("Content-Type")) {
		if err := CheckJSON(body); err != nil {
			return nil, err
		}
	}
	return body, nil
}

type whole struct{ bytes.Reader }

func (*whole) Close() error { return nil }

func tooLarge(limit int64) error {
	return fault.New(fault.TooLarge, "body_too_large", "the body is larger than the %d bytes allowed here", limit).
		WithHint("send less, or in parts")
}

func readFailed(err error, limit int64) error {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return tooLarge(limit)
	}
	if nerr, ok := errors.AsType[net.Error](err); ok && nerr.Timeout() || errors.Is(err, os.ErrDeadlineExceeded) {
		return fault.New(fault.Invalid, "body_timeout", "the body did not arrive in time").
			WithHint("send it again over a faster connection").WithCause(err)
	}
	return fault.New(fault.Invalid, "body_broken", "the body could not be read to its end").
		WithHint("send it again").WithCause(err)
}

func statusOfBody(err error) int {
	f := fault.From(err)
	switch {
	case f.Code == "body_timeout":
		return http.StatusRequestTimeout
	case f.Code == "unsupported_media_type":
		return http.StatusUnsupportedMediaType
	case f.Kind == fault.Invalid:
		return http.StatusBadRequest
	}
	return 0
}

// isJSON tells whether huma will read the body as JSON.
func isJSON(contentType string) bool {
	if contentType == "" || contentType == "application/json" {
		return true
	}
	mt, _, err := mime.ParseMediaType(contentType)
	return err == nil && (mt == "application/json" || strings.HasSuffix(mt, "+json"))
}

// CheckJSON refuses what encoding/json would let pass: duplicate keys, invalid
// UTF-8, characters that no store holds (NUL), nesting without end. The fault
// names the place as a JSON pointer.
func CheckJSON(b []byte) error {
	if !utf8.Valid(b) {
		return fault.New(fault.Invalid, "invalid_utf8", "the body is not valid UTF-8").
			WithHint("encode it as UTF-8")
	}
	if err := checkShape(b); err != nil {
		return err
	}
	d := jsontext.NewDecoder(bytes.NewReader(b))
	_, err := d.ReadValue()
	if err == nil {
		if _, err = d.ReadToken(); errors.Is(err, io.EOF) {
			return nil
		}
		return fault.New(fault.Invalid, "invalid_json", "something follows the JSON value").
			WithHint("send exactly one JSON value")
	}
	f := fault.New(fault.Invalid, "invalid_json", "the body is not valid JSON").WithCause(err)
	if serr, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		if errors.Is(err, jsontext.ErrDuplicateName) {
			f = fault.New(fault.Invalid, "duplicate_key", "a key stands twice in the same object").
				WithHint("keep one of the two").WithCause(err)
		} else {
			f.WithHint("look at byte %d", serr.ByteOffset)
		}
		f.WithField(string(serr.JSONPointer))
	}
	return f
}

// checkShape looks at depth and at \u0000 without parsing.
func checkShape(b []byte) error {
	depth, inString := 0, false
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case inString && c == '\\':
			if bytes.HasPrefix(b[i+1:], []byte("u0000")) {
				return fault.New(fault.Invalid, "invalid_text", "a text holds the character NUL").
					WithHint("leave \\u0000 out")
			}
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '{' || c == '[':
			if depth++; depth > maxDepth {
				return fault.New(fault.Invalid, "too_deep", "the body is nested more than %d deep", maxDepth).
					WithHint("send it flatter")
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return nil
}

// readJSON is json.Unmarshal, but what a handler gets as any keeps its numbers
// as they were written: a float64 has 53 bits. What huma validates (the *any)
// it wants as float64.
func readJSON(data []byte, into any) error {
	if _, ok := into.(*any); ok {
		return json.Unmarshal(data, into)
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	if err := dec.Decode(into); err != nil {
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("more than one JSON value")
	}
	return nil
}

package clikit

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"fairlead/internal/apiclient"
	"fairlead/internal/fault"
)

// maxReply bounds an answer that is read whole.
const maxReply = 64 << 20

// problem is an error as it is shown: the shape of the API's problem+json, so
// that with -o json a script reads both alike.
type problem struct {
	Status     int         `json:"status,omitempty"`
	Code       string      `json:"code"`
	Detail     string      `json:"detail"`
	Hint       string      `json:"hint,omitempty"`
	Field      string      `json:"field,omitempty"`
	Violations []violation `json:"violations,omitempty"`
	RequestID  string      `json:"requestId,omitempty"`
	Exit       int         `json:"exit,omitempty"`
}

type violation struct {
	Field   string `json:"field"`
	Message string `json:"message"`
}

// Read takes an answer's JSON body. It is made to wrap a call of the generated
// client: Read[apiclient.Team](api.GetTeam(ctx, name)).
func Read[T any](resp *http.Response, err error) (T, error) {
	out, _, err := ReadTagged[T](resp, err)
	return out, err
}

// ReadTagged is Read with the ETag of what was read, for If-Match.
func ReadTagged[T any](resp *http.Response, err error) (out T, etag string, _ error) {
	if err != nil {
		return out, "", err
	}
	defer resp.Body.Close()
	dec := json.NewDecoder(io.LimitReader(resp.Body, maxReply))
	dec.UseNumber() // inputs and outputs keep every digit
	if err := dec.Decode(&out); err != nil {
		return out, "", fault.New(fault.Internal, "unexpected_reply", "the server's answer cannot be read").
			WithHint("check that client and server are of the same version: fairlead version").WithCause(err)
	}
	return out, resp.Header.Get("ETag"), nil
}

// Done is for an answer whose body does not matter.
func Done(resp *http.Response, err error) error {
	if err != nil {
		return err
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<16))
	return resp.Body.Close()
}

// Fault gives err as a fault: what the API said by the table of statuses, and
// everything else as fault.From does.
func Fault(err error) *fault.Error {
	e, ok := errors.AsType[*apiclient.Error](err)
	if !ok {
		return fault.From(err)
	}
	f := fault.New(kindOf(e.Status), e.Code, "%s", e.Detail).WithCause(err)
	if e.Status == 0 {
		f.Kind = fault.Unavailable
	}
	f.Hint, f.Field = e.Hint, e.Field
	for _, v := range e.Violations {
		f.Violations = append(f.Violations, fault.Violation(v))
	}
	return f
}

// reason is the last part of an error's chain, which is the one for people.
func reason(err error) string {
	for {
		next := errors.Unwrap(err)
		if next == nil {
			return clean(err.Error())
		}
		err = next
	}
}

// printError says what went wrong, where, and what to do next.
func (c *CLI) printError(err error) {
	if _, quiet := errors.AsType[*PassedOn](err); quiet || err == nil {
		return
	}
	p := c.problem(err)
	if c.format == formatJSON {
		enc := json.NewEncoder(c.err)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		_ = enc.Encode(p)
		return
	}
	var b strings.Builder
	if p.Code == codeInterrupted && isTerminal(c.err) && c.getenv("TERM") != "dumb" {
		b.WriteString("\r\x1b[2K") // the terminal has written ^C there
	}
	fmt.Fprintf(&b, "%s %s\n", c.errStyle.Bold(c.errStyle.Red("error:")), clean(p.Detail))
	if p.Field != "" && len(p.Violations) == 0 {
		fmt.Fprintf(&b, "  %s %s\n", c.errStyle.Dim("where:  "), clean(p.Field))
	}
	for _, v := range p.Violations {
		if v.Field == "" {
			fmt.Fprintf(&b, "  %s %s\n", c.errStyle.Dim("why:    "), clean(v.Message))
			continue
		}
		fmt.Fprintf(&b, "  %s %s: %s\n", c.errStyle.Dim("where:  "), clean(v.Field), clean(v.Message))
	}
	if p.Hint != "" {
		fmt.Fprintf(&b, "  %s %s\n", c.errStyle.Dim("hint:   "), clean(p.Hint))
	}
	if p.RequestID != "" {
		fmt.Fprintf(&b, "  %s %s\n", c.errStyle.Dim("request:"), clean(p.RequestID))
	}
	_, _ = io.WriteString(c.err, b.String())
}

func (c *CLI) problem(err error) problem {
	f := Fault(err)
	if f.Code == "internal" && !isFault(err) {
		// What arises here is about files and arguments of the caller's own
		// machine: there is nobody to hide it from.
		f = fault.New(fault.Internal, "failed", "%s", err.Error())
	}
	p := problem{Code: f.Code, Detail: f.Message, Hint: f.Hint, Field: f.Field, Exit: ExitCode(err)}
	for _, v := range f.Violations {
		p.Violations = append(p.Violations, violation(v))
	}
	if e, ok := errors.AsType[*apiclient.Error](err); ok {
		p.RequestID, p.Status = e.RequestID, e.Status
	}
	return p
}

func isFault(err error) bool {
	_, here := errors.AsType[*fault.Error](err)
	_, there := errors.AsType[*apiclient.Error](err)
	return here || there
}

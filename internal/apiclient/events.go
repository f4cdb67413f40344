package apiclient

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"
)

// Event is one server-sent event.
type Event struct {
	ID   string
	Name string
	Data json.RawMessage
}

const (
	maxEvent = 1 << 20
	// silence is how long a stream may say nothing. The server sends a comment
	// every 15 s; without one the connection is half-dead.
	silence = 50 * time.Second
	// maxBreaks is how often in a row a stream may break without an event.
	maxBreaks = 8
)

// Events follows the stream at path ("/api/v1/runs/run_…/log") after the event
// of id last ("" from the start) and gives each event to fn, in order and
// once. When the connection breaks it goes on where it was. It returns nil
// when the server says that the stream is at its end, fn's error if it gives
// one, and an *Error when the server refuses or cannot be reached any more.
func (a *API) Events(ctx context.Context, path, last string, fn func(Event) error) error {
	for breaks := 0; ; breaks++ {
		before := last
		done, err := a.follow(ctx, path, &last, fn)
		if done || ctx.Err() != nil {
			return errors.Join(err, ctx.Err())
		}
		if last != before {
			breaks = 0
		}
		if breaks >= maxBreaks {
			return unreachable(a.doer.origin, err)
		}
		if perr := a.doer.pause(ctx, backoff(breaks, 0)); perr != nil {
			return perr
		}
	}
}

// follow reads one connection. done is true when another would not help.
func (a *API) follow(ctx context.Context, path string, last *string, fn func(Event) error) (done bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, a.base.String()+path, http.NoBody)
	if err != nil {
		return true, err
	}
	req.Header.Set("Accept", "text/event-stream, application/json")
	if *last != "" {
		req.Header.Set("Last-Event-ID", *last)
	}
	res, err := a.doer.Do(req)
	if err != nil {
		return true, err
	}
	defer res.Body.Close()
	if !strings.HasPrefix(res.Header.Get("Content-Type"), "text/event-stream") {
		return true, &Error{Status: res.StatusCode, Code: "unexpected_reply", Detail: "the server did not answer with events",
			Hint: "check that nothing between here and there changes replies"}
	}
	watch := time.AfterFunc(silence, cancel)
	defer watch.Stop()
	s := scanner{r: bufio.NewReaderSize(res.Body, 16<<10), heard: func() { watch.Reset(silence) }}
	for {
		ev, err := s.next()
		if err != nil {
			var e *Error
			return errors.As(err, &e), err
		}
		switch ev.Name {
		case "end":
			return true, nil
		case "error":
			e := &Error{}
			if e.fill(ev.Data) != nil || e.Code == "" {
				e.Code, e.Detail = "unexpected_reply", "the stream ended with an error that cannot be read"
			}
			return true, e
		}
		if err := fn(ev); err != nil {
			return true, err
		}
		if ev.ID != "" {
			*last = ev.ID
		}
	}
}

// scanner takes events off a stream.
type scanner struct {
	r     *bufio.Reader
	heard func()
}

func (s *scanner) next() (ev Event, err error) {
	var data bytes.Buffer
	some := false
	for {
		line, err := s.line()
		if err != nil {
			return Event{}, err // what is not ended by an empty line did not arrive
		}
		s.heard()
		if len(line) == 0 {
			if some {
				ev.Data = data.Bytes()
				return ev, nil
			}
			ev = Event{}
			continue
		}
		field, value, _ := strings.Cut(string(line), ":")
		value = strings.TrimPrefix(value, " ")
		switch field {
		case "id":
			ev.ID = value
		case "event":
			ev.Name = value
		case "data":
			if some {
				data.WriteByte('\n')
			}
			some = true
			data.WriteString(value)
			if data.Len() > maxEvent {
				return Event{}, &Error{Code: "unexpected_reply", Detail: "an event is too large"}
			}
		}
	}
}

func (s *scanner) line() ([]byte, error) {
	var out []byte
	for {
		part, err := s.r.ReadSlice('\n')
		out = append(out, part...)
		if len(out) > maxEvent {
			return nil, &Error{Code: "unexpected_reply", Detail: "an event is too large"}
		}
		switch {
		case err == nil:
			return bytes.TrimRight(out, "\r\n"), nil
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF):
			return nil, io.ErrUnexpectedEOF
		default:
			return nil, err
		}
	}
}

package httpx

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"fairlead/internal/fault"
)

// StreamInput is embedded in the input of every stream of events.
type StreamInput struct {
	LastEventID string `header:"Last-Event-ID" maxLength:"64" doc:"Go on after the event of this id"`
}

// After gives the number of the last event that the client has; 0 is none.
func (in StreamInput) After() (int64, error) { return ParseLastEventID(in.LastEventID) }

// ParseLastEventID reads the id of an event numbered from 1.
func ParseLastEventID(s string) (int64, error) {
	if s == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 || strconv.FormatInt(n, 10) != s {
		return 0, fault.New(fault.Invalid, "invalid_last_event_id", "Last-Event-ID is no number of an event").
			WithHint("send the id of the last event, or leave the header out to start again").WithField("header:Last-Event-ID").WithCause(err)
	}
	return n, nil
}

// Events writes server-sent events. It is safe for concurrent use.
type Events struct {
	mu  sync.Mutex
	w   http.ResponseWriter
	rc  *http.ResponseController
	buf bytes.Buffer
	err error
}

// Stream is the response of an operation that sends events for as long as run
// takes. ctx ends when the client goes away or the server shuts down; run then
// returns. Comments keep the connection open meanwhile. When run returns nil
// the client gets the event "end" and knows that nothing more will come; when
// it returns an error, the event "error" with a problem. A stream that stops
// with neither was cut: the client comes again with Last-Event-ID. What can be
// refused is refused before Stream, as problem+json.
func Stream(run func(ctx context.Context, out *Events) error) *huma.StreamResponse {
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		_, w := humago.Unwrap(hc)
		ctx, cancel := context.WithCancel(hc.Context())
		defer cancel()
		out, stop := EventStream(ctx, w, cancel)
		err := run(ctx, out)
		cut := ctx.Err() != nil
		stop()
		switch {
		case cut: // neither end nor error: the client comes again
		case err != nil:
			_ = out.Send("", "error", Err(hc.Context(), err))
		default:
			_ = out.Send("", "end", struct{}{})
		}
	}}
}

// Send writes one event: its id, "" for one that is no place to go on from;
// its name; and its data as JSON. An error means that the client is gone.
func (e *Events) Send(id, name string, data any) error {
	b, err := json.Marshal(data) // one line, whatever is in it
	if err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.err != nil {
		return e.err
	}
	e.buf.Reset()
	for _, line := range []struct{ field, value string }{{"id: ", oneLine(id)}, {"event: ", oneLine(name)}} {
		if line.value != "" {
			e.buf.WriteString(line.field + line.value + "\n")
		}
	}
	e.buf.WriteString("data: ")
	e.buf.Write(b)
	e.buf.WriteString("\n\n")
	return e.flush()
}

// SendNumbered is Send with a number for an id.
func (e *Events) SendNumbered(id int64, name string, data any) error {
	return e.Send(strconv.FormatInt(id, 10), name, data)
}

func (e *Events) comment(s string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.err != nil {
		return e.err
	}
	e.buf.Reset()
	e.buf.WriteString(": " + s + "\n\n")
	return e.flush()
}

// writeLimit is how long a client may take to accept one event. One that
// stopped reading must not hold its stream for ever.
const writeLimit = 30 * time.Second

func (e *Events) flush() error {
	_ = e.rc.SetWriteDeadline(time.Now().Add(writeLimit))
	if _, e.err = e.w.Write(e.buf.Bytes()); e.err == nil { //nolint:gosec // text/event-stream: no browser takes it for a page
		e.err = e.rc.Flush()
	}
	return e.err
}

func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\r' || r == 0 {
			return ' '
		}
		return r
	}, s)
}

// WaitInput is embedded in the input of reads that can wait for a change.
type WaitInput struct {
	Wait int `query:"wait" minimum:"0" maximum:"50" doc:"Seconds to wait for it to be done; answers with what is there when they are over"`
}

// Poll calls look until it says that it is done, for at most wait: at once, at
// each wake-up and, because wake-ups get lost, every second. It gives what look
// gave last.
func Poll[T any](ctx context.Context, wait time.Duration, wake <-chan string, look func(context.Context) (v T, done bool, err error)) (T, error) {
	over := time.NewTimer(wait)
	defer over.Stop()
	slowly := time.NewTicker(time.Second)
	defer slowly.Stop()
	for {
		v, done, err := look(ctx)
		if done || err != nil || wait <= 0 {
			return v, err
		}
		select {
		case <-wake:
		case <-slowly.C:
		case <-over.C:
			return v, nil
		case <-ctx.Done():
			return v, ctx.Err()
		}
	}
}

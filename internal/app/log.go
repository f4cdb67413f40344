package app

import (
	"context"
	"io"
	"log/slog"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/lmittmann/tint"

	"fairlead/internal/conf"
	"fairlead/internal/fault"
)

func newLog(c conf.Server, w io.Writer) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.LogLevel)); err != nil {
		return nil, fault.New(fault.Invalid, "invalid_config", "logLevel: %q is not debug, info, warn or error", c.LogLevel).
			WithHint("use --log-level info")
	}
	if c.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level})), nil
	}
	if isTerminal(w) {
		return slog.New(tint.NewTextHandler(w, &tint.Options{Level: level, TimeFormat: time.RFC3339})), nil
	}
	return slog.New(newLines(w, level)), nil
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	st, err := f.Stat()
	return err == nil && st.Mode()&os.ModeCharDevice != 0 && os.Getenv("NO_COLOR") == ""
}

// lines writes the log where no terminal reads it: what tint writes there, byte
// for byte. A line of plain values, as each request has one, is written without
// tint, which looks at every rune of each for colours that are none.
type lines struct {
	slog.Handler // tint's
	w            io.Writer
}

func newLines(w io.Writer, level slog.Level) *lines {
	w = &oneByOne{w: w}
	return &lines{tint.NewTextHandler(w, &tint.Options{Level: level, TimeFormat: time.RFC3339, NoColor: true}), w}
}

// oneByOne is written to by both, a whole line at a time.
type oneByOne struct {
	mu sync.Mutex
	w  io.Writer
}

// Write implements io.Writer.
func (o *oneByOne) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.w.Write(b)
}

var lineBuffers = sync.Pool{New: func() any { return new([]byte) }}

const maxKeptLine = 16 << 10

// Handle implements slog.Handler.
func (h *lines) Handle(ctx context.Context, r slog.Record) error {
	buf, _ := lineBuffers.Get().(*[]byte)
	b, plain := appendLine((*buf)[:0], r)
	var err error
	if plain {
		_, err = h.w.Write(b)
	} else {
		err = h.Handler.Handle(ctx, r)
	}
	if cap(b) <= maxKeptLine {
		*buf = b
		lineBuffers.Put(buf)
	}
	return err
}

// appendLine writes a record, if all that is in it is plain.
func appendLine(b []byte, r slog.Record) (_ []byte, plain bool) {
	if r.Time.IsZero() {
		return b, false
	}
	b = append(r.Time.AppendFormat(b, time.RFC3339), ' ')
	switch r.Level {
	case slog.LevelDebug:
		b = append(b, "DBG "...)
	case slog.LevelInfo:
		b = append(b, "INF "...)
	case slog.LevelWarn:
		b = append(b, "WRN "...)
	case slog.LevelError:
		b = append(b, "ERR "...)
	default:
		return b, false
	}
	b = append(b, r.Message...)
	plain = true
	r.Attrs(func(a slog.Attr) bool {
		if plain = plainText(a.Key); !plain {
			return false
		}
		b = append(append(append(b, ' '), a.Key...), '=')
		switch a.Value.Kind() { //nolint:exhaustive // what is not plain is tint's
		case slog.KindString:
			text := a.Value.String()
			b, plain = append(b, text...), plainText(text)
		case slog.KindInt64:
			b = strconv.AppendInt(b, a.Value.Int64(), 10)
		case slog.KindBool:
			b = strconv.AppendBool(b, a.Value.Bool())
		case slog.KindDuration:
			b = append(b, a.Value.Duration().String()...)
		default:
			plain = false
		}
		return plain
	})
	return append(b, '\n'), plain
}

// plainText tells whether text stands in a line as it is: no quotes, no
// escapes.
func plainText(s string) bool {
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c > '~' || c == '"' || c == '=' {
			return false
		}
	}
	return s != ""
}

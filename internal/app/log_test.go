package app

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lmittmann/tint"
	"pgregory.net/rapid"
)

// TestALineIsAsTintWritesIt: what is written without tint is what tint writes,
// byte for byte, whatever stands in it.
func TestALineIsAsTintWritesIt(t *testing.T) {
	t.Parallel()
	text := rapid.OneOf(rapid.String(), rapid.StringMatching(`[ -~]{0,20}`), rapid.StringMatching(`[a-z/_.0-9-]{1,20}`),
		rapid.SampledFrom([]string{"", " ", "a b", `\`, `"`, "=", "\x1b[31mred\x1b[0m", "\x7f", "µ", "\u00a0", "\xff", "a\nb"}))
	value := rapid.OneOf(
		rapid.Map(text, slog.StringValue), rapid.Map(rapid.Int64(), slog.Int64Value), rapid.Map(rapid.Bool(), slog.BoolValue),
		rapid.Map(rapid.Int64(), func(n int64) slog.Value { return slog.DurationValue(time.Duration(n)) }),
		rapid.Map(rapid.Float64(), slog.Float64Value), rapid.Map(text, func(s string) slog.Value { return slog.AnyValue(errors.New(s)) }),
		rapid.Map(text, func(s string) slog.Value { return slog.GroupValue(slog.String(s, s), slog.Int("n", 1)) }),
		rapid.Just(slog.AnyValue(nil)))
	rapid.Check(t, func(rt *rapid.T) {
		at := time.Unix(rapid.Int64Range(0, 1<<33).Draw(rt, "at"), rapid.Int64Range(0, 1e9-1).Draw(rt, "ns"))
		if rapid.Bool().Draw(rt, "utc") {
			at = at.UTC()
		}
		if rapid.IntRange(0, 19).Draw(rt, "timeless") == 0 {
			at = time.Time{}
		}
		r := slog.NewRecord(at, slog.Level(rapid.SampledFrom([]int{-4, -2, 0, 1, 4, 8, 12}).Draw(rt, "level")), text.Draw(rt, "message"), 0)
		for range rapid.IntRange(0, 8).Draw(rt, "attributes") {
			r.AddAttrs(slog.Attr{Key: text.Draw(rt, "key"), Value: value.Draw(rt, "value")})
		}
		var got, want bytes.Buffer
		ours, theirs := slog.Handler(newLines(&got, slog.LevelDebug)), tint.NewTextHandler(&want, &tint.Options{Level: slog.LevelDebug, TimeFormat: time.RFC3339, NoColor: true})
		switch rapid.SampledFrom([]string{"", "attributes", "group"}).Draw(rt, "with") {
		case "attributes":
			with := []slog.Attr{slog.String("a", text.Draw(rt, "a"))}
			ours, theirs = ours.WithAttrs(with), theirs.WithAttrs(with)
		case "group":
			ours, theirs = ours.WithGroup("g"), theirs.WithGroup("g")
		}
		if err := errors.Join(ours.Handle(t.Context(), r), theirs.Handle(t.Context(), r)); err != nil {
			rt.Fatal(err)
		}
		if got.String() != want.String() {
			rt.Fatalf("%q, and tint writes %q", got.String(), want.String())
		}
	})
}

// TestLinesAreWhole: lines of many goroutines, plain and not, are not mixed.
func TestLinesAreWhole(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	log := slog.New(newLines(&out, slog.LevelInfo))
	plain, odd := strings.Repeat("a", 200), strings.Repeat("b c", 70)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for range 200 {
				if i%2 == 0 {
					log.Info("line", "text", plain)
				} else {
					log.With("also", i).Info("line", "text", odd)
				}
				log.Debug("not this one")
			}
		})
	}
	all.Wait()
	n := 0
	for line := range strings.Lines(out.String()) {
		if n++; !strings.HasSuffix(line, " text="+plain+"\n") && !strings.HasSuffix(line, ` text="`+odd+"\"\n") {
			t.Fatalf("a line: %q", line)
		}
	}
	if n != 8*200 {
		t.Errorf("%d lines", n)
	}
}

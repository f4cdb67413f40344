package resource_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"fairlead/internal/resource"
	"fairlead/internal/resource/resourcetest"
)

// A log of 100 MB is read, searched and followed a piece at a time, none of
// which is large or takes long.
func TestALogOf100MBIsReadInPieces(t *testing.T) {
	each(t, func(t *testing.T, b *resourcetest.Bench) {
		stop := b.Work()
		r := b.Ready("orders", nil)
		stop()
		before, err := b.Svc.RunLines(b.Ctx, r.RunID, resource.LogAsk{Tail: true})
		if err != nil || len(before.Lines) == 0 || before.Last != before.Lines[len(before.Lines)-1].Seq {
			t.Fatalf("%+v %v", before, err)
		}
		n := 50_000
		if testing.Short() {
			n = 5000
		}
		filler := strings.Repeat("x", resource.LogLineMost-40)
		lines := make([]resource.LogLine, 0, 1000)
		for i := range n {
			text := fmt.Sprintf("line %d %s", i, filler)
			if i%10_000 == 77 {
				text = fmt.Sprintf("Needle_%d 100%% of it", i)
			}
			if lines = append(lines, resource.LogLine{At: time.Now(), Phase: "apply", Level: "info", Message: text}); len(lines) == cap(lines) {
				if err := resource.AppendLog(b.Ctx, b.Svc, r.RunID, lines); err != nil {
					t.Fatal(err)
				}
				lines = lines[:0]
			}
		}
		first, last := before.Last, before.Last+int64(n)
		var took []time.Duration
		ask := func(a resource.LogAsk) resource.LogSlice {
			t.Helper()
			began := time.Now()
			s, err := b.Svc.RunLines(b.Ctx, r.RunID, a)
			took = append(took, time.Since(began))
			if err != nil || s.Last != last || len(s.Lines) > 300 {
				t.Fatalf("%+v: %d lines of %d, %v", a, len(s.Lines), s.Last, err)
			}
			return s
		}
		if s := ask(resource.LogAsk{Tail: true}); s.Lines[0].Seq != last-299 || s.Lines[299].Seq != last {
			t.Errorf("the end is %d to %d", s.Lines[0].Seq, s.Lines[299].Seq)
		}
		if s := ask(resource.LogAsk{Before: 100, Limit: 10}); s.Lines[0].Seq != 90 || len(s.Lines) != 10 {
			t.Errorf("before 100 is %d", s.Lines[0].Seq)
		}
		if s := ask(resource.LogAsk{Before: 1}); len(s.Lines) != 0 {
			t.Errorf("there is something before the first")
		}
		for i := range 60 { // all over it
			at := first + int64(i)*int64(n)/60
			if s := ask(resource.LogAsk{After: at}); s.Lines[0].Seq != at+1 {
				t.Errorf("behind %d is %d", at, s.Lines[0].Seq)
			}
		}
		var found []string
		for at := int64(0); at < last; {
			s := ask(resource.LogAsk{Search: "needle_", After: at})
			for _, l := range s.Lines {
				found = append(found, l.Message)
			}
			if s.Reached <= at {
				t.Fatalf("a search stays at %d", at)
			}
			at = s.Reached
		}
		if want := (n + 9_922) / 10_000; len(found) != want || !strings.HasPrefix(found[0], "Needle_77 ") {
			t.Errorf("%d found, not %d", len(found), want)
		}
		for text, want := range map[string]int{"100% of": 1, "Needle%77": 0, "needle_77 ": 1} { // no pattern: text
			s := ask(resource.LogAsk{Search: text})
			if got := len(s.Lines); got < want || want == 0 && got > 0 {
				t.Errorf("%q is found %d times", text, got)
			}
		}
		slices.Sort(took)
		t.Logf("%d pieces of %d MB: p50 %v, p99 %v", len(took), n*resource.LogLineMost>>20, took[len(took)/2], took[len(took)*99/100])
		if took[len(took)*99/100] > time.Second {
			t.Errorf("a piece takes %v", took[len(took)-1])
		}
	})
}

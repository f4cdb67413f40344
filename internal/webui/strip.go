package webui

import (
	"strconv"
	"time"
)

// StripSpan is a time on a Strip.
type StripSpan struct {
	From, Until time.Time
	Tone        Tone
}

// StripRow is one line of a Strip.
type StripRow struct {
	Title, Detail string // of it, in words: what the spans say too
	Spans         []StripSpan
}

// StripView is some days, and what is when.
type StripView struct {
	Label string
	From  time.Time // midnight
	Days  int
	Rows  []StripRow
}

func (s StripView) days() []time.Time {
	out := make([]time.Time, s.Days)
	for i := range out {
		out[i] = s.From.AddDate(0, 0, i)
	}
	return out
}

// at is where a moment is, of 1000; what is outside is at the end it is beyond.
func (s StripView) at(t time.Time) float64 {
	share := float64(t.Sub(s.From)) / float64(time.Duration(s.Days)*24*time.Hour)
	return min(max(share, 0), 1) * 1000
}

func (s StripView) x(t time.Time) string { return strconv.FormatFloat(s.at(t), 'f', 1, 64) }

func (s StripView) width(span StripSpan) string {
	return strconv.FormatFloat(max(s.at(span.Until)-s.at(span.From), 2), 'f', 1, 64)
}

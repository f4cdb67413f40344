package resource

import (
	"context"
	"database/sql"
	"errors"
	"math"
	"slices"
	"strings"
	"time"

	"fairlead/internal/access"
	"fairlead/internal/fault"
	"fairlead/internal/sqldb"
)

// LogAsk says which piece of a run's log is wanted.
type LogAsk struct {
	After  int64  // lines behind this number; with Before 0 and Tail false
	Before int64  // the last lines before this number
	Tail   bool   // the last lines there are
	Search string // lines with this text in them, behind After
	Limit  int    // at most this many lines; 300 at most
}

// LogSlice is a piece of a run's log, in its order.
type LogSlice struct {
	Lines   []LogLine
	Last    int64 // the number of the newest line there is; 0 is none
	Reached int64 // of a search: up to which line it came; it goes on behind it until Last
}

// Bounds of one look at a log: none costs more, however long the log is.
const (
	maxSlice    = 300
	searchStep  = 500 // lines, of at most logMaxLine bytes
	searchSpend = 25 * time.Millisecond
)

// LogLineMost is how long a line may be; what is longer was cut when it was
// written.
const LogLineMost = logMaxLine

// RunLines gives a piece of a run's log.
func (s *Service) RunLines(ctx context.Context, runID string, ask LogAsk) (LogSlice, error) {
	if err := s.mayReadRun(ctx, runID); err != nil {
		return LogSlice{}, err
	}
	var out LogSlice
	var err error
	if out.Last, err = s.db.lastLine(ctx, runID); err != nil || out.Last == 0 {
		return out, err
	}
	if ask.Limit <= 0 || ask.Limit > maxSlice {
		ask.Limit = maxSlice
	}
	switch {
	case ask.Search != "":
		out.Lines, out.Reached, err = s.searchLog(ctx, runID, ask, out.Last)
	case ask.Tail:
		out.Lines, err = s.db.logBefore(ctx, runID, math.MaxInt64, ask.Limit)
	case ask.Before > 0:
		out.Lines, err = s.db.logBefore(ctx, runID, ask.Before, ask.Limit)
	default:
		out.Lines, err = s.db.log(ctx, runID, ask.After, ask.Limit)
	}
	return out, err
}

// mayReadRun is locateRun without the run, whose plan may be large.
func (s *Service) mayReadRun(ctx context.Context, runID string) error {
	id, err := s.db.resourceOf(ctx, runID)
	if errors.Is(err, sql.ErrNoRows) {
		_, _, err = s.locateRun(ctx, runID, access.ResourceView) // it says so as always
		return err
	}
	if err != nil {
		return err
	}
	if _, err = s.locateID(ctx, id, access.ResourceView); fault.Is(err, fault.NotFound) {
		_, _, err = s.locateRun(ctx, runID, access.ResourceView)
	}
	return err
}

// searchLog looks through some of a log at a time, and no longer than a moment.
func (s *Service) searchLog(ctx context.Context, runID string, ask LogAsk, last int64) ([]LogLine, int64, error) {
	began := time.Now()
	text := strings.ToLower(ask.Search)
	var out []LogLine
	at := ask.After
	for at < last {
		to := at + searchStep
		some, err := s.db.logWith(ctx, runID, text, at, to, ask.Limit-len(out))
		if err != nil {
			return nil, 0, err
		}
		if out = append(out, some...); len(out) >= ask.Limit {
			return out, out[len(out)-1].Seq, nil
		}
		if at = to; time.Since(began) > searchSpend {
			break
		}
	}
	return out, min(at, last), nil
}

func (s store) resourceOf(ctx context.Context, runID string) (id string, err error) {
	err = s.db.Read().QueryRowContext(ctx, `SELECT resource_id FROM runs WHERE id = $1`, runID).Scan(&id)
	return id, err
}

func (s store) lastLine(ctx context.Context, runID string) (last int64, err error) {
	err = s.db.Read().QueryRowContext(ctx, `SELECT coalesce(max(seq), 0) FROM run_log WHERE run_id = $1`, runID).Scan(&last)
	return last, err
}

func scanLine(r sqldb.Row) (v LogLine, err error) {
	var at int64
	err = r.Scan(&v.Seq, &at, &v.Phase, &v.Level, &v.Message)
	v.At = sqldb.Time(at)
	return v, err
}

// logBefore gives the last lines before a number, in their order.
func (s store) logBefore(ctx context.Context, runID string, before int64, limit int) ([]LogLine, error) {
	lines, err := sqldb.Collect(ctx, s.db.Read(), scanLine,
		`SELECT seq, at, phase, level, message FROM run_log WHERE run_id = $1 AND seq < $2 ORDER BY seq DESC LIMIT $3`, runID, before, limit)
	slices.Reverse(lines)
	return lines, err
}

// logWith gives lines of a stretch that have a text in them, in small letters.
func (s store) logWith(ctx context.Context, runID, text string, after, to int64, limit int) ([]LogLine, error) {
	return sqldb.Collect(ctx, s.db.Read(), scanLine, `SELECT seq, at, phase, level, message FROM run_log
		WHERE run_id = $1 AND seq > $2 AND seq <= $3 AND lower(message) LIKE $4 ESCAPE '\' ORDER BY seq LIMIT $5`, runID, after, to, sqldb.Contains(text), limit)
}

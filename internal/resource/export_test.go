package resource

import (
	"context"

	"fairlead/internal/sqldb"
)

// Covers is covers, for its test.
var Covers = covers

// TopicOf is topic, for tests that write as a worker does.
var TopicOf = topic

// AppendLog is how a worker writes lines of a run's log.
func AppendLog(ctx context.Context, s *Service, runID string, lines []LogLine) error {
	last, err := s.db.lastLine(ctx, runID)
	if err != nil {
		return err
	}
	for i := range lines {
		lines[i].Seq = last + 1 + int64(i)
	}
	return s.DB.Write(ctx, "run.log", func(tx *sqldb.Tx) error { return s.db.appendLog(ctx, tx, runID, lines) })
}

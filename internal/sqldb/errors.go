package sqldb

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"net"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"fairlead/internal/fault"
)

// IsUnique tells whether err is a violation of a unique or primary key.
func IsUnique(err error) bool {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return e.Code == "23505"
	}
	code := sqliteCode(err)
	return code == sqlite3.SQLITE_CONSTRAINT_UNIQUE || code == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY
}

func sqliteCode(err error) int {
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return e.Code()
	}
	return 0
}

// ErrAgain is for a closure that finds that what it was built on has changed:
// it is run again, with its group.
var ErrAgain = errors.New("sqldb: what the transaction was built on has changed")

// retryable tells whether running the whole group again is right: the
// transaction is known not to have happened.
func retryable(err error) bool {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return e.Code == "40001" || e.Code == "40P01"
	}
	return sqliteCode(err)&0xff == sqlite3.SQLITE_BUSY || errors.Is(err, ErrAgain)
}

func isFsyncFailure(err error) bool {
	switch sqliteCode(err) {
	case sqlite3.SQLITE_IOERR_FSYNC, sqlite3.SQLITE_IOERR_DIR_FSYNC:
		return true
	}
	return false
}

func isConnectionLoss(err error) bool {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		// 57P0x: the server is shutting down or starting; 08: connection.
		return len(e.Code) == 5 && (e.Code[:3] == "57P" || e.Code[:2] == "08")
	}
	var netErr net.Error
	var connErr *pgconn.ConnectError
	return errors.As(err, &connErr) || errors.As(err, &netErr) || errors.Is(err, driver.ErrBadConn) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) || pgconn.SafeToRetry(err)
}

// mayHaveHappened tells of the error of a commit whether it may be there all
// the same. A server that gives up a session, or itself, may have written it.
func mayHaveHappened(err error) bool {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok && (e.SeverityUnlocalized == "FATAL" || e.SeverityUnlocalized == "PANIC") {
		return true
	}
	return isConnectionLoss(err)
}

// translate turns what the database says into what a caller may be told. It
// keeps sql.ErrNoRows, context errors and faults as they are.
func translate(err error) error {
	if err == nil || errors.Is(err, sql.ErrNoRows) {
		return err
	}
	if _, ok := errors.AsType[*fault.Error](err); ok {
		return err
	}
	if e, ok := errors.AsType[*pgconn.PgError](err); ok && (e.Code == "53100" || e.Code == "53300" || e.Code == "53200") {
		return fault.New(fault.Unavailable, "store_full", "the store has no room left").
			WithHint("free disk space or connections on the store's server; nothing was lost").WithRetryAfter(10).WithCause(err)
	}
	if sqliteCode(err)&0xff == sqlite3.SQLITE_FULL {
		return fault.New(fault.Unavailable, "store_full", "the store's disk is full").
			WithHint("free disk space; nothing was lost, and nothing is accepted until then").WithRetryAfter(10).WithCause(err)
	}
	if code := sqliteCode(err) & 0xff; code == sqlite3.SQLITE_CORRUPT || code == sqlite3.SQLITE_NOTADB {
		return fault.New(fault.Unavailable, "store_corrupt", "the store's file is damaged").
			WithHint("stop the server and restore a backup with: fairlead restore").WithCause(err)
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	if isConnectionLoss(err) || sqliteCode(err)&0xff == sqlite3.SQLITE_IOERR || retryable(err) {
		return fault.New(fault.Unavailable, "store_unavailable", "the store does not answer").
			WithHint("try again in a moment; nothing was half-done").WithRetryAfter(2).WithCause(err)
	}
	return err
}

package postgres

import (
	"context"
	"errors"
	"net"
	"os"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"fairlead/internal/fault"
)

// reason is how one class of server error is told.
type reason struct {
	kind                fault.Kind
	code, message, hint string
}

// reasons translates SQLSTATEs, or their first two letters. %s is the server's name.
var reasons = map[string]reason{
	"28":    {fault.Unavailable, "postgres_login_refused", "PostgreSQL server %q refuses Fairlead's log-in", "check the user and password of the server's URL, and the server's pg_hba.conf"},
	"3D000": {fault.Unavailable, "postgres_database_missing", "PostgreSQL server %q lacks a database that Fairlead connects to", "check the database of the server's URL"},
	"53100": {fault.Unavailable, "postgres_full", "the disk of PostgreSQL server %q is full", "free space there; Fairlead tries again by itself"},
	"53200": {fault.Unavailable, "postgres_out_of_memory", "PostgreSQL server %q is out of memory", "give it more, or move load away; Fairlead tries again by itself"},
	"53300": {fault.Unavailable, "postgres_too_many_connections", "PostgreSQL server %q has no connection left", "raise its max_connections, or end idle sessions; Fairlead tries again by itself"},
	"53":    {fault.Unavailable, "postgres_out_of_resources", "PostgreSQL server %q is out of resources", "see the server's log; Fairlead tries again by itself"},
	"25006": {fault.Unavailable, "postgres_read_only", "PostgreSQL server %q is read-only", "it is a standby, or default_transaction_read_only is on: give Fairlead the primary's URL"},
	"42501": {fault.Unavailable, "postgres_missing_privilege", "Fairlead's account on PostgreSQL server %q lacks a privilege", "give it CREATEDB and CREATEROLE, or make it a superuser; from PostgreSQL 16 on it also needs the ADMIN OPTION on roles that another account made or granted"},
	"55006": {fault.Unavailable, "postgres_object_in_use", "the database is in use on PostgreSQL server %q and does not let go", "look for prepared transactions and replication slots on it, and sessions that Fairlead's account may not end, such as a superuser's; Fairlead tries again by itself"},
	"55P03": {fault.Unavailable, "postgres_busy", "another worker or session holds a lock on PostgreSQL server %q", "Fairlead tries again by itself"},
	"57014": {fault.Unavailable, "postgres_timeout", "PostgreSQL server %q took too long", "see what it is busy with; Fairlead tries again by itself"},
	"57P03": {fault.Unavailable, "postgres_starting", "PostgreSQL server %q is starting or stopping", "Fairlead tries again by itself"},
	"57":    {fault.Unavailable, "postgres_interrupted", "PostgreSQL server %q ended the session", "it may be restarting; Fairlead tries again by itself"},
	"08":    {fault.Unavailable, "postgres_connection_lost", "the connection to PostgreSQL server %q was lost", "Fairlead tries again by itself"},
	"58":    {fault.Unavailable, "postgres_system_error", "PostgreSQL server %q met an error of its system", "see the server's log"},
	"XX":    {fault.Unavailable, "postgres_system_error", "PostgreSQL server %q met an internal error", "see the server's log"},
}

// fault translates an error of a call to the server. ctx is the caller's: when
// that ended, the fault says so and not that the server was slow.
func (s *server) fault(ctx context.Context, op string, err error) error {
	if err == nil {
		return nil
	}
	var known *fault.Error
	if errors.As(err, &known) {
		return err
	}
	if ctx.Err() != nil {
		return fault.New(fault.Unavailable, "interrupted", "the work was cut off").WithCause(errors.Join(context.Cause(ctx), err))
	}
	tell := func(r reason) error {
		return fault.New(r.kind, r.code, r.message, s.Name).WithHint("%s", r.hint).WithCause(err)
	}
	var pe *pgconn.PgError
	if errors.As(err, &pe) {
		if pe.Code == "42704" && isConnect(err) { // it does not know a setting of our log-in
			return s.tooOld("9.5 or older").WithCause(err)
		}
		for _, key := range []string{pe.Code, pe.Code[:min(2, len(pe.Code))]} {
			if r, ok := reasons[key]; ok {
				return tell(r)
			}
		}
		return fault.New(fault.Internal, "postgres_failed", "PostgreSQL server %q refused a step (%s, SQLSTATE %s)", s.Name, strings.ReplaceAll(op, "_", " "), pe.Code).
			WithHint("the server's log says more").WithCause(err)
	}
	var netErr net.Error
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &netErr) && netErr.Timeout():
		return tell(reasons["57014"])
	case isConnect(err):
		return tell(reason{fault.Unavailable, "postgres_unreachable", "PostgreSQL server %q cannot be reached", "check that it runs, and the host and port of its URL; Fairlead tries again by itself"})
	default:
		return tell(reasons["08"])
	}
}

// tooOld tells that a server is of a version that does not do.
func (s *server) tooOld(version string) *fault.Error {
	return fault.New(fault.Unavailable, "postgres_too_old", "PostgreSQL server %q is version %s; the oldest that works is %d", s.Name, version, oldest/10000).
		WithHint("upgrade the server, or give Fairlead another one; Fairlead tries again by itself")
}

func isConnect(err error) bool {
	var ce *pgconn.ConnectError
	return errors.As(err, &ce)
}

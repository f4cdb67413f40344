package httpx

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"time"

	"fairlead/internal/sqldb"
)

// recorder is a ResponseWriter that keeps the reply. Its header may be the
// real one's.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// Header implements http.ResponseWriter.
func (w *recorder) Header() http.Header { return w.header }

// WriteHeader implements http.ResponseWriter.
func (w *recorder) WriteHeader(status int) {
	if w.status == 0 && status >= 200 {
		w.status = status
	}
}

// Write implements http.ResponseWriter.
func (w *recorder) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.body.Write(b)
}

// SetReadDeadline is asked for by huma; the body has been read.
func (w *recorder) SetReadDeadline(time.Time) error { return nil }

// reply copies what belongs to the reply itself: the rest of the header is the
// connection's.
func (w *recorder) reply() *reply {
	rep := &reply{max(w.status, http.StatusOK), http.Header{}, w.body.Bytes()}
	for _, name := range kept {
		if v := w.header[name]; len(v) > 0 {
			rep.header[name] = v
		}
	}
	return rep
}

func (rep *reply) write(x *exchange) {
	h := x.Header()
	for name, v := range rep.header {
		h[name] = v
	}
	x.WriteHeader(rep.status)
	_, _ = x.Write(rep.body)
}

// kept are the headers that belong to the reply itself. Cookies never do.
var kept = []string{"Content-Type", "Etag", "Location", "Retry-After", "Www-Authenticate"}

// remember queues a reply to be kept. It never blocks: when the queue is full
// or the server dies, the claim alone still keeps the work from being redone.
// The reply of a failure of ours is not kept, so that asking again looks at
// what is there.
func (i *idempotency) remember(f *flight, rt *route) {
	if rt.traits.sensitive || f.reply.status >= 500 || len(f.reply.body) > maxKeptReply {
		return
	}
	select {
	case i.keep <- f:
	default:
		i.srv.log.Warn("replies come faster than they can be kept; this one is not", "operation", rt.name)
	}
}

// run keeps replies, and forgets old keys once an hour.
func (i *idempotency) run(ctx context.Context) {
	if i.db == nil {
		<-ctx.Done()
		return
	}
	purge := time.NewTicker(time.Hour)
	defer purge.Stop()
	for {
		select {
		case f := <-i.keep:
			i.store(i.batch(f))
		case <-purge.C:
			if _, err := i.purge(ctx); err != nil {
				i.srv.log.Warn("old idempotency keys could not be deleted; trying again in an hour", "error", err)
			}
		case <-ctx.Done():
			for {
				select {
				case f := <-i.keep:
					i.store(i.batch(f))
				default:
					return
				}
			}
		}
	}
}

func (i *idempotency) batch(first *flight) []*flight {
	out := []*flight{first}
	for len(out) < 128 {
		select {
		case f := <-i.keep:
			out = append(out, f)
		default:
			return out
		}
	}
	return out
}

func (i *idempotency) store(flights []*flight) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	err := i.db.Write(ctx, "idempotency.reply", func(tx *sqldb.Tx) error {
		for _, f := range flights {
			b, err := json.Marshal(f.reply.header)
			if err != nil {
				return err
			}
			if _, err := tx.ExecContext(ctx, `UPDATE idempotency_keys SET status = $1, headers = $2, body = $3
				WHERE principal_id = $4 AND key = $5 AND digest = $6`,
				f.reply.status, string(b), string(f.reply.body), f.principal, f.key, f.digest); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		i.srv.log.Warn("replies could not be kept; their keys still keep the work from being redone", "count", len(flights), "error", err)
	}
}

// Purge deletes the idempotency keys that are older than a day. Run does so by
// itself.
func (s *Server) Purge(ctx context.Context) (int64, error) {
	if s.idem.db == nil {
		return 0, nil
	}
	return s.idem.purge(ctx)
}

// purge deletes keys that are older than a day.
func (i *idempotency) purge(ctx context.Context) (n int64, err error) {
	err = i.db.Write(ctx, "idempotency.purge", func(tx *sqldb.Tx) error {
		res, err := tx.ExecContext(ctx, `DELETE FROM idempotency_keys WHERE created_at < $1`, tx.Now().Add(-keepKeys).UnixMicro())
		if err != nil {
			return err
		}
		n, err = res.RowsAffected()
		return err
	})
	return n, err
}

package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"fairlead/internal/notify/notifytest"
)

// loopback is the configuration of a server that may tell receivers here.
const loopback = "egress:\n  allow: [127.0.0.1/32]\n"

// receiver is somebody's program that is told: it may be down, and keeps what
// it gets.
type receiver struct {
	*httptest.Server
	down atomic.Bool // answers 503

	mu       sync.Mutex
	got      []delivered
	turned   int // how many were refused while it was down
	repeated int
}

// delivered is one delivery as it came.
type delivered struct {
	id     string
	at     time.Time
	header http.Header
	body   []byte
}

func newReceiver(t testing.TB) *receiver {
	r := &receiver{}
	r.Server = httptest.NewServer(r)
	t.Cleanup(func() {
		r.CloseClientConnections()
		r.Close()
	})
	return r
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(io.LimitReader(req.Body, 1<<20))
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil || r.down.Load() {
		r.turned++
		http.Error(w, "down", http.StatusServiceUnavailable)
		return
	}
	d := delivered{req.Header.Get("webhook-id"), time.Now(), req.Header, body}
	if slices.ContainsFunc(r.got, func(o delivered) bool { return o.id == d.id }) {
		r.repeated++
	}
	r.got = append(r.got, d)
	w.WriteHeader(http.StatusNoContent)
}

func (r *receiver) all() []delivered {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.got)
}

// ids are those of the events that it was told.
func (r *receiver) ids() map[string]bool {
	out := map[string]bool{}
	for _, d := range r.all() {
		out[d.id] = true
	}
	return out
}

// genuine says what is wrong with what was received: each one is signed by a
// secret that was given out, and is the event that its id says.
func (r *receiver) genuine(secrets []string) error {
	for _, d := range r.all() {
		signed := false
		for _, secret := range secrets {
			req := &http.Request{Header: d.header, Body: io.NopCloser(bytes.NewReader(d.body))}
			if id, _, err := notifytest.Verify(req, secret, d.at); err == nil && id == d.id {
				signed = true
			}
		}
		var e struct{ ID, SpecVersion, Type string }
		if err := json.Unmarshal(d.body, &e); err != nil || e.ID != d.id || e.SpecVersion != "1.0" || e.Type == "" {
			return fmt.Errorf("%s is no CloudEvent of its id: %w: %s", d.id, err, d.body)
		}
		if !signed {
			return fmt.Errorf("%s is not signed by a secret that was given out", d.id)
		}
	}
	return nil
}

package notify

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"time"

	"fairlead/internal/access"
	"fairlead/internal/audit"
	"fairlead/internal/egress"
	"fairlead/internal/failpoint"
	"fairlead/internal/fault"
	"fairlead/internal/principal"
	"fairlead/internal/sqldb"
)

// maxAnswer is how much of a receiver's answer is read and kept, in bytes.
const maxAnswer = 1 << 10

// Run sends what is due until ctx ends, and waits for what is under way.
func (s *Service) Run(ctx context.Context) error {
	woken, stop := s.DB.Subscribe(wake)
	defer stop()
	ctx = principal.With(ctx, principal.System)
	var all sync.WaitGroup
	defer all.Wait()
	for {
		n, err := s.start(ctx, &all)
		if err != nil && ctx.Err() == nil {
			s.Log.Warn("deliveries could not be claimed; it is tried again", "error", err)
		}
		if n > 0 {
			continue
		}
		timer := time.NewTimer(s.Poll)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-woken:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// start claims as much as can be sent now and sends it in the background.
func (s *Service) start(ctx context.Context, all *sync.WaitGroup) (int, error) {
	free := cap(s.slots) - len(s.slots)
	if free == 0 || ctx.Err() != nil {
		return 0, ctx.Err()
	}
	if due, err := s.due(ctx); err != nil || !due {
		return 0, err
	}
	claimed, at, err := s.claim(ctx, free)
	for _, d := range claimed {
		s.slots <- struct{}{}
		all.Go(func() {
			defer func() { <-s.slots }()
			s.attempt(ctx, d, at)
		})
	}
	return len(claimed), err
}

// Step sends what is due now and waits for it: what Run does once, for tests.
func (s *Service) Step(ctx context.Context) error {
	ctx = principal.With(ctx, principal.System)
	var all sync.WaitGroup
	for {
		n, err := s.start(ctx, &all)
		all.Wait()
		if err != nil || n == 0 {
			return err
		}
	}
}

// attempt sends one delivery and writes how it went. When the server stops in
// between, the attempt is given up: its lease runs out and it is made again.
func (s *Service) attempt(ctx context.Context, d Delivery, at time.Time) {
	ctx, cancel := context.WithTimeout(ctx, s.Lease*3/4)
	defer cancel()
	var o outcome
	if d.Target == Mail {
		o = s.mail(ctx, d)
	} else {
		o = s.call(ctx, d, at)
	}
	settle, stop := context.WithTimeout(context.WithoutCancel(ctx), s.Lease/4)
	defer stop()
	if err := s.settle(settle, d, o, rand.Float64()); err != nil {
		s.Log.Warn("the outcome of a delivery could not be written; it is sent again", "delivery", d.ID, "error", err)
	}
}

// again is an attempt that failed and is made again.
func again(err error) outcome {
	f := fault.From(err)
	return outcome{status: Pending, err: f.Message}
}

// call sends a delivery to its webhook.
func (s *Service) call(ctx context.Context, d Delivery, at time.Time) outcome {
	w, err := s.store.webhook(ctx, s.DB.Read(), d.Target, false)
	if err != nil {
		if !missing(err) {
			s.Log.Warn("a webhook could not be read", "webhook", d.Target, "error", err)
		}
		return outcome{status: Pending, err: "the webhook could not be read", ours: true}
	}
	if !w.Enabled {
		return outcome{status: Pending, err: "the webhook is disabled", ours: true}
	}
	u, err := s.Egress.CheckURL(w.URL)
	if err != nil {
		return again(err)
	}
	body := []byte(d.Payload)
	signed, err := s.signatures(ctx, w, u, d.EventID, at, body)
	if err != nil {
		s.Log.Warn("a webhook's delivery could not be signed", "webhook", w.ID, "error", err)
		f := fault.From(err)
		return outcome{status: Pending, err: f.Message, ours: true}
	}
	failpoint.Hit("notify.send.before")
	res, err := s.Egress.Do(ctx, egress.Request{Method: http.MethodPost, URL: w.URL, Body: body, Most: maxAnswer, Header: http.Header{
		"Content-Type": {"application/cloudevents+json; charset=utf-8"}, "User-Agent": {"Fairlead-Webhook/1"},
		"Webhook-Id": {d.EventID}, "Webhook-Timestamp": {strconv.FormatInt(at.Unix(), 10)}, "Webhook-Signature": {signed},
	}})
	failpoint.Hit("notify.send.after")
	if err != nil {
		s.Log.Debug("a webhook could not be called", "webhook", w.ID, "delivery", d.ID, "error", err)
		return again(err)
	}
	return answered(res)
}

func answered(res egress.Response) outcome {
	o := outcome{status: Pending, code: res.Status, body: clean(string(res.Body), maxAnswer), err: fmt.Sprintf("the receiver answered %d", res.Status)}
	switch {
	case res.Status >= 200 && res.Status < 300:
		o.status, o.err = Delivered, ""
	case res.Status == http.StatusGone:
		o.status, o.gone = Failed, true
	case res.Status >= 300 && res.Status < 400:
		o.err += ", a redirect, which is not followed"
	}
	if n, err := strconv.Atoi(res.Header.Get("Retry-After")); err == nil && n > 0 && (res.Status == http.StatusTooManyRequests || res.Status == http.StatusServiceUnavailable) {
		o.wait = min(time.Duration(n)*time.Second, longestWait)
	}
	return o
}

// disable is what nobody in person asks for.
func (s *Service) disable(ctx context.Context, tx *sqldb.Tx, id, why string) error {
	w, err := s.store.webhook(ctx, tx, id, true)
	if missing(err) {
		return nil
	}
	if err != nil || !w.Enabled {
		return err
	}
	w.Enabled, w.DisabledWhy = false, why
	if err := s.store.update(ctx, tx, w, false); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `UPDATE deliveries SET status = 'failed', last_error = $2, updated_at = $3 WHERE target = $1 AND status = 'pending'`,
		id, "the webhook was disabled: "+why, tx.Now().UnixMicro()); err != nil {
		return err
	}
	audit.Append(ctx, tx, audit.Entry{Action: "webhook:disable", Target: w.Target(), Decision: access.Decision{Allowed: true}, Details: map[string]any{"why": why}})
	return nil
}

package app

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"fairlead/internal/drift"
	"fairlead/internal/queue"
	"fairlead/internal/resource"
)

// registerMetrics adds what only the whole server knows to /metrics.
func (a *App) registerMetrics(reg *prometheus.Registry) {
	reg.MustRegister(&storeMetrics{a})
}

// storeMetrics reads the queue and the store at each scrape.
type storeMetrics struct{ a *App }

var (
	queueDue      = prometheus.NewDesc("fairlead_queue_due", "Resources that wait for a worker.", []string{"lane"}, nil)
	queueHeld     = prometheus.NewDesc("fairlead_queue_held", "Resources that a worker has.", []string{"lane"}, nil)
	queueOldest   = prometheus.NewDesc("fairlead_queue_oldest_seconds", "How long the oldest due resource has waited.", []string{"lane"}, nil)
	storeCommits  = prometheus.NewDesc("fairlead_store_commits_total", "Durable commits.", nil, nil)
	storeWrites   = prometheus.NewDesc("fairlead_store_writes_total", "Writes; several share a commit.", nil, nil)
	storeRetries  = prometheus.NewDesc("fairlead_store_retries_total", "Commits tried again after a deadlock.", nil, nil)
	suspects      = prometheus.NewDesc("fairlead_suspects", "External objects that no record explains; a person should look at them.", nil, nil)
	observeDue    = prometheus.NewDesc("fairlead_observe_due", "Resources whose turn it is to be looked at.", []string{"engine"}, nil)
	observeBehind = prometheus.NewDesc("fairlead_observe_behind_seconds", "How long the first of them has waited.", []string{"engine"}, nil)
	driftOpen     = prometheus.NewDesc("fairlead_drift_open", "What is not as wanted and not over.", []string{"cause", "answer"}, nil)
	driftHeld     = prometheus.NewDesc("fairlead_drift_brakes_held", "Scopes whose repairs the mass-drift brake holds.", nil, nil)
	failedLogins  = prometheus.NewDesc("fairlead_sign_ins_failed_total", "Attempts to sign in that proved nothing.", nil, nil)
	decisions     = prometheus.NewDesc("fairlead_access_decisions_total", "Access decisions.", []string{"outcome"}, nil)
)

// Describe implements prometheus.Collector.
func (m *storeMetrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{queueDue, queueHeld, queueOldest, storeCommits, storeWrites, storeRetries, suspects, observeDue, observeBehind, driftOpen, driftHeld, failedLogins, decisions} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (m *storeMetrics) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	depths, err := queue.Depths(ctx, m.a.db)
	if err != nil {
		ch <- prometheus.NewInvalidMetric(queueDue, err)
	}
	for _, d := range depths {
		ch <- prometheus.MustNewConstMetric(queueDue, prometheus.GaugeValue, float64(d.Due), d.Lane)
		ch <- prometheus.MustNewConstMetric(queueHeld, prometheus.GaugeValue, float64(d.Held), d.Lane)
		ch <- prometheus.MustNewConstMetric(queueOldest, prometheus.GaugeValue, d.Oldest.Seconds(), d.Lane)
	}
	if n, err := resource.CountSuspects(ctx, m.a.db); err != nil {
		ch <- prometheus.NewInvalidMetric(suspects, err)
	} else {
		ch <- prometheus.MustNewConstMetric(suspects, prometheus.GaugeValue, float64(n))
	}
	m.drift(ctx, ch)
	groups, writes, retried := m.a.db.Stats()
	ch <- prometheus.MustNewConstMetric(storeCommits, prometheus.CounterValue, float64(groups))
	ch <- prometheus.MustNewConstMetric(storeWrites, prometheus.CounterValue, float64(writes))
	ch <- prometheus.MustNewConstMetric(storeRetries, prometheus.CounterValue, float64(retried))
	ch <- prometheus.MustNewConstMetric(failedLogins, prometheus.CounterValue, float64(m.a.identity.FailedSignIns()))
	allowed, denied, failed := m.a.access.Stats()
	for outcome, n := range map[string]int64{"allowed": allowed, "denied": denied, "error": failed} {
		ch <- prometheus.MustNewConstMetric(decisions, prometheus.CounterValue, float64(n), outcome)
	}
}

// drift tells how far observing is behind, for every engine, and what is open.
func (m *storeMetrics) drift(ctx context.Context, ch chan<- prometheus.Metric) {
	late, err := resource.Backlogs(ctx, m.a.db)
	if err != nil {
		ch <- prometheus.NewInvalidMetric(observeDue, err)
	}
	known := map[string]resource.Backlog{}
	for name := range m.a.engines {
		known[name] = resource.Backlog{}
	}
	for _, b := range late {
		known[b.Engine] = b
	}
	for name, b := range known {
		ch <- prometheus.MustNewConstMetric(observeDue, prometheus.GaugeValue, float64(b.Due), name)
		ch <- prometheus.MustNewConstMetric(observeBehind, prometheus.GaugeValue, b.Behind.Seconds(), name)
	}
	c, err := drift.Count(ctx, m.a.db)
	if err != nil {
		ch <- prometheus.NewInvalidMetric(driftOpen, err)
		return
	}
	for key, n := range c.Open {
		ch <- prometheus.MustNewConstMetric(driftOpen, prometheus.GaugeValue, float64(n), key[0], key[1])
	}
	ch <- prometheus.MustNewConstMetric(driftHeld, prometheus.GaugeValue, float64(c.Held))
}

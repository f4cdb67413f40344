package iac

import (
	"bytes"
	"testing"
	"time"

	"fairlead/internal/engine"
	"fairlead/internal/redact"
)

// With gives the same engine with another OnCall; it shares all but what is in
// memory about modules and plans.
func (e *Engine) With(onCall func(string)) *Engine {
	o := e.o
	o.OnCall = onCall
	e.mu.Lock()
	defer e.mu.Unlock()
	return &Engine{
		o: o, dir: e.dir, program: e.program, timeout: e.timeout, egress: e.egress, allow: e.allow, server: e.server, planKey: e.planKey, seats: e.seats, background: e.background, every: e.every, keepFor: e.keepFor, tidied: time.Now(),
		level: e.level, kind: e.kind, version: e.version, modules: map[string]*module{}, trials: map[string]*trial{}, kept: map[string]keptPlan{},
	}
}

// OnCollect has f told of each point of a collection.
func (e *Engine) OnCollect(f func(point string)) { e.onCollect = f }

// Collect removes the modules that nothing was done with for keep.
func (e *Engine) Collect(keep time.Duration) { e.collect(keep) }

// Drifts gives what the JSON of a plan says somebody else did. healing is that
// of the plan that would put it right; nil when there is none.
func Drifts(t *testing.T, plan, healing []byte, stateful func(string) bool) []engine.Drift {
	t.Helper()
	e := &Engine{planKey: redact.New("a key for tests")}
	seen, err := e.read(bytes.NewReader(plan))
	if err != nil {
		t.Fatal(err)
	}
	d := &differ{e: e, stateful: stateful}
	if healing != nil {
		heals, err := e.read(bytes.NewReader(healing))
		if err != nil {
			t.Fatal(err)
		}
		d.healing = &heals
	}
	return d.drifts(seen.moved)
}

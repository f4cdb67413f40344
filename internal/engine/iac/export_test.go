package iac

// With gives the same engine with another OnCall; it shares all but what is in
// memory about modules and plans.
func (e *Engine) With(onCall func(string)) *Engine {
	o := e.o
	o.OnCall = onCall
	e.mu.Lock()
	defer e.mu.Unlock()
	return &Engine{
		o: o, dir: e.dir, program: e.program, timeout: e.timeout, egress: e.egress, server: e.server, planKey: e.planKey, seats: e.seats,
		level: e.level, kind: e.kind, version: e.version, modules: map[string]*module{}, kept: map[string]keptPlan{},
	}
}

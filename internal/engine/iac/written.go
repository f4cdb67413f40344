package iac

import (
	"sync"

	"fairlead/internal/engine"
	"fairlead/internal/engine/iac/iacstate"
)

// contents is what a state says of a resource.
type contents struct {
	outputs map[string]engine.Output
	objects []engine.Object
	err     error
}

func readState(body []byte, ref engine.Ref) (c contents) {
	s, err := parseState(body)
	if err != nil {
		return contents{err: err}
	}
	c.outputs, c.err = s.outputs()
	c.objects, _ = s.objects(ref)
	return c
}

// written is the state that a session wrote last. It is read while the program
// that sent it comes to its end.
type written struct {
	ref engine.Ref

	mu   sync.Mutex
	meta iacstate.Meta
	read chan contents // nil when it is not read ahead
}

// take is told of each state that is written.
func (w *written) take(body []byte, m iacstate.Meta) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.meta, w.read = m, nil
	if len(body) <= maxAhead { // a larger one may not be the last
		read := make(chan contents, 1)
		w.read = read
		go func() { read <- readState(body, w.ref) }()
	}
}

// says gives what the state of m says, once, if that is what was written.
func (w *written) says(m iacstate.Meta) (contents, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.read == nil || w.meta.Version != m.Version || w.meta.Digest != m.Digest {
		return contents{}, false
	}
	c := <-w.read
	w.read = nil
	return c, true
}

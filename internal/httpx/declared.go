package httpx

import (
	"encoding/json"
	"reflect"
	"sync"

	"github.com/danielgtaylor/huma/v2"
)

// declared is the API that faces register their operations on. Huma reads an
// operation's types, makes their schemas and its document when the operation
// is asked for the first time, or when the document is: a start that made all
// of them would take a quarter longer, for schemas that few servers ever use
// all of.
type declared struct {
	huma.API
	srv *Server
}

// OpenAPI gives the document of all operations, those too that nobody has
// asked for yet. Nothing changes it afterwards.
func (d *declared) OpenAPI() *huma.OpenAPI {
	for _, rt := range d.srv.routes {
		rt.described()
	}
	return d.API.OpenAPI()
}

// declare mounts an operation; read gives it to huma, later.
func (s *Server) declare(op huma.Operation, read func(huma.API, huma.Operation)) {
	rt := newRoute(s, op)
	rt.read = sync.OnceFunc(func() {
		s.reading.Lock()
		defer s.reading.Unlock()
		s.reads = rt
		read(s.api.API, rt.op)
		if rt.traits.amend != nil {
			rt.traits.amend(rt.full, s.api.API.OpenAPI().Components.Schemas)
		}
	})
	s.routes = append(s.routes, rt)
	s.mux.Handle(rt.op.Method+" "+rt.op.Path, rt)
}

// described gives the operation as huma has completed it: with its schemas,
// and with the status of its answer.
func (rt *route) described() *huma.Operation {
	rt.read()
	return rt.full
}

// schemas is huma's registry, for one operation that adds to it while others
// check their input with what is there.
type schemas struct {
	mu sync.RWMutex
	huma.Registry
}

func (s *schemas) Schema(t reflect.Type, allowRef bool, hint string) *huma.Schema {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.Registry.Schema(t, allowRef, hint)
}

func (s *schemas) SchemaFromRef(ref string) *huma.Schema {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.Registry.SchemaFromRef(ref)
}

func (s *schemas) TypeFromRef(ref string) reflect.Type {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.Registry.TypeFromRef(ref)
}

// MarshalJSON is for the document, when all operations are in it.
func (s *schemas) MarshalJSON() ([]byte, error) { return json.Marshal(s.Map()) }

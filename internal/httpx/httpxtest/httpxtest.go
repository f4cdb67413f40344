package httpxtest

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"fairlead/internal/httpx"
)

// Request is an example of a request to one operation: its path filled in,
// its required query and headers set, its body valid by the schema.
type Request struct {
	httpx.Route
	Target      string // path and query
	Header      http.Header
	Body        []byte
	ContentType string
}

// EveryRoute gives an example request for every operation that is registered,
// hidden ones too, in a stable order. Path parameters are taken from params by
// name; others become "example".
func EveryRoute(api huma.API, params map[string]string) []Request {
	var out []Request
	for _, rt := range httpx.Routes(api) {
		req := Request{Route: rt, Target: fill(rt.Path, params), Header: http.Header{}}
		if op := operation(api.OpenAPI(), rt); op != nil {
			describe(api, op, &req)
		}
		out = append(out, req)
	}
	return out
}

func fill(path string, params map[string]string) string {
	var out strings.Builder
	for {
		before, rest, ok := strings.Cut(path, "{")
		out.WriteString(before)
		if !ok {
			return out.String()
		}
		name, after, _ := strings.Cut(rest, "}")
		value, ok := params[strings.TrimSuffix(name, "...")]
		if !ok {
			value = "example"
		}
		out.WriteString(value)
		path = after
	}
}

func operation(doc *huma.OpenAPI, rt httpx.Route) *huma.Operation {
	item := doc.Paths[rt.Path]
	if item == nil {
		return nil
	}
	return map[string]*huma.Operation{
		http.MethodGet: item.Get, http.MethodPost: item.Post, http.MethodPut: item.Put, http.MethodPatch: item.Patch,
		http.MethodDelete: item.Delete, http.MethodHead: item.Head,
	}[rt.Method]
}

func describe(api huma.API, op *huma.Operation, req *Request) {
	reg := api.OpenAPI().Components.Schemas
	var query []string
	for _, p := range op.Parameters {
		if !p.Required {
			continue
		}
		value := strings.Trim(string(mustJSON(example(reg, p.Schema, 0))), `"`)
		switch p.In {
		case "query":
			query = append(query, p.Name+"="+value)
		case "header":
			req.Header.Set(p.Name, value)
		}
	}
	if len(query) > 0 {
		req.Target += "?" + strings.Join(query, "&")
	}
	if op.RequestBody == nil {
		return
	}
	for _, ct := range slices.Sorted(maps.Keys(op.RequestBody.Content)) {
		req.ContentType = ct
		if s := op.RequestBody.Content[ct].Schema; strings.Contains(ct, "json") && s != nil {
			req.Body = mustJSON(example(reg, s, 0))
			return
		}
		req.Body = []byte("example")
	}
}

func mustJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

// example makes the smallest value that a schema allows.
func example(reg huma.Registry, s *huma.Schema, depth int) any {
	if s == nil || depth > 8 {
		return nil
	}
	if s.Ref != "" {
		return example(reg, reg.SchemaFromRef(s.Ref), depth+1)
	}
	switch {
	case len(s.Examples) > 0:
		return s.Examples[0]
	case s.Default != nil:
		return s.Default
	case len(s.Enum) > 0:
		return s.Enum[0]
	}
	switch s.Type {
	case "object":
		out := map[string]any{}
		for _, name := range s.Required {
			out[name] = example(reg, s.Properties[name], depth+1)
		}
		return out
	case "array":
		out := []any{}
		if s.MinItems != nil {
			for range *s.MinItems {
				out = append(out, example(reg, s.Items, depth+1))
			}
		}
		return out
	case "integer", "number":
		if s.Minimum != nil {
			return *s.Minimum
		}
		return 1
	case "boolean":
		return false
	case "string":
		return exampleString(s)
	}
	return nil
}

func exampleString(s *huma.Schema) string {
	out := "example"
	switch s.Format {
	case "date-time":
		return "2026-01-02T03:04:05Z"
	case "date":
		return "2026-01-02"
	case "email":
		return "someone@example.com"
	case "uri":
		return "https://example.com/"
	}
	if s.MinLength != nil {
		for len(out) < *s.MinLength {
			out += "e"
		}
	}
	if s.MaxLength != nil && len(out) > *s.MaxLength {
		out = out[:*s.MaxLength]
	}
	return out
}

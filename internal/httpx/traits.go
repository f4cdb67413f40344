package httpx

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
)

// traits is what the gate must know of an operation besides what huma knows.
type traits struct {
	sensitive bool
	stream    bool
	again     bool
	location  string
	recovered FindLost
	maxBody   int64
	timeout   time.Duration
	amend     func(*huma.Operation, huma.Registry)
}

const traitsKey = "fairlead.traits"

func with(op huma.Operation, set func(*traits)) huma.Operation {
	m := maps.Clone(op.Metadata)
	if m == nil {
		m = map[string]any{}
	}
	t, _ := m[traitsKey].(traits)
	set(&t)
	m[traitsKey] = t
	op.Metadata = m
	return op
}

// Sensitive marks an operation whose reply holds a secret. The reply is never
// kept for its Idempotency-Key: sending the key again does nothing and gives
// 409 "idempotency_replay_unavailable".
func Sensitive(op huma.Operation) huma.Operation {
	return with(op, func(t *traits) { t.sensitive = true })
}

// Located says where what a create makes can be seen, such as
// "/api/v1/teams/{name}": a parameter is one of the operation's own path or a
// top-level string of its body. It sets the Location of a 201 that has none; and when a
// server died between doing the request and keeping its reply, the same
// Idempotency-Key is answered with what is there, whatever the status.
func Located(op huma.Operation, template string) huma.Operation {
	return with(op, func(t *traits) { t.location = template })
}

// Recovered says how to find what an operation did when its reply was lost,
// where a Located template cannot: it changes what is there, or shows more
// than one thing.
func Recovered(op huma.Operation, find FindLost) huma.Operation {
	return with(op, func(t *traits) { t.recovered = find })
}

// Repeatable marks an operation that is idempotent by its own nature: sent
// again it finds what it did before and answers as then. It needs no claim of
// the Idempotency-Key, and so no reply of it can be lost.
func Repeatable(op huma.Operation) huma.Operation {
	return with(op, func(t *traits) { t.again = true })
}

// Within sets the time limit of an operation that takes longer than others.
func Within(op huma.Operation, d time.Duration) huma.Operation {
	return with(op, func(t *traits) { t.timeout = d })
}

// Amended has f change what huma made of an operation's types, before the
// operation is asked for the first time.
func Amended(op huma.Operation, f func(op *huma.Operation, schemas huma.Registry)) huma.Operation {
	return with(op, func(t *traits) { t.amend = f })
}

// describe adds to the document what the gate does for every operation.
func describe(op *huma.Operation) {
	t, _ := op.Metadata[traitsKey].(traits)
	if op.Method != http.MethodGet && len(op.Security) > 0 {
		limit := maxKey
		op.Parameters = append(op.Parameters, &huma.Param{
			Name: "Idempotency-Key", In: "header",
			Description: "Sending the same request again with the same key does it once and gives the same reply, for 24 hours",
			Schema:      &huma.Schema{Type: "string", MaxLength: &limit},
		})
	}
	if t.stream && op.Responses == nil {
		op.Responses = map[string]*huma.Response{"200": {
			Description: "Server-sent events; go on after a break with the header Last-Event-ID",
			Content:     map[string]*huma.MediaType{"text/event-stream": {Schema: &huma.Schema{Type: "string"}}},
		}}
	}
}

// expand fills a Located template. What cannot be filled gives "": no Location
// is better than a wrong one.
func expand(template string, r *http.Request, body []byte) string {
	var fields map[string]json.RawMessage
	var out strings.Builder
	for {
		before, rest, ok := strings.Cut(template, "{")
		out.WriteString(before)
		if !ok {
			return out.String()
		}
		name, after, _ := strings.Cut(rest, "}")
		value := r.PathValue(name)
		if value == "" {
			if fields == nil && json.Unmarshal(body, &fields) != nil {
				return ""
			}
			if json.Unmarshal(fields[name], &value) != nil || value == "" {
				return ""
			}
		}
		out.WriteString(url.PathEscape(value))
		template = after
	}
}

package guardrail

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"sync"
)

//go:embed schema.json
var schema []byte

// Schema is the JSON Schema of what guardrails are given as input (Facts).
func Schema() []byte { return append([]byte{}, schema...) }

// schemaDocument is the schema as the compiler takes it.
var schemaDocument = sync.OnceValue(func() any {
	var doc any
	if err := json.Unmarshal(schema, &doc); err != nil {
		panic(fmt.Sprintf("guardrail: schema.json: %v", err)) // it is embedded, and tested
	}
	return doc
})

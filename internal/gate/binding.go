package gate

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Binding is what an approval is bound to: the digest of each part. An
// approval holds for exactly this, and for nothing else.
type Binding map[string]string

// The parts of a binding.
const (
	PartPlace      = "environment" // with its class and team
	PartTemplate   = "template version"
	PartInputs     = "inputs"
	PartReferences = "references"
	PartPlan       = "plan"
	PartCost       = "cost"
	PartPolicy     = "guardrails"
)

// Bind gives the digest of a part. Map keys are sorted by encoding/json, so
// equal values give equal digests.
func Bind(v any) (string, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return "", fmt.Errorf("bind: %w", err)
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:]), nil
}

// Digest is the one digest of all parts.
func (b Binding) Digest() string {
	h := sha256.New()
	for _, k := range slices.Sorted(maps.Keys(b)) {
		fmt.Fprintf(h, "%d:%s=%d:%s;", len(k), k, len(b[k]), b[k])
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Changed names the parts in which other differs, for people.
func (b Binding) Changed(other Binding) []string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(b)) {
		if b[k] != other[k] {
			out = append(out, k)
		}
	}
	for _, k := range slices.Sorted(maps.Keys(other)) {
		if _, both := b[k]; !both {
			out = append(out, k)
		}
	}
	return out
}

// Sentence says what changed.
func Sentence(parts []string) string {
	if len(parts) == 0 {
		return "nothing changed"
	}
	return "changed since: " + strings.Join(parts, ", ")
}

package resource

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"fairlead/internal/redact"
	"fairlead/internal/sqldb"
)

// sealedPrefix marks, in a stored revision, an input whose value is in the
// secret store: no secret is ever in a record or a dump of it.
const sealedPrefix = "sealed:"

// sealInputs moves the values of secret inputs into the secret store, in the
// same transaction, and gives the inputs as they are recorded. References stay:
// they are no secrets themselves.
func (s *Service) sealInputs(ctx context.Context, tx *sqldb.Tx, resourceID string, revision int64, inputs map[string]any, info TemplateInfo, refs []Reference) (map[string]any, error) {
	isRef := map[string]bool{}
	for _, r := range refs {
		isRef[r.Input] = true
	}
	return rewrite(inputs, info.Sensitive(inputs), func(pointer string, v any) (any, error) {
		if isRef[pointer] {
			return v, nil
		}
		plain, err := json.Marshal(v)
		if err != nil {
			return nil, fmt.Errorf("seal input %s: %w", pointer, err)
		}
		name := "input/" + strconv.FormatInt(revision, 10) + pointer
		if err := s.Secrets.Put(ctx, tx, resourceID, name, redact.New(string(plain))); err != nil {
			return nil, err
		}
		return sealedPrefix + name, nil
	})
}

// unsealInputs is the way back, for a run.
func (s *Service) unsealInputs(ctx context.Context, resourceID string, inputs map[string]any, info TemplateInfo) (map[string]any, error) {
	return rewrite(inputs, info.Sensitive(inputs), func(_ string, v any) (any, error) {
		name, ok := strings.CutPrefix(fmt.Sprint(v), sealedPrefix)
		if !ok {
			return v, nil
		}
		secret, err := s.Secrets.Get(ctx, resourceID, name)
		if err != nil {
			return nil, err
		}
		var plain any
		if err := json.Unmarshal([]byte(secret.Reveal()), &plain); err != nil {
			return nil, fmt.Errorf("unseal input %s: not JSON", name)
		}
		return plain, nil
	})
}

// maskSealed gives recorded inputs as they may be shown.
func maskSealed(v any) any {
	switch v := v.(type) {
	case string:
		if strings.HasPrefix(v, sealedPrefix) {
			return masked
		}
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, item := range v {
			out[k] = maskSealed(item)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = maskSealed(item)
		}
		return out
	}
	return v
}

// rewrite gives a copy of inputs with f applied to the value at each pointer
// in secret.
func rewrite(inputs map[string]any, secret map[string]bool, f func(pointer string, v any) (any, error)) (map[string]any, error) {
	if len(secret) == 0 {
		return inputs, nil
	}
	var walk func(v any, pointer string) (any, error)
	walk = func(v any, pointer string) (any, error) {
		if secret[pointer] {
			return f(pointer, v)
		}
		var err error
		switch v := v.(type) {
		case map[string]any:
			out := make(map[string]any, len(v))
			for k, item := range v {
				step := "/" + pointerEscape.Replace(k)
				if out[k], err = walk(item, pointer+step); err != nil {
					return nil, err
				}
			}
			return out, nil
		case []any:
			out := make([]any, len(v))
			for i, item := range v {
				if out[i], err = walk(item, pointer+"/"+strconv.Itoa(i)); err != nil {
					return nil, err
				}
			}
			return out, nil
		}
		return v, nil
	}
	out, err := walk(inputs, "")
	if err != nil {
		return nil, err
	}
	return out.(map[string]any), nil
}

// maskInputs gives a copy of inputs with the secret ones masked.
func maskInputs(inputs map[string]any, secret map[string]bool) map[string]any {
	out, _ := rewrite(inputs, secret, func(string, any) (any, error) { return masked, nil }) // f never fails
	return out
}

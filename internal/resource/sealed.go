package resource

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"fairlead/internal/redact"
	"fairlead/internal/sqldb"
	"fairlead/internal/yamlx"
)

// masked stands in for a secret input wherever inputs are recorded or shown.
const masked = redact.Shown

// sealInputs moves the values of secret inputs into the secret store, in the
// same transaction, and gives the inputs as they are recorded and the pointers
// of what was taken out. References stay: they are no secrets themselves.
func (s *Service) sealInputs(ctx context.Context, tx *sqldb.Tx, resourceID string, revision int64, c checked) (map[string]any, []string, error) {
	recorded, sealed := c.Inputs, []string{}
	for _, pointer := range c.toSeal() {
		var err error
		recorded, err = editInputs(recorded, pointer, func(v any) (any, error) {
			plain, err := json.Marshal(v)
			if err != nil {
				return nil, fmt.Errorf("seal input %s: %w", pointer, err)
			}
			sealed = append(sealed, pointer)
			return masked, s.Secrets.Put(ctx, tx, resourceID, sealedName(revision, pointer), redact.New(string(plain)))
		})
		if err != nil {
			return nil, nil, err
		}
	}
	return recorded, sealed, nil
}

// unsealInputs is the way back, for a run or a change.
func (s *Service) unsealInputs(ctx context.Context, resourceID string, revision int64, recorded map[string]any, sealed []string) (map[string]any, error) {
	plain := recorded
	for _, pointer := range sealed {
		secret, err := s.Secrets.Get(ctx, resourceID, sealedName(revision, pointer))
		if err != nil {
			return nil, err
		}
		plain, err = editInputs(plain, pointer, func(any) (any, error) {
			wrapped, err := readInputs(`{"v":` + secret.Reveal() + `}`)
			if err != nil {
				return nil, fmt.Errorf("unseal input %s: not JSON", pointer) // the cause would show it
			}
			return wrapped["v"], nil
		})
		if err != nil {
			return nil, err
		}
	}
	return plain, nil
}

// sealedName is what a sealed input is called among its resource's secrets.
func sealedName(revision int64, pointer string) string {
	return "input/" + strconv.FormatInt(revision, 10) + pointer
}

// toSeal gives the pointers of the secret inputs that are no references, outer
// ones first.
func (c checked) toSeal() []string {
	var out []string
	for _, p := range c.secret {
		if p == "" { // the whole: each of its parts
			for k := range c.Inputs {
				out = append(out, "/"+yamlx.Escape(k))
			}
			continue
		}
		out = append(out, p)
	}
	slices.Sort(out)
	out = slices.Compact(out)
	return slices.DeleteFunc(out, func(p string) bool {
		return slices.ContainsFunc(c.refs, func(r Reference) bool { return r.Input == p })
	})
}

// isSecret tells whether the input at a pointer is a secret or within one.
func (c checked) isSecret(pointer string) bool {
	return slices.ContainsFunc(c.secret, func(p string) bool {
		return p == "" || p == pointer || strings.HasPrefix(pointer, p+"/")
	})
}

// editInputs gives a copy of inputs with f applied to the value at a pointer;
// where nothing is, nothing happens.
func editInputs(inputs map[string]any, pointer string, f func(v any) (any, error)) (map[string]any, error) {
	steps := strings.Split(strings.TrimPrefix(pointer, "/"), "/")
	out, err := edit(inputs, steps, f)
	if err != nil {
		return nil, err
	}
	m, _ := out.(map[string]any)
	return m, nil
}

func edit(v any, steps []string, f func(v any) (any, error)) (any, error) {
	if len(steps) == 0 {
		return f(v)
	}
	step := yamlx.Unescape(steps[0])
	switch c := v.(type) {
	case map[string]any:
		item, ok := c[step]
		if !ok {
			return v, nil
		}
		item, err := edit(item, steps[1:], f)
		if err != nil {
			return nil, err
		}
		out := maps.Clone(c)
		out[step] = item
		return out, nil
	case []any:
		i, err := strconv.Atoi(step)
		if err != nil || i < 0 || i >= len(c) {
			return v, nil
		}
		item, err := edit(c[i], steps[1:], f)
		if err != nil {
			return nil, err
		}
		out := slices.Clone(c)
		out[i] = item
		return out, nil
	}
	return v, nil
}

// at gives the value at a pointer, nil where nothing is.
func at(inputs map[string]any, pointer string) (found any) {
	_, _ = editInputs(inputs, pointer, func(v any) (any, error) { found = v; return v, nil })
	return found
}

package iac_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fairlead/internal/engine"
	"fairlead/internal/engine/enginetest"
	"fairlead/internal/redact"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bed) {
		whole := b.engine(t, nil)
		program, version, level, err := whole.About(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("with %s %s, isolation: %s", program, version, level)
		name := func(res engine.Result) string {
			path, _ := res.Outputs["store"].Value.(string)
			return strings.TrimPrefix(filepath.Base(path), "store-")
		}
		enginetest.Run(t, enginetest.Harness{
			New: func(t *testing.T, onCall func(string)) engine.Engine {
				if onCall == nil {
					return whole
				}
				return whole.With(onCall)
			},
			Request: func(_ *testing.T, name string) engine.Request { return b.request(name) },
			Change:  func(r engine.Request) engine.Request { r.Inputs = with(r.Inputs, "size", 3.0); return r },
			Invalid: map[string]func(engine.Request) engine.Request{
				"a size that is a text":       func(r engine.Request) engine.Request { r.Inputs = with(r.Inputs, "size", "big"); return r },
				"a size that is not allowed":  func(r engine.Request) engine.Request { r.Inputs = with(r.Inputs, "size", 100); return r },
				"a variable that is missing":  func(r engine.Request) engine.Request { r.Inputs = with(r.Inputs, "owner", nil); return r },
				"a spec of something else":    func(r engine.Request) engine.Request { r.Template.Spec = []byte(`{"server":"x"}`); return r },
				"a version that is not there": func(r engine.Request) engine.Request { r.Template.Spec = []byte(`{"version":"> 99"}`); return r },
				"a module that does not parse": func(r engine.Request) engine.Request {
					r.Template = template(map[string]string{"main.tf": "resource \"x\" {"}, "")
					return r
				},
			},
			World:    b.picture,
			CutEvery: cutEvery(),
			Use: func(_ context.Context, res engine.Result) error {
				door, err := b.load("door-" + name(res))
				if _, storeErr := b.load("store-" + name(res)); err != nil || storeErr != nil || door.Secret != res.Outputs["key"].Secret.Reveal() {
					return errors.Join(err, storeErr, errors.New("the key does not open"))
				}
				return nil
			},
			Tampers: []enginetest.Tamper{{
				Name: "Content", Severity: engine.Heal, Do: func(t *testing.T, res engine.Result) {
					c, err := b.load("store-" + name(res))
					if err != nil {
						t.Fatal(err)
					}
					c.Content = "size 9"
					b.save(t, "store-"+name(res), c)
				},
			}, {
				Name: "Secret", Severity: engine.Heal, Do: func(t *testing.T, res engine.Result) {
					c, err := b.load("door-" + name(res))
					if err != nil {
						t.Fatal(err)
					}
					c.Secret = "somebody else's"
					b.save(t, "door-"+name(res), c)
				},
			}},
			Lose: func(t *testing.T, res engine.Result) {
				if err := os.Remove(filepath.Join(b.world, "store-"+name(res))); err != nil {
					t.Fatal(err)
				}
			},
			Foreign: func(t *testing.T, req engine.Request) func() bool {
				b.save(t, "store-"+req.Ref.Name, thing{Owner: "somebody", Content: "theirs"})
				return func() bool {
					c, err := b.load("store-" + req.Ref.Name)
					return err == nil && c == thing{Owner: "somebody", Content: "theirs"}
				}
			},
			Adoptable: func(t *testing.T, name string) (engine.Request, engine.Adoption) {
				made := b.request("old-" + name)
				if _, err := whole.Apply(t.Context(), made, engine.Plan{}, engine.Discard); err != nil {
					t.Fatal(err)
				}
				body, _, err := b.states.Read(t.Context(), made.Ref.ID)
				if err == nil {
					err = whole.Release(t.Context(), made)
				}
				if err != nil {
					t.Fatal(err)
				}
				req := b.request(name)
				req.Inputs = made.Inputs
				return req, engine.Adoption{State: redact.New(string(body))}
			},
			Poison: func(t *testing.T, res engine.Result) {
				path := filepath.Join(b.world, "store-"+name(res))
				text, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte("no JSON"), 0o666); err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = os.WriteFile(path, text, 0o666) })
			},
		})
	})
}

// cutEvery keeps the everyday run short; FAIRLEAD_TEST_IAC_ALL=1 runs it all.
func cutEvery() int {
	if os.Getenv("FAIRLEAD_TEST_IAC_ALL") != "" {
		return 1
	}
	return 5
}

func with(m map[string]any, key string, v any) map[string]any {
	out := map[string]any{}
	for k, x := range m {
		out[k] = x
	}
	out[key] = v
	return out
}

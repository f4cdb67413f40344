package secrettest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"fairlead/internal/fault"
	"fairlead/internal/redact"
	"fairlead/internal/secret"
	"fairlead/internal/sqldb"
)

// Run holds a store against the contract of secret.Store. The store and the
// transactions are of the same database; owners of other tests may be in it.
func Run(t *testing.T, db *sqldb.DB, s secret.Store) {
	t.Helper()
	c := conformance{db, s}
	t.Run("what was put is got", c.putGet)
	t.Run("a transaction that fails leaves nothing", c.rollback)
	t.Run("deleting takes an owner's and no other's", c.delete)
	t.Run("bounds", c.bounds)
	t.Run("many at once", c.concurrent)
}

type conformance struct {
	db *sqldb.DB
	s  secret.Store
}

func (c conformance) put(t *testing.T, owner, name, value string) {
	t.Helper()
	if err := c.tryPut(t, owner, name, value); err != nil {
		t.Fatal(err)
	}
}

func (c conformance) tryPut(t *testing.T, owner, name, value string) error {
	return c.db.Write(t.Context(), "secrettest.put", func(tx *sqldb.Tx) error {
		return c.s.Put(t.Context(), tx, owner, name, redact.New(value))
	})
}

func (c conformance) want(t *testing.T, owner, name, value string) {
	t.Helper()
	got, err := c.s.Get(t.Context(), owner, name)
	if err != nil || got.Reveal() != value {
		t.Errorf("%s of %s: %d bytes, want %d; %v", name, owner, len(got.Reveal()), len(value), err)
	}
}

func (c conformance) gone(t *testing.T, owner, name string) {
	t.Helper()
	if _, err := c.s.Get(t.Context(), owner, name); !errors.Is(err, secret.ErrNotFound) || !fault.Is(err, fault.NotFound) {
		t.Errorf("%s of %s: %v", name, owner, err)
	}
}

func (c conformance) putGet(t *testing.T) {
	c.gone(t, "res_a", "password")
	for why, value := range map[string]string{
		"text": "hunter2", "nothing": "", "bytes": "\x00\xff\n\"'", "the largest": strings.Repeat("x", secret.MaxValue),
	} {
		c.put(t, "res_a", why, value)
		c.want(t, "res_a", why, value)
	}
	c.put(t, "res_a", "input/1/pass word ü", "odd name")
	c.want(t, "res_a", "input/1/pass word ü", "odd name")
	c.put(t, "res_a", "text", "replaced")
	c.want(t, "res_a", "text", "replaced")
	c.put(t, "res_b", "text", "another owner's")
	c.want(t, "res_a", "text", "replaced")
	names, err := c.s.Names(t.Context(), "res_a")
	if err != nil || !slices.Equal(names, []string{"bytes", "input/1/pass word ü", "nothing", "text", "the largest"}) {
		t.Errorf("%q %v", names, err)
	}
	if names, err := c.s.Names(t.Context(), "res_none"); err != nil || names == nil || len(names) > 0 {
		t.Errorf("%v %v", names, err)
	}
}

func (c conformance) rollback(t *testing.T) {
	c.put(t, "res_r", "kept", "1")
	boom := errors.New("boom")
	err := c.db.Write(t.Context(), "secrettest.fail", func(tx *sqldb.Tx) error {
		return errors.Join(c.s.Put(t.Context(), tx, "res_r", "new", redact.New("2")), c.s.Delete(t.Context(), tx, "res_q"), boom)
	})
	if !errors.Is(err, boom) {
		t.Fatal(err)
	}
	c.want(t, "res_r", "kept", "1")
	c.gone(t, "res_r", "new")
}

func (c conformance) delete(t *testing.T) {
	c.put(t, "res_d", "a", "1")
	c.put(t, "res_d", "b", "2")
	c.put(t, "res_e", "a", "3")
	for range 2 { // nothing there is success
		err := c.db.Write(t.Context(), "secrettest.delete", func(tx *sqldb.Tx) error { return c.s.Delete(t.Context(), tx, "res_d") })
		if err != nil {
			t.Fatal(err)
		}
	}
	c.gone(t, "res_d", "a")
	c.gone(t, "res_d", "b")
	c.want(t, "res_e", "a", "3")
}

func (c conformance) bounds(t *testing.T) {
	const canary = "canary-in-an-error"
	long := strings.Repeat("n", secret.MaxName+1)
	for why, err := range map[string]error{
		"no owner":    c.tryPut(t, "", "name", canary),
		"no name":     c.tryPut(t, "res_x", "", canary),
		"long owner":  c.tryPut(t, long, "name", canary),
		"long name":   c.tryPut(t, "res_x", long, canary),
		"large value": c.tryPut(t, "res_x", "name", canary+strings.Repeat("x", secret.MaxValue)),
	} {
		if fault.From(err).Code != "invalid_secret" || strings.Contains(fmt.Sprintf("%v %+v", err, err), canary) {
			t.Errorf("%s: %v", why, fault.From(err).Code)
		}
	}
}

func (c conformance) concurrent(t *testing.T) {
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			name := fmt.Sprint("n", i%5)
			if err := c.tryPut(t, "res_c", name, name); err != nil {
				t.Error(err)
			}
			c.want(t, "res_c", name, name)
		})
	}
	wg.Wait()
}

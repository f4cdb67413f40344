package secrettest

import (
	"context"
	"slices"
	"sync"

	"fairlead/internal/redact"
	"fairlead/internal/secret"
	"fairlead/internal/sqldb"
)

// Memory is a secret.Store in memory. The zero value is empty.
type Memory struct {
	mu     sync.Mutex
	values map[string]map[string]redact.Secret
}

// Put implements secret.Store.
func (m *Memory) Put(_ context.Context, tx *sqldb.Tx, owner, name string, value redact.Secret) error {
	if err := secret.CheckPut(owner, name, value); err != nil {
		return err
	}
	tx.After(func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.values == nil {
			m.values = map[string]map[string]redact.Secret{}
		}
		if m.values[owner] == nil {
			m.values[owner] = map[string]redact.Secret{}
		}
		m.values[owner][name] = value
	})
	return nil
}

// Get implements secret.Store.
func (m *Memory) Get(_ context.Context, owner, name string) (redact.Secret, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	v, ok := m.values[owner][name]
	if !ok {
		return redact.Secret{}, secret.ErrNotFound
	}
	return v, nil
}

// Names implements secret.Store.
func (m *Memory) Names(_ context.Context, owner string) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	names := []string{}
	for name := range m.values[owner] {
		names = append(names, name)
	}
	slices.Sort(names)
	return names, nil
}

// Delete implements secret.Store.
func (m *Memory) Delete(_ context.Context, tx *sqldb.Tx, owner string) error {
	tx.After(func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.values, owner)
	})
	return nil
}

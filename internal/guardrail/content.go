package guardrail

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"

	"fairlead/internal/access"
	"fairlead/internal/template/bundle"
)

// Content is what a stored version holds, to be looked at: it cannot be asked.
type Content struct {
	Guards []Guard

	label string
	files *bundle.Bundle
}

// Files gives the paths of its files, sorted.
func (c *Content) Files() []string { return c.files.Names() }

// File gives the content of one of its files.
func (c *Content) File(name string) ([]byte, bool) { return c.files.File(name) }

// Content gives a version to look at; "" is the one in force, or else the
// newest. Unlike Get it compiles a content once and remembers what its
// guardrails are: a version never changes.
func (s *Service) Content(ctx context.Context, name, version string) (Summary, *Content, error) {
	if _, err := s.access.Check(ctx, access.GuardrailView, target(name)); err != nil {
		return Summary{}, nil, err
	}
	if version == "" {
		var err error
		if version, err = s.inForce(ctx, name); err != nil {
			return Summary{}, nil, err
		}
	}
	v, err := s.known(ctx, name, version)
	if err != nil {
		return v, nil, err
	}
	one := []Summary{v}
	if err := s.mark(ctx, one); err != nil {
		return v, nil, err
	}
	c, err := s.content(ctx, v)
	return one[0], c, err
}

// content reads a stored version, and refuses one that was tampered with.
func (s *Service) content(ctx context.Context, v Summary) (*Content, error) {
	if !s.signer.bundleHolds(v) {
		return nil, damagedBundle(v, errors.New("the signature does not fit"))
	}
	raw, err := queries{s.db.Read()}.archive(ctx, v.ID)
	if err != nil {
		return nil, fmt.Errorf("read guardrails: %w", err)
	}
	files, err := bundle.Read(bytes.NewReader(raw))
	if err == nil && files.Digest() != v.Digest {
		err = errors.New("the digest differs")
	}
	if err != nil {
		return nil, damagedBundle(v, err)
	}
	guards, known := s.seen.get(v)
	if !known {
		b, err := s.compiled(v, raw)
		if err != nil {
			return nil, damagedBundle(v, err)
		}
		guards = b.Guards
		s.seen.put(v, guards)
	}
	return &Content{Guards: guards, label: v.Name + "@" + v.Version, files: files}, nil
}

// compiled gives a version that is in force as it is asked, another anew.
func (s *Service) compiled(v Summary, raw []byte) (*Bundle, error) {
	if a := s.current.Load(); a != nil {
		if b, ok := a.set.Bundle(v.Name); ok && b.Version == v.Version && b.Digest == v.Digest {
			return b, nil
		}
	}
	return restore(v, raw)
}

// seen remembers the guardrails of contents, not the programs, which are large.
type seen struct {
	mu     sync.Mutex
	guards map[string][]Guard
}

const maxSeen = 1000

func seenKey(v Summary) string { return v.Name + "@" + v.Version + " " + v.Digest }

func (c *seen) get(v Summary) ([]Guard, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	g, ok := c.guards[seenKey(v)]
	return g, ok
}

func (c *seen) put(v Summary, g []Guard) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.guards == nil || len(c.guards) >= maxSeen {
		c.guards = map[string][]Guard{}
	}
	c.guards[seenKey(v)] = g
}

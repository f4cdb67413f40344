package guardrail

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"fairlead/internal/access"
	"fairlead/internal/fault"
	"fairlead/internal/regex"
	"fairlead/internal/template/bundle"
)

// Draft is a bundle's files on their way to a next version.
type Draft struct {
	Name   string
	Base   string            // the newest version, that the next one is to come after; "" for none
	From   string            // NAME@VERSION that it was made from; "" for none
	Files  map[string]string // texts by path
	Others []string          // files that are no text: they stay as they are
}

// example is a bundle to begin with, small and with tests.
var example = map[string]string{
	ManifestFile: `apiVersion: fairlead/v1
kind: PolicyBundle
metadata:
  name: example
  version: 0.0.0
  title: What this is for
guardrails:
- package: example
  stage: request
  strength: deny
  scope:
    classes: [production]
`,
	"example.rego": `package example

# What is large needs a reason. "fairlead policy schema" shows what input has.
deny contains {"msg": msg, "remedy": "ask for 100 or less", "field": "/size"} if {
	input.inputs.size > 100
	msg := sprintf("%s asks for %v; 100 are allowed in production", [input.resource.name, input.inputs.size])
}
`,
	"example_test.rego": `package example_test

import data.example

test_small_passes if count(example.deny) == 0 with input as {"inputs": {"size": 5}, "resource": {"name": "orders"}}

test_large_is_refused if count(example.deny) == 1 with input as {"inputs": {"size": 500}, "resource": {"name": "orders"}}
`,
}

// Draft gives a version's files to write the next version of name from, for
// those who may push it. from is NAME@VERSION of any bundle, "" the newest
// version of name itself, or a small example where there is none. The name and
// the next version stand in the manifest already.
func (s *Service) Draft(ctx context.Context, name, from string) (Draft, error) {
	if _, err := s.access.Check(ctx, access.GuardrailPush, target(name)); err != nil {
		return Draft{}, err
	}
	if err := checkName(name, "/name"); err != nil {
		return Draft{}, err
	}
	d := Draft{Name: name, Files: map[string]string{}}
	newest, err := s.known(ctx, name, "")
	if err != nil && !errors.Is(err, errUnknown) {
		return d, err
	}
	d.Base = newest.Version
	source, version, _ := strings.Cut(from, "@")
	if source == "" {
		source, version = name, d.Base
	}
	if source == name && d.Base == "" {
		pkg := strings.ReplaceAll(name, "-", "_")
		for path, text := range example {
			if path == ManifestFile {
				d.Files[path] = strings.ReplaceAll(text, "package: example", "package: "+pkg)
			} else {
				d.Files[strings.Replace(path, "example", pkg, 1)] = strings.ReplaceAll(text, "example", pkg)
			}
		}
		d.rename("")
		return d, nil
	}
	c, err := s.stored(ctx, source, version)
	if err != nil {
		return d, err
	}
	d.From = c.label
	for _, path := range c.Files() {
		if text, _ := c.File(path); utf8.Valid(text) {
			d.Files[path] = string(text)
		} else {
			d.Others = append(d.Others, path)
		}
	}
	d.rename(d.Base)
	return d, nil
}

func (s *Service) stored(ctx context.Context, name, version string) (*Content, error) {
	if _, err := s.access.Check(ctx, access.GuardrailView, target(name)); err != nil {
		return nil, err
	}
	v, err := s.known(ctx, name, version)
	if err != nil {
		return nil, err
	}
	return s.content(ctx, v)
}

var (
	manifestName    = regex.Late(`(?m)^(metadata:(?:\s*\n(?:[ \t]+[^\n]*\n)*?[ \t]+|[ \t]*\{[^}\n]*?))name:([ \t]*)["']?[a-z0-9-]+["']?`)
	manifestVersion = regex.Late(`(?m)^(metadata:(?:\s*\n(?:[ \t]+[^\n]*\n)*?[ \t]+|[ \t]*\{[^}\n]*?))version:([ \t]*)["']?[0-9][0-9A-Za-z.-]*["']?`)
)

// rename writes the draft's name and the version after base into its manifest,
// where they stand as they mostly do; else its author does.
func (d *Draft) rename(base string) {
	text, ok := d.Files[ManifestFile]
	if !ok {
		return
	}
	text = replaceFirst(manifestName(), text, "${1}name:${2}"+d.Name)
	d.Files[ManifestFile] = replaceFirst(manifestVersion(), text, "${1}version:${2}"+NextVersion(base))
}

// Version gives the version that the draft's manifest says; "" for none that
// is found.
func (d *Draft) Version() string {
	at := manifestVersion().FindString(d.Files[ManifestFile])
	return strings.Trim(at[strings.LastIndexByte(at, ':')+1:], " \t\"'")
}

// Say writes a version into the draft's manifest.
func (d *Draft) Say(version string) {
	if text, ok := d.Files[ManifestFile]; ok {
		d.Files[ManifestFile] = replaceFirst(manifestVersion(), text, "${1}version:${2}"+version)
	}
}

func replaceFirst(r *regexp.Regexp, text, with string) string {
	at := r.FindStringSubmatchIndex(text)
	if at == nil {
		return text
	}
	return text[:at[0]] + string(r.ExpandString(nil, with, text, at)) + text[at[1]:]
}

// NextVersion gives the version after one: its last number raised.
func NextVersion(version string) string {
	m := versionForm().FindStringSubmatch(version)
	if m == nil {
		return "1.0.0"
	}
	if m[4] != "" { // of a pre-release, the release
		return m[1] + "." + m[2] + "." + m[3]
	}
	n, err := strconv.Atoi(m[3])
	if err != nil {
		return "1.0.0"
	}
	return m[1] + "." + m[2] + "." + strconv.Itoa(n+1)
}

// Pack makes the archive of a draft. What is no text comes from the version
// that it was made from.
func (s *Service) Pack(ctx context.Context, d Draft) (io.Reader, error) {
	if _, err := s.access.Check(ctx, access.GuardrailPush, target(d.Name)); err != nil {
		return nil, err
	}
	b := bundle.NewBuilder()
	for _, path := range slices.Sorted(maps.Keys(d.Files)) {
		if err := b.Add(path, strings.NewReader(d.Files[path])); err != nil {
			return nil, asBundle(err)
		}
	}
	if source, version, ok := strings.Cut(d.From, "@"); ok && len(d.Others) > 0 {
		c, err := s.stored(ctx, source, version)
		if err != nil {
			return nil, err
		}
		for _, path := range d.Others {
			if raw, ok := c.File(path); ok && !utf8.Valid(raw) {
				if err := b.Add(path, bytes.NewReader(raw)); err != nil {
					return nil, asBundle(err)
				}
			}
		}
	}
	files, err := b.Done()
	if err != nil {
		return nil, asBundle(err)
	}
	return bytes.NewReader(files.Archive()), nil
}

// PushOver is Push of what was made from a bundle's newest version: when
// another version came meanwhile it is Stale, "stale_version", and nothing is
// kept.
func (s *Service) PushOver(ctx context.Context, tar io.Reader, name, base string) (Pushed, error) {
	return s.push(ctx, tar, name, "", func(ctx context.Context, q queries, b *Bundle) error {
		newest, err := q.find(ctx, b.Name, "")
		if err != nil && !isNone(err) {
			return err
		}
		if newest.Version == base || newest.Digest == b.Digest {
			return nil
		}
		return fault.New(fault.Stale, "stale_version", "version %s of %s was pushed while you were writing", newest.Version, b.Name).
			WithHint("look at what it changed, then save yours after it")
	})
}

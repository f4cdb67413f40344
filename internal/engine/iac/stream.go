package iac

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"fairlead/internal/engine"
	"fairlead/internal/fault"
)

const (
	maxLine        = 1 << 20
	maxDiagnostics = 20
	maxText        = 1000
)

// event is a line of the program's -json stream.
type event struct {
	Type       string      `json:"type"`
	Diagnostic *diagnostic `json:"diagnostic"`
	Hook       struct {
		Resource struct {
			Addr string `json:"addr"`
		} `json:"resource"`
		Action string `json:"action"`
	} `json:"hook"`
	Changes *struct {
		Add, Change, Remove int
		Operation           string
	} `json:"changes"`
}

type diagnostic struct {
	Severity string `json:"severity"`
	Summary  string `json:"summary"`
	Detail   string `json:"detail"`
	Address  string `json:"address"`
	Range    *struct {
		Filename string `json:"filename"`
		Start    struct {
			Line int `json:"line"`
		} `json:"start"`
	} `json:"range"`
}

// stream reads the -json stream as it is written: steps go to progress, errors
// are kept, and the rest is dropped, however much there is. It keeps no value
// of any object.
type stream struct {
	progress engine.Progress // may be nil
	planned  func()          // called when a plan begins to be told, once; may be nil
	errors   []diagnostic
	drifted  bool

	line []byte
	skip bool // the rest of a line that is too long
}

func (s *stream) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		i := bytes.IndexByte(p, '\n')
		part := p
		if i >= 0 {
			part = p[:i]
		}
		if i >= 0 && !s.skip && len(s.line) == 0 && len(part) <= maxLine { // all of it
			s.take(part)
			p = p[i+1:]
			continue
		}
		if !s.skip {
			if len(s.line)+len(part) > maxLine {
				s.skip, s.line = true, nil
			} else {
				s.line = append(s.line, part...)
			}
		}
		if i < 0 {
			break
		}
		if !s.skip {
			s.take(s.line)
		}
		s.line, s.skip = s.line[:0], false
		p = p[i+1:]
	}
	return n, nil
}

// The events that are most of a large log, and are not shown. What provisioners
// print may hold any secret. The names cannot stand in a text like this, quotes
// and all.
var dropped = [][]byte{
	[]byte(`"type":"provision_progress"`), []byte(`"type":"planned_change"`),
	[]byte(`"type":"refresh_start"`), []byte(`"type":"refresh_complete"`),
}

// What the program begins to tell of a plan with. It has written the plan's file
// by then.
var planTold = [][]byte{[]byte(`"type":"planned_change"`), []byte(`"type":"change_summary"`)}

func (s *stream) take(line []byte) {
	if s.planned != nil && slices.ContainsFunc(planTold, func(d []byte) bool { return bytes.Contains(line, d) }) {
		s.planned()
		s.planned = nil
	}
	if slices.ContainsFunc(dropped, func(d []byte) bool { return bytes.Contains(line, d) }) {
		return
	}
	ev, ok := begunOrDone(line)
	if !ok && json.Unmarshal(line, &ev) != nil {
		return
	}
	at, doing := ev.Hook.Resource.Addr, ev.Hook.Action
	switch ev.Type {
	case "diagnostic":
		if d := ev.Diagnostic; d != nil && d.Severity == "error" && len(s.errors) < maxDiagnostics {
			s.errors = append(s.errors, *d)
		}
	case "resource_drift":
		s.drifted = true
	case "apply_start":
		s.step("%s: %s", at, doing)
	case "apply_progress":
		s.step("%s: %s, still at it", at, doing)
	case "apply_complete":
		s.step("%s: %s done", at, doing)
	case "apply_errored":
		s.step("%s: %s failed", at, doing)
	case "provision_start":
		s.step("%s: provisioning", at)
	case "change_summary":
		if c := ev.Changes; c != nil && c.Operation != "plan" {
			s.step("%d added, %d changed, %d removed", c.Add, c.Change, c.Remove)
		}
	}
}

// The beginning of what is told of an object, which cannot stand in a text
// either.
var (
	objectAt = []byte(`"hook":{"resource":{"addr":"`)
	actionIs = []byte(`"action":"`)
)

// begunOrDone reads what there are two of for each object, without a parser:
// of a thousand objects they would be most of what we do during their making.
// It tells false of what is not as plain as that.
func begunOrDone(line []byte) (ev event, ok bool) {
	for _, name := range []string{"apply_start", "apply_complete"} {
		if bytes.HasSuffix(line, []byte(`,"type":"`+name+`"}`)) {
			ev.Type = name
		}
	}
	_, rest, found := bytes.Cut(line, objectAt)
	if ev.Type == "" || !found {
		return event{}, false
	}
	at, rest, ok1 := bytes.Cut(rest, []byte(`"`))
	_, rest, ok2 := bytes.Cut(rest, actionIs)
	doing, _, ok3 := bytes.Cut(rest, []byte(`"`))
	if !ok1 || !ok2 || !ok3 || bytes.IndexByte(at, '\\') >= 0 || bytes.IndexByte(doing, '\\') >= 0 {
		return event{}, false
	}
	ev.Hook.Resource.Addr, ev.Hook.Action = string(at), string(doing)
	return ev, true
}

func (s *stream) step(format string, args ...any) {
	if s.progress != nil {
		s.progress.Step(format, args...)
	}
}

// masker keeps secrets out of what a program says.
type masker []string

func (m masker) mask(text string) string {
	for _, secret := range m {
		text = strings.ReplaceAll(text, secret, "[redacted]")
	}
	return text
}

func (d diagnostic) text(m masker) string {
	t := d.Summary
	if d.Detail != "" {
		t += ": " + d.Detail
	}
	t = strings.Join(strings.Fields(m.mask(t)), " ")
	if r := []rune(t); len(r) > maxText {
		t = string(r[:maxText]) + "…"
	}
	t = strings.TrimRight(t, ".")
	var where []string
	if d.Address != "" {
		where = append(where, d.Address)
	}
	if d.Range != nil && d.Range.Filename != "" && !strings.HasPrefix(d.Range.Filename, "..") { // not our own file of variables
		where = append(where, fmt.Sprintf("%s line %d", d.Range.Filename, d.Range.Start.Line))
	}
	if len(where) > 0 {
		t += " (" + strings.Join(where, ", ") + ")"
	}
	return t
}

// fault says why a program failed. What is wrong with the module or its
// variables is Invalid; what a provider says may be over the next time.
func (s *stream) fault(m masker, code int, stderr string) error {
	if len(s.errors) == 0 {
		f := fault.New(fault.Unavailable, "engine_failed", "the program ended with code %d and did not say why", code)
		if code > 128 || code == 2 {
			f = fault.New(fault.Unavailable, "engine_killed", "the program was killed, or broke down (code %d)", code).
				WithHint("it may have met a limit: see engines.iac.memoryMB")
		}
		return f.WithCause(fmt.Errorf("%s", m.mask(stderr)))
	}
	d := s.errors[0]
	if i := slices.IndexFunc(s.errors, func(d diagnostic) bool { return d.Range != nil }); d.Range == nil && d.Address == "" && i > 0 {
		d = s.errors[i] // which says where; the first only says that there is one
	}
	text := d.text(m)
	if more := len(s.errors) - 1; more > 0 {
		text += fmt.Sprintf("; and %d more", more)
	}
	low := strings.ToLower(d.Summary + " " + d.Detail)
	switch {
	case strings.Contains(low, "variable") && (d.Address == "" && (d.Range != nil || strings.Contains(low, "required variable"))):
		return fault.New(fault.Invalid, "module_input_invalid", "%s", text).WithHint("change the input, or the template's variables")
	case strings.Contains(low, "saved plan is stale"):
		return planChanged()
	case strings.Contains(low, "already exists"):
		return fault.New(fault.Conflict, "object_exists", "%s", text).
			WithHint("an object of that name is there that the state does not know: remove or rename it, or have the platform team adopt it; then: fairlead retry")
	case d.Range != nil && d.Address == "", strings.Contains(low, "condition failed"):
		return fault.New(fault.Invalid, "module_invalid", "%s", text).WithHint("the template's module needs a change")
	}
	return fault.New(fault.Unavailable, "engine_failed", "%s", text).WithHint("it is tried again by itself; the message is the provider's")
}

func (e *Engine) initFault(s *stream, stderr string, code int) error {
	broken := slices.ContainsFunc(s.errors, func(d diagnostic) bool { return d.Range != nil })
	for _, d := range s.errors {
		low := strings.ToLower(d.Summary + " " + d.Detail)
		switch {
		case broken: // the module does not parse
		case strings.Contains(low, "checksum"), strings.Contains(low, "dependency lock file"):
			return fault.New(fault.Invalid, "provider_hashes", "%s", d.text(nil)).
				WithHint("the provider is not the one that the module's lock file names; nothing of it was run")
		case e.o.Config.Mirror != "":
			return fault.New(fault.Invalid, "provider_missing", "%s", d.text(nil)).
				WithHint("have the platform team add the provider to the mirror (engines.iac.mirror)")
		}
	}
	return s.fault(nil, code, stderr)
}

func planChanged() error {
	return fault.New(fault.Unavailable, "plan_changed", "what would be done is not what was planned any more").
		WithHint("it is planned and judged again by itself")
}

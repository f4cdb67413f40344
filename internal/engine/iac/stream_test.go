package iac

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"fairlead/internal/fault"
)

// A program may write as much as it likes: what is kept is little.
func TestAStreamOfAHundredMegabytes(t *testing.T) {
	t.Parallel()
	s := &stream{}
	line := []byte(`{"type":"provision_progress","hook":{"resource":{"addr":"a.b"}},"@message":"` + strings.Repeat("x", 8000) + "\"}\n")
	endless := bytes.Repeat([]byte("y"), 1<<20)
	for n := 0; n < 50<<20; n += len(line) {
		_, _ = s.Write(line)
	}
	for range 50 {
		_, _ = s.Write(endless)
	}
	_, _ = s.Write([]byte("\n" + `{"type":"diagnostic","diagnostic":{"severity":"error","summary":"It is a canary-secret","detail":"d.","address":"a.b"}}` + "\n"))
	if cap(s.line) > 2*maxLine || len(s.errors) != 1 {
		t.Fatalf("%d bytes kept, %d errors", cap(s.line), len(s.errors))
	}
	f := fault.From(s.fault(masker{"canary-secret"}, 1, ""))
	if f.Code != "engine_failed" || strings.Contains(f.Message, "canary") || !strings.Contains(f.Message, "a.b") {
		t.Fatalf("%+v", f)
	}
}

// notes collects the steps that people are told.
type notes struct{ lines []string }

func (n *notes) Step(format string, args ...any) {
	n.lines = append(n.lines, fmt.Sprintf(format, args...))
}

// The short way through what there is most of tells the same as the parser.
func TestStepsOfAStream(t *testing.T) {
	t.Parallel()
	const wrap = `{"@level":"info","@message":%s,"@module":"tofu.ui","@timestamp":"2026-11-30T17:03:55.245267Z",%s,"type":%q}` + "\n"
	hook := func(addr, action string) string {
		return fmt.Sprintf(`"hook":{"resource":{"addr":%s,"module":"","resource":%s,"implied_provider":"a","resource_type":"a_b","resource_name":"c","resource_key":null},"action":%q,"id_key":"id","id_value":"type\":\"apply_start\"","elapsed_seconds":0}`, addr, addr, action)
	}
	quoted := `"a_b.c[\"x\"]"`
	for _, c := range []struct{ line, want string }{
		{fmt.Sprintf(wrap, `"hello"`, hook(`"a_b.c[0]"`, "create"), "apply_start"), "a_b.c[0]: create"},
		{fmt.Sprintf(wrap, `"hello"`, hook(`"a_b.c[0]"`, "create"), "apply_complete"), "a_b.c[0]: create done"},
		{fmt.Sprintf(wrap, `"hello"`, hook(quoted, "update"), "apply_complete"), `a_b.c["x"]: update done`},
		{fmt.Sprintf(wrap, `"hello"`, hook(quoted, "create"), "apply_errored"), `a_b.c["x"]: create failed`},
		{fmt.Sprintf(wrap, `"hello"`, hook(`"a_b.c"`, "create"), "apply_progress"), "a_b.c: create, still at it"},
		{fmt.Sprintf(wrap, `"\"hook\":{\"resource\":{\"addr\":\"not.this\",\"type\":\"refresh_start\""`, hook(`"a_b.c"`, "delete"), "apply_start"), "a_b.c: delete"},
		{fmt.Sprintf(wrap, `"hello"`, `"changes":{"add":2,"change":0,"remove":1,"operation":"apply"}`, "change_summary"), "2 added, 0 changed, 1 removed"},
		{fmt.Sprintf(wrap, `"hello"`, hook(`"a_b.c"`, "create"), "provision_progress"), ""},
		{fmt.Sprintf(wrap, `"hello"`, hook(`"a_b.c"`, "read"), "refresh_complete"), ""},
		{`{"hook":{"resource":{"addr":"a_b.c` + "\n", ""},
		{`"hook":{"resource":{"addr":"a_b.c","type":"apply_start"}` + "\n", ""},
	} {
		for _, size := range []int{1, 7, len(c.line)} { // however it comes
			n := &notes{}
			s := &stream{progress: n}
			for rest := c.line; rest != ""; rest = rest[min(size, len(rest)):] {
				_, _ = s.Write([]byte(rest[:min(size, len(rest))]))
			}
			if got := strings.Join(n.lines, "|"); got != c.want {
				t.Errorf("%s in pieces of %d: %q, want %q", c.line, size, got, c.want)
			}
		}
	}
}

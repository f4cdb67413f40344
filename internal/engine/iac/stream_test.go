package iac

import (
	"bytes"
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

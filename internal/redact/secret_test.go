package redact_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"fairlead/internal/redact"
)

func TestNoRenderingShowsTheValue(t *testing.T) {
	const canary = "hunter2-canary"
	s := redact.New(canary)
	holder := struct {
		P redact.Secret
		M map[string]redact.Secret
		Q *redact.Secret
	}{s, map[string]redact.Secret{"k": s}, &s}

	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%T %v"} {
		fmt.Fprintf(&out, verb, s)
		fmt.Fprintf(&out, verb, holder)
	}
	j, err := json.Marshal(holder)
	if err != nil {
		t.Fatal(err)
	}
	out.Write(j)
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "s", s, "h", holder)
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "s", s, "h", holder)
	fmt.Fprint(&out, fmt.Errorf("failed with %v", s))

	for _, form := range []string{canary, fmt.Sprintf("%x", canary)} {
		if strings.Contains(out.String(), form) {
			t.Fatalf("the value shows: %s", out.String())
		}
	}
	if s.Reveal() != canary {
		t.Fatal("Reveal lost the value")
	}
}

package fault_test

import (
	"errors"
	"fmt"
	"testing"

	"fairlead/internal/fault"
)

func TestForeignErrorsAreInternalAndKeepTheirCause(t *testing.T) {
	cause := errors.New("dial tcp: secret detail")
	e := fault.From(fmt.Errorf("op: %w", cause))
	if e.Kind != fault.Internal || e.Message != "internal error" {
		t.Fatalf("got %v %q", e.Kind, e.Message)
	}
	if !errors.Is(e, cause) {
		t.Fatal("the cause is lost")
	}
}

func TestIsComparesByCode(t *testing.T) {
	sentinel := fault.New(fault.Conflict, "stale_revision", "")
	err := fmt.Errorf("change: %w", fault.New(fault.Conflict, "stale_revision", "revision 3 is not the newest"))
	if !errors.Is(err, sentinel) {
		t.Fatal("same code, not matched")
	}
	if errors.Is(err, fault.New(fault.Conflict, "other", "")) {
		t.Fatal("other code, matched")
	}
}

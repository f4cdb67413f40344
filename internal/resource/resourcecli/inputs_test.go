package resourcecli

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSetGoesOnTopOfAFile(t *testing.T) {
	t.Parallel()
	below := map[string]any{"x": 1, "y": 2}
	into := map[string]any{"a": below, "b": 1, "c": 3}
	merge(into, map[string]any{"a": map[string]any{"y": 9}, "b": map[string]any{"z": 1}})
	want := map[string]any{"a": map[string]any{"x": 1, "y": 9}, "b": map[string]any{"z": 1}, "c": 3}
	if diff := cmp.Diff(want, into); diff != "" {
		t.Error(diff)
	}
	if below["y"] != 2 {
		t.Error("what was read was changed")
	}
}

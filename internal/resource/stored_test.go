package resource

import (
	"reflect"
	"strings"
	"testing"

	"fairlead/internal/engine"
)

// FuzzStored holds what is read fast against encoding/json: it is the same, or
// it is left to that.
func FuzzStored(f *testing.F) {
	for _, s := range storedTexts {
		f.Add(s)
	}
	f.Fuzz(same)
}

var storedTexts = []string{
	`{}`, `{"value":"hello"}`, `{"a":"é","b":"\u003c","c":[1,2.5,-0,1e3,{"d":null}],"e":true,"f":false}`, `{"a":"` + "\xff" + `"}`,
	`{"secret":{"sensitive":true},"value":{"value":"hello"}}`, `{"a":{"value":123456789012345678901234567890}}`, `{"a":{"value":0.1}}`,
	`{"a":1,"a":2}`, `{"a":{"value":1},"a":{"sensitive":true}}`, `{"a":{"value":1,"value":{}}}`, `{"a":{"Value":1}}`, `{"a":{"other":1}}`, `{"a":null}`, `null`,
	`[]`, `[{"kind":"database","name":"x","host":"h"}]`, `[{"kind":"database"},{}]`, `[{"kind":1}]`, `[{}, {}]`, `[[]]`,
	`{`, `{"`, `{"a"`, `{"a":`, `{"a":1`, `{"a":1,`, `{"a":1,}`, `[1,]`, `[,]`, `{,}`, `{"a":01}`, `{"a":-}`, `{"a":+1}`, `{"a":1.}`, `{"a":1}x`, `{"a":"` + "\n" + `"}`, ` {}`, `{"a":tru}`,
	`{"a":1e999}`, `{"a":1e-999}`, `{"a":"\u0000"}`, `{"a":` + strings.Repeat("[", 600) + strings.Repeat("]", 600) + `}`, ``, `"a"`, `{"a":[1,2}`, `{"a":{"sensitive":"x"}}`,
}

func TestStoredReadsWhatEncodingJSONDoes(t *testing.T) {
	for _, s := range storedTexts {
		same(t, s)
	}
	for _, s := range []string{`{"value":"hello","n":3,"list":["a",{"b":true}]}`, `{"secret":{"sensitive":true},"value":{"value":1.5}}`, `{}`} {
		if _, ok := storedInputs(s); !ok {
			t.Errorf("%s was not read fast", s)
		}
	}
}

func same(t *testing.T, s string) {
	if fast, ok := storedInputs(s); ok {
		slow := map[string]any{}
		if err := fromJSON(s, &slow); err != nil || !reflect.DeepEqual(fast, slow) {
			t.Errorf("%q as inputs: %v fast, %v and %v slowly", s, fast, slow, err)
		}
	}
	if fast, ok := storedOutputs(s); ok {
		slow := map[string]Output{}
		err := fromJSON(s, &slow)
		if err != nil || !reflect.DeepEqual(fast, numbered(slow)) {
			t.Errorf("%q as outputs: %v fast, %v and %v slowly", s, fast, slow, err)
		}
	}
	if fast, ok := storedObjects(s); ok {
		slow, err := array[engine.Object](s)
		if err != nil || !reflect.DeepEqual(fast, slow) {
			t.Errorf("%q as objects: %v fast, %v and %v slowly", s, fast, slow, err)
		}
	}
}

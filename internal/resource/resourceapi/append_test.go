package resourceapi

import (
	"bytes"
	"encoding/json"
	"math"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"fairlead/internal/httpx"
)

// TestResourcesWriteThemselvesAsEncodingJSONDoes fills what is shown with
// everything that its types hold, field by field and at random, so that a field
// that is added and not written fails it.
func TestResourcesWriteThemselvesAsEncodingJSONDoes(t *testing.T) {
	t.Parallel()
	check := func(v httpx.Appender) {
		t.Helper()
		var want bytes.Buffer
		enc := json.NewEncoder(&want)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(v); err != nil {
			t.Fatal(err)
		}
		got, err := v.AppendJSON([]byte("before"))
		if err != nil || string(got)+"\n" != "before"+want.String() {
			t.Fatalf("it writes, with %v:\n%s\nencoding/json:\n%s", err, got, want.String())
		}
	}
	check(Resource{})
	check(httpx.Page[Resource]{})
	check(httpx.NewPage([]Resource{}, ""))
	random := rand.New(rand.NewPCG(1, 2))
	for i := range reflect.TypeFor[Resource]().NumField() {
		for range 20 {
			var r Resource
			fill(random, reflect.ValueOf(&r).Elem().Field(i), 0)
			check(r)
		}
	}
	for range 200 {
		page := httpx.Page[Resource]{Next: samples[random.IntN(len(samples))], Items: make([]Resource, 3)}
		for i := range page.Items {
			fill(random, reflect.ValueOf(&page.Items[i]).Elem(), 0)
		}
		check(page)
	}
	if _, err := (Resource{Inputs: map[string]any{"n": math.NaN()}}).AppendJSON(nil); err == nil {
		t.Error("what JSON does not know is no error")
	}
}

var samples = []string{"", "plain", `"quoted" \ <b>&`, "line\nbreak\x00\x7f", "é 日本 \u2028", "\xff"}

func fill(random *rand.Rand, v reflect.Value, depth int) {
	switch v.Interface().(type) {
	case time.Time:
		v.Set(reflect.ValueOf(time.UnixMicro(random.Int64N(4e15)).UTC()))
		if random.IntN(4) == 0 {
			v.Set(reflect.ValueOf(time.Unix(random.Int64N(4e9), 0).In(time.FixedZone("", 3600))))
		}
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(samples[random.IntN(len(samples))])
	case reflect.Int, reflect.Int64:
		v.SetInt(random.Int64() - random.Int64())
	case reflect.Float64:
		v.SetFloat(random.NormFloat64())
	case reflect.Bool:
		v.SetBool(random.IntN(2) == 0)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(random, v.Elem(), depth)
	case reflect.Struct:
		for i := range v.NumField() {
			fill(random, v.Field(i), depth)
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), random.IntN(3), 3))
		for i := range v.Len() {
			fill(random, v.Index(i), depth+1)
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for range random.IntN(12) {
			item := reflect.New(v.Type().Elem()).Elem()
			fill(random, item, depth+1)
			v.SetMapIndex(reflect.ValueOf(samples[random.IntN(len(samples))]+samples[random.IntN(len(samples))]), item)
		}
	case reflect.Interface:
		if of := anything[random.IntN(len(anything))]; of != nil && (depth < 4 || of.Kind() == reflect.String) {
			item := reflect.New(of).Elem()
			fill(random, item, depth+1)
			v.Set(item)
		}
	default:
		panic("nothing here fills a " + v.Type().String())
	}
}

// anything is what a value from JSON can be.
var anything = []reflect.Type{
	nil, reflect.TypeFor[string](), reflect.TypeFor[bool](), reflect.TypeFor[int64](), reflect.TypeFor[float64](),
	reflect.TypeFor[[]any](), reflect.TypeFor[map[string]any](), reflect.TypeFor[[]string](),
}

package httpx_test

import (
	"encoding/json"
	"testing"

	"fairlead/internal/fault"
	"fairlead/internal/httpx"
)

func FuzzCursor(f *testing.F) {
	for _, s := range []string{"", "a", httpx.Cursor("x/1"), httpx.Cursor("\xff"), "eyJhIjoieCJ9", "eyJhIjoieCIsImEiOiJ5In0", "====", "e30"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		after, err := httpx.ParseCursor(s)
		if err != nil {
			if !fault.Is(err, fault.Invalid) || after != "" {
				t.Fatalf("%q: %q %v", s, after, err)
			}
			return
		}
		if httpx.Cursor(after) != s {
			t.Fatalf("%q and %q are the same place", s, httpx.Cursor(after))
		}
	})
}

func FuzzIfMatch(f *testing.F) {
	for _, s := range []string{"", "*", `"1"`, `W/"1"`, `"01"`, `"-1"`, `"1", "2"`, `"`, `""`, `"9223372036854775808"`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		v, err := httpx.ParseIfMatch(s)
		if err != nil && (!fault.Is(err, fault.Invalid) || v != 0) || v < 0 {
			t.Fatalf("%q: %d %v", s, v, err)
		}
		if v > 0 {
			if again, err := httpx.ParseIfMatch(httpx.ETag(v)); again != v || err != nil {
				t.Fatalf("%q: %d %d %v", s, v, again, err)
			}
		}
	})
}

func FuzzIdempotencyKey(f *testing.F) {
	for _, s := range []string{"", "a", " ", "a b", "é", "\x00", "0f7d0d9c-9d7e-4b53-8a5a-3f4b4d1a2c3e"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		key, err := httpx.ParseIdempotencyKey([]string{s})
		if err != nil {
			if !fault.Is(err, fault.Invalid) {
				t.Fatal(err)
			}
			return
		}
		if key != s || len(s) == 0 || len(s) > 128 {
			t.Fatalf("%q became %q", s, key)
		}
	})
}

// FuzzCheckJSON holds the check against encoding/json: what passes is JSON.
func FuzzCheckJSON(f *testing.F) {
	for _, s := range []string{`{}`, `{"a":1,"a":2}`, `[[[]]]`, `"\ud800"`, `"\\u0000"`, `"\u0000"`, "\"\xff\"", `{} {}`, `nul`, ``} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		err := httpx.CheckJSON(b)
		if err == nil && !json.Valid(b) {
			t.Fatalf("%q passed", b)
		}
		if err != nil && !fault.Is(err, fault.Invalid) {
			t.Fatal(err)
		}
	})
}

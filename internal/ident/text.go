package ident

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"fairlead/internal/fault"
)

// CheckText tells whether s is a line of text fit for a title or a display
// name: valid UTF-8, at most most characters, no control characters and none
// that turn the writing direction, by which one text poses as another. The
// fault is Invalid with the code "invalid_text" and the field given.
func CheckText(field, s string, most int) error {
	bad := func(why string) error {
		return fault.New(fault.Invalid, "invalid_text", "%s %s", strings.TrimPrefix(field, "/"), why).WithField(field).
			WithHint("use one line of at most %d characters", most)
	}
	switch {
	case !utf8.ValidString(s):
		return bad("is not valid UTF-8")
	case utf8.RuneCountInString(s) > most:
		return bad("is too long")
	case strings.ContainsFunc(s, func(r rune) bool {
		return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || unicode.Is(unicode.Bidi_Control, r)
	}):
		return bad("contains control characters")
	}
	return nil
}

// CheckAttributes tells whether m may be the attributes that policies look at:
// at most 32, keys of letters, digits, "_", "-" and ".", starting with a
// letter, values of at most 256 characters.
func CheckAttributes(field string, m map[string]string) error {
	if len(m) > 32 {
		return fault.New(fault.Invalid, "too_many_attributes", "%d attributes are too many", len(m)).
			WithField(field).WithHint("use at most 32")
	}
	for k, v := range m {
		if !attributeKey(k) {
			return fault.New(fault.Invalid, "invalid_attribute", "%q is not a valid attribute name", clip(k)).
				WithField(field).WithHint("use letters, digits, _, - and ., starting with a letter; at most 63")
		}
		if err := CheckText(field+"/"+k, v, 256); err != nil {
			return err
		}
	}
	return nil
}

func attributeKey(k string) bool {
	if k == "" || len(k) > 63 {
		return false
	}
	for i := range len(k) {
		c := k[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && (i == 0 || (c < '0' || c > '9') && c != '_' && c != '-' && c != '.') {
			return false
		}
	}
	return true
}

// IsRef tells whether s could be a name or an id at all. What could not need
// not be looked up: there is no such thing.
func IsRef(s string) bool {
	if s == "" || len(s) > 64 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return true
}

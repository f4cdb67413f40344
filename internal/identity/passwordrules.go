package identity

import (
	_ "embed"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"fairlead/internal/fault"
	"fairlead/internal/redact"
)

//go:embed passwords.txt
var commonList string

// common holds the passwords that everybody tries first, in lower case
// without punctuation.
var common = func() map[string]bool {
	m := map[string]bool{}
	for line := range strings.Lines(commonList) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			m[line] = true
		}
	}
	return m
}()

const (
	minPassword = 12  // characters
	maxPassword = 256 // characters: long enough for any phrase, short enough to hash
)

// checkPassword tells whether a user may take a password. It asks for length
// and against guessing lists, not for kinds of characters.
func checkPassword(name, displayName string, password redact.Secret) error {
	bad := func(code, why string) error {
		return fault.New(fault.Invalid, code, "the password %s", why).WithField("/password").
			WithHint("use %d to %d characters; a few unrelated words are good", minPassword, maxPassword)
	}
	s := password.Reveal()
	if !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) }) {
		return bad("invalid_password", "contains characters that cannot be typed")
	}
	s = norm.NFC.String(s)
	switch n := utf8.RuneCountInString(s); {
	case n < minPassword:
		return bad("password_too_short", "is too short")
	case n > maxPassword:
		return bad("password_too_long", "is too long")
	}
	plain := letters(s)
	base := strings.TrimRightFunc(plain, unicode.IsDigit)
	for _, own := range []string{letters(name), letters(displayName), "fairlead"} {
		if own != "" && strings.ReplaceAll(base, own, "") == "" && base != "" {
			return bad("password_is_name", "is the account's own name")
		}
	}
	if common[plain] || common[base] || repeats(plain) || repeats(strings.ToLower(s)) || sequence(plain) {
		return bad("password_too_common", "is one of those that everybody tries first")
	}
	return nil
}

// letters reduces s to its letters and digits in lower case, so that
// "Pass-Word!" is "password".
func letters(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, s)
}

// repeats tells whether s is one short or common word over and over.
func repeats(s string) bool {
	for n := 1; n <= len(s)/2; n++ {
		if strings.Repeat(s[:n], len(s)/n+1)[:len(s)] == s && (n <= 4 || common[s[:n]]) {
			return true
		}
	}
	return false
}

// sequence tells whether s just walks along the alphabet, the digits or a
// keyboard's row.
func sequence(s string) bool {
	if s == "" {
		return false
	}
	for _, row := range []string{"abcdefghijklmnopqrstuvwxyz", "1234567890", "0123456789", "qwertyuiopasdfghjklzxcvbnm", "qwertzuiopasdfghjklyxcvbnm"} {
		twice := row + row
		if strings.Contains(twice, s) || strings.Contains(reverse(twice), s) {
			return true
		}
	}
	return false
}

func reverse(s string) string {
	b := []byte(s)
	for i, j := 0, len(b)-1; i < j; i, j = i+1, j-1 {
		b[i], b[j] = b[j], b[i]
	}
	return string(b)
}

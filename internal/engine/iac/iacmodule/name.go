package iacmodule

import (
	"strings"
	"unicode"

	"github.com/hashicorp/hcl/v2/hclsyntax"
)

func hclName(s string) bool { return hclsyntax.ValidIdentifier(s) }

// clip is a stranger's name in a message.
func clip(s string) string {
	if r := []rune(s); len(r) > 60 {
		s = string(r[:60]) + "…"
	}
	return Text(s, 400)
}

// Text is a stranger's text, as it may be shown: bounded, and with nothing
// in it that is no text.
func Text(s string, most int) string {
	s = strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' || unicode.IsPrint(r) {
			return r
		}
		return -1
	}, strings.ToValidUTF8(s, ""))
	if r := []rune(s); len(r) > most {
		s = string(r[:most]) + "…"
	}
	return strings.TrimSpace(s)
}

// Title makes a label of a name: "instance_type" is "Instance type".
func Title(name string) string {
	s := strings.Join(strings.FieldsFunc(name, func(r rune) bool { return r == '_' || r == '-' }), " ")
	if s == "" {
		return name
	}
	r := []rune(s)
	r[0] = unicode.ToUpper(r[0])
	return string(r)
}

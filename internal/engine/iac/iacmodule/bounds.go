package iacmodule

import (
	"bytes"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// The bounds of a module. The parsers recurse with the nesting of what they
// read, and a goroutine's stack that overflows ends the server.
const (
	maxFile      = 512 << 10 // bytes of one configuration file
	maxAll       = 2 << 20   // bytes of all of them
	maxFiles     = 300
	maxTokens    = 200_000 // of one file
	maxNesting   = 80      // brackets, interpolations, heredocs
	maxRun       = 20      // of unary operators
	maxBranches  = 2000    // of conditionals and template directives in one file
	maxVariables = 300
	maxOutputs   = 400
	maxModules   = 50 // local modules that are called, at any depth
)

// bounded says where a file of the native syntax goes beyond the bounds.
func bounded(src []byte, name string) hcl.Diagnostics {
	start := hcl.InitialPos
	tokens, _ := hclsyntax.LexConfig(src, name, start) // what is wrong with them the parser says
	tooMuch := func(t hclsyntax.Token, what string) hcl.Diagnostics {
		return hcl.Diagnostics{{Severity: hcl.DiagError, Summary: "Too complex", Detail: what, Subject: &t.Range}}
	}
	if len(tokens) > maxTokens {
		return tooMuch(tokens[maxTokens], "the file has too many parts")
	}
	depth, run, branches := 0, 0, 0
	for _, t := range tokens {
		if t.Type == hclsyntax.TokenBang || t.Type == hclsyntax.TokenMinus {
			if run++; run > maxRun {
				return tooMuch(t, "too many signs in a row")
			}
		} else if t.Type != hclsyntax.TokenNewline && t.Type != hclsyntax.TokenComment {
			run = 0
		}
		if t.Type == hclsyntax.TokenNumberLit && vast(t.Bytes) {
			return tooMuch(t, "the number is out of range")
		}
		switch t.Type {
		case hclsyntax.TokenOBrace, hclsyntax.TokenOBrack, hclsyntax.TokenOParen, hclsyntax.TokenTemplateInterp,
			hclsyntax.TokenTemplateControl, hclsyntax.TokenOQuote, hclsyntax.TokenOHeredoc:
			if depth++; depth > maxNesting {
				return tooMuch(t, "nested too deep")
			}
		case hclsyntax.TokenCBrace, hclsyntax.TokenCBrack, hclsyntax.TokenCParen, hclsyntax.TokenTemplateSeqEnd,
			hclsyntax.TokenCQuote, hclsyntax.TokenCHeredoc:
			depth = max(depth-1, 0)
		}
		if t.Type == hclsyntax.TokenQuestion || t.Type == hclsyntax.TokenTemplateControl {
			if branches++; branches > maxBranches {
				return tooMuch(t, "too many conditions")
			}
		}
	}
	return nil
}

// vast tells whether a number's digits, written out, would fill memory.
func vast(literal []byte) bool {
	if i := bytes.IndexAny(literal, "eE"); i >= 0 && len(bytes.TrimLeft(literal[i+1:], "+-0")) > 3 {
		return true
	}
	return len(literal) > 400
}

// boundedJSON is bounded for the JSON syntax, whose strings hold expressions.
func boundedJSON(src []byte, name string) hcl.Diagnostics {
	depth, inside, run := 0, 0, 0 // of the document, of the string's own text
	quoted, escaped := false, false
	line := 1
	for _, c := range src {
		if c == '\n' {
			line++
		}
		switch {
		case escaped:
			escaped = false
		case c == '\\' && quoted:
			escaped = true
		case c == '"':
			quoted, inside, run = !quoted, 0, 0
		case quoted:
			inside, run = within(c, inside, run)
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			depth--
		}
		if depth > maxNesting || inside > maxNesting || run > maxRun*10 {
			at := hcl.Pos{Line: line, Column: 1}
			return hcl.Diagnostics{{Severity: hcl.DiagError, Summary: "Too complex", Detail: "nested too deep",
				Subject: &hcl.Range{Filename: name, Start: at, End: at}}}
		}
	}
	return nil
}

func within(c byte, inside, run int) (int, int) {
	if bytes.IndexByte([]byte("([{"), c) >= 0 {
		inside++
	} else if bytes.IndexByte([]byte(")]}"), c) >= 0 {
		inside = max(inside-1, 0)
	}
	if c == '!' || c == '-' || c == '?' {
		run++
	}
	return inside, run
}

package clikit

import (
	"io"
	"os"
	"strings"
	"unicode"

	"golang.org/x/term"
)

// Style colours text, or leaves it as it is.
type Style struct{ on bool }

func (s Style) sgr(code, text string) string {
	if !s.on || text == "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// Bold and the others give text in that style.
func (s Style) Bold(text string) string { return s.sgr("1", text) }

// Dim is for what matters less.
func (s Style) Dim(text string) string { return s.sgr("2", text) }

// Red is for what failed.
func (s Style) Red(text string) string { return s.sgr("31", text) }

// Green is for what is well.
func (s Style) Green(text string) string { return s.sgr("32", text) }

// Yellow is for what needs a look.
func (s Style) Yellow(text string) string { return s.sgr("33", text) }

// Cyan is for what is under way.
func (s Style) Cyan(text string) string { return s.sgr("36", text) }

// Phase colours a state by what it means for whoever reads it.
func (s Style) Phase(phase string) string {
	switch phase {
	case "ready", "succeeded", "allowed", "passed":
		return s.Green(phase)
	case "failed", "lost", "denied":
		return s.Red(phase)
	case "waiting", "retrying", "canceled", "destroying", "releasing", "disabled", "expired", "revoked":
		return s.Yellow(phase)
	case "pending", "planning", "applying", "running":
		return s.Cyan(phase)
	}
	return phase
}

// colours tells whether w is to be coloured: NO_COLOR and CLICOLOR=0 say no,
// CLICOLOR_FORCE says yes, and otherwise a terminal that is not dumb does.
func colours(w io.Writer, env func(string) string) bool {
	switch force := env("CLICOLOR_FORCE"); {
	case env("NO_COLOR") != "":
		return false
	case force != "" && force != "0":
		return true
	case env("CLICOLOR") == "0", env("TERM") == "dumb":
		return false
	}
	return isTerminal(w)
}

func isTerminal(v any) bool {
	f, ok := v.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// widthOf gives the columns of w's terminal, 0 when it is none.
func widthOf(w io.Writer) int {
	f, ok := w.(*os.File)
	if !ok {
		return 0
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0
	}
	return width
}

// clean takes out what would steer a terminal: what others wrote must not move
// the cursor, rename the window or hide itself.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return ' '
		case unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == unicode.ReplacementChar:
			return '?'
		}
		return r
	}, s)
}

// Clean is clean for the faces: one line of somebody else's text.
func Clean(s string) string { return clean(s) }

// CleanText is Clean, but keeps line breaks and tabs.
func CleanText(s string) string {
	lines := strings.Split(strings.ReplaceAll(s, "\r\n", "\n"), "\n")
	for i, line := range lines {
		parts := strings.Split(line, "\t")
		for j := range parts {
			parts[j] = clean(parts[j])
		}
		lines[i] = strings.Join(parts, "\t")
	}
	return strings.Join(lines, "\n")
}

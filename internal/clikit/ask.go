package clikit

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"fairlead/internal/redact"
)

const maxSecret = 8 << 10

// AskSecret reads a secret without showing it: from the terminal or, when
// standard input is none, its first line.
func (c *CLI) AskSecret(prompt string) (redact.Secret, error) {
	f, ok := c.in.(*os.File)
	if !ok || !isTerminal(c.in) {
		return c.ReadSecret()
	}
	_, _ = fmt.Fprint(c.err, prompt)
	before, err := term.GetState(int(f.Fd()))
	if err != nil {
		return redact.Secret{}, fmt.Errorf("read from the terminal: %w", err)
	}
	secret, err := c.typed(func() (string, error) {
		b, err := term.ReadPassword(int(f.Fd()))
		return string(b), err
	})
	if err != nil { // a read that was left alone has left the echo off
		_ = term.Restore(int(f.Fd()), before)
	}
	_, _ = fmt.Fprintln(c.err)
	return redact.New(secret), err
}

// typed waits for somebody to type, or to press Ctrl-C: a read of a terminal
// cannot be ended, so it is left to the end of the program.
func (c *CLI) typed(read func() (string, error)) (string, error) {
	type input struct {
		text string
		err  error
	}
	came := make(chan input, 1)
	go func() {
		text, err := read()
		came <- input{text, err}
	}()
	select {
	case in := <-came:
		if in.err != nil && !errors.Is(in.err, io.EOF) {
			return "", fmt.Errorf("read from the terminal: %w", in.err)
		}
		return in.text, nil
	case <-c.interrupted:
		return "", Interrupted("interrupted; nothing was done")
	}
}

// ReadSecret takes the first line of standard input.
func (c *CLI) ReadSecret() (redact.Secret, error) {
	line, err := bufio.NewReader(io.LimitReader(c.in, maxSecret)).ReadString('\n')
	if err != nil && err != io.EOF {
		return redact.Secret{}, fmt.Errorf("read standard input: %w", err)
	}
	line = strings.TrimRight(line, "\r\n")
	if line == "" {
		return redact.Secret{}, Usage("nothing came on standard input").WithHint("pipe it in as one line")
	}
	return redact.New(line), nil
}

// Confirm lets somebody type a word before what cannot be undone. Without a
// terminal it refuses: nobody is there to be asked.
func (c *CLI) Confirm(what, word, flag string) error {
	if !c.Interactive() {
		return Usage("%s: this needs a confirmation, and there is no terminal to ask on", strings.TrimSuffix(what, ".")).WithHint("add %s", flag)
	}
	_, _ = fmt.Fprintf(c.err, "%s\nType %s to go on: ", CleanText(what), c.errStyle.Bold(clean(word)))
	line, err := c.typed(func() (string, error) {
		return bufio.NewReader(io.LimitReader(c.in, maxSecret)).ReadString('\n')
	})
	if err != nil {
		_, _ = fmt.Fprintln(c.err) // below the question
		return err
	}
	if strings.TrimSpace(line) != word {
		return Failure("not_confirmed", "not confirmed; nothing was done")
	}
	return nil
}

// ReadFile reads what an argument names, "-" being standard input, up to most
// bytes.
func (c *CLI) ReadFile(name string, most int64) ([]byte, error) {
	in := c.in
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, Usage("%s cannot be read: %s", clean(name), reason(err)).WithCause(err)
		}
		defer f.Close()
		in = f
	}
	b, err := io.ReadAll(io.LimitReader(in, most+1))
	if err != nil {
		return nil, Usage("%s cannot be read: %s", clean(name), reason(err)).WithCause(err)
	}
	if int64(len(b)) > most {
		return nil, Usage("%s is larger than %d bytes", clean(name), most)
	}
	return b, nil
}

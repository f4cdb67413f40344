package clikit

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"fairlead/internal/apiclient"
	"fairlead/internal/yamlx"
)

// nearCommand is the command below cmd that a misspelt one stands for, or "".
func nearCommand(cmd *cobra.Command, word string) string {
	var names []string
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() {
			names = append(append(names, sub.Name()), sub.Aliases...)
		}
	}
	return yamlx.Nearest(word, names)
}

func noCommand(cmd *cobra.Command, word string) error {
	f := Usage("%s has no command %q", cmd.CommandPath(), clean(word))
	if near := nearCommand(cmd, word); near != "" {
		return f.WithHint("did you mean: %s %s", cmd.CommandPath(), near)
	}
	return f.WithHint("see: %s --help", cmd.CommandPath())
}

// helpChecks lets fairlead help refuse what there is not, as --help does.
func helpChecks(root *cobra.Command) {
	for _, sub := range root.Commands() {
		if sub.Name() != "help" {
			continue
		}
		sub.Args = func(_ *cobra.Command, args []string) error {
			at, rest, err := root.Find(args)
			if len(args) == 0 || err == nil && (len(rest) == 0 || !at.HasSubCommands()) {
				return nil
			}
			if err == nil {
				return noCommand(at, rest[0])
			}
			return noCommand(root, args[0])
		}
	}
}

// maxGuesses is how many names of a command line are looked at, each with one
// question to the server.
const maxGuesses = 2

// explain adds to what was not found what it is most likely a misspelling of:
// one of those that the shell's completion would have offered in its place.
func (c *CLI) explain(err error) {
	e, ok := errors.AsType[*apiclient.Error](err)
	if !ok || e.Status != http.StatusNotFound || c.ran == nil || strings.Contains(e.Hint, "did you mean") {
		return
	}
	near := c.nearFlag("environment")
	if near == "" {
		near = c.nearFlag("project")
	}
	for i := 0; near == "" && c.ran.ValidArgsFunction != nil && i < min(len(c.given), maxGuesses); i++ {
		project, _, _ := strings.Cut(c.given[i], "/")
		if project += "/"; !strings.HasPrefix(c.given[i], project) {
			project = ""
		}
		offered, _ := c.ran.ValidArgsFunction(c.ran, c.given[:i], project)
		near = nearest(c.given[i], offered)
	}
	if near == "" {
		return
	}
	hint := "did you mean " + clean(near) + "?"
	if e.Hint != "" {
		hint += " Else " + e.Hint
	}
	e.Hint = hint
}

// nearFlag is nearest for a place that a flag names.
func (c *CLI) nearFlag(name string) string {
	flag := c.ran.Flag(name)
	if flag == nil || !flag.Changed {
		return ""
	}
	choices := c.Projects
	if name == "environment" {
		if choices = c.Environments; strings.Contains(flag.Value.String(), "/") {
			choices = c.Places
		}
	}
	offered, _ := c.offer(c.ran, choices, nil, "")
	return nearest(flag.Value.String(), offered)
}

// nearest is the offered name that is most like typed; "" when typed is one of
// them, or none is like it.
func nearest(typed string, offered []cobra.Completion) string {
	var names []string
	for _, o := range offered {
		name, _, _ := strings.Cut(o, "\t")
		names = append(names, name)
	}
	if slices.Contains(names, typed) {
		return ""
	}
	return yamlx.Nearest(typed, names)
}

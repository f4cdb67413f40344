package resource

import "strings"

// verbs are the commands that are about one resource.
var verbs = []string{
	"describe", "destroy", "drift accept", "drift check", "drift heal", "drift show", "exempt", "get", "logs", "pin", "plan --change", "retry", "rotate", "start", "stop", "unpin", "why",
}

// Pasted completes the commands of a hint that are about r: with its name where
// an engine, which knows no names, could not say it, and with its place. So they
// do what they should wherever they are pasted.
func (r Resource) Pasted(hint string) string {
	const program = "fairlead "
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(hint, program)
		b.WriteString(before)
		if !found {
			return b.String()
		}
		b.WriteString(program)
		hint = r.completed(&b, rest)
	}
}

// completed writes a command's verb and resource, if it has any, and gives what
// follows.
func (r Resource) completed(b *strings.Builder, command string) string {
	for _, verb := range verbs {
		rest, ok := strings.CutPrefix(command, verb)
		if !ok || rest != "" && !strings.ContainsAny(rest[:1], " .,;:)\n") {
			continue
		}
		named := false
		for _, name := range []string{r.Name, r.ID, "RESOURCE", "NAME"} {
			after, ok := strings.CutPrefix(rest, " "+name)
			if ok && (after == "" || strings.ContainsAny(after[:1], " .,;:)\n")) {
				rest, named = after, true
				break
			}
		}
		if !named && strings.HasPrefix(rest, " ") { // it is about something else, or goes on in words
			break
		}
		b.WriteString(verb + " " + r.Name)
		if !strings.HasPrefix(rest, " -e ") && !strings.HasPrefix(rest, " -p ") {
			b.WriteString(" -e " + r.Project + "/" + r.Environment)
		}
		return rest
	}
	return command
}

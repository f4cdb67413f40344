package access

import "fairlead/internal/fault"

// Missing is one fault for what does not exist and for what the caller may not
// know of, so that nobody can tell the two apart.
func Missing(kind string) *fault.Error {
	f := fault.New(fault.NotFound, "not_found", "there is no such %s, or none that you may know of", kind)
	if list, ok := listedBy[kind]; ok {
		return f.WithHint("see which there are: fairlead %s", list)
	}
	return f.WithHint("check the name; list what you can see")
}

// listedBy is the command that lists the things of a kind.
var listedBy = map[string]string{
	"team": "team ls", "user": "user ls", "robot": "robot ls", "token": "token ls", "user or robot": "user ls",
	"project": "project ls", "environment": "env ls", "quota": "quota ls",
}

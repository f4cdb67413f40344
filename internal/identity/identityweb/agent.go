package identityweb

import "strings"

// agent says which program a session is of, in few words.
func agent(s string) string {
	for _, known := range []struct{ part, name string }{{"fairlead/", "Command line"}, {"Firefox/", "Firefox"}, {"Edg/", "Edge"}, {"Chrome/", "Chrome"}, {"Safari/", "Safari"}, {"curl/", "curl"}} {
		if strings.Contains(s, known.part) {
			for _, system := range []string{"Android", "iPhone", "Windows", "Mac OS", "Linux"} {
				if strings.Contains(s, system) {
					return known.name + " on " + system
				}
			}
			return known.name
		}
	}
	if s == "" {
		return "unknown program"
	}
	return s[:min(len(s), 60)]
}

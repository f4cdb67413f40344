package sqldb

import "encoding/json"

// Attributes is how a column keeps attributes: a JSON object.
func Attributes(m map[string]string) string {
	if len(m) == 0 {
		return "{}"
	}
	b, err := json.Marshal(m)
	if err != nil {
		return "{}" // of text to text there is no error
	}
	return string(b)
}

// ParseAttributes reads such a column. What cannot be read has none: absence
// never grants.
func ParseAttributes(s string) map[string]string {
	var m map[string]string
	if json.Unmarshal([]byte(s), &m) != nil || m == nil {
		return map[string]string{}
	}
	return m
}

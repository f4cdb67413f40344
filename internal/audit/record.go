package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"fairlead/internal/access"
)

const (
	maxDetails = 8 << 10 // bytes of JSON; what is larger is cut and says so
	cutDetails = 4000    // of them are kept then; escaping at most doubles them
	maxString  = 512     // bytes of any other text

	timeFormat = "2006-01-02T15:04:05.000000Z"
)

// genesis is the prev of the first record.
var genesis = strings.Repeat("0", 64)

// The outcomes of a record.
const (
	Allowed  = "allowed"
	Denied   = "denied"
	NotAsked = "not-asked" // Fairlead's own work, or what needs no permission, such as signing in
)

// Record is one entry of the log as it is stored.
type Record struct {
	Seq           int64
	At            time.Time
	ActorID       string
	ActorKind     string
	ActorName     string
	Credential    string // id of the session or token used
	Action        string
	TargetKind    string
	TargetID      string
	TargetName    string
	TeamID        string
	ProjectID     string
	EnvironmentID string
	Address       string
	RequestID     string
	Decision      string // Allowed, Denied or NotAsked
	Policies      json.RawMessage
	PolicyVersion int64
	Details       json.RawMessage
	PrevHash      string
	Hash          string
}

// newRecord makes the record of a pending entry, all but its place in the
// chain.
func newRecord(p pending, at time.Time) Record {
	e := p.entry
	r := Record{
		At: at, ActorID: text(p.actor.ID), ActorKind: text(string(p.actor.Kind)), ActorName: text(p.actor.Name),
		Credential: text(p.actor.SessionID + p.actor.TokenID), // only one is ever set
		Action:     text(e.Action),
		TargetKind: text(e.Target.Kind), TargetID: text(e.Target.ID), TargetName: text(e.Target.Name),
		TeamID: text(e.Target.TeamID), ProjectID: text(e.Target.ProjectID), EnvironmentID: text(e.Target.EnvironmentID),
		Address: text(p.origin.Address), RequestID: text(p.origin.RequestID),
		Decision: outcome(e.Decision), PolicyVersion: e.Decision.Version,
		Policies: json.RawMessage("[]"), Details: json.RawMessage("{}"),
	}
	if len(e.Decision.Policies) > 0 {
		r.Policies = bounded(e.Decision.Policies)
	}
	if len(e.Details) > 0 {
		r.Details = bounded(e.Details)
	}
	return r
}

func outcome(d access.Decision) string {
	switch {
	case d.Allowed:
		return Allowed
	case len(d.Policies) == 0 && d.Version == 0:
		return NotAsked
	default:
		return Denied
	}
}

// text makes s fit to be stored by either database, and bounded.
func text(s string) string {
	if len(s) > maxString {
		s = s[:maxString] + "…"
	}
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "\ufffd")
	}
	if strings.IndexByte(s, 0) >= 0 {
		s = strings.ReplaceAll(s, "\x00", "\ufffd")
	}
	return s
}

// bounded is v as JSON of at most maxDetails. A redact.Secret anywhere in it
// shows as [redacted], by its own doing. What cannot be JSON is a defect of
// the caller; it is noted in its place, for it must not stop the group.
func bounded(v any) json.RawMessage {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return json.RawMessage(`{"_unencodable":true}`)
	}
	out := bytes.TrimSuffix(b.Bytes(), []byte("\n"))
	if len(out) <= maxDetails {
		return out
	}
	cut := append([]byte(`{"_truncated":true,"_bytes":`), strconv.Itoa(len(out))...)
	cut = append(cut, `,"_start":`...)
	cut = appendString(cut, strings.ToValidUTF8(string(out[:cutDetails]), ""))
	return append(cut, '}')
}

// appendRecord appends the canonical form of r. The order of fields is part
// of the format; so a field is only ever added, at the end, with a new format
// version.
func appendRecord(b []byte, r *Record) []byte {
	b = append(b, `{"seq":`...)
	b = strconv.AppendInt(b, r.Seq, 10)
	b = append(b, `,"at":"`...)
	b = r.At.UTC().AppendFormat(b, timeFormat)
	b = append(b, '"')
	for _, f := range [...]struct{ key, value string }{
		{`,"actorId":`, r.ActorID}, {`,"actorKind":`, r.ActorKind}, {`,"actorName":`, r.ActorName},
		{`,"credential":`, r.Credential}, {`,"action":`, r.Action},
		{`,"targetKind":`, r.TargetKind}, {`,"targetId":`, r.TargetID}, {`,"targetName":`, r.TargetName},
		{`,"teamId":`, r.TeamID}, {`,"projectId":`, r.ProjectID}, {`,"environmentId":`, r.EnvironmentID},
		{`,"address":`, r.Address}, {`,"requestId":`, r.RequestID}, {`,"decision":`, r.Decision},
	} {
		b = append(b, f.key...)
		b = appendString(b, f.value)
	}
	b = append(b, `,"policies":`...)
	b = appendJSON(b, r.Policies)
	b = append(b, `,"policyVersion":`...)
	b = strconv.AppendInt(b, r.PolicyVersion, 10)
	b = append(b, `,"details":`...)
	b = appendJSON(b, r.Details)
	return append(b, '}')
}

// appendJSON appends stored JSON as it is. Somebody may have written to the
// database what is no JSON, or has line breaks: that goes in as a string, so
// that the export keeps its form and the hash tells.
func appendJSON(b []byte, j json.RawMessage) []byte {
	if !json.Valid(j) || bytes.ContainsAny(j, "\n\r") {
		return appendString(b, string(j))
	}
	return append(b, j...)
}

const hexDigits = "0123456789abcdef"

// appendString appends s as a JSON string, escaped as RFC 8785 says.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	start := 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= 0x20 && c != '"' && c != '\\' {
			continue
		}
		b = append(b, s[start:i]...)
		start = i + 1
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\b':
			b = append(b, '\\', 'b')
		case '\t':
			b = append(b, '\\', 't')
		case '\n':
			b = append(b, '\\', 'n')
		case '\f':
			b = append(b, '\\', 'f')
		case '\r':
			b = append(b, '\\', 'r')
		default:
			b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	b = append(b, s[start:]...)
	return append(b, '"')
}

// The fixed parts of a record's line. Hashes are 64 characters, always.
const (
	linePrev   = `{"prev":"`
	lineRecord = `","record":`
	lineHash   = `,"hash":"`
	lineEnd    = `"}`
)

// appendHashed appends the part of r's line that its hash covers.
func appendHashed(b []byte, r *Record) []byte {
	b = append(b, `{"prev":`...)
	b = appendString(b, r.PrevHash)
	b = append(b, `,"record":`...)
	return appendRecord(b, r)
}

// appendLine appends r's line of an export.
func appendLine(b []byte, r *Record) []byte {
	b = appendHashed(b, r)
	b = append(b, `,"hash":`...)
	b = appendString(b, r.Hash)
	return append(b, "}\n"...)
}

// seal links r to the chain's end and gives the new end. buf is scratch.
func seal(r *Record, seq int64, prev string, buf []byte) []byte {
	r.Seq, r.PrevHash = seq, prev
	buf = appendHashed(buf[:0], r)
	sum := sha256.Sum256(buf)
	r.Hash = hex.EncodeToString(sum[:])
	return buf
}

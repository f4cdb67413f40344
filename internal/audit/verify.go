package audit

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"fairlead/internal/fault"
)

// Reason is what is wrong with an export.
type Reason string

// The reasons, each with what it usually means.
const (
	BadFormat    Reason = "format"     // a line is none of an export: it was edited, or is of another version
	BadHash      Reason = "hash"       // a record was changed
	BadGap       Reason = "gap"        // records were removed
	BadOrder     Reason = "order"      // records were moved or repeated
	BadLink      Reason = "link"       // a record does not follow from the one before it
	BadSigned    Reason = "checkpoint" // what was signed is not what stands here: the records before were rewritten
	BadSignature Reason = "signature"  // a checkpoint was forged
	BadKey       Reason = "key"        // a checkpoint is signed by a key that is not trusted
	BadEnd       Reason = "truncated"  // the end is missing
)

// Problem is the first thing wrong with an export.
type Problem struct {
	Line    int64 // counted from 1
	Seq     int64 // of the record concerned; 0 when none is
	Reason  Reason
	Message string
}

// Report is what Verify found.
type Report struct {
	Records     int64
	Checkpoints int64 // with a good signature, the final line not counted
	Hash        string
	SignedAt    time.Time // of the final line
	Keys        []Key     // that the export names
	Pinned      bool      // signatures were held against trusted keys, not against the export's own
	Problem     *Problem  // nil: the export is whole and unchanged
}

const (
	maxLine = 1 << 20
	maxKeys = 1000
)

// Verify reads an export and checks every hash, link and signature in it, in
// memory that does not grow. With trusted keys a signature counts only by one
// of them; without, by a key that the export itself names, which proves less:
// Report.Pinned says so. The error is an Invalid fault with the code
// "audit_not_verified" when the export is not what was written (Report.Problem
// then says where), or r's own error.
func Verify(r io.Reader, trusted []Key) (Report, error) {
	v := &verifier{in: bufio.NewReaderSize(r, maxLine), keys: map[string]Key{}, signatures: make(chan signature, 64)}
	copy(v.last[:], genesis)
	v.report.Pinned = len(trusted) > 0
	for _, k := range trusted {
		v.keys[k.ID] = k
	}
	done := make(chan *Problem)
	go func() { done <- checkSignatures(v.signatures) }()
	problem, err := v.run()
	close(v.signatures)
	if forged := <-done; forged != nil && (problem == nil || forged.Line < problem.Line) {
		problem = forged
	}
	v.report.Hash = string(v.last[:])
	if err != nil {
		return v.report, err
	}
	if problem == nil {
		return v.report, nil
	}
	v.report.Problem = problem
	return v.report, fault.New(fault.Invalid, "audit_not_verified", "line %d: %s", problem.Line, problem.Message).
		WithHint("keep this file and the store as they are; compare with an earlier export")
}

// signature is one check, done beside the hashing: it costs as much as a
// hundred records.
type signature struct {
	line       int64
	checkpoint Checkpoint
	statement  string
	key        Key
}

func checkSignatures(in <-chan signature) (first *Problem) {
	for s := range in {
		if first == nil && !s.checkpoint.verify(s.statement, s.key) {
			first = &Problem{s.line, s.checkpoint.Seq, BadSignature, fmt.Sprintf("the signature of the %s of record %d is forged", s.statement, s.checkpoint.Seq)}
		}
	}
	return first
}

type verifier struct {
	in         *bufio.Reader
	keys       map[string]Key
	signatures chan signature
	report     Report
	line       int64
	last       [64]byte // hash of the last record
	signed     int64    // seq of the last checkpoint
	ended      bool
}

func (v *verifier) run() (*Problem, error) {
	for {
		line, err := v.in.ReadSlice('\n')
		switch {
		case err == nil:
		case errors.Is(err, io.EOF):
			if v.ended && len(line) == 0 {
				return nil, nil
			}
			v.line++
			return v.bad(v.report.Records, BadEnd, "the export ends after record %d without its final line", v.report.Records), nil
		case errors.Is(err, bufio.ErrBufferFull):
			v.line++
			return v.bad(0, BadFormat, "a line is longer than any of an export"), nil
		default:
			return nil, fmt.Errorf("read export: %w", err)
		}
		v.line++
		if p := v.check(line[:len(line)-1]); p != nil {
			return p, nil
		}
	}
}

func (v *verifier) bad(seq int64, why Reason, format string, args ...any) *Problem {
	return &Problem{v.line, seq, why, fmt.Sprintf(format, args...)}
}

const (
	prefixExport     = `{"export":{"format":"fairlead-audit/v1","at":"`
	prefixKey        = `{"key":`
	prefixCheckpoint = `{"checkpoint":`
	prefixFinal      = `{"final":`
)

func (v *verifier) check(line []byte) *Problem {
	switch {
	case v.ended:
		return v.bad(0, BadFormat, "something follows the final line")
	case v.line == 1:
		if !bytes.HasPrefix(line, []byte(prefixExport)) {
			return v.bad(0, BadFormat, "this is not the beginning of an audit export")
		}
		return nil
	case bytes.HasPrefix(line, []byte(linePrev)):
		return v.record(line)
	case bytes.HasPrefix(line, []byte(prefixCheckpoint)):
		return v.statement(line, statementCheckpoint)
	case bytes.HasPrefix(line, []byte(prefixFinal)):
		return v.statement(line, statementFinal)
	case bytes.HasPrefix(line, []byte(prefixKey)):
		return v.key(line)
	default:
		return v.bad(v.report.Records+1, BadFormat, "the line is none of an audit export (after record %d)", v.report.Records)
	}
}

// The places in a record's line, from its start and from its end.
const (
	hashSize  = 64
	prevAt    = len(linePrev)
	recordAt  = prevAt + hashSize
	seqPrefix = lineRecord + `{"seq":`
	tail      = len(lineHash) + hashSize + len(lineEnd)
)

func (v *verifier) record(line []byte) *Problem {
	want := v.report.Records + 1
	seq, ok := parseSeq(line)
	if !ok {
		return v.bad(want, BadFormat, "the line after record %d is no whole record", want-1)
	}
	covered := line[:len(line)-tail]
	hash := line[len(covered)+len(lineHash):][:hashSize]
	sum := sha256.Sum256(covered)
	var text [hashSize]byte
	hex.Encode(text[:], sum[:])
	prev := line[prevAt:recordAt]
	switch {
	case string(text[:]) != string(hash):
		return v.bad(seq, BadHash, "record %d was changed: its hash does not match", seq)
	case seq > want:
		return v.bad(want, BadGap, "record %d is missing: record %d follows record %d", want, seq, want-1)
	case seq < want:
		return v.bad(seq, BadOrder, "record %d stands again, or out of order, after record %d", seq, want-1)
	case string(prev) != string(v.last[:]):
		return v.bad(seq, BadLink, "record %d does not follow from record %d: one of the two was replaced", seq, want-1)
	}
	v.last = text
	v.report.Records = seq
	return nil
}

// parseSeq checks the fixed parts of a record's line and gives its seq.
func parseSeq(line []byte) (int64, bool) {
	if len(line) < recordAt+len(seqPrefix)+tail+2 ||
		string(line[recordAt:recordAt+len(seqPrefix)]) != seqPrefix ||
		string(line[len(line)-tail:][:len(lineHash)]) != lineHash ||
		string(line[len(line)-len(lineEnd):]) != lineEnd {
		return 0, false
	}
	var seq int64
	digits := line[recordAt+len(seqPrefix) : len(line)-tail]
	for i, c := range digits {
		switch {
		case c >= '0' && c <= '9' && i < 18 && (i == 0 || seq > 0): // no leading zero
			seq = seq*10 + int64(c-'0')
		case c == ',' && i > 0:
			return seq, true
		default:
			return 0, false
		}
	}
	return 0, false
}

func (v *verifier) key(line []byte) *Problem {
	var in struct {
		Key struct {
			ID      string `json:"id"`
			Ed25519 string `json:"ed25519"`
		} `json:"key"`
	}
	if v.report.Records > 0 || len(v.report.Keys) >= maxKeys || json.Unmarshal(line, &in) != nil {
		return v.bad(0, BadFormat, "the line is no key, or is out of place")
	}
	k, err := ParseKey(in.Key.Ed25519)
	if err != nil || k.ID != in.Key.ID || !bytes.Equal(bytes.TrimSuffix(appendKey(nil, k), []byte("\n")), line) {
		return v.bad(0, BadKey, "the key %q is not what its id says", text(in.Key.ID))
	}
	v.report.Keys = append(v.report.Keys, k)
	if !v.report.Pinned {
		v.keys[k.ID] = k
	}
	return nil
}

func (v *verifier) statement(line []byte, statement string) *Problem {
	c, ok := parseStatement(line, statement)
	records := v.report.Records
	if !ok {
		return v.bad(records, BadFormat, "the line after record %d is no whole %s", records, statement)
	}
	switch {
	case c.Seq > records:
		return v.bad(records+1, BadGap, "records %d to %d are missing: they were signed", records+1, c.Seq)
	case c.Seq < records, statement == statementCheckpoint && c.Seq <= v.signed:
		return v.bad(c.Seq, BadOrder, "the %s of record %d stands after record %d", statement, c.Seq, records)
	case c.Hash != string(v.last[:]):
		return v.bad(v.signed+1, BadSigned, "records %d to %d are not those that were signed: some were rewritten", v.signed+1, c.Seq)
	}
	k, known := v.keys[c.KeyID]
	if !known {
		return v.bad(c.Seq, BadKey, "the %s of record %d is signed by key %q, which is not trusted", statement, c.Seq, text(c.KeyID))
	}
	v.signatures <- signature{v.line, c, statement, k}
	if statement == statementFinal {
		v.ended, v.report.SignedAt = true, c.At
		return nil
	}
	v.signed = c.Seq
	v.report.Checkpoints++
	return nil
}

// parseStatement reads a checkpoint's line; it must be exactly the form that
// an export has, so that no second reading of it is possible.
func parseStatement(line []byte, statement string) (Checkpoint, bool) {
	var in map[string]struct {
		Seq       int64  `json:"seq"`
		Hash      string `json:"hash"`
		At        string `json:"at"`
		Key       string `json:"key"`
		Signature string `json:"signature"`
	}
	if json.Unmarshal(line, &in) != nil {
		return Checkpoint{}, false
	}
	f := in[statement]
	at, err := time.Parse(timeFormat, f.At)
	c := Checkpoint{Seq: f.Seq, Hash: f.Hash, At: at, KeyID: f.Key, Signature: f.Signature}
	again := appendStatement(nil, c, statement)
	return c, err == nil && c.Seq >= 0 && bytes.Equal(again[:len(again)-1], line)
}

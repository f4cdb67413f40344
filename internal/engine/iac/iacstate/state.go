package iacstate

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"time"

	"fairlead/internal/fault"
)

const (
	// MaxSize is the largest state, in bytes.
	MaxSize = 64 << 20
	// Kept is how many versions of a state are kept.
	Kept = 50
)

// Meta is what is known of a state without opening it.
type Meta struct {
	Version   int64 // counts its writes; 0 when there is none
	Serial    int64
	Lineage   string
	Objects   int64 // managed objects in it
	Digest    string
	Epoch     int64
	Lock      *Lock // nil when it is free
	UpdatedAt time.Time
}

// Lock is who holds a state, as the program tells it.
type Lock struct {
	ID        string
	Operation string
	Info      string
	Who       string
	Version   string
	Created   string
	Path      string
}

// Version is one version that is kept.
type Version struct {
	Version   int64
	Serial    int64
	Lineage   string
	Size      int64
	Run       string
	CreatedAt time.Time
}

// head is what the store itself reads of a state.
type head struct {
	Version   int    `json:"version"`
	Serial    int64  `json:"serial"`
	Lineage   string `json:"lineage"`
	Resources []struct {
		Mode      string            `json:"mode"`
		Instances []json.RawMessage `json:"instances"`
	} `json:"resources"`
}

func readHead(body []byte) (head, error) {
	var h head
	if err := json.Unmarshal(body, &h); err != nil { // its text would quote the state
		return h, fault.New(fault.Invalid, "state_invalid", "what was sent is no state: it is not JSON")
	}
	if h.Version != 4 || h.Lineage == "" || h.Serial < 0 {
		return h, fault.New(fault.Invalid, "state_invalid", "what was sent is no state of format 4 with a lineage and a serial")
	}
	return h, nil
}

func (h head) objects() (n int64) {
	for _, r := range h.Resources {
		if r.Mode == "managed" {
			n += int64(len(r.Instances))
		}
	}
	return n
}

func digest(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}

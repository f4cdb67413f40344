package engine

import (
	"context"

	"fairlead/internal/redact"
)

// Ejector is an Engine whose resources people can go on with by themselves,
// without Fairlead.
type Ejector interface {
	// Eject gives the files with which somebody goes on, among them a README.md
	// of the exact commands. It changes nothing, outside or here. The caller
	// gives a Request of what was applied last. Without reveal no file holds a
	// secret value, the Request holds none either, and the README says what is
	// missing. Equal requests against an equal world give equal files.
	Eject(ctx context.Context, req Request, reveal bool) ([]File, error)

	// Release forgets what the engine itself keeps of the resource, such as its
	// state. It touches no external object; it is not Destroy. Called again it
	// is success.
	Release(ctx context.Context, req Request) error
}

// File is one file of an ejected resource.
type File struct {
	Path string // below the folder, with slashes; valid for fs.ValidPath
	Data []byte
}

// Adoption is something that exists and is to become a resource's.
type Adoption struct {
	// Object names it as KIND/NAME; Request.Adopted is the same. "" with State.
	Object string
	// State is what somebody else's program knows of it; empty with Object.
	State redact.Secret
	// Released tells whether a resource of this control plane, by its id, was
	// let go of by the team that now adopts: its marker is no obstacle.
	Released func(ctx context.Context, resource string) (bool, error)
}

// Adopter is an Engine that can take over what exists already.
type Adopter interface {
	// PlanAdoption says what Apply would do once the resource has adopted a. It
	// changes nothing. What carries somebody else's marker is a Conflict with
	// code "object_not_ours"; what is not there is Invalid with code
	// "nothing_to_adopt".
	PlanAdoption(ctx context.Context, req Request, a Adoption) (Plan, error)

	// Adopt makes a the resource's: its marker is written, or its state kept,
	// and nothing else is changed; Plan, Apply, Observe and Destroy then treat
	// it as made by Apply. It checks all that PlanAdoption checks. Called again
	// it is success, also when Apply went on from there.
	Adopt(ctx context.Context, req Request, a Adoption, p Progress) error
}

package rollout

import (
	"github.com/Masterminds/semver/v3"

	"fairlead/internal/fault"
)

// fits tells whether a version is meant.
type fits func(version string) bool

// parseFrom reads a constraint such as "<2", "1.x" or "1.4.0"; "" means any.
func parseFrom(text string) (fits, error) {
	if text == "" {
		return func(string) bool { return true }, nil
	}
	bad := fault.New(fault.Invalid, "invalid_version", "the versions to start from are neither a semantic version nor a constraint").
		WithHint("use a version such as 1.4.0 or a range such as ^1.2 or 1.x").WithField("/from")
	if len(text) > 64 {
		return nil, bad
	}
	c, err := semver.NewConstraint(text)
	if err != nil {
		return nil, bad.WithCause(err)
	}
	return func(version string) bool {
		v, err := semver.NewVersion(version)
		return err == nil && c.Check(v)
	}, nil
}

// newer tells whether a comes after b.
func newer(a, b string) bool {
	x, err1 := semver.NewVersion(a)
	y, err2 := semver.NewVersion(b)
	return err1 == nil && err2 == nil && x.GreaterThan(y)
}

package template

import (
	"encoding/binary"
	"encoding/hex"
	"strconv"
	"strings"

	"github.com/Masterminds/semver/v3"

	"fairlead/internal/fault"
)

const maxVersion = 64 // bytes

// parseVersion takes a strict semantic version. Build metadata is refused:
// versions that differ only in it have no order, so "the latest" would be a
// matter of luck.
func parseVersion(s string) (*semver.Version, error) {
	bad := func(why string) error {
		if len(s) > maxVersion {
			s = s[:maxVersion] + "…"
		}
		return fault.New(fault.Invalid, "invalid_version", "%q is not a semantic version: %s", s, why).
			WithHint("use MAJOR.MINOR.PATCH, such as 1.4.0, or 1.4.0-rc.1 for a pre-release")
	}
	if len(s) > maxVersion {
		return nil, bad("it is too long")
	}
	if strings.Contains(s, "+") {
		return nil, bad("build metadata (+) is not allowed")
	}
	v, err := semver.StrictNewVersion(s)
	if err != nil || v.Original() != s || v.String() != s {
		return nil, bad("it is not of the form MAJOR.MINOR.PATCH")
	}
	for _, id := range strings.Split(v.Prerelease(), ".") {
		if _, err := strconv.ParseUint(id, 10, 64); err != nil && isDigits(id) {
			return nil, bad("a number of the pre-release is too large")
		}
	}
	return v, nil
}

// SortKey reads a version and gives text whose order is that of semantic
// versions; Invalid, code "invalid_version", for any other text.
func SortKey(version string) (string, error) {
	v, err := parseVersion(version)
	if err != nil {
		return "", err
	}
	return sortKey(v), nil
}

func isDigits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

// sortKey gives text whose order is that of semantic versions. It is
// hexadecimal, so that every collation orders it alike.
func sortKey(v *semver.Version) string {
	var b []byte
	b = binary.BigEndian.AppendUint64(b, v.Major())
	b = binary.BigEndian.AppendUint64(b, v.Minor())
	b = binary.BigEndian.AppendUint64(b, v.Patch())
	if v.Prerelease() == "" {
		return hex.EncodeToString(append(b, 0xff)) // after all its pre-releases
	}
	for _, id := range strings.Split(v.Prerelease(), ".") {
		if n, err := strconv.ParseUint(id, 10, 64); err == nil && isDigits(id) {
			b = binary.BigEndian.AppendUint64(append(b, 1), n) // numbers before words
		} else {
			b = append(append(append(b, 2), id...), 0)
		}
	}
	return hex.EncodeToString(append(b, 0)) // fewer fields before more
}

// constraint reads "1.x", "^1.2", ">=1.0 <2" and the like.
func constraint(s string) (*semver.Constraints, error) {
	bad := fault.New(fault.Invalid, "invalid_version", "the version is neither a semantic version nor a constraint").
		WithHint("use a version such as 1.4.0, a range such as ^1.2 or 1.x, or leave it away for the newest").WithField("/version")
	if len(s) > maxVersion {
		return nil, bad
	}
	c, err := semver.NewConstraint(s)
	if err != nil {
		return nil, bad.WithCause(err)
	}
	return c, nil
}

// Package guardrailtest makes bundles and services for tests.
package guardrailtest

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"testing"

	"fairlead/internal/guardrail"
	"fairlead/internal/template/bundle"
	"fairlead/internal/template/templatetest"
)

// Files is a bundle's folder.
type Files = templatetest.Files

// Key is the key that test services sign with.
func Key() ed25519.PrivateKey {
	seed := sha256.Sum256([]byte("guardrailtest"))
	return ed25519.NewKeyFromSeed(seed[:])
}

// Bundle compiles a folder, or ends the test.
func Bundle(t testing.TB, name string, files Files) *guardrail.Bundle {
	t.Helper()
	b, err := bundle.Read(files.Tar(t))
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := files[guardrail.ManifestFile]; ok {
		name = ""
	}
	made, err := guardrail.NewBundle(b, name, "")
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// Tar is a folder as it is sent.
func Tar(t testing.TB, files Files) *bytes.Reader { return files.Tar(t) }

// Manifest is a policy.yaml with one guardrail at its end still open for
// further fields, two spaces in.
func Manifest(name, version, pkg, stage string) string {
	return "apiVersion: fairlead/v1\nkind: PolicyBundle\nmetadata: {name: " + name + ", version: " + version + "}\nguardrails:\n- package: " + pkg + "\n  stage: " + stage + "\n"
}

// Sizes is a bundle that denies large things, with its tests.
func Sizes(version string) Files {
	return Files{
		"policy.yaml":     Manifest("sizes", version, "sizes", "request"),
		"sizes.rego":      "package sizes\n\ndeny contains {\"msg\": msg, \"remedy\": \"ask for a smaller one\", \"field\": \"/size\"} if {\n\tinput.inputs.size > 10\n\tmsg := sprintf(\"size %v is too large\", [input.inputs.size])\n}\n",
		"sizes_test.rego": "package sizes_test\n\nimport data.sizes\n\ntest_small if count(sizes.deny) == 0 with input as {\"inputs\": {\"size\": 1}}\n\ntest_large if count(sizes.deny) == 1 with input as {\"inputs\": {\"size\": 11}}\n",
	}
}

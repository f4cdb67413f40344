package guardrailcli

import (
	"slices"
	"strings"

	"fairlead/internal/clikit"
	"fairlead/internal/fault"
)

// maxArchive is what the server takes.
const maxArchive = 6 << 20

// pack makes a tar of a folder of policies.
func pack(dir string) ([]byte, error) {
	archive, names, err := clikit.Folder{
		Dir: dir, Holds: "the policies", Max: maxArchive,
		TooLarge: fault.New(fault.TooLarge, "policy_too_large", "the folder holds more than the %d bytes that a bundle may have", maxArchive),
	}.Pack()
	if err == nil && !slices.ContainsFunc(names, func(name string) bool { return strings.HasSuffix(name, ".rego") }) {
		return nil, clikit.Usage("there is no .rego file in %s", clikit.Clean(dir)).WithHint("give the folder that holds the policies")
	}
	return archive, err
}

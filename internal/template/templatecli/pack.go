package templatecli

import (
	"fairlead/internal/clikit"
	"fairlead/internal/fault"
)

// maxArchive is what the server takes.
const maxArchive = 8 << 20

// pack makes a tar of a folder. What else a template may not hold the server
// says.
func pack(dir string) ([]byte, error) {
	archive, _, err := clikit.Folder{
		Dir: dir, Holds: "template.yaml", Must: "template.yaml", Max: maxArchive,
		TooLarge: fault.New(fault.TooLarge, "template_too_large", "the folder holds more than the %d bytes that a template may have", maxArchive),
	}.Pack()
	return archive, err
}

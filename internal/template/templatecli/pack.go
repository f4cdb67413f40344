package templatecli

import (
	"path/filepath"

	"fairlead/internal/clikit"
	"fairlead/internal/fault"
)

// maxArchive is what the server takes.
const maxArchive = 8 << 20

// pack makes a tar of a folder. What else a template may not hold the server
// says. A folder with template.yaml, or a module.
func pack(dir string) ([]byte, error) {
	must := "template.yaml"
	if isModule(dir) {
		must = ""
	}
	archive, _, err := clikit.Folder{
		Dir: dir, Holds: "template.yaml", Must: must, Dotted: ".terraform.lock.hcl", Max: maxArchive,
		TooLarge: fault.New(fault.TooLarge, "template_too_large", "the folder holds more than the %d bytes that a template may have", maxArchive),
	}.Pack()
	return archive, err
}

// isModule tells whether there is a module of OpenTofu or Terraform in a folder.
func isModule(dir string) bool {
	for _, pattern := range []string{"*.tf", "*.tofu", "*.tf.json", "*.tofu.json"} {
		for _, in := range []string{dir, filepath.Join(dir, "module")} {
			if found, err := filepath.Glob(filepath.Join(in, pattern)); err == nil && len(found) > 0 {
				return true
			}
		}
	}
	return false
}

package templatecli

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"fairlead/internal/clikit"
)

func TestTheSameFolderGivesTheSameArchive(t *testing.T) {
	t.Parallel()
	one, err := pack(folder(t, "docs/README.md", "tests/plan.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	other, err := pack(folder(t, "tests/plan.yaml", "docs/README.md"))
	if err != nil || !bytes.Equal(one, other) {
		t.Errorf("%d and %d bytes, %v", len(one), len(other), err)
	}
}

func TestWhatIsNoTemplateFolderIsAMistakeInTheCommand(t *testing.T) {
	t.Parallel()
	bare := folder(t)
	if err := os.Remove(filepath.Join(bare, "template.yaml")); err != nil {
		t.Fatal(err)
	}
	for why, dir := range map[string]string{
		"nothing is there": filepath.Join(bare, "missing"), "no template.yaml": bare, "a file": filepath.Join(folder(t), "template.yaml"),
	} {
		if _, err := pack(dir); clikit.ExitCode(err) != clikit.ExitUsage {
			t.Errorf("%s: %v", why, err)
		}
	}
}

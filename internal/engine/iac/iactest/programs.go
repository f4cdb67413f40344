package iactest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// Program is one that runs modules.
type Program struct {
	Name string // "tofu" or "terraform"
	Path string
}

// root is the repository's folder; a test stands in its package's.
var root = sync.OnceValues(func() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for d := dir; d != filepath.Dir(d); d = filepath.Dir(d) {
		if text, err := os.ReadFile(filepath.Join(d, "go.mod")); err == nil && strings.HasPrefix(string(text), "module fairlead\n") {
			return d, nil
		}
	}
	return "", fmt.Errorf("%s is not in the repository", dir)
})

// known finds each program once: $FAIRLEAD_TEST_TOFU or _TERRAFORM, what
// `make tools` built, or what is on PATH.
var known = sync.OnceValues(func() (list []Program, missing []string) {
	top, err := root()
	if err != nil {
		return nil, []string{err.Error()}
	}
	for _, name := range []string{"tofu", "terraform"} {
		if p := look(name, os.Getenv("FAIRLEAD_TEST_"+strings.ToUpper(name)), filepath.Join(top, ".cache/iac", name)); p != "" {
			list = append(list, Program{name, p})
		} else {
			missing = append(missing, name)
		}
	}
	return list, missing
})

func look(name string, places ...string) string {
	for _, p := range places {
		if p == "" {
			continue
		}
		if p, err := filepath.EvalSymlinks(p); err == nil {
			return p
		}
	}
	p, err := exec.LookPath(name)
	if err != nil {
		return ""
	}
	if p, err = filepath.EvalSymlinks(p); err != nil {
		return ""
	}
	return p
}

// Programs gives every program that can be had here, at least one, or skips
// the test. On CI all must be there; FAIRLEAD_WITHOUT_TERRAFORM says that this
// machine has no terraform, which nothing can build.
func Programs(t testing.TB) []Program {
	t.Helper()
	list, missing := known()
	if os.Getenv("CI") != "" {
		for _, name := range missing {
			if name != "terraform" || os.Getenv("FAIRLEAD_WITHOUT_TERRAFORM") == "" {
				t.Fatalf("%s is missing: run make tools, or install it", name)
			}
		}
	}
	if len(list) == 0 {
		t.Skip("NOT TRIED: neither tofu nor terraform is here; make tools builds tofu")
	}
	return list
}

// Known gives the programs that are here, perhaps none.
func Known() []Program {
	list, _ := known()
	return list
}

// Here tells whether any program can be had, or must be.
func Here() bool {
	list, _ := known()
	return len(list) > 0 || os.Getenv("CI") != ""
}

// One gives the program of a test that one program is enough for.
func One(t testing.TB) Program {
	t.Helper()
	return Programs(t)[0]
}

// Each runs a test with every program that can be had, side by side.
func Each(t *testing.T, test func(t *testing.T, p Program)) {
	t.Helper()
	for _, p := range Programs(t) {
		t.Run(p.Name, func(t *testing.T) {
			t.Parallel()
			test(t, p)
		})
	}
}

// Build builds a tool by its name in scripts/tools.sh, once for what it is
// built from, and gives its path.
func Build(t testing.TB, name string) string {
	t.Helper()
	top, err := root()
	if err != nil {
		t.Fatal(err)
	}
	var out, said bytes.Buffer
	cmd := exec.CommandContext(t.Context(), filepath.Join(top, "scripts/tools.sh"), name)
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil {
		t.Fatalf("build %s: %v: %s", name, err, &said)
	}
	return strings.TrimSpace(out.String())
}

// The test provider: its name in modules, and where a mirror has it.
const (
	TestProvider = "fairlead.test/fairlead/testing"
	testPlace    = TestProvider + "/0.1.0/linux_amd64/terraform-provider-testing_v0.1.0"
)

// Mirror lays out a folder of providers below dir, with the test provider in
// it, and gives its path and the provider's.
func Mirror(t testing.TB, dir string) (mirror, provider string) {
	t.Helper()
	mirror = filepath.Join(dir, "mirror")
	provider = filepath.Join(mirror, testPlace)
	err := errors.Join(os.MkdirAll(filepath.Dir(provider), 0o755), copyFile(Build(t, "terraform-provider-testing"), provider))
	if err != nil {
		t.Fatal(err)
	}
	return mirror, provider
}

const ownPlace = "fairlead.dev/fairlead/fairlead/0.1.0/linux_amd64/terraform-provider-fairlead_v0.1.0"

// AddOwn puts Fairlead's own provider into a mirror.
func AddOwn(t testing.TB, mirror string) {
	t.Helper()
	place := filepath.Join(mirror, ownPlace)
	if err := errors.Join(os.MkdirAll(filepath.Dir(place), 0o755), copyFile(Build(t, "terraform-provider-fairlead"), place)); err != nil {
		t.Fatal(err)
	}
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o755)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		return err
	}
	return out.Close()
}

package archtest

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

type pkg struct {
	ImportPath string
	Name       string
	Dir        string
	Doc        string
	GoFiles    []string
	Imports    []string
}

// packages lists this module's packages once.
var packages = sync.OnceValues(func() ([]pkg, error) {
	cmd := exec.Command("go", "list", "-json=ImportPath,Name,Dir,Doc,GoFiles,Imports", "fairlead/...")
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			return nil, errors.New(string(exit.Stderr))
		}
		return nil, err
	}
	var list []pkg
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return list, nil
		} else if err != nil {
			return nil, err
		}
		list = append(list, p)
	}
})

func each(t *testing.T, f func(p pkg, at string)) {
	t.Helper()
	list, err := packages()
	if err != nil {
		t.Fatal(err)
	}
	if len(list) < 20 {
		t.Fatalf("only %d packages were found: the rules would hold of nothing", len(list))
	}
	for _, p := range list {
		f(p, strings.TrimPrefix(p.ImportPath, "fairlead/"))
	}
}

// The rooms of the house. A new package needs a line here, and so a thought
// about where it belongs.
var (
	// Foundations import no feature; what they import of each other is listed.
	foundations = map[string][]string{
		"internal/fault":     {},
		"internal/redact":    {},
		"internal/regex":     {},
		"internal/failpoint": {},
		"internal/principal": {},
		"internal/keyfile":   {"internal/fault", "internal/redact"},
		"internal/conf":      {"internal/fault", "internal/regex"},
		"internal/ident":     {"internal/failpoint", "internal/fault"},
		"internal/yamlx":     {"internal/fault", "internal/regex"},
		"internal/sqldb":     {"internal/fault", "internal/failpoint"},
		"internal/loop":      {"internal/ident", "internal/sqldb"},
		"internal/queue":     {"internal/failpoint", "internal/ident", "internal/sqldb"},
		"internal/clikit":    {"internal/apiclient", "internal/fault", "internal/keyfile", "internal/redact", "internal/yamlx"},
		"internal/apiclient": {"internal/redact"},
		"internal/apidoc":    {"internal/fault", "internal/httpx", "internal/principal", "docs"},
		"internal/httpx":     {"internal/audit", "internal/fault", "internal/failpoint", "internal/ident", "internal/loop", "internal/principal", "internal/redact", "internal/sqldb"},
		"internal/engine":    {"internal/fault", "internal/redact"},
		"internal/event":     {"internal/ident", "internal/sqldb"},
		"internal/egress":    {"internal/fault"},
		"internal/rego":      {"internal/fault"},
		"internal/webui":     {"internal/audit", "internal/fault", "internal/httpx", "internal/principal", "internal/sqldb", "internal/yamlx"},
		"docs":               {},
		"templates":          {},
		"policies":           {},
	}
	// Governance is used by every feature; its edges go one way.
	governance = map[string][]string{
		"internal/access":   {"internal/principal"},
		"internal/audit":    {"internal/access", "internal/principal", "internal/keyfile"},
		"internal/identity": {"internal/access", "internal/audit", "internal/principal"},
	}
	// Features, and which other features' roots they may import.
	features = map[string][]string{
		"internal/project":    {"internal/identity"},
		"internal/secret":     {"internal/keyfile"},
		"internal/template":   {"internal/engine", "internal/event", "internal/template/bundle", "internal/yamlx"},
		"internal/engines":    {"internal/engine"},
		"internal/state":      {"internal/resource", "internal/event"},
		"internal/drift":      {"internal/engine", "internal/event", "internal/yamlx"},
		"internal/resource":   {"internal/drift", "internal/engine", "internal/queue", "internal/gate", "internal/event", "internal/yamlx"},
		"internal/gate":       {"internal/engine", "internal/event"},
		"internal/rollout":    {"internal/engine", "internal/event", "internal/gate", "internal/queue", "internal/resource"},
		"internal/why":        {"internal/engine", "internal/gate", "internal/queue", "internal/resource", "internal/rollout"},
		"internal/guardrail":  {"internal/gate", "internal/engine", "internal/rego", "internal/event", "internal/template/bundle", "internal/yamlx"},
		"internal/replay":     {"internal/gate", "internal/guardrail"},
		"internal/compliance": {"internal/gate", "internal/guardrail", "internal/event"},
		"internal/approval":   {"internal/gate", "internal/event"},
		"internal/quota":      {"internal/gate", "internal/event"},
		"internal/cost":       {"internal/gate", "internal/rego", "internal/event", "internal/yamlx"},
		"internal/lease":      {"internal/gate", "internal/event"},
		"internal/calendar":   {"internal/gate", "internal/event"},
		"internal/notify":     {"internal/event", "internal/egress"},
		"internal/source":     {"internal/event", "internal/egress", "internal/source/gitrepo", "internal/template/bundle"},
		"internal/setup":      {},
		"internal/feedback":   {},
		"internal/system":     {"internal/backup", "internal/drift", "internal/engines", "internal/queue", "internal/resource"},
		"internal/backup":     {"internal/engine", "internal/keyfile", "internal/secret"},
	}
	// Adapters: a folder below the port they implement.
	adapters = map[string]string{
		"internal/engine/null":              "internal/engine",
		"internal/engine/iac":               "internal/engine",
		"internal/engine/iac/iacmodule":     "internal/engine",
		"internal/engine/iac/iacstate":      "internal/engine",
		"internal/engine/iac/sandbox":       "internal/engine",
		"internal/engine/iac/module":        "internal/engine",
		"internal/engine/postgres":          "internal/engine",
		"internal/engine/postgres/pgserver": "internal/engine",
		"internal/notify/mailer":            "internal/notify",
		"internal/secret/embedded":          "internal/secret",
		"internal/source/gitrepo":           "internal/source",
		"internal/template/bundle":          "internal/template",
	}
)

// base is what governance and features may always import.
var base = []string{"internal/fault", "internal/redact", "internal/regex", "internal/failpoint", "internal/ident", "internal/sqldb", "internal/loop", "internal/principal", "internal/conf"}

func TestImportsGoOneWay(t *testing.T) {
	each(t, func(p pkg, at string) {
		allowed, known := allowance(at)
		if !known {
			t.Errorf("%s stands in no room of the house: say in internal/archtest what it is", at)
			return
		}
		for _, imp := range p.Imports {
			dep, own := strings.CutPrefix(imp, "fairlead/")
			if own && !allowed(dep) {
				t.Errorf("%s may not import %s", at, dep)
			}
		}
	})
}

func allowance(at string) (func(string) bool, bool) {
	oneOf := func(lists ...[]string) func(string) bool {
		return func(dep string) bool { return slices.Contains(slices.Concat(lists...), dep) }
	}
	root := filepath.Dir(at)
	last := filepath.Base(at)
	anyFeature := func(dep string) bool {
		_, f := features[dep]
		f = f || dep == "internal/template/bundle"
		_, g := governance[dep]
		_, b := foundations[dep]
		return f || g || b
	}
	switch {
	case at == "cmd/fairlead":
		return oneOf([]string{"internal/app"}), true
	case at == "internal/app", strings.HasPrefix(at, "internal/app/"):
		return func(dep string) bool { return dep != "cmd/fairlead" }, true
	case at == "internal/archtest":
		return func(string) bool { return false }, true
	case strings.HasPrefix(at, "bench"), strings.HasPrefix(at, "e2e"), strings.HasPrefix(at, "tools/"):
		return func(string) bool { return true }, true
	case strings.HasSuffix(last, "test"): // helpers for tests, never in the binary
		return func(string) bool { return true }, true
	case foundations[at] != nil:
		return oneOf(foundations[at]), true
	case governance[at] != nil:
		return oneOf(base, governance[at]), true
	case features[at] != nil:
		return oneOf(base, []string{"internal/access", "internal/audit"}, features[at]), true
	case adapters[at] != "":
		port := adapters[at]
		return func(dep string) bool {
			_, foundation := foundations[dep]
			_, governs := governance[dep]                                             // what an adapter changes, it also records
			if at == "internal/source/gitrepo" && dep == "internal/template/bundle" { // what it reads becomes one
				return true
			}
			return dep == port || governs || (foundation && dep != "internal/httpx") || strings.HasPrefix(dep, at+"/") || strings.HasPrefix(at, dep+"/")
		}, true
	case strings.HasSuffix(last, "cli") && last == filepath.Base(root)+"cli":
		return func(dep string) bool {
			return slices.Contains([]string{"internal/apiclient", "internal/clikit", "internal/fault", "internal/redact", "internal/yamlx"}, dep) ||
				dep == "internal/audit" && at == "internal/audit/auditcli" // verify works offline
		}, true
	case (strings.HasSuffix(last, "api") || strings.HasSuffix(last, "web")) && strings.HasPrefix(last, filepath.Base(root)):
		return func(dep string) bool {
			return anyFeature(dep) || dep == "internal/gate/gateapi" || dep == "internal/gate/gateweb" // what a verdict looks like is the same everywhere
		}, true
	}
	return nil, false
}

func TestEveryPackageSaysWhatItIsFor(t *testing.T) {
	each(t, func(p pkg, at string) {
		if p.Doc == "" && p.Name != "main" && len(p.GoFiles) > 0 {
			t.Errorf("%s has no package comment (doc.go)", at)
		}
	})
}

func TestTestingStaysOutOfTheBinary(t *testing.T) {
	each(t, func(p pkg, at string) {
		if strings.HasSuffix(filepath.Base(at), "test") || strings.HasPrefix(at, "bench") || strings.HasPrefix(at, "e2e") {
			return
		}
		for _, imp := range p.Imports {
			if imp == "testing" || strings.HasSuffix(imp, "test") && strings.HasPrefix(imp, "fairlead/") {
				t.Errorf("%s imports %s", at, imp)
			}
		}
	})
}

func TestNoRoomIsCalledHelpers(t *testing.T) {
	each(t, func(p pkg, at string) {
		for _, bad := range []string{"helpers", "utils", "util", "common", "types", "models", "misc"} {
			if p.Name == bad {
				t.Errorf("%s: what is in it has a name", at)
			}
			for _, f := range p.GoFiles {
				if strings.TrimSuffix(f, ".go") == bad {
					t.Errorf("%s/%s: what is in it has a name", at, f)
				}
			}
		}
	})
}

package conf_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"fairlead/internal/conf"
	"fairlead/internal/fault"
)

func load(t *testing.T, text string, env map[string]string) (conf.Server, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "fairlead.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := conf.Load(file, func(k string) string { return env[k] })
	if err != nil {
		return c, err
	}
	return c, c.Check()
}

func TestTheEnvironmentGoesOverTheFile(t *testing.T) {
	c, err := load(t, "listen: 127.0.0.1:1\nlease: 2s\nengines:\n  postgres: {pool: 3}\n", map[string]string{"FAIRLEAD_LISTEN": "127.0.0.1:2"})
	if err != nil {
		t.Fatal(err)
	}
	if c.Listen != "127.0.0.1:2" || time.Duration(c.Lease) != 2*time.Second || c.PublicURL != "http://127.0.0.1:2" {
		t.Errorf("%+v", c)
	}
	var section struct {
		Pool int `yaml:"pool"`
	}
	if err := c.Engines["postgres"].Decode(&section); err != nil || section.Pool != 3 {
		t.Errorf("%+v %v", section, err)
	}
	var other struct {
		Other int `yaml:"other"`
	}
	if err := c.Engines["postgres"].Decode(&other); err == nil {
		t.Error("a field that the adapter does not have passed")
	}
	if err := c.Engines["absent"].Decode(&section); err != nil || section.Pool != 3 {
		t.Errorf("an absent section: %+v %v", section, err)
	}
}

func TestWhatIsWrongIsRefusedWithItsPlace(t *testing.T) {
	for why, text := range map[string]string{
		"an unknown field is a typing error": "lissten: x\n",
		"no port":                            "listen: localhost\n",
		"not a length of time":               "lease: 5\n",
		"a negative length of time":          "lease: -5s\n",
		"not a URL":                          "publicURL: localhost\n",
		"no such format":                     "logFormat: xml\n",
		"no workers":                         "workers: {postgres: 0}\n",
		"a key given twice":                  "data: a\ndata: b\n",
	} {
		if _, err := load(t, text, nil); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", why, err)
		}
	}
	for text, says := range map[string]string{
		"rate: {perSecond: many}\n": "line 1: `many` is no number",
		"gallery: {}\n":             "line 1: what stands there is neither true nor false",
	} {
		if _, err := load(t, text, nil); !strings.Contains(fault.From(err).Message, says) {
			t.Errorf("%q: %v", text, err)
		}
	}
	// A section is read by its adapter, which does not know its line.
	c, err := load(t, "listen: 127.0.0.1:1\nengines:\n  pg: {ulr: x}\n", nil)
	if err != nil {
		t.Fatal(err)
	}
	type adapters struct {
		URL string `yaml:"url"`
	}
	var section adapters
	if err := c.Engines["pg"].Decode(&section); err == nil || err.Error() != "there is no field ulr" {
		t.Errorf("got %v", err)
	}
}

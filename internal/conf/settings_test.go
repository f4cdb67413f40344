package conf_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"fairlead/internal/conf"
)

func setting(t *testing.T, list []conf.Setting, name string) conf.Setting {
	t.Helper()
	i := slices.IndexFunc(list, func(s conf.Setting) bool { return s.Name == name })
	if i < 0 {
		t.Fatalf("no setting %s in %v", name, list)
	}
	return list[i]
}

// TestSettingsSayWhereTheyComeFrom: the default, the file, the environment or
// a flag, the strongest last, also of what stands in a section or a map.
func TestSettingsSayWhereTheyComeFrom(t *testing.T) {
	file := filepath.Join(t.TempDir(), "fairlead.yaml")
	text := "listen: 127.0.0.1:1\nlogLevel: warn\ndrift:\n  brake: {share: 0.5, least: 5, window: 1h}\nworkers: {postgres: 3}\nengines:\n  postgres: {pool: 3}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	env := map[string]string{"FAIRLEAD_LISTEN": "127.0.0.1:2", "FAIRLEAD_LEASE": "90s"}
	c, err := conf.Load(file, func(k string) string { return env[k] })
	if err != nil {
		t.Fatal(err)
	}
	c.LogFormat = "json"
	c.SetFromFlag("logFormat", "--log-format")
	list := c.Settings()
	section := struct {
		Pool  *int   `yaml:"pool"`
		URL   string `yaml:"url"`
		Dumps string `yaml:"dumps"`
	}{URL: "postgres://x", Dumps: "/d"}
	pool := 3
	section.Pool = &pool
	list = append(list, c.Section("engines.postgres", section, map[string]string{"url": "FAIRLEAD_POSTGRES_URL"})...)
	for name, want := range map[string]struct {
		value string
		from  conf.From
		by    string
	}{
		"listen":                 {"127.0.0.1:2", conf.FromEnvironment, "FAIRLEAD_LISTEN"},
		"lease":                  {"1m30s", conf.FromEnvironment, "FAIRLEAD_LEASE"},
		"logLevel":               {"warn", conf.FromFile, file},
		"logFormat":              {"json", conf.FromFlag, "--log-format"},
		"keepEvents":             {"720h", conf.FromDefault, ""},
		"drift.brake.share":      {"0.5", conf.FromFile, file},
		"drift.repeats.times":    {"3", conf.FromDefault, ""},
		"workers.postgres":       {"3", conf.FromFile, file},
		"workers.null":           {"64", conf.FromDefault, ""},
		"engines.postgres.pool":  {"3", conf.FromFile, file},
		"engines.postgres.dumps": {"/d", conf.FromDefault, ""},
		"engines.postgres.url":   {"postgres://x", conf.FromEnvironment, "FAIRLEAD_POSTGRES_URL"},
	} {
		if s := setting(t, list, name); s.Value != want.value || s.From != want.from || s.Origin.Name != want.by || s.Hidden {
			t.Errorf("%s: %+v, want %+v", name, s, want)
		}
	}
}

// TestSettingsShowNoSecret, however it is written.
func TestSettingsShowNoSecret(t *testing.T) {
	c, err := load(t, "store: postgres://fairlead:canary@db/fairlead?password=canary&sslmode=require\n", nil)
	if err != nil {
		t.Fatal(err)
	}
	list := c.Settings()
	if s := setting(t, list, "store"); !strings.Contains(s.Value, "db/fairlead") || !strings.Contains(s.Value, "sslmode=require") {
		t.Errorf("what is no secret is gone: %+v", s)
	}
	list = append(list, c.Section("x", struct {
		URL      string   `yaml:"url"`
		Words    string   `yaml:"words"`
		Quoted   string   `yaml:"quoted"`
		Password string   `yaml:"password"`
		Tagged   string   `yaml:"tagged" show:"no"`
		APIKey   string   `yaml:"apiKey"`
		Odd      string   `yaml:"odd"`
		List     []string `yaml:"list"`
	}{"https://u:canary@h", "host=db password=canary user=x", "password='can ary canary'", "canary", "canary", "canary", "postgres://u:canary@h:port/", []string{"a", "https://u:canary@h"}}, nil)...)
	for _, s := range list {
		if strings.Contains(s.Value, "canary") {
			t.Errorf("%s shows %q", s.Name, s.Value)
		}
	}
	for _, name := range []string{"x.password", "x.tagged", "x.apiKey"} {
		if s := setting(t, list, name); !s.Hidden {
			t.Errorf("%s is not said to be set", name)
		}
	}
}

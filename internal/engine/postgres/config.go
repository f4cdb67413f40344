package postgres

import (
	"os"
	"path/filepath"

	"fairlead/internal/conf"
	"fairlead/internal/fault"
	"fairlead/internal/redact"
)

// Config is the section "engines.postgres" of the server's configuration.
type Config struct {
	URL        string   `yaml:"url"`        // administrator's URL of the server; empty: a server that Fairlead runs itself
	PublicHost string   `yaml:"publicHost"` // host that outputs name; the URL's when empty
	PublicPort int      `yaml:"publicPort"` // port that outputs name; the URL's when 0
	Params     string   `yaml:"params"`     // query string of the output url, as "sslmode=require"
	Extensions []string `yaml:"extensions"` // what may be asked for; DefaultExtensions when absent
	Pool       *int     `yaml:"pool"`       // prepared databases kept; 2 when absent
	Dumps      string   `yaml:"dumps"`      // where last dumps are kept; DATA/dumps when empty
}

// URLVariable is the environment variable that goes over Config.URL, so that
// the password need not be in a file.
const URLVariable = "FAIRLEAD_POSTGRES_URL"

// defaultPool hides the cost of CREATE DATABASE from the next few requests
// without keeping a bare machine's disk busy.
const defaultPool = 2

// ReadConfig decodes and checks the section.
func ReadConfig(raw conf.Raw, data string) (Config, error) {
	var c Config
	if err := raw.Decode(&c); err != nil {
		return c, fault.New(fault.Invalid, "invalid_config", "engines.postgres: %s", err).
			WithHint("the fields are described in docs/configuration.md")
	}
	if v := os.Getenv(URLVariable); v != "" {
		c.URL = v
	}
	if c.Pool == nil {
		n := defaultPool
		c.Pool = &n
	}
	if *c.Pool < 0 || *c.Pool > 100 {
		return c, fault.New(fault.Invalid, "invalid_config", "engines.postgres.pool: %d is not between 0 and 100", *c.Pool)
	}
	if c.Dumps == "" {
		c.Dumps = filepath.Join(data, "dumps")
	}
	return c, nil
}

// Options turns the section into an engine's options, for a server that is
// reached by url.
func (c Config) Options(url redact.Secret) Options {
	return Options{
		Servers:    []Server{{Name: "default", URL: url, PublicHost: c.PublicHost, PublicPort: c.PublicPort, Params: c.Params}},
		Extensions: c.Extensions, Pool: *c.Pool, SnapshotDir: c.Dumps,
	}
}

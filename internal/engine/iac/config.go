package iac

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"fairlead/internal/conf"
	"fairlead/internal/fault"
)

// Config is the section "engines.iac" of the server's configuration.
type Config struct {
	Binary       string   `yaml:"binary"`       // tofu or terraform; the one on PATH when empty, tofu first
	Dir          string   `yaml:"dir"`          // modules and runs; DATA/iac when empty
	Mirror       string   `yaml:"mirror"`       // folder of providers, as `tofu providers mirror` lays it out; none asks the registries
	PluginCache  string   `yaml:"pluginCache"`  // folder that providers from registries are kept in
	Workers      int      `yaml:"workers"`      // programs at once; twice the cores when 0
	Allow        []string `yaml:"allow"`        // what runs may reach: ADDRESS:PORT, NAME:PORT, and ranges into which names may lead
	Timeout      string   `yaml:"timeout"`      // of one program; 1h when empty
	ObserveEvery string   `yaml:"observeEvery"` // between two looks at a resource whose template says nothing; 15m when empty
	KeepModules  string   `yaml:"keepModules"`  // for how long the folder of a module stays that nothing is done with; 168h when empty
	MemoryMB     int      `yaml:"memoryMB"`     // of one process; 2048 when 0
	LogMB        int      `yaml:"logMB"`        // that one program may write; 256 when 0
	Given        Given    `yaml:"given"`        // what templates have from the platform team
}

const maxWorkers = 64

// ReadConfig decodes and checks the section.
func ReadConfig(raw conf.Raw, data string) (Config, error) {
	var c Config
	bad := func(format string, args ...any) (Config, error) {
		return c, fault.New(fault.Invalid, "invalid_config", "engines.iac"+format, args...).WithHint("the fields are described in docs/iac.md")
	}
	if err := raw.Decode(&c); err != nil {
		return bad(": %s", err)
	}
	if c.Workers < 0 || c.Workers > maxWorkers {
		return bad(".workers: %d is not between 0 and %d", c.Workers, maxWorkers)
	}
	if c.Workers == 0 {
		c.Workers = min(2*runtime.NumCPU(), maxWorkers)
	}
	if c.MemoryMB == 0 {
		c.MemoryMB = 2048
	}
	if c.MemoryMB < 128 {
		return bad(".memoryMB: %d is less than 128", c.MemoryMB)
	}
	if c.LogMB == 0 {
		c.LogMB = 256
	}
	if c.LogMB < 1 {
		return bad(".logMB: %d is less than 1", c.LogMB)
	}
	if c.ObserveEvery == "" {
		c.ObserveEvery = "15m"
	}
	if d, err := time.ParseDuration(c.ObserveEvery); err != nil || d < 5*time.Second {
		return bad(".observeEvery: %q is no length of time of 5s or more, as 15m", c.ObserveEvery)
	}
	if c.Timeout == "" {
		c.Timeout = "1h"
	}
	if d, err := time.ParseDuration(c.Timeout); err != nil || d < time.Second {
		return bad(".timeout: %q is no length of time, as 30m", c.Timeout)
	}
	if c.KeepModules == "" {
		c.KeepModules = "168h"
	}
	if d, err := time.ParseDuration(c.KeepModules); err != nil || d < 24*time.Hour {
		return bad(".keepModules: %q is no length of time of 24h or more, as 168h", c.KeepModules)
	}
	for _, dir := range []*string{&c.Mirror, &c.PluginCache} {
		if *dir == "" {
			continue
		}
		abs, err := filepath.Abs(*dir)
		if st, err2 := os.Stat(abs); err != nil || err2 != nil || !st.IsDir() {
			return bad(": %s is no folder", *dir)
		}
		*dir = abs
	}
	if _, err := readAllow(c.Allow); err != nil {
		return c, err
	}
	if err := c.Given.check(); err != nil {
		return c, err
	}
	if c.Dir == "" {
		c.Dir = filepath.Join(data, "iac")
	}
	return c, nil
}

// find gives the program, "" when there is none.
func (c Config) find() string {
	if c.Binary != "" {
		return c.Binary
	}
	for _, name := range []string{"tofu", "terraform"} {
		if p, err := exec.LookPath(name); err == nil {
			if abs, err := filepath.Abs(p); err == nil {
				return abs
			}
		}
	}
	return ""
}

func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "${", "$${", "%{", "%%{").Replace(s) + `"`
}

// cliConfig is the program's own configuration.
func (c Config) cliConfig() string {
	text := "disable_checkpoint = true\n"
	if c.PluginCache != "" {
		text += "plugin_cache_dir = " + quote(c.PluginCache) + "\n"
	}
	if c.Mirror != "" {
		text += "provider_installation {\n  filesystem_mirror {\n    path = " + quote(c.Mirror) + "\n    include = [\"*/*/*\"]\n  }\n}\n"
	}
	return text
}

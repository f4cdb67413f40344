package app

import (
	"context"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"fairlead/internal/conf"
	"fairlead/internal/engines"
	"fairlead/internal/secret/embedded"
	"fairlead/internal/system"
)

// buildSystem wires what tells how the installation is.
func (a *App) buildSystem(context.Context) error {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	a.system = system.New(system.Options{
		DB: a.db, Access: a.access, Engines: engines.New(engines.Options{Access: a.access, Engines: a.engines}), Chain: a.audit, Brakes: a.drifts, Backups: a.backups, Settings: a.settings,
		Version: Version, Host: host, Address: a.conf.Listen, Data: a.conf.Data, Holder: a.runner.Holder(), Workers: a.lanes(), Alone: !a.conf.Replicated(), Observe: time.Duration(a.conf.ObserveEvery), Limits: a.conf.Health, Log: a.log,
	})
	a.run(a.system.Run)
	return nil
}

// settings is the configuration in force: the server's own, then that of each
// adapter, by name.
func (a *App) settings() []conf.Setting {
	out := a.conf.Settings()
	key := conf.Setting{Name: "masterKey", Value: "keys/master.key of the data directory", Origin: conf.Origin{From: conf.FromDefault}}
	if os.Getenv(embedded.KeyVariable) != "" {
		key = conf.Setting{Name: "masterKey", Hidden: true, Origin: conf.Origin{From: conf.FromEnvironment, Name: embedded.KeyVariable}}
	}
	adapters := slices.Clone(a.sections)
	slices.SortStableFunc(adapters, func(x, y conf.Setting) int { return strings.Compare(sectionOf(x), sectionOf(y)) })
	return append(append(out, key), adapters...)
}

func sectionOf(s conf.Setting) string { return s.Name[:strings.LastIndexByte(s.Name, '.')] }

// variables leaves of those that go over a field the ones that are set.
func variables(of map[string]string) map[string]string {
	set := maps.Clone(of)
	maps.DeleteFunc(set, func(_, name string) bool { return os.Getenv(name) == "" })
	return set
}

package clikit

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"

	"fairlead/internal/fault"
	"fairlead/internal/keyfile"
	"fairlead/internal/redact"
)

// Known is what the context file holds about one server. The token belongs to
// that URL and is sent nowhere else.
type Known struct {
	URL         string `yaml:"url"`
	User        string `yaml:"user,omitempty"`
	Token       string `yaml:"token,omitempty"`
	TokenID     string `yaml:"tokenId,omitempty"`
	Project     string `yaml:"project,omitempty"`
	Environment string `yaml:"environment,omitempty"`
}

// contexts is the context file, ~/.config/fairlead/config.yaml.
type contexts struct {
	APIVersion string  `yaml:"apiVersion"`
	Kind       string  `yaml:"kind"`
	Current    string  `yaml:"current,omitempty"` // URL of the server in use
	Servers    []Known `yaml:"servers,omitempty"`
}

func (f *contexts) server(u string) *Known {
	for i := range f.Servers {
		if f.Servers[i].URL == u {
			return &f.Servers[i]
		}
	}
	return nil
}

// contextPath is where the context file is; XDG_CONFIG_HOME counts when it is
// absolute, as its specification says, and is said to be passed over otherwise.
func (c *CLI) contextPath() (string, error) {
	dir := c.getenv("XDG_CONFIG_HOME")
	if filepath.IsAbs(dir) {
		return filepath.Join(dir, "fairlead", "config.yaml"), nil
	}
	if dir != "" && !c.passedOver {
		c.passedOver = true
		c.Warn("XDG_CONFIG_HOME is %q, which is no absolute path; ~/.config is used instead", dir)
	}
	home := c.getenv("HOME")
	if home == "" {
		var err error
		if home, err = os.UserHomeDir(); err != nil {
			return "", fault.New(fault.Invalid, "no_home", "there is no home directory to keep the context file in").
				WithHint("set HOME or XDG_CONFIG_HOME, or use FAIRLEAD_URL and FAIRLEAD_TOKEN").WithCause(err)
		}
	}
	return filepath.Join(home, ".config", "fairlead", "config.yaml"), nil
}

func (c *CLI) loadContexts() (*contexts, error) {
	empty := &contexts{APIVersion: "fairlead/v1", Kind: "Context"}
	path, err := c.contextPath()
	if err != nil {
		return empty, nil // nothing kept is nothing known
	}
	data, err := keyfile.Load(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return empty, nil
	case errors.Is(err, fault.New(fault.Invalid, "key_file_exposed", "")):
		return nil, fault.New(fault.Invalid, "context_exposed", "%s holds tokens and can be opened by others", path).
			WithHint("run: chmod 600 %s; if others have accounts here, make new tokens too", path).WithCause(err)
	case err != nil:
		return nil, err
	}
	f := &contexts{}
	if err := yaml.Unmarshal(data, f); err != nil || (f.APIVersion != "" && f.APIVersion != "fairlead/v1") {
		return nil, fault.New(fault.Invalid, "context_unreadable", "%s is no context file of this version", path).
			WithHint("mend or remove it, then sign in again: fairlead login").WithCause(err)
	}
	f.APIVersion, f.Kind = empty.APIVersion, empty.Kind
	return f, nil
}

// saveContexts replaces the file whole, mode 0600.
func (c *CLI) saveContexts(f *contexts) error {
	path, err := c.contextPath()
	if err != nil {
		return err
	}
	data, err := yaml.Marshal(f)
	if err != nil {
		return fmt.Errorf("context file: %w", err)
	}
	return keyfile.Replace(path, data)
}

// Remember keeps a sign-in and makes its server the current one.
func (c *CLI) Remember(k Known, token redact.Secret) error {
	f, err := c.loadContexts()
	if err != nil {
		return err
	}
	k.Token = token.Reveal()
	if old := f.server(k.URL); old != nil {
		if k.Project == "" && old.User == k.User {
			k.Project, k.Environment = old.Project, old.Environment
		}
		*old = k
	} else {
		f.Servers = append(f.Servers, k)
	}
	f.Current = k.URL
	return c.saveContexts(f)
}

// Forget drops the token of a server, and tells whether there was one.
func (c *CLI) Forget(server string) (bool, error) {
	f, err := c.loadContexts()
	if err != nil {
		return false, err
	}
	k := f.server(server)
	if k == nil || k.Token == "" {
		return false, nil
	}
	k.Token, k.TokenID, k.User = "", "", ""
	return true, c.saveContexts(f)
}

// Use makes a project and an environment the ones meant when a command names
// none, and the server in use the current one.
func (c *CLI) Use(server, project, environment string) error {
	f, err := c.loadContexts()
	if err != nil {
		return err
	}
	k := f.server(server)
	if k == nil {
		f.Servers = append(f.Servers, Known{URL: server})
		k = &f.Servers[len(f.Servers)-1]
	}
	if project != "" {
		k.Project, k.Environment = project, environment
	}
	f.Current = server
	return c.saveContexts(f)
}

// ParseServer reads a server's URL as people type it and gives its one
// spelling: without a scheme it is http on this machine and https elsewhere.
func ParseServer(s string) (string, error) {
	bad := func(why string) error {
		return Usage("%q is no server's URL: %s", clean(s), why).WithHint("such as https://fairlead.example.com or http://127.0.0.1:8080")
	}
	s = strings.TrimSpace(s)
	if s == "" {
		return "", bad("it is empty")
	}
	if !strings.Contains(s, "://") {
		host, _, _ := strings.Cut(s, "/")
		if Loopback(host) {
			s = "http://" + s
		} else {
			s = "https://" + s
		}
	}
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return "", bad("it cannot be read")
	case u.Scheme != "http" && u.Scheme != "https":
		return "", bad("it is neither http nor https")
	case u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return "", bad("only a host, a port and a path belong there")
	}
	host := strings.ToLower(u.Host)
	if (u.Scheme == "http" && u.Port() == "80") || (u.Scheme == "https" && u.Port() == "443") {
		host = strings.TrimSuffix(host, ":"+u.Port())
	}
	return u.Scheme + "://" + host + strings.TrimRight(u.EscapedPath(), "/"), nil
}

// Loopback tells whether host or host:port is this machine.
func Loopback(hostport string) bool {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	if host == "localhost" {
		return true
	}
	a, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && a.IsLoopback()
}

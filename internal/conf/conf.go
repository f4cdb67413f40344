package conf

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"fairlead/internal/fault"
	"fairlead/internal/regex"
)

// maxFile is the largest configuration file read, in bytes.
const maxFile = 1 << 20

// Server is the configuration of `fairlead up`.
type Server struct {
	Listen    string `yaml:"listen"`    // address of the API
	Data      string `yaml:"data"`      // the data directory
	Store     string `yaml:"store"`     // sqlite, or a postgres:// URL
	PublicURL string `yaml:"publicURL"` // how people reach this server; from Listen when empty

	TrustedProxies []string `yaml:"trustedProxies"` // address ranges whose X-Forwarded-* is believed
	LogFormat      string   `yaml:"logFormat"`      // text, json
	LogLevel       string   `yaml:"logLevel"`       // debug, info, warn, error
	Gallery        bool     `yaml:"gallery"`        // shows /gallery, the portal's components; for development

	Rate Rate `yaml:"rate"` // what one principal may ask of the API

	Lease        Duration       `yaml:"lease"`        // of a worker on a resource
	ObserveEvery Duration       `yaml:"observeEvery"` // how often each resource is looked at
	Workers      map[string]int `yaml:"workers"`      // how many resources an engine works on at once
	Drift        Drift          `yaml:"drift"`        // when repairs are held
	Health       Health         `yaml:"health"`       // when the system is said not to be well

	Engines map[string]Raw `yaml:"engines"` // each engine's own section

	Egress     Raw      `yaml:"egress"`     // whom the server may ask besides the open Internet
	SMTP       Raw      `yaml:"smtp"`       // the mail server; none: no mail is sent
	KeepEvents Duration `yaml:"keepEvents"` // how long events and deliveries can be looked at

	from origins // of what is not as by default
}

// Rate is how many requests are answered: so many a second in the long run,
// and so many at once.
type Rate struct {
	PerSecond float64 `yaml:"perSecond"`
	Burst     int     `yaml:"burst"`
}

// Drift says when repairs are held, because so much seems to need one.
type Drift struct {
	Brake struct {
		Share  float64  `yaml:"share"`  // of what was looked at last, or lives
		Least  int      `yaml:"least"`  // so many are never held
		Window Duration `yaml:"window"` // in which repairs are counted, and for which a release holds
	} `yaml:"brake"`
	Repeats struct {
		Times  int      `yaml:"times"`  // repairs of one resource by themselves; the next one asks a person
		Window Duration `yaml:"window"` // in which they are counted
	} `yaml:"repeats"`
}

// Duration is a time.Duration written as "30s" or "5m".
type Duration time.Duration

// String is as it is written: 1h, and not 1h0m0s.
func (d Duration) String() string { return short(time.Duration(d)) }

// UnmarshalYAML implements yaml.Unmarshaler.
func (d *Duration) UnmarshalYAML(n *yaml.Node) error {
	v, err := time.ParseDuration(n.Value)
	if err != nil || v <= 0 {
		return fmt.Errorf("line %d: %q is not a length of time (as 30s or 5m)", n.Line, n.Value)
	}
	*d = Duration(v)
	return nil
}

// Raw is a section that its adapter decodes.
type Raw struct{ node *yaml.Node }

// UnmarshalYAML implements yaml.Unmarshaler.
func (r *Raw) UnmarshalYAML(n *yaml.Node) error { r.node = n; return nil }

// Decode reads the section into v, a pointer to the adapter's own type, and
// refuses fields that v does not have. An absent section leaves v as it is.
func (r Raw) Decode(v any) error {
	if r.node == nil {
		return nil
	}
	b, err := yaml.Marshal(r.node)
	if err != nil {
		return err
	}
	if err := strict(bytes.NewReader(b), v); err != nil {
		return errors.New(sectionLine().ReplaceAllString(complaint(err), ""))
	}
	return nil
}

// sectionLine counts from where the section begins, which nobody looks for.
var sectionLine = regex.Late(`\bline \d+: `)

func strict(r io.Reader, v any) error {
	dec := yaml.NewDecoder(r)
	dec.KnownFields(true)
	if err := dec.Decode(v); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// Default is the configuration of a bare machine.
func Default() Server {
	d := Drift{}
	d.Brake.Share, d.Brake.Least, d.Brake.Window = 0.2, 5, Duration(time.Hour)
	d.Repeats.Times, d.Repeats.Window = 3, Duration(time.Hour)
	return Server{
		from:   origins{},
		Drift:  d,
		Health: DefaultHealth(),
		Listen: "127.0.0.1:8080", Data: ".fairlead", Store: "sqlite", LogFormat: "text", LogLevel: "info",
		Rate: Rate{PerSecond: 100, Burst: 1200}, Lease: Duration(30 * time.Second), ObserveEvery: Duration(time.Minute), KeepEvents: Duration(30 * 24 * time.Hour),
		Workers: map[string]int{"iac": 4, "postgres": 8, "null": 64}, Engines: map[string]Raw{},
	}
}

// Load reads file (skipped when "") over the defaults, then the environment.
func Load(file string, getenv func(string) string) (Server, error) {
	c := Default()
	if file != "" {
		if err := c.readFile(file); err != nil {
			return c, err
		}
	}
	return c, c.readEnv(getenv)
}

func (c *Server) readFile(file string) error {
	f, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return fault.New(fault.Invalid, "no_config_file", "there is no configuration file %s", file).
			WithHint("name the one that you mean with --config or FAIRLEAD_CONFIG; without one the defaults hold")
	}
	if err != nil {
		return fault.New(fault.Invalid, "config_unreadable", "the configuration file %s cannot be read", file).
			WithHint("give this account the right to read it").WithCause(err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFile))
	if err == nil {
		err = strict(bytes.NewReader(b), c)
	}
	if err != nil {
		return fault.New(fault.Invalid, "invalid_config", "%s: %s", file, complaint(err)).
			WithHint("the fields are described in docs/configuration.md")
	}
	var n yaml.Node
	if yaml.Unmarshal(b, &n) == nil {
		c.from.noteFile(file, "", &n)
	}
	return nil
}

// unknownField is how yaml says it; the Go type is nobody's concern.
var unknownField = regex.Late(`field (\S+) not found in type \S+`)

// wrongType is how yaml says that a value is of another kind.
var wrongType = regex.Late("cannot unmarshal !!\\w+ ?(`[^`]*`|) ?into (int|float64|bool|string)\\b")

var isNo = map[string]string{"int": " is no whole number", "float64": " is no number", "bool": " is neither true nor false", "string": " is no text"}

// complaint is what is wrong with a file, in one line.
func complaint(err error) string {
	if e, ok := errors.AsType[*yaml.TypeError](err); ok {
		text := unknownField().ReplaceAllString(strings.Join(e.Errors, "; "), "there is no field $1")
		return wrongType().ReplaceAllStringFunc(text, func(s string) string {
			m := wrongType().FindStringSubmatch(s)
			return cmp.Or(m[1], "what stands there") + isNo[m[2]]
		})
	}
	return strings.TrimPrefix(err.Error(), "yaml: ")
}

func (c *Server) readEnv(getenv func(string) string) error {
	for name, to := range map[string]struct {
		field string
		to    *string
	}{
		"FAIRLEAD_LISTEN": {"listen", &c.Listen}, "FAIRLEAD_DATA": {"data", &c.Data}, "FAIRLEAD_STORE": {"store", &c.Store}, "FAIRLEAD_PUBLIC_URL": {"publicURL", &c.PublicURL},
		"FAIRLEAD_LOG_FORMAT": {"logFormat", &c.LogFormat}, "FAIRLEAD_LOG_LEVEL": {"logLevel", &c.LogLevel},
	} {
		if v := getenv(name); v != "" {
			*to.to, c.from[to.field] = v, Origin{FromEnvironment, name}
		}
	}
	for name, to := range map[string]struct {
		field string
		to    *Duration
	}{"FAIRLEAD_LEASE": {"lease", &c.Lease}, "FAIRLEAD_OBSERVE_EVERY": {"observeEvery", &c.ObserveEvery}} {
		v := getenv(name)
		if v == "" {
			continue
		}
		d, err := time.ParseDuration(v)
		if err != nil || d <= 0 {
			return fault.New(fault.Invalid, "invalid_config", "%s: %q is not a length of time (as 30s or 5m)", name, v)
		}
		*to.to, c.from[to.field] = Duration(d), Origin{FromEnvironment, name}
	}
	return nil
}

// ListensOn puts the port that the system chose into Listen and PublicURL,
// where they say 0.
func (c *Server) ListensOn(a net.Addr) {
	_, port, err := net.SplitHostPort(a.String())
	host, asked, err2 := net.SplitHostPort(c.Listen)
	if err != nil || err2 != nil || asked != "0" {
		return
	}
	c.Listen = net.JoinHostPort(host, port)
	if u, err := url.Parse(c.PublicURL); err == nil && u.Port() == "0" {
		u.Host = net.JoinHostPort(u.Hostname(), port)
		c.PublicURL = u.String()
	}
}

// Check completes the configuration and says what is wrong with it.
func (c *Server) Check() error {
	host, port, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return fault.New(fault.Invalid, "invalid_config", "listen: %q is not HOST:PORT", c.Listen).WithHint("for example 127.0.0.1:8080")
	}
	if c.Data, err = filepath.Abs(c.Data); err != nil {
		return fault.New(fault.Invalid, "invalid_config", "data: %q is no path", c.Data).WithCause(err)
	}
	if b := c.Drift.Brake; b.Share < 0 || b.Share > 1 || b.Least < 0 || b.Window <= 0 {
		return fault.New(fault.Invalid, "invalid_config", "drift.brake: share is between 0 and 1, least is not negative, window is a length of time")
	}
	if r := c.Drift.Repeats; r.Times < 1 || r.Window <= 0 {
		return fault.New(fault.Invalid, "invalid_config", "drift.repeats: times is at least 1, window is a length of time")
	}
	if err := c.Health.check(); err != nil {
		return err
	}
	if c.PublicURL == "" {
		if host == "" || host == "0.0.0.0" || host == "::" {
			host = "localhost"
		}
		c.PublicURL = "http://" + net.JoinHostPort(host, port)
	}
	if u, err := url.Parse(c.PublicURL); err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return fault.New(fault.Invalid, "invalid_config", "publicURL: %q is not an http or https URL", c.PublicURL).
			WithHint("for example https://fairlead.example.org")
	}
	c.PublicURL = strings.TrimRight(c.PublicURL, "/")
	if c.LogFormat != "text" && c.LogFormat != "json" {
		return fault.New(fault.Invalid, "invalid_config", "logFormat: %q is neither text nor json", c.LogFormat).WithHint("use --log-format text")
	}
	if c.Rate.PerSecond < 1 || c.Rate.PerSecond > 1e6 || c.Rate.Burst < 1 || c.Rate.Burst > 1e6 {
		return fault.New(fault.Invalid, "invalid_config", "rate: perSecond and burst are between 1 and 1000000").WithHint("as {perSecond: 100, burst: 1200}")
	}
	for name, n := range c.Workers {
		if n < 1 || n > 1000 {
			return fault.New(fault.Invalid, "invalid_config", "workers.%s: %d is not between 1 and 1000", name, n)
		}
	}
	return nil
}

// StoreURL is where the control plane's records are.
func (c *Server) StoreURL() string {
	if c.Store == "sqlite" || c.Store == "" {
		return "sqlite:" + filepath.Join(c.Data, "fairlead.db")
	}
	return c.Store
}

// Replicated tells whether other servers may share the store.
func (c *Server) Replicated() bool { return strings.HasPrefix(c.StoreURL(), "postgres") }

// String shows the configuration without the store's password.
func (c *Server) String() string {
	shown := map[string]any{"listen": c.Listen, "data": c.Data, "publicURL": c.PublicURL, "store": "sqlite"}
	if c.Replicated() {
		shown["store"] = "postgres"
	}
	b, _ := json.Marshal(shown)
	return string(b)
}

package sourcecli

import (
	"bytes"
	"net/http"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"fairlead/internal/apiclient"
	"fairlead/internal/clikit"
)

const (
	maxArchive = 16 << 20 // what the server takes
	maxSecret  = 64 << 10
)

type adding struct {
	git, dir, archive, path, ref, version string
	every, username, key, knownHosts      string
	passwordStdin, webhook, noWait        bool
}

func add(c *clikit.CLI) *cobra.Command {
	var a adding
	cmd := &cobra.Command{
		Use: "add NAME", Short: "Have a template's versions come from a repository, a folder or an archive", Args: clikit.Args(1, 1),
		Long: "Have a template's versions come from elsewhere. NAME is what the template is called here. Of a repository each tag that is a semantic version (v1.2.0, and bucket/v1.2.0 with --path bucket) becomes a version; it is looked at every few minutes. An archive is taken in once. A module in it needs no change.",
		Example: `  fairlead template add bucket --git https://git.example.org/platform/modules.git --path modules/bucket
  fairlead template add bucket --git ssh://git@git.example.org/modules.git --key deploy-key --known-hosts hosts --webhook
  fairlead template add bucket --archive bucket-1.2.0.tar.gz --version 1.2.0`,
		RunE: func(cmd *cobra.Command, args []string) error {
			given := 0
			for _, s := range []string{a.git, a.dir, a.archive} {
				if s != "" {
					given++
				}
			}
			if given != 1 {
				return clikit.Usage("say where it comes from: --git URL, --archive FILE, or --dir FOLDER of the server")
			}
			s, err := c.Session()
			if err != nil {
				return err
			}
			if a.archive != "" {
				return a.send(c, cmd, s, args[0])
			}
			return a.source(c, cmd, s, args[0])
		},
	}
	f := cmd.Flags()
	a.flags(cmd)
	f.StringVar(&a.git, "git", "", "a repository, as https://…, ssh://… or file:///…")
	f.StringVar(&a.dir, "dir", "", "a folder on the server")
	f.StringVar(&a.archive, "archive", "", "a .tar.gz, .tar or .zip, taken in once")
	f.StringVar(&a.version, "version", "", "of an archive or a folder whose template.yaml does not say it")
	return cmd
}

// flags are those of adding and of changing.
func (a *adding) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&a.path, "path", "", "the folder in it")
	f.StringVar(&a.ref, "ref", "", "which tags, as v* or bucket/v*")
	f.StringVar(&a.every, "every", "", "how often it is looked at, as 1h; 0 only when asked (5m unless said otherwise)")
	f.StringVar(&a.username, "username", "", "https: whose token it is")
	f.BoolVar(&a.passwordStdin, "password-stdin", false, "https: read a token from standard input")
	f.StringVar(&a.key, "key", "", "ssh: a file with a deploy key")
	f.StringVar(&a.knownHosts, "known-hosts", "", "ssh: a file with the host's key")
	f.BoolVar(&a.webhook, "webhook", false, "take signed pushes; the secret is shown this once")
	f.BoolVar(&a.noWait, "no-wait", false, "do not wait for the look")
}

// send pushes an archive.
func (a adding) send(c *clikit.CLI, cmd *cobra.Command, s *clikit.Session, name string) error {
	data, err := c.ReadFile(a.archive, maxArchive)
	if err != nil {
		return err
	}
	kind := "application/x-tar"
	switch strings.ToLower(filepath.Ext(a.archive)) {
	case ".gz", ".tgz":
		kind = "application/gzip"
	case ".zip":
		kind = "application/zip"
	}
	params := apiclient.PushTemplateParams{Name: &name, Version: clikit.Some(a.version), Path: clikit.Some(a.path)}
	resp, err := s.PushTemplateWithBody(cmd.Context(), &params, kind, bytes.NewReader(data))
	created := resp != nil && resp.StatusCode == http.StatusCreated
	v, err := clikit.Read[apiclient.TemplateVersion](resp, err)
	if err != nil {
		return err
	}
	return clikit.PrintOne(c, v, v.Name, func(t *clikit.Text) {
		what := "was there already, with the same content"
		if created {
			what = "added"
		}
		t.Line("%s %s %s", clikit.Clean(v.Name), clikit.Clean(v.Version), what)
	})
}

// source makes a source, and waits for the first look at it.
func (a adding) source(c *clikit.CLI, cmd *cobra.Command, s *clikit.Session, name string) error {
	body := apiclient.AddTemplateSourceJSONRequestBody{Name: name, URL: clikit.Some(a.git), Folder: clikit.Some(a.dir), Path: clikit.Some(a.path), Refs: clikit.Some(a.ref),
		Release: clikit.Some(a.version), Username: clikit.Some(a.username), Webhook: clikit.Some(a.webhook)}
	var err error
	if body.EverySeconds, err = a.seconds(); err != nil {
		return err
	}
	if body.PrivateKey, body.KnownHosts, body.Password, err = a.credentials(c); err != nil {
		return err
	}
	v, err := clikit.Read[apiclient.NewTemplateSource](s.AddTemplateSource(cmd.Context(), body))
	if err != nil {
		return err
	}
	return a.follow(c, cmd, s, v)
}

// seconds is the pace that was asked for; nil when none was.
func (a adding) seconds() (*int64, error) {
	seconds := int64(0)
	switch a.every {
	case "":
		return nil, nil
	case "0":
	default:
		d, err := clikit.ParseDuration(a.every)
		if err != nil {
			return nil, err
		}
		seconds = int64(d.Seconds())
	}
	return &seconds, nil
}

// credentials reads what the flags name.
func (a adding) credentials(c *clikit.CLI) (key, knownHosts, password *string, err error) {
	for _, f := range []struct {
		name string
		into **string
	}{{a.key, &key}, {a.knownHosts, &knownHosts}} {
		if f.name == "" {
			continue
		}
		text, err := c.ReadFile(f.name, maxSecret)
		if err != nil {
			return nil, nil, nil, err
		}
		value := string(text)
		*f.into = &value
	}
	if a.passwordStdin {
		secret, err := c.ReadSecret()
		if err != nil {
			return nil, nil, nil, err
		}
		value := secret.Reveal()
		password = &value
	}
	return key, knownHosts, password, nil
}

// follow shows a secret that is shown once, and waits for the look.
func (a adding) follow(c *clikit.CLI, cmd *cobra.Command, s *clikit.Session, v apiclient.NewTemplateSource) error {
	if v.Secret != nil {
		c.Note("Pushes to %s/api/v1/template-sources/%s/push are signed with this secret. Keep it: it is shown this once.", s.URL, v.ID)
		if !c.Machine() && !c.NamesOnly() {
			c.Note("  %s", *v.Secret)
		}
	}
	if a.noWait {
		return clikit.PrintOne(c, v, v.ID, func(t *clikit.Text) {
			t.Line("%s is looked at soon: fairlead template source show %s", clikit.Clean(v.Name), clikit.Clean(v.Name))
		})
	}
	return looked(c, cmd, s, v.ID, v.Wanted, v)
}

package clikit

import (
	"cmp"
	"strings"

	"fairlead/internal/apiclient"
	"fairlead/internal/fault"
	"fairlead/internal/redact"
)

// Session is where requests go, and as whom.
type Session struct {
	*apiclient.API
	URL   string // of the server
	User  string // as it was when the token was stored; "" when it is not known
	token redact.Secret
}

// SignedIn tells whether there is a token.
func (s *Session) SignedIn() bool { return !s.token.Empty() }

// Session gives the server and the token that hold for this call: flags before
// environment before context file. A token that was stored for one URL is
// never sent to another.
func (c *CLI) Session() (*Session, error) {
	if c.session != nil {
		return c.session, nil
	}
	f, err := c.loadContexts()
	if err != nil {
		return nil, err
	}
	envURL, envToken := c.getenv("FAIRLEAD_URL"), strings.TrimSpace(c.getenv("FAIRLEAD_TOKEN"))
	raw := cmp.Or(c.flagServer, envURL, f.Current)
	if raw == "" {
		return nil, fault.New(fault.Unauthenticated, "no_server", "no server is known").
			WithHint("sign in: fairlead login --server URL; or set FAIRLEAD_URL and FAIRLEAD_TOKEN")
	}
	server, err := ParseServer(raw)
	if err != nil {
		return nil, err
	}
	s := &Session{URL: server}
	if k := f.server(server); k != nil {
		s.User, s.token = k.User, redact.New(k.Token)
	}
	if envToken != "" {
		if err := boundTo(server, envURL, c.flagServer); err != nil {
			return nil, err
		}
		s.User, s.token = "", redact.New(envToken)
	}
	if s.API, err = c.client(s); err != nil {
		return nil, err
	}
	c.session = s
	return s, nil
}

// boundTo tells whether FAIRLEAD_TOKEN may go to server: it goes with
// FAIRLEAD_URL or, when that is not set, with a --server given by hand.
func boundTo(server, envURL, flagServer string) error {
	if envURL == "" {
		if flagServer != "" {
			return nil
		}
		return fault.New(fault.Invalid, "token_without_server", "FAIRLEAD_TOKEN is set, but not which server it is for").
			WithHint("set FAIRLEAD_URL too, or unset FAIRLEAD_TOKEN to use the stored sign-in")
	}
	own, err := ParseServer(envURL)
	if err != nil {
		return err
	}
	if own != server {
		return fault.New(fault.Invalid, "token_elsewhere", "FAIRLEAD_TOKEN belongs to FAIRLEAD_URL, %s, and is not sent to %s", own, server).
			WithHint("unset FAIRLEAD_TOKEN, or set FAIRLEAD_URL to the server that it is for")
	}
	return nil
}

// At gives a session with no token, for signing in.
func (c *CLI) At(server string) (*Session, error) {
	s := &Session{URL: server}
	var err error
	s.API, err = c.client(s)
	return s, err
}

// ServerInUse gives the URL that a sign-in without one is for: flag, environment
// or context file, else fallback.
func (c *CLI) ServerInUse(fallback string) (string, error) {
	f, err := c.loadContexts()
	if err != nil {
		return "", err
	}
	return ParseServer(cmp.Or(c.flagServer, c.getenv("FAIRLEAD_URL"), f.Current, fallback))
}

func (c *CLI) client(s *Session) (*apiclient.API, error) {
	return apiclient.New(apiclient.Options{URL: s.URL, Token: s.token, UserAgent: "fairlead/" + cmp.Or(c.version, "dev"), HTTP: c.http, Retries: retries})
}

// retries is few: somebody waits. What waits anyway tries longer by itself.
const retries = 2

// Where is the project and the environment that a command is about.
type Where struct{ Project, Environment string }

func (w Where) String() string { return w.Project + "/" + w.Environment }

// Place gives what flags, environment and context file say, as far as they do.
func (c *CLI) Place() (Where, error) {
	f, err := c.loadContexts()
	if err != nil {
		return Where{}, err
	}
	w := Where{c.getenv("FAIRLEAD_PROJECT"), c.getenv("FAIRLEAD_ENV")}
	if raw := cmp.Or(c.flagServer, c.getenv("FAIRLEAD_URL"), f.Current); raw != "" {
		if server, err := ParseServer(raw); err == nil {
			if k := f.server(server); k != nil {
				if w.Project == "" && w.Environment == "" {
					w.Environment = k.Environment
				}
				if w.Project == "" {
					w.Project = k.Project
				}
			}
		}
	}
	if project, env, both := strings.Cut(w.Environment, "/"); both {
		w = Where{project, env}
	}
	if c.flagProject != "" && c.flagProject != w.Project {
		w = Where{Project: c.flagProject} // an environment of another project means nothing here
	}
	if c.flagEnv != "" {
		if project, env, both := strings.Cut(c.flagEnv, "/"); both {
			if c.flagProject != "" && c.flagProject != project {
				return w, Usage("--project %s and --environment %s do not agree", clean(c.flagProject), clean(c.flagEnv))
			}
			w.Project, w.Environment = project, env
		} else {
			w.Environment = c.flagEnv
		}
	}
	return w, nil
}

// Project gives the project, or says how to name it.
func (c *CLI) Project() (string, error) {
	w, err := c.Place()
	if err == nil && w.Project == "" {
		err = Usage("which project?").WithHint("add --project PROJECT, or choose one: fairlead use PROJECT/ENVIRONMENT")
	}
	return w.Project, err
}

// Where gives project and environment, or says how to name them.
func (c *CLI) Where() (Where, error) {
	w, err := c.Place()
	switch {
	case err != nil:
	case w.Project == "":
		err = Usage("which project and environment?").WithHint("add -e PROJECT/ENVIRONMENT, or choose them: fairlead use PROJECT/ENVIRONMENT")
	case w.Environment == "":
		err = Usage("which environment of project %s?", clean(w.Project)).WithHint("add -e ENVIRONMENT, or choose one: fairlead use %s/ENVIRONMENT", clean(w.Project))
	}
	return w, err
}

// Asked gives the place that flags alone name: for commands that look
// everywhere unless they are told where.
func (c *CLI) Asked() (Where, error) {
	if c.flagProject == "" && c.flagEnv == "" {
		return Where{}, nil
	}
	if c.flagEnv != "" {
		return c.Where()
	}
	return Where{Project: c.flagProject}, nil
}

// With gives a session with a token that was just issued for server.
func (c *CLI) With(server string, token redact.Secret) (*Session, error) {
	s := &Session{URL: server, token: token}
	var err error
	s.API, err = c.client(s)
	return s, err
}

// Stored gives the token kept for a server and its id; empty when there is none.
func (c *CLI) Stored(server string) (token redact.Secret, id string, err error) {
	f, err := c.loadContexts()
	if err != nil {
		return redact.Secret{}, "", err
	}
	k := f.server(server)
	if k == nil {
		return redact.Secret{}, "", nil
	}
	return redact.New(k.Token), k.TokenID, nil
}

package identitycli

import (
	"net/url"
	"os"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"fairlead/internal/apiclient"
	"fairlead/internal/clikit"
	"fairlead/internal/redact"
)

const localServer = "http://127.0.0.1:8080"

type loginFlags struct {
	link, user string
	stdin      bool
	expires    string
}

func (k kit) login() *cobra.Command {
	var f loginFlags
	cmd := &cobra.Command{
		Use: "login", Short: "Sign in and keep a token for this server",
		Long: "Sign in with a password, a one-time link, or a token that you have. What is kept is an API token, in the context file, for this server alone.\n\n" +
			"The password is asked for on a terminal and else read from standard input. A link is a secret: --link - reads it from standard input.",
		Example: "  fairlead login --server https://fairlead.example.com --user ada\n  fairlead login --link 'http://127.0.0.1:8080/sign-in?link=fl_link_…'\n" +
			"  fairlead login --server https://fairlead.example.com --token-stdin < token.txt",
		Args: clikit.Args(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error { return k.signIn(cmd, f) },
	}
	fl := cmd.Flags()
	fl.StringVar(&f.link, "link", "", "a one-time sign-in link, whole or just its code; - for standard input")
	fl.StringVarP(&f.user, "user", "u", "", "sign in with this user's password")
	fl.BoolVar(&f.stdin, "token-stdin", false, "keep the token that comes on standard input")
	fl.StringVar(&f.expires, "expires", "", "how long the token lasts, such as 12h or 30d; 90 days by default")
	cmd.MarkFlagsMutuallyExclusive("link", "user", "token-stdin")
	cmd.MarkFlagsOneRequired("link", "user", "token-stdin")
	return cmd
}

func (k kit) signIn(cmd *cobra.Command, f loginFlags) error {
	if cmd.Flags().Changed("link") && f.link == "" {
		return clikit.Usage("the link is empty").
			WithHint("the file with the first one is gone once that was used: sign in with --user NAME, or have somebody make a link: fairlead user link NAME")
	}
	if f.link == "-" {
		secret, err := k.ReadSecret()
		if err != nil {
			return err
		}
		f.link = secret.Reveal()
	}
	server, code, err := k.serverOf(cmd, f.link)
	if err != nil {
		return err
	}
	warnPlain(k.CLI, server)
	if f.stdin {
		token, err := k.ReadSecret()
		if err != nil {
			return err
		}
		return k.keep(cmd, server, token)
	}
	body := apiclient.LoginJSONRequestBody{TokenName: clikit.Some(tokenName())}
	if f.expires != "" {
		d, err := clikit.ParseDuration(f.expires)
		if err != nil {
			return err
		}
		body.ExpiresInSeconds = clikit.Some(int64(d.Seconds()))
	}
	if f.link != "" {
		body.Link = &code
	} else {
		password, err := k.AskSecret("Password of " + f.user + " at " + server + ": ")
		if err != nil {
			return err
		}
		body.Name, body.Password = &f.user, clikit.Some(password.Reveal())
	}
	s, err := k.At(server)
	if err != nil {
		return err
	}
	t, err := clikit.Read[apiclient.NewToken](s.Login(cmd.Context(), body))
	if err != nil {
		return err
	}
	return k.keep(cmd, server, redact.New(t.Value))
}

// keep tries a token and stores it for its server.
func (k kit) keep(cmd *cobra.Command, server string, token redact.Secret) error {
	s, err := k.With(server, token)
	if err != nil {
		return err
	}
	me, err := clikit.Read[apiclient.Me](s.GetMe(cmd.Context()))
	if err != nil {
		return err
	}
	if err := k.Remember(clikit.Known{URL: server, User: me.Name, TokenID: clikit.Or(me.TokenID)}, token); err != nil {
		return err
	}
	if v := k.Env("FAIRLEAD_TOKEN"); v != "" && v != token.Reveal() {
		k.Warn("FAIRLEAD_TOKEN is set and goes before the token that is stored now")
	}
	if v := k.Env("FAIRLEAD_URL"); v != "" {
		if set, err := clikit.ParseServer(v); err != nil || set != server {
			k.Warn("FAIRLEAD_URL is set and goes before the server of this sign-in")
		}
	}
	return k.printMe(me, server)
}

var linkForm = regexp.MustCompile(`fl_link_[0-9A-Za-z]+`)

// serverOf gives the server to sign in at. A whole link says it itself, and
// then it goes nowhere else.
func (k kit) serverOf(cmd *cobra.Command, link string) (server, code string, err error) {
	code = linkForm.FindString(link)
	if link != "" && code == "" {
		return "", "", clikit.Usage("that is no sign-in link").WithHint("it holds a code that starts with fl_link_; quote it for the shell")
	}
	if u, perr := url.Parse(link); link != "" && perr == nil && u.Host != "" {
		server, err = clikit.ParseServer(u.Scheme + "://" + u.Host)
		if err != nil {
			return "", "", err
		}
		if cmd.Flags().Changed("server") {
			asked, err := k.ServerInUse("")
			if err != nil {
				return "", "", err
			}
			if asked != server {
				return "", "", clikit.Usage("the link is for %s and is not sent to %s", server, asked).WithHint("leave --server out")
			}
		}
		return server, code, nil
	}
	server, err = k.ServerInUse(localServer)
	return server, code, err
}

// warnPlain says so when secrets are about to cross a network unencrypted.
func warnPlain(c *clikit.CLI, server string) {
	if u, err := url.Parse(server); err == nil && u.Scheme == "http" && !clikit.Loopback(u.Host) {
		c.Warn("%s is not encrypted: whoever is on the way can read the token", server)
	}
}

func tokenName() string {
	host, err := os.Hostname()
	if err != nil || host == "" {
		return "fairlead login"
	}
	if len(host) > 60 {
		host = host[:60]
	}
	return strings.ToValidUTF8("fairlead login on "+clikit.Clean(host), "")
}

func (k kit) logout() *cobra.Command {
	return &cobra.Command{
		Use: "logout", Short: "Revoke the stored token and forget it", Args: clikit.Args(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			server, err := k.ServerInUse("")
			if err != nil {
				return clikit.Usage("no server is known").WithHint("there is nothing to sign out of")
			}
			token, id, err := k.Stored(server)
			if err != nil {
				return err
			}
			if token.Empty() {
				k.Note("not signed in at %s", server)
				return nil
			}
			s, err := k.With(server, token)
			if err != nil {
				return err
			}
			if id == "" {
				me, merr := clikit.Read[apiclient.Me](s.GetMe(cmd.Context()))
				if merr == nil {
					id = clikit.Or(me.TokenID)
				}
			}
			rerr := clikit.Done(s.RevokeToken(cmd.Context(), id))
			if _, err := k.Forget(server); err != nil {
				return err
			}
			if rerr != nil && clikit.ExitCode(rerr) != clikit.ExitUnauthenticated {
				k.Warn("the token is forgotten here but could not be revoked: %s", clikit.Fault(rerr).Message)
			}
			k.Note("signed out of %s", server)
			return nil
		},
	}
}

func (k kit) whoami() *cobra.Command {
	return &cobra.Command{
		Use: "whoami", Short: "Show who you are here, and what roles you have", Args: clikit.Args(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := k.Session()
			if err != nil {
				return err
			}
			me, err := clikit.Read[apiclient.Me](s.GetMe(cmd.Context()))
			if err != nil {
				return err
			}
			return k.printMe(me, s.URL)
		},
	}
}

func (k kit) printMe(me apiclient.Me, server string) error {
	return clikit.PrintOne(k.CLI, me, me.Name, func(t *clikit.Text) {
		t.Line("%s  %s  %s", t.Style.Bold(clikit.Clean(me.Name)), clikit.Clean(string(me.Kind)), t.Style.Dim(clikit.Clean(server)))
		t.Pairs("  ", clikit.Pair{Key: "name", Value: me.DisplayName}, clikit.Pair{Key: "roles", Value: strings.Join(me.Roles, ", ")},
			clikit.Pair{Key: "token may", Value: strings.Join(me.Scopes, ", ")})
		for _, m := range me.Teams {
			t.Pairs("  ", clikit.Pair{Key: "team " + m.Team, Value: m.Role})
		}
	})
}

func (k kit) password() *cobra.Command {
	return &cobra.Command{
		Use: "password", Short: "Set your password", Args: clikit.Args(0, 0),
		Long: "Set your password. Within an hour of signing in by a link the current one is not asked for. " +
			"Without a terminal, standard input holds the current password in its first line and the new one in its second; the first may be empty.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := k.Session()
			if err != nil {
				return err
			}
			var current, next redact.Secret
			if k.Interactive() {
				if current, err = k.AskSecret("Current password (empty after signing in by a link): "); err != nil {
					return err
				}
				if next, err = k.AskSecret("New password: "); err != nil {
					return err
				}
				again, err := k.AskSecret("New password again: ")
				if err != nil {
					return err
				}
				if !again.Equal(next) {
					return clikit.Usage("the two new passwords differ")
				}
			} else {
				b, err := k.ReadFile("-", 8<<10)
				if err != nil {
					return err
				}
				first, second, ok := strings.Cut(string(b), "\n")
				if !ok {
					return clikit.Usage("standard input holds one line, not two").WithHint("the current password, or nothing, and then the new one")
				}
				second, _, _ = strings.Cut(second, "\n")
				current, next = redact.New(strings.TrimRight(first, "\r")), redact.New(strings.TrimRight(second, "\r"))
			}
			err = clikit.Done(s.SetMyPassword(cmd.Context(), apiclient.SetMyPasswordJSONRequestBody{Current: clikit.Some(current.Reveal()), Password: next.Reveal()}))
			if err == nil {
				k.Note("your password is set; every other session has ended")
			}
			return err
		},
	}
}

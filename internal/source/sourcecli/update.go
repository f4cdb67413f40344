package sourcecli

import (
	"github.com/spf13/cobra"

	"fairlead/internal/apiclient"
	"fairlead/internal/clikit"
)

func update(c *clikit.CLI) *cobra.Command {
	var a adding
	var noCredential, noWebhook bool
	cmd := &cobra.Command{
		Use: "update TEMPLATE", Short: "Change a source: where it leads, its credential, how often it is looked at", Args: clikit.Args(1, 1), ValidArgsFunction: c.Complete(1, c.Templates),
		Long: "Change a source and look at it. What is not named stays. Versions that came from it stay as they are: other content under a number that is taken is refused. A credential is for one scheme, host and port: for another one give it anew.",
		Example: `  fairlead template source update bucket --git https://git.example.org/infra/modules.git
  fairlead template source update bucket --key new-deploy-key
  fairlead template source update bucket --every 1h --ref 'bucket-v*'`,
		RunE: func(cmd *cobra.Command, args []string) error {
			body, err := a.changes(c, cmd)
			if err != nil {
				return err
			}
			if noCredential {
				none := ""
				body.Password = &none
			}
			if a.webhook || noWebhook {
				on := a.webhook
				body.Webhook = &on
			}
			if body == (apiclient.UpdateTemplateSourceJSONRequestBody{}) {
				return clikit.Usage("say what to change, as --git URL or --every 1h")
			}
			s, err := c.Session()
			if err != nil {
				return err
			}
			was, tag, err := clikit.ReadTagged[src](s.GetTemplateSource(cmd.Context(), args[0]))
			if err != nil {
				return err
			}
			v, err := clikit.Read[apiclient.NewTemplateSource](s.UpdateTemplateSource(cmd.Context(), was.ID, &apiclient.UpdateTemplateSourceParams{IfMatch: clikit.Some(tag)}, body))
			if err != nil {
				return err
			}
			return a.follow(c, cmd, s, v)
		},
	}
	f := cmd.Flags()
	a.flags(cmd)
	f.StringVar(&a.git, "git", "", "where it leads, as https://…, ssh://… or file:///…")
	f.StringVar(&a.dir, "dir", "", "a folder on the server instead")
	f.StringVar(&a.version, "version", "", "of a folder whose template.yaml does not say it")
	f.BoolVar(&noCredential, "no-credential", false, "take the credential away")
	f.BoolVar(&noWebhook, "no-webhook", false, "take no pushes any more")
	cmd.MarkFlagsMutuallyExclusive("git", "dir")
	cmd.MarkFlagsMutuallyExclusive("webhook", "no-webhook")
	cmd.MarkFlagsMutuallyExclusive("no-credential", "password-stdin", "key")
	return cmd
}

// changes is what the flags that were given change.
func (a *adding) changes(c *clikit.CLI, cmd *cobra.Command) (body apiclient.UpdateTemplateSourceJSONRequestBody, err error) {
	given := func(flag, value string) *string {
		if !cmd.Flags().Changed(flag) {
			return nil
		}
		return &value
	}
	body.URL, body.Folder, body.Path, body.Refs, body.Release = given("git", a.git), given("dir", a.dir), given("path", a.path), given("ref", a.ref), given("version", a.version)
	body.Username = given("username", a.username)
	if body.EverySeconds, err = a.seconds(); err != nil {
		return body, err
	}
	body.PrivateKey, body.KnownHosts, body.Password, err = a.credentials(c)
	return body, err
}

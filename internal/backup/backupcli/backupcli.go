package backupcli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"fairlead/internal/apiclient"
	"fairlead/internal/clikit"
)

// Commands gives the commands of this concern.
func Commands(c *clikit.CLI) []*cobra.Command {
	var recipients []string
	var passphraseFile string
	cmd := &cobra.Command{
		Use: "backup [FILE|-]", Short: "Back up the whole control plane, encrypted, while it runs", GroupID: clikit.GroupServer,
		Long: "Write an age file with every record and key as they are at one moment. Give an age public key (--recipient) " +
			"or a passphrase; fairlead restore reads it.\n\nWithout FILE its name carries the time; - is standard output. A file is readable by you alone.",
		Example: "  fairlead backup --recipient age1… control-plane.age\n  fairlead backup --passphrase-file secret.txt - | ssh vault 'cat > backup.age'",
		Args:    clikit.Args(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			name := "fairlead-backup-" + time.Now().UTC().Format("20060102T150405Z") + ".age"
			if len(args) > 0 {
				name = args[0]
			}
			body, err := request(c, recipients, passphraseFile)
			if err != nil {
				return err
			}
			return backup(cmd, c, name, body)
		},
	}
	cmd.Flags().StringArrayVar(&recipients, "recipient", nil, "age public key that can read it; may be given several times")
	cmd.Flags().StringVar(&passphraseFile, "passphrase-file", "", "file with a passphrase in its first line; - for standard input")
	cmd.MarkFlagsMutuallyExclusive("recipient", "passphrase-file")
	return []*cobra.Command{cmd}
}

func request(c *clikit.CLI, recipients []string, passphraseFile string) (apiclient.CreateBackupJSONRequestBody, error) {
	var body apiclient.CreateBackupJSONRequestBody
	if len(recipients) > 0 {
		body.Recipients = &recipients
		return body, nil
	}
	phrase := ""
	if passphraseFile != "" {
		b, err := c.ReadFile(passphraseFile, 8<<10)
		if err != nil {
			return body, err
		}
		phrase, _, _ = strings.Cut(string(b), "\n")
		phrase = strings.TrimRight(phrase, "\r")
	} else {
		if !c.Interactive() {
			return body, clikit.Usage("a backup is always encrypted: for whom?").WithHint("add --recipient AGE-KEY or --passphrase-file FILE")
		}
		first, err := c.AskSecret("Passphrase: ")
		if err != nil {
			return body, err
		}
		again, err := c.AskSecret("Again: ")
		if err != nil {
			return body, err
		}
		if !first.Equal(again) {
			return body, clikit.Usage("the two passphrases differ")
		}
		phrase = first.Reveal()
	}
	if phrase == "" {
		return body, clikit.Usage("the passphrase is empty")
	}
	body.Passphrase = &phrase
	return body, nil
}

func backup(cmd *cobra.Command, c *clikit.CLI, name string, body apiclient.CreateBackupJSONRequestBody) error {
	s, err := c.Session()
	if err != nil {
		return err
	}
	resp, err := s.CreateBackup(cmd.Context(), body)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if name == "-" {
		if _, err := io.Copy(c.Out(), resp.Body); err != nil {
			return cutShort(err)
		}
		return nil
	}
	n, err := save(name, resp.Body)
	if err != nil {
		return err
	}
	c.Note("%s: %d bytes, encrypted. Keep it and what decrypts it in different places.", name, n)
	return nil
}

func cutShort(err error) error {
	return clikit.Failure("backup_cut_short", "the backup broke off and is of no use").WithHint("back up again").WithCause(err)
}

// save writes the file whole or not at all, for its owner alone.
func save(name string, from io.Reader) (int64, error) {
	if _, err := os.Lstat(name); err == nil {
		return 0, clikit.Usage("%s is there already", clikit.Clean(name)).WithHint("choose another name, or remove it")
	}
	f, err := os.CreateTemp(filepath.Dir(name), ".fairlead-backup-*") // mode 0600
	if err != nil {
		return 0, clikit.Usage("%s cannot be written", clikit.Clean(name)).WithCause(err)
	}
	defer os.Remove(f.Name())
	n, err := io.Copy(f, from)
	if err != nil {
		f.Close()
		return n, cutShort(err)
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return n, fmt.Errorf("write %s: %w", name, err)
	}
	if err := os.Link(f.Name(), name); err != nil { // never over one that came meanwhile
		return n, fmt.Errorf("write %s: %w", name, err)
	}
	return n, nil
}

package auditcli

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"fairlead/internal/audit"
	"fairlead/internal/clikit"
)

// verification is what verify found, for programs.
type verification struct {
	Verified    bool      `json:"verified"`
	Records     int64     `json:"records"`
	Checkpoints int64     `json:"checkpoints"`
	Hash        string    `json:"hash"`
	SignedAt    time.Time `json:"signedAt,omitzero"`
	Keys        []string  `json:"keys"`
	Pinned      bool      `json:"pinned"`
	Problem     *flaw     `json:"problem,omitempty"`
}

type flaw struct {
	Line    int64  `json:"line"`
	Record  int64  `json:"record,omitempty"`
	Reason  string `json:"reason"`
	Message string `json:"message"`
}

func verifyCommand(c *clikit.CLI) *cobra.Command {
	var keys []string
	cmd := &cobra.Command{
		Use: "verify FILE|-", Short: "Check an export offline: every hash, link and signature",
		Long: "Check an export without a server. The first bad record is named, and the exit code is 8.\n\n" +
			"Without --key signatures are held against the keys that the export itself names, which only shows that it was not edited afterwards. " +
			"Keep the key (fairlead audit status) somewhere else and give it, to see that it is your server's log.",
		Example: "  fairlead audit verify audit.jsonl --key audit.pub\n  fairlead audit export | fairlead audit verify -",
		Args:    clikit.Args(1, 1),
		RunE: func(_ *cobra.Command, args []string) error {
			trusted, err := trustedKeys(keys)
			if err != nil {
				return err
			}
			in := c.In()
			if args[0] != "-" {
				f, err := os.Open(args[0])
				if err != nil {
					return clikit.Usage("%s cannot be read", clikit.Clean(args[0])).WithHint("give the file that fairlead audit export wrote, or - for standard input").WithCause(err)
				}
				defer f.Close()
				in = f
			}
			return verify(c, in, trusted)
		},
	}
	cmd.Flags().StringArrayVar(&keys, "key", nil, "public key to trust, or a file with keys, one a line; may be given several times")
	return cmd
}

func verify(c *clikit.CLI, in io.Reader, trusted []audit.Key) error {
	report, err := audit.Verify(in, trusted)
	if err != nil && report.Problem == nil {
		return err
	}
	out := verification{Verified: err == nil, Records: report.Records, Checkpoints: report.Checkpoints, Hash: report.Hash,
		SignedAt: report.SignedAt, Keys: []string{}, Pinned: report.Pinned}
	for _, k := range report.Keys {
		out.Keys = append(out.Keys, k.String())
	}
	if p := report.Problem; p != nil {
		out.Problem = &flaw{p.Line, p.Seq, string(p.Reason), p.Message}
	}
	if c.Machine() || err == nil {
		perr := clikit.PrintOne(c, out, report.Hash, func(t *clikit.Text) {
			t.Line("%s %d records, %d signed checkpoints: whole and unchanged", t.Style.Green("verified:"), report.Records, report.Checkpoints)
			t.Pairs("  ", clikit.Pair{Key: "last hash", Value: report.Hash}, clikit.Pair{Key: "signed", Value: clikit.Moment(report.SignedAt)})
			for _, k := range report.Keys {
				t.Pairs("  ", clikit.Pair{Key: "key", Value: fmt.Sprintf("%s (%s)", k.String(), k.ID)})
			}
		})
		if perr != nil {
			return perr
		}
	}
	if err == nil && !report.Pinned {
		c.Note("The keys are the export's own. To see that it is your server's log, give its key: --key KEY (from fairlead audit status).")
	}
	return err
}

func trustedKeys(given []string) ([]audit.Key, error) {
	var keys []audit.Key
	for _, g := range given {
		if k, err := audit.ParseKey(strings.TrimSpace(g)); err == nil {
			keys = append(keys, k)
			continue
		}
		text, err := os.ReadFile(g)
		if err != nil {
			return nil, clikit.Usage("--key %s is neither a public key nor a file that can be read", clikit.Clean(g)).
				WithHint("a key is 32 bytes in base64, as fairlead audit status shows it").WithCause(err)
		}
		for line := range strings.Lines(string(text)) {
			if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
				continue
			}
			k, err := audit.ParseKey(line)
			if err != nil {
				return nil, err
			}
			keys = append(keys, k)
		}
		if len(keys) == 0 {
			return nil, clikit.Usage("there is no key in %s", clikit.Clean(g))
		}
	}
	return keys, nil
}

package resourcecli

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"github.com/spf13/cobra"

	"fairlead/internal/apiclient"
	"fairlead/internal/clikit"
)

const (
	maxEjected      = 256 << 20
	maxEjectedFiles = 5000
)

func (k kit) eject() *cobra.Command {
	var w waiting
	var out string
	var reveal, release, yes bool
	cmd := &cobra.Command{
		Use: "eject NAME", Short: "Take along what it takes to go on with a resource without Fairlead",
		Long: "Write a folder with which you go on by yourself: a plain module with its variables and state, or SQL for a database, and a README.md of the exact commands. " +
			"Nothing is changed.\n\nSecrets, and a module's state, are in it only with --reveal, which takes the right to and is recorded in the audit log. " +
			"With --release Fairlead also lets go of the resource: all that it made stays where and as it is, and nobody here looks after it any more. Its state and passwords are then in the folder alone.",
		Example: "  fairlead eject orders --out orders-module --reveal\n  fairlead eject orders --reveal --release --yes",
		Args:    clikit.Args(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if release && !reveal { // the server forgets both
				return clikit.Usage("with --release and without --reveal nobody would have the state and the passwords any more").WithHint("add --reveal")
			}
			limit, err := w.limit()
			if err != nil {
				return err
			}
			a, err := k.at()
			if err != nil {
				return err
			}
			r, tag, err := a.resource(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if release && !yes {
				if err := k.Confirm(fmt.Sprintf("Letting go of %s (%s) of %s; what it made stays", r.Name, r.Template, a.Where), r.Name, "--yes"); err != nil {
					return err
				}
			}
			if out == "" {
				out = r.Name
			}
			n, err := k.download(cmd.Context(), a, r, out, reveal)
			if err != nil {
				return err
			}
			k.Note("%s: %d files. Go on with %s.", clikit.Clean(out), n, clikit.Clean(filepath.Join(out, "README.md")))
			if release {
				if r, err = clikit.Read[apiclient.Resource](a.ReleaseResource(cmd.Context(), a.Project, a.Environment, r.ID, &apiclient.ReleaseResourceParams{IfMatch: clikit.Some(tag)})); err != nil {
					return err
				}
				if r, err = k.follow(cmd.Context(), a.Session, r, limit); err != nil {
					return err
				}
			}
			return k.show(r)
		},
	}
	cmd.Flags().StringVar(&out, "out", "", "the folder, which must not be there; by default the resource's name")
	cmd.Flags().BoolVar(&reveal, "reveal", false, "with secrets and state; recorded in the audit log")
	cmd.Flags().BoolVar(&release, "release", false, "and let go of the resource, touching nothing that it made")
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	cmd.Flags().StringVar(&w.timeout, "timeout", "10m", "how long to wait for the release at most; 0 for as long as it takes")
	return cmd
}

// download unpacks the archive beside where it goes, and moves it there once it
// is whole.
func (k kit) download(ctx context.Context, a at, r apiclient.Resource, out string, reveal bool) (n int, err error) {
	if _, err := os.Lstat(out); !errors.Is(err, fs.ErrNotExist) {
		return 0, clikit.Usage("%s is there already", clikit.Clean(out)).WithHint("choose another folder: --out DIR")
	}
	resp, err := a.EjectResource(ctx, a.Project, a.Environment, r.ID, apiclient.EjectResourceJSONRequestBody{Secrets: &reveal})
	if err != nil {
		return 0, err
	}
	defer func() { _ = resp.Body.Close() }()
	part, err := os.MkdirTemp(filepath.Dir(filepath.Clean(out)), ".fairlead-eject-*") // mode 0700
	if err != nil {
		return 0, clikit.Usage("%s cannot be made", clikit.Clean(out)).WithCause(err)
	}
	defer func() {
		if err != nil {
			_ = os.RemoveAll(part)
		}
	}()
	if n, err = unpack(part, resp.Body); err != nil {
		return 0, err
	}
	if err := os.Rename(part, out); err != nil {
		return 0, clikit.Usage("%s cannot be made", clikit.Clean(out)).WithCause(err)
	}
	return n, nil
}

// unpack writes an archive's files below dir, readable by their owner alone.
// The archive comes from a server that may have been lied to: nothing gets out
// of dir, no links, no more than is sensible.
func unpack(dir string, from io.Reader) (n int, err error) {
	broken := func(err error) error {
		return clikit.Failure("archive_invalid", "what the server sent is no archive of a resource, or broke off").WithHint("try again").WithCause(err)
	}
	z, err := gzip.NewReader(from)
	if err != nil {
		return 0, broken(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return 0, broken(err)
	}
	defer func() { _ = root.Close() }()
	left := int64(maxEjected)
	for t := tar.NewReader(io.LimitReader(z, maxEjected+maxEjectedFiles*1024)); ; n++ {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return 0, broken(err)
		}
		if left -= h.Size; h.Typeflag != tar.TypeReg || !fs.ValidPath(h.Name) || h.Name == "." || n >= maxEjectedFiles || h.Size < 0 || left < 0 {
			return 0, broken(errors.New("an entry that does not belong"))
		}
		if err := root.MkdirAll(path.Dir(h.Name), 0o700); err != nil {
			return 0, broken(err)
		}
		f, err := root.OpenFile(h.Name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return 0, broken(err)
		}
		_, err = io.CopyN(f, t, h.Size)
		if err = errors.Join(err, f.Close()); err != nil {
			return 0, broken(err)
		}
	}
	if _, err := io.CopyN(io.Discard, z, maxEjected); !errors.Is(err, io.EOF) { // its checksum comes last
		return 0, broken(errors.Join(errors.New("it goes on after its end"), err))
	}
	return n, nil
}

package gitrepo

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"

	"fairlead/internal/fault"
	"fairlead/internal/regex"
	"fairlead/internal/template/bundle"
)

// Tag is a tag and the commit that it leads to.
type Tag struct{ Name, Commit string }

var (
	tagName  = regex.Late(`^[A-Za-z0-9_][A-Za-z0-9._+@-]*(/[A-Za-z0-9_][A-Za-z0-9._+@-]*)*$`)
	objectID = regex.Late(`^[0-9a-f]{40}([0-9a-f]{24})?$`)
)

// IsTagName tells whether a tag's name is one that is looked at. Those with
// other characters name no version.
func IsTagName(s string) bool {
	return len(s) <= 200 && tagName().MatchString(s) && !strings.Contains(s, "..") && !strings.HasSuffix(s, ".lock") && !strings.HasSuffix(s, ".")
}

// Tags lists the tags; what a tag's object leads to counts.
func (r *Repository) Tags(ctx context.Context) ([]Tag, error) {
	out, err := r.run(ctx, maxListing, nil, "ls-remote", "--tags", "--quiet", "--", r.remote.URL)
	if err != nil {
		return nil, err
	}
	at := map[string]int{}
	var tags []Tag
	for line := range strings.Lines(string(out)) {
		id, ref, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		name, isTag := strings.CutPrefix(ref, "refs/tags/")
		name, peeled := strings.CutSuffix(name, "^{}")
		if !ok || !isTag || !objectID().MatchString(id) || !IsTagName(name) {
			continue
		}
		if i, known := at[name]; known {
			if peeled {
				tags[i].Commit = id
			}
			continue
		}
		if len(tags) == maxTags {
			return nil, fault.New(fault.TooLarge, "source_too_large", "the repository has more than %d tags", maxTags)
		}
		at[name] = len(tags)
		tags = append(tags, Tag{name, id})
	}
	return tags, nil
}

// Fetch brings the commits of tags here, without their history. A tag that
// moved since it was listed is Unavailable: look again.
func (r *Repository) Fetch(ctx context.Context, tags []Tag) error {
	if len(tags) == 0 {
		return nil
	}
	if _, err := r.run(ctx, maxListing, nil, "init", "--bare", "--quiet", "--template="+r.at("empty"), "."); err != nil {
		return err
	}
	args := []string{"fetch", "--quiet", "--depth=1", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules", "--no-auto-gc", "--no-auto-maintenance", "--", r.remote.URL}
	for i, t := range tags {
		if !IsTagName(t.Name) || !objectID().MatchString(t.Commit) {
			return fault.New(fault.Invalid, "invalid_source", "that is no name of a tag")
		}
		args = append(args, fmt.Sprintf("+refs/tags/%s:refs/fairlead/%d", t.Name, i))
	}
	if _, err := r.run(ctx, maxListing, nil, args...); err != nil {
		return err
	}
	for i, t := range tags {
		out, err := r.run(ctx, 1000, nil, "rev-parse", "--verify", "--quiet", fmt.Sprintf("refs/fairlead/%d^{commit}", i))
		if err != nil || strings.TrimSpace(string(out)) != t.Commit {
			return fault.New(fault.Unavailable, "source_unreachable", "the tag %s moved while it was being read", t.Name).WithHint("it is looked at again by itself")
		}
	}
	return nil
}

// file is one file of a commit.
type file struct {
	id, name string
	size     int64
}

// Bundle reads the files of a fetched commit below a folder, "" for all. Dot
// names are left out. A link, a submodule or a file that is too large is an
// Invalid or TooLarge fault with the file's path in Field.
func (r *Repository) Bundle(ctx context.Context, commit, dir string) (*bundle.Bundle, error) {
	if !objectID().MatchString(commit) {
		return nil, fault.New(fault.Invalid, "invalid_source", "that is no commit")
	}
	if dir != "" {
		kind, err := r.run(ctx, 1000, nil, "cat-file", "-t", commit+":"+dir)
		if err != nil || strings.TrimSpace(string(kind)) != "tree" {
			if fault.Is(err, fault.Unavailable) && ctx.Err() != nil {
				return nil, err
			}
			return nil, fault.New(fault.Invalid, "invalid_archive", "there is no folder %s in it", dir).WithField(dir).WithHint("name the folder as it is in the repository")
		}
	}
	list, err := r.run(ctx, maxListing, nil, "ls-tree", "-r", "-z", "-l", "--full-tree", commit+":"+dir)
	if err != nil {
		return nil, err
	}
	files, err := listing(list)
	if err != nil {
		return nil, err
	}
	b := bundle.NewBuilder()
	var ids bytes.Buffer
	for _, f := range files {
		ids.WriteString(f.id + "\n")
	}
	err = r.stream(ctx, ids.Bytes(), func(out io.Reader) error {
		in := bufio.NewReader(out)
		for _, f := range files {
			head, err := in.ReadString('\n')
			if err != nil || head != f.id+" blob "+strconv.FormatInt(f.size, 10)+"\n" {
				return unreadable(f.name, err)
			}
			content := io.LimitReader(in, f.size)
			if err := b.Add(f.name, content); err != nil {
				return err
			}
			if _, err := io.Copy(io.Discard, content); err != nil {
				return unreadable(f.name, err)
			}
			if c, err := in.ReadByte(); err != nil || c != '\n' {
				return unreadable(f.name, err)
			}
		}
		return nil
	}, "cat-file", "--batch")
	if err != nil {
		return nil, err
	}
	return b.Done()
}

func unreadable(name string, err error) error {
	return fault.New(fault.Unavailable, "source_unreachable", "the file %s could not be read to its end", name).WithHint("it is tried again by itself").WithCause(err)
}

// listing reads what ls-tree said: "MODE TYPE ID SIZE<TAB>PATH<NUL>", once per
// file.
func listing(list []byte) ([]file, error) {
	var files []file
	bad := func(name, what string) error {
		return fault.New(fault.Invalid, "invalid_archive", "%s is a %s", shown(name), what).WithField(shown(name)).
			WithHint("only regular files and folders belong into a template; name the folder that holds it with --path")
	}
	total := int64(0)
	for one := range strings.SplitSeq(strings.TrimSuffix(string(list), "\x00"), "\x00") {
		if one == "" {
			continue
		}
		head, name, ok := strings.Cut(one, "\t")
		f := strings.Fields(head)
		if !ok || len(f) != 4 {
			return nil, fault.New(fault.Invalid, "invalid_archive", "the list of files cannot be read")
		}
		if bundle.Hidden(name) {
			continue
		}
		switch {
		case f[0] == "160000" || f[1] == "commit":
			return nil, bad(name, "submodule")
		case f[0] == "120000":
			return nil, bad(name, "symbolic link")
		case f[1] != "blob" || !strings.HasPrefix(f[0], "100") || !objectID().MatchString(f[2]):
			return nil, bad(name, "special entry")
		}
		size, err := strconv.ParseInt(f[3], 10, 64)
		if err != nil {
			return nil, bad(name, "special entry")
		}
		if size > bundle.MaxFile {
			return nil, fault.New(fault.TooLarge, "template_too_large", "%s is larger than %d bytes", shown(name), bundle.MaxFile).WithField(shown(name)).
				WithHint("keep large files elsewhere, or name the template's folder with --path")
		}
		total += size
		files = append(files, file{f[2], name, size})
	}
	if len(files) > bundle.MaxFiles || total > bundle.MaxTotal {
		return nil, fault.New(fault.TooLarge, "template_too_large", "there are %d files of %d bytes, and a template has at most %d of %d", len(files), total, bundle.MaxFiles, bundle.MaxTotal).
			WithHint("name the template's folder with --path")
	}
	return files, nil
}

// shown is a stranger's path in an error.
func shown(name string) string {
	name = strings.ToValidUTF8(name, "?")
	if len(name) > 80 {
		name = strings.ToValidUTF8(name[:80], "") + "…"
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, name)
}

package archtest

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// The page of attacks must name tests that there are, for every attack.
func TestAttacksPageNamesRealTests(t *testing.T) {
	root := filepath.Join("..", "..")
	page, err := os.ReadFile(filepath.Join(root, "docs", "attacks.md"))
	if err != nil {
		t.Fatal(err)
	}
	have := map[string]bool{}
	declared := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != root && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || d.Name() == "node_modules"):
			return filepath.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, "_test.go"):
			return nil
		}
		src, err := os.ReadFile(path)
		for _, m := range declared.FindAllSubmatch(src, -1) {
			have[string(m[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("`((?:Test|Fuzz)[A-Za-z0-9_]+)`")
	next := 1
	for line := range strings.Lines(string(page)) {
		if strings.HasPrefix(line, "| "+strconv.Itoa(next)+" |") {
			next++
			if !named.MatchString(line) && !strings.Contains(line, "not applicable yet") {
				t.Errorf("attack %d has neither a test nor a reason for having none", next-1)
			}
		}
		for _, m := range named.FindAllStringSubmatch(line, -1) {
			if !have[m[1]] {
				t.Errorf("docs/attacks.md names %s, which does not exist", m[1])
			}
		}
	}
	if next != 27 {
		t.Errorf("the page has %d attacks in order, not 26", next-1)
	}
}

// Nobody can make the server ask an address of their choice: internal/egress
// alone dials, and it checks what it dials. Only the command line's client asks
// besides it. Mail goes through a library, which must be handed egress's Dial.
func TestTheServerAsksNobody(t *testing.T) {
	asks := regexp.MustCompile(`http\.(Client\{|Transport\{|Get\(|Post\(|PostForm\(|Head\(|DefaultClient|DefaultTransport)|net\.(Dial|Dialer\{)|"net/smtp"|websocket\.Dial`)
	mails := regexp.MustCompile(`mail\.NewClient\(`)
	each(t, func(p pkg, at string) {
		if at == "internal/apiclient" || at == "internal/egress" || !strings.HasPrefix(at, "internal/") || strings.HasSuffix(at, "test") || strings.HasSuffix(at, "cli") {
			return
		}
		for _, name := range p.GoFiles {
			src, err := os.ReadFile(filepath.Join(p.Dir, name))
			if err != nil {
				t.Fatal(err)
			}
			if m := asks.Find(src); m != nil {
				t.Errorf("%s/%s makes requests: %s", at, name, m)
			}
			if mails.Match(src) && !strings.Contains(string(src), "mail.WithDialContextFunc(") {
				t.Errorf("%s/%s sends mail by a way of its own", at, name)
			}
		}
	})
}

package iac

import (
	"bytes"
	"context"
	"crypto/rand"
	"os"
	"strings"
	"sync"
)

// maxAhead is the largest plan file of which a copy is read ahead.
const maxAhead = 16 << 20

// lookahead reads a plan while the program that made it still tells of it: it
// wrote the file before. What is read is a copy, in a directory and under an
// account of its own, which neither that program nor its providers reach. It
// counts if the file is the same when they have ended.
type lookahead struct {
	r      *run
	ctx    context.Context
	cancel context.CancelFunc
	all    sync.WaitGroup
	begun  bool

	file []byte // the copy that was read; nil when none was
	made reading
}

func (r *run) ahead(ctx context.Context) *lookahead {
	l := &lookahead{r: r}
	l.ctx, l.cancel = context.WithCancel(ctx)
	return l
}

// begin is called once, as soon as the plan's file is written. It does nothing
// when there is no seat that nobody waits for.
func (l *lookahead) begin() {
	l.begun = true
	l.all.Go(func() {
		file, err := l.r.read(planFile, maxAhead)
		if err != nil {
			return
		}
		s, up, ok := l.r.e.sitIfFree()
		if !ok {
			return
		}
		prefix, _, _ := strings.Cut(l.r.name, "-")
		other, err := l.r.e.newRunOn(s, up, l.r.m, prefix+"-r"+rand.Text()[:8], want{}, l.r.session)
		if err != nil {
			return
		}
		gone := sync.OnceFunc(other.close)
		defer gone()
		other.nice, other.trial = l.r.nice, l.r.trial
		if err := other.put(planFile, file); err != nil {
			return
		}
		if made, err := other.show(l.ctx, gone); err == nil { // else it is read once more, which says what is wrong
			l.made, l.file = made, file
		}
	})
}

// reading gives what was read of exactly this file, once the program that made
// it has ended.
func (l *lookahead) reading(file []byte) (reading, bool) {
	if !l.begun || file == nil {
		return reading{}, false
	}
	l.all.Wait()
	return l.made, l.file != nil && bytes.Equal(l.file, file)
}

// end ends what is still going on.
func (l *lookahead) end() {
	l.cancel()
	l.all.Wait()
}

// put writes a file into the run's directory, for its account.
func (r *run) put(name string, data []byte) error {
	root, err := os.OpenRoot(r.dir)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	if err := root.WriteFile(name, data, 0o600); err != nil {
		return err
	}
	return r.give(root)
}

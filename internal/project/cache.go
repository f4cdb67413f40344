package project

import (
	"sync"
	"time"

	"fairlead/internal/sqldb"
)

const (
	cacheFor  = 5 * time.Second // how old an environment may be when every wake-up got lost; as a principal's snapshot
	cacheSize = 8192
)

// cache keeps environments by the names they were asked for, so that a read of
// something in one need not read the project and the environment first. It
// holds what is there, never what is missing, and no decision: access is asked
// each time. Whatever changes a team, a project or an environment wakes the
// topic "directory" before its writer is answered, so on this replica nobody
// sees what was before their own change; on others it lasts as long as the
// wake-up takes, or cacheFor.
type cache struct {
	mu         sync.Mutex
	changed    <-chan string // looked at when somebody asks
	generation uint64
	m          map[cacheKey]cached
}

type cacheKey struct{ project, environment string }

type cached struct {
	Environment
	loaded time.Time
}

func newCache(db *sqldb.DB) *cache {
	c := &cache{}
	c.changed, _ = db.Subscribe(directoryTopic) // for the life of the DB
	return c
}

// get gives an environment, and the generation to put one back with.
func (c *cache) get(k cacheKey) (e Environment, generation uint64, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.look()
	v, ok := c.m[k]
	return v.Environment, c.generation, ok && time.Since(v.loaded) < cacheFor
}

// put keeps what was loaded at a time, unless something changed since
// generation. Its attributes are shared from then on: nobody changes them.
func (c *cache) put(k cacheKey, e Environment, loaded time.Time, generation uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.look(); c.generation != generation {
		return
	}
	if c.m == nil || len(c.m) >= cacheSize {
		c.m = map[cacheKey]cached{}
	}
	c.m[k] = cached{e, loaded}
}

// look forgets everything when something changed.
func (c *cache) look() {
	select {
	case <-c.changed:
		c.generation++
		c.m = nil
	default:
	}
}

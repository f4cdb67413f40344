package template

import "sync"

// maxCached bounds what the cache holds of archives, in bytes: versions are
// immutable, so nothing else ever makes an entry stale.
const maxCached = 16 << 20

// cache keeps parsed versions with their compiled schemas, by digest.
type cache struct {
	mu    sync.Mutex
	items map[string]cached
	order []string // oldest first
	bytes int
}

type cached struct {
	v     *Version
	bytes int
}

func (c *cache) get(digest string) (*Version, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	item, ok := c.items[digest]
	return item.v, ok
}

func (c *cache) put(v *Version, bytes int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.items[v.Digest]; ok {
		return
	}
	if c.items == nil {
		c.items = map[string]cached{}
	}
	c.items[v.Digest] = cached{v, bytes}
	c.order = append(c.order, v.Digest)
	for c.bytes += bytes; c.bytes > maxCached && len(c.order) > 1; c.order = c.order[1:] {
		c.bytes -= c.items[c.order[0]].bytes
		delete(c.items, c.order[0])
	}
}

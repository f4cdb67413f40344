package template

import "sync"

// maxCached bounds what the cache holds of archives, in bytes: versions are
// immutable, so nothing else ever makes an entry stale.
const maxCached = 16 << 20

// cache keeps parsed versions with their compiled schemas, by digest, once they
// are stored.
type cache struct {
	mu    sync.Mutex
	items map[string]cached
	named map[[2]string]string // name and version: its digest
	order []string             // oldest first
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

// of finds a version by its name and number.
func (c *cache) of(name, version string) (*Version, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	item, ok := c.items[c.named[[2]string{name, version}]]
	return item.v, ok
}

func (c *cache) put(v *Version, bytes int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.items[v.Digest]; ok {
		return
	}
	if c.items == nil {
		c.items, c.named = map[string]cached{}, map[[2]string]string{}
	}
	c.named[[2]string{v.Name, v.Version}] = v.Digest
	c.items[v.Digest] = cached{v, bytes}
	c.order = append(c.order, v.Digest)
	for c.bytes += bytes; c.bytes > maxCached && len(c.order) > 1; c.order = c.order[1:] {
		old := c.items[c.order[0]]
		c.bytes -= old.bytes
		delete(c.named, [2]string{old.v.Name, old.v.Version})
		delete(c.items, c.order[0])
	}
}

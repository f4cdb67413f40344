package lease

import (
	"context"
	"sync"
	"time"
)

// rulesTopic is woken when rules change.
const rulesTopic = "lease.rules"

// rulesTTL bounds how long a lost wake-up can leave the rules behind.
const rulesTTL = 15 * time.Second

// inForce is the rules in memory: they are few, seldom change, and each request
// asks for one.
type inForce struct {
	mu      sync.Mutex
	changed <-chan string
	read    time.Time
	rules   []Rule
}

// of gives the rule that holds, as ruleFor does.
func (c *inForce) of(ctx context.Context, s store, k Kind, class, teamID, template string) (Rule, error) {
	rules, err := c.all(ctx, s)
	best, weight := free(), -1
	for _, r := range rules {
		if r.Class != class || r.Kind != "" && r.Kind != k || r.TeamID != "" && r.TeamID != teamID || r.Template != "" && r.Template != template {
			continue
		}
		w := 0
		for i, named := range []bool{r.Kind != "", r.TeamID != "", r.Template != ""} {
			if named {
				w += 1 << i
			}
		}
		if w > weight {
			best, weight = r, w
		}
	}
	return best, err
}

func (c *inForce) all(ctx context.Context, s store) ([]Rule, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case <-c.changed:
		c.read = time.Time{}
	default:
	}
	if time.Since(c.read) < rulesTTL {
		return c.rules, nil
	}
	rules, err := s.allRules(ctx)
	if err == nil {
		c.read, c.rules = time.Now(), rules
	}
	return rules, err
}

package postgres

import "fairlead/internal/engine"

// Keys are the advisory locks of a resource.
func Keys(ref engine.Ref) (first, second int64) {
	key := lockKey(ref.Installation, ref.ID)
	return key, secondKey(key)
}

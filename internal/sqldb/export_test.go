package sqldb

// Waiting is how many writes wait for the next group.
func (db *DB) Waiting() int { return len(db.jobs) }

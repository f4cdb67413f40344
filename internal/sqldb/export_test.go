package sqldb

// Waiting is how many writes wait for the next group.
func (db *DB) Waiting() int { return len(db.jobs) }

// Sole is Options.Sole, before anything is read.
func (db *DB) Sole() {
	if db.readers != nil {
		db.readers.hold = true
	}
}

-- +goose Up

-- The servers on this store: each writes now and then that it is alive, and
-- what it measured.
CREATE TABLE replicas (
    id         TEXT PRIMARY KEY,   -- of one run of one server
    host       TEXT NOT NULL,
    address    TEXT NOT NULL,      -- that it listens on
    data       TEXT NOT NULL,      -- its data directory
    version    TEXT NOT NULL,
    holder     TEXT NOT NULL,      -- what the queue knows its workers as
    started_at BIGINT NOT NULL,
    seen_at    BIGINT NOT NULL,
    report     TEXT NOT NULL       -- JSON
);

-- Backups that were made, and what became of each.
CREATE TABLE backups (
    id         TEXT PRIMARY KEY,
    started_at BIGINT NOT NULL,
    ended_at   BIGINT,             -- NULL: being written, or its server ended
    bytes      BIGINT NOT NULL DEFAULT 0,
    broken     TEXT NOT NULL DEFAULT '', -- why it is of no use
    made_by    TEXT NOT NULL,
    address    TEXT NOT NULL,      -- where it went
    opens      TEXT NOT NULL       -- what opens it: passphrase, or the recipients
);

-- A suspect that a person knows of is left, and counted no more.
ALTER TABLE suspects ADD COLUMN released_at BIGINT;
ALTER TABLE suspects ADD COLUMN released_by TEXT NOT NULL DEFAULT '';
ALTER TABLE suspects ADD COLUMN release_reason TEXT NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE suspects DROP COLUMN release_reason;
ALTER TABLE suspects DROP COLUMN released_by;
ALTER TABLE suspects DROP COLUMN released_at;
DROP TABLE backups;
DROP TABLE replicas;

-- +goose Up

-- Versions of bundles of policies, as they were pushed; never changed.
CREATE TABLE guardrail_bundles (
    id           TEXT PRIMARY KEY,
    name         TEXT NOT NULL,
    version      TEXT NOT NULL,
    digest       TEXT NOT NULL,
    title        TEXT NOT NULL DEFAULT '',
    description  TEXT NOT NULL DEFAULT '',
    conftest     INTEGER NOT NULL,
    guardrails   INTEGER NOT NULL,
    tests        TEXT NOT NULL DEFAULT '{}',   -- how they went at the push
    archive      BYTEA NOT NULL,
    signature    TEXT NOT NULL,                -- of name, version, digest and who pushed it
    created_at   BIGINT NOT NULL,
    created_by   TEXT NOT NULL,
    creator_name TEXT NOT NULL DEFAULT '',
    UNIQUE (name, version)
);
CREATE INDEX guardrail_bundles_name ON guardrail_bundles (name, id);

-- What is in force: one signed list, so that nobody takes a line out of it.
CREATE TABLE guardrail_state (
    id        INTEGER PRIMARY KEY CHECK (id = 1),
    version   BIGINT NOT NULL,              -- counts its changes
    list      TEXT NOT NULL,                -- [{name, version, digest}]
    signature TEXT NOT NULL
);
INSERT INTO guardrail_state (id, version, list, signature) VALUES (1, 0, '[]', '');

CREATE TABLE guardrail_history (
    id       TEXT PRIMARY KEY,
    at       BIGINT NOT NULL,
    action   TEXT NOT NULL,             -- activate, deactivate, rollback
    name     TEXT NOT NULL,
    version  TEXT NOT NULL DEFAULT '',  -- in force from then on; '' for none
    previous TEXT NOT NULL DEFAULT '',  -- in force until then
    policy   TEXT NOT NULL,             -- digest of all that is in force from then on
    by_id    TEXT NOT NULL,
    by_name  TEXT NOT NULL
);
CREATE INDEX guardrail_history_name ON guardrail_history (name, id);

-- +goose Down
DROP TABLE guardrail_history;
DROP TABLE guardrail_state;
DROP TABLE guardrail_bundles;

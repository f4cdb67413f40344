-- +goose Up

-- The order that readers follow. It is given after the commit, by one at a
-- time, so that no event comes up behind a reader that has passed it.
ALTER TABLE events ADD COLUMN position BIGINT; -- NULL until it has its place
CREATE UNIQUE INDEX events_position ON events (position);
CREATE INDEX events_waiting ON events (id) WHERE position IS NULL;
CREATE INDEX events_team ON events (team_id, position);

-- How far each reader is; '' is the last place that was given.
CREATE TABLE event_cursors (
    consumer TEXT PRIMARY KEY,
    position BIGINT NOT NULL
);

-- Who is told. The secret that signs is in the secret store.
CREATE TABLE webhooks (
    id             TEXT PRIMARY KEY,
    team_id        TEXT NOT NULL DEFAULT '',   -- whose events it gets; '' is the organisation's: all of them
    url            TEXT NOT NULL,
    types          TEXT NOT NULL,              -- JSON: patterns of types
    description    TEXT NOT NULL DEFAULT '',
    enabled        INTEGER NOT NULL DEFAULT 1,
    disabled_why   TEXT NOT NULL DEFAULT '',
    key_generation BIGINT NOT NULL DEFAULT 1,
    overlap_until  BIGINT NOT NULL DEFAULT 0,  -- till then the secret before signs too
    created_at     BIGINT NOT NULL,
    created_by     TEXT NOT NULL,
    enabled_at     BIGINT NOT NULL,            -- it gets what happened since
    updated_at     BIGINT NOT NULL,
    version        BIGINT NOT NULL DEFAULT 1
);
CREATE INDEX webhooks_team ON webhooks (team_id, id);

-- Whoever is sent to, and how that goes: a webhook, or the mail server.
CREATE TABLE notify_targets (
    id         TEXT PRIMARY KEY,               -- a webhook's id, or 'smtp'
    failures   BIGINT NOT NULL DEFAULT 0,      -- in a row
    failing_at BIGINT NOT NULL DEFAULT 0,      -- since when
    resume_at  BIGINT NOT NULL DEFAULT 0       -- not before this; one at a time while it fails
);

-- One thing to tell one of them, kept until the events of its time go.
CREATE TABLE deliveries (
    id          TEXT PRIMARY KEY,
    target      TEXT NOT NULL,                 -- notify_targets.id
    recipient   TEXT NOT NULL DEFAULT '',      -- a user's id, for mail
    event_id    TEXT NOT NULL,
    event_type  TEXT NOT NULL,
    team_id     TEXT NOT NULL DEFAULT '',      -- the event's
    payload     TEXT NOT NULL,                 -- the CloudEvent, as it is sent
    status      TEXT NOT NULL,                 -- pending, delivered, failed
    attempts    BIGINT NOT NULL DEFAULT 0,
    next_at     BIGINT NOT NULL,
    expires_at  BIGINT NOT NULL,               -- then it has failed
    lease_until BIGINT NOT NULL DEFAULT 0,
    fence       BIGINT NOT NULL DEFAULT 0,
    last_code   BIGINT NOT NULL DEFAULT 0,     -- of the answer; 0 is none
    last_error  TEXT NOT NULL DEFAULT '',
    last_body   TEXT NOT NULL DEFAULT '',      -- its beginning, cleaned
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL
);
CREATE INDEX deliveries_due ON deliveries (next_at, id) WHERE status = 'pending';
CREATE INDEX deliveries_held ON deliveries (lease_until) WHERE lease_until > 0;
CREATE INDEX deliveries_target ON deliveries (target, id);
CREATE INDEX deliveries_created ON deliveries (created_at);
CREATE UNIQUE INDEX deliveries_once ON deliveries (event_id, target, recipient);

-- What users do not want to be mailed.
CREATE TABLE notify_mutes (
    user_id TEXT PRIMARY KEY,
    types   TEXT NOT NULL                      -- JSON: patterns of types
);

-- +goose Down
DROP TABLE notify_mutes;
DROP TABLE deliveries;
DROP TABLE notify_targets;
DROP TABLE webhooks;
DROP TABLE event_cursors;
DROP INDEX events_team;
DROP INDEX events_waiting;
DROP INDEX events_position;
ALTER TABLE events DROP COLUMN position;

-- +goose Up

-- One change of a template's version for many resources. Lengths in microseconds.
CREATE TABLE rollouts (
    id               TEXT PRIMARY KEY,
    template         TEXT NOT NULL,
    to_version       TEXT NOT NULL,
    to_digest        TEXT NOT NULL,
    selection        TEXT NOT NULL,              -- JSON: from, project, environment, class, team
    waves            TEXT NOT NULL,              -- as they were asked for
    parallel         BIGINT NOT NULL,
    max_failures     BIGINT NOT NULL,
    failures_percent INTEGER NOT NULL DEFAULT 0, -- max_failures is a share of the members
    rollback         TEXT NOT NULL,              -- none, wave, all
    bake             BIGINT NOT NULL DEFAULT 0,
    patience         BIGINT NOT NULL,            -- how long one member may take
    note             TEXT NOT NULL DEFAULT '',
    state            TEXT NOT NULL,              -- planning, planned, running, paused, halted, reverting, succeeded, reverted, canceled
    starts           INTEGER NOT NULL DEFAULT 0, -- once planned it goes on by itself
    began            INTEGER NOT NULL DEFAULT 0, -- something was changed by it, or was to be
    reason           TEXT NOT NULL DEFAULT '',   -- stable code of why
    message          TEXT NOT NULL DEFAULT '',
    hint             TEXT NOT NULL DEFAULT '',
    revert_from      BIGINT NOT NULL DEFAULT 0,  -- the first wave that is taken back
    acting_id        TEXT NOT NULL,              -- with whose rights its changes are made
    acting_token     TEXT NOT NULL DEFAULT '',
    acting_scopes    TEXT NOT NULL DEFAULT '[]',
    created_at       BIGINT NOT NULL,
    created_by       TEXT NOT NULL,
    started_at       BIGINT,
    finished_at      BIGINT,
    updated_at       BIGINT NOT NULL,
    version          BIGINT NOT NULL DEFAULT 1
);
CREATE INDEX rollouts_created_by ON rollouts (created_by, id);
CREATE INDEX rollouts_open ON rollouts (id) WHERE finished_at IS NULL;

CREATE TABLE rollout_waves (
    rollout_id  TEXT NOT NULL REFERENCES rollouts (id),
    number      BIGINT NOT NULL,
    name        TEXT NOT NULL,
    state       TEXT NOT NULL,                   -- waiting, running, baking, done
    started_at  BIGINT,
    healthy_at  BIGINT,                          -- since when all of it is healthy
    finished_at BIGINT,
    PRIMARY KEY (rollout_id, number)
);

-- Members whose plans are the same but for names.
CREATE TABLE rollout_groups (
    rollout_id  TEXT NOT NULL REFERENCES rollouts (id),
    number      BIGINT NOT NULL,
    shape       TEXT NOT NULL,                   -- digest of the diff
    severity    TEXT NOT NULL,                   -- none, change, destructive
    title       TEXT NOT NULL,
    diff        TEXT NOT NULL,                   -- JSON
    digest      TEXT NOT NULL,                   -- what an approval is bound to
    decision    TEXT NOT NULL DEFAULT '',        -- approved, rejected; '' for none
    decided     TEXT NOT NULL DEFAULT '',        -- the digest that was decided on
    decided_by  TEXT NOT NULL DEFAULT '',
    decided_at  BIGINT,
    comment     TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (rollout_id, number)
);
CREATE UNIQUE INDEX rollout_groups_shape ON rollout_groups (rollout_id, shape);

CREATE TABLE rollout_members (
    id               TEXT PRIMARY KEY,
    rollout_id       TEXT NOT NULL REFERENCES rollouts (id),
    resource_id      TEXT NOT NULL REFERENCES resources (id),
    state            TEXT NOT NULL,              -- unplanned, excluded, pending, applying, upgraded, done, failed, aside, reverting, reverted, stuck
    open             INTEGER NOT NULL DEFAULT 0, -- no other rollout may change it
    wave             BIGINT NOT NULL DEFAULT 0,
    group_number     BIGINT NOT NULL DEFAULT 0,
    from_version     TEXT NOT NULL,
    planned_revision BIGINT NOT NULL DEFAULT 0,  -- wanted when it was planned
    from_revision    BIGINT NOT NULL DEFAULT 0,  -- what a rollback goes back to
    to_revision      BIGINT NOT NULL DEFAULT 0,  -- that the rollout made
    back_revision    BIGINT NOT NULL DEFAULT 0,  -- that its rollback made
    shape            TEXT NOT NULL DEFAULT '',
    severity         TEXT NOT NULL DEFAULT '',
    title            TEXT NOT NULL DEFAULT '',
    diff             TEXT NOT NULL DEFAULT '',
    ends_as          TEXT NOT NULL DEFAULT '',   -- what reverting comes to
    reason           TEXT NOT NULL DEFAULT '',
    message          TEXT NOT NULL DEFAULT '',
    remedy           TEXT NOT NULL DEFAULT '',
    planned_at       BIGINT,
    started_at       BIGINT,
    applied_at       BIGINT,
    finished_at      BIGINT,
    updated_at       BIGINT NOT NULL
);
CREATE UNIQUE INDEX rollout_members_of ON rollout_members (rollout_id, resource_id);
CREATE UNIQUE INDEX rollout_members_open ON rollout_members (resource_id) WHERE open = 1;
CREATE INDEX rollout_members_state ON rollout_members (rollout_id, state, wave, id);

-- What keeps a resource at its version: a pin from every rollout, an exemption
-- from one.
CREATE TABLE rollout_pins (
    id          TEXT PRIMARY KEY,
    resource_id TEXT NOT NULL REFERENCES resources (id),
    rollout_id  TEXT NOT NULL DEFAULT '',        -- '' is every one: a pin
    reason      TEXT NOT NULL,
    until_at    BIGINT NOT NULL,
    created_at  BIGINT NOT NULL,
    created_by  TEXT NOT NULL,
    ended_at    BIGINT,
    ended_by    TEXT NOT NULL DEFAULT '',        -- '' and ended: it expired
    version     BIGINT NOT NULL DEFAULT 1
);
CREATE UNIQUE INDEX rollout_pins_open ON rollout_pins (resource_id, rollout_id) WHERE ended_at IS NULL;
CREATE INDEX rollout_pins_until ON rollout_pins (until_at) WHERE ended_at IS NULL;

-- +goose Down
DROP TABLE rollout_pins;
DROP TABLE rollout_members;
DROP TABLE rollout_groups;
DROP TABLE rollout_waves;
DROP TABLE rollouts;

-- +goose Up

-- How long things may live, by class of environment. Lengths in microseconds.
CREATE TABLE lease_rules (
    id             TEXT PRIMARY KEY,
    class          TEXT NOT NULL,              -- development, staging, production
    kind           TEXT NOT NULL DEFAULT '',   -- resource, environment; '' is both
    team_id        TEXT NOT NULL DEFAULT '',   -- '' is every team
    template       TEXT NOT NULL DEFAULT '',   -- '' is every template
    default_length BIGINT NOT NULL DEFAULT 0,  -- 0: none is given
    max_length     BIGINT NOT NULL DEFAULT 0,  -- extensions included; 0: no end to it
    extend_by      BIGINT NOT NULL DEFAULT 0,  -- at a time; 0: the default length
    max_extensions BIGINT NOT NULL DEFAULT -1, -- -1: as many as fit
    warn_before    TEXT NOT NULL DEFAULT '[]',
    required       INTEGER NOT NULL DEFAULT 0,
    created_at     BIGINT NOT NULL,
    created_by     TEXT NOT NULL,
    updated_at     BIGINT NOT NULL,
    version        BIGINT NOT NULL DEFAULT 1
);
CREATE UNIQUE INDEX lease_rules_of ON lease_rules (class, kind, team_id, template);

CREATE TABLE leases (
    id             TEXT PRIMARY KEY,
    kind           TEXT NOT NULL,              -- resource, environment
    subject_id     TEXT NOT NULL,
    environment_id TEXT NOT NULL REFERENCES environments (id),
    template       TEXT NOT NULL DEFAULT '',   -- of a resource
    max_length     BIGINT NOT NULL DEFAULT 0,  -- that its template sets; 0: none
    owner_id       TEXT NOT NULL,
    begins_at      BIGINT NOT NULL,
    ends_at        BIGINT NOT NULL,
    extensions     BIGINT NOT NULL DEFAULT 0,
    warn_at        TEXT NOT NULL DEFAULT '[]', -- when its owner is still to be warned
    warned         TEXT NOT NULL DEFAULT '[]', -- when they were
    state          TEXT NOT NULL,              -- active, ending, ended
    reason         TEXT NOT NULL DEFAULT '',   -- how it ended: expired, gone, removed
    problem        TEXT NOT NULL DEFAULT '',   -- what keeps the ending from its end
    attempts       BIGINT NOT NULL DEFAULT 0,
    due_at         BIGINT,                     -- when there is something to do; NULL: never again
    ending_at      BIGINT,
    ended_at       BIGINT,
    proof          TEXT NOT NULL DEFAULT '',   -- of its destruction
    created_at     BIGINT NOT NULL,
    updated_at     BIGINT NOT NULL,
    version        BIGINT NOT NULL DEFAULT 1
);
CREATE UNIQUE INDEX leases_open ON leases (subject_id) WHERE state <> 'ended';
CREATE INDEX leases_subject ON leases (subject_id, id);
CREATE INDEX leases_due ON leases (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX leases_environment ON leases (environment_id);
CREATE INDEX leases_ends ON leases (ends_at, id);
CREATE INDEX leases_owner ON leases (owner_id, ends_at);

-- A lease's end takes a last snapshot, whatever the template says.
ALTER TABLE resources ADD COLUMN snapshot_wanted INTEGER NOT NULL DEFAULT 0;

-- Wanted to be there, and stopped.
ALTER TABLE resources ADD COLUMN paused INTEGER NOT NULL DEFAULT 0;

-- When changes may happen: windows open them, freezes close them.
CREATE TABLE calendar_windows (
    id             TEXT PRIMARY KEY,
    name           TEXT NOT NULL,
    scope          TEXT NOT NULL,              -- organisation, team, project, environment
    place          TEXT NOT NULL DEFAULT '',   -- id of what the scope names
    class          TEXT NOT NULL DEFAULT '',   -- only environments of this class
    weekdays       TEXT NOT NULL,              -- JSON: 0 is Sunday
    opens          BIGINT NOT NULL,            -- minute of the day
    closes         BIGINT NOT NULL,            -- minute of the day; not after opens: on the next day
    zone           TEXT NOT NULL,
    created_at     BIGINT NOT NULL,
    created_by     TEXT NOT NULL,
    version        BIGINT NOT NULL DEFAULT 1
);
CREATE UNIQUE INDEX calendar_windows_name ON calendar_windows (name);

CREATE TABLE calendar_freezes (
    id             TEXT PRIMARY KEY,
    name           TEXT NOT NULL,
    scope          TEXT NOT NULL,
    place          TEXT NOT NULL DEFAULT '',
    class          TEXT NOT NULL DEFAULT '',
    reason         TEXT NOT NULL DEFAULT '',
    from_at        BIGINT NOT NULL,
    until_at       BIGINT NOT NULL,
    except_teams   TEXT NOT NULL DEFAULT '[]', -- ids
    created_at     BIGINT NOT NULL,
    created_by     TEXT NOT NULL,
    version        BIGINT NOT NULL DEFAULT 1
);
CREATE UNIQUE INDEX calendar_freezes_name ON calendar_freezes (name);

-- When what can be stopped runs: on these days, between these times.
CREATE TABLE calendar_schedules (
    id             TEXT PRIMARY KEY,
    name           TEXT NOT NULL,
    scope          TEXT NOT NULL,
    place          TEXT NOT NULL DEFAULT '',
    class          TEXT NOT NULL DEFAULT '',
    weekdays       TEXT NOT NULL,
    opens          BIGINT NOT NULL,            -- started then
    closes         BIGINT NOT NULL,            -- stopped then
    zone           TEXT NOT NULL,
    turned_at      BIGINT NOT NULL,            -- all turns until then are made
    created_at     BIGINT NOT NULL,
    created_by     TEXT NOT NULL,
    version        BIGINT NOT NULL DEFAULT 1
);
CREATE UNIQUE INDEX calendar_schedules_name ON calendar_schedules (name);

-- +goose Down
DROP TABLE calendar_schedules;
DROP TABLE calendar_freezes;
DROP TABLE calendar_windows;
ALTER TABLE resources DROP COLUMN paused;
ALTER TABLE resources DROP COLUMN snapshot_wanted;
DROP TABLE leases;
DROP TABLE lease_rules;

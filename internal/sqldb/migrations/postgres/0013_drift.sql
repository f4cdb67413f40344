-- +goose Up

-- What was not as wanted: one row from when it was seen until it was over, for
-- each resource and cause. Differences hold no secrets.
CREATE TABLE drifts (
    id          TEXT PRIMARY KEY,
    resource_id TEXT NOT NULL REFERENCES resources (id),
    engine      TEXT NOT NULL,
    template    TEXT NOT NULL,
    cause       TEXT NOT NULL,               -- noise, desired, person, deleted
    presence    TEXT NOT NULL,               -- what the look found of the resource
    differences TEXT NOT NULL,
    answer      TEXT NOT NULL,               -- what is done about it: ignore, alert, ask, heal, held, lost
    run_id      TEXT NOT NULL DEFAULT '',    -- the repair
    repair_at   BIGINT,                      -- when a repair began by itself; what the brake counts
    detected_at BIGINT NOT NULL,
    changed_at  BIGINT NOT NULL,             -- when differences or answer became what they are
    resolved_at BIGINT,
    resolution  TEXT NOT NULL DEFAULT '',    -- healed, accepted, gone, changed, destroyed
    resolved_by TEXT NOT NULL DEFAULT '',    -- a person, or ''
    reason      TEXT NOT NULL DEFAULT ''     -- theirs
);
CREATE UNIQUE INDEX drifts_open ON drifts (resource_id, cause) WHERE resolved_at IS NULL;
CREATE INDEX drifts_resource ON drifts (resource_id, id);
CREATE INDEX drifts_repair ON drifts (engine, repair_at) WHERE repair_at IS NOT NULL;

-- Differences that somebody said are fine, until they are others.
CREATE TABLE drift_acceptances (
    resource_id TEXT NOT NULL REFERENCES resources (id),
    address     TEXT NOT NULL,
    field       TEXT NOT NULL,
    print       TEXT NOT NULL,               -- tells the accepted value from another
    reason      TEXT NOT NULL,
    accepted_at BIGINT NOT NULL,
    accepted_by TEXT NOT NULL,
    PRIMARY KEY (resource_id, address, field)
);

-- The brake: one row for each engine, template and server of which something
-- was not as wanted. An engine's row is the lock for all that is of it.
CREATE TABLE drift_brakes (
    scope       TEXT PRIMARY KEY,            -- engine/NAME, template/NAME, server/HOST
    recent      TEXT NOT NULL DEFAULT '[]',  -- the last looks: resource and outcome
    held_at     BIGINT,                      -- since when repairs are held; NULL: they are not
    why         TEXT NOT NULL DEFAULT '',
    free_until  BIGINT NOT NULL DEFAULT 0,   -- a person released it until then
    released_at BIGINT,
    released_by TEXT NOT NULL DEFAULT '',
    reason      TEXT NOT NULL DEFAULT ''
);

-- Looks that somebody asked for.
CREATE TABLE drift_checks (
    id          TEXT PRIMARY KEY,
    resource_id TEXT NOT NULL REFERENCES resources (id),
    asked_by    TEXT NOT NULL,
    asked_at    BIGINT NOT NULL,
    began_at    BIGINT,
    ended_at    BIGINT,
    outcome     TEXT NOT NULL DEFAULT '',    -- as_wanted, drifted, failed
    message     TEXT NOT NULL DEFAULT ''
);
CREATE UNIQUE INDEX drift_checks_open ON drift_checks (resource_id) WHERE ended_at IS NULL;

-- +goose Down
DROP TABLE drift_checks;
DROP TABLE drift_brakes;
DROP TABLE drift_acceptances;
DROP TABLE drifts;

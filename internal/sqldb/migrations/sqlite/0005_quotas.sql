-- +goose Up

-- Quotas and budgets. Amounts are in millionths, so that sums never drift.
CREATE TABLE quota_limits (
    id           TEXT PRIMARY KEY,
    scope        TEXT NOT NULL,              -- organisation, team, project, environment
    place        TEXT NOT NULL,              -- id of what the scope names; '' for the organisation
    class        TEXT NOT NULL DEFAULT '',   -- only in environments of this class
    template     TEXT NOT NULL DEFAULT '',   -- only resources of this template
    metric       TEXT NOT NULL,              -- count, monthly_cost, or a unit that templates declare
    max          BIGINT NOT NULL,
    warn         BIGINT NOT NULL DEFAULT 0,  -- millionths of max; 0: never
    enforce      INTEGER NOT NULL DEFAULT 1, -- 0: only warns
    used         BIGINT NOT NULL,            -- the sum of the holdings that match
    warned_month TEXT NOT NULL DEFAULT '',   -- 2026-11: its owners were told then
    created_at   BIGINT NOT NULL,
    created_by   TEXT NOT NULL,
    updated_at   BIGINT NOT NULL,
    version      BIGINT NOT NULL DEFAULT 1   -- of what was set, not of what is used
);
CREATE UNIQUE INDEX quota_limits_of ON quota_limits (place, metric, class, template);

-- What each resource holds. prev and prev_class are what the last change found:
-- limits move by the difference, in the same transaction.
CREATE TABLE quota_holdings (
    resource_id    TEXT NOT NULL,
    metric         TEXT NOT NULL,
    amount         BIGINT NOT NULL,
    prev           BIGINT NOT NULL DEFAULT 0,
    class          TEXT NOT NULL,
    prev_class     TEXT NOT NULL DEFAULT '',
    team_id        TEXT NOT NULL,
    project_id     TEXT NOT NULL,
    environment_id TEXT NOT NULL,
    template       TEXT NOT NULL,
    PRIMARY KEY (resource_id, metric)
);

-- What things cost: each version as it was put; the newest is in force.
CREATE TABLE price_tables (
    version    BIGINT PRIMARY KEY,
    digest     TEXT NOT NULL,
    currency   TEXT NOT NULL,
    items      BIGINT NOT NULL,              -- how many
    document   TEXT NOT NULL,                -- YAML, as written
    created_at BIGINT NOT NULL,
    created_by TEXT NOT NULL
);

-- What each resource cost a month, from when until when.
CREATE TABLE cost_spans (
    resource_id    TEXT NOT NULL,
    started_at     BIGINT NOT NULL,
    ended_at       BIGINT,                   -- NULL: now
    monthly        BIGINT NOT NULL,          -- millionths of the currency
    currency       TEXT NOT NULL,
    resource       TEXT NOT NULL,            -- name
    environment_id TEXT NOT NULL,
    project_id     TEXT NOT NULL,
    team_id        TEXT NOT NULL,
    template       TEXT NOT NULL,
    PRIMARY KEY (resource_id, started_at)
);
CREATE UNIQUE INDEX cost_spans_open ON cost_spans (resource_id) WHERE ended_at IS NULL;
CREATE INDEX cost_spans_environment ON cost_spans (environment_id);
CREATE INDEX cost_spans_team ON cost_spans (team_id);

-- +goose Down
DROP TABLE cost_spans;
DROP TABLE price_tables;
DROP TABLE quota_holdings;
DROP TABLE quota_limits;

-- +goose Up

-- What stands there against the guardrails in force: a row for each rule that
-- a resource offends, from when it was first seen until it was mended.
CREATE TABLE guardrail_violations (
    id          TEXT PRIMARY KEY,
    resource_id TEXT NOT NULL REFERENCES resources (id),
    bundle      TEXT NOT NULL,             -- name, whatever its version
    version     TEXT NOT NULL,             -- that said so last
    rule        TEXT NOT NULL,
    strength    TEXT NOT NULL,             -- deny, advise
    message     TEXT NOT NULL,
    remedy      TEXT NOT NULL DEFAULT '',
    docs        TEXT NOT NULL DEFAULT '',
    field       TEXT NOT NULL DEFAULT '',
    since       BIGINT NOT NULL,
    seen_at     BIGINT NOT NULL,           -- last
    cleared_at  BIGINT,
    told        INTEGER NOT NULL DEFAULT 0 -- an event told of it, or of its end
);
CREATE UNIQUE INDEX guardrail_violations_open ON guardrail_violations (resource_id, bundle, rule) WHERE cleared_at IS NULL;
CREATE INDEX guardrail_violations_since ON guardrail_violations (since, id);
CREATE INDEX guardrail_violations_cleared ON guardrail_violations (cleared_at) WHERE cleared_at IS NOT NULL;
CREATE INDEX guardrail_violations_untold ON guardrail_violations (told) WHERE told = 0;

CREATE TABLE compliance_runs (
    id          TEXT PRIMARY KEY,
    started_at  BIGINT NOT NULL,
    beat_at     BIGINT NOT NULL,           -- it was alive then
    finished_at BIGINT,
    running     INTEGER UNIQUE,            -- 1 until it is finished, then NULL: one at a time
    by_id       TEXT NOT NULL,
    by_name     TEXT NOT NULL DEFAULT '',
    policy      TEXT NOT NULL,             -- digest of the guardrails that were asked
    resources   BIGINT NOT NULL DEFAULT 0,
    violations  BIGINT NOT NULL DEFAULT 0, -- open at its end
    opened      BIGINT NOT NULL DEFAULT 0,
    cleared     BIGINT NOT NULL DEFAULT 0,
    failure     TEXT NOT NULL DEFAULT ''   -- code of why it ended early
);
CREATE INDEX compliance_runs_started ON compliance_runs (started_at);

-- +goose Down
DROP TABLE compliance_runs;
DROP TABLE guardrail_violations;

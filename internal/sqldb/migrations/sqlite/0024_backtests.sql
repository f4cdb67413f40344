-- +goose Up

-- Backtests that were started in the portal, for who started them: how far
-- they are, and what they found.
CREATE TABLE backtests (
    id           TEXT PRIMARY KEY,
    name         TEXT NOT NULL,             -- of the bundle
    version      TEXT NOT NULL,
    days         BIGINT NOT NULL,           -- how far back
    by_id        TEXT NOT NULL,
    status       TEXT NOT NULL,             -- running, done, failed, canceled
    failure      TEXT NOT NULL DEFAULT '',
    cancel       INTEGER NOT NULL DEFAULT 0, -- it was asked to end
    decisions    BIGINT NOT NULL DEFAULT 0,
    of_decisions BIGINT NOT NULL DEFAULT 0,
    resources    BIGINT NOT NULL DEFAULT 0,
    changes      BIGINT NOT NULL DEFAULT 0,
    summary      TEXT NOT NULL DEFAULT '',  -- JSON, at its end
    started_at   BIGINT NOT NULL,
    seen_at      BIGINT NOT NULL,           -- when it gave its last sign of life
    finished_at  BIGINT
);
CREATE INDEX backtests_by ON backtests (by_id, name, id);

CREATE TABLE backtest_changes (
    backtest_id TEXT NOT NULL REFERENCES backtests (id),
    seq         BIGINT NOT NULL,
    kind        TEXT NOT NULL,
    was         TEXT NOT NULL,
    now         TEXT NOT NULL,
    body        TEXT NOT NULL,              -- the change as JSON
    PRIMARY KEY (backtest_id, seq)
);

-- +goose Down
DROP TABLE backtest_changes;
DROP TABLE backtests;

-- +goose Up

-- Who does not want to see the list of first steps any more. What is done of
-- it is not kept: it follows from what there is.
CREATE TABLE setup_dismissals (
    user_id TEXT PRIMARY KEY,
    at      BIGINT NOT NULL
);
CREATE INDEX audit_log_backups ON audit_log (seq) WHERE action = 'system:backup';

-- What people say of the portal's pages: their last word on each, by version.
CREATE TABLE feedback (
    id      TEXT PRIMARY KEY,
    page    TEXT NOT NULL,             -- its route's pattern
    user_id TEXT NOT NULL,
    version TEXT NOT NULL,             -- Fairlead's
    helpful INTEGER NOT NULL,
    words   TEXT NOT NULL DEFAULT '',
    changes BIGINT NOT NULL DEFAULT 0, -- of mind
    at      BIGINT NOT NULL
);
CREATE UNIQUE INDEX feedback_once ON feedback (page, user_id, version);
CREATE INDEX feedback_user ON feedback (user_id, at);
CREATE INDEX feedback_at ON feedback (at, id);

-- What happened that concerns somebody: a line for each of an event's
-- recipients, until it is old or crowded out.
CREATE TABLE notifications (
    user_id        TEXT NOT NULL,
    event_id       TEXT NOT NULL,
    at             BIGINT NOT NULL,
    type           TEXT NOT NULL,
    subject        TEXT NOT NULL,      -- id of what it is about
    team_id        TEXT NOT NULL,      -- the event's place
    project_id     TEXT NOT NULL,
    environment_id TEXT NOT NULL,
    about          TEXT NOT NULL,      -- its name
    place          TEXT NOT NULL,      -- project/environment
    detail         TEXT NOT NULL,
    read_at        BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (user_id, event_id)
);
CREATE INDEX notifications_unread ON notifications (user_id, event_id) WHERE read_at = 0;
CREATE INDEX notifications_at ON notifications (at);

-- What is amiss now, however much was before.
CREATE INDEX drifts_standing ON drifts (id) WHERE resolved_at IS NULL;
CREATE INDEX guardrail_violations_standing ON guardrail_violations (since, id) WHERE cleared_at IS NULL;

-- +goose Down
DROP INDEX guardrail_violations_standing;
DROP INDEX drifts_standing;
DROP TABLE notifications;
DROP TABLE feedback;
DROP INDEX audit_log_backups;
DROP TABLE setup_dismissals;

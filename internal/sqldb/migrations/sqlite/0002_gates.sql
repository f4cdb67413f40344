-- +goose Up

-- What the gates decided, with all that they looked at: for "why", and for
-- replaying it with other guardrails.
CREATE TABLE decisions (
    id               TEXT PRIMARY KEY,
    at               BIGINT NOT NULL,
    stage            TEXT NOT NULL,           -- request, plan, release, activation
    action           TEXT NOT NULL,           -- create, update, destroy, keep
    outcome          TEXT NOT NULL,           -- allowed, approval, denied
    principal_id     TEXT NOT NULL,
    principal_name   TEXT NOT NULL,
    request_id       TEXT NOT NULL DEFAULT '',
    run_id           TEXT NOT NULL DEFAULT '',
    resource_id      TEXT NOT NULL DEFAULT '', -- '' when it was refused before it was made
    resource         TEXT NOT NULL,            -- name
    revision         BIGINT NOT NULL DEFAULT 0,
    environment_id   TEXT NOT NULL,
    project_id       TEXT NOT NULL,
    team_id          TEXT NOT NULL,
    template         TEXT NOT NULL,
    template_version TEXT NOT NULL,
    policy           TEXT NOT NULL DEFAULT '', -- digest of the guardrails that were active
    document         TEXT NOT NULL,            -- the facts, as rules saw them
    verdicts         TEXT NOT NULL DEFAULT '[]'
);
CREATE INDEX decisions_at ON decisions (at);
CREATE INDEX decisions_run ON decisions (run_id) WHERE run_id <> '';
CREATE INDEX decisions_request ON decisions (request_id) WHERE request_id <> '';
CREATE INDEX decisions_resource ON decisions (resource_id, revision, stage);
CREATE INDEX decisions_team ON decisions (team_id, id);

-- What happened, written with the change itself.
CREATE TABLE events (
    id             TEXT PRIMARY KEY,
    at             BIGINT NOT NULL,
    type           TEXT NOT NULL,
    subject        TEXT NOT NULL,
    team_id        TEXT NOT NULL DEFAULT '',
    project_id     TEXT NOT NULL DEFAULT '',
    environment_id TEXT NOT NULL DEFAULT '',
    recipients     TEXT NOT NULL DEFAULT '[]', -- ids of users
    data           TEXT NOT NULL DEFAULT '{}'
);
CREATE INDEX events_at ON events (at);

-- What an attempt of the run passed, as JSON: a later attempt goes on with it.
ALTER TABLE runs ADD COLUMN passed TEXT NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE runs DROP COLUMN passed;
DROP TABLE events;
DROP TABLE decisions;

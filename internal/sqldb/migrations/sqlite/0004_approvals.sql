-- +goose Up

-- What people are asked to agree to, and what came of it. Bound to a digest
-- that never changes: what is different is another approval.
CREATE TABLE approvals (
    id               TEXT PRIMARY KEY,
    kind             TEXT NOT NULL,            -- resource, guardrail, …
    subject_id       TEXT NOT NULL,
    title            TEXT NOT NULL,            -- the subject's name
    run_id           TEXT NOT NULL DEFAULT '', -- the attempt that it counts for
    action           TEXT NOT NULL DEFAULT '',
    revision         BIGINT NOT NULL DEFAULT 0,
    template         TEXT NOT NULL DEFAULT '',
    template_version TEXT NOT NULL DEFAULT '',
    team_id          TEXT NOT NULL DEFAULT '',
    project_id       TEXT NOT NULL DEFAULT '',
    environment_id   TEXT NOT NULL DEFAULT '',
    digest           TEXT NOT NULL,
    parts            TEXT NOT NULL,            -- digest of each part
    needs            TEXT NOT NULL,            -- who must agree
    barred           TEXT NOT NULL DEFAULT '[]', -- who must not, and why
    document         TEXT NOT NULL DEFAULT '{}', -- the facts, as rules saw them
    verdicts         TEXT NOT NULL DEFAULT '[]',
    requested_by     TEXT NOT NULL,
    status           TEXT NOT NULL,            -- pending, approved, rejected, expired, void, bypassed
    reason           TEXT NOT NULL DEFAULT '', -- why it is void, or why it was bypassed
    changed          TEXT NOT NULL DEFAULT '[]', -- the parts that made it void, before and after
    created_at       BIGINT NOT NULL,
    expires_at       BIGINT NOT NULL,
    decided_at       BIGINT,
    decided_by       TEXT NOT NULL DEFAULT '',
    passed_at        BIGINT,                   -- the attempt was told that it may go on
    reviewed_at      BIGINT,                   -- of a bypass
    reviewed_by      TEXT NOT NULL DEFAULT '',
    review           TEXT NOT NULL DEFAULT ''
);
CREATE UNIQUE INDEX approvals_open ON approvals (kind, subject_id) WHERE status = 'pending';
CREATE INDEX approvals_subject ON approvals (kind, subject_id, id);
CREATE INDEX approvals_due ON approvals (expires_at) WHERE status = 'pending';
CREATE INDEX approvals_review ON approvals (id) WHERE status = 'bypassed' AND reviewed_at IS NULL;
CREATE INDEX approvals_requester ON approvals (requested_by, id);
CREATE INDEX approvals_environment ON approvals (environment_id, id);

-- What counts for a need of an approval: "person:<id>" or "role:<team>:<role>".
CREATE TABLE approval_needs (
    approval_id TEXT NOT NULL REFERENCES approvals (id),
    need_key    TEXT NOT NULL,
    PRIMARY KEY (approval_id, need_key)
);
CREATE INDEX approval_needs_key ON approval_needs (need_key, approval_id);

-- One row for each right that a vote was given by: one's own, or another's.
CREATE TABLE approval_votes (
    approval_id  TEXT NOT NULL REFERENCES approvals (id),
    voter_id     TEXT NOT NULL,
    on_behalf_of TEXT NOT NULL,                -- the voter themselves, or who delegated to them
    decision     TEXT NOT NULL,                -- approve, reject
    comment      TEXT NOT NULL DEFAULT '',
    at           BIGINT NOT NULL,
    PRIMARY KEY (approval_id, voter_id, on_behalf_of)
);

CREATE TABLE approval_delegations (
    id         TEXT PRIMARY KEY,
    from_id    TEXT NOT NULL REFERENCES principals (id),
    to_id      TEXT NOT NULL REFERENCES principals (id),
    from_at    BIGINT NOT NULL,
    until_at   BIGINT NOT NULL,
    reason     TEXT NOT NULL DEFAULT '',
    created_at BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    ended_at   BIGINT
);
CREATE INDEX approval_delegations_to ON approval_delegations (to_id, until_at);
CREATE INDEX approval_delegations_from ON approval_delegations (from_id, until_at);

-- +goose Down
DROP TABLE approval_delegations;
DROP TABLE approval_votes;
DROP TABLE approval_needs;
DROP TABLE approvals;

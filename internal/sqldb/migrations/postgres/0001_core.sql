-- +goose Up

-- What this installation is: its id, the active access policy, …
CREATE TABLE settings (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
);

-- Identity -----------------------------------------------------------------

CREATE TABLE teams (
    id         TEXT PRIMARY KEY,
    name       TEXT NOT NULL,
    title      TEXT NOT NULL DEFAULT '',
    attributes TEXT NOT NULL DEFAULT '{}',
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    deleted_at BIGINT,                       -- kept: history and audit refer to it
    version    BIGINT NOT NULL DEFAULT 1
);
CREATE UNIQUE INDEX teams_name ON teams (name) WHERE deleted_at IS NULL;

CREATE TABLE principals (
    id            TEXT PRIMARY KEY,
    kind          TEXT NOT NULL,             -- user, robot
    name          TEXT NOT NULL UNIQUE,
    display_name  TEXT NOT NULL DEFAULT '',
    email         TEXT NOT NULL DEFAULT '',
    password_hash TEXT NOT NULL DEFAULT '',  -- argon2id in PHC form; '' cannot sign in with a password
    password_set_at BIGINT,                  -- a sign-in link from before it sets no further one
    attributes    TEXT NOT NULL DEFAULT '{}',
    team_id       TEXT REFERENCES teams (id), -- the owner of a robot
    disabled_at   BIGINT,
    signed_in_at  BIGINT,                    -- last time with a password or a link
    created_at    BIGINT NOT NULL,
    updated_at    BIGINT NOT NULL,
    version       BIGINT NOT NULL DEFAULT 1
);

CREATE TABLE role_bindings (
    principal_id TEXT NOT NULL REFERENCES principals (id),
    team_id      TEXT NOT NULL DEFAULT '',   -- '' is organisation-wide
    role         TEXT NOT NULL,
    created_at   BIGINT NOT NULL,
    created_by   TEXT NOT NULL,
    PRIMARY KEY (principal_id, team_id, role)
);
CREATE INDEX role_bindings_team ON role_bindings (team_id);

CREATE TABLE sessions (
    id           TEXT PRIMARY KEY,
    token_hash   TEXT NOT NULL UNIQUE,
    principal_id TEXT NOT NULL REFERENCES principals (id),
    created_at   BIGINT NOT NULL,
    last_seen_at BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL,            -- absolute; idle expiry follows from last_seen_at
    revoked_at   BIGINT,
    address      TEXT NOT NULL DEFAULT '',
    agent        TEXT NOT NULL DEFAULT '',
    method       TEXT NOT NULL DEFAULT ''    -- password, link
);
CREATE INDEX sessions_principal ON sessions (principal_id);

CREATE TABLE tokens (
    id           TEXT PRIMARY KEY,
    token_hash   TEXT NOT NULL UNIQUE,
    hint         TEXT NOT NULL,              -- last characters, to tell tokens apart
    principal_id TEXT NOT NULL REFERENCES principals (id),
    name         TEXT NOT NULL,
    scopes       TEXT NOT NULL DEFAULT '[]', -- JSON array; empty means all that the principal may
    created_at   BIGINT NOT NULL,
    created_by   TEXT NOT NULL,
    expires_at   BIGINT NOT NULL,
    last_used_at BIGINT,
    revoked_at   BIGINT,
    method       TEXT NOT NULL DEFAULT ''    -- password, link: made by signing in; '' by another credential
);
CREATE INDEX tokens_principal ON tokens (principal_id, id);

CREATE TABLE links (
    id           TEXT PRIMARY KEY,
    token_hash   TEXT NOT NULL UNIQUE,
    principal_id TEXT NOT NULL REFERENCES principals (id),
    purpose      TEXT NOT NULL,              -- sign-in
    created_at   BIGINT NOT NULL,
    created_by   TEXT NOT NULL,
    expires_at   BIGINT NOT NULL,
    used_at      BIGINT
);

CREATE TABLE sign_in_attempts (
    key           TEXT PRIMARY KEY,          -- hash of the account or the address
    failures      BIGINT NOT NULL,
    window_start  BIGINT NOT NULL,
    blocked_until BIGINT NOT NULL DEFAULT 0
);

-- Access and audit ---------------------------------------------------------

CREATE TABLE access_policies (
    version    BIGINT PRIMARY KEY,           -- the highest is in force
    digest     TEXT NOT NULL,
    source     TEXT NOT NULL,
    note       TEXT NOT NULL DEFAULT '',
    created_at BIGINT NOT NULL,
    created_by TEXT NOT NULL
);

CREATE TABLE audit_log (
    seq            BIGINT PRIMARY KEY,
    at             BIGINT NOT NULL,
    actor_id       TEXT NOT NULL,
    actor_kind     TEXT NOT NULL,
    actor_name     TEXT NOT NULL,
    credential     TEXT NOT NULL DEFAULT '', -- the session or token used
    action         TEXT NOT NULL,
    target_kind    TEXT NOT NULL,
    target_id      TEXT NOT NULL,
    target_name    TEXT NOT NULL,
    team_id        TEXT NOT NULL DEFAULT '',
    project_id     TEXT NOT NULL DEFAULT '',
    environment_id TEXT NOT NULL DEFAULT '',
    address        TEXT NOT NULL DEFAULT '',
    request_id     TEXT NOT NULL DEFAULT '',
    decision       TEXT NOT NULL,
    policies       TEXT NOT NULL DEFAULT '[]',
    policy_version BIGINT NOT NULL DEFAULT 0,
    details        TEXT NOT NULL DEFAULT '{}',
    prev_hash      TEXT NOT NULL,
    hash           TEXT NOT NULL
);
CREATE INDEX audit_log_at ON audit_log (at);
CREATE INDEX audit_log_actor ON audit_log (actor_id, seq);
CREATE INDEX audit_log_target ON audit_log (target_id, seq);
CREATE INDEX audit_log_team ON audit_log (team_id, seq);

-- One row: where the chain ends. Locked by whoever appends.
CREATE TABLE audit_head (
    id   BIGINT PRIMARY KEY CHECK (id = 1),
    seq  BIGINT NOT NULL,
    hash TEXT NOT NULL
);

CREATE TABLE audit_checkpoints (
    seq       BIGINT PRIMARY KEY,
    hash      TEXT NOT NULL,
    at        BIGINT NOT NULL,
    key_id    TEXT NOT NULL,
    signature TEXT NOT NULL
);

CREATE TABLE audit_keys (
    key_id     TEXT PRIMARY KEY,
    public_key TEXT NOT NULL,
    created_at BIGINT NOT NULL
);

-- Projects, templates, resources --------------------------------------------

CREATE TABLE projects (
    id         TEXT PRIMARY KEY,
    name       TEXT NOT NULL,
    title      TEXT NOT NULL DEFAULT '',
    team_id    TEXT NOT NULL REFERENCES teams (id),
    attributes TEXT NOT NULL DEFAULT '{}',
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    deleted_at BIGINT,                       -- kept: the history of its resources refers to it
    version    BIGINT NOT NULL DEFAULT 1
);
CREATE UNIQUE INDEX projects_name ON projects (name) WHERE deleted_at IS NULL;
CREATE INDEX projects_team ON projects (team_id);

CREATE TABLE environments (
    id         TEXT PRIMARY KEY,
    project_id TEXT NOT NULL REFERENCES projects (id),
    name       TEXT NOT NULL,
    title      TEXT NOT NULL DEFAULT '',
    class      TEXT NOT NULL,                -- development, staging, production
    attributes TEXT NOT NULL DEFAULT '{}',
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    deleted_at BIGINT,
    version    BIGINT NOT NULL DEFAULT 1
);
CREATE UNIQUE INDEX environments_name ON environments (project_id, name) WHERE deleted_at IS NULL;

CREATE TABLE template_versions (
    name       TEXT NOT NULL,
    version    TEXT NOT NULL,                -- semantic version, as written
    sort_key   TEXT NOT NULL,                -- orders versions as semver does
    digest     TEXT NOT NULL,                -- sha256 of the canonical archive
    prerelease INTEGER NOT NULL,             -- 1: never the latest while there is another
    engine     TEXT NOT NULL,
    search     TEXT NOT NULL,                -- name, title and description in lower case
    tags       TEXT NOT NULL,                -- JSON array
    manifest   TEXT NOT NULL,                -- template.yaml as JSON
    archive    BYTEA NOT NULL,               -- the folder, canonical
    created_at BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    PRIMARY KEY (name, version)
);
CREATE INDEX template_versions_sort ON template_versions (name, sort_key);

CREATE TABLE resources (
    id               TEXT PRIMARY KEY,
    name             TEXT NOT NULL,
    environment_id   TEXT NOT NULL REFERENCES environments (id),
    project_id       TEXT NOT NULL,
    team_id          TEXT NOT NULL,
    template         TEXT NOT NULL,
    engine           TEXT NOT NULL,
    phase            TEXT NOT NULL,
    reason           TEXT NOT NULL DEFAULT '', -- stable code of why the phase is what it is
    message          TEXT NOT NULL DEFAULT '',
    hint             TEXT NOT NULL DEFAULT '',
    revision         BIGINT NOT NULL,          -- wanted
    applied_revision BIGINT NOT NULL DEFAULT 0, -- last made real
    outputs          TEXT NOT NULL DEFAULT '{}', -- values that are no secrets; of a secret its name alone
    objects          TEXT NOT NULL DEFAULT '[]',
    state            TEXT NOT NULL DEFAULT '',   -- the engine's notes
    drift            TEXT NOT NULL DEFAULT '[]',
    observed_at      BIGINT,
    observe_due_at   BIGINT,
    rotation         TEXT NOT NULL DEFAULT '',   -- id of the rotation that is wanted
    applied_rotation TEXT NOT NULL DEFAULT '',
    retire_due_at    BIGINT,
    destroy_wanted_at BIGINT,
    destroyed_at     BIGINT,
    created_at       BIGINT NOT NULL,
    created_by       TEXT NOT NULL,
    updated_at       BIGINT NOT NULL,
    version          BIGINT NOT NULL DEFAULT 1,  -- changes with every write; the ETag
    wanted_version   BIGINT NOT NULL DEFAULT 1   -- the version with which somebody last changed what is wanted
);
CREATE UNIQUE INDEX resources_name ON resources (environment_id, name) WHERE destroyed_at IS NULL;
CREATE INDEX resources_environment ON resources (environment_id, id);
CREATE INDEX resources_observe ON resources (observe_due_at) WHERE destroyed_at IS NULL;
CREATE INDEX resources_template ON resources (template);

CREATE TABLE revisions (
    resource_id      TEXT NOT NULL REFERENCES resources (id),
    number           BIGINT NOT NULL,
    template         TEXT NOT NULL,
    template_version TEXT NOT NULL,
    template_digest  TEXT NOT NULL,
    inputs           TEXT NOT NULL,           -- as asked for, references unresolved, secrets masked
    sealed           TEXT NOT NULL DEFAULT '[]', -- JSON pointers of the inputs whose values are among the secrets
    note             TEXT NOT NULL DEFAULT '',
    rolled_back_to   BIGINT NOT NULL DEFAULT 0,
    created_at       BIGINT NOT NULL,
    created_by       TEXT NOT NULL,
    PRIMARY KEY (resource_id, number)
);

-- The references of each resource's wanted revision.
CREATE TABLE resource_references (
    resource_id TEXT NOT NULL REFERENCES resources (id),
    input       TEXT NOT NULL,                -- JSON pointer into the inputs
    target_id   TEXT NOT NULL REFERENCES resources (id),
    output      TEXT NOT NULL,
    PRIMARY KEY (resource_id, input)
);
CREATE INDEX resource_references_target ON resource_references (target_id);

CREATE TABLE runs (
    id                  TEXT PRIMARY KEY,
    resource_id         TEXT NOT NULL REFERENCES resources (id),
    number              BIGINT NOT NULL,      -- 1, 2, … of the resource: ids made in one moment have no order
    environment_id      TEXT NOT NULL,
    kind                TEXT NOT NULL,        -- apply, heal, rotate, destroy
    revision            BIGINT NOT NULL,
    phase               TEXT NOT NULL,        -- queued, planning, applying, verifying, done
    status              TEXT NOT NULL,        -- running, succeeded, failed, canceled, superseded
    plan                TEXT NOT NULL DEFAULT '',
    plan_digest         TEXT NOT NULL DEFAULT '',
    error_code          TEXT NOT NULL DEFAULT '',
    error_message       TEXT NOT NULL DEFAULT '',
    error_hint          TEXT NOT NULL DEFAULT '',
    attempts            BIGINT NOT NULL DEFAULT 0,
    fence               BIGINT NOT NULL DEFAULT 0,
    requested_by        TEXT NOT NULL,
    request_id          TEXT NOT NULL DEFAULT '',
    created_at          BIGINT NOT NULL,
    started_at          BIGINT,
    finished_at         BIGINT,
    cancel_requested_at BIGINT
);
CREATE UNIQUE INDEX runs_resource ON runs (resource_id, number);
CREATE UNIQUE INDEX runs_open ON runs (resource_id) WHERE finished_at IS NULL;

CREATE TABLE run_log (
    run_id  TEXT NOT NULL REFERENCES runs (id),
    seq     BIGINT NOT NULL,
    at      BIGINT NOT NULL,
    phase   TEXT NOT NULL,
    level   TEXT NOT NULL,
    message TEXT NOT NULL,
    PRIMARY KEY (run_id, seq)
);

-- External objects that no record explains; for a person.
CREATE TABLE suspects (
    id          TEXT PRIMARY KEY,
    engine      TEXT NOT NULL,
    kind        TEXT NOT NULL,
    name        TEXT NOT NULL,
    host        TEXT NOT NULL DEFAULT '',
    resource_id TEXT NOT NULL DEFAULT '',
    reason      TEXT NOT NULL,
    found_at    BIGINT NOT NULL,
    resolved_at BIGINT
);
CREATE UNIQUE INDEX suspects_object ON suspects (engine, kind, host, name) WHERE resolved_at IS NULL;

-- The work queue: one row a resource, kept while the resource lives, so that
-- its fence only grows.
CREATE TABLE queue (
    key                TEXT PRIMARY KEY,
    lane               TEXT NOT NULL,          -- the engine
    team               TEXT NOT NULL,
    generation         BIGINT NOT NULL,        -- grows with each enqueue
    claimed_generation BIGINT NOT NULL DEFAULT 0,
    due_at             BIGINT,                 -- NULL: nothing to do
    fence              BIGINT NOT NULL DEFAULT 0, -- grows with each claim
    holder             TEXT NOT NULL DEFAULT '',
    lease_until        BIGINT NOT NULL DEFAULT 0,
    attempts           BIGINT NOT NULL DEFAULT 0, -- since the last success
    cancel_requested   BIGINT NOT NULL DEFAULT 0,
    last_error         TEXT NOT NULL DEFAULT ''
);
CREATE INDEX queue_due ON queue (lane, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX queue_held ON queue (lane, team) WHERE lease_until > 0;

-- Secrets and replies -------------------------------------------------------

CREATE TABLE secrets (
    id          TEXT PRIMARY KEY,
    owner       TEXT NOT NULL,                -- the resource's id
    name        TEXT NOT NULL,                -- the output's name
    key_id      TEXT NOT NULL,                -- the master key that wraps the data key
    wrapped_key BYTEA NOT NULL,
    ciphertext  BYTEA NOT NULL,
    created_at  BIGINT NOT NULL,
    UNIQUE (owner, name)
);

CREATE INDEX secrets_key ON secrets (key_id);

-- The master keys in use, never in the clear; one is not retired. While a
-- rotation reaches every replica the new key is here wrapped by the old one.
CREATE TABLE master_keys (
    key_id     TEXT PRIMARY KEY,
    wrapped_by TEXT NOT NULL DEFAULT '',
    wrapped    BYTEA,
    created_at BIGINT NOT NULL,
    retired_at BIGINT
);
CREATE UNIQUE INDEX master_keys_active ON master_keys ((retired_at IS NULL)) WHERE retired_at IS NULL;

CREATE TABLE idempotency_keys (
    principal_id TEXT NOT NULL,
    key          TEXT NOT NULL,
    digest       TEXT NOT NULL,               -- of method, path and body
    status       BIGINT NOT NULL DEFAULT 0,   -- 0: done, but the reply was not kept
    headers      TEXT NOT NULL DEFAULT '{}',
    body         TEXT NOT NULL DEFAULT '',
    created_at   BIGINT NOT NULL,
    PRIMARY KEY (principal_id, key)
);
CREATE INDEX idempotency_keys_age ON idempotency_keys (created_at);

-- Leader-only loops: who runs them now.
CREATE TABLE leaders (
    name        TEXT PRIMARY KEY,
    holder      TEXT NOT NULL,
    fence       BIGINT NOT NULL,
    lease_until BIGINT NOT NULL
);

-- Prepared databases of the postgres engine: one row each, put before the
-- database is made, deleted after it is taken or dropped.
CREATE TABLE pg_pool (
    server TEXT NOT NULL,
    name TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (server, name)
);

-- +goose Down
DROP TABLE pg_pool;
DROP TABLE leaders, idempotency_keys, master_keys, secrets, queue, suspects, run_log, runs, resource_references, revisions,
    resources, template_versions, environments, projects, audit_keys, audit_checkpoints, audit_head, audit_log,
    access_policies, sign_in_attempts, links, tokens, sessions, role_bindings, principals, teams, settings;

-- +goose Up

-- The state of each resource that an OpenTofu or Terraform module makes. The
-- row stays when the resource has gone, so that its epochs keep growing.
CREATE TABLE iac_states (
    id         TEXT PRIMARY KEY,              -- the resource
    epoch      BIGINT NOT NULL DEFAULT 0,     -- counts the runs that might write; an older one is refused
    version    BIGINT NOT NULL DEFAULT 0,     -- the current one; 0 for none
    serial     BIGINT NOT NULL DEFAULT 0,
    lineage    TEXT NOT NULL DEFAULT '',
    digest     TEXT NOT NULL DEFAULT '',      -- SHA-256 of the current state
    objects    BIGINT NOT NULL DEFAULT 0,     -- managed objects in the current state
    lock_id    TEXT NOT NULL DEFAULT '',
    lock_info  TEXT NOT NULL DEFAULT '',      -- what the holder said of itself
    lock_epoch BIGINT NOT NULL DEFAULT 0,
    updated_at BIGINT NOT NULL
);

-- The last versions, each compressed and encrypted under the state's own key,
-- which is among the secrets.
CREATE TABLE iac_state_versions (
    state      TEXT NOT NULL REFERENCES iac_states (id),
    version    BIGINT NOT NULL,
    serial     BIGINT NOT NULL,
    lineage    TEXT NOT NULL,
    size       BIGINT NOT NULL,               -- in bytes, as it was sent
    run        TEXT NOT NULL,
    body       BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (state, version)
);

-- The provider hashes that were found when a module without a lock file was
-- first initialised; enforced from then on, on every server.
CREATE TABLE iac_lock_files (
    id         TEXT PRIMARY KEY,              -- digest of module and program
    content    TEXT NOT NULL,
    created_at BIGINT NOT NULL
);

-- +goose Down
DROP TABLE iac_lock_files;
DROP TABLE iac_state_versions;
DROP TABLE iac_states;

-- +goose Up

-- A manifest may be completed when it is pushed: this is what was pushed.
ALTER TABLE template_versions ADD COLUMN pushed_digest TEXT NOT NULL DEFAULT '';
UPDATE template_versions SET pushed_digest = digest;

-- What became of a version afterwards; its content never changes.
ALTER TABLE template_versions ADD COLUMN deprecated_at BIGINT NOT NULL DEFAULT 0; -- 0: it is not
ALTER TABLE template_versions ADD COLUMN deprecated_by TEXT NOT NULL DEFAULT '';
ALTER TABLE template_versions ADD COLUMN deprecated_reason TEXT NOT NULL DEFAULT '';
ALTER TABLE template_versions ADD COLUMN end_of_life_at BIGINT NOT NULL DEFAULT 0; -- no new requests from then on; 0: none is set
ALTER TABLE template_versions ADD COLUMN successor TEXT NOT NULL DEFAULT '';

-- Where a template's versions come from. A credential, and the secret that
-- signs pushes, are in the secret store.
CREATE TABLE template_sources (
    id          TEXT PRIMARY KEY,
    name        TEXT NOT NULL UNIQUE,        -- the template's
    kind        TEXT NOT NULL,               -- folder, file, https, ssh
    url         TEXT NOT NULL,
    path        TEXT NOT NULL DEFAULT '',    -- the folder in it
    refs        TEXT NOT NULL DEFAULT '',    -- which tags, as a pattern; '' are the usual ones
    release     TEXT NOT NULL DEFAULT '',    -- the version of a folder whose manifest has none
    credential  TEXT NOT NULL DEFAULT '',    -- '', password, key
    known_hosts TEXT NOT NULL DEFAULT '',
    hooked      INTEGER NOT NULL DEFAULT 0,  -- 1: it takes signed pushes
    every_s     BIGINT NOT NULL,             -- seconds between looks; 0: only when asked
    due_at      BIGINT NOT NULL,             -- the next look
    wanted      BIGINT NOT NULL DEFAULT 1,   -- counts the looks that were asked for
    looked      BIGINT NOT NULL DEFAULT 0,   -- the wanted of the last look that ended
    lease_until BIGINT NOT NULL DEFAULT 0,
    fence       BIGINT NOT NULL DEFAULT 0,
    synced_at   BIGINT NOT NULL DEFAULT 0,   -- the last look that succeeded
    failures    BIGINT NOT NULL DEFAULT 0,   -- in a row
    error_code  TEXT NOT NULL DEFAULT '',
    error       TEXT NOT NULL DEFAULT '',
    hint        TEXT NOT NULL DEFAULT '',
    created_at  BIGINT NOT NULL,
    created_by  TEXT NOT NULL,
    updated_at  BIGINT NOT NULL,
    version     BIGINT NOT NULL DEFAULT 1
);
CREATE INDEX template_sources_due ON template_sources (due_at, id);

-- What was seen in a source: each tag, and what became of it.
CREATE TABLE template_source_tags (
    source   TEXT NOT NULL REFERENCES template_sources (id),
    tag      TEXT NOT NULL,
    release  TEXT NOT NULL,                  -- the version that it names
    sort_key TEXT NOT NULL,
    commit_id TEXT NOT NULL,                 -- that was taken in, or tried
    moved_to TEXT NOT NULL DEFAULT '',       -- where the tag is now; refused
    status   TEXT NOT NULL,                  -- imported, broken, moved
    digest   TEXT NOT NULL DEFAULT '',
    code     TEXT NOT NULL DEFAULT '',       -- why it is broken
    message  TEXT NOT NULL DEFAULT '',
    hint     TEXT NOT NULL DEFAULT '',
    again    INTEGER NOT NULL DEFAULT 0,     -- 1: trying again may help
    seen_at  BIGINT NOT NULL,
    PRIMARY KEY (source, tag)
);
CREATE INDEX template_source_tags_order ON template_source_tags (source, sort_key, tag);

-- Pushes that were taken, so that none is taken twice.
CREATE TABLE template_source_pushes (
    source TEXT NOT NULL REFERENCES template_sources (id),
    id     TEXT NOT NULL,
    at     BIGINT NOT NULL,
    PRIMARY KEY (source, id)
);

-- +goose Down
DROP TABLE template_source_pushes;
DROP TABLE template_source_tags;
DROP TABLE template_sources;
ALTER TABLE template_versions DROP COLUMN successor;
ALTER TABLE template_versions DROP COLUMN end_of_life_at;
ALTER TABLE template_versions DROP COLUMN deprecated_reason;
ALTER TABLE template_versions DROP COLUMN deprecated_by;
ALTER TABLE template_versions DROP COLUMN deprecated_at;
ALTER TABLE template_versions DROP COLUMN pushed_digest;

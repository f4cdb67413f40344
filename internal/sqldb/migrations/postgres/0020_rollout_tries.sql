-- +goose Up

-- A member that met an internal error is tried again after a while.
ALTER TABLE rollout_members ADD COLUMN tries BIGINT NOT NULL DEFAULT 0; -- since it last went on
ALTER TABLE rollout_members ADD COLUMN due_at BIGINT;                   -- not before then

-- +goose Down
ALTER TABLE rollout_members DROP COLUMN due_at;
ALTER TABLE rollout_members DROP COLUMN tries;

-- +goose Up

-- When the last record was written: the next is not from before it.
ALTER TABLE audit_head ADD COLUMN at BIGINT NOT NULL DEFAULT 0;

-- +goose Down
ALTER TABLE audit_head DROP COLUMN at;

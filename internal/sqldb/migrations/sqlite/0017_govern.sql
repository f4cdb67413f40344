-- +goose Up

-- By which price table the living resources are priced.
ALTER TABLE price_tables ADD COLUMN repriced_at BIGINT;                 -- all are, since then; NULL: not yet
ALTER TABLE price_tables ADD COLUMN repriced BIGINT NOT NULL DEFAULT 0; -- resources that came to another amount

-- +goose Down
ALTER TABLE price_tables DROP COLUMN repriced;
ALTER TABLE price_tables DROP COLUMN repriced_at;
